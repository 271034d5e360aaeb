/* Any bytes as a rule file: no crash; what is read is exported, read back and exported the same,
 * and decides the same for a few recipients. */
#include "core/base/base.h"
#include "core/policy/decide.h"
#include "core/policy/rulefile.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void compare(const struct organisation *a, const struct organisation *b)
{
    static const struct str addresses[] = {STR_INIT("a@int.example"), STR_INIT("x@ext.example"),
                                           STR_INIT("p@group.example"), STR_INIT("a@[127.0.0.1]"),
                                           STR_INIT("")};
    static const uint8_t client[] = {127, 0, 0, 1};
    for (size_t i = 0; i < countof(addresses); i++)
        for (size_t k = 0; k < countof(addresses); k++) {
            struct decide_facts f = {.sender = addresses[i], .client = client, .client_bytes = 4};
            struct decision x, y;
            f.user = organisation_user(a, addresses[i]);
            decide(a, &f, addresses[k], 1000, &x, NULL);
            f.user = organisation_user(b, addresses[i]);
            decide(b, &f, addresses[k], 1000, &y, NULL);
            must(x.class == y.class && x.hold_ms == y.hold_ms && x.notice == y.notice &&
                 x.notice_every_ms == y.notice_every_ms && str_eq(x.hold_rule, y.hold_rule));
        }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const struct rulefile_options sandbox = {true, STR_INIT("127.0.0.0/8")};
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
