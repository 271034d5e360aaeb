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

/* Like CU_ASSERT, and prints the reason when it fails. */
#define expect(condition, ...)                                                            \
    do {                                                                                  \
        bool expect_ok = (condition);                                                     \
        if (!expect_ok) {                                                                 \
            (void)fprintf(stderr, "\n%s:%d: %s: ", __FILE__, __LINE__, #condition);       \
            (void)fprintf(stderr, __VA_ARGS__);                                           \
            (void)fputc('\n', stderr);                                                    \
        }                                                                                 \
        CU_assertImplementation(expect_ok, __LINE__, #condition, __FILE__, "", CU_FALSE); \
    } while (0)

#define expect_str(got, want, name)                                                        \
    do {                                                                                   \
        struct str expect_got = (got), expect_want = (want);                               \
        expect(str_eq(expect_got, expect_want), "%s: got \"%.*s\", want \"%.*s\"", (name), \
               STR_ARG(expect_got), STR_ARG(expect_want));                                 \
    } while (0)

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
