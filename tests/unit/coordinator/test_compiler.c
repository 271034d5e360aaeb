#include "tests/unit/harness.h"

#include "core/coordinator/compiler.h"
#include "core/policy/match.h"

#include <errno.h>
#include <poll.h>
#include <sys/wait.h>
#include <time.h>

enum {
    TURNS_MAX = 200000,
};

static const struct compiler_limits plenty = {.cpu_s = 20, .wall_ms = 150000, .memory_mib = 1024};

static void fold(struct str text, struct buffer *out)
{
    buffer_put(out, text);
}

static void add(struct buffer *source, const char *text, bool expression)
{
    const struct match_pattern p = {.text = str_c(text), .expression = expression};
    const char *refused = match_source_add(source, &p, fold);
    expect(!refused, "%s: %s", text, refused);
}

static uint64_t now_ms(void)
{
    struct timespec t;
    (void)clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
}

static enum compiler_state run(struct compiler *c)
{
    enum compiler_state state = COMPILER_BUSY;
    for (int i = 0; i < TURNS_MAX && state == COMPILER_BUSY; i++) {
        struct pollfd wait = {.fd = -1};
        wait.fd = compiler_descriptor(c, &wait.events);
        (void)poll(&wait, 1, 2);
        uint64_t before = now_ms();
        state = compiler_turn(c, before);
        expect(now_ms() - before < 1000, "a turn does not wait");
    }
    return state;
}

static bool no_child(void)
{
    return waitpid(-1, NULL, WNOHANG) < 0 && errno == ECHILD;
}

static void test_built(void)
{
    struct buffer source, reason;
    match_source_init(&source);
    buffer_init(&reason, 200);
    add(&source, "社外秘", false);
    add(&source, "案件[0-9]+", true);
    struct compiler *c = compiler_start(MATCH_COMPILE, buffer_str(&source), &plenty, now_ms());
    expect(run(c) == COMPILER_BUILT, "built: %s", compiler_reason(c));
    struct matcher *m = match_load(compiler_file(c), buffer_str(&source), &reason);
    expect(m && match_patterns(m) == 2, "and it loads");
    match_drop(&m);
    compiler_drop(&c);
    buffer_drop(&source);
    buffer_drop(&reason);
}

static void test_large(void)
{
    struct buffer source, reason;
    match_source_init(&source);
    buffer_init(&reason, 200);
    for (int i = 0; i < 20000; i++) {
        char word[32];
        (void)snprintf(word, sizeof word, "語%d%d", i * 7919 % 10007, i);
        add(&source, word, false);
    }
    struct compiler *c = compiler_start(MATCH_COMPILE, buffer_str(&source), &plenty, now_ms());
    expect(run(c) == COMPILER_BUILT, "built: %s", compiler_reason(c));
    struct matcher *m = match_load(compiler_file(c), buffer_str(&source), &reason);
    expect(m && match_patterns(m) == 20000, "and it loads");
    match_drop(&m);
    compiler_drop(&c);
    buffer_drop(&source);
    buffer_drop(&reason);
}

/* All that are refused are named, in one go. */
static void test_refused(void)
{
    struct buffer source;
    match_source_init(&source);
    add(&source, "good", true);
    add(&source, "(abc)?", true);
    add(&source, "word", false);
    add(&source, "a{1,32767}{1,3}(b|c){1000}", true);
    add(&source, "(", true);
    struct compiler *c = compiler_start(MATCH_COMPILE, buffer_str(&source), &plenty, now_ms());
    uint32_t known, all;
    expect(run(c) == COMPILER_REFUSED, "refused: %s", compiler_reason(c));
    const struct match_refusal *r = compiler_refusals(c, &known, &all);
    expect(known == 3 && all == 3 && r[0].pattern == 1 && r[1].pattern == 3 && r[2].pattern == 4,
           "three");
    expect(strstr(r[0].reason, "empty text") && *r[1].reason && *r[2].reason, "%s, %s, %s",
           r[0].reason, r[1].reason, r[2].reason);
    compiler_drop(&c);
    buffer_drop(&source);
}

/* DOS-07: any of these ends in bounded time, with a reason; here the bounds are small. */
static void bomb(const char *name, const struct buffer *source, struct compiler_limits limits,
                 const char *why)
{
    uint64_t start = now_ms(), bound_ms = 4000 + (uint64_t)limits.wall_ms;
    struct compiler *c = compiler_start(MATCH_COMPILE, buffer_str(source), &limits, start);
    enum compiler_state state = run(c);
    const char *reason = compiler_reason(c);
    uint32_t known, all;
    if (state == COMPILER_REFUSED)
        reason = compiler_refusals(c, &known, &all)[0].reason;
    expect(state == COMPILER_REFUSED || state == COMPILER_FAILED, "%s is not built", name);
    expect(strstr(reason, why) != NULL, "%s: %s", name, reason);
    expect(now_ms() - start < bound_ms, "%s took %ju ms", name, (uintmax_t)(now_ms() - start));
    compiler_drop(&c);
}

static void test_bombs(void)
{
    struct buffer source;
    char text[64];
    match_source_init(&source);
    for (int i = 0; i < 100000; i++) {
        (void)snprintf(text, sizeof text, "kqvqfalogr%d[0-9]{2,10}", i);
        add(&source, text, true);
    }
    bomb("100,000 that resemble each other", &source,
         (struct compiler_limits){.cpu_s = 1, .wall_ms = 150000, .memory_mib = 512},
         "CPU time when it was at pattern");
    bomb("the same, by the clock", &source,
         (struct compiler_limits){.cpu_s = 60, .wall_ms = 500, .memory_mib = 512}, "longer than");
    buffer_drop(&source);

    match_source_init(&source);
    add(&source, "(abc|def).{1,1000}x", true);
    bomb("a huge repeat", &source,
         (struct compiler_limits){.cpu_s = 1, .wall_ms = 150000, .memory_mib = 512},
         "at pattern 1");
    bomb("a huge repeat, and time", &source, plenty, "too large");
    buffer_drop(&source);

    match_source_init(&source);
    for (int i = 0; i < 10000; i++) {
        (void)snprintf(text, sizeof text, "(?i)straße%dкомпания", i);
        add(&source, text, true);
    }
    bomb("unicode and caseless", &source,
         (struct compiler_limits){.cpu_s = 1, .wall_ms = 150000, .memory_mib = 512}, "CPU time");
    buffer_drop(&source);
}

#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
static void test_memory(void)
{
    struct buffer source;
    char text[64];
    match_source_init(&source);
    for (int i = 0; i < 100000; i++) {
        (void)snprintf(text, sizeof text, "語%d%d%d", i, i * 7919 % 10007, i * 31 % 977);
        add(&source, text, false);
    }
    struct compiler_limits limits = {.cpu_s = 60, .wall_ms = 150000, .memory_mib = 48};
    struct compiler *c = compiler_start(MATCH_COMPILE, buffer_str(&source), &limits, now_ms());
    expect(run(c) == COMPILER_FAILED && strstr(compiler_reason(c), "more memory"), "48 MiB: %s",
           compiler_reason(c));
    compiler_drop(&c);
    buffer_drop(&source);
}
#else
static void test_memory(void)
{
    CU_PASS("the address space is not bounded under sanitizers");
}
#endif

/* Other programs in its place: none, one that never answers, one that says anything, one that
 * ends. */
static void test_others(void)
{
    static const struct {
        const char *program, *why;
    } others[] = {
        {"/nonexistent/compile", "could not be started"},
        {"/bin/cat", "could not"}, /* "5" is no file */
        {"/bin/true", "without a result (status 0)"},
        {"/bin/false", "without a result (status 1)"},
        {"/bin/echo", "never may"},
    };
    struct buffer source;
    match_source_init(&source);
    add(&source, "word", false);
    for (size_t i = 0; i < countof(others); i++) {
        struct compiler *c =
            compiler_start(others[i].program, buffer_str(&source), &plenty, now_ms());
        expect(run(c) == COMPILER_FAILED, "%s fails", others[i].program);
        expect(strstr(compiler_reason(c), others[i].why) || i == 1, "%s: %s", others[i].program,
               compiler_reason(c));
        compiler_drop(&c);
    }
    const struct compiler_limits short_one = {.cpu_s = 100, .wall_ms = 200, .memory_mib = 100};
    uint64_t start = now_ms();
    struct compiler *c = compiler_start("/bin/sleep", buffer_str(&source), &short_one, start);
    expect(run(c) == COMPILER_FAILED && strstr(compiler_reason(c), "longer than"), "sleep: %s",
           compiler_reason(c));
    expect(now_ms() - start < 5000, "it is killed");
    compiler_drop(&c);

    c = compiler_start(MATCH_COMPILE, buffer_str(&source), &plenty, now_ms());
    compiler_drop(&c); /* at once */
    expect(no_child(), "no child is left");
    buffer_drop(&source);
}

static void test_report(void)
{
    struct buffer out;
    buffer_init(&out, 4096);
    match_report_put(&out, 'C', 7, STR(""));
    match_report_put(&out, 'R', 7, STR("because\n"));
    match_report_put(&out, 'F', 0, STR("file"));
    match_report_put(&out, 'E', 0, STR(""));
    struct str all = buffer_str(&out);
    for (size_t split = 0; split <= all.len; split++) {
        struct match_report r;
        struct str piece;
        size_t at = 0;
        match_report_init(&r);
        while (harness_piece(all, split, &at, &piece))
            expect(match_report_feed(&r, piece), "split %zu", split);
        expect(match_report_result(&r) == MATCH_REFUSED && r.refusals == 1 && r.at == 7 &&
                   !strcmp(r.refusal[0].reason, "because "),
               "split %zu", split);
        expect_str(buffer_str(&r.file), STR("file"), "file");
        match_report_drop(&r);
    }
    for (size_t cut = 0; cut < all.len; cut++) {
        struct match_report r;
        match_report_init(&r);
        (void)match_report_feed(&r, str_head(all, cut));
        expect(match_report_result(&r) == MATCH_UNBUILT, "cut at %zu", cut);
        match_report_drop(&r);
    }
    static const struct str bad[] = {
        STR_INIT("X\0\0\0\0\0\0\0\0"),
        STR_INIT("R\0\0\0\0\0\0\1\0"),
        STR_INIT("F\0\0\0\0\xff\0\0\0"),
        STR_INIT("C\0\0\0\0\0\0\0\1x"),
        STR_INIT("E\0\0\0\0\0\0\0\0E\0\0\0\0\0\0\0\0"),
        STR_INIT("\0\0\0\0\0\0\0\0\0"),
    };
    for (size_t i = 0; i < countof(bad); i++) {
        struct match_report r;
        match_report_init(&r);
        expect(!match_report_feed(&r, bad[i]) && match_report_result(&r) == MATCH_UNBUILT,
               "bad %zu", i);
        match_report_drop(&r);
    }
    buffer_drop(&out);
}

int main(void)
{
    const struct test tests[] = {{"reports, whole, split and cut", test_report},
                                 {"built", test_built},
                                 {"20,000 words", test_large},
                                 {"refused, all of them", test_refused},
                                 {"DOS-07: bombs", test_bombs},
                                 {"DOS-07: memory", test_memory},
                                 {"other programs", test_others},
                                 {0}};
    return harness_run("compiler", tests);
}
