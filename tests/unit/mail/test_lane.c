#include "core/mail/lane.h"

#include "tests/unit/harness.h"

/* Frozen: the numbers stand on disks. */
static const struct {
    const char *organisation, *sender, *domain;
    uint32_t want;
} rows[] = {
    {"demo", "a@int.example", "ext.example", 0xf277f},
    {"demo", "b@int.example", "ext.example", 0xf237f},
    {"demo", "a@int.example", "other.example", 0xf27ca},
    {"", "", "", 0x649292},
};

static void test_frozen(void)
{
    for (size_t i = 0; i < countof(rows); i++) {
        uint32_t lane =
            lane_make(str_c(rows[i].organisation), str_c(rows[i].sender), str_c(rows[i].domain));
        expect(lane == rows[i].want, "row %zu: 0x%x", i, lane);
    }
}

/* A thousand names are spread over all numbers, and no part leaks into another. */
static void test_spread(void)
{
    static uint8_t seen[LANE_ORGANISATIONS];
    unsigned used = 0;
    for (unsigned i = 0; i < 4 * LANE_ORGANISATIONS; i++) {
        char name[32];
        (void)snprintf(name, sizeof name, "organisation-%u", i);
        uint32_t lane = lane_make(str_c(name), STR("a@b"), STR("c"));
        expect(lane && lane >> LANE_BITS == 0, "0x%x", lane);
        expect(lane % (LANE_SENDERS * LANE_DOMAINS) ==
                   lane_make(STR(""), STR("a@b"), STR("c")) % (LANE_SENDERS * LANE_DOMAINS),
               "%s", name);
        used += !seen[lane_organisation(lane)];
        seen[lane_organisation(lane)] = 1;
    }
    expect(used > LANE_ORGANISATIONS * 9 / 10, "%u used", used);
}

static void test_message(void)
{
    struct recipient to[] = {{.address = STR("\"x@y\"@ext.example")},
                             {.address = STR("a@b.example")}};
    struct message m = {.organisation = STR("demo"),
                        .sender = STR("a@int.example"),
                        .recipients = to,
                        .recipient_count = 2};
    expect(lane_of(&m) == lane_make(STR("demo"), STR("a@int.example"), STR("ext.example")),
           "first");
    m.recipient_count = 0;
    expect(lane_of(&m) == lane_make(STR("demo"), STR("a@int.example"), STR("")), "nobody");
}

int main(void)
{
    const struct test tests[] = {{"frozen", test_frozen},
                                 {"spread", test_spread},
                                 {"message", test_message},
                                 {0}};
    return harness_run("lane", tests);
}
