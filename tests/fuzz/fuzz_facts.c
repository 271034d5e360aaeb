/* Any bytes as kept facts: what decodes is written down again as the same bytes, no prefix of it
 * decodes, and a policy can be asked about it. */
#include "core/base/base.h"
#include "core/policy/decide.h"
#include "core/policy/fact_code.h"
#include "core/policy/rulefile.h"
#include "tests/fuzz/fuzz.h"

static const char policy[] =
    "organisation: o\n"
    "domains: [int.example]\n"
    "calendars: {c: {days: [mon]}}\n"
    "dictionaries: {d: {words: [secret]}}\n"
    "lists: {l: [\"*.ext.example\", x@y.example]}\n"
    "rules:\n"
    "  - {name: a, when: {recipient: {list: l}}, then: {hold: 1m}}\n"
    "  - {name: b, when: {keyword: {dictionary: d}}, then: {tag: b}}\n"
    "  - {name: c, when: {attachments: {extension: exe}}, then: {bcc: {mode: prune}}}\n"
    "  - {name: d, when: {header: {name: subject, matches: \"*a*\"}}, then: {subject_prefix: x}}\n"
    "  - {name: e, when: {external_in_header: {at_least: 2}, outside: c}, then: {notice: none}}\n"
    "  - {name: f, when: {any: [{unreadable: true}, {personal: {my_number: {at_least: 2}}}]}, "
    "then: {reject: {in: mail, text: no}}}\n";

static struct organisation *organisation(void)
{
    static struct organisation *o;
    if (!o) {
        const struct rulefile_options all = {.offered = RULE_OFFERED_ALL};
        struct buffer errors;
        buffer_init(&errors, 1 << 16);
        o = rulefile_read(str_c(policy), "f", &all, &errors);
        must(o);
        buffer_drop(&errors);
    }
    return o;
}

static void ask(const struct facts *f, struct arena *arena)
{
    const struct decide_input in = {.organisation = organisation(), .facts = f};
    struct outcome *o = decide(&in, arena);
    must(o && o->recipient_count == f->recipients.count);
    for (uint32_t i = 0; i < o->recipient_count && i < 20; i++)
        must(decide_trace(&in, o, i, arena));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct str in = str_from((const char *)data, size);
    struct arena arena;
    struct facts f, cut;
    arena_init(&arena, 256 << 20);
    if (facts_decode(in, &arena, &f)) {
        struct buffer again;
        buffer_init(&again, FACTS_BYTES_MAX);
        must(facts_encode(&f, &again));
        must(str_eq(buffer_str(&again), in));
        buffer_drop(&again);
        for (size_t len = 0; len < size; len += 1 + size / 100)
            must(!facts_decode(str_head(in, len), &arena, &cut));
        ask(&f, &arena);
    }
    arena_drop(&arena);
    return 0;
}
