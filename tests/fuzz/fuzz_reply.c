/* The reader of replies against a model that sees the whole conversation and asks regular
 * expressions; and however it is cut, the same comes out. */
#include "tests/fuzz/fuzz.h"

#include "core/mail/reply.h"

#include <regex.h>
#include <stdio.h>

enum {
    MAX_BYTES = 1 << 20,
    TEXT_BYTES = LIMIT_REPLY_LINE_BYTES - 2
};

/* ---- what the parser says */

static void drive(struct fuzz f, struct buffer *seen)
{
    struct reply_parser p;
    reply_parser_init(&p);
    struct str piece;
    while (fuzz_piece(&f, &piece)) {
        enum reply_status status;
        while ((status = reply_parser_feed(&p, &piece)) != REPLY_MORE && status != REPLY_BAD) {
            buffer_printf(seen, "%u %.*s|", (unsigned)status, STR_ARG(p.line));
            if (status == REPLY_DONE)
                reply_seen_write(&p.seen, seen);
            must(p.seen.code >= 200 && p.seen.code < 600);
            must(p.seen.text_len <= REPLY_TEXT_BYTES);
        }
        if (status == REPLY_BAD)
            buffer_puts(seen, "!"); /* and stays bad */
        must(status != REPLY_BAD || p.broken);
        if (p.broken)
            break;
    }
    heap_drop(f.piece);
}

/* ---- what the model says */

static regex_t line_form, enhanced_form;

static void compile(void)
{
    static bool done;
    int flags = REG_EXTENDED;
    if (!done)
        must(!regcomp(&line_form, "^([2-5][0-5][0-9])(([ -])(.*))?$", flags) &&
             !regcomp(&enhanced_form, "^([0-9]{1,3})\\.([0-9]{1,3})\\.([0-9]{1,3})( (.*))?$",
                      flags));
    done = true;
}

static struct str group_of(const char *text, const regmatch_t *m)
{
    return m->rm_so < 0 ? STR("") : str_from(text + m->rm_so, (size_t)(m->rm_eo - m->rm_so));
}

static unsigned number_of(const char *text, const regmatch_t *m)
{
    uint64_t n = 0;
    must(str_number(group_of(text, m), 999, &n));
    return (unsigned)n;
}

struct model {
    unsigned code, lines, enhanced[3];
    struct buffer text; /* of the reply, escaped */
    bool cut;           /* something did not fit, so nothing more follows */
};

static bool is_faulty(struct str line)
{
    for (size_t i = 0; i < line.len; i++)
        if (line.at[i] == '\r' || line.at[i] == '\n' || line.at[i] == '\0')
            return true;
    return line.len > TEXT_BYTES;
}

static void put_unit(struct model *m, struct str unit)
{
    m->cut |= m->text.len + unit.len > REPLY_TEXT_BYTES;
    if (!m->cut)
        buffer_put(&m->text, unit);
}

static void put_escaped(struct model *m, struct str text)
{
    if (m->text.len && text.len)
        put_unit(m, STR(" "));
    for (size_t i = 0; i < text.len; i++) {
        char hex[8];
        (void)snprintf(hex, sizeof hex, "\\x%02x", (unsigned)(unsigned char)text.at[i]);
        bool plain = text.at[i] >= ' ' && text.at[i] <= '~';
        put_unit(m, plain ? str_from(text.at + i, 1) : str_c(hex));
    }
}

/* The enhanced code of the first line is the reply's; where a line repeats it, it is taken off. */
static struct str strip_enhanced(struct model *m, struct str text)
{
    regmatch_t g[6];
    if (regexec(&enhanced_form, text.at, countof(g), g, 0) != 0 ||
        number_of(text.at, &g[1]) != m->code / 100)
        return text;
    unsigned code[3];
    for (unsigned i = 0; i < 3; i++)
        code[i] = number_of(text.at, &g[i + 1]);
    if (m->lines == 0)
        memcpy(m->enhanced, code, sizeof code);
    return memcmp(m->enhanced, code, sizeof code) == 0 ? group_of(text.at, &g[5]) : text;
}

/* `line` ends with NUL. False: no reply line, or not of this reply. */
static bool model_line(struct model *m, const char *line, struct buffer *out)
{
    regmatch_t g[5];
    if (regexec(&line_form, line, countof(g), g, 0) != 0)
        return false;
    unsigned code = number_of(line, &g[1]);
    if (m->lines == 0) {
        buffer_clear(&m->text);
        m->code = code;
        m->cut = false;
        memset(m->enhanced, 0, sizeof m->enhanced);
    }
    if (code != m->code || m->lines == LIMIT_REPLY_LINES)
        return false;
    struct str text = group_of(line, &g[4]);
    bool more = str_eq(group_of(line, &g[3]), STR("-"));
    put_escaped(m, strip_enhanced(m, text));
    m->lines = more ? m->lines + 1 : 0;
    buffer_printf(out, "%d %.*s|", more ? REPLY_LINE : REPLY_DONE, STR_ARG(text));
    if (more)
        return true;
    buffer_printf(out, "%u ", m->code);
    if (m->enhanced[0])
        buffer_printf(out, "%u.%u.%u ", m->enhanced[0], m->enhanced[1], m->enhanced[2]);
    buffer_put(out, buffer_str(&m->text));
    return true;
}

static void model(struct str rest, struct buffer *out)
{
    struct model m = {.lines = 0};
    buffer_init(&m.text, MAX_BYTES);
    bool good = true, ended = true;
    while (good && rest.len) {
        size_t crlf = str_find_str(rest, STR("\r\n"));
        struct str line = str_head(rest, crlf);
        ended = crlf != SIZE_MAX;
        if (!ended && line.at[line.len - 1] == '\r')
            line.len--; /* what follows it is not known yet */
        rest = str_skip(rest, ended ? crlf + 2 : rest.len);
        char *text = heap_take(line.len + 1);
        memcpy(text, line.at, line.len);
        text[line.len] = '\0';
        good = !is_faulty(line) && (!ended || model_line(&m, text, out));
        heap_drop(text);
    }
    if (!good)
        buffer_puts(out, "!");
    buffer_drop(&m.text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct fuzz f = fuzz_start(data, size), whole = f;
    whole.first = 0;
    whole.step = SIZE_MAX;
    struct buffer a, b, want;
    buffer_init(&a, MAX_BYTES);
    buffer_init(&b, MAX_BYTES);
    buffer_init(&want, MAX_BYTES);
    compile();
    drive(f, &a);
    drive(whole, &b);
    model(f.whole, &want);
    must(fuzz_same(&a, &b));
    must(fuzz_same(&a, &want));
    buffer_drop(&a);
    buffer_drop(&b);
    buffer_drop(&want);
    return 0;
}
