/* match_loaded.h -- a matcher from inside: for match.c and match_load.c only. */
#ifndef CORE_POLICY_MATCH_LOADED_H
#define CORE_POLICY_MATCH_LOADED_H

#include "core/base/str.h"

#include <hs/hs.h>

struct match_row {
    struct str text;
    uint32_t dictionary;
    uint32_t least; /* bytes of the shortest occurrence */
    bool longer;    /* it may be longer than that */
    bool word;
};

struct matcher {
    hs_database_t *database; /* NULL: no patterns */
    struct match_row *row;
    char *texts;
    uint32_t count, dictionaries;
    size_t bytes, stream_bytes;
};

struct match_scratch {
    hs_scratch_t *room;
};

#endif
