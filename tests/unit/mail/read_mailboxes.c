/* read_mailboxes.c -- for compare_mailboxes.py: a list in hexadecimal a line, what is read a line.
 *
 *   DOUBTS ADDRESS ADDRESS ...      in hexadecimal; doubts are those of kind AMBIGUOUS, guesses
 *                                   have a "?" before them, broken elements are "-"
 */
#include "core/mail/mailbox.h"

#include <stdio.h>

enum {
    ARENA_BYTES = 16 << 20,
    LINE_BYTES = 1 << 16,
};

static int digit(char c)
{
    return c >= 'a' ? c - 'a' + 10 : c - '0';
}

static void answer(struct str in, struct arena *arena)
{
    struct mailbox_list list;
    must(mailbox_read(in, arena, &list));
    (void)printf("%x", mailbox_doubts_of(list.doubts, MAILBOX_AMBIGUOUS));
    for (uint32_t i = 0; i < list.count; i++) {
        const struct mailbox *m = &list.at[i];
        (void)printf(" %s", m->guess ? "?" : m->status == ADDRESS_OK ? "" : "-");
        for (size_t k = 0; k < m->address.whole.len; k++)
            (void)printf("%02x", (unsigned char)m->address.whole.at[k]);
    }
    (void)printf("\n");
}

int main(void)
{
    static char line[LINE_BYTES], bytes[LINE_BYTES];
    struct arena arena;
    arena_init(&arena, ARENA_BYTES);
    while (fgets(line, sizeof line, stdin)) {
        size_t len = 0;
        for (size_t i = 0; line[i] > ' ' && line[i + 1] > ' '; i += 2)
            bytes[len++] = (char)(digit(line[i]) * 16 + digit(line[i + 1]));
        answer(str_from(bytes, len), &arena);
        arena_reset(&arena);
    }
    arena_drop(&arena);
    return 0;
}
