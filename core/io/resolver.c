/* resolver.c -- a question is one MX look-up, then A and AAAA of what it named.
 *
 *   question ── work ─┬─ look-up (MX)
 *                     ├─ look-up (A of the first exchanger)
 *                     └─ ...
 *
 * libunbound calls back from deep inside itself, even before ub_resolve_event() returns. So a
 * callback only notes what the answer said and defers the work; asking and answering happen in its
 * task. A look-up that nobody waits for any more is left to end by itself: work is NULL.
 */
#include "core/io/resolver.h"

#include "core/base/base.h"
#include "core/base/heap.h"
#include "core/base/limit.h"
#include "core/base/random.h"
#include "core/io/acceptor.h"
#include "core/io/answer.h"
#include "core/io/resolver_event.h"

#include <unbound-event.h>
#include <unbound.h>

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>

enum {
    PARALLEL = 8,
    NAME_BYTES = 256,
    ADDRESSES_TOTAL = 4 * LIMIT_ADDRESSES, /* given to done() at most */
};

struct resolver {
    struct loop *loop;
    struct ub_ctx *unbound;
    struct ub_event_base *base;
    struct list questions, lookups;
    struct list waiting; /* works that have a look-up to make, and may not yet */
    uint32_t lookup_count;
    uint16_t port;
    bool allow_loopback, allow_private, closing;
    char own_name[NAME_BYTES];
    const struct own *own;
};

struct address {
    bool is_six;
    uint8_t at[16];
};

struct candidate {
    char name[NAME_BYTES];
    uint16_t preference;
    uint32_t draw;                /* order among equal preferences */
    int asked, answered;          /* of the two look-ups */
    bool failed_for_now, refused; /* refused: had addresses, but none that we may use */
    size_t count;
    struct address address[LIMIT_ADDRESSES];
};

struct work {
    struct resolver *resolver;
    struct question *question;
    struct list waiting;
    struct task task;
    struct timer limit;
    uint16_t port;
    char domain[NAME_BYTES];

    enum {
        ASK_MX,
        ASK_ADDRESSES,
        ANSWER
    } step;
    enum resolve_status status; /* once `step` is ANSWER */
    const char *why;
    bool is_implicit; /* no MX: the domain is its own exchanger */
    bool is_named;    /* a host that somebody named: of any range */
    bool looped;      /* we are among its exchangers */
    int outstanding;
    size_t count, room;
    struct candidate *candidate; /* best first */
};

struct lookup {
    struct list link;
    struct resolver *resolver;
    struct work *work; /* NULL: forgotten */
    size_t candidate;
    int type;
};

/* ---- settings ---- */

static bool option(struct resolver *r, const char *name, const char *value, struct buffer *errors)
{
    int error = ub_ctx_set_option(r->unbound, name, value);
    if (error)
        buffer_printf(errors, "libunbound refuses %s %s: %s\n", name, value, ub_strerror(error));
    return error == 0;
}

static bool configure(struct resolver *r, struct buffer *errors)
{
    static const struct {
        const char *name, *value;
    } options[] = {
        /* no trust anchor is configured: what validates is the resolver that we ask */
        {"module-config:", "iterator"},
        /* the library's defaults are for a handful of questions */
        {"outgoing-range:", "256"},
        {"outgoing-num-tcp:", "16"},
        {"num-queries-per-thread:", "4096"},
        {"msg-cache-size:", "8m"},
        {"rrset-cache-size:", "16m"},
        {"edns-buffer-size:", "1232"},
        /* a resolver that is silent about one domain is not dead for the others */
        {"infra-keep-probing:", "yes"},
        {"infra-cache-max-rtt:", "4000"},
        /* every question goes to the configured resolvers, which may be here */
        {"do-not-query-localhost:", "no"},
        {"unblock-lan-zones:", "yes"},
        {"insecure-lan-zones:", "yes"},
    };

    for (size_t i = 0; i < countof(options); i++)
        if (!option(r, options[i].name, options[i].value, errors))
            return false;
    return true;
}

static bool set_forward(struct resolver *r, const char *forward, struct buffer *errors)
{
    struct sockaddr_storage address;
    socklen_t len;
    if (!acceptor_parse(str_c(forward), &address, &len)) {
        buffer_printf(errors, "%s: not the address and port of a resolver\n", forward);
        return false;
    }
    const struct sockaddr *a = (const struct sockaddr *)&address;
    char text[96];
    (void)snprintf(text, sizeof text, "%s@%u", address_text(a).at, (unsigned)address_port(a));
    int error = ub_ctx_set_fwd(r->unbound, text);
    if (error)
        buffer_printf(errors, "%s: %s\n", forward, ub_strerror(error));
    return error == 0;
}

static bool set_up(struct resolver *r, const struct resolver_settings *s, struct buffer *errors)
{
    if (!configure(r, errors))
        return false;
    if (s->forward) {
        if (!set_forward(r, s->forward, errors))
            return false;
    } else {
        int error = ub_ctx_resolvconf(r->unbound, NULL);
        if (error) {
            buffer_printf(errors, "/etc/resolv.conf: %s\n", ub_strerror(error));
            return false;
        }
    }
    /* last: it ends configuring. `test.` would be answered here, not by the resolver (RFC 6761) */
    int error = ub_ctx_zone_remove(r->unbound, "test.");
    if (error)
        buffer_printf(errors, "libunbound cannot start: %s\n", ub_strerror(error));
    return error == 0;
}

/* Lower case, without a final dot; false: cannot be a name in the DNS. */
static bool normalise(struct str name, char *out)
{
    if (name.len && name.at[name.len - 1] == '.')
        name.len--;
    if (name.len == 0 || name.len > 253)
        return false;
    size_t label = 0;
    for (size_t i = 0; i < name.len; i++) {
        char c = char_lower(name.at[i]);
        bool is_letter = (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' || c == '_';
        if (c == '.' ? label == 0 : !is_letter || label == 63)
            return false;
        label = c == '.' ? 0 : label + 1;
        out[i] = c;
    }
    out[name.len] = '\0';
    return label > 0;
}

struct resolver *resolver_open(struct loop *l, const struct resolver_settings *s,
                               struct buffer *errors)
{
    struct resolver *r = heap_take(sizeof *r);
    r->loop = l;
    r->port = s->port;
    list_init(&r->questions);
    list_init(&r->lookups);
    list_init(&r->waiting);
    r->base = resolver_base_make(l);
    r->unbound = ub_ctx_create_ub_event(r->base);
    if (!r->unbound) {
        buffer_puts(errors, "libunbound cannot be set up: out of memory or descriptors\n");
        resolver_close(&r);
        return NULL;
    }
    (void)ub_ctx_debugout(r->unbound, NULL); /* it would write to stderr */
    if (!set_up(r, s, errors))
        resolver_close(&r);
    return r;
}

void resolver_use(struct resolver *r, const struct resolver_rules *rules)
{
    r->allow_loopback = rules->allow_loopback;
    r->allow_private = rules->allow_private;
    r->own = rules->own;
    if (!normalise(str_c(rules->own_name), r->own_name))
        r->own_name[0] = '\0';
}

/* Whoever waits longest goes on when there is room. */
static void wake_next(struct resolver *r)
{
    if (!list_empty(&r->waiting) && r->lookup_count < LIMIT_RESOLVER_LOOKUPS)
        loop_defer(r->loop, &owner_of(r->waiting.next, struct work, waiting)->task);
}

/* May it make a look-up now? Else it waits in turn. */
static bool has_room(struct work *w)
{
    struct resolver *r = w->resolver;
    bool is_first = list_empty(&r->waiting) || r->waiting.next == &w->waiting;
    if (is_first && r->lookup_count < LIMIT_RESOLVER_LOOKUPS) {
        list_remove(&w->waiting);
        wake_next(r);
        return true;
    }
    if (!list_linked(&w->waiting))
        list_append(&r->waiting, &w->waiting);
    return false;
}

static void work_free(struct work *w)
{
    struct resolver *r = w->resolver;
    list_remove(&w->waiting);
    wake_next(r);
    list_each(link, &r->lookups) {
        struct lookup *lookup = owner_of(link, struct lookup, link);
        if (lookup->work == w)
            lookup->work = NULL;
    }
    loop_undefer(r->loop, &w->task);
    loop_timer_stop(r->loop, &w->limit);
    heap_drop(w->candidate);
    heap_drop(w);
}

void resolver_close(struct resolver **r_p)
{
    struct resolver *r = *r_p;
    if (!r)
        return;
    *r_p = NULL;
    r->closing = true;
    while (!list_empty(&r->questions))
        resolver_forget(r, owner_of(r->questions.next, struct question, link));
    if (r->unbound)
        ub_ctx_delete(r->unbound); /* calls back for what is under way */
    struct list *link;
    while ((link = list_take(&r->lookups)))
        heap_drop(owner_of(link, struct lookup, link));
    resolver_base_drop(&r->base);
    heap_drop(r);
}

/* ---- what an answer says ---- */

static void settle(struct work *w, enum resolve_status status, const char *why)
{
    w->step = ANSWER;
    w->status = status;
    w->why = why;
}

static bool is_before(const struct candidate *a, const struct candidate *b)
{
    return a->preference != b->preference ? a->preference < b->preference : a->draw < b->draw;
}

static struct candidate *find(struct work *w, const char *name)
{
    for (size_t i = 0; i < w->count; i++)
        if (strcmp(w->candidate[i].name, name) == 0)
            return &w->candidate[i];
    return NULL;
}

static void make_room(struct work *w)
{
    if (w->count < w->room || w->room == LIMIT_EXCHANGERS)
        return;
    size_t room = w->room ? size_min(w->room * 4, LIMIT_EXCHANGERS) : 4;
    struct candidate *candidate = heap_grow(w->candidate, room * sizeof *candidate);
    must(candidate != NULL);
    w->candidate = candidate;
    w->room = room;
}

/* Keep the best LIMIT_EXCHANGERS in order, each name once at its best preference. */
static void add_candidate(struct work *w, const char *name, uint16_t preference)
{
    static const struct candidate empty;
    make_room(w);
    struct candidate *c = find(w, name);
    if (c && c->preference <= preference)
        return;
    if (!c) {
        struct candidate new = {.preference = preference, .draw = (uint32_t)random_u64()};
        if (w->count == LIMIT_EXCHANGERS && !is_before(&new, &w->candidate[w->count - 1]))
            return;
        c = &w->candidate[w->count < LIMIT_EXCHANGERS ? w->count++ : w->count - 1];
        *c = empty;
        c->draw = new.draw;
        memcpy(c->name, name, strlen(name) + 1);
    }
    c->preference = preference;
    for (; c > w->candidate && is_before(c, c - 1); c--) {
        struct candidate swap = *c;
        *c = c[-1];
        c[-1] = swap;
    }
}

/* RFC 5321 5.1: those at our own preference or behind it would lead back to us. */
static void drop_from(struct work *w, uint16_t preference)
{
    size_t kept = 0;
    while (kept < w->count && w->candidate[kept].preference < preference)
        kept++;
    w->count = kept;
    w->looped = true;
}

static void drop_ourselves(struct work *w)
{
    const struct candidate *us = find(w, w->resolver->own_name);
    if (us && *us->name)
        drop_from(w, us->preference);
}

static const char loop_why[] = "we are its mail exchanger, but the domain is not ours";

static void read_mx(struct work *w, struct str message)
{
    struct answer a;
    struct answer_record r;
    unsigned records = 0, null = 0, bad = 0;
    if (!answer_open(&a, message)) {
        settle(w, RESOLVE_RETRY, "the DNS answer is damaged");
        return;
    }
    while (answer_next(&a, &r)) {
        uint16_t preference;
        struct dns_name name;
        if (r.type != DNS_TYPE_MX)
            continue;
        records++;
        if (!answer_mx(&a, &r, &preference, &name) || !name.is_host)
            bad++;
        else if (!name.at[0])
            null++;
        else
            add_candidate(w, name.at, preference);
    }
    if (a.broken) {
        settle(w, RESOLVE_RETRY, "the DNS answer is damaged");
        return;
    }
    if (records == 1 && null == 1) {
        settle(w, RESOLVE_NULL_MX, "the domain accepts no mail (null MX)");
        return;
    }
    if (records == 0) {
        w->is_implicit = true;
        add_candidate(w, w->domain, 0);
    }
    drop_ourselves(w);
    if (w->count)
        w->step = ASK_ADDRESSES;
    else if (w->looped)
        settle(w, RESOLVE_LOOP, loop_why);
    else
        settle(w, RESOLVE_UNUSABLE, "no MX record has a usable name");
}

/* Ranges of RFC 6890 and its like that lead to no exchanger on the Internet. */
enum range {
    RANGE_PUBLIC,
    RANGE_NEVER, /* to nobody, or to whoever is on the wire; link-local holds cloud metadata */
    RANGE_LOOPBACK,
    RANGE_PRIVATE,
};

static const struct {
    struct network network;
    enum range range;
} ranges[] = {
    {{{0}, 4, 8}, RANGE_NEVER},
    {{{10}, 4, 8}, RANGE_PRIVATE},
    {{{100, 64}, 4, 10}, RANGE_PRIVATE}, /* shared by a carrier's customers (RFC 6598) */
    {{{127}, 4, 8}, RANGE_LOOPBACK},
    {{{169, 254}, 4, 16}, RANGE_NEVER},
    {{{172, 16}, 4, 12}, RANGE_PRIVATE},
    {{{192, 0, 0}, 4, 24}, RANGE_PRIVATE},
    {{{192, 168}, 4, 16}, RANGE_PRIVATE},
    {{{198, 18}, 4, 15}, RANGE_PRIVATE}, /* benchmarks */
    {{{224}, 4, 3}, RANGE_NEVER},        /* multicast, reserved, broadcast */
    {{{[15] = 1}, 16, 128}, RANGE_LOOPBACK},
    {{{0}, 16, 96}, RANGE_NEVER}, /* unspecified; ::192.0.2.1 as it once was */
    {{{0, 0x64, 0xff, 0x9b, 0, 1}, 16, 48}, RANGE_PRIVATE},
    {{{0xfc}, 16, 7}, RANGE_PRIVATE},
    {{{0xfe, 0x80}, 16, 10}, RANGE_NEVER},
    {{{0xfe, 0xc0}, 16, 10}, RANGE_PRIVATE},
    {{{0xff}, 16, 8}, RANGE_NEVER},
};

static enum range range_of_bytes(const void *at, size_t bytes)
{
    for (size_t i = 0; i < countof(ranges); i++)
        if (network_holds(&ranges[i].network, at, bytes))
            return ranges[i].range;
    return RANGE_PUBLIC;
}

/* What a gateway makes an IPv4 address of again counts as that: NAT64 (RFC 6052), 6to4. */
static enum range range_of(const struct address *a)
{
    static const struct network nat = {{0, 0x64, 0xff, 0x9b}, 16, 96};
    static const struct network six_to_four = {{0x20, 0x02}, 16, 16};
    if (!a->is_six)
        return range_of_bytes(a->at, 4);
    if (network_holds(&nat, a->at, 16))
        return range_of_bytes(a->at + 12, 4);
    if (network_holds(&six_to_four, a->at, 16))
        return range_of_bytes(a->at + 2, 4);
    return range_of_bytes(a->at, 16);
}

static bool is_usable(const struct work *w, enum range range)
{
    switch (range) {
    case RANGE_PUBLIC:
        return true;
    case RANGE_PRIVATE:
        return w->is_named || w->resolver->allow_private;
    case RANGE_LOOPBACK:
        return w->is_named || w->resolver->allow_loopback;
    case RANGE_NEVER:
        return false;
    }
    return false;
}

static struct sockaddr_storage socket_address(const struct address *a, uint16_t port,
                                              socklen_t *len)
{
    struct sockaddr_storage out;
    memset(&out, 0, sizeof out);
    if (a->is_six) {
        struct sockaddr_in6 *six = (struct sockaddr_in6 *)&out;
        six->sin6_family = AF_INET6;
        six->sin6_port = htons(port);
        memcpy(&six->sin6_addr, a->at, 16);
        *len = sizeof *six;
    } else {
        struct sockaddr_in *four = (struct sockaddr_in *)&out;
        four->sin_family = AF_INET;
        four->sin_port = htons(port);
        memcpy(&four->sin_addr, a->at, 4);
        *len = sizeof *four;
    }
    return out;
}

static bool is_us(const struct work *w, const struct address *a)
{
    socklen_t len;
    struct sockaddr_storage to = socket_address(a, w->port, &len);
    return w->resolver->own && own_is(w->resolver->own, (const struct sockaddr *)&to);
}

static void add_address(struct work *w, struct candidate *c, const struct address *a)
{
    enum range range = range_of(a);
    bool usable = is_usable(w, range);
    if ((usable || range == RANGE_PRIVATE) && is_us(w, a)) {
        drop_from(w, c->preference);
        return;
    }
    if (!usable) {
        c->refused = true;
        return;
    }
    for (size_t i = 0; i < c->count; i++)
        if (c->address[i].is_six == a->is_six && memcmp(c->address[i].at, a->at, 16) == 0)
            return;
    if (c->count < LIMIT_ADDRESSES)
        c->address[c->count++] = *a;
}

static void read_addresses(struct work *w, struct candidate *c, int type, struct str message)
{
    struct answer a;
    struct answer_record r;
    if (!answer_open(&a, message)) {
        c->failed_for_now = true;
        return;
    }
    size_t want = type == DNS_TYPE_A ? 4 : 16;
    while (answer_next(&a, &r)) {
        if (r.type != type || r.data.len != want)
            continue;
        struct address address = {.is_six = type == DNS_TYPE_AAAA};
        memcpy(address.at, r.data.at, want);
        add_address(w, c, &address);
    }
    if (a.broken)
        c->failed_for_now = true;
}

static void take_in(struct lookup *l, int rcode, struct str message)
{
    struct work *w = l->work;
    w->outstanding--;
    loop_defer(w->resolver->loop, &w->task);
    if (l->type == DNS_TYPE_MX) {
        if (rcode == DNS_RCODE_OK)
            read_mx(w, message);
        else if (rcode == DNS_RCODE_NXDOMAIN)
            settle(w, RESOLVE_NONE, "the domain does not exist");
        else
            settle(w, RESOLVE_RETRY, "the DNS does not answer for the domain");
        return;
    }
    struct candidate *c = &w->candidate[l->candidate];
    c->answered++;
    if (rcode == DNS_RCODE_OK)
        read_addresses(w, c, l->type, message);
    else if (rcode != DNS_RCODE_NXDOMAIN)
        c->failed_for_now = true;
}

/* NOLINTNEXTLINE(readability-function-size,readability-non-const-parameter): libunbound's type */
static void on_answer(void *owner, int rcode, void *packet, int len, int security, char *why_bogus,
                      int was_ratelimited)
{
    (void)security;
    (void)why_bogus;
    (void)was_ratelimited;
    struct lookup *l = owner;
    list_remove(&l->link);
    l->resolver->lookup_count--;
    wake_next(l->resolver);
    /* what libunbound remembers, failures among it, has its code in the packet and 0 beside it */
    if (rcode == DNS_RCODE_OK && len > 3)
        rcode = ((const unsigned char *)packet)[3] & 0x0F;
    if (l->work && !l->resolver->closing)
        take_in(l, rcode, rcode == 0 && len > 0 ? str_from(packet, (size_t)len) : STR(""));
    heap_drop(l);
}

/* ---- asking ---- */

static void look_up(struct work *w, const char *name, int type, size_t candidate)
{
    struct resolver *r = w->resolver;
    struct lookup *l = heap_take(sizeof *l);
    *l = (struct lookup){.resolver = r, .work = w, .candidate = candidate, .type = type};
    list_append(&r->lookups, &l->link);
    r->lookup_count++;
    w->outstanding++;
    char dotted[NAME_BYTES + 1];
    (void)snprintf(dotted, sizeof dotted, "%s.", name);
    if (ub_resolve_event(r->unbound, dotted, type, DNS_CLASS_IN, l, on_answer, NULL) != 0)
        on_answer(l, -1, NULL, 0, 0, NULL, 0); /* no memory or descriptor: as if nobody answered */
}

/* Do the preferred exchangers, as far as they have been answered for, have addresses enough? Those
 * of one preference are answered for together: one of them may be us. */
static bool have_enough(const struct work *w)
{
    size_t addresses = 0, i = 0;
    for (; i < w->count && w->candidate[i].answered == 2; i++)
        addresses += w->candidate[i].count;
    bool is_whole =
        i == 0 || i == w->count || w->candidate[i].preference != w->candidate[i - 1].preference;
    return addresses >= LIMIT_ADDRESSES && is_whole;
}

static void ask_addresses(struct work *w)
{
    static const int types[] = {DNS_TYPE_A, DNS_TYPE_AAAA};
    for (size_t i = 0; i < w->count && !have_enough(w); i++) {
        struct candidate *c = &w->candidate[i];
        while (c->asked < (int)countof(types)) {
            if (w->outstanding >= PARALLEL || !has_room(w))
                return;
            look_up(w, c->name, types[c->asked++], i);
        }
    }
}

/* ---- answering ---- */

static void shuffle(struct candidate *c)
{
    for (size_t i = c->count; i > 1; i--) {
        size_t j = random_below(i);
        struct address swap = c->address[i - 1];
        c->address[i - 1] = c->address[j];
        c->address[j] = swap;
    }
}

static size_t list_exchangers(struct work *w, struct exchanger *out)
{
    size_t count = 0;
    for (size_t i = 0; i < w->count; i++) {
        struct candidate *c = &w->candidate[i];
        shuffle(c);
        for (size_t j = 0; j < c->count && count < ADDRESSES_TOTAL; j++) {
            struct exchanger *e = &out[count++];
            memcpy(e->name, c->name, sizeof e->name);
            e->preference = c->preference;
            e->address = socket_address(&c->address[j], w->port, &e->address_len);
        }
    }
    return count;
}

static void give(struct work *w, const struct resolution *answer)
{
    struct question *q = w->question;
    list_remove(&q->link);
    q->work = NULL;
    loop_hurry(w->resolver->loop);
    work_free(w);
    q->done(q, answer); /* may ask again, or free the question */
}

/* All addresses are known, or enough of them. */
static void conclude(struct work *w)
{
    bool failed = false, refused = false;
    for (size_t i = 0; i < w->count; i++) {
        if (w->candidate[i].count) {
            settle(w, RESOLVE_OK, "");
            return;
        }
        failed |= w->candidate[i].failed_for_now;
        refused |= w->candidate[i].refused;
    }
    if (failed)
        settle(w, RESOLVE_RETRY, "the DNS does not answer for the mail exchangers");
    else if (w->looped)
        settle(w, RESOLVE_LOOP, loop_why);
    else if (refused)
        settle(w, RESOLVE_UNUSABLE, "the mail exchangers have only local or private addresses");
    else if (w->is_implicit)
        settle(w, RESOLVE_NONE, "the domain has neither MX nor address");
    else
        settle(w, RESOLVE_UNUSABLE, "no mail exchanger has an address");
}

static void on_work(struct task *t)
{
    struct work *w = owner_of(t, struct work, task);
    if (w->step == ASK_MX && w->outstanding == 0 && has_room(w))
        look_up(w, w->domain, DNS_TYPE_MX, 0); /* its answer defers us again */
    if (w->step == ASK_ADDRESSES) {
        ask_addresses(w);
        if ((w->outstanding == 0 && !list_linked(&w->waiting)) || have_enough(w))
            conclude(w);
    }
    if (w->step != ANSWER)
        return;
    struct resolution answer = {.status = w->status, .why = w->why};
    if (w->status == RESOLVE_OK) {
        answer.exchanger = heap_take(ADDRESSES_TOTAL * sizeof *answer.exchanger);
        answer.count = list_exchangers(w, answer.exchanger);
    }
    struct exchanger *exchanger = answer.exchanger;
    give(w, &answer);
    heap_drop(exchanger);
}

static void on_limit(struct timer *t)
{
    struct work *w = t->owner;
    if (w->step == ANSWER)
        return; /* its task is deferred already */
    if (w->step == ASK_ADDRESSES)
        conclude(w);
    if (w->step != ANSWER || w->status != RESOLVE_OK)
        settle(w, RESOLVE_RETRY, "the DNS takes too long");
    loop_defer(w->resolver->loop, &w->task);
}

/* ---- calls ---- */

/* "[192.0.2.1]", "[IPv6:2001:db8::1]" (RFC 5321 4.1.3). */
static bool parse_literal(struct str text, struct address *out)
{
    char inner[64];
    *out = (struct address){0};
    struct str host = str_from(text.at + 1, text.len - 2);
    if (str_starts_nocase(host, STR("IPv6:"))) {
        out->is_six = true;
        host = str_skip(host, 5);
    }
    if (host.len >= sizeof inner || memchr(host.at, '\0', host.len))
        return false;
    memcpy(inner, host.at, host.len);
    inner[host.len] = '\0';
    return inet_pton(out->is_six ? AF_INET6 : AF_INET, inner, out->at) == 1;
}

static void begin_literal(struct work *w, struct str text)
{
    struct address address;
    if (!parse_literal(text, &address)) {
        settle(w, RESOLVE_NONE, "not an address literal");
        return;
    }
    memcpy(w->domain, text.at, text.len);
    add_candidate(w, w->domain, 0);
    add_address(w, &w->candidate[0], &address);
    conclude(w);
}

static struct work *begin(struct resolver *r, struct question *q, uint16_t port)
{
    struct work *w = heap_take(sizeof *w);
    w->resolver = r;
    w->question = q;
    w->port = port;
    list_init(&w->waiting);
    w->task.run = on_work;
    w->limit = (struct timer){.due = on_limit, .owner = w};
    w->why = "";
    q->work = w;
    list_append(&r->questions, &q->link);
    loop_timer_start(r->loop, &w->limit, RESOLVE_LIMIT_MS);
    loop_defer(r->loop, &w->task);
    return w;
}

void resolver_ask(struct resolver *r, struct question *q, struct str domain)
{
    struct work *w = begin(r, q, r->port);
    if (domain.len > 2 && domain.len < NAME_BYTES && domain.at[0] == '[' &&
        domain.at[domain.len - 1] == ']')
        begin_literal(w, domain);
    else if (!normalise(domain, w->domain))
        settle(w, RESOLVE_NONE, "not a domain name");
}

void resolver_ask_host(struct resolver *r, struct question *q, struct str host, uint16_t port)
{
    struct work *w = begin(r, q, port);
    w->is_named = w->is_implicit = true;
    if (!normalise(host, w->domain)) {
        settle(w, RESOLVE_NONE, "not a host name");
        return;
    }
    add_candidate(w, w->domain, 0);
    w->step = ASK_ADDRESSES;
}

uint32_t resolver_busy(const struct resolver *r)
{
    return r->lookup_count;
}

void resolver_forget(struct resolver *r, struct question *q)
{
    (void)r;
    if (!q->work)
        return;
    list_remove(&q->link);
    work_free(q->work);
    q->work = NULL;
}
