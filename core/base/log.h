/* log.h -- one line an event, key=value, nothing injectable.
 *
 *   log_info("mail_accepted", log_id("id", id), log_str("from", sender), log_u64("bytes", n));
 *   -> time=2026-11-24T04:38:46.123Z level=info event=mail_accepted id=00... from=<a@b> bytes=12
 *
 * Values with anything but printable ASCII without blanks, quotes and backslash are quoted, and
 * everything else in them is escaped as \xNN: a value can never end its line or forge a key. Of a
 * value over 1 KiB the first KiB is kept, quoted, with "..." behind it.
 *
 * Thread   any. Lines gather in a buffer of the thread; log_flush() at the end of each turn writes
 *          them with one system call. A full or slow log never blocks mail: what cannot be written
 *          at once is dropped and counted (log_lost), and the next line that gets out says how many
 *          lines (`dropped=`): another's, or event=log_lost at the end of a turn without any.
 */
#ifndef CORE_BASE_LOG_H
#define CORE_BASE_LOG_H

#include "core/base/str.h"

enum log_level {
    LOG_LEVEL_DEBUG,
    LOG_LEVEL_INFO,
    LOG_LEVEL_WARNING,
    LOG_LEVEL_ERROR
};

enum log_type {
    LOG_TYPE_STR,
    LOG_TYPE_U64,
    LOG_TYPE_ID
};

struct log_field {
    const char *key;
    enum log_type type;
    struct str text;
    uint64_t number;
};

static inline struct log_field log_str(const char *key, struct str s)
{
    return (struct log_field){.key = key, .type = LOG_TYPE_STR, .text = s};
}

static inline struct log_field log_text(const char *key, const char *text)
{
    return log_str(key, str_c(text));
}

static inline struct log_field log_u64(const char *key, uint64_t n)
{
    return (struct log_field){.key = key, .type = LOG_TYPE_U64, .number = n};
}

static inline struct log_field log_id(const char *key, uint64_t id)
{
    return (struct log_field){.key = key, .type = LOG_TYPE_ID, .number = id};
}

/* `error` is a negative or positive errno. */
struct log_field log_errno(const char *key, int error);

/* Before threads start; default: stderr, info. A pipe or terminal is opened anew, so that not to
 * wait for it is our business alone: whoever shares `fd` sees no change. */
void log_open(int fd, enum log_level least);
void log_level_set(enum log_level least); /* any thread */

void log_write(enum log_level level, const char *event, const struct log_field *fields,
               size_t count);
void log_flush(void);
bool log_waiting(void); /* this thread has lines that are not written yet */

#define log_fields(...)                      \
    (const struct log_field[]){__VA_ARGS__}, \
        sizeof((const struct log_field[]){__VA_ARGS__}) / sizeof(struct log_field)

#define log_debug(event, ...)   log_write(LOG_LEVEL_DEBUG, event, log_fields(__VA_ARGS__))
#define log_info(event, ...)    log_write(LOG_LEVEL_INFO, event, log_fields(__VA_ARGS__))
#define log_warning(event, ...) log_write(LOG_LEVEL_WARNING, event, log_fields(__VA_ARGS__))
#define log_error(event, ...)   log_write(LOG_LEVEL_ERROR, event, log_fields(__VA_ARGS__))

#endif
