/* outbox.h -- from an id that is due to deliveries in the queues of destinations.
 *
 * DUE puts the id into the ready list (8 bytes: a storm costs nothing). Each turn takes some,
 * fetches the message from its keeper, and cuts what is due into deliveries, one for each
 * destination and LIMIT of recipients. Nothing is durable here: what is lost with the process is
 * found again in the due index.
 *
 * Thread   the shard's.
 */
#ifndef SHARDS_OUTBOX_H
#define SHARDS_OUTBOX_H

#include "shards/mail.h"

void outbox_due(struct shard *s, uint64_t id);
void outbox_turn(struct shard *s);

/* The mail's last user has gone. */
void outbox_finished(struct mail *mail);

#endif
