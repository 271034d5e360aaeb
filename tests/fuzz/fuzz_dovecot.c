/* What may call itself Dovecot, however it is cut, against a model that has all lines at once; and
 * what we say to it is one line that it cannot misread. */
#include "tests/fuzz/fuzz.h"

#include "shards/dovecot.h"

enum {
    MAX_BYTES = 1 << 20
};

/* ---- what the reader says */

static void put(struct buffer *out, enum dovecot_event event, uint32_t id, struct str text)
{
    buffer_printf(out, "%d", (int)event);
    if (event == DOVECOT_OK || event == DOVECOT_CHALLENGE)
        buffer_put(out, text);
    if (event != DOVECOT_READY && event != DOVECOT_BROKEN)
        buffer_printf(out, "#%u", id);
    buffer_putc(out, '\n');
}

static void drive(struct fuzz f, struct buffer *out)
{
    struct dovecot d;
    struct str piece;
    dovecot_init(&d);
    while (!d.broken && fuzz_piece(&f, &piece)) {
        enum dovecot_event event;
        while ((event = dovecot_feed(&d, &piece)) != DOVECOT_MORE) {
            put(out, event, d.id, buffer_str(&d.text));
            if (event == DOVECOT_BROKEN)
                break;
        }
        must(d.line.len <= DOVECOT_LINE_BYTES && d.broken == (event == DOVECOT_BROKEN));
        must(!d.broken || (*d.why && dovecot_feed(&d, &piece) == DOVECOT_BROKEN));
    }
    heap_drop(f.piece);
    dovecot_drop(&d);
}

/* ---- what the model says */

struct model {
    bool greeted, ready;
    struct str field[DOVECOT_LINE_BYTES + 1];
    size_t fields;
};

static void split(struct model *m, struct str line)
{
    m->fields = 0;
    for (size_t start = 0, i = 0; i <= line.len; i++)
        if (i == line.len || line.at[i] == '\t') {
            m->field[m->fields++] = str_from(line.at + start, i - start);
            start = i + 1;
        }
}

static bool is(struct str field, const char *text)
{
    return str_eq(field, str_c(text));
}

/* A user as Dovecot writes it; false: none that we take. */
static bool model_user(struct str field, struct buffer *user)
{
    static const char letters[] = "01trn", stands_for[] = "\0\1\t\r\n";
    buffer_clear(user);
    for (size_t i = 0; i < field.len; i++) {
        unsigned char c = (unsigned char)field.at[i];
        if (c == 1) {
            if (i + 1 == field.len)
                return false;
            const char *l = strchr(letters, field.at[++i]);
            c = (unsigned char)(l && *l ? stands_for[l - letters] : field.at[i]);
        }
        if (c < ' ' || c == 0x7F)
            return false;
        buffer_putc(user, (char)c);
    }
    return user->len > 0 && user->len <= SASL_USER_BYTES;
}

static enum dovecot_event model_ok(const struct model *m, struct buffer *user)
{
    size_t users = 0;
    bool refused = false, good = true;
    for (size_t i = 2; i < m->fields; i++) {
        refused |= is(m->field[i], "nologin") || str_starts(m->field[i], STR("nologin="));
        if (str_starts(m->field[i], STR("user="))) {
            users++;
            good = good && model_user(str_skip(m->field[i], 5), user);
        }
    }
    return users != 1 || !good ? DOVECOT_BROKEN : refused ? DOVECOT_FAIL : DOVECOT_OK;
}

static enum dovecot_event model_fail(const struct model *m)
{
    for (size_t i = 2; i < m->fields; i++)
        if (is(m->field[i], "temp") || is(m->field[i], "code=temp_fail"))
            return DOVECOT_UNAVAILABLE;
    return DOVECOT_FAIL;
}

/* One spelling for one value: what decodes is what encodes to it. */
static bool model_base64(struct str in, struct buffer *out)
{
    static const char alphabet[] =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    uint32_t bits = 0, have = 0;
    size_t pads = 0;
    buffer_clear(out);
    for (size_t i = 0; i < in.len; i++) {
        const char *at = in.at[i] ? strchr(alphabet, in.at[i]) : NULL;
        if (at ? pads > 0 : in.at[i] != '=')
            return false;
        pads += !at;
        if (!at)
            continue;
        bits = (bits << 6 | (uint32_t)(at - alphabet)) & 0xFFF;
        have += 6;
        if (have >= 8) {
            have -= 8;
            buffer_putc(out, (char)(bits >> have & 0xFF));
        }
    }
    return in.len % 4 == 0 && pads <= 2 && (in.len - pads) % 4 == (pads ? 4 - pads : 0) &&
           (bits & ((1u << have) - 1)) == 0;
}

static enum dovecot_event model_line(struct model *m, struct str line, uint32_t *id,
                                     struct buffer *text)
{
    uint64_t number;
    split(m, line);
    struct str verb = m->field[0], first = m->fields > 1 ? m->field[1] : STR("");
    if (!m->greeted) {
        m->greeted = true;
        return is(verb, "VERSION") && is(first, "1") ? DOVECOT_MORE : DOVECOT_BROKEN;
    }
    if (!m->ready) {
        m->ready = is(verb, "DONE");
        return m->ready ? DOVECOT_READY : DOVECOT_MORE;
    }
    if (!is(verb, "OK") && !is(verb, "FAIL") && !is(verb, "CONT"))
        return DOVECOT_MORE;
    if (!str_number(first, UINT32_MAX, &number))
        return DOVECOT_BROKEN;
    *id = (uint32_t)number;
    if (is(verb, "OK"))
        return model_ok(m, text);
    if (is(verb, "FAIL"))
        return model_fail(m);
    struct str rest = str_skip(line, verb.len + 1 + first.len + 1);
    return model_base64(rest, text) ? DOVECOT_CHALLENGE : DOVECOT_BROKEN;
}

static void model(struct str rest, struct buffer *out)
{
    static struct model m;
    struct buffer text;
    uint32_t id = 0;
    enum dovecot_event event = DOVECOT_MORE;
    m.greeted = m.ready = false;
    buffer_init(&text, MAX_BYTES);
    while (rest.len && event != DOVECOT_BROKEN) {
        size_t end = str_find(rest, '\n');
        struct str line = str_head(rest, end);
        rest = str_skip(rest, end == SIZE_MAX ? rest.len : end + 1);
        if (line.len > DOVECOT_LINE_BYTES)
            event = DOVECOT_BROKEN;
        else if (end == SIZE_MAX)
            break;
        else
            event = model_line(&m, line, &id, &text);
        if (event != DOVECOT_MORE)
            put(out, event, id, buffer_str(&text));
    }
    buffer_drop(&text);
}

/* ---- what we say */

static void check_words(struct str in)
{
    struct buffer out;
    struct str response = str_skip(in, 1);
    buffer_init(&out, MAX_BYTES);
    dovecot_ask(7, SASL_PLAIN, STR("192.0.2.1"), in.len ? &response : NULL, &out);
    dovecot_answer(7, response, &out);
    dovecot_cancel(7, &out);
    size_t lines = 0;
    for (size_t i = 0; i < out.len; i++) {
        lines += out.at[i] == '\n';
        must(out.at[i] == '\n' || out.at[i] == '\t' || (out.at[i] >= ' ' && out.at[i] <= '~'));
    }
    must(lines == 3 && !out.full);
    buffer_drop(&out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct fuzz f = fuzz_start(data, size), whole = f;
    struct buffer a, b, want;
    whole.first = 0;
    whole.step = SIZE_MAX;
    buffer_init(&a, MAX_BYTES);
    buffer_init(&b, MAX_BYTES);
    buffer_init(&want, MAX_BYTES);
    drive(f, &a);
    drive(whole, &b);
    model(f.whole, &want);
    must(fuzz_same(&a, &b));
    must(fuzz_same(&a, &want));
    check_words(f.whole);
    buffer_drop(&a);
    buffer_drop(&b);
    buffer_drop(&want);
    return 0;
}
