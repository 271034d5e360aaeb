#include "tests/smtp/script.h"

#include "core/base/base.h"
#include "core/base/buffer.h"

#include <stdio.h>

static unsigned hex(char c)
{
    return (unsigned)(c >= 'a' ? c - 'a' + 10 : c - '0') & 15;
}

/* The byte that `in` escapes, `in` standing behind the backslash. */
static char take_escape(struct str *in)
{
    static const char from[] = "rnt0", to[] = "\r\n\t";
    char c = in->at[0];
    *in = str_skip(*in, 1);
    if (c == 'x' && in->len >= 2) {
        c = (char)(hex(in->at[0]) << 4 | hex(in->at[1]));
        *in = str_skip(*in, 2);
        return c;
    }
    const char *at = strchr(from, c);
    return at && c ? to[at - from] : c;
}

/* `number` replaces '%', unless it is 0. */
static void unescape(struct str in, unsigned number, struct buffer *out)
{
    while (in.len) {
        char c = in.at[0];
        in = str_skip(in, 1);
        if (c == '%' && number)
            buffer_printf(out, "%u", number);
        else if (c == '\\' && in.len)
            buffer_putc(out, take_escape(&in));
        else
            buffer_putc(out, c);
    }
}

static struct str keep(struct script *s, struct str in, unsigned times, bool numbered, bool crlf)
{
    struct buffer b;
    buffer_init(&b, 8 << 20);
    for (unsigned i = 1; i <= times; i++) {
        unescape(in, numbered ? i : 0, &b);
        if (crlf)
            buffer_puts(&b, "\r\n");
    }
    must(!b.full);
    struct str kept = arena_copy(&s->arena, buffer_str(&b));
    must(kept.at);
    buffer_drop(&b);
    return kept;
}

static struct step *add_step(struct script *s, enum step_kind kind, struct str bytes, unsigned line)
{
    must(s->session_count && s->step_count < SCRIPT_STEPS);
    struct step *step = &s->steps[s->step_count++];
    *step = (struct step){kind, bytes, 1, line};
    s->sessions[s->session_count - 1].step_count++;
    return step;
}

static void start_session(struct script *s, struct str name)
{
    must(s->session_count < SCRIPT_SESSIONS);
    s->sessions[s->session_count++] = (struct session){
        .name = name,
        .settings = {.hostname = STR("gate.example"),
                     .message_bytes_max = 100000,
                     .recipients_max = 100,
                     .errors_max = 20,
                     .future_max_s = 604800,
                     .service = SMTP_RELAY,
                     .mechanisms = 1 << SASL_PLAIN | 1 << SASL_LOGIN,
                     .auth_failures_max = 3},
        .cut = true,
        .steps = s->steps + s->step_count,
    };
}

static bool set(struct session *n, struct str key, struct str value)
{
    uint64_t number = 0;
    bool is_number = str_number(value, UINT32_MAX, &number);
    if (str_eq(key, STR("service"))) {
        n->secure = str_eq(value, STR("submissions"));
        n->settings.service = n->secure                          ? SMTP_SUBMISSIONS
                              : str_eq(value, STR("submission")) ? SMTP_SUBMISSION
                                                                 : SMTP_RELAY;
        n->settings.tls_offered = n->settings.service != SMTP_RELAY;
    } else if (str_eq(key, STR("size")) && is_number) {
        n->settings.message_bytes_max = number;
    } else if (str_eq(key, STR("rcpts")) && is_number) {
        n->settings.recipients_max = (uint32_t)number;
    } else if (str_eq(key, STR("errors")) && is_number) {
        n->settings.errors_max = (uint32_t)number;
    } else if (str_eq(key, STR("scram"))) {
        n->settings.mechanisms |= 1 << SASL_SCRAM_SHA_256;
    } else if (str_eq(key, STR("tls"))) {
        n->settings.tls_offered = str_eq(value, STR("on"));
    } else if (str_eq(key, STR("cut"))) {
        n->cut = str_eq(value, STR("on"));
    } else {
        return false;
    }
    return true;
}

static bool read_mail(struct script *s, struct str rest)
{
    struct session *n = &s->sessions[s->session_count - 1];
    must(n->mail_count < countof(n->mails));
    struct wanted_mail *m = &n->mails[n->mail_count++];
    m->sender = str_word(&rest);
    if (str_eq(m->sender, STR("-")))
        m->sender = STR("");
    m->recipients = str_word(&rest);
    rest = str_trim(rest);
    if (rest.len)
        m->body = keep(s, rest, 1, false, false);
    return m->recipients.len > 0;
}

/* "C* 40 text": the number and the text. */
static unsigned take_count(struct str *rest)
{
    uint64_t count;
    if (!str_number(str_cut(rest, ' '), UINT32_MAX, &count))
        return 0;
    return (unsigned)count;
}

/* "C: text", "S* 3 text" and the like. */
static bool read_talk(struct script *s, char who, char how, struct str rest, unsigned number)
{
    unsigned count = how == '*' || how == '#' ? take_count(&rest) : 1;
    if (!count || (who != 'C' && who != 'S') || !(how && strchr("*#|:", how)))
        return false;
    if (who == 'S')
        add_step(s, STEP_EXPECT, rest, number)->count = count;
    else
        add_step(s, STEP_SEND, keep(s, rest, count, how == '*', how == '*' || how == ':'), number);
    return true;
}

static bool read_line(struct script *s, struct str line, unsigned number)
{
    struct str rest = str_skip(line, 2);
    if (rest.len && rest.at[0] == ' ')
        rest = str_skip(rest, 1);
    char who = line.len ? line.at[0] : '#', how = line.len > 1 ? line.at[1] : '\0';
    if (who == '#')
        return true;
    if (str_starts(line, STR("== "))) {
        start_session(s, rest);
        return true;
    }
    if (!s->session_count)
        return false;
    if (str_starts(line, STR("set "))) {
        struct str value = str_skip(line, 4), key = str_cut(&value, ' ');
        return set(&s->sessions[s->session_count - 1], key, value);
    }
    if (who == 'M')
        return read_mail(s, rest);
    if (who != 'E' && who != 'T' && who != 'X')
        return read_talk(s, who, how, rest, number);
    enum step_kind kind = who == 'T' ? STEP_TLS : STEP_CLOSED;
    if (who == 'E')
        kind = how == '!' ? STEP_WITHOUT : STEP_WHOLE;
    add_step(s, kind, who == 'E' ? rest : STR(""), number);
    return how == ':' || kind == STEP_WITHOUT;
}

bool script_read(struct script *s, struct str text)
{
    s->step_count = s->session_count = 0;
    arena_init(&s->arena, 64 << 20);
    for (unsigned number = 1; text.len; number++) {
        struct str line = str_cut(&text, '\n');
        if (!read_line(s, line, number)) {
            (void)fprintf(stderr, "line %u is not understood: %.*s\n", number, STR_ARG(line));
            return false;
        }
    }
    return true;
}
