/* row.h -- a mail as a row of the control socket, with the keys that tests and scripts rely on.
 *
 * Thread   any; pure.
 * Time     what lies ahead is shown as the wall clock will show it, whatever adopted time is
 *          behind.
 */
#ifndef CORE_COORDINATOR_ROW_H
#define CORE_COORDINATOR_ROW_H

#include "core/coordinator/json.h"
#include "core/coordinator/timekeeper.h"
#include "core/mail/envelope.h"

enum row_detail {
    ROW_LIST,
    ROW_SHOW,
    ROW_EXPLAIN
};

void row_message(struct js_writer *w, const struct message *m, enum row_detail detail,
                 uint64_t adopted_ms, const struct now *now);

const char *row_class_name(enum recipient_class class);
const char *row_form_name(enum form form);

#endif
