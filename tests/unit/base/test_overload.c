#include "core/base/overload.h"

#include "tests/unit/harness.h"

/* Begins at 10, ends below 5. */
static const struct {
    uint64_t level;
    bool want;
} rows[] = {
    {0, false}, {9, false}, {10, true}, {11, true}, {9, true},  {5, true},
    {4, false}, {5, false}, {9, false}, {10, true}, {0, false},
};

static void test_hysteresis(void)
{
    struct overload o = {0};
    for (size_t i = 0; i < countof(rows); i++) {
        overload_look(&o, OVERLOAD_MEMORY, rows[i].level, 10, 5);
        expect(overload_is(&o, OVERLOAD_MEMORY) == rows[i].want, "row %zu", i);
        expect(!overload_is(&o, OVERLOAD_DISK), "row %zu: another cause", i);
    }
}

static void test_names(void)
{
    for (unsigned c = 0; c < OVERLOAD_CAUSES; c++)
        CU_ASSERT(overload_name((enum overload_cause)c)[0] != '\0');
    expect_str(str_c(overload_name(OVERLOAD_CONNECTIONS)), STR("connections"), "first");
}

int main(void)
{
    const struct test tests[] = {
        {"begins high, ends low", test_hysteresis},
        {"names", test_names},
        {0},
    };
    return harness_run("overload", tests);
}
