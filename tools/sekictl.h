/* sekictl.h -- the command line's parts: wire, words, output.
 *
 * Thread   one process, one thread.
 * Memory   never given back: the process ends soon.
 * Errors   exit status: 0 done, 1 refused (the reason on stderr), 2 wrong usage, 3 no gateway.
 */
#ifndef TOOLS_SEKICTL_H
#define TOOLS_SEKICTL_H

#include "core/base/buffer.h"
#include "core/coordinator/json.h"

#include <stdio.h>

enum {
    DONE = 0,
    REFUSED = 1,
    WRONG_USAGE = 2,
    NO_GATEWAY = 3
};

struct options {
    const char *socket;
    bool json, yes, help;
    bool allow_plain_passwords;   /* org import */
    struct str standard_password; /* org import: of users that have none; empty: they get none */
    struct str network;           /* org import: added to its networks; empty: none */
    const char *policy, *from, *user; /* policy test; NULL: not given */
    const char **to;
    size_t to_count;
};

struct organisation;

typedef void row_fn(const struct js_value *row, void *context);

/* Send one request (a JSON object with its braces) and hand each row to `each`; notes and errors go
 * to stderr. The exit status. */
int wire_ask(const char *socket_path, struct str request, row_fn *each, void *context);

/* Print a row for people. `verb` as in control.def. */
void print_row(const char *verb, const struct js_value *row);
void print_json(const struct js_value *row);

/* Text from outside, safe for a terminal, cut or padded to `columns` (0: as it is). */
void print_text(FILE *out, struct str text, unsigned columns);
unsigned text_columns(struct str text);

/* Lines of a checker stand for themselves: NAME:LINE:COLUMN: text. */
void print_lines(FILE *out, const struct buffer *text);

/* The policy file at `path` ("-": standard input); NULL: errors were printed. */
struct organisation *read_policy(const char *path, const struct options *o);

/* The policy file at `path` ("-": standard input) as canonical text without plain passwords. False:
 * errors were printed. */
bool read_organisation(const char *path, const struct options *o, struct buffer *text);

/* Ask for a password, or take a line of standard input, and make what is kept in its place: the
 * hash, and the verifier for SCRAM. False: it was said why. An empty password gives nothing when
 * `may_be_empty`. */
bool ask_password(struct buffer *hash, struct buffer *scram, bool may_be_empty);

bool read_whole(const char *path, struct buffer *text);

/* `config test FILE`, without a gateway. */
int test_config(const char *path);

/* `policy test FILE`: what the rules of a file would do with a mail, and why. */
int policy_test(const char *path, const struct options *o);

/* `policy diff OLD NEW` */
int policy_diff(const char *before, const char *after, const struct options *o);

void complain(const char *format, ...) PRINTFLIKE(1, 2);

#endif
