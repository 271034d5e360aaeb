/* view.c -- reading without the keeper: ids in batches by a cursor that is closed at once, so that
 * nobody stops the index from being reopened. */
#include "core/base/base.h"
#include "core/base/heap.h"
#include "storage/inside.h"

enum {
    BATCH = 64,
    DOCUMENT_BYTES_MAX = 16 << 20,
    KEY_BYTES_MAX = 4096
};

struct message *view_get(const struct partition *p, uint64_t id)
{
    return message_load(p->index, id);
}

struct view {
    const struct partition *p;
    enum view_order order;
    bool ended;
    struct key next; /* where the next batch starts */
    uint64_t id[BATCH];
    size_t at, count;
};

struct view *view_open(const struct partition *p, enum view_order order, uint64_t start,
                       bool finished)
{
    struct view *v = heap_take(sizeof *v);
    *v = (struct view){.p = p, .order = order};
    if (order == VIEW_BY_ID)
        v->next = key_64(finished ? KEY_STATES : KEY_LIVE, start);
    else
        v->next = key_64_64(KEY_DUE, start, 0);
    return v;
}

static void fill(struct view *v)
{
    v->at = v->count = 0;
    char kind = v->next.at[0];
    struct key until = key_start((enum index_key)(kind + 1));
    struct cursor *c = cursor_open(v->p->index, key_str(&v->next), key_str(&until));
    struct str key, value;
    enum index_result result = INDEX_ABSENT;
    while (c && v->count < BATCH && (result = cursor_next(c, &key, &value)) == INDEX_FOUND) {
        uint64_t id = load64(key.at + key.len - 8);
        if (v->order == VIEW_BY_ID)
            v->next = key_64((enum index_key)kind, id + 1);
        else
            v->next = key_64_64(KEY_DUE, load64(key.at + 1), id + 1);
        v->id[v->count++] = id;
    }
    cursor_close(&c);
    v->ended = result != INDEX_FOUND;
}

struct message *view_next(struct view *v)
{
    for (;;) {
        if (v->at == v->count && v->ended)
            return NULL;
        if (v->at == v->count)
            fill(v);
        while (v->at < v->count) {
            struct message *m = message_load(v->p->index, v->id[v->at++]);
            if (m)
                return m;
        }
    }
}

void view_close(struct view **v)
{
    heap_drop(*v);
    *v = NULL;
}

size_t view_by_sender(const struct partition *p, struct str sender, uint64_t *ids, size_t room)
{
    uint64_t hash = sender_hash(sender);
    struct key from = key_64(KEY_SENDER, hash), until = key_64_64(KEY_SENDER, hash, UINT64_MAX);
    struct cursor *c = cursor_open(p->index, key_str(&from), key_str(&until));
    struct str key, value;
    size_t count = 0;
    while (c && count < room && cursor_next(c, &key, &value) == INDEX_FOUND)
        if (key.len == 17)
            ids[count++] = ~load64(key.at + 9);
    cursor_close(&c);
    return count;
}

bool view_by_token(const struct partition *p, struct str token, uint64_t *id)
{
    struct buffer key, value;
    buffer_init(&key, KEY_BYTES_MAX);
    buffer_init(&value, KEY_BYTES_MAX);
    buffer_put8(&key, KEY_TOKEN);
    buffer_put(&key, token);
    bool found = token.len && !key.full &&
                 index_get(p->index, buffer_str(&key), &value) == INDEX_FOUND && value.len == 8;
    if (found)
        *id = load64(value.at);
    buffer_drop(&key);
    buffer_drop(&value);
    return found;
}

struct str view_document(const struct partition *p, struct str key, struct arena *arena)
{
    struct buffer name, value;
    buffer_init(&name, KEY_BYTES_MAX);
    buffer_init(&value, DOCUMENT_BYTES_MAX);
    buffer_put8(&name, KEY_DOCUMENT);
    buffer_put(&name, key);
    struct str found = {NULL, 0};
    if (!name.full && index_get(p->index, buffer_str(&name), &value) == INDEX_FOUND)
        found = arena_copy(arena, buffer_str(&value));
    buffer_drop(&name);
    buffer_drop(&value);
    return found;
}

struct view_documents {
    size_t prefix_bytes;
    struct buffer next; /* key of the next document at the least */
};

bool view_documents(const struct partition *p, struct str prefix, struct view_documents **cursor,
                    struct arena *arena, struct str *key, struct str *value)
{
    struct view_documents *d = *cursor;
    if (!d) {
        d = *cursor = heap_take(sizeof *d);
        buffer_init(&d->next, KEY_BYTES_MAX);
        buffer_put8(&d->next, KEY_DOCUMENT);
        buffer_put(&d->next, prefix);
    }
    struct key until = key_start((enum index_key)(KEY_DOCUMENT + 1));
    struct cursor *c =
        d->next.full ? NULL : cursor_open(p->index, buffer_str(&d->next), key_str(&until));
    struct str found, bytes;
    bool good = c && cursor_next(c, &found, &bytes) == INDEX_FOUND &&
                str_starts(str_skip(found, 1), prefix);
    if (good) {
        *key = arena_copy(arena, str_skip(found, 1));
        *value = arena_copy(arena, bytes);
        buffer_clear(&d->next);
        buffer_put(&d->next, found);
        buffer_put8(&d->next, 0); /* the least key behind it */
        good = key->at && value->at;
    }
    cursor_close(&c);
    if (!good)
        view_documents_close(cursor);
    return good;
}

void view_documents_close(struct view_documents **cursor)
{
    if (!*cursor)
        return;
    buffer_drop(&(*cursor)->next);
    heap_drop(*cursor);
    *cursor = NULL;
}
