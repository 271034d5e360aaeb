/* micro.h -- what one hot part costs: Google Benchmark behind a C face.
 *
 * A benchmark is a row of micro.def and a function that prepares, loops while micro_more(), and
 * cleans up; only the loop is timed. micro.cc is the door to the library.
 *
 *     bench_micro                                  all of them
 *     bench_micro --benchmark_filter=body          some; --help lists the library's options
 *
 * Thread   one.
 */
#ifndef BENCH_MICRO_MICRO_H
#define BENCH_MICRO_MICRO_H

#include <stdbool.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

struct micro;

/* Once more? The condition of the loop. */
bool micro_more(struct micro *m);

/* After the loop: what one pass of it went through, for a rate beside the time. */
void micro_bytes(struct micro *m, uint64_t each);
void micro_items(struct micro *m, uint64_t each);

/* A result that the compiler must not find unused. */
void micro_keep(uint64_t value);

#define MICRO(name) void micro_##name(struct micro *m);
#include "bench/micro/micro.def"
#undef MICRO

#ifdef __cplusplus
}
#endif

#endif
