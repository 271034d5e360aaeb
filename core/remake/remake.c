#include "core/remake/remake.h"

void remake_init(struct remake *r, const struct message *m)
{
    *r = (struct remake){.message = m};
}

bool remake_piece(struct remake *r, struct str *in, struct str *piece)
{
    const struct message *m = r->message;
    if (!r->begun) {
        r->begun = true;
        if (m->prefix.len) {
            *piece = m->prefix;
            return true;
        }
    }
    while (in->len) {
        uint64_t keep = in->len;
        if (r->cut < m->cut_count) {
            const struct cut *c = &m->cuts[r->cut];
            if (r->at >= c->offset) {
                uint64_t gone = u64_min((uint64_t)c->offset + c->length - r->at, in->len);
                *in = str_skip(*in, gone);
                r->at += gone;
                if (r->at >= (uint64_t)c->offset + c->length)
                    r->cut++;
                continue;
            }
            keep = u64_min(keep, c->offset - r->at);
        }
        *piece = str_head(*in, keep);
        *in = str_skip(*in, keep);
        r->at += keep;
        return true;
    }
    return false;
}

uint64_t remake_bytes(const struct message *m)
{
    uint64_t bytes = m->prefix.len + m->body_bytes;
    for (uint32_t i = 0; i < m->cut_count; i++)
        bytes -= m->cuts[i].length;
    return bytes;
}
