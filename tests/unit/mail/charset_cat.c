/* charset_cat -- each line of the input, "charset hex", as UTF-8 in hex and the doubt. For
 * oracle_charset. */
#include "core/mail/charset.h"

#include <stdio.h>

enum {
    LINE_BYTES = 512
};

static int digit(char c)
{
    return c <= '9' ? c - '0' : c - 'a' + 10;
}

int main(void)
{
    char line[LINE_BYTES];
    struct charset_cache *cache = charset_cache_make();
    struct buffer in, out;
    buffer_init(&in, LINE_BYTES);
    buffer_init(&out, (size_t)CHARSET_GROWTH * LINE_BYTES);
    while (fgets(line, sizeof line, stdin)) {
        struct str rest = str_c(line), name = str_word(&rest), hex = str_trim(rest);
        struct charset c;
        buffer_clear(&in);
        buffer_clear(&out);
        for (size_t i = 0; i + 2 <= hex.len; i += 2)
            buffer_putc(&in, (char)(digit(hex.at[i]) << 4 | digit(hex.at[i + 1])));
        charset_open(&c, cache, name);
        charset_feed(&c, buffer_str(&in), &out);
        charset_finish(&c, &out);
        charset_drop(&c);
        for (size_t i = 0; i < out.len; i++)
            (void)printf("%02x", (unsigned)(unsigned char)out.at[i]);
        (void)printf(" %u\n", c.doubt);
    }
    buffer_drop(&in);
    buffer_drop(&out);
    charset_cache_drop(&cache);
    return 0;
}
