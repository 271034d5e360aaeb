/* request.h -- one line of the control socket, checked against control.def.
 *
 * Thread   any; pure.
 * Memory   request_drop() frees what a good request holds; values point into it.
 * Errors   one line for the asker.
 */
#ifndef CORE_COORDINATOR_REQUEST_H
#define CORE_COORDINATOR_REQUEST_H

#include "core/base/buffer.h"
#include "core/coordinator/json.h"

enum verb_flags {
    CHANGES = 1 << 0,
    ASKS_FIRST = 1 << 1,
    LOCAL = 1 << 2
};

struct request {
    struct js_value *line; /* owns everything; NULL: none */
    size_t verb;           /* index in control.def */
};

NODISCARD bool request_parse(struct str line, struct request *r, struct buffer *error);
void request_drop(struct request *r);

size_t request_verbs(void);
const char *request_verb_name(size_t verb);
unsigned request_verb_flags(size_t verb);

/* An argument; empty, 0 or false when it was not given. */
struct str request_str(const struct request *r, const char *name);
bool request_has(const struct request *r, const char *name);
bool request_flag(const struct request *r, const char *name);

#endif
