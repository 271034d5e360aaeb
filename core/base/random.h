/* random.h -- the only door to randomness: the kernel's generator, never a fallback.
 *
 * Thread   any.
 * Errors   stops the program when the kernel gives none: predictable secrets are worse than a stop.
 */
#ifndef CORE_BASE_RANDOM_H
#define CORE_BASE_RANDOM_H

#include "core/base/base.h"

void random_bytes(void *at, size_t len);
uint64_t random_u64(void);             /* cheap: from a buffer of the thread */
uint64_t random_below(uint64_t bound); /* uniform; bound > 0 */

#endif
