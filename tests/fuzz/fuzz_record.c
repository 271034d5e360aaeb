/* Values of the index and payloads of journal records: what decodes is written
 * down and read again the same, and a value whose seal was made for it is
 * believed no further than its bytes go.
 *
 * Byte 0: which. The rest is the value or payload.
 */
#include "tests/fuzz/fuzz.h"

#include "core/base/crc.h"
#include "core/base/limit.h"
#include "storage/extent.h"
#include "storage/inside.h"
#include "storage/unit.h"

enum {
    MAX_BYTES = 1 << 20,
    MESSAGE_CHECKSUM_AT = 37, /* state.c */
    STATE_CHECKSUM_AT = 25
};

static void check_position(struct str in)
{
    struct position p = {0}, again = {0};
    struct buffer once, twice;
    buffer_init(&once, MAX_BYTES);
    buffer_init(&twice, MAX_BYTES);
    if (position_decode(in, &p)) {
        position_encode(&p, &once);
        must(once.len <= in.len && position_decode(buffer_str(&once), &again));
        position_encode(&again, &twice);
        must(fuzz_same(&once, &twice));
        must(!position_decode(str_head(in, once.len - 1), &again));
    }
    buffer_drop(&once);
    buffer_drop(&twice);
}

static void check_move(struct str in)
{
    uint32_t recipient;
    struct recipient_state to;
    struct str last;
    struct buffer once;
    buffer_init(&once, MAX_BYTES);
    if (move_decode(in, &recipient, &to, &last)) {
        move_encode(recipient, &to, last, &once);
        must(to.stage < STAGES && str_starts(in, buffer_str(&once)));
    }
    buffer_drop(&once);
}

static void check_decision(struct str in)
{
    struct decision d;
    struct buffer once;
    buffer_init(&once, MAX_BYTES);
    if (decision_decode(7, in, &d)) {
        decision_encode(&d, &once);
        must(d.stage < STAGES && d.id == 7 && str_starts(in, buffer_str(&once)));
    }
    buffer_drop(&once);
}

static bool is_within(struct str inner, struct str outer)
{
    return inner.len == 0 || (inner.at >= outer.at && inner.at + inner.len <= outer.at + outer.len);
}

/* As a partition would read a body: whatever the envelope says, no read is
 * longer than its buffer, and the blocks come to an end. */
static void check_body(const struct message *m, struct str raw)
{
    struct body_reader r;
    uint32_t segment;
    uint64_t offset;
    size_t length;
    char *page = heap_take_aligned(LIMIT_BLOCK_BYTES, BODY_READ_BYTES);
    body_reader_init(&r, m);
    for (int turns = 0; turns < 10 && body_reader_next(&r, &segment, &offset, &length); turns++) {
        struct str payload;
        must(length > 0 && length <= BODY_READ_BYTES && offset % LIMIT_BLOCK_BYTES == 0);
        memset(page, 0, length);
        memcpy(page, raw.at, size_min(length, raw.len));
        if (body_reader_take(&r, str_from(page, length), &payload) != BODY_OK)
            break;
        must(is_within(payload, str_from(page, length)));
    }
    heap_drop(page);
}

static void check_accept(struct str in)
{
    struct accept a;
    if (!accept_decode(in, &a))
        return;
    must(is_within(a.message, in) && is_within(a.states, in) && is_within(a.lines, in));
    uint32_t recipient;
    struct str line;
    while (accept_line(&a.lines, &recipient, &line))
        must(is_within(line, in));
    struct message *m = message_decode(9, a.message);
    if (!m)
        return;
    bool good = message_decode_states(m, a.states);
    for (uint32_t i = 0; good && i < m->recipient_count; i++)
        must(m->recipients[i].stage < STAGES);
    check_body(m, in);
    if (good) {
        struct buffer once;
        struct accept again;
        buffer_init(&once, MAX_BYTES);
        accept_encode(m, a.body_offset, &once);
        must(once.full ||
             (accept_decode(buffer_str(&once), &again) && again.body_offset == a.body_offset));
        buffer_drop(&once);
    }
    message_drop(&m);
}

/* The seal that such a value would have: what is behind it must hold against
 * any bytes. */
static char *sealed(struct str in, size_t checksum_at)
{
    char *at = heap_take(in.len);
    memcpy(at, in.at, in.len);
    at[0] = 1;
    uint32_t crc = crc32c(0, str_from(at, checksum_at));
    store32(at + checksum_at,
            crc32c(crc, str_from(at + checksum_at + 4, in.len - checksum_at - 4)));
    return at;
}

static void check_state_value(struct str in)
{
    struct state_value v;
    struct recipient_state states[16];
    uint32_t count;
    if (in.len < STATE_CHECKSUM_AT + 4)
        return;
    char *at = sealed(in, STATE_CHECKSUM_AT);
    struct str value = str_from(at, in.len);
    must(state_value_read(value, &v) && is_within(v.states, value));
    if (states_count(v.states, &count) && count <= countof(states))
        (void)!states_decode(v.states, states, count);
    at[in.len - 1] ^= 1;
    must(!state_value_read(value, &v));
    heap_drop(at);
}

static void check_message_value(struct str in)
{
    struct message_value v;
    if (in.len < MESSAGE_CHECKSUM_AT + 4)
        return;
    char *at = sealed(in, MESSAGE_CHECKSUM_AT);
    struct str value = str_from(at, in.len);
    must(message_value_read(value, &v) && is_within(v.message, value));
    struct message *m = message_decode(3, v.message);
    message_drop(&m);
    at[in.len - 1] ^= 1;
    must(!message_value_read(value, &v));
    heap_drop(at);
}

static void check_extra(struct str in)
{
    struct extra e;
    struct str rest = in;
    while (unit_extra_next(&rest, &e))
        must(is_within(e.payload, in));
}

static void check_directory(struct str in)
{
    struct directory_entry e;
    uint32_t rows = 0;
    while (directory_entry(in, rows, &e))
        rows++;
    must(rows == in.len / DIRECTORY_ENTRY_BYTES && !directory_entry(in, UINT32_MAX, &e));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static void (*const checks[])(struct str in) = {
        check_position, check_move,        check_decision,      check_accept,
        check_extra,    check_state_value, check_message_value, check_directory,
    };

    if (size >= 1)
        checks[data[0] % countof(checks)](str_from((const char *)data + 1, size - 1));
    return 0;
}
