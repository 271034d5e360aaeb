/* faultcontrol.h -- what the harness orders, over the control socket, and what comes of it.
 *
 * The protocol is specified at the top of faultfs.c.
 *
 * Thread   one, the loop of faultfs.c. A second thread, started here, only tells the kernel to drop
 *          its caches, since that call may have to wait for the loop.
 */
#ifndef TESTS_CRASH_FAULTCONTROL_H
#define TESTS_CRASH_FAULTCONTROL_H

#include "tests/crash/faultdisk.h"

#include <poll.h>

struct fuse_session;

/* Listen at `path`, or nowhere where it is NULL. False: errno says why. */
bool control_start(const char *path, struct fuse_session *session);

/* Wait a moment for `other`, whose revents are set, and obey what comes over the socket. */
void control_wait(struct pollfd *other);

/* Every call that can fail passes here: 0, or the error that somebody ordered for it. */
int control_refuse(enum op op, struct node *n, const char *name);

/* A sync with all that can happen at it: 0, or its error. */
int control_sync(enum op op, struct node *n);

/* How much of a write fits; 0 is ENOSPC. */
size_t control_fitting(const struct node *n, size_t length, off_t at, bool direct);

uint64_t control_space_limit(void); /* UINT64_MAX: none */
uint64_t control_space_left(void);
bool control_power_is_off(void);

/* Settle the backing directory, once. */
void control_finish(void);

#endif
