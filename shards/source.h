/* source.h -- from which of our addresses a next hop is called, and by which name we greet it
 * (outbound_addresses).
 *
 * Each destination takes those of the family that fits in turn. One that cannot be bound (it is
 * not on this machine now) is told and counted, and left out for SOURCE_SKIP_MS; when all of a
 * family are, its exchangers cannot be called: never from an address that nobody has named.
 *
 * Thread   the shard's.
 */
#ifndef SHARDS_SOURCE_H
#define SHARDS_SOURCE_H

#include "core/base/limit.h"
#include "core/base/setting.h"
#include "shards/smtp_client.h"

#include <sys/socket.h>

enum {
    SOURCE_SKIP_MS = 60000
};

struct source {
    struct sockaddr_storage address;         /* port 0 */
    char name[LIMIT_DOMAIN_BYTES + 1];       /* for EHLO; empty: the host's */
    struct smtp_client_settings settings[2]; /* with this name: with STARTTLS, and without */
    uint64_t skipped_until_ms;               /* monotonic; 0: it was bound, or never tried */
};

struct sources {
    struct source at[LIMIT_SOURCES];
    size_t count;
    uint32_t first; /* where the next new destination begins */
};

/* What the settings say from now on. Sessions under way keep pointers into `s`: entries that go
 * keep their bytes. */
void sources_use(struct sources *s, const struct settings *settings);

/* The next one for a call to `family`; `turn` is the destination's. False: there are some, but none
 * can be used now. *out NULL: none is named for the family, the system chooses. */
NODISCARD bool sources_next(struct sources *s, int family, uint64_t now_ms, uint32_t *turn,
                            struct source **out);

/* It could not be bound. True: that is news. */
bool source_fails(struct source *s, uint64_t now_ms);

/* It was bound. */
static inline void source_works(struct source *s)
{
    s->skipped_until_ms = 0;
}

#endif
