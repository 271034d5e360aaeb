/* dice.h -- numbers that look random and are the same in every run: a failure can be seen again.
 *
 * Thread   one a struct.
 */
#ifndef TESTS_UNIT_BASE_DICE_H
#define TESTS_UNIT_BASE_DICE_H

#include "core/base/base.h"

struct dice {
    uint64_t state; /* not 0 */
};

static inline uint64_t dice_u64(struct dice *d)
{
    d->state ^= d->state >> 12;
    d->state ^= d->state << 25;
    d->state ^= d->state >> 27;
    return d->state * 0x2545f4914f6cdd1du;
}

static inline uint64_t dice_below(struct dice *d, uint64_t bound)
{
    return (dice_u64(d) >> 16) % bound; /* bounds here are far below 2^48 */
}

static inline void dice_fill(struct dice *d, char *at, size_t len)
{
    for (size_t i = 0; i < len; i++)
        at[i] = (char)(dice_u64(d) >> 32);
}

#endif
