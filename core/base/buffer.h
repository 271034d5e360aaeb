/* buffer.h -- bytes that grow, up to a maximum.
 *
 * Memory   owns its bytes; buffer_drop() gives them back. A str of its bytes is good until the next
 *          append.
 * Errors   past `max` (or without memory) nothing more is appended and `full` stays true until
 *          buffer_clear(): check once, after the last append. There is no partial append.
 */
#ifndef CORE_BASE_BUFFER_H
#define CORE_BASE_BUFFER_H

#include "core/base/str.h"

#include <stdarg.h>

struct buffer {
    char *at;
    size_t len, room, max;
    bool full;
};

void buffer_init(struct buffer *b, size_t max);
void buffer_drop(struct buffer *b);
void buffer_clear(struct buffer *b); /* keeps the memory */

void buffer_put(struct buffer *b, struct str s);
void buffer_putc(struct buffer *b, char c);
void buffer_puts(struct buffer *b, const char *text);
void buffer_printf(struct buffer *b, const char *format, ...) PRINTFLIKE(2, 3);
void buffer_vprintf(struct buffer *b, const char *format, va_list args) PRINTFLIKE(2, 0);
void buffer_fill(struct buffer *b, char c, size_t count);

/* Make room for `bytes` more and return where they go, or NULL (then full); then buffer_added(). */
NODISCARD char *buffer_reserve(struct buffer *b, size_t bytes);
void buffer_added(struct buffer *b, size_t bytes);

/* Drop the first `bytes`. */
void buffer_consume(struct buffer *b, size_t bytes);

/* Integers in big-endian order, for records and keys. */
void buffer_put8(struct buffer *b, uint8_t v);
void buffer_put16(struct buffer *b, uint16_t v);
void buffer_put32(struct buffer *b, uint32_t v);
void buffer_put64(struct buffer *b, uint64_t v);
void buffer_put_bytes32(struct buffer *b, struct str s); /* length:4, then the bytes */

static inline struct str buffer_str(const struct buffer *b)
{
    return str_from(b->at ? b->at : "", b->len);
}

/* Reading the same: each takes from the front of `in`; false if too short, then `in` is as before.
 * */
NODISCARD bool take8(struct str *in, uint8_t *v);
NODISCARD bool take16(struct str *in, uint16_t *v);
NODISCARD bool take32(struct str *in, uint32_t *v);
NODISCARD bool take64(struct str *in, uint64_t *v);
NODISCARD bool take_bytes(struct str *in, size_t len, struct str *out);
NODISCARD bool take_bytes32(struct str *in, struct str *out);

void store32(char *at, uint32_t v);
void store64(char *at, uint64_t v);
uint32_t load32(const char *at);
uint64_t load64(const char *at);

#endif
