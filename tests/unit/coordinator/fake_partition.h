/* fake_partition.h -- a partition in memory, with a keeper thread that the test drives.
 *
 * It defines what the coordinator calls of storage/partition.h: nothing of storage is linked.
 *
 * Thread   any: one spin lock around everything.
 */
#ifndef TESTS_UNIT_COORDINATOR_FAKE_PARTITION_H
#define TESTS_UNIT_COORDINATOR_FAKE_PARTITION_H

#include "storage/partition.h"

#include <pthread.h>
#include <stdatomic.h>

enum {
    FAKE_MESSAGES = 8192,
    FAKE_DOCUMENTS = 32
};

struct partition {
    atomic_flag lock;
    struct message *messages[FAKE_MESSAGES];
    size_t count;

    struct {
        char *key, *value;
    } documents[FAKE_DOCUMENTS];
    struct partition_report report;

    struct port port; /* the keeper's */
    struct ring *ask, *answer, *arms;
    pthread_t thread;
    atomic_bool stop, fail; /* fail: every commit answers COMMIT_FAILED, FAILED is said once */
    atomic_bool rearm;      /* ARM everything that is timed */
    atomic_uint refills, anchors, commits;
    uint64_t refill_from[16], refill_to[16];
};

struct partition *fake_make(struct port *coordinator);
void fake_start(struct partition *p);
void fake_stop(struct partition **p);

/* A mail with one recipient for each of `stages`, all due at `due_ms`. */
void fake_add(struct partition *p, uint64_t id, struct str sender, struct str recipient,
              const enum stage *stages, uint32_t count, uint64_t due_ms);
void fake_set(struct partition *p, uint64_t id, uint32_t recipient, enum stage stage,
              uint32_t flags);
enum stage fake_stage(struct partition *p, uint64_t id, uint32_t recipient, uint64_t *due_ms);

#endif
