#include "shards/inspect.h"

#include "tests/unit/harness.h"

static const struct inspect_limits limits = {.bytes = 1000,
                                             .expanded = 2000,
                                             .text = 10,
                                             .members = 2,
                                             .depth = 2,
                                             .ratio = 5,
                                             .time_ms = 9};

/* ---- what the extractor says; a row is built from short words:
 *   m0  member 0 (the file)    m1, m2, m3: in it   d: one deeper than is allowed   o: out of order
 *   t   5 bytes of text of 0   x: text of a member that is not there
 *   e   member 0 is encrypted  u: it is unreadable
 *   R, E, U  verdicts that go with it    L: READABLE with the wrong flags */

static void put_word(struct buffer *out, char word, uint32_t flags)
{
    struct inspect_member m = {.bytes = 7,
                               .name = STR("a/\xE7\xA4\xBE"),
                               .type = STR("text/plain")};
    struct inspect_text t = {.charset = STR("utf-8"), .bytes = STR("hello")};
    struct inspect_flagged f = {.detail = STR("why")};
    struct inspect_end e = {.flags = flags, .detail = STR("all")};
    switch (word) {
    case 'd':
        m.depth = 3;
        m.index = 1;
        inspect_put_member(out, &m);
        break;
    case 'o':
        m.index = 5;
        inspect_put_member(out, &m);
        break;
    case 't':
    case 'x':
        t.member = word == 'x' ? 7 : 0;
        inspect_put_text(out, &t);
        break;
    case 'e':
    case 'u':
        f.flags = word == 'e' ? INSPECT_IS_ENCRYPTED : INSPECT_IS_UNREADABLE;
        f.reason = word == 'e' ? INSPECT_REASON_NONE : INSPECT_REASON_DAMAGED;
        inspect_put_flag(out, &f);
        break;
    case 'L':
        e.flags ^= INSPECT_HIDDEN_DATA;
        inspect_put_verdict(out, &e);
        break;
    case 'R':
    case 'E':
    case 'U':
        e.verdict = word == 'R'   ? INSPECT_READABLE
                    : word == 'E' ? INSPECT_ENCRYPTED
                                  : INSPECT_UNREADABLE;
        e.reason = word == 'U' ? INSPECT_REASON_DAMAGED : INSPECT_REASON_NONE;
        inspect_put_verdict(out, &e);
        break;
    case 'B':
        inspect_put_end(out); /* what only workers say */
        break;
    default: /* 0 .. 9 */
        m.index = (uint32_t)(word - '0');
        m.depth = m.index ? 1 : 0;
        inspect_put_member(out, &m);
    }
}

static const struct {
    const char *name, *says, *want;
} rows[] = {
    {"a file that is read", "0ttR", "MTTV"},
    {"a container", "01t2tR", "MMTMTV"},
    {"encrypted", "0eE", "MFV"},
    {"unreadable", "0uU", "MFV"},
    {"unreadable beats encrypted", "0ueU", "MFFV"},
    {"unreadable without a member: it had no memory", "U", "V"},
    {"readable, but a member is not", "0uR", "MF!"},
    {"encrypted, but a member is unreadable", "0uE", "MF!"},
    {"readable, but a member is encrypted", "0eR", "MF!"},
    {"readable, and nothing was told", "R", "!"},
    {"flags that do not add up", "0L", "M!"},
    {"text of nothing", "t", "!"},
    {"text of another member", "0x", "M!"},
    {"more text than was allowed", "0ttt", "MTT!"},
    {"more members than were allowed", "0123", "MMM!"},
    {"deeper than was allowed", "0d", "M!"},
    {"members out of order", "0o", "M!"},
    {"the file twice", "00", "M!"},
    {"two verdicts", "0RR", "MV!"},
    {"something behind the verdict", "0R0", "MV!"},
    {"what only workers say", "0B", "M!"},
    {"nothing", "", ""},
};

static void put_event(struct buffer *out, enum inspect_event event)
{
    static const char letters[] = "?BDEMTFV!";
    buffer_putc(out, letters[event]);
}

static void read_all(struct inspect_reader *r, struct str said, size_t split, struct buffer *got)
{
    struct str piece;
    size_t at = 0;
    while (harness_piece(said, split, &at, &piece) && !r->why) {
        enum inspect_event event;
        while ((event = inspect_feed(r, &piece)) != INSPECT_MORE) {
            put_event(got, event);
            if (event == INSPECT_MEMBER)
                expect_str(r->member.name, STR("a/\xE7\xA4\xBE"), "its name");
            if (event == INSPECT_TEXT)
                expect_str(r->piece.bytes, STR("hello"), "its text");
            if (event == INSPECT_BROKEN)
                break;
        }
    }
}

static void test_answers(void)
{
    for (size_t i = 0; i < countof(rows); i++) {
        struct buffer said;
        uint32_t flags = 0;
        buffer_init(&said, 1 << 16);
        for (const char *w = rows[i].says; *w; w++) {
            flags |= *w == 'e' ? INSPECT_IS_ENCRYPTED : *w == 'u' ? INSPECT_IS_UNREADABLE : 0;
            put_word(&said, *w, flags);
        }
        for (size_t split = 0; split <= said.len; split++) {
            struct inspect_reader r;
            struct buffer got;
            buffer_init(&got, 1000);
            inspect_reader_init_answer(&r, &limits);
            read_all(&r, buffer_str(&said), split, &got);
            expect(str_eq(buffer_str(&got), str_c(rows[i].want)), "%s, split %zu: got %.*s, why %s",
                   rows[i].name, split, STR_ARG(buffer_str(&got)), r.why ? r.why : "");
            inspect_reader_drop(&r);
            buffer_drop(&got);
        }
        buffer_drop(&said);
    }
}

static void test_request(void)
{
    struct inspect_request q = {.limits = limits,
                                .names = {STR("a.zip"), STR("b")},
                                .name_count = 2,
                                .type = STR("application/zip")};
    struct buffer said;
    buffer_init(&said, 1 << 16);
    inspect_put_begin(&said, &q);
    inspect_put_data(&said, STR("hello"));
    inspect_put_end(&said);
    for (size_t split = 0; split <= said.len; split++) {
        struct inspect_reader r;
        struct buffer got;
        buffer_init(&got, 1000);
        inspect_reader_init_request(&r);
        read_all(&r, buffer_str(&said), split, &got);
        expect_str(buffer_str(&got), STR("BDE"), "a request");
        expect(memcmp(&r.request.limits, &limits, sizeof limits) == 0, "split %zu: limits", split);
        expect(r.request.name_count == 2, "split %zu: names", split);
        inspect_reader_drop(&r);
        buffer_drop(&got);
    }
    buffer_drop(&said);
}

static const struct {
    const char *name;
    struct str in;
} bad_requests[] = {
    {"data first", STR_INIT("D\0\0\0\1x")},
    {"a length beyond all reason", STR_INIT("B\xFF\xFF\xFF\xFF")},
    {"an empty begin", STR_INIT("B\0\0\0\0")},
    {"another protocol", STR_INIT("GET / HTTP/1.0\r\n\r\n")},
    {"a message of the extractor", STR_INIT("V\0\0\0\0")},
};

static void test_bad_requests(void)
{
    for (size_t i = 0; i < countof(bad_requests); i++) {
        struct inspect_reader r;
        struct str in = bad_requests[i].in;
        inspect_reader_init_request(&r);
        expect(inspect_feed(&r, &in) == INSPECT_BROKEN && r.why, "%s", bad_requests[i].name);
        expect(inspect_feed(&r, &in) == INSPECT_BROKEN, "%s, again", bad_requests[i].name);
        inspect_reader_drop(&r);
    }
}

/* What is too long for its field is cut, and what is written can be read. */
static void test_long_fields(void)
{
    struct inspect_reader r;
    struct buffer said, long_name;
    buffer_init(&said, 1 << 20);
    buffer_init(&long_name, 1 << 20);
    buffer_fill(&long_name, 'n', 100000);
    struct inspect_member m = {.name = buffer_str(&long_name), .type = buffer_str(&long_name)};
    inspect_put_member(&said, &m);
    struct str in = buffer_str(&said);
    inspect_reader_init_answer(&r, &limits);
    expect(inspect_feed(&r, &in) == INSPECT_MEMBER, "why %s", r.why ? r.why : "");
    expect(r.member.name.len == INSPECT_NAME_BYTES && r.member.flags & INSPECT_NAME_CUT, "cut");
    expect(r.member.type.len == INSPECT_TYPE_BYTES, "type");
    inspect_reader_drop(&r);
    buffer_drop(&said);
    buffer_drop(&long_name);
}

int main(void)
{
    const struct test tests[] = {{"what the extractor says", test_answers},
                                 {"what a worker says", test_request},
                                 {"what is no request", test_bad_requests},
                                 {"long fields", test_long_fields},
                                 {0}};
    return harness_run("inspect", tests);
}
