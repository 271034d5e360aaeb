#include "core/coordinator/request.h"

#include "core/coordinator/row.h"
#include "tests/unit/harness.h"

/* Every request of the control socket, good and bad; what is said is for people. */
static void test_parse(void)
{
    static const struct {
        const char *line, *error; /* NULL: good */
    } rows[] = {
        {"{\"verb\":\"status\"}", NULL},
        {"{\"verb\":\"list\",\"filter\":\"from:a@b\",\"all\":true}", NULL},
        {" {\"verb\":\"show\",\"id\":\"0000000000001\"} ", NULL},
        {"{\"verb\":\"show\"}", "show needs the argument 'id'"},
        {"{\"verb\":\"show\",\"id\":\"\"}", "show needs the argument 'id'"},
        {"{\"verb\":\"show\",\"id\":7}", "neither text nor a flag"},
        {"{\"verb\":\"show\",\"id\":[\"x\"]}", "neither text nor a flag"},
        {"{\"verb\":\"show\",\"id\":\"x\",\"all\":true}", "show has no argument 'all'"},
        {"{\"verb\":\"show\",\"id\":\"x\",\"id\":\"y\"}", "not a JSON object"},
        {"{\"verb\":\"nuke\"}", "unknown verb 'nuke'"},
        {"{\"verb\":7}", "unknown verb ''"},
        {"{}", "unknown verb ''"},
        {"", "not a JSON object"},
        {"null", "not a JSON object"},
        {"[]", "not a JSON object"},
        {"{\"verb\":\"status\"", "not a JSON object"},
        {"{\"verb\":\"status\"}{}", "not a JSON object"},
        {"{\"verb\":\"stat\\u0000us\"}", "not a JSON object"},
        {"GET / HTTP/1.1", "not a JSON object"},
        {"{\"verb\":\"\xff\"}", "not a JSON object"},
    };

    for (size_t i = 0; i < countof(rows); i++) {
        struct request r;
        struct buffer error;
        buffer_init(&error, 4096);
        bool good = request_parse(str_c(rows[i].line), &r, &error);
        expect(good == !rows[i].error, "%s", rows[i].line);
        if (rows[i].error)
            expect(str_find_str(buffer_str(&error), str_c(rows[i].error)) != SIZE_MAX, "%s: %.*s",
                   rows[i].line, STR_ARG(buffer_str(&error)));
        request_drop(&r);
        buffer_drop(&error);
    }
}

/* A bomb of brackets or commas becomes neither memory nor stack. */
static void test_bombs(void)
{
    static const char *const pieces[] = {"[", "{\"a\":", "0,", "[],"};
    for (size_t i = 0; i < countof(pieces); i++) {
        struct buffer line;
        struct buffer error;
        struct request r;
        buffer_init(&line, 8 << 20);
        buffer_init(&error, 4096);
        buffer_puts(&line, "{\"verb\":[");
        while (line.len < 4 << 20)
            buffer_puts(&line, pieces[i]);
        expect(!request_parse(buffer_str(&line), &r, &error), "%s", pieces[i]);
        buffer_drop(&line);
        buffer_drop(&error);
    }
}

/* INJ-01, INJ-05: whatever a value holds, its row is one line of valid JSON. */
static void test_writer(void)
{
    static const struct {
        const char *in, *out;
    } rows[] = {
        {"plain", "\"plain\""},
        {"a\"b\\c", "\"a\\\"b\\\\c\""},
        {"a\r\nBcc: x@ext.example", "\"a\\u000d\\nBcc: x@ext.example\""},
        {"\x1b[2J", "\"\\u001b[2J\""},
        {"\xe8\xa6\x8b", "\"\xe8\xa6\x8b\""},
        {"\xe8\xa6", "\"\xef\xbf\xbd\xef\xbf\xbd\""},
        {"\xff\xfe", "\"\xef\xbf\xbd\xef\xbf\xbd\""},
        {"\xe2\x80\xa8", "\"\\u2028\""},
        {"\xc2\x85", "\"\\u0085\""},
        {"%s%n%x", "\"%s%n%x\""},
    };

    for (size_t i = 0; i < countof(rows); i++) {
        struct buffer out;
        buffer_init(&out, 4096);
        struct js_writer w = js_writer(&out);
        js_str(&w, NULL, str_c(rows[i].in));
        expect_str(buffer_str(&out), str_c(rows[i].out), rows[i].in);
        buffer_drop(&out);
    }
}

/* sandbox.md, to the letter. */
static void test_row(void)
{
    static const uint64_t NOW = 1795495126123; /* 2026-11-24T04:38:46.123Z */
    static const char list[] =
        "{\"id\":\"0000000000001\",\"state\":\"waiting\",\"sender\":\"alice@int.example\","
        "\"recipients\":[{\"address\":\"bob@ext.example\",\"class\":\"external\",\"state\":"
        "\"waiting\",\"release_at\":\"2026-11-24T04:43:46.123Z\",\"form\":\"plain\",\"rule\":"
        "\"defaults\"}],\"accepted_at\":\"2026-11-24T04:38:46.123Z\",\"release_at\":"
        "\"2026-11-24T04:43:46.123Z\",\"size\":1234,\"subject\":\"お見積\"}";
    struct message *m = message_make(65536);
    m->id = 1;
    m->accepted_ms = NOW;
    m->sender = STR("alice@int.example");
    m->subject = STR("お見積");
    m->body_bytes = 1234;
    m->recipient_count = 1;
    m->recipients = arena_take(&m->arena, sizeof *m->recipients);
    m->recipients[0] = (struct recipient){.address = STR("bob@ext.example"),
                                          .class = CLASS_EXTERNAL,
                                          .release_ms = NOW + 300000,
                                          .due_ms = NOW + 300000};
    const struct now now = {NOW, 0, 0};
    const struct now ahead = {NOW + 60000, 0, 0};
    struct buffer out;
    buffer_init(&out, 65536);
    struct js_writer w = js_writer(&out);
    js_begin(&w, NULL, '{');
    row_message(&w, m, ROW_LIST, NOW, &now);
    js_end(&w, '}');
    expect_str(buffer_str(&out), str_c(list), "list");
    buffer_clear(&out);
    w = js_writer(&out);
    js_begin(&w, NULL, '{');
    row_message(&w, m, ROW_EXPLAIN, NOW, &ahead); /* the wall clock is a minute past adopted time */
    js_end(&w, '}');
    expect(str_find_str(buffer_str(&out), STR("\"release_at\":\"2026-11-24T04:44:46.123Z\"")) !=
               SIZE_MAX,
           "%.*s", STR_ARG(buffer_str(&out)));
    expect(str_find_str(buffer_str(&out), STR("\"why\":\"held until 2026-11-24T04:44:46.123Z by "
                                              "rule 'defaults'")) != SIZE_MAX,
           "%.*s", STR_ARG(buffer_str(&out)));
    buffer_drop(&out);
    message_drop(&m);
}

int main(void)
{
    const struct test tests[] = {{"requests", test_parse},
                                 {"bombs", test_bombs},
                                 {"INJ-01 INJ-05 INJ-06: writer", test_writer},
                                 {"rows", test_row},
                                 {0}};
    return harness_run("request", tests);
}
