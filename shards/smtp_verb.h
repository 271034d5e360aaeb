/* smtp_verb.h -- the inside of smtp_server: its states, its verbs, and how they answer.
 *
 * For smtp_server.c only; everybody else includes smtp_server.h.
 *
 * Thread   as smtp_server.h.
 * Errors   replies. Each function gives the event that the owner must act on, or SMTP_SERVER_MORE.
 */
#ifndef SHARDS_SMTP_VERB_H
#define SHARDS_SMTP_VERB_H

#include "shards/smtp_server.h"

enum { /* states of a session */
    FRESH = 1 << 0,
    READY = 1 << 1,
    MAIL = 1 << 2,
    RCPT = 1 << 3,
    ANY = FRESH | READY | MAIL | RCPT,
};

/* A command line: finds its row in smtp_server.def, and says no where the row does.
 * `more_waiting`: bytes stand behind it already. */
enum smtp_server_event verb_run(struct smtp_server *s, struct str line, bool more_waiting,
                                struct buffer *out);

/* A line of an AUTH exchange was judged. */
enum smtp_server_event verb_on_sasl(struct smtp_server *s, enum sasl_status status,
                                    struct buffer *out);

/* 334 with the base64 of `message`. */
void verb_challenge(struct smtp_server *s, struct str message, struct buffer *out);

enum smtp_server_event verb_say(enum reply reply, struct buffer *out);
enum smtp_server_event verb_refuse(struct smtp_server *s, enum reply reply, struct buffer *out);
enum smtp_server_event verb_owe(struct smtp_server *s, enum smtp_server_event event);

/* The last words of a session. */
enum smtp_server_event verb_close(struct smtp_server *s, enum reply reply, struct buffer *out);

/* Nothing of the transaction is left; EHLO's state stays (STATE-01, 02). */
void verb_forget(struct smtp_server *s);

#endif
