#include "shards/dovecot.h"

#include "core/base/base.h"
#include "core/base/base64.h"

void dovecot_init(struct dovecot *d)
{
    *d = (struct dovecot){.why = ""};
    buffer_init(&d->line, DOVECOT_LINE_BYTES);
    buffer_init(&d->text, DOVECOT_LINE_BYTES);
}

void dovecot_drop(struct dovecot *d)
{
    sasl_wipe(&d->line);
    sasl_wipe(&d->text);
}

/* ---- what we say */

void dovecot_hello(uint32_t number, struct buffer *out)
{
    buffer_printf(out, "VERSION\t1\t1\nCPID\t%u\n", number);
}

void dovecot_ask(uint32_t id, enum sasl_mechanism m, struct str client, const struct str *response,
                 struct buffer *out)
{
    buffer_printf(out, "AUTH\t%u\t%.*s\tservice=smtp\tsecured", id, STR_ARG(sasl_name(m)));
    if (client.len)
        buffer_printf(out, "\trip=%.*s", STR_ARG(client));
    if (response) {
        buffer_puts(out, "\tresp="); /* always the last field */
        base64_encode(*response, BASE64_PADDED, out);
    }
    buffer_putc(out, '\n');
}

void dovecot_answer(uint32_t id, struct str response, struct buffer *out)
{
    buffer_printf(out, "CONT\t%u\t", id);
    base64_encode(response, BASE64_PADDED, out);
    buffer_putc(out, '\n');
}

void dovecot_cancel(uint32_t id, struct buffer *out)
{
    buffer_printf(out, "CANCEL\t%u\n", id);
}

/* ---- what it says */

static enum dovecot_event broken(struct dovecot *d, const char *why)
{
    d->broken = true;
    d->why = why;
    return DOVECOT_BROKEN;
}

static bool unescape(struct str field, struct buffer *out)
{
    buffer_clear(out);
    for (size_t i = 0; i < field.len; i++) {
        char c = field.at[i];
        if (c == 1) {
            if (++i == field.len)
                return false;
            c = field.at[i];
            c = (char)(c == '0' ? 0 : c == '1' ? 1 : c == 't' ? '\t' : c == 'r' ? '\r' : c);
            c = (char)(field.at[i] == 'n' ? '\n' : c);
        }
        buffer_putc(out, c);
    }
    return !out->full;
}

static bool take_user(struct dovecot *d, struct str field)
{
    if (!unescape(field, &d->text) || d->text.len == 0 || d->text.len > SASL_USER_BYTES)
        return false;
    for (size_t i = 0; i < d->text.len; i++)
        if ((unsigned char)d->text.at[i] < ' ' || d->text.at[i] == 0x7F)
            return false;
    return true;
}

static void on_mechanism(struct dovecot *d, struct str name)
{
    for (unsigned m = 0; m < SASL_MECHANISMS; m++)
        if (str_eq_nocase(name, sasl_name((enum sasl_mechanism)m)))
            d->mechanisms |= 1u << m;
}

static enum dovecot_event on_ok(struct dovecot *d, struct str fields)
{
    bool named = false, refused = false;
    while (fields.len) {
        struct str field = str_cut(&fields, '\t');
        if (str_starts(field, STR("user="))) {
            if (named || !take_user(d, str_skip(field, 5)))
                return broken(d, "a user that cannot be one");
            named = true;
        }
        /* accepted, but not to be let in here */
        refused = refused || str_eq(field, STR("nologin")) || str_starts(field, STR("nologin="));
    }
    if (!named)
        return broken(d, "OK without a user");
    return refused ? DOVECOT_FAIL : DOVECOT_OK;
}

static enum dovecot_event on_fail(struct str fields)
{
    while (fields.len) {
        struct str field = str_cut(&fields, '\t');
        if (str_eq(field, STR("temp")) || str_eq(field, STR("code=temp_fail")))
            return DOVECOT_UNAVAILABLE;
    }
    return DOVECOT_FAIL;
}

static enum dovecot_event on_challenge(struct dovecot *d, struct str text)
{
    buffer_clear(&d->text);
    if (!base64_decode(text, BASE64_PADDED, &d->text) || d->text.full)
        return broken(d, "a challenge that is no base64");
    return DOVECOT_CHALLENGE;
}

static enum dovecot_event on_greeting(struct dovecot *d, struct str verb, struct str fields)
{
    if (!d->greeted) {
        d->greeted = true;
        return str_eq(verb, STR("VERSION")) && str_eq(str_cut(&fields, '\t'), STR("1"))
                   ? DOVECOT_MORE
                   : broken(d, "another protocol or version");
    }
    if (str_eq(verb, STR("MECH")))
        on_mechanism(d, str_cut(&fields, '\t'));
    d->ready = str_eq(verb, STR("DONE"));
    return d->ready ? DOVECOT_READY : DOVECOT_MORE; /* SPID, CUID, COOKIE: of no use to us */
}

static enum dovecot_event on_line(struct dovecot *d, struct str line)
{
    struct str fields = line, verb = str_cut(&fields, '\t');
    uint64_t id;
    if (!d->ready)
        return on_greeting(d, verb, fields);
    bool ok = str_eq(verb, STR("OK")), fail = str_eq(verb, STR("FAIL"));
    if (!ok && !fail && !str_eq(verb, STR("CONT")))
        return DOVECOT_MORE; /* what later minor versions may say */
    if (!str_number(str_cut(&fields, '\t'), UINT32_MAX, &id))
        return broken(d, "an id that is no number");
    d->id = (uint32_t)id;
    return ok ? on_ok(d, fields) : fail ? on_fail(fields) : on_challenge(d, fields);
}

enum dovecot_event dovecot_feed(struct dovecot *d, struct str *in)
{
    enum dovecot_event event = d->broken ? DOVECOT_BROKEN : DOVECOT_MORE;
    while (event == DOVECOT_MORE && in->len) {
        size_t end = str_find(*in, '\n');
        buffer_put(&d->line, str_head(*in, end));
        *in = str_skip(*in, end == SIZE_MAX ? in->len : end + 1);
        if (d->line.full)
            return broken(d, "a line that is too long");
        if (end == SIZE_MAX)
            break;
        event = on_line(d, buffer_str(&d->line));
        buffer_clear(&d->line);
    }
    return event;
}
