/* ask.h -- what one leaf of a rule says about one message, or one message and one recipient.
 *
 * Thread   one owner; pure.
 * Memory   in the arena given to asking_make(); facts and organisation are borrowed.
 * Cost     asking_make() is linear in the facts (sorting the addresses); a leaf about headers or
 *          attachments is linear in them, each other leaf O(log names).
 */
#ifndef CORE_POLICY_ASK_H
#define CORE_POLICY_ASK_H

#include "core/policy/fact.h"
#include "core/policy/organisation.h"

/* The facts, and what the organisation makes of them. */
struct asking {
    const struct organisation *organisation;
    const struct facts *facts;
    struct str sender, sender_domain, user; /* keys */
    uint64_t external_recipients, external_domains, external_in_header;
    uint64_t (*hits)[MATCH_PLACES]; /* by number of the dictionary */
    const struct str *values;       /* of headers, in small letters */
    const struct str_list *names;   /* of attachments, the same */
};

/* One recipient of the envelope. */
struct addressee {
    struct str key, domain;
    enum recipient_class class;
    uint32_t relations; /* RELATION_... */
};

/* NULL: no memory. */
NODISCARD struct asking *asking_make(const struct organisation *o, const struct facts *f,
                                     struct arena *arena);

/* `address` as in facts.recipients; what it refers to lives in the arena. False: no memory. */
NODISCARD bool addressee_make(const struct asking *a, struct str address, struct arena *arena,
                              struct addressee *out);

bool ask_message(const struct asking *a, const struct condition *c);
bool ask_recipient(const struct condition *c, const struct addressee *r);

/* What made it true, for people: "'社外秘' in subject, 2 times". Nothing where the rule says it
 * all. Only of a leaf that is true. */
void ask_evidence(const struct asking *a, const struct condition *c, struct buffer *out);

/* Does the text as a whole look like the pattern, in which * stands for anything? Both in small
 * letters. */
bool pattern_matches(struct str pattern, struct str text);

#endif
