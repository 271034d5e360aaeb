/* notice_reply.h -- what a reply to a hold notice asks for.
 *
 * The first line of the first text/plain part that is neither empty nor quoted decides, by its
 * first word and by nothing else: 破棄, cancel, discard; 今すぐ, release. A doubt is no command:
 * the mail then leaves or stays as it would have.
 *
 * Thread   any; pure.
 * Memory   bounded; the first 16 KiB of the part are looked at.
 */
#ifndef CORE_MAIL_NOTICE_REPLY_H
#define CORE_MAIL_NOTICE_REPLY_H

#include "core/mail/command.h"

/* `mail`: header and body, or the beginning of it. False: no command in it. */
NODISCARD bool notice_reply_read(struct str mail, enum command_verb *verb);

#endif
