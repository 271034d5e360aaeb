#include "core/base/setting_value.h"

#include "core/base/base.h"
#include "core/base/network.h"
#include "core/base/yaml.h"

#include <arpa/inet.h>

#include <stdio.h>

enum {
    WORD_BYTES = 64
}; /* longer words get no suggestion */

struct unit {
    struct str name;
    uint64_t factor;
};

/* Largest first: that is how they are written. */
static const struct unit durations[] = {
    {STR_INIT("d"), 86400000}, {STR_INIT("h"), 3600000}, {STR_INIT("m"), 60000},
    {STR_INIT("s"), 1000},     {STR_INIT("ms"), 1},
};
static const struct unit sizes[] = {
    {STR_INIT("TiB"), 1ull << 40}, {STR_INIT("TB"), 1000000000000}, {STR_INIT("GiB"), 1ull << 30},
    {STR_INIT("GB"), 1000000000},  {STR_INIT("MiB"), 1ull << 20},   {STR_INIT("MB"), 1000000},
    {STR_INIT("KiB"), 1ull << 10}, {STR_INIT("kB"), 1000},          {STR_INIT(""), 1},
};

static bool with_unit(struct str text, const struct unit *units, size_t count, uint64_t *out)
{
    size_t digits = 0;
    while (digits < text.len && text.at[digits] >= '0' && text.at[digits] <= '9')
        digits++;
    uint64_t number;
    if (!str_number(str_head(text, digits), UINT64_MAX, &number))
        return false;
    for (size_t i = 0; i < count; i++)
        if (str_eq(str_skip(text, digits), units[i].name))
            return !__builtin_mul_overflow(number, units[i].factor, out);
    return false;
}

bool setting_duration(struct str text, uint64_t *ms)
{
    return with_unit(text, durations, countof(durations), ms);
}

bool setting_size(struct str text, uint64_t *bytes)
{
    return with_unit(text, sizes, countof(sizes), bytes);
}

void setting_write_number(struct buffer *out, enum setting_type type, uint64_t number)
{
    if (type == SETTING_FLAG) {
        buffer_puts(out, number ? "on" : "off");
        return;
    }
    const struct unit *units = type == SETTING_DURATION ? durations : sizes;
    size_t count = type == SETTING_DURATION ? countof(durations) : countof(sizes);
    struct unit plain = {STR_INIT(""), 1};
    struct unit use = type == SETTING_DURATION ? durations[3] /* 0s */ : plain;
    for (size_t i = 0; i < count && number && type != SETTING_NUMBER; i++)
        if (number % units[i].factor == 0) {
            use = units[i];
            break;
        }
    buffer_printf(out, "%llu%.*s", (unsigned long long)(number / use.factor), STR_ARG(use.name));
}

/* Edits between two words, two neighbours changing places counted as one. */
static size_t distance(struct str a, struct str b)
{
    size_t line[3][WORD_BYTES + 1];
    for (size_t j = 0; j <= b.len; j++)
        line[0][j] = j;
    for (size_t i = 1; i <= a.len; i++) {
        size_t *now = line[i % 3], *above = line[(i + 2) % 3], *two = line[(i + 1) % 3];
        now[0] = i;
        for (size_t j = 1; j <= b.len; j++) {
            size_t same = char_lower(a.at[i - 1]) == char_lower(b.at[j - 1]);
            now[j] = size_min(above[j - 1] + !same, size_min(above[j], now[j - 1]) + 1);
            if (i > 1 && j > 1 && a.at[i - 1] == b.at[j - 2] && a.at[i - 2] == b.at[j - 1])
                now[j] = size_min(now[j], two[j - 2] + 1);
        }
    }
    return line[a.len % 3][b.len];
}

struct str setting_suggest(struct str word, const struct str *names, size_t count)
{
    struct str best = STR("");
    size_t least = word.len / 3 + 1;
    if (word.len < 2 || word.len > WORD_BYTES)
        return best;
    for (size_t i = 0; i < count; i++) {
        if (names[i].len == 0 || names[i].len > WORD_BYTES)
            continue;
        bool is_cut = word.len > 2 && word.len < names[i].len && str_starts_nocase(names[i], word);
        size_t away = is_cut ? 1 : distance(word, names[i]);
        if (away < least || (away == least && best.len == 0)) {
            least = away;
            best = names[i];
        }
    }
    return best;
}

static bool is_label_byte(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' ||
           c == '_';
}

static bool is_address(struct str address, int family)
{
    char text[INET6_ADDRSTRLEN];
    uint8_t bytes[16];
    return str_to_c(address, text, sizeof text) && inet_pton(family, text, bytes) == 1;
}

static bool is_name(struct str host)
{
    if (host.len == 0 || host.len > 253)
        return false;
    struct str rest = host;
    bool is_number = true;
    while (rest.len) {
        struct str label = str_cut(&rest, '.');
        if (label.len == 0 || label.len > 63 || label.at[0] == '-')
            return false;
        is_number = true;
        for (size_t i = 0; i < label.len; i++) {
            if (!is_label_byte(label.at[i]))
                return false;
            is_number &= label.at[i] >= '0' && label.at[i] <= '9';
        }
    }
    return !is_number && host.at[host.len - 1] != '.'; /* 300.0.0.1 is no name */
}

static bool is_host(struct str host)
{
    if (host.len > 2 && host.at[0] == '[' && host.at[host.len - 1] == ']')
        return is_address(str_from(host.at + 1, host.len - 2), AF_INET6);
    return is_address(host, AF_INET) || is_name(host);
}

static bool is_host_port(struct str text)
{
    size_t colon = text.len;
    while (colon > 0 && text.at[colon - 1] != ':')
        colon--;
    uint64_t port;
    return colon > 0 && is_host(str_head(text, colon - 1)) && text.len - colon <= 5 &&
           str_number(str_skip(text, colon), 65535, &port);
}

static bool is_control(struct str s)
{
    for (size_t i = 0; i < s.len; i++)
        if ((uint8_t)s.at[i] < 0x20 || s.at[i] == 0x7f)
            return true;
    return false;
}

static bool check_network(struct str value, struct complaint *why)
{
    struct network n;
    char text[64];
    struct buffer b = {.at = text, .room = sizeof text, .max = sizeof text};
    switch (network_parse(value, &n)) {
    case NETWORK_OK:
        return true;
    case NETWORK_BAD:
        (void)snprintf(why->text, sizeof why->text,
                       "'%s' is no network (192.0.2.0/24, 2001:db8::/32)", doc_show(value).at);
        return false;
    case NETWORK_HOST_BITS:
        network_write(&n, &b);
        (void)snprintf(why->text, sizeof why->text,
                       "'%s' has bits behind its prefix: %.*s is that network", doc_show(value).at,
                       STR_ARG(buffer_str(&b)));
        return false;
    }
    return false;
}

/* ADDRESS or ADDRESS=NAME. */
static bool check_source(struct str value, struct complaint *why)
{
    static const struct str nobodys[] = {STR_INIT("0.0.0.0/8"), STR_INIT("224.0.0.0/3"),
                                         STR_INIT("::/128"), STR_INIT("ff00::/8")};
    struct str name = value, address = str_cut(&name, '=');
    bool is_six = str_find(address, ':') != SIZE_MAX, has_name = address.len < value.len;
    const char *what = "no address, or ADDRESS=NAME";
    struct network n, range;
    bool is_right = is_address(address, is_six ? AF_INET6 : AF_INET) &&
                    network_parse(address, &n) == NETWORK_OK && (!has_name || is_name(name));
    for (size_t i = 0; i < countof(nobodys) && is_right; i++)
        if (network_parse(nobodys[i], &range) == NETWORK_OK &&
            network_holds(&range, n.at, n.bytes)) {
            is_right = false;
            what = "no address of a machine";
        }
    if (!is_right)
        (void)snprintf(
            why->text, sizeof why->text,
            "'%s' is %s (192.0.2.7, 192.0.2.7=mx1.example.jp, 2001:db8::7=mx1.example.jp)",
            doc_show(value).at, what);
    return is_right;
}

/* Settings whose text has a form of its own. */
static bool check_form(struct str name, struct str value, struct complaint *why)
{
    static const struct str hosts[] = {STR_INIT("relay_listen"), STR_INIT("submission_listen"),
                                       STR_INIT("submissions_listen"), STR_INIT("route"),
                                       STR_INIT("resolver")};
    static const struct str networks[] = {STR_INIT("limit_exempt"), STR_INIT("proxy_clients")};
    static const struct str levels[] = {STR_INIT("debug"), STR_INIT("info"), STR_INIT("warning"),
                                        STR_INIT("error")};
    for (size_t i = 0; i < countof(hosts); i++)
        if (str_eq(name, hosts[i]) && value.len && !is_host_port(value)) {
            (void)snprintf(
                why->text, sizeof why->text,
                "'%s' is not HOST:PORT (192.0.2.1:25, [2001:db8::1]:25, host.example:25)",
                doc_show(value).at);
            return false;
        }
    for (size_t i = 0; i < countof(networks); i++)
        if (str_eq(name, networks[i]))
            return check_network(value, why);
    if (str_eq(name, STR("outbound_addresses")))
        return check_source(value, why);
    if (!str_eq(name, STR("log_level")))
        return true;
    for (size_t i = 0; i < countof(levels); i++)
        if (str_eq(value, levels[i]))
            return true;
    (void)snprintf(why->text, sizeof why->text, "'%s' is not debug, info, warning or error",
                   doc_show(value).at);
    why->suggestion = setting_suggest(value, levels, countof(levels));
    return false;
}

static bool check_text(const struct setting_row *row, struct str value, struct complaint *why)
{
    uint64_t max = row->type == SETTING_LIST ? 255 : row->max;
    uint64_t min = row->type == SETTING_LIST ? 1 : row->min;
    if (value.len < min)
        (void)snprintf(why->text, sizeof why->text, "must not be empty");
    else if (value.len > max)
        (void)snprintf(why->text, sizeof why->text, "longer than %llu bytes",
                       (unsigned long long)max);
    else if (is_control(value))
        (void)snprintf(why->text, sizeof why->text, "has a control character");
    else
        return check_form(row->name, value, why);
    return false;
}

static bool check_range(const struct setting_row *row, uint64_t number, struct complaint *why)
{
    if (number >= row->min && number <= row->max)
        return true;
    char text[64];
    struct buffer b = {.at = text, .room = sizeof text, .max = sizeof text};
    setting_write_number(&b, row->type, number);
    buffer_puts(&b, " is out of range (");
    setting_write_number(&b, row->type, row->min);
    buffer_puts(&b, " to ");
    setting_write_number(&b, row->type, row->max);
    buffer_putc(&b, ')');
    if (!str_to_c(buffer_str(&b), why->text, sizeof why->text))
        why->text[0] = '\0';
    return false;
}

bool setting_check(const struct setting_row *row, struct str value, uint64_t *number,
                   struct complaint *why)
{
    static const struct str yes[] = {STR_INIT("true"), STR_INIT("yes"), STR_INIT("1")};
    static const char *const wanted[] = {
        [SETTING_NUMBER] = "a number",
        [SETTING_DURATION] = "a duration (50ms, 300s, 5m, 2h, 7d)",
        [SETTING_SIZE] = "a size (4096, 500kB, 10MiB)",
        [SETTING_FLAG] = "on or off",
    };
    bool is_right = false;
    *why = (struct complaint){.suggestion = STR("")};
    switch (row->type) {
    case SETTING_NUMBER:
        is_right = str_number(value, UINT64_MAX, number);
        break;
    case SETTING_DURATION:
        is_right = setting_duration(value, number);
        break;
    case SETTING_SIZE:
        is_right = setting_size(value, number);
        break;
    case SETTING_FLAG:
        is_right = str_eq(value, STR("on")) || str_eq(value, STR("off"));
        *number = str_eq(value, STR("on"));
        break;
    case SETTING_TEXT:
    case SETTING_LIST:
        return check_text(row, value, why);
    }
    if (is_right)
        return check_range(row, *number, why);
    (void)snprintf(why->text, sizeof why->text, "'%s' is not %s", doc_show(value).at,
                   wanted[row->type]);
    for (size_t i = 0; i < countof(yes) && row->type == SETTING_FLAG; i++)
        if (str_eq_nocase(value, yes[i]) || str_eq_nocase(value, STR("on")))
            why->suggestion = STR("on");
    if (row->type == SETTING_FLAG && why->suggestion.len == 0 &&
        (str_eq_nocase(value, STR("false")) || str_eq_nocase(value, STR("no")) ||
         str_eq_nocase(value, STR("off")) || str_eq(value, STR("0"))))
        why->suggestion = STR("off");
    return false;
}
