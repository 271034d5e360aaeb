#include "core/mail/address.h"

#include "core/base/limit.h"
#include "core/mail/domain.h"
#include "core/mail/utf8.h"

#include <arpa/inet.h>

static bool is_atext(char c)
{
    if ((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9'))
        return true;
    return (unsigned char)c >= 0x80 || str_find(STR("!#$%&'*+-/=?^_`{|}~"), c) != SIZE_MAX;
}

static bool is_dot_atom(struct str s)
{
    bool dot = true;
    for (size_t i = 0; i < s.len; i++) {
        if (s.at[i] == '.' ? dot : !is_atext(s.at[i]))
            return false;
        dot = s.at[i] == '.';
    }
    return !dot;
}

/* Position of `c` outside quotes and literals, or SIZE_MAX. An unclosed quote hides the rest. */
static size_t find_unquoted(struct str s, char c)
{
    bool quoted = false;
    for (size_t i = 0; i < s.len; i++) {
        if (quoted && s.at[i] == '\\')
            i++;
        else if (s.at[i] == '"')
            quoted = !quoted;
        else if (!quoted && s.at[i] == c)
            return i;
    }
    return SIZE_MAX;
}

bool address_cut_path(struct str *in, struct str *path)
{
    if (in->len == 0 || in->at[0] != '<')
        return false;
    size_t end = find_unquoted(*in, '>');
    if (end == SIZE_MAX)
        return false;
    *path = str_head(*in, end + 1);
    *in = str_skip(*in, end + 1);
    return true;
}

/* "@a.example,@b.example:" before the mailbox: names are checked, then forgotten. */
static bool drop_route(struct str *in, struct arena *arena)
{
    size_t colon = str_find(*in, ':');
    if (colon == SIZE_MAX)
        return false;
    struct str route = str_head(*in, colon), ignored;
    *in = str_skip(*in, colon + 1);
    if (route.len == 0 || route.at[route.len - 1] == ',')
        return false;
    while (route.len) {
        struct str hop = str_cut(&route, ',');
        if (hop.len < 2 || hop.at[0] != '@' ||
            domain_to_ascii(str_skip(hop, 1), arena, &ignored) != DOMAIN_OK)
            return false;
    }
    return true;
}

/* The content of "..." into `plain`; false: other bytes than printable ASCII, blanks and UTF-8. */
static bool unquote(struct str quoted, char *plain, size_t *len)
{
    if (quoted.len < 2 || quoted.at[quoted.len - 1] != '"')
        return false;
    *len = 0;
    for (size_t i = 1; i < quoted.len - 1; i++) {
        char c = quoted.at[i];
        if (c == '"')
            return false;
        if (c == '\\') {
            if (++i == quoted.len - 1)
                return false;
            c = quoted.at[i];
        }
        if (((unsigned char)c < ' ' || c == 0x7F))
            return false;
        plain[(*len)++] = c;
    }
    return true;
}

/* The one spelling of a quoted local part: bare if it can be, else with the fewest backslashes. */
static enum address_status requote(struct str quoted, struct arena *arena, struct str *out)
{
    char *plain = arena_take(arena, quoted.len + 1);
    char *again = arena_take(arena, 2 * quoted.len + 2);
    size_t len, at = 0;
    if (!plain || !again)
        return ADDRESS_NO_MEMORY;
    if (!unquote(quoted, plain, &len))
        return ADDRESS_BAD;
    *out = str_from(plain, len);
    if (is_dot_atom(*out))
        return ADDRESS_OK;
    again[at++] = '"';
    for (size_t i = 0; i < len; i++) {
        if (plain[i] == '"' || plain[i] == '\\')
            again[at++] = '\\';
        again[at++] = plain[i];
    }
    again[at++] = '"';
    *out = str_from(again, at);
    return ADDRESS_OK;
}

/* "[192.0.2.1]" and "[IPv6:2001:db8::1]", written anew by the C library. */
static enum address_status parse_literal(struct str in, struct arena *arena, struct str *out)
{
    char text[INET6_ADDRSTRLEN] = "", clean[INET6_ADDRSTRLEN];
    unsigned char raw[16];
    bool six = str_starts_nocase(in, STR("[IPv6:"));
    struct str inside = str_skip(in, six ? 6 : 1);
    if (inside.len < 2 || inside.at[inside.len - 1] != ']' || inside.len > sizeof text)
        return ADDRESS_BAD_DOMAIN;
    memcpy(text, inside.at, inside.len - 1);
    text[inside.len - 1] = '\0';
    int family = six ? AF_INET6 : AF_INET;
    if (strlen(text) != inside.len - 1 || inet_pton(family, text, raw) != 1 ||
        !inet_ntop(family, raw, clean, sizeof clean))
        return ADDRESS_BAD_DOMAIN;

    struct str lead = str_head(STR("[IPv6:"), six ? 6 : 1), body = str_c(clean);
    char *at = arena_take(arena, lead.len + body.len + 1);
    if (!at)
        return ADDRESS_NO_MEMORY;
    memcpy(at, lead.at, lead.len);
    memcpy(at + lead.len, body.at, body.len);
    at[lead.len + body.len] = ']';
    *out = str_from(at, lead.len + body.len + 1);
    return ADDRESS_OK;
}

static enum address_status parse_local(struct str in, struct arena *arena, struct str *out)
{
    if (in.len == 0 || !domain_is_plain_utf8(in))
        return ADDRESS_BAD;
    if (in.at[0] == '"') {
        enum address_status status = requote(in, arena, out);
        if (status != ADDRESS_OK)
            return status;
    } else {
        if (!is_dot_atom(in))
            return ADDRESS_BAD;
        *out = arena_copy(arena, in);
        if (!out->at)
            return ADDRESS_NO_MEMORY;
    }
    return out->len > LIMIT_LOCAL_BYTES ? ADDRESS_LONG : ADDRESS_OK;
}

static enum address_status parse_domain(struct str in, struct arena *arena, struct address *out)
{
    if (in.len && in.at[0] == '[') {
        out->literal = true;
        return parse_literal(in, arena, &out->domain);
    }
    switch (domain_to_ascii(in, arena, &out->domain)) {
    case DOMAIN_OK:
        return ADDRESS_OK;
    case DOMAIN_LONG:
        return ADDRESS_LONG;
    case DOMAIN_NO_MEMORY:
        return ADDRESS_NO_MEMORY;
    case DOMAIN_BAD:
    default:
        return ADDRESS_BAD_DOMAIN;
    }
}

static enum address_status join(struct arena *arena, struct address *a)
{
    size_t len = a->local.len + 1 + a->domain.len;
    char *at = arena_take(arena, len + 1);
    if (!at)
        return ADDRESS_NO_MEMORY;
    memcpy(at, a->local.at, a->local.len);
    at[a->local.len] = '@';
    memcpy(at + a->local.len + 1, a->domain.at, a->domain.len);
    a->whole = str_from(at, len);
    return len + 2 > LIMIT_PATH_BYTES ? ADDRESS_LONG : ADDRESS_OK;
}

enum address_status address_parse(struct str in, unsigned flags, struct arena *arena,
                                  struct address *out)
{
    const struct str none = {"", 0};
    *out = (struct address){.local = none, .domain = none, .whole = none};
    if (in.len == 0)
        return flags & ADDRESS_NULL ? ADDRESS_OK : ADDRESS_BAD;
    if (!utf8_is_ascii(in)) {
        if (!utf8_is_valid(in))
            return ADDRESS_BAD;
        if (!(flags & ADDRESS_UTF8))
            return ADDRESS_NEEDS_UTF8;
    }
    if (flags & ADDRESS_POSTMASTER && str_eq_nocase(in, STR("postmaster"))) {
        out->local = out->whole = arena_copy(arena, in);
        return out->whole.at ? ADDRESS_OK : ADDRESS_NO_MEMORY;
    }
    if (in.at[0] == '@' && !drop_route(&in, arena))
        return ADDRESS_BAD;

    size_t at = find_unquoted(in, '@');
    if (at == SIZE_MAX)
        return ADDRESS_BAD;
    enum address_status status = parse_local(str_head(in, at), arena, &out->local);
    if (status == ADDRESS_OK)
        status = parse_domain(str_skip(in, at + 1), arena, out);
    if (status == ADDRESS_OK)
        status = join(arena, out);
    out->utf8 = status == ADDRESS_OK && !utf8_is_ascii(out->local);
    return status;
}

enum address_status address_parse_path(struct str in, unsigned flags, struct arena *arena,
                                       struct address *out)
{
    *out = (struct address){{"", 0}, {"", 0}, {"", 0}, false, false};
    if (in.len < 2 || in.at[0] != '<' || in.at[in.len - 1] != '>')
        return ADDRESS_BAD;
    return address_parse(str_from(in.at + 1, in.len - 2), flags, arena, out);
}

enum reply address_refusal(enum address_status status, unsigned flags)
{
    bool sender = flags & ADDRESS_NULL;
    switch (status) {
    case ADDRESS_NEEDS_UTF8:
        return REPLY_553_UTF8;
    case ADDRESS_NO_MEMORY:
        return REPLY_452_MEMORY;
    case ADDRESS_OK:
    case ADDRESS_BAD:
    case ADDRESS_BAD_DOMAIN:
    case ADDRESS_LONG:
    default:
        return sender ? REPLY_501_SENDER_SYNTAX : REPLY_501_RECIPIENT_SYNTAX;
    }
}

bool address_eq(const struct address *a, const struct address *b)
{
    return str_eq(a->local, b->local) && str_eq_nocase(a->domain, b->domain);
}
