#include "core/mail/html.h"

static const struct named {
    const char *name;
    uint32_t first, second;
} named[] = {

#define E(name, first, second) {name, first, second},
#include "core/mail/html_named.def"
#undef E
};

static const struct named *find(struct str name)
{
    size_t low = 0, high = countof(named);
    while (low < high) {
        size_t middle = (low + high) / 2;
        int order = str_compare(str_c(named[middle].name), name);
        if (order == 0)
            return &named[middle];
        if (order < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return NULL;
}

size_t html_named(struct str name, uint32_t *first, uint32_t *second)
{
    for (size_t len = name.len; len; len--) { /* "notit;" is "not" and "it;" */
        const struct named *n = find(str_head(name, len));
        if (!n)
            continue;
        *first = n->first;
        *second = n->second;
        return len;
    }
    return 0;
}
