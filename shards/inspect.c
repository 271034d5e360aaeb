#include "shards/inspect.h"

enum {
    HEAD_BYTES = 5
};

static const char *const reasons[] = {
#define REASON(name, text) text,
#include "shards/inspect.def"
#undef REASON
};

_Static_assert(countof(reasons) == INSPECT_REASONS, "a text for each");

const char *inspect_reason_text(enum inspect_reason r)
{
    return reasons[r];
}

/* ---- writing */

static size_t open_message(struct buffer *out, char type)
{
    size_t at = out->len;
    buffer_putc(out, type);
    buffer_put32(out, 0);
    return at;
}

static void close_message(struct buffer *out, size_t at)
{
    if (!out->full)
        store32(out->at + at + 1, (uint32_t)(out->len - at - HEAD_BYTES));
}

static void put_limits(struct buffer *out, const struct inspect_limits *l)
{
    buffer_put64(out, l->bytes);
    buffer_put64(out, l->expanded);
    buffer_put64(out, l->text);
    buffer_put32(out, l->members);
    buffer_put32(out, l->depth);
    buffer_put32(out, l->ratio);
    buffer_put32(out, l->time_ms);
}

void inspect_put_begin(struct buffer *out, const struct inspect_request *q)
{
    size_t at = open_message(out, 'B'), names = size_min(q->name_count, INSPECT_NAMES);
    buffer_put8(out, INSPECT_VERSION);
    put_limits(out, &q->limits);
    buffer_put8(out, (uint8_t)names);
    for (size_t i = 0; i < names; i++)
        buffer_put_bytes32(out, str_head(q->names[i], INSPECT_NAME_BYTES));
    buffer_put_bytes32(out, str_head(q->type, INSPECT_TYPE_BYTES));
    close_message(out, at);
}

void inspect_put_data(struct buffer *out, struct str bytes)
{
    must(bytes.len <= INSPECT_PIECE_BYTES);
    size_t at = open_message(out, 'D');
    buffer_put(out, bytes);
    close_message(out, at);
}

void inspect_put_end(struct buffer *out)
{
    (void)open_message(out, 'E');
}

void inspect_put_member(struct buffer *out, const struct inspect_member *m)
{
    size_t at = open_message(out, 'M');
    uint32_t cut = m->name.len > INSPECT_NAME_BYTES ? INSPECT_NAME_CUT : 0;
    buffer_put32(out, m->index);
    buffer_put32(out, m->parent);
    buffer_put8(out, (uint8_t)m->depth);
    buffer_put32(out, m->flags | cut);
    buffer_put64(out, m->bytes);
    buffer_put_bytes32(out, str_head(m->name, INSPECT_NAME_BYTES));
    buffer_put_bytes32(out, str_head(m->type, INSPECT_TYPE_BYTES));
    close_message(out, at);
}

void inspect_put_text(struct buffer *out, const struct inspect_text *t)
{
    must(t->bytes.len <= INSPECT_PIECE_BYTES);
    size_t at = open_message(out, 'T');
    buffer_put32(out, t->member);
    buffer_put8(out, (uint8_t)t->form);
    buffer_put_bytes32(out, str_head(t->charset, INSPECT_TYPE_BYTES));
    buffer_put(out, t->bytes);
    close_message(out, at);
}

void inspect_put_flag(struct buffer *out, const struct inspect_flagged *f)
{
    size_t at = open_message(out, 'F');
    buffer_put32(out, f->member);
    buffer_put32(out, f->flags);
    buffer_put8(out, (uint8_t)f->reason);
    buffer_put_bytes32(out, str_head(f->detail, INSPECT_DETAIL_BYTES));
    close_message(out, at);
}

void inspect_put_verdict(struct buffer *out, const struct inspect_end *e)
{
    size_t at = open_message(out, 'V');
    buffer_put8(out, (uint8_t)e->verdict);
    buffer_put8(out, (uint8_t)e->reason);
    buffer_put32(out, e->flags);
    buffer_put_bytes32(out, str_head(e->detail, INSPECT_DETAIL_BYTES));
    close_message(out, at);
}

/* ---- reading */

void inspect_reader_init_request(struct inspect_reader *r)
{
    *r = (struct inspect_reader){.asks = true};
    buffer_init(&r->held, INSPECT_MESSAGE_BYTES);
}

void inspect_reader_init_answer(struct inspect_reader *r, const struct inspect_limits *limits)
{
    *r = (struct inspect_reader){.limits = *limits};
    buffer_init(&r->held, INSPECT_MESSAGE_BYTES);
}

void inspect_reader_drop(struct inspect_reader *r)
{
    buffer_drop(&r->held);
}

static enum inspect_event broken(struct inspect_reader *r, const char *why)
{
    r->why = why;
    return INSPECT_BROKEN;
}

static bool take_bounded(struct str *in, size_t max, struct str *out)
{
    return take_bytes32(in, out) && out->len <= max;
}

static bool take_limits(struct str *in, struct inspect_limits *l)
{
    return take64(in, &l->bytes) && take64(in, &l->expanded) && take64(in, &l->text) &&
           take32(in, &l->members) && take32(in, &l->depth) && take32(in, &l->ratio) &&
           take32(in, &l->time_ms);
}

static enum inspect_event on_begin(struct inspect_reader *r, struct str in)
{
    struct inspect_request *q = &r->request;
    uint8_t version, names;
    bool good = take8(&in, &version) && version == INSPECT_VERSION &&
                take_limits(&in, &q->limits) && take8(&in, &names) && names <= INSPECT_NAMES;
    if (!good || r->begun)
        return broken(r, "no BEGIN of this version");
    for (q->name_count = 0; q->name_count < names; q->name_count++)
        if (!take_bounded(&in, INSPECT_NAME_BYTES, &q->names[q->name_count]))
            return broken(r, "a name that ends nowhere");
    if (!take_bounded(&in, INSPECT_TYPE_BYTES, &q->type) || in.len)
        return broken(r, "a type that ends nowhere");
    r->begun = true;
    return INSPECT_BEGIN;
}

static enum inspect_event on_request(struct inspect_reader *r, char type, struct str in)
{
    if (type == 'B')
        return on_begin(r, in);
    if (!r->begun)
        return broken(r, "no BEGIN first");
    if (type == 'D' && in.len <= INSPECT_PIECE_BYTES) {
        r->data = in;
        return INSPECT_DATA;
    }
    if (type != 'E' || in.len)
        return broken(r, "a message that workers do not send");
    r->over = true;
    return INSPECT_END;
}

static enum inspect_event on_member(struct inspect_reader *r, struct str in)
{
    struct inspect_member *m = &r->member;
    uint8_t depth;
    bool good = take32(&in, &m->index) && take32(&in, &m->parent) && take8(&in, &depth) &&
                take32(&in, &m->flags) && take64(&in, &m->bytes) &&
                take_bounded(&in, INSPECT_NAME_BYTES, &m->name) &&
                take_bounded(&in, INSPECT_TYPE_BYTES, &m->type) && in.len == 0;
    if (!good || m->flags >= INSPECT_FLAGS_END)
        return broken(r, "a member that is malformed");
    m->depth = depth;
    if (m->index != r->members || (m->index ? m->parent >= m->index : m->parent || m->depth))
        return broken(r, "a member out of order");
    if (m->index > r->limits.members || m->depth > r->limits.depth)
        return broken(r, "more members than it may tell");
    r->members++;
    r->flags |= m->flags;
    return INSPECT_MEMBER;
}

static enum inspect_event on_text(struct inspect_reader *r, struct str in)
{
    struct inspect_text *t = &r->piece;
    uint8_t form;
    if (!take32(&in, &t->member) || !take8(&in, &form) || form >= INSPECT_FORMS ||
        !take_bounded(&in, INSPECT_TYPE_BYTES, &t->charset) || in.len > INSPECT_PIECE_BYTES)
        return broken(r, "a text that is malformed");
    if (t->member >= r->members)
        return broken(r, "a text of nothing");
    r->text += in.len;
    if (r->text > r->limits.text)
        return broken(r, "more text than it may tell");
    t->form = (enum inspect_form)form;
    t->bytes = in;
    return INSPECT_TEXT;
}

static enum inspect_event on_flag(struct inspect_reader *r, struct str in)
{
    struct inspect_flagged *f = &r->flagged;
    uint8_t reason;
    if (!take32(&in, &f->member) || !take32(&in, &f->flags) || f->flags >= INSPECT_FLAGS_END ||
        !take8(&in, &reason) || reason >= INSPECT_REASONS ||
        !take_bounded(&in, INSPECT_DETAIL_BYTES, &f->detail) || in.len || f->member >= r->members)
        return broken(r, "a flag that is malformed");
    f->reason = (enum inspect_reason)reason;
    r->flags |= f->flags;
    return INSPECT_FLAG;
}

static enum inspect_event on_verdict(struct inspect_reader *r, struct str in)
{
    struct inspect_end *e = &r->end;
    uint8_t verdict, reason;
    if (!take8(&in, &verdict) || verdict > INSPECT_UNREADABLE || !take8(&in, &reason) ||
        reason >= INSPECT_REASONS || !take32(&in, &e->flags) ||
        !take_bounded(&in, INSPECT_DETAIL_BYTES, &e->detail) || in.len)
        return broken(r, "a verdict that is malformed");
    e->verdict = (enum inspect_verdict)verdict;
    e->reason = (enum inspect_reason)reason;
    if (e->flags != r->flags || (e->verdict == INSPECT_UNREADABLE) != (e->reason != 0))
        return broken(r, "a verdict that is not what was told");
    bool encrypted = r->flags & INSPECT_IS_ENCRYPTED, unreadable = r->flags & INSPECT_IS_UNREADABLE;
    if (unreadable ? e->verdict != INSPECT_UNREADABLE : encrypted && e->verdict == INSPECT_READABLE)
        return broken(r, "a verdict that is not what was told");
    if (r->members == 0 && e->verdict != INSPECT_UNREADABLE)
        return broken(r, "a verdict about nothing");
    r->over = true;
    return INSPECT_VERDICT;
}

static enum inspect_event on_message(struct inspect_reader *r, char type, struct str in)
{
    if (r->asks)
        return on_request(r, type, in);
    switch (type) {
    case 'M':
        return on_member(r, in);
    case 'T':
        return on_text(r, in);
    case 'F':
        return on_flag(r, in);
    case 'V':
        return on_verdict(r, in);
    default:
        return broken(r, "a message that the extractor does not send");
    }
}

/* Fill `held` up to `want` bytes. */
static bool fill(struct inspect_reader *r, struct str *in, size_t want)
{
    if (r->held.len < want && !r->held.full) {
        struct str some = str_head(*in, want - r->held.len);
        buffer_put(&r->held, some);
        *in = str_skip(*in, some.len);
    }
    return r->held.len >= want;
}

enum inspect_event inspect_feed(struct inspect_reader *r, struct str *in)
{
    if (r->why)
        return INSPECT_BROKEN;
    if (r->used)
        buffer_clear(&r->held);
    r->used = false;
    if (in->len && r->over)
        return broken(r, "something behind the end");
    if (in->len == 0)
        return INSPECT_MORE;
    if (!fill(r, in, HEAD_BYTES))
        return r->held.full ? broken(r, "no memory") : INSPECT_MORE;
    uint32_t len = load32(r->held.at + 1);
    if (len > INSPECT_MESSAGE_BYTES - HEAD_BYTES)
        return broken(r, "a message that is too long");
    if (!fill(r, in, HEAD_BYTES + len))
        return r->held.full ? broken(r, "no memory") : INSPECT_MORE;
    r->used = true;
    return on_message(r, r->held.at[0], str_skip(buffer_str(&r->held), HEAD_BYTES));
}
