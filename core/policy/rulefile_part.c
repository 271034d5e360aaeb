/* Values of rule.def's rows: each kind read into its field. */
#include "core/base/base.h"
#include "core/base/setting_value.h"
#include "core/policy/rulefile_parts.h"

enum {
    WORDS_MAX = 8
};

static read_fn *const readers[VALUE_TEXTS_END] = {
    [VALUE_ADDRESSES] = read_address,       [VALUE_DOMAINS] = read_domain,
    [VALUE_CLASSES] = read_class,           [VALUE_GROUPS] = read_group,
    [VALUE_NETWORKS] = read_network,        [VALUE_PATTERNS] = read_pattern,
    [VALUE_LISTS] = read_named_list,        [VALUE_CALENDARS] = read_calendar,
    [VALUE_DICTIONARIES] = read_dictionary, [VALUE_EXTENSIONS] = read_extension,
    [VALUE_HEADERS] = read_header,          [VALUE_TEXTS] = read_text,
};

static void write_choice(const char *words, struct buffer *out)
{
    for (size_t i = 0; word_at(words, i).len; i++) {
        bool is_last = word_at(words, i + 1).len == 0;
        buffer_printf(out, "%s%.*s",
                      i == 0    ? ""
                      : is_last ? " or "
                                : ", ",
                      STR_ARG(word_at(words, i)));
    }
    buffer_putc(out, '\0');
}

bool read_word_of(struct reading *r, const struct node *n, const char *what, const char *words,
                  uint32_t *out)
{
    char room[128];
    struct buffer choice = {.at = room, .room = sizeof room, .max = sizeof room};
    struct str names[WORDS_MAX], text = n->kind == NODE_TEXT ? n->text : STR("");
    uint32_t count = 0;
    for (; word_at(words, count).len; count++) {
        must(count < WORDS_MAX);
        names[count] = word_at(words, count);
        if (str_eq(names[count], text)) {
            *out = count;
            return true;
        }
    }
    write_choice(words, &choice);
    doc_error_near(&r->d, n, setting_suggest(text, names, count), "%s: %s is wanted", what, room);
    return false;
}

static void read_words(struct reading *r, const struct node *n, const struct part_row *row,
                       uint32_t *set)
{
    uint32_t word;
    *set = 0;
    if (n->kind == NODE_MAP || (n->kind == NODE_LIST && n->count == 0)) {
        doc_error(&r->d, n, "a list is wanted: [a, b]");
        return;
    }
    if (n->kind == NODE_TEXT && read_word_of(r, n, row->key.at, row->words, &word))
        *set |= 1u << word;
    for (const struct node *e = n->first; e; e = e->next)
        if (read_word_of(r, e, row->key.at, row->words, &word))
            *set |= 1u << word;
}

static void write_bound(struct buffer *out, enum value_kind kind, uint64_t number)
{
    setting_write_number(out,
                         kind == VALUE_BYTES      ? SETTING_SIZE
                         : kind == VALUE_DURATION ? SETTING_DURATION
                                                  : SETTING_NUMBER,
                         number);
}

static void read_number(struct reading *r, const struct node *n, const struct part_row *row,
                        uint64_t *out)
{
    static const char duration[] = "a duration (0s, 300s, 5m, 2h, 7d)";
    static const char size[] = "a size (10MiB, 500kB)";
    struct str text;
    if (!read_text(r, n, &text))
        return;
    const char *what = row->value == VALUE_DURATION ? duration
                       : row->value == VALUE_BYTES  ? size
                                                    : "a number";
    bool is_good = row->value == VALUE_DURATION ? setting_duration(text, out)
                   : row->value == VALUE_BYTES  ? setting_size(text, out)
                                                : str_number(text, UINT64_MAX, out);
    if (!is_good) {
        doc_error(&r->d, n, "%s: '%s' is not %s", row->key.at, doc_show(text).at, what);
    } else if (*out < row->min || *out > row->max) {
        char room[64];
        struct buffer range = {.at = room, .room = sizeof room, .max = sizeof room};
        write_bound(&range, row->value, row->min);
        buffer_puts(&range, " to ");
        write_bound(&range, row->value, row->max);
        doc_error(&r->d, n, "%s: '%s' is out of range (%.*s)", row->key.at, doc_show(text).at,
                  STR_ARG(buffer_str(&range)));
    }
}

/* {at_least: 3}: more ways to compare may come. */
static void read_count(struct reading *r, const struct node *n, const struct part_row *row,
                       uint64_t *out)
{
    static const struct str keys[] = {STR_INIT("at_least")};
    struct part_row number = *row;
    number.key = keys[0];
    number.value = row->value == VALUE_BYTES_COUNT ? VALUE_BYTES : VALUE_NUMBER;
    if (n->kind != NODE_MAP || n->count == 0) {
        doc_error(&r->d, n, "%s: {at_least: %s} is wanted", row->key.at,
                  number.value == VALUE_BYTES ? "10MiB" : "3");
        return;
    }
    const struct node *least = node_get(n, keys[0]);
    check_keys(r, n, row->key.at, keys, 1);
    if (least)
        read_number(r, least, &number, out);
}

static void read_block(struct reading *r, const struct node *n, struct str *out)
{
    if (n->kind != NODE_TEXT || node_is_missing(n) || n->text.len == 0) {
        doc_error(&r->d, n, "a text is wanted");
        return;
    }
    if (n->text.len > RULE_BLOCK_BYTES)
        doc_error(&r->d, n, "longer than %d bytes", RULE_BLOCK_BYTES);
    for (size_t i = 0; i < n->text.len; i++) {
        uint8_t c = (uint8_t)n->text.at[i];
        if ((c < 0x20 && c != '\n' && c != '\t') || c == 0x7f) {
            doc_error(&r->d, n, "has a control character");
            return;
        }
    }
    *out = n->text;
}

/* What makes a mail what it is, or says where it came from, is not a rule's to change. */
static bool is_fixed(struct str name)
{
    static const struct str names[] = {
        STR_INIT("from"),       STR_INIT("to"),           STR_INIT("cc"),
        STR_INIT("bcc"),        STR_INIT("date"),         STR_INIT("message-id"),
        STR_INIT("received"),   STR_INIT("return-path"),  STR_INIT("sender"),
        STR_INIT("references"), STR_INIT("mime-version"), STR_INIT("dkim-signature"),
        STR_INIT("subject"),    STR_INIT("in-reply-to"),  STR_INIT("auto-submitted"),
    };
    for (size_t i = 0; i < countof(names); i++)
        if (str_eq_nocase(name, names[i]))
            return true;
    return str_starts_nocase(name, STR("resent-")) || str_starts_nocase(name, STR("content-"));
}

static void check_fields(struct reading *r, const struct node *n, const struct str_list *names)
{
    for (size_t i = 0; i < names->count; i++)
        if (is_fixed(names->at[i]))
            doc_error(&r->d, n, "`%s` is not a rule's to change", doc_show(names->at[i]).at);
}

static void read_fields(struct reading *r, const struct node *n, struct field_list *out)
{
    if (!want_map(r, n, "set"))
        return;
    struct str *names = take(r, n->count * sizeof *names);
    struct str *values = take(r, n->count * sizeof *values);
    for (const struct node *e = n->first; e && names && values; e = e->next) {
        size_t i = out->names.count;
        if (!read_header(r, e->key, &names[i]) || !read_text(r, e, &values[i]))
            continue;
        if (is_fixed(names[i]))
            doc_error(&r->d, e->key, "`%s` is not a rule's to change", doc_show(names[i]).at);
        out->names = (struct str_list){names, i + 1};
        out->values = (struct str_list){values, i + 1};
    }
}

static void read_approver(struct reading *r, const struct node *n, struct approver *by)
{
    static const struct str keys[] = {STR_INIT("group"), STR_INIT("address")};
    if (n->kind != NODE_MAP) {
        uint32_t word;
        if (!read_word_of(r, n, "by", "supervisor|sender_choice|{group: NAME}|{address: ADDRESS}",
                          &word))
            return;
        by->kind = word == 0 ? APPROVER_SUPERVISOR : APPROVER_SENDER_CHOICE;
        if (word == 1 && !is_offered(r, RULE_OFFERED_ALL))
            tell_later(r, n);
        return;
    }
    const struct node *group = node_get(n, keys[0]), *address = node_get(n, keys[1]);
    check_keys(r, n, "by", keys, countof(keys));
    by->kind = group ? APPROVER_GROUP : APPROVER_ADDRESS;
    if ((group != NULL) == (address != NULL))
        doc_error(&r->d, n, "by: one of {group: NAME} and {address: ADDRESS} is wanted");
    else if (group && read_group(r, group, &by->name))
        by->group = organisation_group(r->o, by->name);
    else if (address)
        (void)read_own(r, address, &by->name);
}

static void read_flag(struct reading *r, const struct node *n, const struct part_row *row,
                      bool *out)
{
    bool is_true = n->kind == NODE_TEXT && str_eq(n->text, STR("true"));
    bool is_false = n->kind == NODE_TEXT && str_eq(n->text, STR("false"));
    *out = is_true;
    if (row->value == VALUE_TRUE && !is_true)
        doc_error(&r->d, n, "%s: true is wanted, or leave it out", row->key.at);
    else if (!is_true && !is_false)
        doc_error(&r->d, n, "%s: true or false is wanted", row->key.at);
}

void read_value(struct reading *r, const struct node *n, const struct part_row *row, void *at)
{
    if (row->value < VALUE_TEXTS_END)
        *(struct str_list *)at = read_list(r, n, readers[row->value]);
    else if (row->value == VALUE_FLAG || row->value == VALUE_TRUE)
        read_flag(r, n, row, at);
    else if (row->value == VALUE_COUNT || row->value == VALUE_BYTES_COUNT)
        read_count(r, n, row, at);
    else if (row->value == VALUE_WORD)
        (void)read_word_of(r, n, row->key.at, row->words, at);
    else if (row->value == VALUE_WORDS)
        read_words(r, n, row, at);
    else if (row->value == VALUE_TEXT)
        (void)read_text(r, n, at);
    else if (row->value == VALUE_HEADER)
        (void)read_header(r, n, at);
    else if (row->value == VALUE_BLOCK)
        read_block(r, n, at);
    else if (row->value == VALUE_FIELDS)
        read_fields(r, n, at);
    else if (row->value == VALUE_APPROVER)
        read_approver(r, n, at);
    else
        read_number(r, n, row, at);
    if (row->value == VALUE_HEADERS)
        check_fields(r, n, at);
}

static void set_standard(const struct part_row *row, void *at)
{
    if (row->value == VALUE_WORD || row->value == VALUE_WORDS)
        *(uint32_t *)at = (uint32_t)row->standard;
    else if (row->value == VALUE_NUMBER || row->value == VALUE_BYTES ||
             row->value == VALUE_DURATION)
        *(uint64_t *)at = row->standard;
}

void read_parts(struct reading *r, const struct node *n, uint32_t owner, const char *what,
                void *base)
{
    struct str keys[16];
    size_t count = 0;
    bool is_map = want_map(r, n, what);
    for (size_t i = 0; i < part_row_count; i++) {
        const struct part_row *row = &part_rows[i];
        if (row->owner != owner)
            continue;
        must(count < countof(keys));
        keys[count++] = row->key;
        set_standard(row, part_field(base, row->offset));
        const struct node *value = is_map ? node_get(n, row->key) : NULL;
        if (value)
            read_value(r, value, row, part_field(base, row->offset));
        else if (is_map && row->needed)
            doc_error(&r->d, n, "%s without `%s`", what, row->key.at);
    }
    if (is_map)
        check_keys(r, n, what, keys, count);
}
