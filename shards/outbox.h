/* outbox.h -- from an id that is due to deliveries in the queues of destinations.
 *
 * DUE puts the id into `ready` (16 bytes: a storm costs nothing), where lanes take turns. Each turn
 * of the loop takes some, fetches the message from its keeper, and cuts what is due into
 * deliveries, one for each destination and LIMIT of recipients. Nothing is durable here: what is
 * lost with the process is found again in the due index.
 *
 * A mail whose destination is full is parked there as an id again, and its lane is held: what else
 * is in the lane is most likely for the same destination, and is not read before there is room
 * (route.h). Since a lane is only a hash, a held lane is looked into now and then.
 *
 * Thread   the shard's.
 * Memory   OUTBOX_MAILS mails at once, of which one organisation and one destination get a part of
 *          what is free, and at least one: whoever comes next finds room.
 */
#ifndef SHARDS_OUTBOX_H
#define SHARDS_OUTBOX_H

#include "shards/mail.h"

enum {
    OUTBOX_MAILS = 10000, /* in memory at once, about 2 KiB each without bodies */
};

void outbox_due(struct shard *s, uint64_t id, uint32_t lane);
void outbox_turn(struct shard *s);
void outbox_tick(struct shard *s);              /* every second */
uint64_t outbox_wait_ms(const struct shard *s); /* until the next turn has something to do */

/* The mail's last user has gone. */
void outbox_finished(struct mail *mail);

#endif
