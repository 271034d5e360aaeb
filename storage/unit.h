/* unit.h -- payloads of journal records: written by unit_add_… and the keeper, read by keeper and
 * replay. Laid out at the top of journal.c.
 *
 * Thread   any; pure.
 * Memory   decoded strings point into the payload.
 */
#ifndef STORAGE_UNIT_H
#define STORAGE_UNIT_H

#include "storage/journal.h"
#include "storage/partition.h"

/* What lies in unit.extra: type:1 id:8 payload as text, again and again. */
struct extra {
    enum record_type type;
    uint64_t id;
    struct str payload;
};

bool unit_extra_next(struct str *in, struct extra *out);

void decision_encode(const struct decision *d, struct buffer *out);
NODISCARD bool decision_decode(uint64_t id, struct str in, struct decision *out);

void move_encode(uint32_t recipient, const struct recipient_state *to, struct str last,
                 struct buffer *out);
NODISCARD bool move_decode(struct str in, uint32_t *recipient, struct recipient_state *to,
                           struct str *last);

/* Where in an ACCEPT payload the encoded message starts. */
enum {
    ACCEPT_MESSAGE_AT = 12
};

struct accept {
    uint64_t body_offset;
    struct str message, states, lines;
};

void accept_encode(const struct message *m, uint64_t body_offset, struct buffer *out);
NODISCARD bool accept_decode(struct str in, struct accept *out);
bool accept_line(struct str *in, uint32_t *recipient, struct str *line); /* false at the end */

#endif
