/* inspector.h -- files given to the extractor (tools/extractor), from a worker's loop.
 *
 *   inspector_begin()  ->  ready(): inspection_feed(), ... inspection_finish()
 *                      ->  member(), text(), flag() as they come, then over(), once
 *
 * Each file gets a process of its own, so many at once as `rooms`; further ones wait in turn.
 * Whatever goes wrong (a file that cannot be given, a process that dies, an answer that does not
 * come) is over() with UNREADABLE and the reason; nothing is ever READABLE because of it.
 *
 * Thread   the loop's.
 * Memory   what is fed is copied; at most INSPECTOR_SEND_BYTES of a file wait. An inspection is the
 *          caller's from inspector_begin() until over() or inspection_drop(): then its pointer is
 *          stale. What an event names is good until it returns.
 * Time     a file waits at most `timeout_ms` for its turn (BUSY) or an extractor (MISSING), and
 *          its answer comes `timeout_ms` after its last byte, or 3 s later from us (TIME). The time
 *          of a pause does not count.
 * Promise  callbacks come from loop_turn() only. Inside of them every call here is allowed.
 */
#ifndef SHARDS_INSPECTOR_H
#define SHARDS_INSPECTOR_H

#include "core/io/connection.h"
#include "shards/inspect.h"

enum {
    INSPECTOR_SEND_BYTES = 256 << 10,
    INSPECTOR_GRACE_MS = 3000,
};

struct inspector;
struct inspection;

struct inspection_calls {
    /* There is room: inspection_feed() takes something. */
    void (*ready)(struct inspection *n);
    void (*member)(struct inspection *n, const struct inspect_member *m);
    void (*text)(struct inspection *n, const struct inspect_text *t);
    void (*flag)(struct inspection *n, const struct inspect_flagged *f);
    void (*over)(struct inspection *n, const struct inspect_end *e);
};

struct inspector_settings {
    const struct sockaddr *to; /* of the extractor's socket; copied. NULL: there is none */
    socklen_t to_len;
    uint32_t rooms, queue; /* files at once; files that wait besides */
    struct inspect_limits limits;
};

/* What is asked of a file. Strings are copied. */
struct inspector_file {
    const struct str *names; /* as declared, the first is the best; at most INSPECT_NAMES count */
    size_t name_count;
    struct str type; /* declared */
    const struct inspection_calls *calls;
    void *owner;
};

struct inspector *inspector_make(struct loop *l);

/* Settings for files that begin from now on. */
void inspector_use(struct inspector *i, const struct inspector_settings *s);

/* NULL: too many wait already; that is INSPECT_REASON_BUSY. */
NODISCARD struct inspection *inspector_begin(struct inspector *i,
                                             const struct inspector_file *file);

/* Takes from the front of `bytes` what there is room for; when something is left, ready() follows.
 * Before the first ready() it takes nothing. */
void inspection_feed(struct inspection *n, struct str *bytes);
void inspection_finish(struct inspection *n);

/* No events until it is resumed (over() by a death or a time-out excepted). */
void inspection_pause(struct inspection *n);
void inspection_resume(struct inspection *n);

void inspection_drop(struct inspection **n); /* of no interest any more; NULL is allowed */
void *inspection_owner(const struct inspection *n);

/* Nothing of it is left; what runs is dropped. Ask again until true, then inspector_drop(). */
bool inspector_stopped(struct inspector *i);
void inspector_drop(struct inspector **i);

#endif
