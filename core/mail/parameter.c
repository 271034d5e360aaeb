#include "core/mail/parameter.h"

#include "core/base/clock.h"
#include "core/base/limit.h"
#include "core/mail/utf8.h"

enum {
    ENVID_BYTES = 100,
    ORCPT_BYTES = 500
}; /* RFC 3461 4.4 and 4.2 */

static int hex_upper(char c)
{
    return c >= '0' && c <= '9' ? c - '0' : c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

/* UTF-8 that may be written into a reply, a log or a report. */
static bool is_clean(struct str s)
{
    while (s.len) {
        uint32_t c;
        size_t bytes = utf8_take(s, &c);
        if (!bytes || utf8_is_control(c) || utf8_is_hidden(c))
            return false;
        s = str_skip(s, bytes);
    }
    return true;
}

bool xtext_decode(struct str in, bool utf8, struct arena *arena, struct str *out)
{
    char *at = arena_take(arena, in.len + 1);
    size_t len = 0;
    if (!at)
        return false;
    for (size_t i = 0; i < in.len; i++) {
        char c = in.at[i];
        if (c == '+') {
            int high = i + 1 < in.len ? hex_upper(in.at[i + 1]) : -1;
            int low = i + 2 < in.len ? hex_upper(in.at[i + 2]) : -1;
            if (high < 0 || low < 0)
                return false;
            c = (char)(high << 4 | low);
            i += 2;
        } else if (c == '=' || c == ' ') {
            return false;
        }
        bool beyond = utf8 && (unsigned char)c > 0x7F;
        if (!beyond && (c < ' ' || c > '~'))
            return false;
        at[len++] = c;
    }
    *out = str_from(at, len);
    return is_clean(*out);
}

void xtext_encode(struct str in, struct buffer *out)
{
    for (size_t i = 0; i < in.len; i++) {
        char c = in.at[i];
        if (c > ' ' && c <= '~' && c != '+' && c != '=')
            buffer_putc(out, c);
        else
            buffer_printf(out, "+%02X", (unsigned)(unsigned char)c);
    }
}

struct parsed {
    unsigned seen; /* bits of the parameters so far: none may come twice */
    bool utf8;
    struct arena *arena;
    void *out;
};

enum {
    SEEN_SIZE,
    SEEN_BODY,
    SEEN_UTF8,
    SEEN_AUTH,
    SEEN_RET,
    SEEN_ENVID,
    SEEN_HOLD,
    SEEN_NOTIFY,
    SEEN_ORCPT
};

static bool on_size(struct parsed *p, struct str value)
{
    struct parameter_mail *m = p->out;
    return value.len <= 20 && str_number(value, UINT64_MAX, &m->size);
}

static bool on_body(struct parsed *p, struct str value)
{
    struct parameter_mail *m = p->out;
    m->body_8bit = str_eq_nocase(value, STR("8BITMIME"));
    return m->body_8bit || str_eq_nocase(value, STR("7BIT"));
}

static bool on_smtputf8(struct parsed *p, struct str value)
{
    struct parameter_mail *m = p->out;
    m->smtputf8 = true;
    return value.at == NULL; /* it takes none */
}

static bool on_auth(struct parsed *p, struct str value)
{
    struct parameter_mail *m = p->out;
    return value.len && xtext_decode(value, false, p->arena, &m->auth);
}

static bool on_ret(struct parsed *p, struct str value)
{
    struct parameter_mail *m = p->out;
    m->return_full = str_eq_nocase(value, STR("FULL"));
    m->return_headers = str_eq_nocase(value, STR("HDRS"));
    return m->return_full || m->return_headers;
}

static bool on_envid(struct parsed *p, struct str value)
{
    struct parameter_mail *m = p->out;
    return value.len && value.len <= ENVID_BYTES && xtext_decode(value, false, p->arena, &m->envid);
}

/* 1*9DIGIT, at least 1 */
static bool on_hold_for(struct parsed *p, struct str value)
{
    struct parameter_mail *m = p->out;
    return value.len <= 9 && str_number(value, UINT64_MAX, &m->hold_for_s) && m->hold_for_s;
}

static bool on_hold_until(struct parsed *p, struct str value)
{
    struct parameter_mail *m = p->out;
    return clock_parse(value, &m->hold_until_ms);
}

static bool on_notify(struct parsed *p, struct str value)
{
    static const struct str names[] = {STR_INIT("NEVER"), STR_INIT("SUCCESS"), STR_INIT("FAILURE"),
                                       STR_INIT("DELAY")};
    struct parameter_rcpt *r = p->out;
    bool alone = str_find(value, ',') == SIZE_MAX;
    if (value.len && value.at[value.len - 1] == ',')
        return false;
    while (value.len) {
        struct str word = str_cut(&value, ',');
        unsigned bit = 0;
        while (bit < countof(names) && !str_eq_nocase(word, names[bit]))
            bit++;
        if (bit == countof(names))
            return false;
        r->notify |= 1u << bit;
    }
    return r->notify && (!(r->notify & NOTIFY_NEVER) || alone);
}

/* "rfc822;" stands before it: what is not ASCII is of type utf-8. */
static bool name_type(struct str *orcpt, struct arena *arena)
{
    const struct str old = STR("rfc822;"), new = STR("utf-8;");
    if (utf8_is_ascii(*orcpt) || !str_starts_nocase(*orcpt, old))
        return true;
    struct str address = str_skip(*orcpt, old.len);
    char *at = arena_take(arena, new.len + address.len);
    if (!at)
        return false;
    memcpy(at, new.at, new.len);
    memcpy(at + new.len, address.at, address.len);
    *orcpt = str_from(at, new.len + address.len);
    return true;
}

static bool on_orcpt(struct parsed *p, struct str value)
{
    struct parameter_rcpt *r = p->out;
    struct str decoded;
    bool typed = utf8_is_ascii(value) || str_starts_nocase(value, STR("utf-8;"));
    if (!typed || value.len > ORCPT_BYTES || !xtext_decode(value, true, p->arena, &decoded))
        return false;
    size_t semicolon = str_find(decoded, ';');
    if (semicolon == 0 || semicolon >= decoded.len - 1)
        return false;
    r->orcpt = decoded;
    return name_type(&r->orcpt, p->arena);
}

struct row {
    struct str name;
    unsigned bit, needs;
    bool (*take)(struct parsed *p, struct str value);
};

static const struct row mail_rows[] = {
    {STR_INIT("SIZE"), SEEN_SIZE, PARAMETER_SIZE, on_size},
    {STR_INIT("BODY"), SEEN_BODY, PARAMETER_8BITMIME, on_body},
    {STR_INIT("SMTPUTF8"), SEEN_UTF8, PARAMETER_SMTPUTF8, on_smtputf8},
    {STR_INIT("AUTH"), SEEN_AUTH, PARAMETER_AUTH, on_auth},
    {STR_INIT("RET"), SEEN_RET, PARAMETER_DSN, on_ret},
    {STR_INIT("ENVID"), SEEN_ENVID, PARAMETER_DSN, on_envid},
    {STR_INIT("HOLDFOR"), SEEN_HOLD, PARAMETER_FUTURE, on_hold_for}, /* one of the two */
    {STR_INIT("HOLDUNTIL"), SEEN_HOLD, PARAMETER_FUTURE, on_hold_until},
};

static const struct row rcpt_rows[] = {
    {STR_INIT("NOTIFY"), SEEN_NOTIFY, PARAMETER_DSN, on_notify},
    {STR_INIT("ORCPT"), SEEN_ORCPT, PARAMETER_DSN, on_orcpt},
};

/* RFC 5321 4.1.2: value is 33-60, 62-126; RFC 6531 3.3: with SMTPUTF8 UTF-8 too. */
static bool is_printable(struct str s, bool utf8)
{
    for (size_t i = 0; i < s.len; i++)
        if (((unsigned char)s.at[i] > '~' && !(utf8 && (unsigned char)s.at[i] > 0x7F)) ||
            (unsigned char)s.at[i] <= ' ')
            return false;
    return s.len > 0;
}

static enum reply take_one(struct parsed *p, struct str word, const struct row *rows, size_t count)
{
    struct str value = word, name = str_cut(&value, '=');
    if (name.len == word.len)
        value = str_from(NULL, 0); /* no "=" */
    else if (value.len == 0)
        return REPLY_501_PARAMETER;
    for (size_t i = 0; i < count; i++) {
        if (!str_eq_nocase(name, rows[i].name))
            continue;
        if (p->seen & 1u << rows[i].bit)
            return REPLY_501_PARAMETER;
        p->seen |= 1u << rows[i].bit;
        return rows[i].take(p, value) ? REPLY_250_OK : REPLY_501_PARAMETER;
    }
    return REPLY_555_PARAMETER;
}

static enum reply parse(struct str in, struct parsed *p, const struct row *rows, size_t count)
{
    if (in.len && in.at[0] != ' ')
        return REPLY_501_SYNTAX;
    for (;;) {
        struct str word = str_word(&in);
        if (word.len == 0)
            return REPLY_250_OK;
        if (!is_printable(word, p->utf8))
            return REPLY_501_PARAMETER;
        enum reply reply = take_one(p, word, rows, count);
        if (reply != REPLY_250_OK)
            return reply;
    }
}

/* The rows that are offered, so that the others are unknown. */
static size_t choose(const struct row *all, size_t count, unsigned offered, struct row *chosen)
{
    size_t n = 0;
    for (size_t i = 0; i < count; i++)
        if (all[i].needs & offered)
            chosen[n++] = all[i];
    return n;
}

enum reply parameter_parse_mail(struct str in, unsigned offered, struct arena *arena,
                                struct parameter_mail *out)
{
    *out = (struct parameter_mail){.auth = {"", 0}, .envid = {"", 0}};
    struct row rows[countof(mail_rows)];
    struct parsed p = {.arena = arena, .out = out};
    return parse(in, &p, rows, choose(mail_rows, countof(mail_rows), offered, rows));
}

enum reply parameter_parse_rcpt(struct str in, unsigned offered, struct arena *arena,
                                struct parameter_rcpt *out)
{
    *out = (struct parameter_rcpt){.orcpt = {"", 0}};
    struct row rows[countof(rcpt_rows)];
    struct parsed p = {.utf8 = offered & PARAMETER_IN_UTF8, .arena = arena, .out = out};
    return parse(in, &p, rows, choose(rcpt_rows, countof(rcpt_rows), offered, rows));
}
