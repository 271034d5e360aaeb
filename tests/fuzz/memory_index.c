/* memory_index.c -- storage/index.h over a sorted array: for fuzzers, which have no time to open a
 * RocksDB a thousand times a second. Takes the place of storage/index.c. */
#include "storage/index.h"

#include "core/base/heap.h"

struct entry {
    struct str key, value; /* owned; a value without `at` deletes */
};

struct table {
    struct entry *at;
    size_t count, room;
};

struct index {
    struct table kept, batch;
    bool open, suspect;
};

struct cursor {
    struct index *ix;
    struct buffer next, until;
    struct buffer value;
    bool started;
};

static struct str own(struct str s)
{
    char *at = heap_take(s.len ? s.len : 1);
    memcpy(at, s.at, s.len);
    return str_from(at, s.len);
}

static void disown(struct str *s)
{
    heap_drop((void *)(uintptr_t)s->at);
    *s = (struct str){NULL, 0};
}

static size_t place_of(const struct table *t, struct str key)
{
    size_t low = 0, high = t->count;
    while (low < high) {
        size_t middle = (low + high) / 2;
        if (str_compare(t->at[middle].key, key) < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

static struct entry *find(const struct table *t, struct str key)
{
    size_t i = place_of(t, key);
    return i < t->count && str_eq(t->at[i].key, key) ? &t->at[i] : NULL;
}

static void put(struct table *t, struct str key, const struct str *value)
{
    struct entry *e = find(t, key);
    if (!e) {
        size_t i = place_of(t, key);
        if (t->count == t->room) {
            t->room = t->room ? t->room * 2 : 64;
            t->at = heap_grow(t->at, t->room * sizeof *t->at);
            must(t->at != NULL);
        }
        memmove(t->at + i + 1, t->at + i, (t->count - i) * sizeof *t->at);
        t->count++;
        e = &t->at[i];
        *e = (struct entry){.key = own(key)};
    }
    disown(&e->value);
    if (value)
        e->value = own(*value);
}

static void take_out(struct table *t, struct entry *e)
{
    size_t i = (size_t)(e - t->at);
    disown(&e->key);
    disown(&e->value);
    memmove(t->at + i, t->at + i + 1, (t->count - i - 1) * sizeof *t->at);
    t->count--;
}

static void empty(struct table *t)
{
    while (t->count)
        take_out(t, &t->at[t->count - 1]);
    heap_drop(t->at);
    *t = (struct table){.at = NULL};
}

void index_thread_start(void)
{
}

struct index *index_make(const char *path)
{
    (void)path;
    return heap_take(sizeof(struct index));
}

void index_close(struct index **ix_p)
{
    if (!*ix_p)
        return;
    empty(&(*ix_p)->kept);
    empty(&(*ix_p)->batch);
    heap_drop(*ix_p);
    *ix_p = NULL;
}

void index_shut(struct index *ix)
{
    ix->open = false;
}

bool index_open(struct index *ix, struct buffer *error)
{
    (void)error;
    ix->open = true;
    return true;
}

void index_place(struct index *ix, const char *path)
{
    (void)ix;
    (void)path;
}

void index_destroy(struct index *ix)
{
    empty(&ix->kept);
}

bool index_is_suspect(const struct index *ix)
{
    return ix->suspect;
}

void index_suspect(struct index *ix)
{
    ix->suspect = true;
}

enum index_result index_get(struct index *ix, struct str key, struct buffer *value)
{
    const struct entry *e = find(&ix->kept, key);
    if (!ix->open)
        return INDEX_BROKEN;
    if (!e)
        return INDEX_ABSENT;
    buffer_put(value, e->value);
    return INDEX_FOUND;
}

enum index_result index_get_durable(struct index *ix, struct str key, struct buffer *value)
{
    return index_get(ix, key, value);
}

void index_put(struct index *ix, struct str key, struct str value)
{
    put(&ix->batch, key, &value);
}

void index_delete(struct index *ix, struct str key)
{
    put(&ix->batch, key, NULL);
}

bool index_write(struct index *ix)
{
    for (size_t i = 0; i < ix->batch.count; i++) {
        const struct entry *e = &ix->batch.at[i];
        struct entry *old = find(&ix->kept, e->key);
        if (e->value.at)
            put(&ix->kept, e->key, &e->value);
        else if (old)
            take_out(&ix->kept, old);
    }
    index_forget(ix);
    return ix->open;
}

void index_forget(struct index *ix)
{
    empty(&ix->batch);
}

bool index_flush(struct index *ix, bool wait)
{
    (void)wait;
    return ix->open;
}

struct cursor *cursor_open(struct index *ix, struct str from, struct str until)
{
    if (!ix->open)
        return NULL;
    struct cursor *c = heap_take(sizeof *c);
    c->ix = ix;
    buffer_init(&c->next, 1 << 24);
    buffer_init(&c->until, 1 << 24);
    buffer_init(&c->value, 1 << 24);
    buffer_put(&c->next, from);
    buffer_put(&c->until, until);
    return c;
}

void cursor_seek(struct cursor *c, struct str key)
{
    c->started = false;
    buffer_clear(&c->next);
    buffer_put(&c->next, key);
}

enum index_result cursor_next(struct cursor *c, struct str *key, struct str *value)
{
    const struct table *t = &c->ix->kept;
    size_t i = place_of(t, buffer_str(&c->next));
    if (c->started && i < t->count && str_eq(t->at[i].key, buffer_str(&c->next)))
        i++;
    if (i == t->count || str_compare(t->at[i].key, buffer_str(&c->until)) >= 0)
        return INDEX_ABSENT;
    cursor_seek(c, t->at[i].key);
    c->started = true;
    buffer_clear(&c->value);
    buffer_put(&c->value, t->at[i].value);
    *key = buffer_str(&c->next);
    *value = buffer_str(&c->value);
    return INDEX_FOUND;
}

void cursor_close(struct cursor **c_p)
{
    if (!*c_p)
        return;
    buffer_drop(&(*c_p)->next);
    buffer_drop(&(*c_p)->until);
    buffer_drop(&(*c_p)->value);
    heap_drop(*c_p);
    *c_p = NULL;
}
