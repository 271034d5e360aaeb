/* What any bytes read as: ranges in order and inside, addresses that parse again, names that can
 * be shown; and what is left after cutting reads as what was kept. */
#include "tests/fuzz/fuzz.h"

#include "core/base/limit.h"
#include "core/mail/mailbox.h"
#include "core/mail/utf8.h"

enum {
    ARENA_BYTES = 16 << 20,
    MAX_BYTES = 1 << 20,
};

static void check_name(struct str s)
{
    must(s.len <= LIMIT_MAILBOX_NAME_BYTES && utf8_is_valid(s));
    while (s.len) {
        uint32_t c;
        s = str_skip(s, utf8_take(s, &c));
        must(!utf8_is_control(c) && !utf8_is_bidi_control(c));
    }
}

static void check_list(struct str in, const struct mailbox_list *l, struct arena *arena)
{
    uint32_t group_end = 0;
    for (uint32_t i = 0; i < l->group_count; i++) {
        must(l->groups[i].start >= group_end && l->groups[i].end > l->groups[i].start);
        group_end = l->groups[i].end;
        must(group_end <= in.len);
        check_name(l->groups[i].name);
    }
    unsigned doubts = 0;
    for (uint32_t i = 0; i < l->count; i++) {
        const struct mailbox *m = &l->at[i], *before = i ? m - 1 : NULL;
        struct address again;
        must(m->start < m->end && m->end <= in.len && m->group <= l->group_count);
        must(!before ||
             (m->element == before->element ? m->start == before->start : m->start >= before->end));
        must(!before || m->element - before->element <= 1);
        check_name(m->name);
        doubts |= m->doubts;
        if (m->group)
            must(m->start >= l->groups[m->group - 1].start &&
                 m->end <= l->groups[m->group - 1].end);
        if (m->status == ADDRESS_OK)
            must(address_parse(m->address.whole, ADDRESS_UTF8, arena, &again) == ADDRESS_OK &&
                 address_eq(&again, &m->address));
        else
            must(m->address.whole.len == 0);
        must(!m->guess || l->doubts);
    }
    must((doubts & ~l->doubts) == 0);
}

/* Without doubts: element by element, the bytes kept are read the same. */
static void check_cut(struct str in, const struct mailbox_list *l, uint8_t dice,
                      struct arena *arena)
{
    bool *remove = arena_take(arena, l->count + 1);
    struct mailbox_cuts cuts;
    struct mailbox_list rest;
    struct buffer left;
    buffer_init(&left, MAX_BYTES);
    for (uint32_t i = 0; i < l->count; i++)
        remove[i] = (dice >> l->at[i].element % 8) & 1;
    must(mailbox_cut(l, remove, arena, &cuts));
    uint32_t at = 0;
    for (uint32_t i = 0; i < cuts.count; i++) {
        must(cuts.at[i].offset >= at && cuts.at[i].length > 0);
        buffer_put(&left, str_from(in.at + at, cuts.at[i].offset - at));
        at = cuts.at[i].offset + cuts.at[i].length;
        must(at <= in.len);
    }
    buffer_put(&left, str_skip(in, at));
    if (l->doubts == 0 && !cuts.gone) {
        must(mailbox_read(buffer_str(&left), arena, &rest) && rest.doubts == 0);
        uint32_t k = 0;
        for (uint32_t i = 0; i < l->count; i++)
            if (!remove[i]) {
                must(k < rest.count && address_eq(&rest.at[k].address, &l->at[i].address));
                must(str_eq(rest.at[k++].name, l->at[i].name));
            }
        must(k == rest.count);
    }
    buffer_drop(&left);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 1)
        return 0;
    struct str in = str_from((const char *)data + 1, size - 1);
    struct arena arena;
    struct mailbox_list list;
    arena_init(&arena, ARENA_BYTES);
    if (mailbox_read(in, &arena, &list)) {
        check_list(in, &list, &arena);
        check_cut(in, &list, data[0], &arena);
    }
    arena_drop(&arena);
    return 0;
}
