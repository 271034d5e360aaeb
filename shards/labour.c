#include "shards/labour.h"

#include "core/base/heap.h"
#include "core/base/log.h"
#include "crypto/credential.h"
#include "crypto/scram.h"

#include <sched.h>
#include <sys/resource.h>
#include <unistd.h>

enum {
    PASSWORD_BYTES_MAX = 16 << 10
};

struct work *work_make(enum work_kind kind)
{
    struct work *w = heap_take(sizeof *w);
    w->kind = kind;
    buffer_init(&w->password, PASSWORD_BYTES_MAX);
    buffer_init(&w->hash, PASSWORD_BYTES_MAX);
    return w;
}

void work_drop(struct work **w)
{
    if (!*w)
        return;
    if ((*w)->password.at)
        explicit_bzero((*w)->password.at, (*w)->password.room);
    buffer_drop(&(*w)->password);
    buffer_drop(&(*w)->hash);
    heap_drop(*w);
    *w = NULL;
}

static void check_password(struct work *w)
{
    if (w->hash.len == 0) {
        credential_dummy_verify(buffer_str(&w->password));
    } else if (scram_is_valid(buffer_str(&w->hash))) {
        w->good = scram_verify(buffer_str(&w->hash), buffer_str(&w->password));
        credential_dummy_verify(buffer_str(&w->password)); /* what everybody else costs */
    } else {
        w->good = credential_verify(buffer_str(&w->hash), buffer_str(&w->password));
    }
}

static void sleep_on(struct labourer *l)
{
    uint64_t woken;
    port_drowse(&l->port);
    if (ring_empty(l->from_worker))
        (void)!read(l->port.wake_fd, &woken, sizeof woken);
    port_awake(&l->port);
}

void *labour_run(void *labourer)
{
    struct labourer *l = labourer;
    struct sched_param batch = {0};
    (void)sched_setscheduler(0, SCHED_BATCH, &batch);
    (void)setpriority(PRIO_PROCESS, (id_t)gettid(), 10);
    for (bool stop = false; !stop;) {
        struct cell c;
        if (!ring_take(l->from_worker, &c)) {
            log_flush();
            sleep_on(l);
            continue;
        }
        struct work *w = c.object;
        if (w->kind == WORK_PASSWORD)
            check_password(w);
        else
            stop = true;
        c.kind = CELL_WORKED;
        ring_put(l->to_worker, &c);
        ring_flush(l->to_worker);
    }
    return NULL;
}
