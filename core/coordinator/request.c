#include "core/coordinator/request.h"

static const struct verb {
    const char *name, *arguments;
    unsigned flags;
} verbs[] = {

#define VERB(name, handler, arguments, flags, usage, help) {(name), (arguments), (flags)},
#include "core/coordinator/control.def"
#undef VERB
};

size_t request_verbs(void)
{
    return countof(verbs);
}

const char *request_verb_name(size_t verb)
{
    return verbs[verb].name;
}

unsigned request_verb_flags(size_t verb)
{
    return verbs[verb].flags;
}

static bool is_argument(const struct verb *v, struct str key)
{
    struct str names = str_c(v->arguments);
    for (struct str name = str_word(&names); name.len; name = str_word(&names)) {
        if (name.at[name.len - 1] == '!')
            name.len--;
        if (str_eq(name, key))
            return true;
    }
    return false;
}

/* Every key is known, every value a text or a flag, what must be there is. */
static bool check(const struct verb *v, const struct js_value *line, struct buffer *error)
{
    void *at = NULL;
    struct str key;
    const struct js_value *value;
    while (js_next(line, &at, &key, &value)) {
        struct str text;
        bool flag;
        if (str_eq(key, STR("verb")))
            continue;
        if (!is_argument(v, key)) {
            buffer_printf(error, "%s has no argument '%.*s'", v->name, (int)size_min(key.len, 40),
                          key.at);
            return false;
        }
        if (!js_get_str(value, &text) && !js_get_flag(value, &flag)) {
            buffer_printf(error, "argument '%.*s' is neither text nor a flag", STR_ARG(key));
            return false;
        }
    }
    struct str names = str_c(v->arguments);
    for (struct str name = str_word(&names); name.len; name = str_word(&names)) {
        char key_text[32];
        struct str text;
        if (name.at[name.len - 1] != '!')
            continue;
        must(name.len <= sizeof key_text);
        memcpy(key_text, name.at, name.len - 1);
        key_text[name.len - 1] = '\0';
        if (!js_get_str(js_member(line, key_text), &text) || text.len == 0) {
            buffer_printf(error, "%s needs the argument '%s'", v->name, key_text);
            return false;
        }
    }
    return true;
}

bool request_parse(struct str line, struct request *r, struct buffer *error)
{
    *r = (struct request){.line = js_read(line)};
    if (!r->line) {
        buffer_puts(error, "not a JSON object");
        return false;
    }
    struct str name = js_member_str(r->line, "verb");
    while (r->verb < countof(verbs) && !str_eq(name, str_c(verbs[r->verb].name)))
        r->verb++;
    if (r->verb == countof(verbs))
        buffer_printf(error, "unknown verb '%.*s'", (int)size_min(name.len, 40), name.at);
    else if (check(&verbs[r->verb], r->line, error))
        return true;
    request_drop(r);
    return false;
}

void request_drop(struct request *r)
{
    if (r->line)
        js_forget(&r->line);
}

struct str request_str(const struct request *r, const char *name)
{
    return js_member_str(r->line, name);
}

bool request_has(const struct request *r, const char *name)
{
    return js_member(r->line, name) != NULL;
}

bool request_flag(const struct request *r, const char *name)
{
    bool flag = false;
    return js_get_flag(js_member(r->line, name), &flag) && flag;
}
