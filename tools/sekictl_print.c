/* sekictl_print.c -- rows for people: tables of at most 100 columns, wide letters count as two. */
#include "core/mail/utf8.h"
#include "tools/sekictl.h"

#include <string.h>
#include <time.h>

static struct str text_of(const struct js_value *row, const char *key)
{
    return js_member_str(row, key);
}

static uint64_t number_of(const struct js_value *row, const char *key)
{
    return js_member_u64(row, key);
}

static bool flag_of(const struct js_value *row, const char *key)
{
    bool flag = false;
    return js_get_flag(js_member(row, key), &flag) && flag;
}

/* JSON escapes C0; the rest of what a terminal obeys, or shows in another order, is escaped here.
 * It stands in strings only. */
static void put_escaped(struct str json)
{
    uint32_t c;
    for (size_t length; (length = utf8_take(json, &c)) > 0; json = str_skip(json, length)) {
        if (c < 0x7f || !(utf8_is_control(c) || utf8_is_hidden(c)))
            (void)fwrite(json.at, 1, length, stdout);
        else if (c < 0x10000)
            (void)printf("\\u%04x", c);
        else
            (void)printf("\\u%04x\\u%04x", 0xd7c0 + (c >> 10), 0xdc00 + (c & 0x3ff));
    }
}

void print_json(const struct js_value *row)
{
    struct buffer line;
    buffer_init(&line, 64 << 20);
    js_write_value(&line, row);
    put_escaped(buffer_str(&line));
    (void)fputc('\n', stdout);
    buffer_drop(&line);
}

/* --- times and sizes ------------------------------------------------------------------------- */

/* "2026-11-24T04:38:46.123Z" -> seconds; false: none. */
static bool parse_stamp(struct str stamp, time_t *seconds)
{
    char text[32];
    struct tm t = {0};
    if (stamp.len < 19 || stamp.len >= sizeof text)
        return false;
    memcpy(text, stamp.at, stamp.len);
    text[stamp.len] = '\0';
    if (!strptime(text, "%Y-%m-%dT%H:%M:%S", &t))
        return false;
    *seconds = timegm(&t);
    return true;
}

/* The two largest units: "4m58s", "2h10m", "6d23h". */
static void put_span(struct buffer *out, long seconds)
{
    if (seconds < 60)
        buffer_printf(out, "%lds", seconds);
    else if (seconds < 3600)
        buffer_printf(out, "%ldm%02lds", seconds / 60, seconds % 60);
    else if (seconds < 86400)
        buffer_printf(out, "%ldh%02ldm", seconds / 3600, seconds / 60 % 60);
    else
        buffer_printf(out, "%ldd%02ldh", seconds / 86400, seconds / 3600 % 24);
}

/* How far ahead a time lies; "-" when it is past or there is none. */
static void put_ahead(struct buffer *out, struct str stamp)
{
    time_t at;
    time_t now = time(NULL);
    if (parse_stamp(stamp, &at) && at > now)
        put_span(out, at - now);
    else
        buffer_puts(out, "-");
}

static void put_bytes(struct buffer *out, uint64_t bytes)
{
    static const char units[] = "BKMGTP";
    double value = (double)bytes;
    size_t unit = 0;
    for (; value >= 1000 && unit + 2 < sizeof units; unit++)
        value /= 1024;
    buffer_printf(out, unit && value < 10 ? "%.1f%c" : "%.0f%c", value, units[unit]);
}

static void print_column(struct buffer *cell, unsigned columns)
{
    print_text(stdout, buffer_str(cell), columns);
    (void)fputc(' ', stdout);
    buffer_clear(cell);
}

/* --- list ------------------------------------------------------------------------------------ */

static void print_list(const struct js_value *row)
{
    static bool titled;
    struct buffer cell;
    buffer_init(&cell, 1 << 20);
    const struct js_value *recipients = js_member(row, "recipients");
    size_t count = 0;
    while (js_element(recipients, count))
        count++;
    if (!titled)
        (void)printf("%-13s %-9s %-6s %-4s %-20s %-20s %s\n", "ID", "STATE", "IN", "SIZE", "FROM",
                     "TO", "SUBJECT");
    titled = true;
    buffer_put(&cell, text_of(row, "id"));
    print_column(&cell, 13);
    buffer_put(&cell, text_of(row, "state"));
    print_column(&cell, 9);
    put_ahead(&cell, text_of(row, "release_at"));
    print_column(&cell, 6);
    put_bytes(&cell, number_of(row, "size"));
    print_column(&cell, 4);
    buffer_put(&cell, text_of(row, "sender").len ? text_of(row, "sender") : STR("<>"));
    print_column(&cell, 20);
    if (count > 1)
        buffer_printf(&cell, "%zu: ", count);
    buffer_put(&cell, text_of(js_element(recipients, 0), "address"));
    print_column(&cell, 20);
    struct str subject = text_of(row, "subject");
    print_text(stdout, subject, text_columns(subject) > 20 ? 20 : 0);
    (void)fputc('\n', stdout);
    buffer_drop(&cell);
}

/* --- show, explain --------------------------------------------------------------------------- */

static void print_pair(const char *name, struct str value)
{
    if (!value.len)
        return;
    (void)printf("%-13s ", name);
    print_text(stdout, value, 0);
    (void)fputc('\n', stdout);
}

static void print_recipient(const struct js_value *r, bool explain)
{
    struct str last = text_of(r, "last");
    (void)fputs("\n  ", stdout);
    print_text(stdout, text_of(r, "address"), 0);
    (void)fputc('\n', stdout);
    print_pair("    state", text_of(r, "state"));
    print_pair("    why", text_of(r, "why"));
    print_pair("    class", text_of(r, "class"));
    print_pair("    form", text_of(r, "form"));
    print_pair("    rule", text_of(r, "rule"));
    print_pair("    release", text_of(r, "release_at"));
    print_pair("    due", text_of(r, "due_at"));
    if (number_of(r, "attempts") || explain)
        (void)printf("%-13s %llu\n", "    attempts", (unsigned long long)number_of(r, "attempts"));
    print_pair("    last", last.len || !explain ? last : STR("no attempt was made"));
    if (flag_of(r, "exposed"))
        print_pair("    note", STR("an attempt may have reached a server"));
}

static void print_mail(const struct js_value *row, bool explain)
{
    print_pair("id", text_of(row, "id"));
    print_pair("state", text_of(row, "state"));
    print_pair("subject", text_of(row, "subject"));
    print_pair("sender", text_of(row, "sender").len ? text_of(row, "sender") : STR("<>"));
    print_pair("organisation", text_of(row, "organisation"));
    print_pair("accepted", text_of(row, "accepted_at"));
    print_pair("release", text_of(row, "release_at"));
    if (!explain) {
        (void)printf("%-13s %llu bytes\n", "size", (unsigned long long)number_of(row, "size"));
        print_pair("kind", text_of(row, "kind"));
        print_pair("user", text_of(row, "user"));
        print_pair("client", text_of(row, "client"));
        print_pair("message-id", text_of(row, "message_id"));
        print_pair("about", text_of(row, "parent"));
    }
    const struct js_value *recipients = js_member(row, "recipients");
    for (size_t i = 0; js_element(recipients, i); i++)
        print_recipient(js_element(recipients, i), explain);
}

static void print_show(const struct js_value *row)
{
    print_mail(row, false);
}

static void print_explain(const struct js_value *row)
{
    print_mail(row, true);
}

/* --- status ---------------------------------------------------------------------------------- */

static void print_partition(const struct js_value *p)
{
    struct buffer cell;
    buffer_init(&cell, 256);
    (void)printf("%-9llu %-6s %9llu %9llu ", (unsigned long long)number_of(p, "partition"),
                 text_of(p, "state").at, (unsigned long long)number_of(p, "messages"),
                 (unsigned long long)number_of(p, "held"));
    put_bytes(&cell, number_of(p, "live_bytes"));
    print_column(&cell, 6);
    put_bytes(&cell, number_of(p, "free_bytes"));
    print_column(&cell, 6);
    (void)printf("%8.1f ms %8.1f ms\n", (double)number_of(p, "commit_p50_us") / 1000,
                 (double)number_of(p, "commit_p99_us") / 1000);
    buffer_drop(&cell);
}

static void print_status(const struct js_value *row)
{
    struct buffer text;
    const struct js_value *clock = js_member(row, "clock");
    const struct js_value *partitions = js_member(row, "partitions");
    const struct js_value *counters = js_member(row, "counters");
    buffer_init(&text, 256);
    print_pair("version", text_of(row, "version"));
    put_span(&text, (long)(number_of(row, "uptime_ms") / 1000));
    print_pair("uptime", buffer_str(&text));
    buffer_clear(&text);
    buffer_printf(&text, "%llu", (unsigned long long)number_of(row, "shards"));
    print_pair("shards", buffer_str(&text));
    buffer_clear(&text);
    buffer_printf(&text, "%llu", (unsigned long long)number_of(row, "organisations"));
    print_pair("organisations", buffer_str(&text));
    buffer_clear(&text);
    buffer_puts(&text, text_of(clock, "state").at);
    if (str_eq(buffer_str(&text), STR("doubtful")))
        buffer_puts(&text, ": nothing leaves until NTP or `sekictl clock confirm`");
    else if (number_of(clock, "behind_ms") > 1000)
        buffer_printf(&text, ", held times run %llu s behind the wall clock",
                      (unsigned long long)number_of(clock, "behind_ms") / 1000);
    print_pair("clock", buffer_str(&text));
    (void)printf("\n%-9s %-6s %9s %9s %-6s %-6s %11s %11s\n", "PARTITION", "STATE", "MAILS", "HELD",
                 "LIVE", "FREE", "COMMIT p50", "p99");
    for (size_t i = 0; js_element(partitions, i); i++)
        print_partition(js_element(partitions, i));
    (void)fputc('\n', stdout);
    void *at = NULL;
    struct str key;
    const struct js_value *value;
    while (js_next(counters, &at, &key, &value)) {
        uint64_t number = 0;
        (void)js_get_u64(value, &number);
        (void)printf("%-24.*s %llu\n", STR_ARG(key), (unsigned long long)number);
    }
    buffer_drop(&text);
}

/* --- the others ------------------------------------------------------------------------------ */

static void print_change(const struct js_value *row)
{
    bool done = flag_of(row, "done");
    FILE *out = done ? stdout : stderr;
    print_text(out, text_of(row, "address"), 0);
    (void)fputs(": ", out);
    print_text(out, done ? STR("done") : text_of(row, "reason"), 0);
    (void)fputc('\n', out);
}

static void print_flush(const struct js_value *row)
{
    (void)printf("%llu recipients of %llu mails are due now\n",
                 (unsigned long long)number_of(row, "recipients"),
                 (unsigned long long)number_of(row, "mails"));
}

/* A file, as it is: it goes to a file or a pipe. */
static void print_file(const struct js_value *row)
{
    struct str text = text_of(row, "text");
    (void)fwrite(text.at, 1, text.len, stdout);
    if (text.len && text.at[text.len - 1] != '\n')
        (void)fputc('\n', stdout);
}

static void print_list_of(const struct js_value *list)
{
    struct str text;
    for (size_t i = 0; js_get_str(js_element(list, i), &text); i++) {
        (void)fputs(i ? "," : "", stdout);
        print_text(stdout, text, 0);
    }
}

static void print_organisation(const struct js_value *row)
{
    print_text(stdout, text_of(row, "name"), 24);
    (void)printf(" %-8s %6llu users %4llu rules  ", text_of(row, "plan").at,
                 (unsigned long long)number_of(row, "users"),
                 (unsigned long long)number_of(row, "rules"));
    print_list_of(js_member(row, "domains"));
    (void)fputc('\n', stdout);
}

static void print_user(const struct js_value *row)
{
    print_text(stdout, text_of(row, "address"), 32);
    (void)fputc(' ', stdout);
    print_text(stdout, text_of(row, "org"), 16);
    (void)fputc(' ', stdout);
    print_text(stdout, text_of(row, "name"), 20);
    (void)printf(" %-11s ", !flag_of(row, "password") ? "no password"
                            : flag_of(row, "scram")   ? "password"
                                                      : "no SCRAM");
    print_list_of(js_member(row, "roles"));
    (void)fputc('\n', stdout);
}

static const struct {
    const char *verb;
    void (*print)(const struct js_value *row);
} printers[] = {
    {"list", print_list},       {"show", print_show},
    {"explain", print_explain}, {"status", print_status},
    {"release", print_change},  {"discard", print_change},
    {"hold", print_change},     {"flush", print_flush},
    {"org export", print_file}, {"org list", print_organisation},
    {"user list", print_user},  {"config show", print_file},
};

void print_row(const char *verb, const struct js_value *row)
{
    for (size_t i = 0; i < countof(printers); i++)
        if (strcmp(printers[i].verb, verb) == 0) {
            printers[i].print(row);
            return;
        }
    print_json(row);
}
