/* inside.h -- what the files of storage share about one partition. Nobody else includes it.
 *
 * Thread   the opener until partition_start(), the keeper after it; what others read is atomic: the
 *          table of descriptors, the published usage, the index.
 */
#ifndef STORAGE_INSIDE_H
#define STORAGE_INSIDE_H

#include "core/base/histogram.h"
#include "core/base/limit.h"
#include "storage/index.h"
#include "storage/journal.h"
#include "storage/partition.h"
#include "storage/segment.h"
#include "storage/state.h"

#include <pthread.h>
#include <stdatomic.h>

enum {
    CONFIRM_IDLE_MS = 20,            /* then an empty group proves the last one */
    ZERO_SLICE_BYTES = 1 << 20,      /* of a new segment, written in one turn */
    UNCOVERED_BYTES_MAX = 512 << 20, /* journal that the index may lag behind on stable storage */
    FULL_CHECK_MS = 100,
    FULL_RETRY_MS = 500, /* after a segment could not be made */
    DURABLE_CHECK_MS = 50,
    REOPEN_WAIT_MS = 1000,
    REOPENS_MAX = 3,  /* of the index, before it is made again */
    REBUILDS_MAX = 3, /* in one run, before the partition fails */
    REFILL_SLICE = 2048,
    PURGE_SLICE = 64,
    PATH_BYTES = 4096,
    CHECKPOINT_SEGMENTS = 2, /* after so many, states are written again */
    SERIALS_RESERVED = 1 << 20,
    STATE_BYTES_MAX = 64 << 20, /* memory of the states that one group touches */
};

/* Due of what nobody may send any more: a person must look. */
static const uint64_t DUE_NEVER = UINT64_MAX - 1;

/* How far the journal is covered by what was put into the index, and what goes with it. */
struct position {
    struct journal_place next; /* where the next group goes, and what it continues */
    uint64_t serial_seen;      /* largest serial of a message */
    uint64_t serial_reserved;
    uint64_t due_low;      /* nothing in the due index is before it */
    uint64_t finished_low; /* nothing in the finished index is before it */
    uint64_t messages, open_recipients;
    uint64_t checkpoint_floor; /* generation from which on states are complete in the journal */
    uint64_t journal_bytes;    /* written since the beginning */
    struct clock_anchor anchor;
    struct clock_boot_id boot;
    bool anchored;
};

struct asked {
    struct cell cell;
    uint32_t ring;
    bool answered;
};

/* What a refused unit changed already. */
struct undo {
    struct state *state;
    uint32_t recipient, flags;
    bool dirty;
    struct recipient_state before;
};

/* The due times below a new horizon are handed out in slices. */
struct refill {
    bool running, first;
    uint64_t until_ms;
    struct key from; /* next key to look at */
};

struct partition {
    struct partition_settings settings;
    char *path;
    int directory, lock;
    uint64_t stamp;
    struct pool pool;
    struct index *index;
    struct partition_report report;

    struct position at;      /* covered by the index's memory */
    struct position durable; /* covered by the index on stable storage */
    bool flushing;           /* a flush was asked for at flush_sequence */
    uint64_t flush_sequence;
    uint64_t durable_checked_ms, dropped_ms;

    struct states states;
    uint64_t wall_ms;  /* of the group being applied */
    struct undo *undo; /* of the unit being checked */
    size_t undo_count, undo_room;
    struct group group;
    struct buffer scratch, extra;
    char *staging; /* GROUP_BYTES_MAX, aligned */

    struct port port;
    pthread_t thread;
    bool started;
    atomic_bool stop;
    struct ring **from, **to;
    size_t rings;
    struct ring *coordinator;
    struct asked *asked;
    size_t asked_count, asked_room;
    bool *blocked; /* by ring, within a turn */
    bool busy;     /* this turn wrote a group */

    bool horizon_known;
    uint64_t horizon_ms; /* what is due below it is ARMed by us */
    struct refill refill;
    struct clock_anchor anchor_pending;
    uint64_t watch_until_ns; /* of rest(); 0: sleep at once */
    bool anchor_waits;
    bool group_matters; /* the group holds more than an anchor: it must be proven */
    bool unconfirmed;   /* the last group has no successor yet */
    uint64_t last_group_ms;
    uint64_t serial_used; /* largest serial that an asker named, committed or not */

    bool failed, failed_said, full;
    uint64_t full_checked_ms, full_until_ms;
    bool index_down;
    uint32_t reopens;
    uint64_t reopen_at_ms;

    struct reclaim {
        uint32_t segment, generation; /* being copied forward; 0: none */
        uint64_t offset;
        char *raw; /* GROUP_BYTES_MAX, aligned, while something is copied */
    } reclaim;

    uint64_t purged_ms;

    struct checkpoint {
        bool running, documents; /* … of which the messages are done */
        uint64_t sequence;       /* of its begin */
        uint32_t generation;     /* of the segment with its begin */
        uint64_t next_id;
        struct buffer next_key;
    } checkpoint;

    bool rebuilding;
    bool lost; /* what is missing is not in the index: rebuilding it does not help */
    uint64_t
        proven_from; /* rebuilding: sequence from which on records prove that a message lives */
    uint32_t rebuilds;

    struct histogram commit_us;
    uint64_t published_ms;
    _Atomic uint64_t usage_segments, usage_segment_bytes, usage_free_bytes, usage_live_bytes;
    _Atomic uint64_t usage_ready_bytes;
    _Atomic uint64_t usage_messages, usage_held, usage_p50_us, usage_p99_us;
    atomic_bool usage_failed, usage_full;
};

/* position.c */
void position_encode(const struct position *p, struct buffer *out);
NODISCARD bool position_decode(struct str in, struct position *p);

/* check.c: a unit against the states in force, the earlier units of the group included. */
NODISCARD bool check_unit(struct partition *p,
                          struct unit *u); /* false: refused, nothing changed */
void check_undo(struct partition *p);

/* commit.c: units into groups, groups to disk. */

/* Put the units of asked[0..count) into one group, write and sync it. Returns how many of the asked
 * were taken; every COMMIT among them has its result, but index and answers are still to do. */
size_t commit_group(struct partition *p, size_t count);

/* Write whatever the group holds. False: the partition failed. */
bool commit_write(struct partition *p);
void commit_open_group(struct partition *p);
/* Segment switch when less than `bytes` are left; `spare`: one must be left over for moves. */
bool commit_make_room(struct partition *p, size_t bytes, bool spare);
void commit_fail(struct partition *p, const char *what, int error);

/* One more spare segment, if there is space. False: full, or the partition failed. */
bool commit_make_spare(struct partition *p);

/* The states touched and the position go into the index. False: the index is down. */
bool commit_index(struct partition *p);

/* apply.c: one record, as replay and keeper do it. */
void apply_record(struct partition *p, const struct group_header *h, const struct record *r);
void apply_move(struct partition *p, struct state *s, uint32_t recipient,
                const struct recipient_state *to, struct str last);
void apply_line(struct partition *p, struct state *s, uint32_t recipient, struct str line);
void apply_decision(struct partition *p, struct state *s, const struct decision *d,
                    struct str payload);
void apply_note(struct partition *p, uint64_t id, uint64_t sequence, uint32_t number,
                struct str text);
NODISCARD bool apply_document(struct partition *p, struct str payload);
void apply_damage(struct partition *p, uint64_t id, const char *what);

/* partition.c */
void index_path(const struct partition *p, const char *name, char *path); /* PATH_BYTES */

/* replay.c */
/* Before anything else: what the segments say of themselves. */
void replay_prepare(struct partition *p);
NODISCARD bool replay(struct partition *p, struct buffer *errors);
/* The same for a new index: from the oldest segment on; gaps where segments were used again are no
 * damage. */
NODISCARD bool replay_all(struct partition *p, struct buffer *errors);
/* The index was closed and opened again: bring it up to where the journal is. */
NODISCARD bool replay_again(struct partition *p, struct buffer *errors);

/* reclaim.c: one bounded step each; true: there is more to do at once. */
bool reclaim_turn(struct partition *p);
bool reclaim_purge(struct partition *p);
void purge_message(struct partition *p, uint64_t id); /* its keys, but those of live ones */
bool reclaim_spares(struct partition *p);
bool reclaim_durable(struct partition *p, uint64_t now_ms); /* how far did flushes come */

/* checkpoint.c: one bounded step; true: there is more to do at once. */
bool checkpoint_turn(struct partition *p);
void checkpoint_put(struct partition *p, size_t bytes); /* into the open group */
void checkpoint_ride(struct partition *p);              /* a little, when others write */

/* rebuild.c: a new index from the whole journal; the old one is moved aside. */
NODISCARD bool rebuild(struct partition *p, struct buffer *errors);

/* start.c: what a new run begins with: recipients found in SENDING, a new range of serials. */
NODISCARD bool start_run(struct partition *p, struct buffer *errors);

/* Adopted time, as far as the anchor allows to know it; else the wall clock. */
uint64_t partition_now_ms(const struct partition *p);

/* keeper.c */
void keeper_turn_alone(struct partition *p, struct unit *u);
void *keeper_main(void *partition);
void keeper_finish(struct partition *p);
void keeper_publish(struct partition *p, uint64_t now_ms);

/* grant.c: extents of body segments. */
struct grant *grant_make(struct partition *p, uint32_t count);
void grant_revoke(struct partition *p, struct grant *g);
/* Are all extents of the message granted? Then they are live. Else nothing changes. */
NODISCARD bool grant_settle(struct partition *p, const struct message *m);
void grant_unsettle(struct partition *p, const struct message *m);
/* A message that holds them no more: their keys leave the index, and they are free. */
void grant_forget(struct partition *p, uint64_t id, const struct extent *e, uint32_t count);
/* Live without having been granted in this run: at start and in replay. */
void grant_adopt(struct partition *p, const struct extent *e, uint32_t count);
NODISCARD bool grant_load(struct partition *p,
                          struct buffer *errors); /* from the index, at start */
/* After replay: which mails had their body in a segment that is not there. Names and counts them.
 * False: the index can't be read. */
NODISCARD bool grant_name_missing(struct partition *p, struct buffer *errors);
NODISCARD int grant_sync(struct partition *p, const struct message *m);

/* load.c: a message from the index. */
NODISCARD struct message *message_load(struct index *ix, uint64_t id);

#endif
