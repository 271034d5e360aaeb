#include "core/mail/content.h"

#include "core/base/buffer.h"
#include "core/mail/content_parameter.h"
#include "core/mail/utf8.h"

enum {
    FIELD_BYTES = 256 << 10, /* of one field; a section is not longer */
    SCRATCH_BYTES = 8 << 20,
};

struct reader {
    struct content *out;
    struct arena *arena;   /* of the caller */
    struct arena *scratch; /* of this call */
    struct buffer text;    /* the field at hand, unfolded */
    struct parameters *parameters;
    uint32_t types, encodings, dispositions; /* fields of each */
    uint32_t room;                           /* for parameters of the content */
};

static bool is_blank(char c)
{
    return c == ' ' || c == '\t';
}

/* ---- fields */

/* A line without its end; what follows stays in `rest`. */
static struct str take_line(struct str *rest)
{
    struct str line = str_cut(rest, '\n');
    line.len -= line.len && line.at[line.len - 1] == '\r';
    return line;
}

/* The name of the field that begins here, "" if it is none; `value` is what is behind the colon. */
static struct str field_name(struct reader *r, struct str line, struct str *value)
{
    size_t len = 0;
    while (len < line.len && line.at[len] > ' ' && line.at[len] <= '~' && line.at[len] != ':')
        len++;
    size_t colon = len;
    while (colon < line.len && is_blank(line.at[colon]))
        colon++;
    if (len == 0 || colon == line.len || line.at[colon] != ':') {
        r->out->doubt |= CONTENT_COLON;
        return str_head(line, 0);
    }
    if (colon != len)
        r->out->doubt |= CONTENT_COLON;
    *value = str_skip(line, colon + 1);
    return str_head(line, len);
}

/* The field's text without line ends goes to r->text; CR alone, too, ends a line for some. */
static void unfold(struct reader *r, struct str first, struct str *rest)
{
    buffer_clear(&r->text);
    buffer_put(&r->text, first);
    while (rest->len && is_blank(rest->at[0]))
        buffer_put(&r->text, take_line(rest));
    for (size_t i = 0; i < r->text.len; i++)
        if (r->text.at[i] == '\r') {
            r->text.at[i] = ' ';
            r->out->doubt |= CONTENT_SYNTAX;
        }
    if (r->text.full)
        r->out->doubt |= CONTENT_LIMIT;
}

/* ---- values */

static struct str skip_comments(struct reader *r, struct str s)
{
    for (;;) {
        while (s.len && is_blank(s.at[0]))
            s = str_skip(s, 1);
        if (s.len == 0 || s.at[0] != '(')
            return s;
        r->out->doubt |= CONTENT_COMMENT;
        s = str_skip(s, content_comment_bytes(s));
    }
}

static struct str take_token(struct str *s)
{
    size_t len = 0;
    while (len < s->len && !is_blank(s->at[len]) && !strchr("/;()\"=,", s->at[len]))
        len++;
    struct str token = str_head(*s, len);
    *s = str_skip(*s, len);
    return token;
}

static void put_lower(struct buffer *b, struct str s)
{
    for (size_t i = 0; i < s.len; i++)
        buffer_putc(b, char_lower(s.at[i]));
}

static void add_to(struct reader *r, struct content_list *list, struct str value)
{
    if (!content_list_add(list, value, r->arena))
        r->out->doubt |= CONTENT_LIMIT;
}

static void read_parameters(struct reader *r, struct str rest)
{
    r->parameters->count = 0;
    r->parameters->doubt = 0;
    parameters_read(r->parameters, rest);
}

/* The first value of each name, for those who ask for it by name. */
static void keep_parameters(struct reader *r)
{
    struct parameters *p = r->parameters;
    struct content *out = r->out;
    struct content_parameter *all =
        arena_take(r->arena, (out->parameter_count + p->count) * sizeof *all);
    if (!all) {
        out->doubt |= CONTENT_LIMIT;
        return;
    }
    if (out->parameter_count)
        memcpy(all, out->parameters, out->parameter_count * sizeof *all);
    out->parameters = all;
    for (uint32_t i = 0; i < p->count; i++) {
        struct buffer name;
        struct content_list list = {NULL, 0};
        if (content_parameter(out, p->piece[i].base).len)
            continue;
        buffer_init(&name, LIMIT_PARAMETER_BYTES);
        put_lower(&name, p->piece[i].base);
        struct str copy = arena_copy(r->arena, buffer_str(&name));
        unsigned doubt = p->doubt;
        parameter_gather(p, p->piece[i].base, PARAMETER_RAW, r->arena, &list);
        p->doubt = doubt; /* of a parameter that decides nothing */
        if (copy.at && list.count)
            all[out->parameter_count++] = (struct content_parameter){copy, list.at[0]};
        else
            out->doubt |= CONTENT_LIMIT;
        buffer_drop(&name);
    }
}

static void read_type(struct reader *r, struct str s)
{
    struct content *out = r->out;
    struct buffer type;
    buffer_init(&type, LIMIT_PARAMETER_BYTES);
    if (r->types++)
        out->doubt |= CONTENT_TWO_TYPES;
    s = skip_comments(r, s);
    if (s.len && s.at[0] == '"') {
        out->doubt |= CONTENT_SYNTAX;
        s = str_skip(s, 1);
    }
    put_lower(&type, take_token(&s));
    s = skip_comments(r, s);
    if (s.len && s.at[0] == '/') {
        s = skip_comments(r, str_skip(s, 1));
        buffer_putc(&type, '/');
        put_lower(&type, take_token(&s));
    }
    struct str name = buffer_str(&type);
    size_t slash = str_find(name, '/');
    if (slash == SIZE_MAX || slash == 0 || slash + 1 == name.len)
        out->doubt |= CONTENT_SYNTAX;
    s = skip_comments(r, s);
    if (s.len && s.at[0] != ';')
        out->doubt |= CONTENT_SYNTAX;
    if (type.full)
        out->doubt |= CONTENT_LIMIT;
    add_to(r, &out->types, name);
    read_parameters(r, s.len && s.at[0] == '"' ? str_skip(s, 1) : s);
    parameter_gather(r->parameters, STR("name"), PARAMETER_NAME, r->arena, &out->names);
    parameter_gather(r->parameters, STR("boundary"), PARAMETER_RAW, r->arena, &out->boundaries);
    parameter_gather(r->parameters, STR("charset"), PARAMETER_RAW, r->arena, &out->charsets);
    keep_parameters(r);
    out->doubt |= r->parameters->doubt;
    buffer_drop(&type);
}

static void read_disposition(struct reader *r, struct str s)
{
    struct content *out = r->out;
    if (r->dispositions++)
        out->doubt |= CONTENT_TWO_DISPOSITIONS;
    s = skip_comments(r, s);
    struct str whole = s, word = take_token(&s);
    s = skip_comments(r, s);
    if (s.len && s.at[0] == '=') { /* the word is missing */
        out->doubt |= CONTENT_SYNTAX;
        out->dispositions |= CONTENT_ATTACHMENT;
        s = whole;
    } else if (str_eq_nocase(word, STR("inline"))) {
        out->dispositions |= CONTENT_INLINE;
    } else {
        out->dispositions |= CONTENT_ATTACHMENT;
    }
    if (s.len && s.at[0] != ';' && s.at != whole.at)
        out->doubt |= CONTENT_SYNTAX;
    read_parameters(r, s);
    parameter_gather(r->parameters, STR("filename"), PARAMETER_NAME, r->arena, &out->names);
    parameter_gather(r->parameters, STR("name"), PARAMETER_NAME, r->arena, &out->names);
    keep_parameters(r);
    out->doubt |= r->parameters->doubt;
}

/* Letters and digits only, lower case: "base-64" is "base64". */
static void put_bare(struct buffer *b, struct str s)
{
    for (size_t i = 0; i < s.len; i++) {
        char c = char_lower(s.at[i]);
        if ((c >= 'a' && c <= 'z') || (c >= '0' && c <= '9'))
            buffer_putc(b, c);
    }
}

static unsigned guess_encoding(struct str bare)
{
    static const struct {
        struct str part;
        unsigned encodings;
    } parts[] = {
        {STR_INIT("64"), CONTENT_BASE64},     {STR_INIT("base"), CONTENT_BASE64},
        {STR_INIT("quot"), CONTENT_QUOTED},   {STR_INIT("print"), CONTENT_QUOTED},
        {STR_INIT("uu"), CONTENT_UU},         {STR_INIT("yenc"), CONTENT_YENC},
        {STR_INIT("binhex"), CONTENT_BINHEX},
    };

    unsigned found = 0;
    for (size_t i = 0; i < countof(parts); i++)
        if (str_find_str(bare, parts[i].part) != SIZE_MAX)
            found |= parts[i].encodings;
    return found;
}

/* One name of an encoding, exactly as RFC 2045 and custom have it; 0: none of them. */
static unsigned known_encoding(struct str name)
{
    static const struct {
        struct str name;
        unsigned encoding;
    } names[] = {
        {STR_INIT("7bit"), CONTENT_IDENTITY},
        {STR_INIT("8bit"), CONTENT_IDENTITY},
        {STR_INIT("binary"), CONTENT_IDENTITY},
        {STR_INIT("base64"), CONTENT_BASE64},
        {STR_INIT("x-uuencode"), CONTENT_UU},
        {STR_INIT("quoted-printable"), CONTENT_QUOTED},
        {STR_INIT("uuencode"), CONTENT_UU},
        {STR_INIT("x-uue"), CONTENT_UU},
        {STR_INIT("x-uu"), CONTENT_UU},
        {STR_INIT("x-yenc"), CONTENT_YENC},
        {STR_INIT("yenc"), CONTENT_YENC},
        {STR_INIT("x-binhex40"), CONTENT_BINHEX},
        {STR_INIT("mac-binhex40"), CONTENT_BINHEX},
    };

    for (size_t i = 0; i < countof(names); i++)
        if (str_eq_nocase(name, names[i].name))
            return names[i].encoding;
    return 0;
}

static void read_encoding(struct reader *r, struct str s)
{
    struct content *out = r->out;
    if (r->encodings++)
        out->doubt |= CONTENT_TWO_ENCODINGS;
    struct str whole = str_trim(s);
    unsigned known = known_encoding(whole);
    if (known) {
        out->encodings |= known;
        return;
    }
    /* some take the word in front, some nothing that is not known as a whole */
    out->doubt |= CONTENT_ENCODING_ODD;
    out->encodings |= CONTENT_IDENTITY;
    struct str rest = skip_comments(r, whole), word = take_token(&rest);
    known = known_encoding(word);
    struct buffer bare;
    buffer_init(&bare, FIELD_BYTES);
    put_bare(&bare, whole);
    struct str name = buffer_str(&bare);
    bool bits = str_eq(name, STR("7bit")) || str_eq(name, STR("8bit")) ||
                str_eq(name, STR("7bits")) || str_eq(name, STR("8bits"));
    unsigned guess = bits ? 0u : guess_encoding(name);
    out->encodings |= known | guess;
    if (!known && !guess && !bits && whole.len)
        out->encodings |= CONTENT_UNKNOWN;
    buffer_drop(&bare);
}

static void read_id(struct reader *r, struct str s)
{
    s = str_trim(s);
    if (s.len && s.at[0] == '<')
        s = str_skip(s, 1);
    s = str_head(s, str_find(s, '>'));
    if (r->out->id.len)
        return;
    r->out->id = arena_copy(r->arena, str_trim(str_head(s, LIMIT_PARAMETER_BYTES)));
    if (!r->out->id.at) {
        r->out->id = str_from("", 0);
        r->out->doubt |= CONTENT_LIMIT;
    }
}

static void read_field(struct reader *r, struct str name, struct str value, struct str *rest)
{
    static const struct {
        struct str name;
        void (*read)(struct reader *r, struct str value);
    } fields[] = {
        {STR_INIT("Content-Type"), read_type},
        {STR_INIT("Content-Disposition"), read_disposition},
        {STR_INIT("Content-Transfer-Encoding"), read_encoding},
        {STR_INIT("Content-ID"), read_id},
    };

    r->out->fields++;
    if (str_eq_nocase(name, STR("MIME-Version")))
        r->out->mime_version = true;
    if (!str_starts_nocase(name, STR("Content-")))
        return;
    r->out->content_fields++;
    for (size_t i = 0; i < countof(fields); i++)
        if (str_eq_nocase(name, fields[i].name)) {
            unfold(r, value, rest);
            fields[i].read(r, buffer_str(&r->text));
        }
}

/* ---- what it is */

static unsigned kinds_of(struct str type)
{
    static const struct {
        struct str type;
        unsigned kinds;
    } types[] = {
        {STR_INIT("text/html"), CONTENT_KIND_HTML},
        {STR_INIT("application/xhtml+xml"), CONTENT_KIND_HTML},
        {STR_INIT("text/calendar"), CONTENT_KIND_CALENDAR},
        {STR_INIT("text/x-vcalendar"), CONTENT_KIND_CALENDAR},
        {STR_INIT("application/ics"), CONTENT_KIND_CALENDAR},
        {STR_INIT("multipart/digest"), CONTENT_KIND_DIGEST},
        {STR_INIT("multipart/related"), CONTENT_KIND_RELATED},
        {STR_INIT("multipart/alternative"), CONTENT_KIND_ALTERNATIVE},
        {STR_INIT("multipart/report"), CONTENT_KIND_REPORT},
        {STR_INIT("multipart/signed"), CONTENT_KIND_SIGNED},
        {STR_INIT("multipart/encrypted"), CONTENT_KIND_ENCRYPTED},
        {STR_INIT("message/rfc822"), CONTENT_KIND_MESSAGE},
        {STR_INIT("message/global"), CONTENT_KIND_MESSAGE},
        {STR_INIT("message/news"), CONTENT_KIND_MESSAGE},
        {STR_INIT("message/partial"), CONTENT_KIND_PARTIAL},
        {STR_INIT("message/external-body"), CONTENT_KIND_EXTERNAL},
        {STR_INIT("message/delivery-status"), CONTENT_KIND_REPORT},
        {STR_INIT("message/global-delivery-status"), CONTENT_KIND_REPORT},
        {STR_INIT("message/disposition-notification"), CONTENT_KIND_REPORT},
        {STR_INIT("message/global-disposition-notification"), CONTENT_KIND_REPORT},
        {STR_INIT("message/feedback-report"), CONTENT_KIND_REPORT},
        {STR_INIT("text/rfc822-headers"), CONTENT_KIND_REPORT},
        {STR_INIT("message/global-headers"), CONTENT_KIND_REPORT},
        {STR_INIT("application/pkcs7-signature"), CONTENT_KIND_SIGNATURE},
        {STR_INIT("application/x-pkcs7-signature"), CONTENT_KIND_SIGNATURE},
        {STR_INIT("application/pgp-signature"), CONTENT_KIND_SIGNATURE},
        {STR_INIT("application/pgp-encrypted"), CONTENT_KIND_ENCRYPTED},
        {STR_INIT("application/pkcs7-mime"), CONTENT_KIND_ENCRYPTED},
        {STR_INIT("application/x-pkcs7-mime"), CONTENT_KIND_ENCRYPTED},
        {STR_INIT("application/ms-tnef"), CONTENT_KIND_TNEF},
        {STR_INIT("application/vnd.ms-tnef"), CONTENT_KIND_TNEF},
        {STR_INIT("application/x-uuencode"), CONTENT_KIND_UU},
        {STR_INIT("application/uuencode"), CONTENT_KIND_UU},
        {STR_INIT("application/mac-binhex40"), CONTENT_KIND_BINHEX},
        {STR_INIT("application/mac-binhex"), CONTENT_KIND_BINHEX},
    };

    unsigned kinds = 0;
    for (size_t i = 0; i < countof(types); i++)
        if (str_eq(type, types[i].type))
            kinds |= types[i].kinds;
    if (str_starts(type, STR("multipart/")) || str_eq(type, STR("multipart")))
        kinds |= CONTENT_KIND_MULTIPART;
    if (str_starts(type, STR("text/")) || str_find(type, '/') == SIZE_MAX)
        kinds |= CONTENT_KIND_TEXT;
    if (str_starts(type, STR("image/")))
        kinds |= CONTENT_KIND_IMAGE;
    return kinds;
}

static unsigned kinds_of_name(struct str name)
{
    if (str_eq_nocase(name, STR("winmail.dat")))
        return CONTENT_KIND_TNEF;
    if (str_ends_nocase(name, STR(".p7m")))
        return CONTENT_KIND_ENCRYPTED;
    return 0;
}

static void classify(struct content *out)
{
    for (uint32_t i = 0; i < out->types.count; i++)
        out->kinds |= kinds_of(out->types.at[i]);
    if (out->types.count == 0)
        out->kinds |= CONTENT_KIND_TEXT;
    for (uint32_t i = 0; i < out->names.count; i++)
        out->kinds |= kinds_of_name(out->names.at[i]);
    struct str smime = content_parameter(out, STR("smime-type"));
    bool is_smime = content_has_type(out, STR("application/pkcs7-mime")) ||
                    content_has_type(out, STR("application/x-pkcs7-mime"));
    if (is_smime && str_eq_nocase(smime, STR("signed-data"))) {
        out->kinds &= ~(unsigned)CONTENT_KIND_ENCRYPTED;
        out->kinds |= CONTENT_KIND_OPAQUE_SIGNED;
    }
    if (out->encodings == 0)
        out->encodings = CONTENT_IDENTITY;
    if (out->names.count > 1)
        out->doubt |= CONTENT_TWO_NAMES;
    if (out->boundaries.count > 1)
        out->doubt |= CONTENT_TWO_BOUNDARIES;
    if (out->charsets.count > 1)
        out->doubt |= CONTENT_TWO_CHARSETS;
    for (uint32_t i = 0; i < out->boundaries.count; i++)
        if (str_trim(out->boundaries.at[i]).len == 0)
            out->doubt |= CONTENT_EMPTY_BOUNDARY;
}

void content_read(struct str section, struct arena *arena, struct content *out)
{
    struct arena scratch;
    struct reader r = {.out = out, .arena = arena, .scratch = &scratch};
    *out = (struct content){.id = {"", 0}};
    arena_init(&scratch, SCRATCH_BYTES);
    buffer_init(&r.text, FIELD_BYTES);
    r.parameters = arena_take(&scratch, sizeof *r.parameters);
    if (!r.parameters)
        out->doubt |= CONTENT_LIMIT;
    else
        r.parameters->scratch = &scratch;
    while (section.len && r.parameters) {
        struct str line = take_line(&section), value = line;
        struct str name = line.len ? field_name(&r, line, &value) : line;
        if (name.len)
            read_field(&r, name, value, &section);
    }
    classify(out);
    buffer_drop(&r.text);
    arena_drop(&scratch);
}

struct str content_parameter(const struct content *c, struct str name)
{
    for (uint32_t i = 0; i < c->parameter_count; i++)
        if (str_eq_nocase(c->parameters[i].name, name))
            return c->parameters[i].value;
    return str_from("", 0);
}

bool content_has_type(const struct content *c, struct str type)
{
    for (uint32_t i = 0; i < c->types.count; i++)
        if (str_eq(c->types.at[i], type))
            return true;
    return false;
}

void content_say_doubt(unsigned doubt, struct buffer *out)
{
    static const char *const words[] = {
        "two Content-Type fields",
        "two Content-Transfer-Encoding fields",
        "two Content-Disposition fields",
        "different file names",
        "different boundaries",
        "different charsets",
        "malformed Content field",
        "comment in a Content field",
        "pieces of a name out of order",
        "odd Content-Transfer-Encoding",
        "malformed text in a name",
        "raw bytes in a name",
        "malformed header line",
        "unsafe file name",
        "empty boundary",
        "header over a limit",
    };

    for (size_t i = 0, said = 0; i < countof(words); i++)
        if (doubt >> i & 1)
            buffer_printf(out, "%s%s", said++ ? ", " : "", words[i]);
}
