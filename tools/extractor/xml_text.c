#include "tools/extractor/xml_text.h"

#include <expat.h>

enum {
    OUT_BYTES = 16 << 10
};

/* Elements by their name without prefix. */
enum effect {
    LINE = 1 << 0,   /* a line ends behind it */
    TAB = 1 << 1,    /* something else begins behind it */
    HIDDEN = 1 << 2, /* it is there: hidden data */
    CELL = 1 << 3,   /* of a sheet: t="s" makes its number an index */
    NUMBER = 1 << 4, /* the number of a cell */
    COVERED = 1 << 5 /* ODF's mark of encryption */
};

static const struct {
    const char *name;
    unsigned effect;
} elements[] = {
    {"p", LINE},
    {"h", LINE},
    {"si", LINE},
    {"row", LINE},
    {"tr", LINE},
    {"br", LINE},
    {"cr", LINE},
    {"line-break", LINE},
    {"table-row", LINE},
    {"comment", LINE | HIDDEN},
    {"author", LINE},
    {"oddHeader", LINE},
    {"oddFooter", LINE},
    {"evenHeader", LINE},
    {"evenFooter", LINE},
    {"firstHeader", LINE},
    {"firstFooter", LINE},
    {"definedName", LINE},
    {"title", LINE},
    {"subject", LINE},
    {"creator", LINE},
    {"keywords", LINE},
    {"description", LINE},
    {"lastModifiedBy", LINE},
    {"lpwstr", LINE},
    {"c", TAB | CELL},
    {"is", TAB},
    {"f", TAB},
    {"v", TAB | NUMBER},
    {"tc", TAB},
    {"table-cell", TAB},
    {"tab", TAB},
    {"s", TAB},
    {"rPh", TAB},
    {"pt", TAB},
    {"vanish", HIDDEN},
    {"webHidden", 0},
    {"del", HIDDEN},
    {"ins", HIDDEN},
    {"moveFrom", HIDDEN},
    {"moveTo", HIDDEN},
    {"tracked-changes", HIDDEN},
    {"annotation", LINE | HIDDEN},
    {"cm", LINE | HIDDEN},
    {"threadedComment", LINE | HIDDEN},
    {"encryption-data", COVERED},
};

/* Attributes whose value is text. */
static const char *const spoken[] = {"descr",  "title",       "Target", "tooltip",  "string-value",
                                     "prompt", "promptTitle", "error",  "oddHeader"};

/* Attributes that hide. */
static const struct {
    const char *name, *value;
} hiding[] = {
    {"hidden", "1"},         {"hidden", "true"},         {"state", "hidden"},
    {"state", "veryHidden"}, {"visibility", "collapse"}, {"visibility", "filter"},
    {"display", "none"},
};

static void hand_out(struct xml_text *x)
{
    if (x->out.len)
        x->put(x->owner, buffer_str(&x->out));
    buffer_clear(&x->out);
}

static void put(struct xml_text *x, struct str s)
{
    while (s.len) {
        struct str some = str_head(s, OUT_BYTES - x->out.len);
        buffer_put(&x->out, some);
        x->last = some.at[some.len - 1];
        s = str_skip(s, some.len);
        if (x->out.len == OUT_BYTES)
            hand_out(x);
    }
}

static void part(struct xml_text *x, char with)
{
    if (x->last != '\n' && x->last != with && x->last)
        put(x, str_from(&with, 1));
}

static const char *local(const char *name)
{
    const char *colon = strrchr(name, ':');
    return colon ? colon + 1 : name;
}

static unsigned effect_of(const char *name)
{
    for (size_t i = 0; i < countof(elements); i++)
        if (strcmp(elements[i].name, name) == 0)
            return elements[i].effect;
    return 0;
}

static const char *value_of(const char **attributes, const char *name)
{
    for (; *attributes; attributes += 2)
        if (strcmp(local(attributes[0]), name) == 0)
            return attributes[1];
    return NULL;
}

static void speak(struct xml_text *x, const char *element, const char **attributes)
{
    bool sheet = strcmp(element, "sheet") == 0;
    bool filter = strcmp(element, "definedName") == 0; /* each filter makes a hidden name */
    for (; *attributes; attributes += 2) {
        const char *name = local(attributes[0]), *value = attributes[1];
        bool heard = sheet && strcmp(name, "name") == 0;
        for (size_t i = 0; i < countof(spoken); i++)
            heard = heard || strcmp(name, spoken[i]) == 0;
        for (size_t i = 0; i < countof(hiding); i++)
            x->hidden = x->hidden || (!filter && strcmp(name, hiding[i].name) == 0 &&
                                      strcmp(value, hiding[i].value) == 0);
        if (heard && *value) {
            part(x, '\n');
            put(x, str_c(value));
            part(x, '\n');
        }
    }
}

static void on_start(void *owner, const char *name, const char **attributes)
{
    struct xml_text *x = owner;
    name = local(name);
    unsigned effect = effect_of(name);
    const char *value = value_of(attributes, "val"), *type;
    bool off = value && (strcmp(value, "0") == 0 || strcmp(value, "false") == 0);
    x->hidden = x->hidden || (effect & HIDDEN && !off);
    x->encrypted = x->encrypted || effect & COVERED;
    if (effect & CELL) {
        type = value_of(attributes, "t");
        x->is_index = type && strcmp(type, "s") == 0;
    }
    x->in_number = effect & NUMBER;
    type = strcmp(name, "sld") == 0 ? value_of(attributes, "show") : NULL;
    x->hidden = x->hidden || (type && strcmp(type, "0") == 0);
    /* packages name their own parts by targets, too: only those outside say something */
    type = strcmp(name, "Relationship") == 0 ? value_of(attributes, "TargetMode") : "External";
    if (type && strcmp(type, "External") == 0)
        speak(x, name, attributes);
}

static void on_end(void *owner, const char *name)
{
    struct xml_text *x = owner;
    unsigned effect = effect_of(local(name));
    if (effect & LINE)
        part(x, '\n');
    else if (effect & TAB)
        part(x, '\t');
    x->in_number = false;
    if (effect & CELL)
        x->is_index = false;
}

static void on_characters(void *owner, const char *at, int len)
{
    struct xml_text *x = owner;
    if (!(x->in_number && x->is_index))
        put(x, str_from(at, (size_t)len));
}

static void stop(struct xml_text *x)
{
    x->bad = true;
    (void)XML_StopParser(x->parser, XML_FALSE);
}

static void on_entity(void *owner, const char *name, int is_parameter, const char *value, int len,
                      const char *base, const char *system, const char *public,
                      const char *notation)
{
    (void)name, (void)is_parameter, (void)value, (void)len, (void)base, (void)system;
    (void)public, (void)notation;
    stop(owner);
}

bool xml_text_init(struct xml_text *x, void (*put_text)(void *owner, struct str utf8), void *owner)
{
    *x = (struct xml_text){.put = put_text, .owner = owner};
    x->parser = XML_ParserCreate(NULL);
    if (!x->parser)
        return false;
    buffer_init(&x->out, OUT_BYTES);
    XML_SetUserData(x->parser, x);
    XML_SetElementHandler(x->parser, on_start, on_end);
    XML_SetCharacterDataHandler(x->parser, on_characters);
    XML_SetEntityDeclHandler(x->parser, on_entity);
    return true;
}

bool xml_text_feed(struct xml_text *x, struct str bytes)
{
    while (bytes.len && !x->bad) {
        struct str some = str_head(bytes, 1 << 20);
        x->bad = XML_Parse(x->parser, some.at, (int)some.len, 0) != XML_STATUS_OK;
        bytes = str_skip(bytes, some.len);
    }
    return !x->bad;
}

bool xml_text_finish(struct xml_text *x)
{
    x->bad = x->bad || XML_Parse(x->parser, "", 0, 1) != XML_STATUS_OK;
    part(x, '\n');
    hand_out(x);
    return !x->bad;
}

void xml_text_drop(struct xml_text *x)
{
    XML_ParserFree(x->parser);
    buffer_drop(&x->out);
}
