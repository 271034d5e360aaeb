#include "shards/turns.h"

#include "core/base/heap.h"
#include "core/mail/lane.h"
#include "tests/unit/base/dice.h"
#include "tests/unit/harness.h"

/* A lane by three small numbers. */
static uint32_t lane(uint32_t organisation, uint32_t sender, uint32_t domain)
{
    return (organisation * LANE_SENDERS + sender) * LANE_DOMAINS + domain;
}

/* What is put, as organisation, sender, domain; an item is its place in the row, from 1. */
static const struct {
    const char *name;
    const char *put; /* "111 112 211" */
    uint64_t want[12];
} order_rows[] = {
    {"nothing", "", {0}},
    {"one lane: first come, first served", "111 111 111", {1, 2, 3}},
    {"two organisations take turns", "111 111 111 211 211", {1, 4, 2, 5, 3}},
    {"the last of many is the second", "111 111 111 111 111 111 211", {1, 7, 2, 3, 4, 5, 6}},
    {"senders of one organisation", "111 111 111 121", {1, 4, 2, 3}},
    {"destinations of one sender", "111 111 111 112", {1, 4, 2, 3}},
    {"many senders are one organisation", "111 121 131 141 211 211", {1, 5, 2, 6, 3, 4}},
    {"many destinations are one sender", "111 112 113 121 121", {1, 4, 2, 5, 3}},
    {"all three", "111 112 121 211 111 222", {1, 4, 3, 6, 2, 5}},
    {"unknown lanes are one", "000 000 111", {1, 3, 2}},
};

static void test_order(void)
{
    for (size_t i = 0; i < countof(order_rows); i++) {
        struct turns t = {0};
        struct turn_queue q = {0};
        uint32_t got_lane, next_lane;
        uint64_t got, n = 0;
        for (const char *at = order_rows[i].put; *at; at += 3 + (at[3] == ' '))
            turns_put(&t, &q,
                      lane((uint32_t)at[0] - '0', (uint32_t)at[1] - '0', (uint32_t)at[2] - '0'),
                      ++n);
        expect(q.count == n, "%s: %u", order_rows[i].name, q.count);
        for (size_t k = 0; k < n; k++) {
            turns_verify(&t, &q, NULL, 0);
            expect(turns_peek(&t, &q, &next_lane) && turns_take(&t, &q, &got_lane, &got) &&
                       got == order_rows[i].want[k] && got_lane == next_lane,
                   "%s: the %zu. is %lu", order_rows[i].name, k + 1, got);
        }
        expect(!turns_take(&t, &q, &got_lane, &got) && !turns_peek(&t, &q, &got_lane) &&
                   q.count == 0 && t.nodes == 0 && t.items == 0,
               "%s: empty", order_rows[i].name);
        turns_drop(&t);
    }
}

static uint64_t take(struct turns *t, struct turn_queue *q)
{
    uint32_t any;
    uint64_t item = 0;
    return turns_take(t, q, &any, &item) ? item : 0;
}

static void test_holds(void)
{
    struct turns t = {0};
    struct turn_queue q = {0};
    struct turn_holds h = {0}, other = {0};
    uint32_t any;
    uint64_t item;
    expect(!turns_hold(&t, &q, lane(1, 1, 1), &h), "nothing to hold");
    for (uint64_t i = 1; i <= 4; i++)
        turns_put(&t, &q, lane(1, 1, 1), i);
    turns_put(&t, &q, lane(1, 1, 2), 5);
    expect(turns_hold(&t, &q, lane(1, 1, 1), &h), "held");
    expect(!turns_hold(&t, &q, lane(1, 1, 1), &other), "once only");
    turns_put(&t, &q, lane(1, 1, 1), 6);
    turns_verify(&t, &q, &h, 1);
    expect(take(&t, &q) == 5 && take(&t, &q) == 0 && q.count == 5, "the other lane's only");
    expect(turns_take_held(&t, &q, &h, &any, &item) && item == 1, "looked at while held");
    expect(turns_free(&t, &h) && !turns_free(&t, &h) && h.count == 0, "free");
    expect(take(&t, &q) == 2 && take(&t, &q) == 3, "goes on");
    expect(turns_hold(&t, &q, lane(1, 1, 1), &h), "held anew");
    expect(turns_take_held(&t, &q, &h, &any, &item) && item == 4, "4");
    expect(turns_take_held(&t, &q, &h, &any, &item) && item == 6, "6");
    expect(h.count == 0 && q.count == 0 && t.nodes == 0, "an empty lane is held by nobody");
    turns_drop(&t);
}

static void test_organisations(void)
{
    struct turns t = {0};
    struct turn_queue q = {0};
    uint32_t next;
    turns_put(&t, &q, lane(1, 1, 1), 1);
    turns_put(&t, &q, lane(1, 2, 1), 2);
    turns_put(&t, &q, lane(2, 1, 1), 3);
    turns_put(&t, &q, lane(2, 1, 1), 4);
    turns_pass(&t, &q);
    expect(turns_peek(&t, &q, &next) && next == lane(2, 1, 1), "the first let the second go");
    expect(take(&t, &q) == 3, "3");
    turns_hold_organisation(&t, &q);
    turns_verify(&t, &q, NULL, 0);
    expect(take(&t, &q) == 4 && take(&t, &q) == 0 && q.count == 2, "the first is held");
    turns_put(&t, &q, lane(1, 1, 1), 5);
    expect(take(&t, &q) == 0, "with all that comes");
    turns_free_organisation(&t, &q, lane(2, 1, 1));
    expect(take(&t, &q) == 0, "another is not it");
    turns_free_organisation(&t, &q, lane(1, 7, 7));
    turns_free_organisation(&t, &q, lane(1, 7, 7));
    turns_verify(&t, &q, NULL, 0);
    expect(take(&t, &q) == 1 && take(&t, &q) == 2 && take(&t, &q) == 5, "and goes on");
    expect(t.nodes == 0, "empty");
    turns_drop(&t);
}

/* ---- a walk: what comes out is what went in, in order, and nobody waits through two turns of
 * another */

enum {
    ORGANISATIONS = 6,
    SENDERS = 3,
    DOMAINS = 4,
    LANES = ORGANISATIONS * SENDERS * DOMAINS,
    REASONS = 3,
    STEPS = 200000,
};

struct walk {
    struct turns t;
    struct turn_queue q, beside; /* shares the pool, and nothing else */
    struct turn_holds holds[REASONS];
    uint64_t put[LANES], taken[LANES]; /* numbers of the lane's items */
    bool held[LANES];
    unsigned since[ORGANISATIONS][ORGANISATIONS]; /* turns of the second since the first's last */
};

static bool waits(const struct walk *w, unsigned organisation)
{
    for (unsigned l = 0; l < LANES; l++)
        if (l / (SENDERS * DOMAINS) == organisation && !w->held[l] && w->put[l] > w->taken[l])
            return true;
    return false;
}

static void took(struct walk *w, uint32_t lane_number, uint64_t item)
{
    unsigned l = (unsigned)(item >> 32);
    uint32_t want = lane(l / (SENDERS * DOMAINS), l / DOMAINS % SENDERS, l % DOMAINS);
    expect(lane_number == want, "lane 0x%x", lane_number);
    expect((uint32_t)item == ++w->taken[l], "lane %u: %u comes out", l, (uint32_t)item);
}

static void walk_take(struct walk *w)
{
    uint32_t number;
    uint64_t item;
    bool any = false;
    for (unsigned o = 0; o < ORGANISATIONS; o++)
        any |= waits(w, o);
    bool got = turns_take(&w->t, &w->q, &number, &item);
    expect(got == any, "there is something");
    if (!got)
        return;
    unsigned whose = lane_organisation(number);
    took(w, number, item);
    for (unsigned o = 0; o < ORGANISATIONS; o++) {
        w->since[whose][o] = 0;
        if (o == whose)
            continue;
        w->since[o][whose] = waits(w, o) ? w->since[o][whose] + 1 : 0;
        expect(w->since[o][whose] <= 1, "%u waits through two turns of %u", o, whose);
    }
}

static void forget_waits(struct walk *w)
{
    for (unsigned o = 0; o < ORGANISATIONS; o++)
        if (!waits(w, o))
            memset(w->since[o], 0, sizeof w->since[o]);
}

static void test_walk(void)
{
    struct dice dice = {3};
    struct walk *w = heap_take(sizeof *w);
    for (unsigned step = 0; step < STEPS; step++) {
        uint64_t what = dice_below(&dice, 100), item;
        uint32_t number;
        unsigned l = (unsigned)dice_below(&dice, LANES), reason = l % REASONS;
        uint32_t of_l = lane(l / (SENDERS * DOMAINS), l / DOMAINS % SENDERS, l % DOMAINS);
        bool filling = step / 5000 % 2 == 0;
        if (what < (filling ? 60 : 30)) {
            turns_put(&w->t, &w->q, of_l, (uint64_t)l << 32 | ++w->put[l]);
            turns_put(&w->t, &w->beside, of_l, step);
        } else if (what < 85) {
            walk_take(w);
            (void)take(&w->t, &w->beside);
        } else if (what < 90) {
            bool can = !w->held[l] && w->put[l] > w->taken[l];
            expect(turns_hold(&w->t, &w->q, of_l, &w->holds[reason]) == can, "hold");
            w->held[l] |= can;
        } else if (what < 95) {
            if (turns_take_held(&w->t, &w->q, &w->holds[reason], &number, &item)) {
                took(w, number, item);
                unsigned of = (unsigned)(item >> 32);
                expect(w->held[of] && of % REASONS == reason, "it was held");
                w->held[of] = w->put[of] > w->taken[of];
            }
        } else {
            while (turns_free(&w->t, &w->holds[reason]))
                ;
            for (unsigned k = reason; k < LANES; k += REASONS)
                w->held[k] = false;
        }
        forget_waits(w);
        if (step % 97 == 0)
            turns_verify(&w->t, &w->q, w->holds, REASONS);
    }
    while (take(&w->t, &w->beside))
        ;
    for (unsigned r = 0; r < REASONS; r++)
        while (turns_free(&w->t, &w->holds[r]))
            ;
    memset(w->held, 0, sizeof w->held);
    while (w->q.count)
        walk_take(w);
    expect(w->t.nodes == 0 && w->t.items == 0, "nothing is left");
    turns_drop(&w->t);
    heap_drop(w);
}

/* A million ids of one lane, and one of another; memory goes back. */
static void test_storm(void)
{
    struct turns t = {0};
    struct turn_queue q = {0};
    for (uint64_t i = 1; i <= 1000000; i++)
        turns_put(&t, &q, lane(9, 9, 9), i);
    turns_put(&t, &q, lane(1, 2, 3), 7777777);
    expect(take(&t, &q) == 1 && take(&t, &q) == 7777777, "the second turn");
    for (uint64_t i = 2; i <= 1000000; i++)
        if (take(&t, &q) != i)
            expect(false, "at %lu", i);
    expect(t.item_room == 0 && t.node_room == 0, "memory is given back");
    turns_drop(&t);
}

int main(void)
{
    const struct test tests[] = {{"order", test_order},
                                 {"holds", test_holds},
                                 {"organisations", test_organisations},
                                 {"walk", test_walk},
                                 {"DOS-06 a storm", test_storm},
                                 {0}};
    return harness_run("turns", tests);
}
