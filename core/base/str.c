#include "core/base/str.h"

bool str_eq_nocase(struct str a, struct str b)
{
    if (a.len != b.len)
        return false;
    for (size_t i = 0; i < a.len; i++)
        if (char_lower(a.at[i]) != char_lower(b.at[i]))
            return false;
    return true;
}

bool str_starts(struct str s, struct str prefix)
{
    return s.len >= prefix.len && str_eq(str_head(s, prefix.len), prefix);
}

bool str_starts_nocase(struct str s, struct str prefix)
{
    return s.len >= prefix.len && str_eq_nocase(str_head(s, prefix.len), prefix);
}

bool str_ends_nocase(struct str s, struct str suffix)
{
    return s.len >= suffix.len && str_eq_nocase(str_skip(s, s.len - suffix.len), suffix);
}

int str_compare(struct str a, struct str b)
{
    size_t common = size_min(a.len, b.len);
    int order = common ? memcmp(a.at, b.at, common) : 0;
    if (order)
        return order;
    return a.len < b.len ? -1 : a.len > b.len;
}

size_t str_find(struct str s, char c)
{
    const char *hit = s.len ? memchr(s.at, c, s.len) : NULL;
    return hit ? (size_t)(hit - s.at) : SIZE_MAX;
}

size_t str_find_str(struct str s, struct str needle)
{
    const char *hit = s.len ? memmem(s.at, s.len, needle.at, needle.len) : NULL;
    return hit ? (size_t)(hit - s.at) : SIZE_MAX;
}

struct str str_cut(struct str *s, char c)
{
    size_t at = str_find(*s, c);
    struct str before = str_head(*s, at);
    *s = at == SIZE_MAX ? str_skip(*s, s->len) : str_skip(*s, at + 1);
    return before;
}

static bool is_blank(char c)
{
    return c == ' ' || c == '\t';
}

struct str str_word(struct str *s)
{
    size_t start = 0;
    while (start < s->len && is_blank(s->at[start]))
        start++;
    size_t end = start;
    while (end < s->len && !is_blank(s->at[end]))
        end++;
    struct str word = str_from(s->at + start, end - start);
    *s = str_skip(*s, end);
    return word;
}

static bool is_space(char c)
{
    return is_blank(c) || c == '\r' || c == '\n';
}

struct str str_trim(struct str s)
{
    while (s.len && is_space(s.at[0]))
        s = str_skip(s, 1);
    while (s.len && is_space(s.at[s.len - 1]))
        s.len--;
    return s;
}

bool str_to_c(struct str s, char *to, size_t room)
{
    to[0] = '\0';
    if (s.len >= room || str_find(s, '\0') != SIZE_MAX)
        return false;
    if (s.len)
        memcpy(to, s.at, s.len);
    to[s.len] = '\0';
    return true;
}

bool str_number(struct str s, uint64_t max, uint64_t *out)
{
    uint64_t value = 0;
    if (s.len == 0)
        return false;
    for (size_t i = 0; i < s.len; i++) {
        if (s.at[i] < '0' || s.at[i] > '9')
            return false;
        if (__builtin_mul_overflow(value, 10, &value) ||
            __builtin_add_overflow(value, (uint64_t)(s.at[i] - '0'), &value) || value > max)
            return false;
    }
    *out = value;
    return true;
}
