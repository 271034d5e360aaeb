/* partition.h -- one partition of the mail queue: messages that are ours until every recipient is
 * delivered, returned or taken back. The contract that everyone above storage uses.
 *
 * A partition is a directory with a journal (the truth), body segments, and a RocksDB index behind
 * it. One keeper thread owns it. Its number is part of every message id.
 *
 * Thread   partition_open(), partition_start(), partition_stop(): the thread that builds the
 *          program. Everything else by cells through the rings given to partition_start(): COMMIT,
 *          FETCH, GRANT, REVOKE, REFILL; answers come in the order of the questions of one ring.
 *          partition_fd(), view_*: any thread.
 * Memory   units, messages and grants are handed over with their cell and handed back with the
 *          answer.
 * Time     due times are adopted wall-clock ms. The keeper reads the boot clock for anchors only.
 * Promise  COMMIT_SYNCED means on stable storage: only then may a client hear "250". A lone unit is
 *          written at once; what waits together shares one write and one sync.
 *          A new message that is due when it is accepted is not ARMed: its asker sends it off.
 * Errors   COMMIT_FULL is for now (452): the disk reserve or a limit is reached; moves, which need
 *          little, still work. COMMIT_REFUSED: a move that may not be skipped was not legal,
 *          nothing of the unit was written. COMMIT_FAILED: the first write or sync error is final
 *          for the partition (FAILED goes to the coordinator); nothing more is accepted.
 */
#ifndef STORAGE_PARTITION_H
#define STORAGE_PARTITION_H

#include "core/base/ring.h"
#include "core/mail/envelope.h"

enum commit_result {
    COMMIT_SYNCED,
    COMMIT_REFUSED,
    COMMIT_FULL,
    COMMIT_FAILED
};

/* One recipient's step. The keeper checks it against the state in force, the earlier units of the
 * same group included, and says what became of it. */
struct move {
    uint64_t id;
    uint32_t recipient; /* index in the message */
    enum stage to;
    uint32_t from;       /* bit set of 1 << enum stage that the asker expects; 0: any legal */
    uint32_t set, clear; /* RECIPIENT_… flags */
    uint32_t revision;   /* an ATTEMPT names the decision it sends; must be the one in force */
    bool may_skip;       /* illegal: leave this one out instead of refusing the unit */
    bool count_attempt;
    uint64_t due_ms;
    struct str last; /* kept for `explain`; empty: unchanged. Memory: the unit's arena */

    bool done;          /* answer */
    enum stage was;     /* answer: the stage found; STAGES when the message is gone */
    uint32_t was_flags; /* answer */
};

/* All or nothing: what is accepted, moved and noted together. */
struct unit {
    struct arena arena;
    struct message **accept; /* new messages with their ids; each owns its own arena */
    struct str *body;        /* inline body of each; NULL .at: it lies in extents */
    uint32_t accept_count;
    struct move *moves;
    uint32_t move_count;
    bool indexed;        /* answer when the index shows it: for people, who read what they wrote */
    struct buffer extra; /* encoded DECIDE, NOTE, DOCUMENT records (unit_add_…) */
    enum commit_result result;
    void *owner; /* the asker's own, untouched */
};

NODISCARD struct unit *unit_make(void); /* NULL without memory */
void unit_drop(struct unit **u);        /* the messages and bodies it accepted too */

/* Take over `m` and the bytes of `body` (heap memory, given back by unit_drop()). */
NODISCARD bool unit_accept(struct unit *u, struct message *m, char *body, size_t body_bytes);
NODISCARD struct move *unit_move(struct unit *u); /* a zeroed move, appended; NULL: no memory */

/* A named document (registry: organisations; anything small that changes whole). Empty value
 * deletes. */
void unit_add_document(struct unit *u, struct str key, struct str value);

/* A line for ledger and view about a message: who did what. */
void unit_add_note(struct unit *u, uint64_t id, struct str text);

/* A revised decision for one recipient: new form or hold, with a revision number one above the one
 * in force; `sealed` are its secrets. */
struct decision {
    uint64_t id;
    uint32_t recipient, revision;
    enum form form;
    enum stage stage;
    uint64_t due_ms;
    struct str rule, sealed;
};

void unit_add_decide(struct unit *u, const struct decision *d);

/* Extents of LIMIT_EXTENT_BYTES in body segments for one large mail. Blocks of LIMIT_STAGING_BYTES
 * are written there by the worker's ring; storage/extent.h makes and reads them. */
struct grant {
    uint32_t count;
    struct extent extent[];
};

struct partition_settings {
    const char *directory; /* of this partition; created when missing */
    uint32_t number, node;
    uint64_t segment_bytes;
    uint64_t ready_bytes;  /* journal space written ahead in idle time; at least two segments */
    uint64_t disk_reserve; /* bytes of the file system kept free */
    uint64_t history_ms;   /* finished messages stay in the index this long */
};

struct partition;

/* Create or open, lock against a second process (CRASH-12), replay the journal into the index.
 * NULL: `errors` says what is wrong and what to do. */
NODISCARD struct partition *partition_open(const struct partition_settings *s,
                                           struct buffer *errors);

/* What replay found, for the start-up log: torn groups dropped, damaged messages set aside. */
struct partition_report {
    uint64_t replayed_groups, torn_groups, damaged_records, damaged_messages;
    uint64_t serial_next;       /* first id serial that was never used */
    struct clock_anchor anchor; /* newest ANCHOR found */
    struct clock_boot_id boot;  /* the boot it was made on */
    bool anchored;
    bool rebuilt; /* the index was damaged and made again from the journal */
};
const struct partition_report *partition_report(const struct partition *p);

/* Start the keeper thread. `from` and `to` are pairs: from[i] is read by the keeper, to[i] is where
 * it answers questions of from[i]. `coordinator` gets ARM, REFILLED, FAILED. All rings read by the
 * keeper must be made with partition_port(). */
struct port *partition_port(struct partition *p);
void partition_start(struct partition *p, struct ring *const *from, struct ring *const *to,
                     size_t rings, struct ring *coordinator);

/* Everything already asked is answered; index flushed; thread joined; files closed. */
void partition_stop(struct partition **p);

/* For a caller that is itself the partition's thread (registry, tests): commit now, in this thread.
 * Not together with partition_start(). */
void partition_commit(struct partition *p, struct unit *u);

/* The file that holds a segment, for reads with O_DIRECT at LIMIT_BLOCK_BYTES alignment; -1: gone.
 * Any thread. */
int partition_fd(const struct partition *p, uint32_t segment);

/* Bytes on disk and free, for status. Any thread. */
struct partition_usage {
    uint64_t segments, segment_bytes, free_bytes, live_bytes;
    uint64_t ready_bytes;    /* journal space that can be overwritten in place */
    uint64_t messages, held; /* unfinished messages; recipients not final */
    bool failed, full;
    uint64_t commit_p50_us, commit_p99_us; /* write and sync of a group */
};

void partition_usage(const struct partition *p, struct partition_usage *out);

/* --- view: read-only, any thread, sees every group that was answered ---------------------------
 * */

/* A whole message with its states; NULL: unknown or purged. Caller owns it. */
NODISCARD struct message *view_get(const struct partition *p, uint64_t id);

struct view;

enum view_order {
    VIEW_BY_ID,
    VIEW_BY_DUE
};

/* Walk messages. `finished`: those that are final too. by id, ascending from `start` (0: all). */
NODISCARD struct view *view_open(const struct partition *p, enum view_order order, uint64_t start,
                                 bool finished);
NODISCARD struct message *view_next(struct view *v); /* NULL at the end; caller owns each */
void view_close(struct view **v);

/* Messages of one reverse-path, newest first: ids only. */
size_t view_by_sender(const struct partition *p, struct str sender, uint64_t *ids, size_t room);

/* The message whose hold notice carries this token; false: none. */
NODISCARD bool view_by_token(const struct partition *p, struct str token, uint64_t *id);

/* A document; empty .at when absent. The bytes are in `arena`. */
struct str view_document(const struct partition *p, struct str key, struct arena *arena);

/* Documents whose key starts with `prefix`, in key order. False at the end. `*cursor` starts NULL
 * and is closed by reading to the end or by view_documents_close(). */
struct view_documents;
bool view_documents(const struct partition *p, struct str prefix, struct view_documents **cursor,
                    struct arena *arena, struct str *key, struct str *value);
void view_documents_close(struct view_documents **cursor);

#endif
