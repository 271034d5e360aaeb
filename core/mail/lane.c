#include "core/mail/lane.h"

#include "core/base/map.h"

/* Frozen, as the bits are. */
enum {
    SEED = 0x1a2e
};

static uint32_t fold(struct str text, uint32_t count)
{
    return (uint32_t)(hash_bytes(text, SEED) % count);
}

uint32_t lane_make(struct str organisation, struct str sender, struct str domain)
{
    uint32_t lane = fold(organisation, LANE_ORGANISATIONS);
    lane = lane * LANE_SENDERS + fold(sender, LANE_SENDERS);
    lane = lane * LANE_DOMAINS + fold(domain, LANE_DOMAINS);
    return lane ? lane : 1;
}

uint32_t lane_of(const struct message *m)
{
    struct str domain = m->recipient_count ? m->recipients[0].address : STR("");
    size_t at = domain.len;
    while (at > 0 && domain.at[at - 1] != '@')
        at--;
    return lane_make(m->organisation, m->sender, str_skip(domain, at));
}
