#include "core/mail/stage.h"

#include "tests/unit/harness.h"

/* Written by hand from what the product says, not from stage.def. A letter stands where the move is
 * legal; columns are in the order of the rows.
 *   - nothing leaves Delivered, Bounced, Discarded;
 *   - Delivered comes after Sending only: the attempt was synced before a byte went out;
 *   - Discarded never follows Sending: content may be on its way;
 *   - Sending follows only what may be due: a stopped clock or an approver is not gone round;
 *   - nobody holds, or asks about, what is on its way. */
static const char *const matrix[STAGES] = {
    /* WHASRDBX */
    "WHASR.BX", /* waiting */
    "W.....BX", /* held */
    "WH....BX", /* approval */
    "....RDB.", /* sending */
    "WH.SR.BX", /* retry */
    "........", /* delivered */
    "........", /* bounced */
    "........", /* discarded */
};

static void test_moves(void)
{
    for (unsigned from = 0; from < STAGES; from++)
        for (unsigned to = 0; to < STAGES; to++)
            expect(stage_may_follow((enum stage)from, (enum stage)to) == (matrix[from][to] != '.'),
                   "%s -> %s", stage_name((enum stage)from), stage_name((enum stage)to));
    for (unsigned s = 0; s < 300; s++) {
        expect(!stage_may_follow((enum stage)s, STAGES), "from %u to nowhere", s);
        expect(!stage_may_follow(STAGES, (enum stage)s), "from nowhere to %u", s);
        expect(!stage_may_follow((enum stage)(s + 8), STAGE_BOUNCED), "from %u", s + 8);
        expect(!stage_may_follow(STAGE_WAITING, (enum stage)(s + 8)), "to %u", s + 8);
    }
}

/* From every stage a final one can be reached: no mail is stuck for ever. */
static void test_end(void)
{
    for (unsigned from = 0; from < STAGES; from++) {
        unsigned reached = 1u << from;
        for (int step = 0; step < STAGES; step++)
            for (unsigned a = 0; a < STAGES; a++)
                for (unsigned b = 0; b < STAGES; b++)
                    if (reached >> a & 1 && stage_may_follow((enum stage)a, (enum stage)b))
                        reached |= 1u << b;
        expect(reached >> STAGE_DELIVERED, "%u reaches no end", from);
    }
}

/* Numbers are in journals, names in commands: both are frozen. */
static const struct {
    const char *name;
    enum stage stage;
    int number;
    bool is_final, is_timed;
} rows[] = {
    {"waiting", STAGE_WAITING, 0, false, true},   {"held", STAGE_HELD, 1, false, true},
    {"approval", STAGE_APPROVAL, 2, false, true}, {"sending", STAGE_SENDING, 3, false, false},
    {"retry", STAGE_RETRY, 4, false, true},       {"delivered", STAGE_DELIVERED, 5, true, false},
    {"bounced", STAGE_BOUNCED, 6, true, false},   {"discarded", STAGE_DISCARDED, 7, true, false},
};

static void test_kinds(void)
{
    expect(countof(rows) == STAGES, "a row each");
    for (size_t i = 0; i < countof(rows); i++) {
        enum stage s = rows[i].stage, parsed = STAGES;
        expect((int)s == rows[i].number, "%s: %d", rows[i].name, (int)s);
        expect(stage_is_final(s) == rows[i].is_final, "%s", rows[i].name);
        expect(stage_is_timed(s) == rows[i].is_timed, "%s", rows[i].name);
        expect_str(str_c(stage_name(s)), str_c(rows[i].name), "name");
        expect(stage_parse(str_c(rows[i].name), &parsed) && parsed == s, "%s", rows[i].name);
    }
    enum stage s = STAGES;
    expect(stage_parse(STR("HELD"), &s) && s == STAGE_HELD, "either case");
    expect(!stage_parse(STR("due"), &s) && !stage_parse(STR(""), &s), "not a stage");
    expect(!stage_parse(STR("hel"), &s) && !stage_parse(STR("held "), &s), "not a stage");
    expect(!stage_is_final(STAGES) && !stage_is_timed(STAGES), "not a stage");
    expect_str(str_c(stage_name(STAGES)), STR("unknown"), "not a stage");
}

int main(void)
{
    const struct test tests[] = {{"all 64 moves", test_moves},
                                 {"every way ends", test_end},
                                 {"numbers, names, kinds", test_kinds},
                                 {0}};
    return harness_run("stage", tests);
}
