/* Writing settings: the annotated example, those in force, and what differs. */
#include "core/base/setting.h"

#include "core/base/base.h"
#include "core/base/setting_value.h"
#include "core/base/yaml.h"

enum {
    COMMENT_COLUMNS = 96
};

/* The setting that a group of the example begins with. */
static const struct {
    struct str first;
    const char *heading;
} groups[] = {
    {STR_INIT("directory"), "The server itself"},
    {STR_INIT("relay_listen"), "Listeners: HOST:PORT each"},
    {STR_INIT("control_socket"), "Control"},
    {STR_INIT("tls_certificate"), "TLS of the listeners"},
    {STR_INIT("message_size"), "What clients may do"},
    {STR_INIT("hold"), "Holding mail"},
    {STR_INIT("route"), "Delivery"},
    {STR_INIT("connect_timeout"), "Patience with next hops"},
    {STR_INIT("clock_confirm"), "Clock"},
    {STR_INIT("segment_bytes"), "Disk"},
    {STR_INIT("log"), "Log"},
};

static const void *field(const struct settings *s, const struct setting_row *row)
{
    return (const char *)s + row->offset;
}

static uint64_t number_of(const struct settings *s, const struct setting_row *row)
{
    return row->type == SETTING_FLAG ? *(const bool *)field(s, row)
                                     : *(const uint64_t *)field(s, row);
}

static void write_list(struct buffer *out, const struct str_list *list)
{
    buffer_putc(out, '[');
    for (size_t i = 0; i < list->count; i++) {
        if (i)
            buffer_puts(out, ", ");
        doc_write_text(out, list->at[i]);
    }
    buffer_putc(out, ']');
}

static void write_value(struct buffer *out, const struct settings *s, const struct setting_row *row)
{
    if (row->type == SETTING_LIST)
        write_list(out, field(s, row));
    else if (row->type == SETTING_TEXT)
        doc_write_text(out, *(const struct str *)field(s, row));
    else
        setting_write_number(out, row->type, number_of(s, row));
}

/* Words of `text` in lines that begin with `# `. */
static void write_comment(struct buffer *out, const char *text)
{
    struct str rest = str_c(text);
    size_t column = 0;
    for (struct str word = str_word(&rest); word.len; word = str_word(&rest)) {
        if (column && column + 1 + word.len > COMMENT_COLUMNS) {
            buffer_putc(out, '\n');
            column = 0;
        }
        buffer_puts(out, column ? " " : "# ");
        buffer_put(out, word);
        column += word.len + (column ? 1 : 2);
    }
    buffer_putc(out, '\n');
}

static void write_range(struct buffer *out, const struct setting_row *row)
{
    if (row->type == SETTING_TEXT || row->type == SETTING_FLAG)
        return;
    buffer_puts(out, "# ");
    if (row->type == SETTING_LIST) {
        buffer_printf(out, "up to %llu entries", (unsigned long long)row->max);
    } else {
        setting_write_number(out, row->type, row->min);
        buffer_puts(out, " to ");
        setting_write_number(out, row->type, row->max);
    }
    buffer_puts(out, row->needs_restart ? "; needs a restart\n" : "\n");
}

void settings_write_example(struct buffer *out)
{
    struct buffer none;
    buffer_init(&none, 4096);
    struct settings *s = settings_load(STR(""), "", NULL, 0, &none);
    must(s != NULL);
    buffer_puts(out,
                "# sekimori.yaml -- every setting at its default. A line without `#` counts.\n"
                "# Checked as a whole; SIGHUP loads it again, and a bad file never replaces a\n"
                "# running one. Texts that begin with [ or * need quotes.\n");
    for (size_t i = 0; i < setting_row_count; i++) {
        const struct setting_row *row = &setting_rows[i];
        for (size_t g = 0; g < countof(groups); g++)
            if (str_eq(groups[g].first, row->name))
                buffer_printf(out, "\n# ---- %s\n", groups[g].heading);
        buffer_putc(out, '\n');
        write_comment(out, row->why);
        write_range(out, row);
        if (row->needs_restart && (row->type == SETTING_TEXT || row->type == SETTING_FLAG))
            buffer_puts(out, "# needs a restart\n");
        buffer_printf(out, "#%.*s: ", STR_ARG(row->name));
        write_value(out, s, row);
        buffer_putc(out, '\n');
    }
    settings_drop(&s);
    buffer_drop(&none);
}

void settings_write(const struct settings *s, struct buffer *out)
{
    for (size_t i = 0; i < setting_row_count; i++) {
        buffer_printf(out, "%.*s: ", STR_ARG(setting_rows[i].name));
        write_value(out, s, &setting_rows[i]);
        buffer_putc(out, '\n');
    }
}

static bool is_same(const struct settings *a, const struct settings *b,
                    const struct setting_row *row)
{
    if (row->type == SETTING_TEXT)
        return str_eq(*(const struct str *)field(a, row), *(const struct str *)field(b, row));
    if (row->type != SETTING_LIST)
        return number_of(a, row) == number_of(b, row);
    const struct str_list *x = field(a, row), *y = field(b, row);
    bool same = x->count == y->count;
    for (size_t i = 0; same && i < x->count; i++)
        same = str_eq(x->at[i], y->at[i]);
    return same;
}

void settings_restart_needed(const struct settings *old, const struct settings *new,
                             struct buffer *names)
{
    for (size_t i = 0; i < setting_row_count; i++) {
        const struct setting_row *row = &setting_rows[i];
        if (!row->needs_restart || is_same(old, new, row))
            continue;
        if (names->len)
            buffer_putc(names, ' ');
        buffer_put(names, row->name);
    }
}
