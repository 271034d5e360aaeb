#include "core/policy/rule_value.h"

#include "core/base/base.h"
#include "core/base/setting_value.h"
#include "core/base/yaml.h"

static const char notice_words[] = "none|each|every";
static const char approver_words[] = "supervisor|group|address|sender_choice";

struct str word_at(const char *words, size_t i)
{
    struct str rest = str_c(words), word = str_cut(&rest, '|');
    for (; i > 0 && word.len; i--)
        word = str_cut(&rest, '|');
    return word;
}

static void write_texts(struct buffer *out, const struct str_list *list)
{
    if (list->count == 1) {
        doc_write_text(out, list->at[0]);
        return;
    }
    buffer_putc(out, '[');
    for (size_t i = 0; i < list->count; i++) {
        buffer_puts(out, i ? ", " : "");
        doc_write_text(out, list->at[i]);
    }
    buffer_putc(out, ']');
}

static void write_words(struct buffer *out, const char *words, uint32_t set)
{
    const char *between = "[";
    for (size_t i = 0; word_at(words, i).len; i++) {
        if (!(set >> i & 1))
            continue;
        buffer_printf(out, "%s%.*s", between, STR_ARG(word_at(words, i)));
        between = ", ";
    }
    buffer_putc(out, ']');
}

static void write_fields(struct buffer *out, const struct field_list *f)
{
    buffer_putc(out, '{');
    for (size_t i = 0; i < f->names.count; i++) {
        buffer_puts(out, i ? ", " : "");
        doc_write_text(out, f->names.at[i]);
        buffer_puts(out, ": ");
        doc_write_text(out, f->values.at[i]);
    }
    buffer_putc(out, '}');
}

static void write_notice(struct buffer *out, const struct actions *a)
{
    if (a->notice.kind != NOTICE_EVERY) {
        buffer_put(out, word_at(notice_words, a->notice.kind));
        return;
    }
    buffer_puts(out, "{every: ");
    setting_write_number(out, SETTING_DURATION, a->notice.every_ms);
    buffer_putc(out, '}');
}

static void write_approver(struct buffer *out, const struct approver *by)
{
    struct str word = word_at(approver_words, by->kind);
    if (by->name.len == 0) {
        buffer_put(out, word);
        return;
    }
    buffer_printf(out, "{%.*s: ", STR_ARG(word));
    doc_write_text(out, by->name);
    buffer_putc(out, '}');
}

static void write_number(struct buffer *out, enum value_kind kind, uint64_t number)
{
    bool is_count = kind == VALUE_COUNT || kind == VALUE_BYTES_COUNT;
    bool is_bytes = kind == VALUE_BYTES || kind == VALUE_BYTES_COUNT;
    buffer_puts(out, is_count ? "{at_least: " : "");
    setting_write_number(out,
                         is_bytes                 ? SETTING_SIZE
                         : kind == VALUE_DURATION ? SETTING_DURATION
                                                  : SETTING_NUMBER,
                         number);
    buffer_puts(out, is_count ? "}" : "");
}

void value_write(struct buffer *out, enum value_kind kind, const char *words, const void *at)
{
    switch (kind) {
    case VALUE_ADDRESSES:
    case VALUE_DOMAINS:
    case VALUE_CLASSES:
    case VALUE_GROUPS:
    case VALUE_NETWORKS:
    case VALUE_PATTERNS:
    case VALUE_LISTS:
    case VALUE_CALENDARS:
    case VALUE_DICTIONARIES:
    case VALUE_EXTENSIONS:
    case VALUE_HEADERS:
    case VALUE_TEXTS:
        write_texts(out, at);
        return;
    case VALUE_FLAG:
    case VALUE_TRUE:
        buffer_puts(out, *(const bool *)at ? "true" : "false");
        return;
    case VALUE_COUNT:
    case VALUE_BYTES_COUNT:
    case VALUE_NUMBER:
    case VALUE_BYTES:
    case VALUE_DURATION:
        write_number(out, kind, *(const uint64_t *)at);
        return;
    case VALUE_WORD:
        buffer_put(out, word_at(words, *(const uint32_t *)at));
        return;
    case VALUE_WORDS:
        write_words(out, words, *(const uint32_t *)at);
        return;
    case VALUE_TEXT:
    case VALUE_BLOCK:
    case VALUE_HEADER:
        doc_write_text(out, *(const struct str *)at);
        return;
    case VALUE_FIELDS:
        write_fields(out, at);
        return;
    case VALUE_APPROVER:
        write_approver(out, at);
        return;
    case VALUE_NOTICE:
    case VALUE_PARTS:
        break; /* action_value_write() */
    }
    must(kind < VALUE_NOTICE);
}

/* As it is when the file leaves it out? */
static bool is_standard(const struct part_row *row, const void *at)
{
    if (row->value < VALUE_TEXTS_END)
        return ((const struct str_list *)at)->count == 0;
    if (row->value == VALUE_FIELDS)
        return ((const struct field_list *)at)->names.count == 0;
    if (row->value == VALUE_FLAG || row->value == VALUE_TRUE)
        return *(const bool *)at == (row->standard != 0);
    if (row->value == VALUE_WORD || row->value == VALUE_WORDS)
        return *(const uint32_t *)at == row->standard;
    if (row->value == VALUE_TEXT || row->value == VALUE_BLOCK || row->value == VALUE_HEADER)
        return ((const struct str *)at)->len == 0;
    return *(const uint64_t *)at == row->standard;
}

static void write_part(struct buffer *out, const char *between, const struct part_row *row,
                       const void *base)
{
    buffer_printf(out, "%s%.*s: ", between, STR_ARG(row->key));
    value_write(out, row->value, row->words, part_field_of(base, row->offset));
}

/* An empty mapping says nothing to a reader: then its first key stands there. */
void parts_write(struct buffer *out, uint32_t owner, const void *base)
{
    const struct part_row *first = NULL;
    bool is_empty = true;
    for (size_t i = 0; i < part_row_count; i++) {
        const struct part_row *row = &part_rows[i];
        if (row->owner != owner)
            continue;
        first = first ? first : row;
        if (!row->needed && is_standard(row, part_field_of(base, row->offset)))
            continue;
        write_part(out, is_empty ? "{" : ", ", row, base);
        is_empty = false;
    }
    must(first);
    if (is_empty)
        write_part(out, "{", first, base);
    buffer_putc(out, '}');
}

void action_value_write(struct buffer *out, const struct actions *a, enum action_kind kind)
{
    const struct action_row *row = &action_rows[kind];
    if (row->value == VALUE_PARTS)
        parts_write(out, ACTION_OWNER + kind, a);
    else if (row->value == VALUE_NOTICE)
        write_notice(out, a);
    else
        value_write(out, row->value, "", part_field_of(a, row->offset));
}

void condition_value_write(struct buffer *out, const struct condition *c)
{
    enum value_kind kind = condition_rows[c->kind].value;
    if (kind == VALUE_PARTS)
        parts_write(out, c->kind, c->parts);
    else if (kind < VALUE_TEXTS_END)
        value_write(out, kind, "", &c->values);
    else if (kind == VALUE_FLAG)
        value_write(out, kind, "", &c->flag);
    else
        value_write(out, kind, "", &c->at_least);
}
