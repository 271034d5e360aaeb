/* lane.h -- whose share of the way out a mail takes: its organisation, its sender and its first
 * destination, as 24 bits.
 *
 * Where many mails wait, lanes take turns, so the number must be known before a mail is read: it
 * stands beside its due time on the disk (storage/state.h; frozen) and in the cells ARM and DUE.
 * Who shares a number by chance shares turns, and nothing else goes wrong. 0 is unknown.
 *
 * Thread   any; pure.
 */
#ifndef CORE_MAIL_LANE_H
#define CORE_MAIL_LANE_H

#include "core/mail/envelope.h"

enum {
    LANE_BITS = 24,
    LANE_ORGANISATIONS = 1 << 10,
    LANE_SENDERS = 1 << 6,
    LANE_DOMAINS = 1 << 8,
};

uint32_t lane_make(struct str organisation, struct str sender, struct str domain);
uint32_t lane_of(const struct message *m); /* by its first recipient */

static inline uint32_t lane_organisation(uint32_t lane)
{
    return lane / (LANE_SENDERS * LANE_DOMAINS) % LANE_ORGANISATIONS;
}

#endif
