/* harness.h -- what every unit test needs around CUnit.
 *
 *   static void test_end(void) { ... expect(ok, "row %s: %d", row->name, got); ... }
 *   int main(void)
 *   {
 *       const struct test tests[] = {{"SMUG-01 .. 13", test_end}, {0}};
 *       return harness_run("body", tests);
 *   }
 *
 * Rows of a table say their name when they fail: use expect(). Stream eaters are fed whole, then
 * split in two at every byte, then byte by byte: harness_piece() makes those splits.
 */
#ifndef TESTS_UNIT_HARNESS_H
#define TESTS_UNIT_HARNESS_H

#include "core/base/buffer.h"

#include <CUnit/Basic.h>
#include <stdio.h>

struct test {
    const char *name;
    void (*run)(void);
};

static inline void harness_expect(bool ok, const char *what, const char *file, int line,
                                  const char *format, ...) PRINTFLIKE(5, 6);

static inline void harness_expect(bool ok, const char *what, const char *file, int line,
                                  const char *format, ...)
{
    if (!ok) {
        va_list args;
        va_start(args, format);
        (void)fprintf(stderr, "\n%s:%d: %s: ", file, line, what);
        (void)vfprintf(stderr, format, args);
        (void)fputc('\n', stderr);
        va_end(args);
    }
    CU_assertImplementation(ok, (unsigned)line, what, file, "", CU_FALSE);
}

static inline void harness_expect_str(struct str got, struct str want, const char *name,
                                      const char *file, int line)
{
    harness_expect(str_eq(got, want), "not the same", file, line, "%s: got \"%.*s\", want \"%.*s\"",
                   name, STR_ARG(got), STR_ARG(want));
}

/* NOLINTBEGIN(readability-identifier-naming) they read like functions, as must() does */

/* Like CU_ASSERT, and prints the reason when it fails. */
#define expect(condition, ...) \
    harness_expect((condition), #condition, __FILE__, __LINE__, __VA_ARGS__)

#define expect_str(got, want, name) harness_expect_str((got), (want), (name), __FILE__, __LINE__)

/* NOLINTEND(readability-identifier-naming) */

/* The bytes of a literal that may hold NULs. */
#define BYTES(literal) STR(literal)

/* Split number `split` of `whole`: 0 is the whole, 1 .. len-1 cut there, len is byte by byte. Call
 * with *at = 0 first; false when nothing is left. */
static inline bool harness_piece(struct str whole, size_t split, size_t *at, struct str *piece)
{
    if (*at >= whole.len)
        return false;
    size_t end = whole.len;
    if (split && split >= whole.len)
        end = *at + 1;
    else if (split && *at < split)
        end = split;
    *piece = str_from(whole.at + *at, end - *at);
    *at = end;
    return true;
}

/* Exit status for main(). `tests` ends with a row without a name. */
static inline int harness_run(const char *name, const struct test *tests)
{
    if (CU_initialize_registry() != CUE_SUCCESS)
        return 2;
    CU_pSuite suite = CU_add_suite(name, NULL, NULL);
    for (; suite && tests->name; tests++)
        if (!CU_add_test(suite, tests->name, tests->run))
            return 2;
    CU_basic_set_mode(CU_BRM_VERBOSE);
    (void)CU_basic_run_tests();
    unsigned failures = CU_get_number_of_failures();
    CU_cleanup_registry();
    return suite && failures == 0 ? 0 : 1;
}

#endif
