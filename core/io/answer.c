#include "core/io/answer.h"

#include "core/base/base.h"
#include "core/base/buffer.h"

enum {
    HEADER_BYTES = 12,
    NAME_TEXT_MAX = 253,
    POINTER = 0xc0,
};

static bool byte_at(struct str message, size_t at, uint8_t *out)
{
    if (at >= message.len)
        return false;
    *out = (uint8_t)message.at[at];
    return true;
}

static bool is_host_char(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' || c == '_';
}

/* One label of `len` bytes at `at`, behind what is there; false: the name is too long. */
static bool add_label(struct str message, size_t at, size_t len, struct dns_name *out,
                      size_t *text_len)
{
    size_t need = len + (*text_len ? 1 : 0);
    if (len > message.len - at || *text_len + need > NAME_TEXT_MAX)
        return false;
    if (*text_len)
        out->at[(*text_len)++] = '.';
    for (size_t i = 0; i < len; i++) {
        char c = char_lower(message.at[at + i]);
        if (!is_host_char(c)) {
            out->is_host = false;
            c = '?';
        }
        out->at[(*text_len)++] = c;
    }
    out->at[*text_len] = '\0';
    return true;
}

/* Where the pointer at `read` leads; false: half a pointer, or not to before `lowest`. Each jump
 * leads further back, so there is no loop. */
static bool follow(struct str message, size_t read, size_t lowest, size_t *target)
{
    uint8_t high, low;
    if (!byte_at(message, read, &high) || !byte_at(message, read + 1, &low))
        return false;
    *target = (size_t)(high & ~POINTER) << 8 | low;
    return *target < lowest;
}

bool answer_name(struct str message, size_t *at, struct dns_name *out)
{
    size_t read = *at, lowest = *at, text_len = 0;
    bool jumped = false;
    out->at[0] = '\0';
    out->is_host = true;
    for (;;) {
        uint8_t len;
        if (!byte_at(message, read, &len))
            return false;
        if ((len & POINTER) == POINTER) {
            size_t target;
            if (!follow(message, read, lowest, &target))
                return false;
            if (!jumped)
                *at = read + 2;
            jumped = true;
            read = lowest = target;
            continue;
        }
        if (len & POINTER)
            return false;
        read++;
        if (len == 0)
            break;
        if (!add_label(message, read, len, out, &text_len))
            return false;
        read += len;
    }
    if (!jumped)
        *at = read;
    return true;
}

static bool take_name(struct answer *a)
{
    struct dns_name ignored;
    return answer_name(a->message, &a->at, &ignored);
}

bool answer_open(struct answer *a, struct str message)
{
    *a = (struct answer){.message = message, .at = HEADER_BYTES};
    struct str counts = str_skip(message, 4);
    uint16_t questions, answers;
    if (message.len < HEADER_BYTES || !take16(&counts, &questions) || !take16(&counts, &answers))
        return false;
    for (; questions > 0; questions--) {
        if (!take_name(a) || a->message.len - a->at < 4)
            return false;
        a->at += 4;
    }
    a->left = answers;
    return true;
}

bool answer_next(struct answer *a, struct answer_record *out)
{
    while (a->left > 0 && !a->broken) {
        a->left--;
        uint16_t class, len;
        uint32_t ttl;
        if (!take_name(a)) {
            a->broken = true;
            break;
        }
        struct str rest = str_skip(a->message, a->at);
        if (!take16(&rest, &out->type) || !take16(&rest, &class) || !take32(&rest, &ttl) ||
            !take16(&rest, &len) || !take_bytes(&rest, len, &out->data)) {
            a->broken = true;
            break;
        }
        out->data_at = (size_t)(out->data.at - a->message.at);
        a->at = out->data_at + len;
        if (class == DNS_CLASS_IN)
            return true;
    }
    return false;
}

bool answer_mx(const struct answer *a, const struct answer_record *r, uint16_t *preference,
               struct dns_name *exchanger)
{
    struct str data = r->data;
    size_t end = r->data_at + r->data.len;
    size_t at = r->data_at + 2;
    /* the name may point back, but its own bytes end where the record does */
    return take16(&data, preference) && answer_name(str_head(a->message, end), &at, exchanger) &&
           at == end;
}
