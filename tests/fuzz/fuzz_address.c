/* What is accepted is a fixed point: parsed again it is the same, and it has one domain only. */
#include "tests/fuzz/fuzz.h"

#include "core/base/limit.h"
#include "core/mail/address.h"
#include "core/mail/domain.h"
#include "core/mail/parameter.h"

static void check(const struct address *a, unsigned flags, struct arena *arena)
{
    struct address again;
    must(address_parse(a->whole, flags, arena, &again) == ADDRESS_OK);
    must(str_eq(again.whole, a->whole) && str_eq(again.domain, a->domain));
    must(str_eq(again.local, a->local) && again.literal == a->literal && again.utf8 == a->utf8);
    must(a->whole.len + 2 <= LIMIT_PATH_BYTES);
    for (size_t i = 0; i < a->whole.len; i++)
        must((unsigned char)a->whole.at[i] >= ' ' && a->whole.at[i] != 0x7F);
    for (size_t i = 0; i < a->domain.len; i++)
        must(a->domain.at[i] > ' ' && a->domain.at[i] <= '~' && a->domain.at[i] != '@');
    if (a->domain.len) {
        /* a reader that takes the last at sign finds the domain that we classify */
        const char *at = memrchr(a->whole.at, '@', a->whole.len);
        must(at && str_eq(str_skip(a->whole, (size_t)(at - a->whole.at) + 1), a->domain));
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 1)
        return 0;
    unsigned flags = data[0] & 7u;
    struct str in = str_from((const char *)data + 1, size - 1), path;
    struct arena arena;
    arena_init(&arena, 1 << 20);
    struct address a;
    if (address_parse_path(in, flags, &arena, &a) == ADDRESS_OK)
        check(&a, flags, &arena);
    if (address_parse(in, flags, &arena, &a) == ADDRESS_OK)
        check(&a, flags, &arena);
    struct str rest = in;
    if (address_cut_path(&rest, &path)) {
        struct parameter_mail m;
        struct parameter_rcpt r;
        must(path.len + rest.len == in.len && path.at[path.len - 1] == '>');
        (void)!parameter_parse_mail(rest, ~0u, &arena, &m);
        (void)!parameter_parse_rcpt(rest, ~0u, &arena, &r);
    }
    arena_drop(&arena);
    return 0;
}
