#include "core/coordinator/json.h"

#include "core/base/clock.h"
#include "core/mail/utf8.h"

#include <jansson.h>

static void put_key(struct js_writer *w, const char *key)
{
    if (w->comma)
        buffer_putc(w->out, ',');
    w->comma = true;
    if (key) {
        buffer_putc(w->out, '"');
        buffer_puts(w->out, key);
        buffer_puts(w->out, "\":");
    }
}

void js_begin(struct js_writer *w, const char *key, char bracket)
{
    put_key(w, key);
    buffer_putc(w->out, bracket);
    w->comma = false;
}

void js_end(struct js_writer *w, char bracket)
{
    buffer_putc(w->out, bracket);
    w->comma = true;
}

static void put_escaped(struct buffer *out, uint32_t c)
{
    if (c == '"' || c == '\\')
        buffer_printf(out, "\\%c", (char)c);
    else if (c == 0) /* jansson reads none */
        buffer_puts(out, "\xef\xbf\xbd");
    else if (c == '\n')
        buffer_puts(out, "\\n");
    else
        buffer_printf(out, "\\u%04x", c);
}

static void put_quoted(struct buffer *out, struct str s)
{
    buffer_putc(out, '"');
    while (s.len) {
        size_t plain = 0;
        size_t length = 0;
        uint32_t c = 0;
        while (plain < s.len && (length = utf8_take(str_skip(s, plain), &c)) > 0) {
            if (utf8_is_control(c) || c == '"' || c == '\\')
                break;
            plain += length;
        }
        buffer_put(out, str_head(s, plain));
        s = str_skip(s, plain);
        if (!s.len)
            break;
        if (length == 0)
            buffer_puts(out, "\xef\xbf\xbd");
        else
            put_escaped(out, c);
        s = str_skip(s, length ? length : 1);
    }
    buffer_putc(out, '"');
}

void js_str(struct js_writer *w, const char *key, struct str value)
{
    put_key(w, key);
    put_quoted(w->out, value);
}

void js_text(struct js_writer *w, const char *key, const char *value)
{
    js_str(w, key, str_c(value));
}

void js_u64(struct js_writer *w, const char *key, uint64_t value)
{
    put_key(w, key);
    buffer_printf(w->out, "%llu", (unsigned long long)value);
}

void js_flag(struct js_writer *w, const char *key, bool value)
{
    put_key(w, key);
    buffer_puts(w->out, value ? "true" : "false");
}

void js_null(struct js_writer *w, const char *key)
{
    put_key(w, key);
    buffer_puts(w->out, "null");
}

void js_time(struct js_writer *w, const char *key, uint64_t wall_ms)
{
    /* four digits of year: what a broken clock says must still be a date */
    const uint64_t last_ms = 253402300799999;
    js_text(w, key, clock_stamp(u64_min(wall_ms, last_ms)).at);
}

/* --- jansson --------------------------------------------------------------------------------- */

/* Commas and brackets outside of strings: an upper bound of the values that parsing would make. */
static size_t values_at_most(struct str line)
{
    size_t values = 1;
    bool quoted = false;
    for (size_t i = 0; i < line.len; i++) {
        char c = line.at[i];
        if (quoted && c == '\\')
            i++;
        else if (c == '"')
            quoted = !quoted;
        else if (!quoted && (c == ',' || c == '[' || c == '{'))
            values++;
    }
    return values;
}

static const json_t *of(const struct js_value *v)
{
    return (const json_t *)(const void *)v;
}

static const struct js_value *to(const json_t *v)
{
    return (const struct js_value *)(const void *)v;
}

struct js_value *js_read(struct str line)
{
    if (values_at_most(line) > JS_VALUES_MAX)
        return NULL;
    json_error_t error;
    json_t *v = json_loadb(line.at, line.len, JSON_REJECT_DUPLICATES, &error);
    if (v && !js_is_object(to(v))) {
        json_decref(v);
        return NULL;
    }
    return (struct js_value *)(void *)v;
}

void js_forget(struct js_value **v)
{
    json_decref((json_t *)(void *)*v);
    *v = NULL;
}

bool js_is_object(const struct js_value *v)
{
    return v && json_typeof(of(v)) == JSON_OBJECT;
}

const struct js_value *js_member(const struct js_value *v, const char *key)
{
    return v ? to(json_object_get(of(v), key)) : NULL;
}

const struct js_value *js_element(const struct js_value *v, size_t i)
{
    return v ? to(json_array_get(of(v), i)) : NULL;
}

bool js_get_str(const struct js_value *v, struct str *out)
{
    if (!v || json_typeof(of(v)) != JSON_STRING)
        return false;
    *out = str_from(json_string_value(of(v)), json_string_length(of(v)));
    return true;
}

bool js_get_u64(const struct js_value *v, uint64_t *out)
{
    if (!v || json_typeof(of(v)) != JSON_INTEGER || json_integer_value(of(v)) < 0)
        return false;
    *out = (uint64_t)json_integer_value(of(v));
    return true;
}

bool js_get_flag(const struct js_value *v, bool *out)
{
    if (!v || (json_typeof(of(v)) != JSON_TRUE && json_typeof(of(v)) != JSON_FALSE))
        return false;
    *out = json_typeof(of(v)) == JSON_TRUE;
    return true;
}

struct str js_member_str(const struct js_value *v, const char *key)
{
    struct str text = STR("");
    (void)js_get_str(js_member(v, key), &text);
    return text;
}

uint64_t js_member_u64(const struct js_value *v, const char *key)
{
    uint64_t number = 0;
    (void)js_get_u64(js_member(v, key), &number);
    return number;
}

/* jansson's iterators take the object as mutable; they only look. */
static json_t *mutable_of(const struct js_value *v)
{
    return (json_t *)(uintptr_t)v;
}

bool js_next(const struct js_value *v, void **at, struct str *key, const struct js_value **value)
{
    if (!js_is_object(v))
        return false;
    *at = *at ? json_object_iter_next(mutable_of(v), *at) : json_object_iter(mutable_of(v));
    if (!*at)
        return false;
    *key = str_c(json_object_iter_key(*at));
    *value = to(json_object_iter_value(*at));
    return true;
}

static int append(const char *bytes, size_t len, void *out)
{
    buffer_put(out, str_from(bytes, len));
    return 0;
}

void js_write_value(struct buffer *out, const struct js_value *v)
{
    (void)json_dump_callback(of(v), append, out, JSON_COMPACT | JSON_ENCODE_ANY);
}
