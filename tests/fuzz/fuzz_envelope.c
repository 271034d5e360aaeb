/* Whatever decodes is a message: written down and read again it is the same; states likewise. */
#include "tests/fuzz/fuzz.h"

#include "core/mail/envelope.h"

enum {
    MAX_BYTES = 1 << 20
};

static void check_message(struct str payload)
{
    struct message *m = message_decode(1, payload);
    if (!m)
        return;
    uint64_t end = 0;
    for (uint32_t i = 0; i < m->cut_count; i++) {
        must(m->cuts[i].offset >= end);
        end = (uint64_t)m->cuts[i].offset + m->cuts[i].length;
    }
    must(end <= m->body_bytes);
    struct buffer once, twice;
    buffer_init(&once, MAX_BYTES);
    buffer_init(&twice, MAX_BYTES);
    message_encode(m, &once);
    /* what is not known at the end is skipped; what was not known once is added */
    size_t last = 4 + m->future.len;
    must(!once.full && once.len <= payload.len + 4);
    struct message *back = message_decode(1, buffer_str(&once));
    must(back != NULL);
    message_encode(back, &twice);
    must(fuzz_same(&once, &twice));
    for (size_t len = 0; len < once.len; len++) {
        struct message *cut = message_decode(1, str_head(buffer_str(&once), len));
        must(!cut || len == once.len - last); /* as it was before there was FUTURERELEASE */
        message_drop(&cut);
        if (once.len > 600)
            len += once.len / 300; /* some places of a long one */
    }
    message_drop(&m);
    message_drop(&back);
    buffer_drop(&once);
    buffer_drop(&twice);
}

static void check_states(struct str payload)
{
    struct recipient_state state[64];
    struct recipient recipient[64] = {0};
    uint32_t count;
    if (!states_count(payload, &count) || count > countof(state))
        return;
    struct message m = {.recipients = recipient, .recipient_count = count};
    bool ok = states_decode(payload, state, count);
    must(ok == message_decode_states(&m, payload));
    must(!states_decode(payload, state, count + 1));
    if (!ok)
        return;
    struct buffer a, b;
    buffer_init(&a, MAX_BYTES);
    buffer_init(&b, MAX_BYTES);
    states_encode(state, count, &a);
    message_encode_states(&m, &b);
    must(fuzz_same(&a, &b) && str_starts(payload, buffer_str(&a)));
    must(states_due_ms(state, count) == message_due_ms(&m));
    buffer_drop(&a);
    buffer_drop(&b);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct str in = str_from((const char *)data, size);
    check_message(in);
    check_states(in);
    return 0;
}
