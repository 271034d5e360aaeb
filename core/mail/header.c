#include "core/mail/header.h"

#include "core/base/limit.h"
#include "core/mail/utf8.h"

void header_init(struct header *h)
{
    *h = (struct header){.odd = 0};
    buffer_init(&h->bytes, LIMIT_HEADER_BYTES);
    buffer_init(&h->list, LIMIT_HEADER_FIELDS * sizeof(struct header_field));
}

void header_drop(struct header *h)
{
    buffer_drop(&h->bytes);
    buffer_drop(&h->list);
}

const struct header_field *header_fields(const struct header *h)
{
    return (const void *)h->list.at;
}

static bool is_blank(char c)
{
    return c == ' ' || c == '\t';
}

/* Length of the name, and where the value begins; 0: the line is no field. */
static uint32_t parse_name(struct str line, uint32_t *value)
{
    uint32_t len = 0;
    while (len < line.len && line.at[len] > ' ' && line.at[len] <= '~' && line.at[len] != ':')
        len++;
    uint32_t colon = len;
    while (colon < line.len && is_blank(line.at[colon]))
        colon++;
    if (colon == line.len || line.at[colon] != ':')
        return 0;
    *value = colon + 1;
    return len;
}

static enum header_status close_section(struct header *h, size_t end, size_t body)
{
    h->end = (uint32_t)end;
    h->body = (uint32_t)body;
    h->bytes.len = body;
    h->done = true;
    h->eight_bit = !utf8_is_ascii(buffer_str(&h->bytes));
    return HEADER_DONE;
}

static void note_bytes(struct header *h, struct str line)
{
    static const char wrong[] = {0, '\n', '\r'};
    for (size_t i = 0; i < countof(wrong); i++)
        if (str_find(line, wrong[i]) != SIZE_MAX)
            h->odd |= HEADER_ODD_BYTE;
}

static enum header_status take_field(struct header *h, size_t start, struct str line, size_t next)
{
    uint32_t value = 0;
    uint32_t len = parse_name(line, &value);
    if (!len) {
        h->odd |= HEADER_ODD_LINE;
        return close_section(h, start, start);
    }
    if (h->count == LIMIT_HEADER_FIELDS)
        return HEADER_TOO_MANY;
    if (value != len + 1)
        h->odd |= HEADER_ODD_COLON;
    struct header_field f = {(uint32_t)start, len, (uint32_t)start + value, (uint32_t)next};
    buffer_put(&h->list, str_from((const char *)&f, sizeof f));
    if (h->list.full)
        return HEADER_NO_MEMORY;
    h->count++;
    return HEADER_MORE;
}

static enum header_status take_continuation(struct header *h, size_t start, struct str line,
                                            size_t next)
{
    if (!h->count) {
        h->odd |= HEADER_ODD_START;
        return close_section(h, start, start);
    }
    if (str_trim(line).len == 0)
        h->odd |= HEADER_ODD_BLANK;
    struct header_field *last = (struct header_field *)(void *)h->list.at + (h->count - 1);
    last->end = (uint32_t)next;
    return HEADER_MORE;
}

/* One line, without its CRLF; `next` is where the next begins. */
static enum header_status take_line(struct header *h, size_t start, struct str line, size_t next)
{
    if (line.len == 0) {
        h->odd |= start == 0 ? HEADER_ODD_START : 0;
        return close_section(h, start, next);
    }
    uint32_t value;
    if (start == 0 && str_starts(line, STR("From ")) && !parse_name(line, &value)) {
        h->odd |= HEADER_ODD_FROM_LINE;
        return HEADER_MORE;
    }
    enum header_status status = is_blank(line.at[0]) ? take_continuation(h, start, line, next)
                                                     : take_field(h, start, line, next);
    if (status != HEADER_DONE)
        note_bytes(h, line);
    return status;
}

/* Where the CRLF is at which the line from `start` ends; searching goes on from `from`. */
static size_t find_crlf(struct str bytes, size_t from)
{
    size_t hit = str_find_str(str_skip(bytes, from), STR("\r\n"));
    return hit == SIZE_MAX ? SIZE_MAX : from + hit;
}

enum header_status header_feed(struct header *h, struct str in)
{
    if (h->done)
        return HEADER_DONE;
    /* a CRLF may have come in halves */
    size_t from = h->bytes.len > h->scanned ? h->bytes.len - 1 : h->bytes.len;
    size_t room = h->bytes.max - h->bytes.len;
    buffer_put(&h->bytes, str_head(in, room));
    if (h->bytes.full)
        return HEADER_NO_MEMORY;

    struct str bytes = buffer_str(&h->bytes);
    for (;;) {
        size_t crlf = find_crlf(bytes, from);
        if (crlf == SIZE_MAX)
            return in.len > room ? HEADER_TOO_BIG : HEADER_MORE;
        struct str line = str_from(bytes.at + h->scanned, crlf - h->scanned);
        enum header_status status = take_line(h, h->scanned, line, crlf + 2);
        if (status != HEADER_MORE)
            return status;
        from = h->scanned = (uint32_t)crlf + 2;
    }
}

enum header_status header_finish(struct header *h)
{
    if (h->done)
        return HEADER_DONE;
    size_t len = h->bytes.len;
    if (h->scanned < len) {
        h->odd |= HEADER_ODD_UNFINISHED;
        struct str line = str_from(h->bytes.at + h->scanned, len - h->scanned);
        enum header_status status = take_line(h, h->scanned, line, len);
        if (status != HEADER_MORE)
            return status;
    }
    return close_section(h, len, len);
}

struct str header_name(const struct header *h, const struct header_field *f)
{
    return str_from(h->bytes.at + f->start, f->name_len);
}

struct str header_value(const struct header *h, const struct header_field *f)
{
    return str_trim(str_from(h->bytes.at + f->value, f->end - f->value));
}

const struct header_field *header_find(const struct header *h, struct str name)
{
    const struct header_field *f = header_fields(h);
    for (uint32_t i = 0; i < h->count; i++)
        if (str_eq_nocase(header_name(h, f + i), name))
            return f + i;
    return NULL;
}

/* ---- facts */

enum what {
    IS_OTHER,
    IS_FROM,
    IS_SENDER,
    IS_DATE,
    IS_MESSAGE_ID,
    IS_SUBJECT,
    IS_RECEIVED,
    IS_BCC,
    IS_AUTO_SUBMITTED,
    IS_PRECEDENCE,
    IS_LIST,
};

static enum what what_is(struct str name)
{
    static const struct {
        struct str name;
        enum what what;
    } names[] = {
        {STR_INIT("From"), IS_FROM},
        {STR_INIT("Sender"), IS_SENDER},
        {STR_INIT("Date"), IS_DATE},
        {STR_INIT("Message-ID"), IS_MESSAGE_ID},
        {STR_INIT("Subject"), IS_SUBJECT},
        {STR_INIT("Received"), IS_RECEIVED},
        {STR_INIT("Bcc"), IS_BCC},
        {STR_INIT("Resent-Bcc"), IS_BCC},
        {STR_INIT("Auto-Submitted"), IS_AUTO_SUBMITTED},
        {STR_INIT("Precedence"), IS_PRECEDENCE},
        {STR_INIT("List-Id"), IS_LIST},
    };

    for (size_t i = 0; i < countof(names); i++)
        if (str_eq_nocase(name, names[i].name))
            return names[i].what;
    return IS_OTHER;
}

/* RFC 3834 5: anything but "no" is automatic; parameters and comments may follow. */
static bool is_auto_submitted(struct str value)
{
    struct str word = value;
    word = str_trim(str_cut(&word, ';'));
    word = str_trim(str_cut(&word, '('));
    return !str_eq_nocase(word, STR("no"));
}

static bool is_bulk(struct str value)
{
    return str_eq_nocase(value, STR("bulk")) || str_eq_nocase(value, STR("list")) ||
           str_eq_nocase(value, STR("junk"));
}

/* As it may be copied into In-Reply-To, log and lists. */
static struct str clean_message_id(struct str value)
{
    struct str none = {"", 0};
    if (value.len < 3 || value.len > LIMIT_TEXT_LINE_BYTES - 16 || value.at[0] != '<' ||
        str_find(value, '>') != value.len - 1)
        return none;
    for (size_t i = 0; i < value.len; i++)
        if (value.at[i] <= ' ' || value.at[i] > '~')
            return none;
    return value;
}

static void add_cut(struct header_facts *out, size_t start, size_t end)
{
    out->cuts[out->cut_count++] = (struct cut){(uint32_t)start, (uint32_t)(end - start)};
}

static void note_field(const struct header *h, const struct header_field *f,
                       struct header_facts *out)
{
    struct str value = header_value(h, f);
    switch (what_is(header_name(h, f))) {
    case IS_FROM:
        out->from++;
        break;
    case IS_SENDER:
        out->sender++;
        break;
    case IS_DATE:
        out->date++;
        break;
    case IS_MESSAGE_ID:
        if (!out->message_id_count++)
            out->message_id = clean_message_id(value);
        break;
    case IS_SUBJECT:
        if (!out->subject_count++)
            out->subject = value;
        break;
    case IS_RECEIVED:
        out->received++;
        break;
    case IS_BCC:
        add_cut(out, f->start, f->end);
        break;
    case IS_AUTO_SUBMITTED:
        out->is_auto |= is_auto_submitted(value);
        break;
    case IS_PRECEDENCE:
        out->is_auto |= is_bulk(value);
        break;
    case IS_LIST:
        out->is_auto = true;
        break;
    case IS_OTHER:
    default:
        break;
    }
}

bool header_read_facts(const struct header *h, struct arena *arena, struct header_facts *out)
{
    must(h->done);
    *out = (struct header_facts){.subject = {"", 0}, .message_id = {"", 0}};
    const struct header_field *f = header_fields(h);
    uint32_t cuts = h->odd & HEADER_ODD_FROM_LINE ? 1 : 0;
    for (uint32_t i = 0; i < h->count; i++)
        cuts += what_is(header_name(h, f + i)) == IS_BCC;
    if (cuts) {
        out->cuts = arena_take(arena, cuts * sizeof *out->cuts);
        if (!out->cuts)
            return false;
    }
    if (h->odd & HEADER_ODD_FROM_LINE) {
        /* up to the first field; the section may be nothing but that line */
        size_t end = h->count ? f->start : h->end;
        add_cut(out, 0, end);
    }
    for (uint32_t i = 0; i < h->count; i++)
        note_field(h, f + i, out);
    return true;
}
