/* id.h -- the name of a message for its whole life: node 12 bits, partition 10, serial 42.
 *
 * The text form is 13 letters of Crockford's base 32 in lower case, most significant first, so that
 * text order is numeric order within a partition: "00g00000000z1". It goes into Received, log lines
 * and commands. Serials start at 1 and are never used twice in a partition.
 */
#ifndef CORE_BASE_ID_H
#define CORE_BASE_ID_H

#include "core/base/str.h"

enum {
    ID_NODE_BITS = 12,
    ID_PARTITION_BITS = 10,
    ID_SERIAL_BITS = 42,
    ID_TEXT_BYTES = 13,
};

/* The registry's partition number: never a mail's. */
enum {
    ID_PARTITION_REGISTRY = (1 << ID_PARTITION_BITS) - 1
};

static inline uint64_t id_make(uint32_t node, uint32_t partition, uint64_t serial)
{
    return (uint64_t)node << (ID_PARTITION_BITS + ID_SERIAL_BITS) |
           (uint64_t)partition << ID_SERIAL_BITS | serial;
}

static inline uint32_t id_partition(uint64_t id)
{
    return (uint32_t)(id >> ID_SERIAL_BITS) & ((1u << ID_PARTITION_BITS) - 1);
}

static inline uint64_t id_serial(uint64_t id)
{
    return id & ((1ull << ID_SERIAL_BITS) - 1);
}

struct id_text {
    char at[ID_TEXT_BYTES + 1]; /* with a terminator */
};

struct id_text id_text(uint64_t id);
NODISCARD bool id_parse(struct str text, uint64_t *id); /* either case */

#endif
