/* judge.h -- from a received mail and an organisation's rules to an outcome for each recipient.
 *
 * Thread   any; pure glue over core/policy.
 * Time     now_ms is adopted time: releases count from it.
 */
#ifndef CORE_REMAKE_JUDGE_H
#define CORE_REMAKE_JUDGE_H

#include "core/mail/envelope.h"
#include "core/policy/organisation.h"

struct judge_facts {
    const struct organisation *organisation;
    const struct user *user; /* authenticated, or NULL */
    const void *client;      /* address bytes, network order */
    size_t client_bytes;     /* 4 or 16 */
    uint64_t now_ms, hold_standard_ms;
    uint64_t
        not_before_ms; /* the client's own wish (RFC 4865): later than the policy, or nothing */
};

struct judgement {
    bool notice; /* somebody waits, and a rule wants the sender to know */
    uint64_t release_last_ms;
};

/* Sets class, rule, form, release_ms, due_ms and stage of every recipient. False: no memory. */
NODISCARD bool judge(const struct judge_facts *f, struct message *m, struct judgement *out);

#endif
