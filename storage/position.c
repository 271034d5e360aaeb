/* position.c -- the value of key 'P': how far the index covers the journal. Version 1, frozen but
 * for fields added at the end.
 *
 *   version:1 segment:4 generation:4 offset:8 sequence:8 previous:4 serial_seen:8 serial_reserved:8
 *   due_low:8 finished_low:8 messages:8 open_recipients:8 checkpoint_floor:8
 *   journal_bytes:8 anchored:1 adopted_ms:8 boot_ms:8 boot:16 */
#include "core/base/base.h"
#include "storage/inside.h"

enum {
    VERSION = 1
};

void position_encode(const struct position *p, struct buffer *out)
{
    buffer_put8(out, VERSION);
    buffer_put32(out, p->next.segment);
    buffer_put32(out, p->next.generation);
    buffer_put64(out, p->next.offset);
    buffer_put64(out, p->next.sequence);
    buffer_put32(out, p->next.previous);
    buffer_put64(out, p->serial_seen);
    buffer_put64(out, p->serial_reserved);
    buffer_put64(out, p->due_low);
    buffer_put64(out, p->finished_low);
    buffer_put64(out, p->messages);
    buffer_put64(out, p->open_recipients);
    buffer_put64(out, p->checkpoint_floor);
    buffer_put64(out, p->journal_bytes);
    buffer_put8(out, p->anchored);
    buffer_put64(out, p->anchor.adopted_ms);
    buffer_put64(out, p->anchor.boot_ms);
    buffer_put(out, str_from(p->boot.at, sizeof p->boot.at));
}

bool position_decode(struct str in, struct position *p)
{
    uint8_t version, anchored;
    struct str boot;
    if (!take8(&in, &version) || version != VERSION || !take32(&in, &p->next.segment) ||
        !take32(&in, &p->next.generation) || !take64(&in, &p->next.offset) ||
        !take64(&in, &p->next.sequence) || !take32(&in, &p->next.previous) ||
        !take64(&in, &p->serial_seen) || !take64(&in, &p->serial_reserved) ||
        !take64(&in, &p->due_low) || !take64(&in, &p->finished_low) || !take64(&in, &p->messages) ||
        !take64(&in, &p->open_recipients) || !take64(&in, &p->checkpoint_floor) ||
        !take64(&in, &p->journal_bytes) || !take8(&in, &anchored) ||
        !take64(&in, &p->anchor.adopted_ms) || !take64(&in, &p->anchor.boot_ms) ||
        !take_bytes(&in, sizeof p->boot.at, &boot))
        return false;
    p->anchored = anchored;
    memcpy(p->boot.at, boot.at, sizeof p->boot.at);
    return true;
}
