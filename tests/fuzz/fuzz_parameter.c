/* What follows the path in MAIL and RCPT, against the grammars of the RFCs as regular expressions.
 *
 * Byte 0: which extensions are offered; byte 1: MAIL or RCPT. The rest is what follows the path.
 */
#include "tests/fuzz/fuzz.h"

#include "core/mail/parameter.h"
#include "core/mail/utf8.h"

#include <regex.h>
#include <stdlib.h>
#include <strings.h>

enum {
    WORD_BYTES = 8192
};

#define XCHAR      "([!-*,-<>-~]|[+][2-6][0-9A-F]|[+]7[0-9A-E])"
#define XCHAR_UTF8 "([!-*,-<>-~\x80-\xff]|[+][2-6][0-9A-F]|[+]7[0-9A-E]|[+][89A-F][0-9A-F])"
#define LIST_WORD  "(SUCCESS|FAILURE|DELAY)"

/* The names, what a value looks like, and how many bytes it may have. "": takes none. */
static struct row {
    const char *name;
    unsigned needs;
    bool of_mail, any_case;
    const char *form;
    size_t bytes;
    const char *rival; /* may not come together */
    bool compiled;
    regex_t regex;
} rows[] = {
    {"SIZE", PARAMETER_SIZE, true, false, "[0-9]+", 20, "SIZE", false, {0}},
    {"BODY", PARAMETER_8BITMIME, true, true, "7BIT|8BITMIME", 20, "BODY", false, {0}},
    {"SMTPUTF8", PARAMETER_SMTPUTF8, true, true, "", 0, "SMTPUTF8", false, {0}},
    {"AUTH", PARAMETER_AUTH, true, false, XCHAR "+", WORD_BYTES, "AUTH", false, {0}},
    {"RET", PARAMETER_DSN, true, true, "FULL|HDRS", 4, "RET", false, {0}},
    {"ENVID", PARAMETER_DSN, true, false, XCHAR "+", 100, "ENVID", false, {0}},
    {"HOLDFOR", PARAMETER_FUTURE, true, false, "0*[1-9][0-9]*", 9, "HOLDUNTIL", false, {0}},
    {"HOLDUNTIL",
     PARAMETER_FUTURE,
     true,
     true,
     "[0-9]{4}-[01][0-9]-[0-3][0-9]T[0-2][0-9]:[0-5][0-9]:[0-6][0-9]([.][0-9]+)?"
     "(Z|[-+][0-2][0-9]:[0-5][0-9])",
     WORD_BYTES,
     "HOLDFOR",
     false,
     {0}},
    {"NOTIFY",
     PARAMETER_DSN,
     false,
     true,
     "NEVER|" LIST_WORD "(," LIST_WORD ")*",
     WORD_BYTES,
     "NOTIFY",
     false,
     {0}},
    {"ORCPT", PARAMETER_DSN, false, false, XCHAR_UTF8 "+", 500, "ORCPT", false, {0}},
};

static bool has_form(struct row *r, const char *value)
{
    if (!r->compiled) {
        char whole[512];
        struct buffer b;
        buffer_init(&b, sizeof whole);
        buffer_printf(&b, "^(%s)$", r->form);
        must(str_to_c(buffer_str(&b), whole, sizeof whole));
        must(!regcomp(&r->regex, whole, REG_EXTENDED | REG_NOSUB | (r->any_case ? REG_ICASE : 0)));
        r->compiled = true;
        buffer_drop(&b);
    }
    return regexec(&r->regex, value, 0, NULL, 0) == 0 && strlen(value) <= r->bytes;
}

static struct str decode(const char *raw, char *to, size_t room)
{
    size_t len = 0;
    while (*raw && len < room) {
        char digits[3] = {0};
        to[len] = *raw++;
        if (to[len] == '+') {
            memcpy(digits, raw, 2);
            to[len] = (char)strtoul(digits, NULL, 16);
            raw += 2;
        }
        len++;
    }
    return str_from(to, len);
}

/* "type;address", of which the form says nothing; UTF-8 as it is has type utf-8 (RFC 6533 3). */
static bool is_orcpt(const char *raw)
{
    char room[512];
    struct str decoded = decode(raw, room, sizeof room), rest = decoded;
    size_t semicolon = str_find(decoded, ';');
    if (!utf8_is_ascii(str_c(raw)) && strncasecmp(raw, "utf-8;", 6) != 0)
        return false;
    while (rest.len) {
        uint32_t c;
        size_t bytes = utf8_take(rest, &c);
        if (!bytes || utf8_is_control(c) || utf8_is_hidden(c))
            return false;
        rest = str_skip(rest, bytes);
    }
    return semicolon != SIZE_MAX && semicolon > 0 && semicolon + 1 < decoded.len;
}

/* What the forms do not say. */
static bool has_sense(const struct row *r, const char *value)
{
    if (strcmp(r->name, "ORCPT") == 0)
        return is_orcpt(value);
    if (strcmp(r->name, "SIZE") != 0)
        return true;
    value += strspn(value, "0");
    return strlen(value) < 20 ||
           (strlen(value) == 20 && strcmp(value, "18446744073709551615") <= 0);
}

struct model {
    const char *value[countof(rows)]; /* NULL: not given */
    char word[16][WORD_BYTES];
    size_t words;
    bool undecided; /* dates that look right: is there such a day? */
};

static struct row *find(const char *name, bool of_mail, unsigned offered)
{
    for (size_t i = 0; i < countof(rows); i++)
        if (rows[i].of_mail == of_mail && rows[i].needs & offered &&
            strcasecmp(rows[i].name, name) == 0)
            return &rows[i];
    return NULL;
}

/* The reply, or 0 where it depends on a date. */
static unsigned model_word(struct model *m, char *word, bool of_mail, unsigned offered)
{
    bool utf8 = !of_mail && offered & PARAMETER_IN_UTF8;
    for (const char *c = word; *c; c++)
        if ((unsigned char)*c <= ' ' || *c == 0x7F || (!utf8 && (unsigned char)*c > 0x7F))
            return 501;
    char *value = strchr(word, '=');
    if (value)
        *value++ = '\0';
    if (value && *value == '\0')
        return 501;
    struct row *r = find(word, of_mail, offered);
    if (!r)
        return 555;
    for (size_t i = 0; i < countof(rows); i++)
        if (m->value[i] && (strcasecmp(rows[i].name, r->rival) == 0 || &rows[i] == r))
            return 501;
    if (r->form[0] == '\0' ? value != NULL : !value || !has_form(r, value) || !has_sense(r, value))
        return 501;
    m->value[r - rows] = value ? value : "";
    if (strcmp(r->name, "HOLDUNTIL") == 0)
        m->undecided = true;
    return 250;
}

static unsigned model(struct model *m, struct str in, bool of_mail, unsigned offered)
{
    if (in.len && in.at[0] != ' ')
        return 501;
    size_t at = 0;
    while (at < in.len) {
        size_t start = at;
        while (at < in.len && in.at[at] != ' ' && in.at[at] != '\t')
            at++;
        if (at > start) {
            char *word = m->word[m->words++];
            must(m->words <= countof(m->word));
            memcpy(word, in.at + start, at - start);
            word[at - start] = '\0';
            unsigned code = model_word(m, word, of_mail, offered);
            if (code != 250)
                return code;
        }
        at++;
    }
    return 250;
}

static const char *value_of(const struct model *m, const char *name)
{
    for (size_t i = 0; i < countof(rows); i++)
        if (strcmp(rows[i].name, name) == 0)
            return m->value[i];
    return NULL;
}

static bool is(const char *value, const char *word)
{
    return value && strcasecmp(value, word) == 0;
}

/* Does `raw` stand for `decoded`? */
static bool is_decoded(const char *raw, struct str decoded)
{
    for (size_t i = 0; i < decoded.len; i++) {
        char digits[3] = {0};
        char c = *raw++;
        if (c == '+') {
            memcpy(digits, raw, 2);
            c = (char)strtoul(digits, NULL, 16);
            raw += 2;
        }
        if (c != decoded.at[i])
            return false;
    }
    return *raw == '\0';
}

static void check_mail(const struct model *m, const struct parameter_mail *p)
{
    const char *size = value_of(m, "SIZE"), *hold = value_of(m, "HOLDFOR");
    const char *none = "";
    must(p->size == (size ? strtoull(size, NULL, 10) : 0));
    must(p->hold_for_s == (hold ? strtoull(hold, NULL, 10) : 0));
    must(p->body_8bit == is(value_of(m, "BODY"), "8BITMIME"));
    must(p->smtputf8 == (value_of(m, "SMTPUTF8") != NULL));
    must(p->return_full == is(value_of(m, "RET"), "FULL"));
    must(p->return_headers == is(value_of(m, "RET"), "HDRS"));
    must(is_decoded(value_of(m, "ENVID") ? value_of(m, "ENVID") : none, p->envid));
    must(is_decoded(value_of(m, "AUTH") ? value_of(m, "AUTH") : none, p->auth));
    must(value_of(m, "HOLDUNTIL") || p->hold_until_ms == 0);
}

static void check_rcpt(const struct model *m, const struct parameter_rcpt *p)
{
    static const struct {
        const char *word;
        unsigned bit;
    } notify[] = {{"NEVER", NOTIFY_NEVER},
                  {"SUCCESS", NOTIFY_SUCCESS},
                  {"FAILURE", NOTIFY_FAILURE},
                  {"DELAY", NOTIFY_DELAY}};

    const char *words = value_of(m, "NOTIFY"), *orcpt = value_of(m, "ORCPT");
    unsigned want = 0;
    for (size_t i = 0; i < countof(notify); i++)
        want |= words && strcasestr(words, notify[i].word) ? notify[i].bit : 0;
    must(p->notify == want);
    char room[512];
    struct str decoded = decode(orcpt ? orcpt : "", room, sizeof room), old = STR("rfc822;");
    if (utf8_is_ascii(decoded) || strncasecmp(decoded.at, old.at, old.len) != 0) {
        must(str_eq(p->orcpt, decoded));
        return;
    }
    must(str_starts(p->orcpt, STR("utf-8;")));
    must(str_eq(str_skip(p->orcpt, 6), str_skip(decoded, old.len)));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct model m;
    if (size < 2 || size > WORD_BYTES || memchr(data + 2, '\0', size - 2))
        return 0;
    memset(m.value, 0, sizeof m.value);
    m.words = 0;
    m.undecided = false;
    struct str in = str_from((const char *)data + 2, size - 2);
    unsigned offered = data[0];
    bool of_mail = data[1] & 1;
    unsigned want = model(&m, in, of_mail, offered);
    struct arena arena;
    struct parameter_mail mail;
    struct parameter_rcpt rcpt;
    arena_init(&arena, 1 << 20);
    unsigned got = reply_code(of_mail ? parameter_parse_mail(in, offered, &arena, &mail)
                                      : parameter_parse_rcpt(in, offered, &arena, &rcpt));
    must(got == want || (m.undecided && got == 501));
    if (got == 250 && of_mail)
        check_mail(&m, &mail);
    if (got == 250 && !of_mail)
        check_rcpt(&m, &rcpt);
    arena_drop(&arena);
    return 0;
}
