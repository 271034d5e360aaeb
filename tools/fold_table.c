/* fold_table -- writes core/mail/fold_table.inc: what ICU says of the basic plane, in blocks of
 * which equal ones are there once. Run by the build.
 *
 *   fold_table > fold_table.inc
 */
#include "core/mail/fold_table.h"

#include <stdio.h>
#include <string.h>

enum {
    BLOCKS = FOLD_PLANE / FOLD_BLOCK
};

static uint32_t blocks[BLOCKS][FOLD_BLOCK];
static unsigned place[BLOCKS];

int main(void)
{
    unsigned count = 0;
    for (uint32_t b = 0; b < BLOCKS; b++) {
        for (uint32_t i = 0; i < FOLD_BLOCK; i++)
            blocks[count][i] = fold_describe(b * FOLD_BLOCK + i);
        unsigned same = 0;
        while (memcmp(blocks[same], blocks[count], sizeof blocks[count]) != 0)
            same++;
        place[b] = same;
        count += same == count;
    }
    (void)printf("static const uint8_t fold_place[%u] = {", (unsigned)BLOCKS);
    for (unsigned b = 0; b < BLOCKS; b++)
        (void)printf("%s%u,", b % 32 ? " " : "\n    ", place[b]);
    (void)printf("\n};\n\nstatic const uint32_t fold_blocks[%u][%u] = {", count,
                 (unsigned)FOLD_BLOCK);
    for (unsigned b = 0; b < count; b++) {
        (void)printf("\n    {");
        for (unsigned i = 0; i < FOLD_BLOCK; i++)
            (void)printf("%s0x%X,", i % 12 ? " " : "\n        ", blocks[b][i]);
        (void)printf("\n    },");
    }
    (void)printf("\n};\n");
    return count > 255 || fflush(stdout) != 0;
}
