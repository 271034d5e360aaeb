/* state.h -- the states of messages that the current group touches: read from the index, changed,
 * and written back. Moves see the earlier units of their group through it.
 *
 * Thread   the keeper.
 * Memory   everything dies with states_clear(), once the index has the group. `encoded` given to
 *          state_accept() is borrowed until then; of the message nothing is.
 */
#ifndef STORAGE_STATE_H
#define STORAGE_STATE_H

#include "core/base/arena.h"
#include "core/mail/envelope.h"
#include "storage/index.h"

enum {
    STATE_BUCKETS = 4096
};

enum {                      /* flags of an 'S' value, frozen */
    STATE_LARGE = 1 << 0,   /* body lies in extents */
    STATE_LINES = 1 << 1,   /* there are 'R' keys */
    STATE_DECIDED = 1 << 2, /* there are 'C' keys */
    STATE_NOTED = 1 << 3,   /* there are 'N' keys */
    STATE_PROVEN = 1 << 4,  /* rebuild.c: its states are complete in what was read */
    STATE_LANE_SHIFT = 8,   /* bits from here on: core/mail/lane.h; 0: unknown */
};

/* Where a message lies: in its 'M' value. */
struct placement {
    uint32_t segment, generation;
    uint64_t offset;      /* of the ACCEPT or COPY record */
    uint64_t body_offset; /* of the BODY record; 0: in extents */
    uint32_t bytes;       /* of both records: what is live in the segment */
};

struct state {
    uint64_t id;
    struct state *chain, *next;

    enum {
        STATE_ABSENT,
        STATE_KNOWN,
        STATE_UNREADABLE
    } is;

    bool dirty, fresh /* accepted in this group */, moved /* new placement */;
    uint32_t flags;
    uint64_t finished_ms;                /* 0: not final */
    uint32_t segment, generation, bytes; /* where its bytes count as live */
    uint32_t count;
    struct recipient_state *recipient;

    /* as the index has it */
    bool final; /* as it goes into the index */
    bool was_final, was_sending;
    uint64_t was_due_ms;
    uint32_t was_open;

    /* fresh or moved */
    struct placement place;
    struct str message; /* encoded */
    struct str sender, token;
    uint64_t body_bytes;
    uint64_t accepted_ms;  /* fresh only */
    struct extent *extent; /* large: in the arena */
    uint32_t extents;
};

struct states {
    struct index *index;
    struct arena arena;
    struct state *bucket[STATE_BUCKETS];
    struct state *first, *last;
    uint32_t count;
    struct buffer value; /* scratch */
};

void states_init(struct states *s, struct index *ix);
void states_drop(struct states *s);
void states_clear(struct states *s);

/* The state of a message, absent ones included. */
struct state *state_get(struct states *s, uint64_t id);

/* The same if it was touched already; else NULL. */
struct state *states_find(const struct states *s, uint64_t id);

/* A message that is ours from now on. `encoded` is what message_encode() made. */
struct state *state_accept(struct states *s, const struct message *m, struct str encoded,
                           const struct placement *place);

bool state_is_final(const struct state *s);
bool state_is_sending(const struct state *s);
uint32_t state_open(const struct state *s); /* recipients that are not final */

/* 'M' and 'S' values. */
void state_encode_message(const struct state *s, struct buffer *out);
void state_encode(const struct state *s, struct buffer *out);

struct message_value { /* what an 'M' value says besides the message */
    struct placement place;
    struct str message;
    uint64_t body_bytes;
};

NODISCARD bool message_value_read(struct str value, struct message_value *out);

struct state_value {
    uint32_t segment, generation, bytes, flags;
    uint64_t finished_ms;
    struct str states;
};

NODISCARD bool state_value_read(struct str value, struct state_value *out);

uint64_t sender_hash(struct str sender);

#endif
