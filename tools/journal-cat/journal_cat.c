/* journal_cat.c -- journal-cat DIRECTORY: what the journal of a partition holds, group by group in
 * the order it was written, one line a record. It only reads, believes nothing, and goes on behind
 * damage; the partition may be open. Addresses are shown, bodies and secrets are not.
 *
 * Exit status: 0 all groups intact, 1 something is damaged (said in the lines), 2 wrong usage. */
#include "core/base/clock.h"
#include "core/base/heap.h"
#include "core/base/id.h"
#include "storage/file.h"
#include "storage/journal.h"
#include "storage/segment.h"
#include "storage/unit.h"

#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

struct source {
    uint32_t number, generation;
    uint64_t first_sequence;
};

static char *raw; /* GROUP_BYTES_MAX, aligned */
static bool damaged;

static struct id_text id_or_dash(uint64_t id)
{
    return id ? id_text(id) : (struct id_text){"-"};
}

static void show_accept(const struct record *r)
{
    struct accept a;
    struct message *m = NULL;
    if (accept_decode(r->payload, &a))
        m = message_decode(r->id, a.message);
    if (!m || !message_decode_states(m, a.states)) {
        (void)printf(" not understood");
        damaged = true;
    } else {
        (void)printf(" from=<%.*s> bytes=%" PRIu64 " inline=%d", STR_ARG(m->sender), m->body_bytes,
                     m->body_inline);
        for (uint32_t i = 0; i < m->recipient_count; i++)
            (void)printf(" to=<%.*s> %s due=%" PRIu64, STR_ARG(m->recipients[i].address),
                         stage_name(m->recipients[i].stage), m->recipients[i].due_ms);
    }
    message_drop(&m);
}

static void show_move(const struct record *r)
{
    uint32_t recipient;
    struct recipient_state to;
    struct str last;
    if (!move_decode(r->payload, &recipient, &to, &last)) {
        (void)printf(" not understood");
        damaged = true;
        return;
    }
    (void)printf(" recipient=%u %s flags=%x attempts=%u revision=%u due=%" PRIu64 " last=\"",
                 recipient, stage_name(to.stage), to.flags, to.attempts, to.revision, to.due_ms);
    for (size_t i = 0; i < last.len; i++)
        (void)putchar(last.at[i] >= ' ' && last.at[i] < 127 ? last.at[i] : '?');
    (void)putchar('"');
}

static void show(const struct record *r)
{
    (void)printf("  %-10s id=%s offset=%" PRIu64 " bytes=%zu", record_type_name(r->type),
                 r->type == RECORD_DIRECTORY ? "-" : id_or_dash(r->id).at, r->offset,
                 r->payload.len);
    if (r->type == RECORD_ACCEPT || r->type == RECORD_COPY)
        show_accept(r);
    else if (r->type == RECORD_MOVE)
        show_move(r);
    (void)putchar('\n');
}

static void show_group(const struct group_header *h, struct str bytes)
{
    struct clock_date when = clock_stamp(h->wall_ms);
    (void)printf("group %" PRIu64 " segment=%u generation=%u offset=%" PRIu64 " bytes=%zu at=%s\n",
                 h->place.sequence, h->place.segment, h->place.generation, h->place.offset,
                 group_bytes(h), when.at);
    struct str in = str_head(str_skip(bytes, GROUP_HEADER_BYTES), h->length);
    uint64_t offset = h->place.offset + GROUP_HEADER_BYTES;
    struct journal_place place = h->place;
    place.stamp = in.len >= RECORD_HEADER_BYTES ? load64(in.at + 20) : 0;
    struct record r;
    enum record_status status;
    while ((status = record_take(&in, &place, &offset, &r)) == RECORD_OK)
        show(&r);
    if (status == RECORD_END && group_check(bytes, h, place.stamp))
        return;
    (void)printf("  DAMAGED from offset %" PRIu64 "\n", offset);
    damaged = true;
}

/* All groups of the last use of a segment. */
static void show_segment(int fd, const struct source *s, uint64_t size)
{
    uint64_t sequence = s->first_sequence;
    for (uint64_t at = 0; at < size;) {
        struct group_header h;
        size_t got;
        if (file_read(fd, raw, LIMIT_BLOCK_BYTES, at, &got))
            got = 0;
        if (!group_header_read(str_from(raw, got), &h) || h.place.generation != s->generation ||
            h.place.offset != at || group_bytes(&h) > GROUP_BYTES_MAX) {
            at += LIMIT_BLOCK_BYTES;
            continue;
        }
        if (h.place.sequence != sequence) {
            (void)printf("MISSING groups %" PRIu64 " to %" PRIu64 "\n", sequence,
                         h.place.sequence - 1);
            damaged = true;
        }
        if (file_read(fd, raw, group_bytes(&h), at, &got))
            got = 0;
        show_group(&h, str_from(raw, got));
        sequence = h.place.sequence + 1;
        at += group_bytes(&h);
    }
}

static int by_generation(const void *a, const void *b)
{
    const struct source *x = a, *y = b;
    return x->generation < y->generation ? -1 : x->generation > y->generation;
}

static size_t find_sources(int directory, const char *path, struct source *sources)
{
    struct buffer names;
    buffer_init(&names, 16 << 20);
    size_t count = 0;
    if (file_names(path, &names))
        names.len = 0;
    for (size_t at = 0; at < names.len;) {
        struct str name = str_c(names.at + at);
        at += name.len + 1;
        enum segment_kind kind;
        uint32_t number;
        if (!segment_name_parse(name, &kind, &number) || kind != SEGMENT_JOURNAL)
            continue;
        int fd = file_open_read(directory, name.at);
        size_t got = 0;
        struct group_header h;
        if (fd >= 0 && file_read(fd, raw, LIMIT_BLOCK_BYTES, 0, &got) == 0 &&
            group_header_read(str_from(raw, got), &h) && count < SEGMENTS_MAX)
            sources[count++] = (struct source){number, h.place.generation, h.place.sequence};
        else
            (void)printf("segment %u: not used yet, or its first header is damaged\n", number);
        file_close(fd);
    }
    buffer_drop(&names);
    return count;
}

int main(int argc, char **argv)
{
    if (argc != 2) {
        (void)fprintf(stderr, "usage: journal-cat DIRECTORY\n");
        return 2;
    }
    int directory = file_open_read(AT_FDCWD, argv[1]);
    if (directory < 0) {
        (void)fprintf(stderr, "journal-cat: %s can't be opened\n", argv[1]);
        return 2;
    }
    raw = heap_take_aligned(LIMIT_BLOCK_BYTES, GROUP_BYTES_MAX);
    struct source *sources = heap_take(SEGMENTS_MAX * sizeof *sources);
    size_t count = find_sources(directory, argv[1], sources);
    qsort(sources, count, sizeof *sources, by_generation);
    for (size_t i = 0; i < count; i++) {
        char name[SEGMENT_NAME_BYTES];
        segment_name(name, SEGMENT_JOURNAL, sources[i].number);
        int fd = file_open_read(directory, name);
        uint64_t size = 0;
        if (fd >= 0 && file_size(fd, &size) == 0)
            show_segment(fd, &sources[i], size);
        file_close(fd);
    }
    heap_drop(sources);
    heap_drop(raw);
    file_close(directory);
    return damaged ? 1 : 0;
}
