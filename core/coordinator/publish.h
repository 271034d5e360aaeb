/* publish.h -- new settings and organisations as immutable snapshots, and the registry behind them.
 *
 * A registry document "organisation/NAME" holds the canonical text of each organisation. A change
 * is synced there first, then published, then answered. What does not fit (a bad file, two
 * organisations with one domain) is refused and changes nothing.
 *
 * Thread   the coordinator's; the first snapshot is made by main before the threads start.
 * Memory   a publication is freed when the last worker has put it away and a newer one is current.
 */
#ifndef CORE_COORDINATOR_PUBLISH_H
#define CORE_COORDINATOR_PUBLISH_H

#include "core/base/arena.h"
#include "core/base/list.h"
#include "core/policy/snapshot.h"

#include <sys/types.h>

struct coordinator;
struct coordinator_settings;
struct partition;

enum {
    PUBLISH_CONTROL_USERS = 16
};

/* Settings or a directory, used by one or more publications. */
struct shared {
    void *object;
    void (*drop)(void *object);
    uint32_t refs;
};

struct publication {
    struct snapshot snapshot;
    struct list link;
    struct arena arena; /* host names */
    struct shared *settings, *directory;
    uid_t control_uids[PUBLISH_CONTROL_USERS];
    size_t control_uid_count;
};

struct publish {
    struct list publications; /* oldest first; the last is current */
    struct publication *current;
};

void publish_init(struct publish *p, struct snapshot *first);
void publish_drop(struct publish *p);

NODISCARD struct snapshot *publish_first(const struct coordinator_settings *s,
                                         struct buffer *errors);

/* Read the config file again; false: `errors`, and the running settings stay. `restart` gets the
 * names of settings that need one. */
NODISCARD bool publish_reload(struct coordinator *c, struct buffer *errors, struct buffer *restart);

/* Only check the config file. */
NODISCARD bool publish_check(struct coordinator *c, struct buffer *errors, struct buffer *restart);

/* Store `text` as the organisation's document (an empty text removes it) and publish. */
NODISCARD bool publish_organisation(struct coordinator *c, struct str name, struct str text,
                                    struct buffer *errors);

/* A worker has put `old` away. */
void publish_adopted(struct coordinator *c, uint32_t worker, const struct snapshot *old);

/* Does every worker use the current snapshot? */
bool publish_settled(const struct coordinator *c);

bool publish_may_control(const struct publish *p, uid_t uid);

#endif
