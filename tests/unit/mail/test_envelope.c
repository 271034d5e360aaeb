#include "core/mail/envelope.h"

#include "core/base/heap.h"
#include "tests/unit/base/dice.h"
#include "tests/unit/harness.h"

enum {
    CAP_BYTES = 1 << 20,
    MESSAGES = 60
};

static struct str some_text(struct message *m, struct dice *d)
{
    size_t len = dice_below(d, 4) ? dice_below(d, 24) : 0;
    char raw[24];
    dice_fill(d, raw, len); /* any bytes: the codec has no opinion */
    return arena_copy(&m->arena, str_from(raw, len));
}

static void some_body(struct message *m, struct dice *d)
{
    m->body_bytes = dice_u64(d);
    m->body_inline = dice_below(d, 2);
    m->extent_count = m->body_inline ? 0 : (uint32_t)dice_below(d, 4);
    m->extents = arena_take(&m->arena, m->extent_count * sizeof *m->extents);
    for (uint32_t i = 0; i < m->extent_count; i++)
        m->extents[i] =
            (struct extent){(uint32_t)dice_u64(d), (uint32_t)dice_u64(d), dice_u64(d), dice_u64(d)};
}

static void some_recipient(struct message *m, struct recipient *r, struct dice *d)
{
    r->address = some_text(m, d);
    r->orcpt = some_text(m, d);
    r->rule = some_text(m, d);
    r->class = (enum recipient_class)dice_below(d, 3);
    r->form = (enum form)dice_below(d, 3);
    r->notify = (uint32_t)dice_u64(d);
    r->release_ms = dice_u64(d);
    r->stage = (enum stage)dice_below(d, STAGES);
    r->flags = (uint32_t)dice_u64(d);
    r->attempts = (uint32_t)dice_u64(d);
    r->revision = (uint32_t)dice_u64(d);
    r->due_ms = dice_u64(d);
}

static struct message *some_message(struct dice *d)
{
    struct message *m = message_make(CAP_BYTES);
    must(m != NULL);
    m->id = dice_u64(d);
    m->kind = (enum message_kind)dice_below(d, 4);
    m->flags = (uint32_t)dice_u64(d);
    m->parent = dice_u64(d);
    m->accepted_ms = dice_u64(d);
    m->accepted_boot_ms = dice_u64(d);
    dice_fill(d, m->boot.at, sizeof m->boot.at);
    struct str *const texts[] = {&m->organisation, &m->sender,     &m->user,  &m->client, &m->envid,
                                 &m->subject,      &m->message_id, &m->token, &m->prefix};
    for (size_t i = 0; i < countof(texts); i++)
        *texts[i] = some_text(m, d);
    m->future = dice_below(d, 2) ? some_text(m, d) : STR("");
    some_body(m, d);
    m->cut_count = (uint32_t)dice_below(d, 4);
    m->cuts = arena_take(&m->arena, m->cut_count * sizeof *m->cuts);
    uint32_t at = 0;
    for (uint32_t i = 0; i < m->cut_count; i++) {
        m->cuts[i] =
            (struct cut){at + (uint32_t)dice_below(d, 1000), (uint32_t)dice_below(d, 1000)};
        at = m->cuts[i].offset + m->cuts[i].length;
    }
    m->body_bytes = u64_max(m->body_bytes, at);
    m->recipient_count = (uint32_t)dice_below(d, 5);
    m->recipients = arena_take(&m->arena, m->recipient_count * sizeof *m->recipients);
    for (uint32_t i = 0; i < m->recipient_count; i++)
        some_recipient(m, &m->recipients[i], d);
    return m;
}

/* The decoded message of `in`, from a copy of exactly its size, that is gone afterwards. */
static struct message *decode(struct str in)
{
    char *copy = heap_take(in.len);
    memcpy(copy, in.at, in.len);
    struct message *m = message_decode(5, str_from(copy, in.len));
    heap_drop(copy);
    return m;
}

static void expect_same_body(const struct message *a, const struct message *b)
{
    expect(a->body_bytes == b->body_bytes && a->body_inline == b->body_inline, "body");
    expect(a->extent_count == b->extent_count && a->cut_count == b->cut_count, "counts");
    for (uint32_t i = 0; i < u64_min(a->extent_count, b->extent_count); i++)
        expect(memcmp(&a->extents[i], &b->extents[i], sizeof *a->extents) == 0, "extent %u", i);
    for (uint32_t i = 0; i < u64_min(a->cut_count, b->cut_count); i++)
        expect(memcmp(&a->cuts[i], &b->cuts[i], sizeof *a->cuts) == 0, "cut %u", i);
}

static void expect_same(const struct message *a, const struct message *b)
{
    expect(a->kind == b->kind && a->flags == b->flags && a->parent == b->parent, "head");
    expect(a->accepted_ms == b->accepted_ms && a->accepted_boot_ms == b->accepted_boot_ms, "time");
    expect(memcmp(&a->boot, &b->boot, sizeof a->boot) == 0, "boot");
    expect_str(b->organisation, a->organisation, "organisation");
    expect_str(b->sender, a->sender, "sender");
    expect_str(b->user, a->user, "user");
    expect_str(b->client, a->client, "client");
    expect_str(b->envid, a->envid, "envid");
    expect_str(b->subject, a->subject, "subject");
    expect_str(b->message_id, a->message_id, "message_id");
    expect_str(b->token, a->token, "token");
    expect_str(b->prefix, a->prefix, "prefix");
    expect_str(b->future, a->future, "future");
    expect_same_body(a, b);
    expect(a->recipient_count == b->recipient_count, "recipients");
    for (uint32_t i = 0; i < u64_min(a->recipient_count, b->recipient_count); i++) {
        const struct recipient *x = &a->recipients[i], *y = &b->recipients[i];
        expect_str(y->address, x->address, "address");
        expect_str(y->orcpt, x->orcpt, "orcpt");
        expect_str(y->rule, x->rule, "rule");
        expect(x->class == y->class && x->form == y->form, "class and form");
        expect(x->notify == y->notify && x->release_ms == y->release_ms, "notify, release");
    }
}

static void expect_same_states(const struct message *a, const struct message *b)
{
    for (uint32_t i = 0; i < a->recipient_count; i++) {
        const struct recipient *x = &a->recipients[i], *y = &b->recipients[i];
        expect(x->stage == y->stage && x->flags == y->flags && x->attempts == y->attempts &&
                   x->revision == y->revision && x->due_ms == y->due_ms,
               "state %u", i);
    }
}

static void test_round_trip(void)
{
    struct dice dice = {1};
    for (int n = 0; n < 300; n++) {
        struct buffer payload, states, again;
        buffer_init(&payload, CAP_BYTES);
        buffer_init(&states, CAP_BYTES);
        buffer_init(&again, CAP_BYTES);
        struct message *m = some_message(&dice);
        message_encode(m, &payload);
        message_encode_states(m, &states);
        struct message *back = decode(buffer_str(&payload));
        expect(back != NULL, "message %d", n);
        if (back) {
            expect(back->id == 5, "the id is the caller's");
            expect_same(m, back);
            expect(message_decode_states(back, buffer_str(&states)), "states of message %d", n);
            expect_same_states(m, back);
            expect(message_due_ms(m) == message_due_ms(back), "due");
            message_encode(back, &again);
            expect_str(buffer_str(&again), buffer_str(&payload), "encoded again");
        }
        message_drop(&m);
        message_drop(&back);
        expect(!back, "dropped");
        buffer_drop(&payload);
        buffer_drop(&states);
        buffer_drop(&again);
    }
}

/* What decode understood is a message like any other: it can be written down and read again. */
static void check_whatever(struct message *m, size_t at)
{
    if (!m)
        return;
    struct buffer once, twice;
    buffer_init(&once, CAP_BYTES);
    buffer_init(&twice, CAP_BYTES);
    message_encode(m, &once);
    struct message *back = decode(buffer_str(&once));
    expect(back != NULL, "byte %zu: read again", at);
    expect(m->kind <= MESSAGE_PASSWORD, "byte %zu: kind %u", at, (unsigned)m->kind);
    expect(!m->body_inline || m->extent_count == 0, "byte %zu: inline and in extents", at);
    for (uint32_t i = 0; i < m->recipient_count; i++)
        expect(m->recipients[i].class <= CLASS_EXTERNAL && m->recipients[i].form <= FORM_LINK,
               "byte %zu: recipient %u", at, i);
    if (back) {
        expect_same(m, back);
        message_encode(back, &twice);
        expect_str(buffer_str(&twice), buffer_str(&once), "encoded again");
    }
    message_drop(&back);
    buffer_drop(&once);
    buffer_drop(&twice);
}

static void test_damaged(void)
{
    struct dice dice = {2};
    for (int n = 0; n < MESSAGES; n++) {
        struct buffer payload;
        buffer_init(&payload, CAP_BYTES);
        struct message *m = some_message(&dice);
        message_encode(m, &payload);
        size_t older = payload.len - 4 - m->future.len; /* a record of before `future` ends here */
        message_drop(&m);
        for (size_t at = 0; at < payload.len; at++) {
            m = decode(str_head(buffer_str(&payload), at));
            expect(!m == (at != older), "message %d cut at %zu of %zu", n, at, payload.len);
            expect(!m || m->future.len == 0, "message %d of an older program", n);
            message_drop(&m);
            const char masks[] = {1, (char)0x80, (char)0xff, (char)(1 + dice_below(&dice, 255))};
            for (size_t i = 0; i < sizeof masks; i++) {
                payload.at[at] ^= masks[i];
                m = decode(buffer_str(&payload));
                check_whatever(m, at);
                message_drop(&m);
                payload.at[at] ^= masks[i];
            }
        }
        buffer_drop(&payload);
    }
}

/* Places in the payload of a message without texts and cuts: see the layout in envelope.c. */
enum {
    AT_VERSION = 0,
    AT_KIND = 1,
    AT_TEXTS = 2 + 4 + 3 * 8 + 16,
    AT_CUTS = AT_TEXTS + 9 * 4,
    AT_INLINE = AT_CUTS + 4 + 8,
    AT_EXTENTS = AT_INLINE + 1,
    AT_RECIPIENTS = AT_EXTENTS + 4,
    AT_ROW = AT_RECIPIENTS + 4,
    AT_CLASS = AT_ROW + 4 + 3 * 4,
    AT_FORM = AT_CLASS + 1,
    AT_FUTURE = AT_FORM + 1 + 4 + 8,
    PAYLOAD_BYTES = AT_FUTURE + 4,
};

static const struct {
    const char *name;
    size_t at;
    struct str put;  /* over what is there */
    struct str more; /* behind it all */
    bool want;
} skew_rows[] = {
    {"as it is", 0, STR_INIT(""), STR_INIT(""), true},
    {"version 0", AT_VERSION, STR_INIT("\0"), STR_INIT(""), false},
    {"version 2", AT_VERSION, STR_INIT("\2"), STR_INIT(""), false},
    {"last kind", AT_KIND, STR_INIT("\3"), STR_INIT(""), true},
    {"unknown kind", AT_KIND, STR_INIT("\4"), STR_INIT(""), false},
    {"a field more in the message", 0, STR_INIT(""), STR_INIT("\x05later"), true},
    {"a field more in the recipient", AT_ROW, STR_INIT("\0\0\0\x1e"), STR_INIT(""), true},
    {"the recipient's row is one byte too short", AT_ROW, STR_INIT("\0\0\0\x19"), STR_INIT(""),
     false},
    {"the recipient's row is cut by the end", AT_ROW, STR_INIT("\0\0\0\x1b"), STR_INIT(""), false},
    {"a row of 4 GiB", AT_ROW, STR_INIT("\xff\xff\xff\xff"), STR_INIT(""), false},
    {"a request for a later release cut by the end", AT_FUTURE, STR_INIT("\0\0\0\1"), STR_INIT(""),
     false},
    {"4 Gi cuts", AT_CUTS, STR_INIT("\xff\xff\xff\xff"), STR_INIT(""), false},
    {"4 Gi extents", AT_EXTENTS, STR_INIT("\xff\xff\xff\xff"), STR_INIT(""), false},
    {"4 Gi recipients", AT_RECIPIENTS, STR_INIT("\xff\xff\xff\xff"), STR_INIT(""), false},
    {"a recipient more than there are", AT_RECIPIENTS, STR_INIT("\0\0\0\2"), STR_INIT(""), false},
    {"a text of 4 GiB", AT_TEXTS, STR_INIT("\xff\xff\xff\xff"), STR_INIT(""), false},
    {"an inline body", AT_INLINE, STR_INIT("\1"), STR_INIT(""), true},
    {"neither inline nor not", AT_INLINE, STR_INIT("\2"), STR_INIT(""), false},
    {"inline with an extent", AT_INLINE, STR_INIT("\1\0\0\0\1"),
     STR_INIT("........................"), false},
    {"last class", AT_CLASS, STR_INIT("\2"), STR_INIT(""), true},
    {"unknown class", AT_CLASS, STR_INIT("\3"), STR_INIT(""), false},
    {"last form", AT_FORM, STR_INIT("\2"), STR_INIT(""), true},
    {"unknown form", AT_FORM, STR_INIT("\3"), STR_INIT(""), false},
};

static void test_skew(void)
{
    for (size_t i = 0; i < countof(skew_rows); i++) {
        struct recipient r = {.release_ms = 9};
        struct message plain = {.recipients = &r, .recipient_count = 1};
        struct buffer payload;
        buffer_init(&payload, CAP_BYTES);
        message_encode(&plain, &payload);
        expect(payload.len == PAYLOAD_BYTES, "the layout is frozen: %zu bytes", payload.len);
        memcpy(payload.at + skew_rows[i].at, skew_rows[i].put.at, skew_rows[i].put.len);
        buffer_put(&payload, skew_rows[i].more);
        struct message *m = decode(buffer_str(&payload));
        expect((m != NULL) == skew_rows[i].want, "%s", skew_rows[i].name);
        if (m && !skew_rows[i].put.len)
            expect_same(&plain, m);
        expect(!m || m->recipients[0].release_ms == 9, "%s", skew_rows[i].name);
        message_drop(&m);
        buffer_drop(&payload);
    }
}

static const struct {
    const char *name;
    uint64_t body_bytes;
    uint32_t count;
    struct cut cuts[3];
    bool want;
} cut_rows[] = {
    {"one, the whole body", 100, 1, {{0, 100}}, true},
    {"one byte beyond the body", 100, 1, {{1, 100}}, false},
    {"of a body that is empty", 0, 1, {{0, 1}}, false},
    {"side by side", 100, 3, {{0, 10}, {10, 10}, {20, 80}}, true},
    {"apart", 100, 2, {{5, 10}, {50, 10}}, true},
    {"overlapping by a byte", 100, 2, {{0, 11}, {10, 10}}, false},
    {"one in the other", 100, 2, {{0, 50}, {10, 10}}, false},
    {"the same twice", 100, 2, {{10, 10}, {10, 10}}, false},
    {"out of order", 100, 2, {{50, 10}, {0, 10}}, false},
    {"beyond 4 GiB together", 100, 2, {{0, 0xffffffff}, {0, 0xffffffff}}, false},
    {"an end beyond 4 GiB", 0xffffffff, 1, {{0xffffffff, 0xffffffff}}, false},
};

static void test_cuts(void)
{
    for (size_t i = 0; i < countof(cut_rows); i++) {
        struct recipient r = {.release_ms = 9};
        struct cut cuts[3];
        memcpy(cuts, cut_rows[i].cuts, sizeof cuts);
        struct message m = {.recipients = &r,
                            .recipient_count = 1,
                            .body_bytes = cut_rows[i].body_bytes,
                            .cuts = cuts,
                            .cut_count = cut_rows[i].count};
        struct buffer payload;
        buffer_init(&payload, CAP_BYTES);
        message_encode(&m, &payload);
        struct message *back = decode(buffer_str(&payload));
        expect((back != NULL) == cut_rows[i].want, "%s", cut_rows[i].name);
        message_drop(&back);
        buffer_drop(&payload);
    }
}

static const struct {
    const char *name;
    struct str payload;
    bool counted, read; /* by states_count, by states_decode of two */
} state_rows[] = {

#define STATE "\0\0\0\3\0\0\0\4\0\0\0\5\0\0\0\0\0\0\0\6"
    {"two", STR_INIT("\1\0\0\0\2\4" STATE "\7" STATE), true, true},
    {"a field more", STR_INIT("\1\0\0\0\2\4" STATE "\7" STATE "more"), true, true},
    {"one", STR_INIT("\1\0\0\0\1\4" STATE), true, false},
    {"three", STR_INIT("\1\0\0\0\3\4" STATE "\4" STATE "\4" STATE), true, false},
    {"unknown stage", STR_INIT("\1\0\0\0\2\4" STATE "\x08" STATE), true, false},
    {"stage 255", STR_INIT("\1\0\0\0\2\xff" STATE "\4" STATE), true, false},
    {"one byte short", STR_INIT("\1\0\0\0\2\4" STATE "\4\0\0\0\3\0\0\0\4\0\0\0\5\0\0\0\0\0\0\0"),
     false, false},
    {"4 Gi", STR_INIT("\1\xff\xff\xff\xff\4" STATE "\4" STATE), false, false},
    {"version 0", STR_INIT("\0\0\0\0\2\4" STATE "\4" STATE), false, false},
    {"version 2", STR_INIT("\2\0\0\0\2\4" STATE "\4" STATE), false, false},
    {"nothing", STR_INIT(""), false, false},
    {"version alone", STR_INIT("\1"), false, false},
    {"count cut", STR_INIT("\1\0\0\0"), false, false},
#undef STATE
};

static void test_states(void)
{
    for (size_t i = 0; i < countof(state_rows); i++) {
        const char *name = state_rows[i].name;
        struct recipient_state s[2] = {{0}};
        struct recipient r[2] = {{.due_ms = 1}};
        struct message m = {.recipients = r, .recipient_count = 2};
        size_t len = state_rows[i].payload.len;
        char *copy = heap_take(len);
        memcpy(copy, state_rows[i].payload.at, len);
        struct str payload = str_from(copy, len);
        uint32_t count;
        expect(states_count(payload, &count) == state_rows[i].counted, "%s", name);
        bool ok = states_decode(payload, s, 2);
        expect(ok == state_rows[i].read, "%s", name);
        expect(message_decode_states(&m, payload) == ok, "%s", name);
        if (ok) {
            struct buffer out, same;
            buffer_init(&out, 100);
            buffer_init(&same, 100);
            expect(s[0].stage == STAGE_RETRY && s[1].stage == STAGE_DISCARDED, "stages");
            expect(s[0].flags == 3 && s[0].attempts == 4 && s[0].revision == 5, "numbers");
            expect(s[0].due_ms == 6, "due");
            struct recipient_state first = recipient_state(&r[0]);
            expect(memcmp(&first, &s[0], sizeof first) == 0, "one layout");
            states_encode(s, 2, &out);
            message_encode_states(&m, &same);
            expect_str(buffer_str(&out), str_head(payload, 5 + 2 * 21), name);
            expect_str(buffer_str(&same), buffer_str(&out), name);
            buffer_drop(&out);
            buffer_drop(&same);
        }
        heap_drop(copy);
    }
    struct buffer small;
    buffer_init(&small, 5 + 20);
    states_encode((struct recipient_state[1]){{0}}, 1, &small);
    expect(small.full, "no room for a state");
    buffer_drop(&small);
}

static const struct {
    const char *name;
    enum stage stage[2];
    uint64_t due[2], want;
    bool is_final;
    const char *shown; /* the first, at 100 */
} due_rows[] = {
    {"the earlier", {STAGE_WAITING, STAGE_RETRY}, {200, 101}, 101, false, "waiting"},
    {"come", {STAGE_WAITING, STAGE_WAITING}, {100, 101}, 100, false, "due"},
    {"retry come", {STAGE_RETRY, STAGE_WAITING}, {99, 101}, 99, false, "due"},
    {"held stays held", {STAGE_HELD, STAGE_APPROVAL}, {50, 60}, 50, false, "held"},
    {"approval", {STAGE_APPROVAL, STAGE_HELD}, {50, 60}, 50, false, "approval"},
    {"sending is not timed", {STAGE_SENDING, STAGE_BOUNCED}, {50, 60}, UINT64_MAX, 0, "sending"},
    {"final is not timed", {STAGE_DELIVERED, STAGE_HELD}, {50, 60}, 60, false, "delivered"},
    {"all final", {STAGE_DISCARDED, STAGE_BOUNCED}, {50, 60}, UINT64_MAX, true, "discarded"},
    {"deadline 0", {STAGE_WAITING, STAGE_BOUNCED}, {0, 60}, 0, false, "due"},
};

static void test_due(void)
{
    for (size_t i = 0; i < countof(due_rows); i++) {
        struct recipient r[2] = {{.stage = due_rows[i].stage[0], .due_ms = due_rows[i].due[0]},
                                 {.stage = due_rows[i].stage[1], .due_ms = due_rows[i].due[1]}};
        struct message m = {.recipients = r, .recipient_count = 2};
        const struct recipient_state s[2] = {recipient_state(&r[0]), recipient_state(&r[1])};
        expect(message_due_ms(&m) == due_rows[i].want, "%s", due_rows[i].name);
        expect(states_due_ms(s, 2) == due_rows[i].want, "%s", due_rows[i].name);
        expect(message_is_final(&m) == due_rows[i].is_final, "%s", due_rows[i].name);
        expect_str(str_c(recipient_state_name(&r[0], 100)), str_c(due_rows[i].shown),
                   due_rows[i].name);
    }
}

int main(void)
{
    const struct test tests[] = {
        {"round trip", test_round_trip},
        {"every truncation, every damaged byte", test_damaged},
        {"version skew", test_skew},
        {"cuts", test_cuts},
        {"states", test_states},
        {"due", test_due},
        {0},
    };
    return harness_run("envelope", tests);
}
