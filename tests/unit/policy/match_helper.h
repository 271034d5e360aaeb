/* match_helper.h -- patterns to a loaded matcher, in one call, for tests. */
#ifndef TESTS_UNIT_POLICY_MATCH_HELPER_H
#define TESTS_UNIT_POLICY_MATCH_HELPER_H

#include "tests/unit/harness.h"

#include "core/mail/fold.h"
#include "core/policy/match.h"
#include "core/policy/match_build.h"

struct refusals {
    uint32_t count, first, checked;
    char reason[256]; /* of the last */
};

struct built {
    struct buffer source, file;
    struct matcher *m;
    struct match_scratch *scratch;
    struct refusals refusals;
    enum match_build build;
    char reason[256];
};

static inline void on_checking(void *owner, uint32_t pattern)
{
    struct refusals *r = owner;
    (void)pattern;
    r->checked++;
}

static inline void on_refused(void *owner, uint32_t pattern, const char *reason)
{
    struct refusals *r = owner;
    if (!r->count++)
        r->first = pattern;
    (void)snprintf(r->reason, sizeof r->reason, "%s", reason);
}

static inline void compile_source(struct built *b)
{
    struct buffer reason;
    buffer_init(&reason, 200);
    buffer_init(&b->file, LIMIT_MATCH_FILE_BYTES);
    b->scratch = match_scratch_make();
    const struct match_observer observer = {&b->refusals, on_checking, on_refused};
    b->build = match_compile(buffer_str(&b->source), &observer, &b->file, &reason);
    if (b->build == MATCH_BUILT)
        b->m = match_load(buffer_str(&b->file), buffer_str(&b->source), &reason);
    if (b->m)
        must(match_scratch_fit(b->scratch, b->m));
    (void)snprintf(b->reason, sizeof b->reason, "%.*s", STR_ARG(buffer_str(&reason)));
    buffer_drop(&reason);
}

/* Patterns that begin with "/" are expressions; dictionary d is `at` [d]'s number given. */
static inline void build(struct built *b, const char *const *patterns, size_t count)
{
    *b = (struct built){0};
    match_source_init(&b->source);
    for (size_t i = 0; i < count; i++) {
        bool expression = patterns[i][0] == '/';
        struct match_pattern p = {.text = str_c(patterns[i] + expression),
                                  .dictionary = (uint32_t)i % 3,
                                  .expression = expression};
        const char *refused = match_source_add(&b->source, &p, fold_text);
        expect(!refused, "%s: %s", patterns[i], refused);
    }
    compile_source(b);
}

static inline void unbuild(struct built *b)
{
    buffer_drop(&b->source);
    buffer_drop(&b->file);
    match_drop(&b->m);
    match_scratch_drop(&b->scratch);
}

#endif
