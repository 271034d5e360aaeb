#include "core/policy/keyset.h"

#include "core/base/base.h"

#include <stdlib.h>

struct str key_of(struct str text, struct key_room *room)
{
    if (text.len > sizeof room->at)
        return STR("");
    for (size_t i = 0; i < text.len; i++)
        room->at[i] = char_lower(text.at[i]);
    return str_from(room->at, text.len);
}

static int order(const void *a, const void *b)
{
    return str_compare(*(const struct str *)a, *(const struct str *)b);
}

bool keyset_make(struct arena *a, const struct str *texts, size_t count, struct keyset *out)
{
    struct str *at = arena_take(a, (count + 1) * sizeof *at);
    struct key_room room;
    if (!at)
        return false;
    for (size_t i = 0; i < count; i++) {
        bool is_pattern = str_starts(texts[i], STR("*."));
        at[i] = arena_copy(a, key_of(str_skip(texts[i], is_pattern ? 1 : 0), &room));
        if (!at[i].at)
            return false;
    }
    qsort(at, count, sizeof *at, order);
    *out = (struct keyset){at, count};
    return true;
}

bool keyset_has(const struct keyset *s, struct str key)
{
    size_t low = 0, high = s->count;
    while (low < high && key.len) {
        size_t middle = low + (high - low) / 2;
        int way = str_compare(s->at[middle], key);
        if (way == 0)
            return true;
        if (way < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return false;
}

struct str keyset_domain(const struct keyset *s, struct str domain)
{
    if (keyset_has(s, domain))
        return domain;
    for (size_t i = 1; i < domain.len; i++)
        if (domain.at[i] == '.' && keyset_has(s, str_skip(domain, i)))
            return str_skip(domain, i);
    return STR("");
}
