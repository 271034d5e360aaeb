/* script.h -- a file of golden sessions, read into steps. The language is described in README.md.
 *
 * Memory   a script and all that it holds live in one arena.
 * Errors   a line that is not understood is named on stderr, and reading returns false.
 */
#ifndef TESTS_SMTP_SCRIPT_H
#define TESTS_SMTP_SCRIPT_H

#include "core/base/arena.h"
#include "shards/smtp_server.h"

enum {
    SCRIPT_STEPS = 4096,
    SCRIPT_SESSIONS = 256
};

enum step_kind {
    STEP_SEND,    /* bytes */
    STEP_EXPECT,  /* `count` reply lines that begin with `bytes` */
    STEP_WHOLE,   /* one reply, all its lines: "CODE text", the text begins one of them */
    STEP_WITHOUT, /* the same, and none of the words begins one */
    STEP_TLS,
    STEP_CLOSED,
};

struct step {
    enum step_kind kind;
    struct str bytes;
    unsigned count, line; /* line of the file */
};

struct wanted_mail {
    struct str sender, recipients, body; /* body .at NULL: any */
};

struct session {
    struct str name;
    struct smtp_server_settings settings;
    bool secure, cut;
    struct step *steps;
    struct wanted_mail mails[16];
    unsigned step_count, mail_count;
};

struct script {
    struct arena arena;
    struct step steps[SCRIPT_STEPS];
    struct session sessions[SCRIPT_SESSIONS];
    unsigned step_count, session_count;
};

NODISCARD bool script_read(struct script *s, struct str text);

#endif
