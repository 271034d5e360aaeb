#include "shards/source.h"

#include "core/base/base.h"
#include "core/base/setting_value.h"

#include <arpa/inet.h>
#include <netinet/in.h>

static void read_one(struct str text, bool use_tls, struct source *out)
{
    struct source fresh = {0};
    struct str name = text, address = str_cut(&name, '=');
    char host[INET6_ADDRSTRLEN];
    struct sockaddr_in *four = (struct sockaddr_in *)&fresh.address;
    struct sockaddr_in6 *six = (struct sockaddr_in6 *)&fresh.address;
    bool is_six = str_find(address, ':') != SIZE_MAX;
    fresh.address.ss_family = is_six ? AF_INET6 : AF_INET;
    /* both were checked at load */
    must(str_to_c(address, host, sizeof host));
    must(inet_pton(fresh.address.ss_family, host,
                   is_six ? (void *)&six->sin6_addr : (void *)&four->sin_addr) == 1);
    must(str_to_c(name, fresh.name, sizeof fresh.name));
    if (memcmp(&fresh.address, &out->address, sizeof fresh.address) == 0)
        fresh.skipped_until_ms = out->skipped_until_ms;
    *out = fresh;
    out->settings[0] = (struct smtp_client_settings){str_c(out->name), use_tls};
    out->settings[1] = (struct smtp_client_settings){str_c(out->name), false};
}

void sources_use(struct sources *s, const struct settings *settings)
{
    const struct str_list *list = &settings->outbound_addresses;
    s->count = size_min(list->count, LIMIT_SOURCES);
    for (size_t i = 0; i < s->count; i++)
        read_one(list->at[i], settings->outbound_tls, &s->at[i]);
}

bool sources_next(struct sources *s, int family, uint64_t now_ms, uint32_t *turn,
                  struct source **out)
{
    bool is_named = false;
    *out = NULL;
    for (size_t i = 0; i < s->count; i++) {
        struct source *one = &s->at[(*turn + i) % s->count];
        if (one->address.ss_family != family)
            continue;
        is_named = true;
        if (now_ms < one->skipped_until_ms)
            continue;
        *turn = (uint32_t)((*turn + i + 1) % s->count);
        *out = one;
        return true;
    }
    return !is_named;
}

bool source_fails(struct source *s, uint64_t now_ms)
{
    bool is_news = s->skipped_until_ms == 0;
    s->skipped_until_ms = now_ms + SOURCE_SKIP_MS;
    return is_news;
}
