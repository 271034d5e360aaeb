#include "tools/extractor/job.h"

#include "core/base/clock.h"

#include <errno.h>
#include <unistd.h>

enum {
    OUT_BYTES = 256 << 10
};

void job_init(struct job *j, int fd, const struct inspect_limits *limits, uint64_t file_bytes)
{
    *j = (struct job){.fd = fd, .limits = *limits, .file_bytes = file_bytes};
    j->end_ms = clock_monotonic_ms() + limits->time_ms;
    buffer_init(&j->out, 2 * OUT_BYTES);
    buffer_init(&j->detail, INSPECT_DETAIL_BYTES + 1);
}

static void flush(struct job *j)
{
    struct str rest = buffer_str(&j->out);
    if (j->out.full)
        _exit(1); /* no memory */
    while (rest.len) {
        ssize_t n = write(j->fd, rest.at, rest.len);
        if (n < 0 && errno != EINTR)
            _exit(1);
        rest = str_skip(rest, n > 0 ? (size_t)n : 0);
    }
    buffer_clear(&j->out);
}

static void sent(struct job *j)
{
    if (j->out.len >= OUT_BYTES || j->out.full)
        flush(j);
}

uint32_t job_member(struct job *j, struct inspect_member *m)
{
    m->index = j->members;
    if (m->index > j->limits.members) {
        job_stop(j, m->parent, INSPECT_REASON_MEMBERS, "");
        return m->parent;
    }
    j->members++;
    if (m->name.len > INSPECT_NAME_BYTES)
        m->flags |= INSPECT_NAME_CUT;
    j->flags |= m->flags;
    inspect_put_member(&j->out, m);
    sent(j);
    return m->index;
}

void job_text(struct job *j, uint32_t member, enum inspect_form form, struct str charset,
              struct str bytes)
{
    struct inspect_text t = {.member = member, .form = form, .charset = charset};
    while (bytes.len && !j->stopped) {
        t.bytes = str_head(bytes, INSPECT_PIECE_BYTES);
        if (j->text + t.bytes.len > j->limits.text) {
            job_stop(j, member, INSPECT_REASON_TEXT, "");
            return;
        }
        j->text += t.bytes.len;
        inspect_put_text(&j->out, &t);
        sent(j);
        bytes = str_skip(bytes, t.bytes.len);
    }
}

void job_flag(struct job *j, uint32_t member, uint32_t flags)
{
    struct inspect_flagged f = {.member = member, .flags = flags};
    inspect_put_flag(&j->out, &f);
    j->flags |= flags;
    sent(j);
}

void job_unreadable(struct job *j, uint32_t member, enum inspect_reason reason, const char *detail)
{
    struct inspect_flagged f = {.member = member,
                                .flags = INSPECT_IS_UNREADABLE,
                                .reason = reason,
                                .detail = str_c(detail)};
    if (j->reason == INSPECT_REASON_NONE) {
        j->reason = reason;
        buffer_put(&j->detail, str_head(str_c(detail), INSPECT_DETAIL_BYTES));
    }
    if (j->members == 0)
        return; /* nothing was told yet */
    j->flags |= f.flags;
    inspect_put_flag(&j->out, &f);
    sent(j);
}

void job_stop(struct job *j, uint32_t member, enum inspect_reason reason, const char *detail)
{
    if (!j->stopped)
        job_unreadable(j, member, reason, detail);
    j->stopped = true;
}

bool job_expand(struct job *j, uint32_t member, size_t bytes)
{
    j->expanded += bytes;
    if (j->expanded > j->limits.expanded)
        job_stop(j, member, INSPECT_REASON_BYTES, "what its containers hold, together");
    else if (j->expanded > INSPECT_RATIO_FROM &&
             j->expanded / u64_max(j->file_bytes, 1) >= j->limits.ratio)
        job_stop(j, member, INSPECT_REASON_RATIO, "");
    return !job_stopped(j, member);
}

bool job_entry(struct job *j, uint32_t member)
{
    if (++j->entries > j->limits.members)
        job_stop(j, member, INSPECT_REASON_MEMBERS, "");
    return !j->stopped;
}

bool job_stopped(struct job *j, uint32_t member)
{
    if (!j->stopped && clock_monotonic_ms() >= j->end_ms)
        job_stop(j, member, INSPECT_REASON_TIME, "");
    return j->stopped;
}

uint64_t job_left_ms(const struct job *j)
{
    uint64_t now = clock_monotonic_ms();
    return now < j->end_ms ? j->end_ms - now : 1;
}

void job_end(struct job *j)
{
    struct inspect_end e = {.reason = j->reason, .flags = j->flags};
    e.verdict = j->reason                           ? INSPECT_UNREADABLE
                : (j->flags & INSPECT_IS_ENCRYPTED) ? INSPECT_ENCRYPTED
                                                    : INSPECT_READABLE;
    e.detail = buffer_str(&j->detail);
    inspect_put_verdict(&j->out, &e);
    flush(j);
}
