#include "core/base/list.h"

#include "core/base/lapse.h"
#include "tests/unit/harness.h"

struct letter {
    struct list link;
    char name;
};

static struct letter letters[6] = {{.name = 'a'}, {.name = 'b'}, {.name = 'c'},
                                   {.name = 'd'}, {.name = 'e'}, {.name = 'f'}};

/* The names in order, forwards; "?" when the way back is another one. */
static struct str names(const struct list *l, char *text)
{
    size_t len = 0, back = 0;
    list_each(at, l)
        text[len++] = owner_of(at, struct letter, link)->name;
    for (struct list *at = l->prev; at != l; at = at->prev, back++)
        if (back >= len || text[len - 1 - back] != owner_of(at, struct letter, link)->name)
            return STR("?");
    return back == len ? str_from(text, len) : STR("?");
}

static void fill(struct list *l, size_t from, size_t count)
{
    list_init(l);
    for (size_t i = 0; i < count; i++)
        list_append(l, &letters[from + i].link);
}

static void test_remove(void)
{
    static const char *const want[] = {"bcd", "acd", "abd", "abc"};
    char text[8];
    struct list l;
    for (size_t i = 0; i < 4; i++) {
        fill(&l, 0, 4);
        expect(list_linked(&letters[i].link) && !list_empty(&l), "linked");
        list_remove(&letters[i].link);
        expect_str(names(&l, text), str_c(want[i]), "removed");
        expect(!list_linked(&letters[i].link), "unlinked");
        list_remove(&letters[i].link);
        expect_str(names(&l, text), str_c(want[i]), "removed twice");
        list_append(&l, &letters[i].link);
        expect(l.prev == &letters[i].link, "appended again, at the end");
    }
    struct letter zero = {.name = 'z'};
    expect(!list_linked(&zero.link), "all zero is in no list");
    list_remove(&zero.link);
    expect(!list_linked(&zero.link), "removing it is harmless");
}

static void test_take(void)
{
    struct list l;
    fill(&l, 0, 3);
    for (size_t i = 0; i < 3; i++)
        expect(list_take(&l) == &letters[i].link, "first in, first out");
    expect(list_take(&l) == NULL && list_empty(&l), "empty");
}

static void test_splice(void)
{
    static const char *const want[3][3] = {{"", "d", "de"},
                                           {"a", "ad", "ade"},
                                           {"ab", "abd", "abde"}};
    char text[8];
    for (size_t i = 0; i < 3; i++)
        for (size_t j = 0; j < 3; j++) {
            struct list to, from;
            fill(&to, 0, i);
            fill(&from, 3, j);
            list_splice(&to, &from);
            expect_str(names(&to, text), str_c(want[i][j]), "spliced");
            expect(list_empty(&from), "nothing stays");
        }
}

static void test_each_safe(void)
{
    char text[8];
    for (unsigned gone = 0; gone < 16; gone++) {
        struct list l;
        size_t seen = 0, left = 0;
        fill(&l, 0, 4);
        list_each_safe(at, &l) {
            expect(at == &letters[seen].link, "set %u: in order", gone);
            if (gone >> seen++ & 1)
                list_remove(at);
        }
        char want[4];
        for (size_t i = 0; i < 4; i++)
            if (!(gone >> i & 1))
                want[left++] = letters[i].name;
        expect(seen == 4, "set %u: %zu seen", gone, seen);
        expect_str(names(&l, text), str_from(want, left), "removed while walking");
    }
}

static void test_lapse(void)
{
    struct lapse l;
    struct lapse_entry a = {0}, b = {0}, c = {0};
    lapse_init(&l, 100);
    expect(lapse_next(&l) == UINT64_MAX && !lapse_take(&l, UINT64_MAX), "none");
    lapse_start(&l, &a, 1000);
    lapse_start(&l, &b, 1010);
    lapse_start(&l, &c, 1010);
    expect(lapse_next(&l) == 1100, "the head");
    expect(!lapse_take(&l, 1000) && !lapse_take(&l, 1099), "not early");
    lapse_start(&l, &a, 1050); /* anew: behind the others */
    expect(lapse_next(&l) == 1110 && !lapse_take(&l, 1109), "started anew");
    expect(lapse_take(&l, 1110) == &b && !list_linked(&b.link), "at its time, stopped");
    lapse_stop(&c);
    lapse_stop(&c);
    expect(!lapse_take(&l, 1149) && lapse_next(&l) == 1150, "stopped, twice");
    expect(lapse_take(&l, 99999) == &a && !lapse_take(&l, 99999), "late, once");
    expect(lapse_next(&l) == UINT64_MAX, "none");
    lapse_init(&l, 0);
    lapse_start(&l, &a, 5);
    expect(lapse_next(&l) == 5 && lapse_take(&l, 5) == &a, "no length: at once");
}

int main(void)
{
    const struct test tests[] = {
        {"remove", test_remove}, {"take", test_take},
        {"splice", test_splice}, {"remove while walking", test_each_safe},
        {"lapse", test_lapse},   {0},
    };
    return harness_run("list", tests);
}
