/* What a process that a hostile file has taken over may say to a worker, and what anybody may say
 * to the extractor: however it is cut, the events are the same, and none is beyond the limits. */
#include "tests/fuzz/fuzz.h"

#include "shards/inspect.h"

enum {
    MAX_BYTES = 1 << 22
};

static const struct inspect_limits limits =
    {.bytes = 1 << 20, .expanded = 1 << 20, .text = 300, .members = 5, .depth = 3, .time_ms = 1000};

struct seen {
    uint32_t members, flags;
    uint64_t text;
    bool over;
};

static void check(const struct inspect_reader *r, enum inspect_event event, struct seen *s)
{
    must(!s->over || event == INSPECT_BROKEN);
    if (event == INSPECT_MEMBER) {
        must(r->member.index == s->members++ && s->members <= limits.members + 1);
        must(r->member.depth <= limits.depth && r->member.parent <= r->member.index);
        must(r->member.name.len <= INSPECT_NAME_BYTES && r->member.type.len <= INSPECT_TYPE_BYTES);
        s->flags |= r->member.flags;
    } else if (event == INSPECT_TEXT) {
        s->text += r->piece.bytes.len;
        must(r->piece.member < s->members && s->text <= limits.text);
    } else if (event == INSPECT_FLAG) {
        must(r->flagged.member < s->members);
        s->flags |= r->flagged.flags;
    } else if (event == INSPECT_VERDICT) {
        uint32_t bad = INSPECT_IS_ENCRYPTED | INSPECT_IS_UNREADABLE;
        must(r->end.verdict != INSPECT_READABLE || (s->members && !(s->flags & bad)));
        must((r->end.verdict == INSPECT_UNREADABLE) == (r->end.reason != INSPECT_REASON_NONE));
        s->over = true;
    } else if (event == INSPECT_END) {
        s->over = true;
    }
}

static void put(struct buffer *out, const struct inspect_reader *r, enum inspect_event event)
{
    buffer_put8(out, (uint8_t)event);
    if (event == INSPECT_MEMBER) {
        buffer_put_bytes32(out, r->member.name);
        buffer_put_bytes32(out, r->member.type);
    } else if (event == INSPECT_TEXT) {
        buffer_put_bytes32(out, r->piece.charset);
        buffer_put_bytes32(out, r->piece.bytes);
    } else if (event == INSPECT_BEGIN) {
        for (size_t i = 0; i < r->request.name_count; i++)
            buffer_put_bytes32(out, r->request.names[i]);
    } else if (event == INSPECT_DATA) {
        buffer_put_bytes32(out, r->data);
    } else if (event == INSPECT_BROKEN) {
        buffer_puts(out, r->why);
    }
}

static void drive(struct fuzz f, bool asks, struct buffer *out)
{
    struct inspect_reader r;
    struct seen s = {0};
    struct str piece;
    if (asks)
        inspect_reader_init_request(&r);
    else
        inspect_reader_init_answer(&r, &limits);
    while (!r.why && fuzz_piece(&f, &piece)) {
        enum inspect_event event;
        while ((event = inspect_feed(&r, &piece)) != INSPECT_MORE) {
            check(&r, event, &s);
            put(out, &r, event);
            if (event == INSPECT_BROKEN)
                break;
        }
        must(r.held.len <= INSPECT_MESSAGE_BYTES);
    }
    heap_drop(f.piece);
    inspect_reader_drop(&r);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct fuzz f = fuzz_start(data, size), whole = f;
    whole.first = 0;
    whole.step = SIZE_MAX;
    for (int asks = 0; asks < 2; asks++) {
        struct buffer a, b;
        buffer_init(&a, MAX_BYTES);
        buffer_init(&b, MAX_BYTES);
        drive(f, asks, &a);
        drive(whole, asks, &b);
        must(fuzz_same(&a, &b));
        buffer_drop(&a);
        buffer_drop(&b);
    }
    return 0;
}
