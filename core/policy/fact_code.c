/* Facts, version 1. Frozen: a change is another version. Integers are big-endian; a text is
 * length:4 and its bytes; a list is count:4 and its texts.
 *
 *   version:1 flags:1 (1 auto, 2 signed, 4 encrypted, 8 relations are known) time_ms:8 size:8
 *   sender, user, client (0, 4 or 16 bytes), dictionaries                          texts
 *   recipients, header recipients, unreadable, ambiguous, infected                 lists
 *   relations:4 of each recipient, if known
 *   count:4 of headers      name, value
 *   count:4 of attachments  names, declared type, true type, path, unreadable, bytes:8 offset:8
 *                           length:8 depth:4 flags:4
 *   count:4 of keywords     dictionary, place:1 (subject, body, file_name, file_text) count:4
 *                           text, where
 *   count:1 of kinds        count:4 of each, up to the last that is not 0
 */
#include "core/policy/fact_code.h"

#include "core/base/base.h"

enum {
    VERSION = 1,
    FLAG_AUTO = 1 << 0,
    FLAG_SIGNED = 1 << 1,
    FLAG_ENCRYPTED = 1 << 2,
    FLAG_RELATIONS = 1 << 3,
    FLAGS_ALL = (1 << 4) - 1,
    HEADER_LEAST = 8, /* bytes of the shortest entry */
    ATTACHMENT_LEAST = 52,
    KEYWORD_LEAST = 17,
};

static void put_list(struct buffer *out, const struct str_list *list)
{
    buffer_put32(out, (uint32_t)list->count);
    for (size_t i = 0; i < list->count; i++)
        buffer_put_bytes32(out, list->at[i]);
}

static void put_attachment(struct buffer *out, const struct attachment *a)
{
    put_list(out, &a->names);
    buffer_put_bytes32(out, a->declared_type);
    buffer_put_bytes32(out, a->true_type);
    buffer_put_bytes32(out, a->path);
    buffer_put_bytes32(out, a->unreadable);
    buffer_put64(out, a->bytes);
    buffer_put64(out, a->offset);
    buffer_put64(out, a->length);
    buffer_put32(out, a->depth);
    buffer_put32(out, a->flags);
}

static void put_keyword(struct buffer *out, const struct keyword_fact *k)
{
    buffer_put_bytes32(out, k->dictionary);
    buffer_put8(out, (uint8_t)k->place);
    buffer_put32(out, k->count);
    buffer_put_bytes32(out, k->text);
    buffer_put_bytes32(out, k->where);
}

static void put_front(struct buffer *out, const struct facts *f)
{
    buffer_put8(out, VERSION);
    buffer_put8(out, (uint8_t)((f->is_auto ? FLAG_AUTO : 0) | (f->is_signed ? FLAG_SIGNED : 0) |
                               (f->is_encrypted ? FLAG_ENCRYPTED : 0) |
                               (f->relations ? FLAG_RELATIONS : 0)));
    buffer_put64(out, f->time_ms);
    buffer_put64(out, f->size);
    buffer_put_bytes32(out, f->sender);
    buffer_put_bytes32(out, f->user);
    buffer_put_bytes32(out, f->client);
    buffer_put_bytes32(out, f->dictionaries);
    put_list(out, &f->recipients);
    put_list(out, &f->header_recipients);
    put_list(out, &f->unreadable);
    put_list(out, &f->ambiguous);
    put_list(out, &f->infected);
    for (size_t i = 0; f->relations && i < f->recipients.count; i++)
        buffer_put32(out, f->relations[i]);
}

bool facts_encode(const struct facts *f, struct buffer *out)
{
    struct buffer whole;
    uint8_t kinds = FACT_PERSONAL_MAX;
    buffer_init(&whole, FACTS_BYTES_MAX);
    put_front(&whole, f);
    buffer_put32(&whole, (uint32_t)f->header_count);
    for (size_t i = 0; i < f->header_count; i++) {
        buffer_put_bytes32(&whole, f->headers[i].name);
        buffer_put_bytes32(&whole, f->headers[i].value);
    }
    buffer_put32(&whole, (uint32_t)f->attachment_count);
    for (size_t i = 0; i < f->attachment_count; i++)
        put_attachment(&whole, &f->attachments[i]);
    buffer_put32(&whole, (uint32_t)f->keyword_count);
    for (size_t i = 0; i < f->keyword_count; i++)
        put_keyword(&whole, &f->keywords[i]);
    while (kinds > 0 && f->personal[kinds - 1] == 0)
        kinds--;
    buffer_put8(&whole, kinds);
    for (unsigned i = 0; i < kinds; i++)
        buffer_put32(&whole, f->personal[i]);
    bool fits = !whole.full;
    if (fits)
        buffer_put(out, buffer_str(&whole));
    buffer_drop(&whole);
    return fits && !out->full;
}

/* A count of entries that may still follow: what is allocated is bounded by what was given. */
static bool take_count(struct str *in, size_t least, uint32_t *count)
{
    return take32(in, count) && *count <= in->len / least;
}

static bool take_list(struct str *in, struct arena *arena, struct str_list *out)
{
    uint32_t count;
    if (!take_count(in, 4, &count))
        return false;
    struct str *at = arena_take(arena, (count + 1u) * sizeof *at);
    if (!at)
        return false;
    *out = (struct str_list){at, count};
    for (uint32_t i = 0; i < count; i++)
        if (!take_bytes32(in, &at[i]))
            return false;
    return true;
}

static bool take_relations(struct str *in, struct arena *arena, struct facts *f)
{
    uint32_t *at = arena_take(arena, (f->recipients.count + 1) * sizeof *at);
    for (size_t i = 0; at && i < f->recipients.count; i++)
        if (!take32(in, &at[i]))
            return false;
    f->relations = at;
    return at != NULL;
}

static bool take_front(struct str *in, struct arena *arena, struct facts *f)
{
    uint8_t version, flags;
    if (!take8(in, &version) || version != VERSION || !take8(in, &flags) || flags & ~FLAGS_ALL)
        return false;
    f->is_auto = flags & FLAG_AUTO;
    f->is_signed = flags & FLAG_SIGNED;
    f->is_encrypted = flags & FLAG_ENCRYPTED;
    if (!take64(in, &f->time_ms) || !take64(in, &f->size) || !take_bytes32(in, &f->sender) ||
        !take_bytes32(in, &f->user) || !take_bytes32(in, &f->client) ||
        !take_bytes32(in, &f->dictionaries))
        return false;
    if (f->client.len != 0 && f->client.len != 4 && f->client.len != 16)
        return false;
    return take_list(in, arena, &f->recipients) && take_list(in, arena, &f->header_recipients) &&
           take_list(in, arena, &f->unreadable) && take_list(in, arena, &f->ambiguous) &&
           take_list(in, arena, &f->infected) &&
           (!(flags & FLAG_RELATIONS) || take_relations(in, arena, f));
}

static bool take_headers(struct str *in, struct arena *arena, struct facts *f)
{
    uint32_t count;
    if (!take_count(in, HEADER_LEAST, &count))
        return false;
    struct header_fact *at = arena_take(arena, (count + 1u) * sizeof *at);
    for (uint32_t i = 0; at && i < count; i++)
        if (!take_bytes32(in, &at[i].name) || !take_bytes32(in, &at[i].value))
            return false;
    f->headers = at;
    f->header_count = count;
    return at != NULL;
}

static bool take_attachment(struct str *in, struct arena *arena, struct attachment *a)
{
    return take_list(in, arena, &a->names) && take_bytes32(in, &a->declared_type) &&
           take_bytes32(in, &a->true_type) && take_bytes32(in, &a->path) &&
           take_bytes32(in, &a->unreadable) && take64(in, &a->bytes) && take64(in, &a->offset) &&
           take64(in, &a->length) && take32(in, &a->depth) && take32(in, &a->flags);
}

static bool take_attachments(struct str *in, struct arena *arena, struct facts *f)
{
    uint32_t count;
    if (!take_count(in, ATTACHMENT_LEAST, &count))
        return false;
    struct attachment *at = arena_take(arena, (count + 1u) * sizeof *at);
    for (uint32_t i = 0; at && i < count; i++)
        if (!take_attachment(in, arena, &at[i]))
            return false;
    f->attachments = at;
    f->attachment_count = count;
    return at != NULL;
}

static bool take_keyword(struct str *in, struct keyword_fact *k)
{
    uint8_t place;
    if (!take_bytes32(in, &k->dictionary) || !take8(in, &place) || place >= MATCH_PLACES)
        return false;
    k->place = (enum match_place)place;
    return take32(in, &k->count) && take_bytes32(in, &k->text) && take_bytes32(in, &k->where);
}

static bool take_keywords(struct str *in, struct arena *arena, struct facts *f)
{
    uint32_t count;
    if (!take_count(in, KEYWORD_LEAST, &count))
        return false;
    struct keyword_fact *at = arena_take(arena, (count + 1u) * sizeof *at);
    for (uint32_t i = 0; at && i < count; i++)
        if (!take_keyword(in, &at[i]))
            return false;
    f->keywords = at;
    f->keyword_count = count;
    return at != NULL;
}

static bool take_personal(struct str *in, struct facts *f)
{
    uint8_t kinds;
    if (!take8(in, &kinds) || kinds > FACT_PERSONAL_MAX)
        return false;
    for (unsigned i = 0; i < kinds; i++)
        if (!take32(in, &f->personal[i]))
            return false;
    return kinds == 0 || f->personal[kinds - 1] != 0;
}

bool facts_decode(struct str in, struct arena *arena, struct facts *out)
{
    *out = (struct facts){0};
    return in.len <= FACTS_BYTES_MAX && take_front(&in, arena, out) &&
           take_headers(&in, arena, out) && take_attachments(&in, arena, out) &&
           take_keywords(&in, arena, out) && take_personal(&in, out) && in.len == 0;
}
