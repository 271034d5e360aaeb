#include "core/coordinator/filter.h"

#include "tests/unit/harness.h"

static const uint64_t NOW = 1795500000000;
static const uint64_t HOUR = 3600000;

static struct message *sample(void)
{
    struct message *m = message_make(65536);
    m->id = 1;
    m->accepted_ms = NOW - 2 * HOUR;
    m->organisation = STR("demo");
    m->sender = STR("alice@int.example");
    m->subject = STR("お見積 Quote 7");
    m->recipient_count = 2;
    m->recipients = arena_take(&m->arena, 2 * sizeof *m->recipients);
    m->recipients[0] = (struct recipient){.address = STR("bob@ext.example"),
                                          .stage = STAGE_RETRY,
                                          .due_ms = NOW + HOUR};
    m->recipients[1] = (struct recipient){.address = STR("eve@other.example"),
                                          .stage = STAGE_WAITING,
                                          .due_ms = NOW - 1};
    return m;
}

static void test_match(void)
{
    static const struct {
        const char *filter;
        bool matches;
    } rows[] = {
        {"", true},
        {"from:alice@int.example", true},
        {"from:ALICE@INT.example", true},
        {"from:int.example", true},
        {"from:@int.example", true},
        {"from:example", false},
        {"from:nt.example", false},
        {"from:<>", false},
        {"to:bob@ext.example", true},
        {"to:other.example", true},
        {"to:int.example", false},
        {"state:retry", true},
        {"state:due", true},
        {"state:waiting", false},
        {"state:waiting,retry", true},
        {"to:bob@ext.example state:retry", true},
        {"to:bob@ext.example state:due", false},
        {"org:demo", true},
        {"org:other", false},
        {"older:1h", true},
        {"older:3h", false},
        {"younger:3h", true},
        {"younger:1h", false},
        {"subject:quote", true},
        {"subject:見積", true},
        {"subject:\"quote 7\"", true},
        {"subject:quote7", false},
        {"id:0000000000001", true},
        {"id:0000000000002", false},
        {"  from:int.example \t state:retry  ", true},
    };
    struct message *m = sample();
    for (size_t i = 0; i < countof(rows); i++) {
        struct filter f;
        struct buffer error;
        buffer_init(&error, 4096);
        expect(filter_parse(str_c(rows[i].filter), &f, &error), "%s: %.*s", rows[i].filter,
               STR_ARG(buffer_str(&error)));
        expect(filter_matches(&f, m, NOW) == rows[i].matches, "%s", rows[i].filter);
        buffer_drop(&error);
    }
    message_drop(&m);
}

/* Every error says what is allowed. */
static void test_errors(void)
{
    static const struct {
        const char *filter, *says;
    } rows[] = {
        {"form:x", "unknown word 'form'; allowed are from: to:"},
        {"alice@int.example", "unknown word 'alice@int.example'"},
        {"state:holding", "state:'holding' is not held, waiting"},
        {"state:", "state:'' is not held"},
        {"older:soon", "older:'soon' is not a duration: 90s, 30m"},
        {"id:7", "id:'7' is not the 13 letters"},
        {"to:", "to:'' is not an address or a domain"},
        {"from:a@b nonsense", "unknown word 'nonsense'"},
        {"subject:\"open", NULL},
    };

    for (size_t i = 0; i < countof(rows); i++) {
        struct filter f;
        struct buffer error;
        buffer_init(&error, 4096);
        bool good = filter_parse(str_c(rows[i].filter), &f, &error);
        expect(good == !rows[i].says, "%s", rows[i].filter);
        if (rows[i].says)
            expect(str_find_str(buffer_str(&error), str_c(rows[i].says)) != SIZE_MAX, "%s: %.*s",
                   rows[i].filter, STR_ARG(buffer_str(&error)));
        buffer_drop(&error);
    }
}

static void test_message_state(void)
{
    static const struct {
        enum stage first, second;
        const char *state;
    } rows[] = {
        {STAGE_WAITING, STAGE_DELIVERED, "due"},
        {STAGE_HELD, STAGE_WAITING, "held"},
        {STAGE_DELIVERED, STAGE_BOUNCED, "bounced"},
        {STAGE_SENDING, STAGE_DISCARDED, "sending"},
        {STAGE_RETRY, STAGE_SENDING, "retry"},
        {STAGE_DELIVERED, STAGE_DELIVERED, "delivered"},
        {STAGE_APPROVAL, STAGE_HELD, "approval"},
    };
    struct message *m = sample();
    for (size_t i = 0; i < countof(rows); i++) {
        m->recipients[0].stage = rows[i].first;
        m->recipients[1].stage = rows[i].second;
        m->recipients[0].due_ms = rows[i].first == STAGE_RETRY ? NOW + 1 : NOW;
        expect_str(str_c(message_state_name(m, NOW)), str_c(rows[i].state), rows[i].state);
    }
    message_drop(&m);
}

int main(void)
{
    const struct test tests[] = {{"matches", test_match},
                                 {"errors say what is allowed", test_errors},
                                 {"state of a message", test_message_state},
                                 {0}};
    return harness_run("filter", tests);
}
