/* The reader of the journal: replay() over segments in memory files and an index in memory.
 *
 * Bytes are a program: put a mail, a move, any record | close the group | take the next segment |
 * damage. The model keeps what was written where. An undamaged journal gives all of it. One burst
 * of at most four bytes, which no CRC-32C misses, is told as damage or is the torn end, and no mail
 * without a record in its group changes. Whatever was done to it: no crash, every mail in the index
 * is one that was written, and a second replay finds the same.
 */
#include "tests/fuzz/fuzz.h"

#include "core/base/id.h"
#include "core/base/log.h"
#include "storage/inside.h"
#include "storage/unit.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

enum {
    SEGMENTS = 3,
    SEGMENT_BYTES = 64 << 10,
    GROUP_BYTES = 16 << 10,
    MAILS = 6,
    RECIPIENTS = 3,
    OPS = 120,
    NODE = 1,
    NUMBER = 2
};

static const uint64_t stamp = 0x1122334455667788ull;

struct op {
    unsigned group, mail, recipient;
    bool accepts;
    struct recipient_state to;
};

struct covered {
    uint32_t segment, bytes;
    uint64_t offset;
    unsigned group;
};

struct play {
    struct str in;
    struct group group;
    struct journal_place next;
    unsigned groups; /* closed */
    struct op op[OPS];
    size_t ops;
    struct covered covered[4 * OPS]; /* by a checksum */
    size_t covers, covers_open;
    bool accepted[MAILS];
    struct buffer encoded[MAILS];
    bool raw;       /* records of any content: the model of states does not hold */
    unsigned burst; /* damages */
    unsigned hit;   /* group that the only burst hit, from 1; 0: none */
    bool in_record; /* it hit a record, not only the group's header */
    uint32_t last_segment;
};

static int fd_of[SEGMENTS];
static char *image[SEGMENTS], *staging;

static void prepare(void)
{
    static bool done;
    for (int i = 0; i < SEGMENTS && !done; i++) {
        fd_of[i] = memfd_create("segment", MFD_CLOEXEC);
        must(fd_of[i] >= 0 && ftruncate(fd_of[i], SEGMENT_BYTES) == 0);
        image[i] = mmap(NULL, SEGMENT_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED, fd_of[i], 0);
        must(image[i] != MAP_FAILED);
    }
    if (!done)
        log_open(open("/dev/null", O_WRONLY | O_CLOEXEC), LOG_LEVEL_ERROR);
    if (!done)
        staging = heap_take_aligned(LIMIT_BLOCK_BYTES, GROUP_BYTES_MAX);
    done = true;
}

static uint8_t byte(struct play *p)
{
    uint8_t b = 0;
    return take8(&p->in, &b) ? b : 0;
}

/* ---- writing */

static void cover(struct play *p, uint64_t offset, size_t bytes)
{
    if (p->covers < countof(p->covered))
        p->covered[p->covers++] = (struct covered){p->next.segment, (uint32_t)bytes, offset, 0};
}

static bool add(struct play *p, enum record_type type, uint64_t id, struct str payload)
{
    uint64_t offset;
    if (!group_add(&p->group, type, id, payload, STR(""), &offset))
        return false;
    cover(p, offset, RECORD_HEADER_BYTES + payload.len);
    return true;
}

static uint64_t id_of(unsigned mail)
{
    return id_make(NODE, NUMBER, mail + 1);
}

static struct op *note(struct play *p)
{
    static struct op spare;
    if (p->ops == OPS)
        p->raw = true;
    struct op *o = p->ops < OPS ? &p->op[p->ops++] : &spare;
    *o = (struct op){.group = p->groups};
    return o;
}

static void put_mail(struct play *p, unsigned mail)
{
    struct recipient to[RECIPIENTS] = {0};
    struct message *m = message_make(1 << 16);
    struct buffer payload;
    buffer_init(&payload, 1 << 16);
    must(m != NULL);
    m->id = id_of(mail);
    m->accepted_ms = 1700000000000ull;
    m->sender = STR("taro@int.example");
    m->body_inline = true;
    m->body_bytes = 5;
    m->recipients = to;
    m->recipient_count = 1 + mail % RECIPIENTS;
    for (uint32_t i = 0; i < m->recipient_count; i++)
        to[i] = (struct recipient){.address = STR("r@ext.example"), .due_ms = 1000 + i};
    accept_encode(m, p->next.offset + GROUP_HEADER_BYTES, &payload);
    if (!p->accepted[mail] && add(p, RECORD_BODY, m->id, STR("x\r\ny\r")) &&
        add(p, RECORD_ACCEPT, m->id, buffer_str(&payload))) {
        message_encode(m, &p->encoded[mail]);
        p->accepted[mail] = true;
        struct op *o = note(p);
        o->accepts = true;
        o->mail = mail;
    }
    buffer_drop(&payload);
    message_drop(&m);
}

static void put_move(struct play *p, unsigned mail)
{
    struct buffer payload;
    buffer_init(&payload, 256);
    unsigned recipient = byte(p) % RECIPIENTS;
    struct recipient_state to = {.stage = byte(p) % STAGES, .attempts = byte(p), .due_ms = byte(p)};
    move_encode(recipient, &to, STR("250 ok"), &payload);
    if (add(p, RECORD_MOVE, id_of(mail), buffer_str(&payload))) {
        struct op *o = note(p);
        o->mail = mail;
        o->recipient = recipient;
        o->to = to;
    }
    buffer_drop(&payload);
}

static void put_any(struct play *p)
{
    enum record_type type = (enum record_type)(byte(p) % 16);
    uint64_t id = id_of(byte(p) % (MAILS + 1));
    struct str payload = str_head(p->in, byte(p));
    p->in = str_skip(p->in, payload.len);
    p->raw |= add(p, type, id, payload);
}

static void close_group(struct play *p)
{
    uint32_t checksum;
    char *to = image[p->next.segment - 1] + p->next.offset;
    size_t rows = (size_t)p->group.records * DIRECTORY_ENTRY_BYTES;
    if (rows)
        cover(p, p->next.offset + p->group.used, RECORD_HEADER_BYTES + rows);
    size_t bytes = group_close(&p->group, 1700000000000ull, &checksum);
    memcpy(to, p->group.at, bytes);
    cover(p, p->next.offset, GROUP_HEADER_BYTES);
    p->groups++;
    for (; p->covers_open < p->covers; p->covers_open++)
        p->covered[p->covers_open].group = p->groups;
    p->last_segment = p->next.segment;
    p->next.sequence++;
    p->next.previous = checksum;
    p->next.offset += bytes;
    if (p->next.offset + GROUP_BYTES > SEGMENT_BYTES && p->next.segment < SEGMENTS) {
        p->next.segment++;
        p->next.generation++;
        p->next.offset = 0;
    }
    group_open(&p->group, &p->next, GROUP_BYTES);
}

static bool is_full(const struct play *p)
{
    return p->next.offset + GROUP_BYTES > SEGMENT_BYTES;
}

static void next_segment(struct play *p)
{
    if (p->next.segment == SEGMENTS || p->next.offset == 0 || p->group.records)
        return;
    p->next.segment++;
    p->next.generation++;
    p->next.offset = 0;
    group_open(&p->group, &p->next, GROUP_BYTES);
}

static void damage(struct play *p)
{
    uint32_t segment = byte(p) % SEGMENTS;
    size_t at = (size_t)byte(p) << 8 | byte(p), len = 1 + byte(p) % 4;
    if (at + len > SEGMENT_BYTES)
        return;
    p->burst++;
    for (size_t i = 0; i < len; i++) {
        uint8_t mask = byte(p);
        image[segment][at + i] ^= (char)mask;
        for (size_t k = 0; mask && k < p->covers; k++) {
            const struct covered *c = &p->covered[k];
            if (c->segment == segment + 1 && at + i >= c->offset && at + i < c->offset + c->bytes)
                p->hit = c->group;
            if (c->segment == segment + 1 && at + i >= c->offset && at + i < c->offset + c->bytes)
                p->in_record |= c->offset % LIMIT_BLOCK_BYTES != 0;
        }
    }
}

static void write_journal(struct play *p)
{
    for (int i = 0; i < SEGMENTS; i++)
        memset(image[i], 0, SEGMENT_BYTES);
    p->next = (struct journal_place){.segment = 1,
                                     .generation = 1,
                                     .sequence = 1,
                                     .partition = NODE << ID_PARTITION_BITS | NUMBER,
                                     .stamp = stamp};
    p->group.at = heap_take_aligned(LIMIT_BLOCK_BYTES, GROUP_BYTES);
    buffer_init(&p->group.directory, GROUP_BYTES);
    group_open(&p->group, &p->next, GROUP_BYTES);
    size_t steps = 0;
    while (p->in.len && steps++ < OPS && !is_full(p)) {
        uint8_t what = byte(p);
        switch (what % 8) {
        case 0:
        case 1:
            put_mail(p, what / 8 % MAILS);
            break;
        case 2:
        case 3:
            put_move(p, what / 8 % MAILS);
            break;
        case 4:
            put_any(p);
            break;
        case 5:
            close_group(p);
            break;
        case 6:
            next_segment(p);
            break;
        default: /* only what is written: the open group is not */
            if (p->group.records == 0)
                damage(p);
            break;
        }
    }
    if (p->group.records && !is_full(p) && p->burst == 0)
        close_group(p);
    buffer_drop(&p->group.directory);
    heap_drop(p->group.at);
}

/* ---- reading */

static struct partition *open_partition(void)
{
    struct partition *p = heap_take(sizeof *p);
    static char none[] = "/nonexistent";
    p->settings = (struct partition_settings){.directory = none,
                                              .node = NODE,
                                              .number = NUMBER,
                                              .segment_bytes = SEGMENT_BYTES,
                                              .history_ms = 1000};
    p->path = none;
    p->directory = p->lock = -1;
    p->stamp = stamp;
    p->staging = staging;
    buffer_init(&p->scratch, (size_t)LIMIT_RECORD_BYTES * 2);
    buffer_init(&p->extra, LIMIT_RECORD_BYTES);
    p->pool.segment_bytes = SEGMENT_BYTES;
    p->pool.directory = -1;
    p->pool.end = SEGMENTS + 1;
    p->pool.count = SEGMENTS;
    for (uint32_t i = 0; i < SEGMENTS; i++) {
        struct segment *s = heap_take(sizeof *s);
        *s = (struct segment){.number = i + 1,
                              .kind = SEGMENT_JOURNAL,
                              .fd = fd_of[i],
                              .bytes = SEGMENT_BYTES,
                              .written = SEGMENT_BYTES};
        p->pool.segment[i + 1] = s;
    }
    p->index = index_make("");
    must(index_open(p->index, NULL));
    states_init(&p->states, p->index);
    return p;
}

static void close_partition(struct partition *p)
{
    states_clear(&p->states);
    states_drop(&p->states);
    index_close(&p->index);
    for (uint32_t i = 1; i <= SEGMENTS; i++)
        heap_drop(p->pool.segment[i]);
    buffer_drop(&p->scratch);
    buffer_drop(&p->extra);
    heap_drop(p);
}

/* Does the index say of this mail what the model does? */
static void check_mail(const struct play *p, struct partition *part, unsigned mail)
{
    struct recipient_state want[RECIPIENTS] = {0};
    uint32_t count = 1 + mail % RECIPIENTS;
    bool there = false, torn = p->hit && p->hit == p->groups, touched = false;
    for (uint32_t i = 0; i < count; i++)
        want[i].due_ms = 1000 + i;
    for (size_t i = 0; i < p->ops; i++) {
        const struct op *o = &p->op[i];
        if (o->mail != mail || o->group >= p->groups || (torn && o->group + 1 == p->hit))
            continue;
        touched |= p->hit && o->group + 1 == p->hit;
        there |= o->accepts;
        if (!o->accepts && there && o->recipient < count)
            want[o->recipient] = o->to;
    }
    const struct state *s = state_get(&part->states, id_of(mail));
    if (touched && p->in_record) /* it may have lost a record, and then waits for a person */
        return;
    must((s->is == STATE_KNOWN) == there);
    for (uint32_t i = 0; there && i < count; i++)
        must(s->count == count && s->recipient[i].stage == want[i].stage &&
             s->recipient[i].attempts == want[i].attempts &&
             s->recipient[i].due_ms == want[i].due_ms);
}

/* A mail in the index is one that was written, to the byte. */
static void check_message(const struct play *p, struct partition *part, unsigned mail)
{
    struct buffer value;
    struct message_value v;
    struct key key = key_64(KEY_MESSAGE, id_of(mail));
    buffer_init(&value, 1 << 20);
    if (index_get(part->index, key_str(&key), &value) == INDEX_FOUND) {
        must(message_value_read(buffer_str(&value), &v));
        must(p->raw || str_eq(v.message, buffer_str(&p->encoded[mail])));
    }
    buffer_drop(&value);
}

static void check_counts(const struct play *p, const struct partition *part)
{
    const struct partition_report *r = &part->report;
    uint64_t replayed = r->replayed_groups, sequence = part->at.next.sequence;
    if (!p->hit) {
        must(replayed == p->groups && sequence == p->groups + 1);
        must(p->raw || (r->damaged_records == 0 && r->torn_groups == 0));
    } else if (p->hit == p->groups) {
        must(replayed == p->groups - 1 && sequence == p->groups && r->torn_groups <= 1);
    } else {
        must(replayed == p->groups - 1 && sequence == p->groups + 1);
        must(r->damaged_records > 0 || !p->in_record); /* the records are used one by one */
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct play p;
    memset(&p, 0, sizeof p);
    prepare();
    p.in = str_from((const char *)data, size);
    for (unsigned i = 0; i < MAILS; i++)
        buffer_init(&p.encoded[i], 1 << 16);
    write_journal(&p);
    struct buffer errors;
    buffer_init(&errors, 1 << 16);
    struct position first = {0};
    uint64_t torn = 0;
    for (int turn = 0; turn < 2; turn++) {
        struct partition *part = open_partition();
        buffer_clear(&errors);
        bool good = replay(part, &errors);
        must(good || errors.len > 0);
        must(good || p.hit || p.burst > 1 || part->report.rebuilt);
        bool whole = good && !part->report.rebuilt;
        if (whole && p.burst <= 1 && turn == 0)
            check_counts(&p, part);
        for (unsigned i = 0; whole && i < MAILS; i++) {
            if (p.burst <= 1 && !p.raw)
                check_mail(&p, part, i);
            check_message(&p, part, i);
        }
        if (turn == 0) {
            first = part->at;
            torn = part->report.torn_groups;
        } else if (whole) {
            must(part->at.next.sequence == first.next.sequence);
            must(part->at.next.previous == first.next.previous);
            must(torn <= 1 && part->report.torn_groups == 0); /* it was wiped */
        }
        close_partition(part);
    }
    for (unsigned i = 0; i < MAILS; i++)
        buffer_drop(&p.encoded[i]);
    buffer_drop(&errors);
    return 0;
}
