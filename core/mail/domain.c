#include "core/mail/domain.h"

#include "core/base/limit.h"
#include "core/mail/utf8.h"

#include <idn2.h>
#include <libpsl.h>

enum {
    LABEL_BYTES = 63,
    UNMAPPED_BYTES = 4 * LIMIT_DOMAIN_BYTES
};

static bool is_alnum(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9');
}

static bool is_digits(struct str s)
{
    for (size_t i = 0; i < s.len; i++)
        if (s.at[i] < '0' || s.at[i] > '9')
            return false;
    return true;
}

static enum domain_status check_label(struct str label)
{
    if (label.len == 0 || !is_alnum(label.at[0]) || !is_alnum(label.at[label.len - 1]))
        return DOMAIN_BAD;
    for (size_t i = 0; i < label.len; i++)
        if (!is_alnum(label.at[i]) && label.at[i] != '-')
            return DOMAIN_BAD;
    return label.len > LABEL_BYTES ? DOMAIN_LONG : DOMAIN_OK;
}

/* Lower-case letters, digits, hyphens and single dots; a last label of digits is an IPv4 address in
 * disguise (ADDR-13). */
static enum domain_status check_ascii(struct str domain)
{
    struct str rest = domain, label = {"", 0};
    enum domain_status status = DOMAIN_OK;
    while (status == DOMAIN_OK && str_find(rest, '.') != SIZE_MAX)
        status = check_label(str_cut(&rest, '.'));
    if (status == DOMAIN_OK) {
        label = rest;
        status = check_label(label);
    }
    if (status == DOMAIN_OK && is_digits(label))
        status = DOMAIN_BAD;
    if (status == DOMAIN_OK && domain.len > LIMIT_DOMAIN_BYTES)
        status = DOMAIN_LONG;
    return status;
}

static enum domain_status keep_lower(struct str in, struct arena *arena, struct str *out)
{
    char *at = arena_take(arena, in.len + 1);
    if (!at)
        return DOMAIN_NO_MEMORY;
    for (size_t i = 0; i < in.len; i++)
        at[i] = char_lower(in.at[i]);
    *out = str_from(at, in.len);
    return check_ascii(*out);
}

bool domain_is_plain_utf8(struct str s)
{
    while (s.len) {
        uint32_t c;
        size_t bytes = utf8_take(s, &c);
        if (!bytes || utf8_is_hidden(c) || utf8_is_control(c))
            return false;
        s = str_skip(s, bytes);
    }
    return true;
}

enum domain_status domain_to_ascii(struct str in, struct arena *arena, struct str *out)
{
    *out = str_from("", 0);
    if (in.len > UNMAPPED_BYTES)
        return DOMAIN_LONG;
    if (utf8_is_ascii(in))
        return keep_lower(in, arena, out);
    if (!domain_is_plain_utf8(in))
        return DOMAIN_BAD;

    struct str text = arena_copy(arena, in);
    if (!text.at)
        return DOMAIN_NO_MEMORY;
    uint8_t *name = NULL;
    int rc = idn2_lookup_u8((const uint8_t *)text.at, &name, IDN2_NFC_INPUT | IDN2_NONTRANSITIONAL);
    if (rc != IDN2_OK) {
        if (rc == IDN2_MALLOC)
            return DOMAIN_NO_MEMORY;
        return rc == IDN2_TOO_BIG_DOMAIN || rc == IDN2_TOO_BIG_LABEL ? DOMAIN_LONG : DOMAIN_BAD;
    }
    enum domain_status status = keep_lower(str_c((const char *)name), arena, out);
    idn2_free(name);
    return status;
}

bool domain_matches(struct str domain, struct str pattern)
{
    if (str_eq(pattern, STR("*")))
        return domain.len > 0;
    if (!str_starts(pattern, STR("*.")))
        return str_eq_nocase(domain, pattern);
    struct str suffix = str_skip(pattern, 1); /* ".int.example": the dot is the label boundary */
    return domain.len > suffix.len && suffix.len > 1 && str_ends_nocase(domain, suffix);
}

/* ---- organisations */

struct suffixes *suffixes_open(void)
{
    return (struct suffixes *)psl_latest(NULL);
}

void suffixes_close(struct suffixes **s_p)
{
    psl_free((psl_ctx_t *)*s_p); /* NULL and the built-in one are allowed */
    *s_p = NULL;
}

struct str domain_registrable(const struct suffixes *s, struct str domain)
{
    char text[LIMIT_DOMAIN_BYTES + 1];
    if (domain.len == 0 || domain.at[0] == '[' || domain.at[0] == '.' ||
        !str_to_c(domain, text, sizeof text))
        return str_from("", 0);
    const char *at = psl_registrable_domain((const psl_ctx_t *)s, text);
    return at ? str_skip(domain, (size_t)(at - text)) : str_from("", 0);
}

bool domain_same_organisation(const struct suffixes *s, struct str a, struct str b)
{
    if (str_eq(a, b))
        return true;
    struct str one = domain_registrable(s, a), two = domain_registrable(s, b);
    return one.len > 0 && str_eq(one, two);
}
