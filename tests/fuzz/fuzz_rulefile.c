/* Any bytes as a rule file: no crash; what is read is exported, read back and exported the same,
 * and decides the same for a few recipients. */
#include "core/base/base.h"
#include "core/policy/decide.h"
#include "core/policy/rulefile.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const struct str addresses[] = {STR_INIT("a@int.example"), STR_INIT("x@ext.example"),
                                       STR_INIT("p@group.example"), STR_INIT("a@[127.0.0.1]"),
                                       STR_INIT("")};

/* A mail that has something of everything. */
static void fill(struct facts *f, struct str sender)
{
    static const struct header_fact headers[] = {{STR_INIT("Subject"), STR_INIT("secret plans")},
                                                 {STR_INIT("X-A"), STR_INIT("b")}};
    static const struct str names[] = {STR_INIT("a.pdf"), STR_INIT("b.EXE")};
    static const struct attachment attachments[] = {
        {.names = {names, 2}, .declared_type = STR_INIT("application/pdf"), .bytes = 1000},
        {.names = {names, 1}, .depth = 1, .flags = ATTACHMENT_ENCRYPTED, .bytes = 5},
    };
    static const struct keyword_fact keywords[] = {
        {STR_INIT("d"), MATCH_BODY, 3, STR_INIT("plans"), STR_INIT("")}};
    *f = (struct facts){
        .sender = sender,
        .user = sender,
        .client = STR("\x7f\0\0\1"),
        .open = 0x5555,
        .size = 5000,
        .is_signed = true,
        .recipients = {addresses, countof(addresses)},
        .header_recipients = {addresses, countof(addresses)},
        .headers = headers,
        .header_count = countof(headers),
        .attachments = attachments,
        .attachment_count = countof(attachments),
        .keywords = keywords,
        .keyword_count = countof(keywords),
        .personal = {5, 4, 3, 2, 1},
        .ambiguous = {names, 1},
    };
}

static void compare(const struct organisation *a, const struct organisation *b)
{
    for (size_t i = 0; i < countof(addresses); i++) {
        struct facts f;
        struct arena arena;
        fill(&f, addresses[i]);
        const struct decide_input in_a = {.organisation = a, .facts = &f};
        const struct decide_input in_b = {.organisation = b, .facts = &f};
        arena_init(&arena, 64 << 20);
        struct outcome *x = decide(&in_a, &arena), *y = decide(&in_b, &arena);
        must(x && y && x->delivery_count == y->delivery_count);
        must(x->is_rejected == y->is_rejected && x->rejected_by == y->rejected_by);
        for (uint32_t k = 0; k < x->delivery_count; k++)
            must(x->deliveries[k].key == y->deliveries[k].key);
        for (uint32_t k = 0; k < x->recipient_count; k++) {
            const struct decision *p = outcome_of(x, k), *q = outcome_of(y, k);
            must(p->class == q->class && p->hold_ms == q->hold_ms && p->set == q->set);
            for (unsigned action = 0; action < ACTIONS; action++)
                must(str_eq(decision_rule(p, action), decision_rule(q, action)));
            struct trace *t = decide_trace(&in_a, x, k, &arena);
            must(t);
        }
        arena_drop(&arena);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const struct rulefile_options sandbox = {.allow_password = true,
                                                    .network = STR_INIT("127.0.0.0/8"),
                                                    .offered = RULE_OFFERED_ALL};
    struct buffer errors, first, second;
    buffer_init(&errors, 1 << 22);
    buffer_init(&first, 1 << 24);
    buffer_init(&second, 1 << 24);
    struct str text = str_from((const char *)data, size);
    struct organisation *o = rulefile_read(text, "f", &sandbox, &errors);
    must((o != NULL) == (errors.len == 0));
    if (o) {
        rulefile_write(o, &first);
        struct organisation *again = rulefile_read(buffer_str(&first), "g", &sandbox, &errors);
        must(again != NULL);
        rulefile_write(again, &second);
        must(str_eq(buffer_str(&first), buffer_str(&second)));
        compare(o, again);
        organisation_drop(&again);
    }
    organisation_drop(&o);
    buffer_drop(&errors);
    buffer_drop(&first);
    buffer_drop(&second);
    return 0;
}
