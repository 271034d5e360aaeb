#include "bench/micro/micro.h"
#include "core/base/base.h"
#include "core/policy/decide.h"
#include "core/policy/rulefile.h"

enum {
    TEXT_BYTES = 4 << 20,
    ARENA_BYTES = 64 << 20,
    RULE_COUNT = 1000,
    RECIPIENT_COUNT = 100,
};

/* A thousand rules as a large customer's: for domains, addresses, groups and classes of recipients,
 * and for content. All of them have a chance to match somebody. */
static void write_policy(struct buffer *out)
{
    buffer_puts(out, "organisation: o\ndomains: [int.example]\naffiliates: [group.example]\n"
                     "groups: {staff: [alice@int.example, user5@int.example]}\n"
                     "dictionaries: {d: {words: [secret]}}\nrules:\n");
    for (int i = 0; i < RULE_COUNT; i++) {
        buffer_printf(out, "  - {name: rule %d, when: {", i);
        if (i % 5 == 0)
            buffer_printf(out, "recipient: {domain: [d%d.example, '*.d%d.example']}", i, i);
        else if (i % 5 == 1)
            buffer_printf(out, "recipient: {class: external, address: user%d@d%d.example}", i, i);
        else if (i % 5 == 2)
            buffer_printf(out, "recipient: {class: external}, header: {name: X-Case, is: c%d}", i);
        else if (i % 5 == 3)
            buffer_printf(out,
                          "keyword: {dictionary: d, at_least: %d}, recipient: {domain: "
                          "e%d.example}",
                          1 + i % 3, i);
        else
            buffer_printf(out,
                          "any: [{recipient: {domain: f%d.example}}, {attachments: {name: "
                          "'*%d*'}}], size: {at_least: %d}",
                          i, i, i);
        buffer_printf(out, "}, then: {hold: %dm, tag: t%d}}\n", 1 + i % 60, i);
    }
    buffer_puts(out, "defaults: {hold: 5m}\n");
}

static struct str address(struct arena *arena, int i)
{
    struct buffer b;
    buffer_init(&b, 256);
    buffer_printf(&b, i % 10 == 0 ? "user%d@int.example" : "user%d@d%d.example", i * 7, i * 7);
    struct str copy = arena_copy(arena, buffer_str(&b));
    buffer_drop(&b);
    return copy;
}

/* 1,000 rules for 100 recipients, each of another domain; the issue asks for 1 ms. */
void micro_decide(struct micro *m)
{
    static const struct header_fact headers[] = {{STR_INIT("Subject"), STR_INIT("plans")},
                                                 {STR_INIT("X-Case"), STR_INIT("c7")},
                                                 {STR_INIT("Message-ID"), STR_INIT("<a@b>")}};
    static const struct str names[] = {STR_INIT("plan.xlsx"), STR_INIT("b.pdf")};
    static const struct attachment attachments[] = {{.names = {names, 1}, .bytes = 1 << 20},
                                                    {.names = {names + 1, 1}, .bytes = 5000}};
    static const struct keyword_fact keywords[] = {
        {STR_INIT("d"), MATCH_BODY, 2, {"", 0}, {"", 0}}};
    const struct rulefile_options all = {.offered = RULE_OFFERED_ALL};
    struct str recipients[RECIPIENT_COUNT];
    struct buffer text, errors;
    struct arena arena, kept;
    buffer_init(&text, TEXT_BYTES);
    buffer_init(&errors, TEXT_BYTES);
    arena_init(&arena, ARENA_BYTES);
    arena_init(&kept, ARENA_BYTES);
    write_policy(&text);
    struct organisation *o = rulefile_read(buffer_str(&text), "policy", &all, &errors);
    must(o);
    for (int i = 0; i < RECIPIENT_COUNT; i++)
        recipients[i] = address(&kept, i);
    const struct facts f = {.sender = STR("alice@int.example"),
                            .user = STR("alice@int.example"),
                            .size = 1 << 20,
                            .recipients = {recipients, RECIPIENT_COUNT},
                            .headers = headers,
                            .header_count = countof(headers),
                            .attachments = attachments,
                            .attachment_count = countof(attachments),
                            .keywords = keywords,
                            .keyword_count = countof(keywords)};
    const struct decide_input in = {.organisation = o, .facts = &f, .hold_standard_ms = 300000};
    while (micro_more(m)) {
        const struct outcome *out = decide(&in, &arena);
        must(out);
        micro_keep(out->delivery_count);
        arena_reset(&arena);
    }
    micro_items(m, RECIPIENT_COUNT);
    organisation_drop(&o);
    arena_drop(&kept);
    arena_drop(&arena);
    buffer_drop(&errors);
    buffer_drop(&text);
}
