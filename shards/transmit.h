/* transmit.h -- one outbound connection: it carries deliveries of one destination, one after
 * another.
 *
 * For each: MAIL and RCPTs go out while the keeper is asked for ATTEMPT; DATA only when both have
 * answered; then the content streams from the disk. What was refused meanwhile (taken back) is left
 * out: RSET, and the rest again.
 *
 * Thread   the shard's.
 */
#ifndef SHARDS_TRANSMIT_H
#define SHARDS_TRANSMIT_H

#include "shards/route.h"

void transmit_prepare(struct shard *s);

/* Dial exchanger number `exchanger` of the destination, or the first behind it for which a socket
 * can be made here. False: none, or no slot. */
NODISCARD bool transmit_dial(struct destination *d, uint32_t exchanger);

/* An idle connection takes a delivery, if the destination has one. */
void transmit_offer(struct transmit *t);

/* Where connections are short: one that is idle ends, and one that has waited long for its next hop
 * is given up, of this organisation or (LANE_ORGANISATIONS) of any. True: one was given up. */
bool transmit_make_room(struct shard *s, uint32_t organisation);

struct transmit *transmit_of_idle(struct list *link);

/* Close what is idle, and give up what carries no mail yet. */
void transmit_stop(struct shard *s);

#endif
