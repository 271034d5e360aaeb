/* json.h -- the lines of the control socket: a writer of our own, and the door to jansson for
 * reading.
 *
 * Written text is always valid UTF-8 on one line: NUL and what is no UTF-8 become U+FFFD, control
 * bytes are escaped, so that no value can end its line.
 *
 * Names begin with js_: json_ belongs to jansson.
 *
 * Thread   any.
 * Memory   js_read() owns what it returns until js_forget(); strings point into it.
 * Errors   js_read(): NULL for what is no object, has a repeated key, or more than
 *          JS_VALUES_MAX values (a bomb of brackets must not become a bomb of memory).
 */
#ifndef CORE_COORDINATOR_JSON_H
#define CORE_COORDINATOR_JSON_H

#include "core/base/buffer.h"

enum {
    JS_VALUES_MAX = 65536
};

/* Writing. `comma` is kept by the writer: a value knows whether one came before it. */
struct js_writer {
    struct buffer *out;
    bool comma;
};

static inline struct js_writer js_writer(struct buffer *out)
{
    return (struct js_writer){out, false};
}

void js_begin(struct js_writer *w, const char *key, char bracket); /* key NULL: in an array */
void js_end(struct js_writer *w, char bracket);
void js_str(struct js_writer *w, const char *key, struct str value);
void js_text(struct js_writer *w, const char *key, const char *value);
void js_u64(struct js_writer *w, const char *key, uint64_t value);
void js_flag(struct js_writer *w, const char *key, bool value);
void js_null(struct js_writer *w, const char *key);
void js_time(struct js_writer *w, const char *key, uint64_t wall_ms); /* ISO 8601, UTC */

/* Reading. */
struct js_value; /* a json_t of jansson */

NODISCARD struct js_value *js_read(struct str line);
void js_forget(struct js_value **v);

/* The member `key`; NULL when there is none, or `v` is no object. */
const struct js_value *js_member(const struct js_value *v, const char *key);
/* Element `i` of an array; NULL past its end, or when it is none. */
const struct js_value *js_element(const struct js_value *v, size_t i);
bool js_get_str(const struct js_value *v, struct str *out);
bool js_get_u64(const struct js_value *v, uint64_t *out);
bool js_get_flag(const struct js_value *v, bool *out);
bool js_is_object(const struct js_value *v);

/* The member as text; empty when absent or no text. */
struct str js_member_str(const struct js_value *v, const char *key);
uint64_t js_member_u64(const struct js_value *v, const char *key);

/* Walk the keys of an object: start with *at = NULL. */
bool js_next(const struct js_value *v, void **at, struct str *key, const struct js_value **value);

/* Any value as one line. */
void js_write_value(struct buffer *out, const struct js_value *v);

#endif
