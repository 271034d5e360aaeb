/* report.h -- the mails that a shard writes itself: hold notices, and delivery status
 * notifications.
 *
 * Thread   the shard's.
 * Memory   the message and its body are the caller's, to be put into a unit.
 */
#ifndef SHARDS_REPORT_H
#define SHARDS_REPORT_H

#include "shards/mail.h"

struct report {
    struct message *message; /* NULL: no memory */
    char *body;              /* heap */
    size_t body_bytes;
};

/* A DSN about the recipients of whom outcome.tell says something. `header`: the beginning of what
 * was sent, up to the end of its header section or as much as is known. The mail has a
 * reverse-path. */
struct report report_delivery(struct shard *s, const struct message *about, uint64_t id,
                              const struct outcome *outcomes, uint32_t count, struct str header);

/* The hold notice for a mail that is about to be accepted; gives it its token. */
struct report report_hold(struct shard *s, struct message *about, uint64_t id);

#endif
