#include "core/base/buffer.h"

#include "core/base/heap.h"

#include <stdio.h>

void buffer_init(struct buffer *b, size_t max)
{
    *b = (struct buffer){.max = max};
}

void buffer_drop(struct buffer *b)
{
    heap_drop(b->at);
    *b = (struct buffer){.max = b->max};
}

void buffer_clear(struct buffer *b)
{
    b->len = 0;
    b->full = false;
}

char *buffer_reserve(struct buffer *b, size_t bytes)
{
    if (b->full || bytes > b->max - b->len) {
        b->full = true;
        return NULL;
    }
    if (!b->at || bytes > b->room - b->len) {
        size_t room = b->room ? b->room : 64;
        while (room < b->len + bytes)
            room *= 2;
        room = room > b->max ? b->max : room; /* at least one byte: never NULL */
        char *at = heap_grow(b->at, room);
        if (!at) {
            b->full = true;
            return NULL;
        }
        b->at = at;
        b->room = room;
    }
    return b->at + b->len;
}

void buffer_added(struct buffer *b, size_t bytes)
{
    must(bytes <= b->room - b->len);
    b->len += bytes;
}

void buffer_put(struct buffer *b, struct str s)
{
    if (s.len == 0)
        return;
    char *to = buffer_reserve(b, s.len);
    if (to) {
        memcpy(to, s.at, s.len);
        b->len += s.len;
    }
}

void buffer_putc(struct buffer *b, char c)
{
    buffer_put(b, str_from(&c, 1));
}

void buffer_puts(struct buffer *b, const char *text)
{
    buffer_put(b, str_c(text));
}

void buffer_fill(struct buffer *b, char c, size_t count)
{
    if (count == 0)
        return;
    char *to = buffer_reserve(b, count);
    if (to) {
        memset(to, c, count);
        b->len += count;
    }
}

/* vsnprintf() writes a terminator behind the bytes. It is not kept, so it does not count against
 * `max`: where the room ends with the bytes, the memory gets one byte more. */
static bool reserve_terminator(struct buffer *b, size_t bytes)
{
    if (b->room - b->len > bytes)
        return true;
    char *at = heap_grow(b->at, b->room + 1);
    if (!at) {
        b->full = true;
        return false;
    }
    b->at = at;
    return true;
}

void buffer_vprintf(struct buffer *b, const char *format, va_list args)
{
    va_list again;
    va_copy(again, args);
    int need = vsnprintf(NULL, 0, format, args);
    must(need >= 0);
    if (need > 0 && buffer_reserve(b, (size_t)need) && reserve_terminator(b, (size_t)need)) {
        (void)vsnprintf(b->at + b->len, (size_t)need + 1, format, again);
        b->len += (size_t)need;
    }
    va_end(again);
}

void buffer_printf(struct buffer *b, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    buffer_vprintf(b, format, args);
    va_end(args);
}

void buffer_consume(struct buffer *b, size_t bytes)
{
    must(bytes <= b->len);
    if (bytes == 0)
        return;
    b->len -= bytes;
    memmove(b->at, b->at + bytes, b->len);
}

void store32(char *at, uint32_t v)
{
    v = __builtin_bswap32(v);
    memcpy(at, &v, sizeof v);
}

void store64(char *at, uint64_t v)
{
    v = __builtin_bswap64(v);
    memcpy(at, &v, sizeof v);
}

uint32_t load32(const char *at)
{
    uint32_t v;
    memcpy(&v, at, sizeof v);
    return __builtin_bswap32(v);
}

uint64_t load64(const char *at)
{
    uint64_t v;
    memcpy(&v, at, sizeof v);
    return __builtin_bswap64(v);
}

void buffer_put8(struct buffer *b, uint8_t v)
{
    buffer_putc(b, (char)v);
}

void buffer_put16(struct buffer *b, uint16_t v)
{
    const char bytes[2] = {(char)(v >> 8), (char)v};
    buffer_put(b, str_from(bytes, sizeof bytes));
}

void buffer_put32(struct buffer *b, uint32_t v)
{
    char bytes[4];
    store32(bytes, v);
    buffer_put(b, str_from(bytes, sizeof bytes));
}

void buffer_put64(struct buffer *b, uint64_t v)
{
    char bytes[8];
    store64(bytes, v);
    buffer_put(b, str_from(bytes, sizeof bytes));
}

void buffer_put_bytes32(struct buffer *b, struct str s)
{
    if (s.len > UINT32_MAX) {
        b->full = true;
        return;
    }
    if (!buffer_reserve(b, 4 + s.len))
        return; /* no length without its bytes */
    buffer_put32(b, (uint32_t)s.len);
    buffer_put(b, s);
}

bool take_bytes(struct str *in, size_t len, struct str *out)
{
    if (in->len < len)
        return false;
    *out = str_head(*in, len);
    *in = str_skip(*in, len);
    return true;
}

bool take8(struct str *in, uint8_t *v)
{
    struct str raw;
    if (!take_bytes(in, 1, &raw))
        return false;
    *v = (uint8_t)raw.at[0];
    return true;
}

bool take16(struct str *in, uint16_t *v)
{
    struct str raw;
    if (!take_bytes(in, 2, &raw))
        return false;
    *v = (uint16_t)((uint16_t)((uint8_t)raw.at[0] << 8) | (uint8_t)raw.at[1]);
    return true;
}

bool take32(struct str *in, uint32_t *v)
{
    struct str raw;
    if (!take_bytes(in, 4, &raw))
        return false;
    *v = load32(raw.at);
    return true;
}

bool take64(struct str *in, uint64_t *v)
{
    struct str raw;
    if (!take_bytes(in, 8, &raw))
        return false;
    *v = load64(raw.at);
    return true;
}

bool take_bytes32(struct str *in, struct str *out)
{
    struct str before = *in;
    uint32_t len;
    if (take32(in, &len) && take_bytes(in, len, out))
        return true;
    *in = before;
    return false;
}
