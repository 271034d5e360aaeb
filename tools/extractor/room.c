#include "tools/extractor/room.h"

#include "tools/extractor/look.h"

#include <errno.h>
#include <stdio.h>
#include <unistd.h>

enum {
    READ_BYTES = 256 << 10,
    NAME_ROOM = INSPECT_NAME_BYTES,
};

struct room {
    int fd;
    struct inspect_reader reader;
    struct inspect_limits limits;
    struct spool file;
    bool too_large; /* the rest is read and dropped: the worker may be writing */
    bool ready;
    char name[NAME_ROOM];
    size_t name_len;
};

static bool begin(struct room *r, const struct sandbox_limits *s)
{
    const struct inspect_request *q = &r->reader.request;
    r->limits = q->limits;
    r->limits.bytes = u64_min(r->limits.bytes, s->file_bytes);
    if (q->name_count) {
        r->name_len = q->names[0].len;
        memcpy(r->name, q->names[0].at, r->name_len);
    }
    (void)alarm(r->limits.time_ms / 1000 + 60); /* until its last byte is here */
    return spool_open(&r->file, r->limits.bytes);
}

/* False: hang up. */
static bool hear(struct room *r, const struct sandbox_limits *s, struct str in)
{
    for (;;) {
        switch (inspect_feed(&r->reader, &in)) {
        case INSPECT_MORE:
            return true;
        case INSPECT_BEGIN:
            if (!begin(r, s))
                return false;
            break;
        case INSPECT_DATA:
            r->too_large = r->too_large || !spool_put(&r->file, r->reader.data);
            break;
        case INSPECT_END:
            r->ready = true;
            break;
        case INSPECT_MEMBER:
        case INSPECT_TEXT:
        case INSPECT_FLAG:
        case INSPECT_VERDICT:
        case INSPECT_BROKEN:
            return false;
        }
    }
}

static void answer(struct room *r)
{
    static struct job j;
    struct inspect_member m = {.name = str_from(r->name, r->name_len), .bytes = r->file.bytes};
    (void)alarm(r->limits.time_ms / 1000 + 2); /* the end of what does not look at its clock */
    job_init(&j, r->fd, &r->limits, r->file.bytes);
    if (r->too_large) {
        uint32_t member = job_member(&j, &m);
        job_stop(&j, member, INSPECT_REASON_BYTES, "");
    } else if (!spool_see(&r->file)) {
        uint32_t member = job_member(&j, &m);
        job_stop(&j, member, INSPECT_REASON_MEMORY, "");
    } else {
        look(&j, &r->file, m.name);
    }
    job_end(&j);
}

int room_run(int fd, const struct sandbox_limits *limits)
{
    static struct room r;
    static char in[READ_BYTES];
    struct buffer errors;
    r.fd = fd;
    buffer_init(&errors, 1024);
    if (!sandbox_room(limits, &errors)) {
        (void)fprintf(stderr, "sekimori-extractor: %.*s\n", STR_ARG(buffer_str(&errors)));
        return 1;
    }
    inspect_reader_init_request(&r.reader);
    while (!r.ready) {
        ssize_t n = read(fd, in, sizeof in);
        if (n == 0 || (n < 0 && errno != EINTR) ||
            (n > 0 && !hear(&r, limits, str_from(in, (size_t)n))))
            return 1;
    }
    answer(&r);
    return 0;
}
