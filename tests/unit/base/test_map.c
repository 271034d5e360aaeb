#include "core/base/map.h"

#include "tests/unit/base/dice.h"
#include "tests/unit/harness.h"

enum {
    KEYS = 1000
};

static char values[KEYS]; /* their addresses */

/* Keys of many lengths, with NULs, some the beginning of another; key 0 is empty. */
static struct str key_of(size_t i, char *text)
{
    if (i == 0)
        return STR("");
    memset(text, 0, 24);
    text[0] = (char)i;
    text[1] = (char)(i >> 8);
    return str_from(text, 2 + i % 19);
}

static size_t index_of(const void *value)
{
    return (size_t)((const char *)value - values);
}

static void test_keys(void)
{
    struct map m;
    map_init(&m, 1);
    char copied[] = "key";
    expect(!map_get(&m, STR("")) && !map_remove(&m, STR("")), "empty map");
    map_set(&m, STR("a\0b"), &values[0]);
    map_set(&m, STR("a\0c"), &values[1]);
    map_set(&m, STR("a"), &values[2]);
    map_set(&m, STR(""), &values[3]);
    map_set(&m, str_c(copied), &values[4]);
    copied[0] = 'x';
    expect(map_get(&m, STR("key")) == &values[4], "keys are copied");
    expect(!map_get(&m, STR("a\0")) && !map_get(&m, STR("A")), "bytes, not text");
    expect(map_get(&m, STR("a\0b")) == &values[0], "NUL in a key");
    expect(map_get(&m, STR("a\0c")) == &values[1], "NUL in a key");
    expect(map_get(&m, STR("")) == &values[3], "empty key");
    map_set(&m, STR("a"), &values[5]);
    expect(map_get(&m, STR("a")) == &values[5] && m.count == 5, "replaced");
    expect(map_remove(&m, STR("a")) == &values[5] && m.count == 4, "removed");
    expect(!map_get(&m, STR("a")) && !map_remove(&m, STR("a")), "removed twice");
    map_drop(&m);
    expect(m.count == 0 && !map_get(&m, STR("key")), "dropped");
    map_set(&m, STR("k"), &values[1]);
    expect(map_get(&m, STR("k")) == &values[1], "usable after a drop");
    map_drop(&m);
}

/* Against an array, through growth and back. */
static void test_model(void)
{
    static char *model[KEYS];
    struct dice dice = {11};
    char text[24];
    struct map m;
    map_init(&m, 42);
    size_t count = 0;
    for (int step = 0; step < 20000; step++) {
        size_t i = dice_below(&dice, KEYS);
        bool fill = dice_below(&dice, 10) < (step < 10000 ? 7 : 3);
        struct str key = key_of(i, text);
        expect(map_get(&m, key) == model[i], "step %d: key %zu", step, i);
        if (fill) {
            count += !model[i];
            model[i] = &values[dice_below(&dice, KEYS)];
            map_set(&m, key, model[i]);
        } else {
            count -= model[i] != NULL;
            expect(map_remove(&m, key) == model[i], "step %d: key %zu", step, i);
            model[i] = NULL;
        }
        expect(m.count == count, "step %d: %zu, not %zu", step, m.count, count);
    }
    expect(m.slots > 16, "it has grown");
    map_drop(&m);
}

/* Walks over `keys` keys, removing every `remove`th of those just returned (0: none). */
static void check_walk(size_t keys, size_t remove)
{
    static uint8_t seen[KEYS];
    char text[24];
    struct map m;
    memset(seen, 0, sizeof seen);
    map_init(&m, keys * 31 + 1);
    for (size_t i = 0; i < keys; i++)
        map_set(&m, key_of(i, text), &values[i]);
    struct map_entry *at = NULL;
    struct str key;
    void *value;
    size_t steps = 0, removed = 0;
    while (map_next(&m, &at, &key, &value)) {
        size_t i = index_of(value);
        expect(i < keys && str_eq(key, key_of(i, text)), "%zu keys: a stranger", keys);
        seen[i]++;
        steps++;
        if (remove && steps % remove == 0) {
            expect(map_remove(&m, key_of(i, text)) == value, "%zu keys: removed", keys);
            removed++;
        }
    }
    expect(!map_next(&m, &at, &key, &value), "%zu keys: the end stays the end", keys);
    for (size_t i = 0; i < keys; i++)
        expect(seen[i] == 1, "%zu keys, %zu: key %zu seen %u times", keys, remove, i, seen[i]);
    expect(m.count == keys - removed, "%zu keys, %zu: %zu left", keys, remove, m.count);
    map_drop(&m);
}

static void test_walk(void)
{
    static const size_t counts[] = {0, 1, 2, 15, 16, 17, 33, KEYS};
    for (size_t i = 0; i < countof(counts); i++)
        for (size_t remove = 0; remove < 4; remove++)
            check_walk(counts[i], remove);
}

/* SipHash-1-3's own properties: every byte and the length count, and so does the seed. */
static void test_hash(void)
{
    char bytes[32] = {0};
    for (size_t len = 0; len < sizeof bytes; len++) {
        uint64_t whole = hash_bytes(str_from(bytes, len), 9);
        expect(whole != hash_bytes(str_from(bytes, len + 1), 9), "%zu zero bytes", len);
        expect(whole != hash_bytes(str_from(bytes, len), 10), "%zu: another seed", len);
        expect(whole == hash_bytes(str_from(bytes, len), 9), "%zu: the same twice", len);
        for (size_t i = 0; i < len; i++) {
            bytes[i] ^= 1;
            expect(whole != hash_bytes(str_from(bytes, len), 9), "%zu: byte %zu", len, i);
            bytes[i] ^= 1;
        }
    }
    /* a chain of 1000 keys in 1024 slots is short, whatever the keys look like */
    static uint8_t chain[1024];
    unsigned longest = 0;
    for (uint32_t i = 0; i < 1000; i++) {
        unsigned length = ++chain[hash_bytes(str_from((char *)&i, sizeof i), 3) & 1023];
        longest = length > longest ? length : longest;
    }
    expect(longest < 10, "%u keys in one slot", longest);
}

int main(void)
{
    const struct test tests[] = {
        {"keys", test_keys},
        {"growth and removal against an array", test_model},
        {"walk, and remove what was just returned", test_walk},
        {"hash", test_hash},
        {0},
    };
    return harness_run("map", tests);
}
