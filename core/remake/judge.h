/* judge.h -- from a received mail and an organisation's rules to an outcome for each recipient.
 *
 * Thread   any; pure glue over core/policy.
 * Time     now_ms is adopted time: releases count from it.
 */
#ifndef CORE_REMAKE_JUDGE_H
#define CORE_REMAKE_JUDGE_H

#include "core/mail/envelope.h"
#include "core/mail/header.h"
#include "core/policy/organisation.h"

struct judge_facts {
    const struct organisation *organisation;
    const struct user *user;     /* authenticated, or NULL */
    const void *client;          /* address bytes, network order */
    size_t client_bytes;         /* 4 or 16 */
    const struct header *header; /* of the mail, done */
    uint64_t now_ms, hold_standard_ms;
    uint64_t
        not_before_ms; /* the client's own wish (RFC 4865): later than the policy, or nothing */
};

struct judgement {
    bool notice; /* somebody waits, and a rule wants the sender to know */
    uint64_t release_last_ms;
    bool refused; /* in the SMTP reply: nothing of it becomes ours */
    struct str refused_rule, refused_text;
    uint32_t bounced; /* recipients who do not get it, and whose sender is to be told by mail */
};

/* Sets class, rule, form, release_ms, due_ms and stage of every recipient; of one who is refused
 * by mail BOUNCED and `last`. A mail without a sender to tell is refused in the reply, if it is
 * refused as a whole. False: no memory. Texts of the judgement are the organisation's. */
NODISCARD bool judge(const struct judge_facts *f, struct message *m, struct judgement *out);

#endif
