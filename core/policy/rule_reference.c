/* The table of everything that a rule can ask and do: from rule.def, so that it is never behind. */
#include "core/base/base.h"
#include "core/policy/rule_value.h"

static const char *kind_text(enum value_kind kind)
{
    switch (kind) {
    case VALUE_ADDRESSES:
        return "addresses";
    case VALUE_DOMAINS:
        return "domains, *.domain for all below";
    case VALUE_CLASSES:
        return "internal, affiliate, external";
    case VALUE_GROUPS:
        return "names of groups";
    case VALUE_NETWORKS:
        return "networks";
    case VALUE_PATTERNS:
        return "texts, * for anything";
    case VALUE_LISTS:
        return "names of lists";
    case VALUE_CALENDARS:
        return "names of calendars";
    case VALUE_DICTIONARIES:
        return "names of dictionaries";
    case VALUE_EXTENSIONS:
        return "extensions";
    case VALUE_HEADERS:
        return "names of header fields";
    case VALUE_TEXTS:
        return "texts";
    case VALUE_FLAG:
        return "true or false";
    case VALUE_TRUE:
        return "true";
    case VALUE_COUNT:
        return "{at_least: 3}";
    case VALUE_BYTES_COUNT:
        return "{at_least: 10MiB}";
    case VALUE_NUMBER:
        return "number";
    case VALUE_BYTES:
        return "size";
    case VALUE_DURATION:
        return "duration";
    case VALUE_WORD:
    case VALUE_WORDS:
        return "";
    case VALUE_TEXT:
        return "text";
    case VALUE_BLOCK:
        return "text of several lines";
    case VALUE_HEADER:
        return "name of a header field";
    case VALUE_FIELDS:
        return "{Name: value}";
    case VALUE_NOTICE:
        return "each, none, {every: 30m}";
    case VALUE_APPROVER:
        return "supervisor, {group: name}, {address: address}";
    case VALUE_PARTS:
        return "mapping";
    }
    return "";
}

static void write_words(struct buffer *out, const char *words)
{
    for (size_t i = 0; word_at(words, i).len; i++)
        buffer_printf(out, "%s%.*s", i ? ", " : "", STR_ARG(word_at(words, i)));
}

static void write_parts(struct buffer *out, uint32_t owner)
{
    for (size_t i = 0; i < part_row_count; i++) {
        const struct part_row *row = &part_rows[i];
        if (row->owner != owner)
            continue;
        buffer_printf(out, "| \u2003`%.*s`%s | %s", STR_ARG(row->key),
                      row->needed ? " (needed)" : "", kind_text(row->value));
        write_words(out, row->words);
        buffer_printf(out, " | %s |\n", row->why);
    }
}

static void write_row(struct buffer *out, struct str section, struct str name,
                      enum value_kind value, const char *why)
{
    buffer_printf(out, "| `%.*s%s%.*s` | %s | %s |\n", STR_ARG(section), section.len ? ": " : "",
                  STR_ARG(name), kind_text(value), why);
}

void rule_write_reference(struct buffer *out)
{
    buffer_puts(out, "| condition | value | true when |\n|---|---|---|\n");
    for (unsigned i = 0; i < CONDITION_LEAVES; i++) {
        const struct condition_row *row = &condition_rows[i];
        if (row->since > RULE_OFFERED)
            continue;
        write_row(out, row->section, row->name, row->value, row->why);
        write_parts(out, i);
    }
    buffer_puts(out, "\n| action | value | what it does |\n|---|---|---|\n");
    for (unsigned i = 0; i < ACTIONS; i++) {
        const struct action_row *row = &action_rows[i];
        if (row->since > RULE_OFFERED)
            continue;
        write_row(out, STR(""), row->name, row->value, row->why);
        write_parts(out, ACTION_OWNER + i);
    }
}
