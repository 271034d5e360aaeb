#include "core/base/id.h"

static const char digits[] = "0123456789abcdefghjkmnpqrstvwxyz";

struct id_text id_text(uint64_t id)
{
    struct id_text t = {{0}};
    for (int i = ID_TEXT_BYTES - 1; i >= 0; i--) {
        t.at[i] = digits[id & 31];
        id >>= 5;
    }
    return t;
}

bool id_parse(struct str text, uint64_t *id)
{
    uint64_t value = 0;
    if (text.len != ID_TEXT_BYTES)
        return false;
    for (size_t i = 0; i < text.len; i++) {
        const char *digit = memchr(digits, char_lower(text.at[i]), sizeof digits - 1);
        if (!digit || (i == 0 && digit - digits > 15)) /* 13 digits hold 65 bits */
            return false;
        value = value << 5 | (uint64_t)(digit - digits);
    }
    *id = value;
    return true;
}
