/* test_address_oracle.c -- what is classified is what is sent (ADDR-01 .. 24), over generated
 * addresses.
 *
 *   test_address_oracle [SEED [COUNT]]
 *
 * Each address goes the way of a recipient: the session reads RCPT, the organisation classifies the
 * domain, the rules classify the stored address, the envelope is written down and read again, the
 * client writes RCPT. What it wrote is read by the strict parser and by a second one that was
 * written for this test (reader_*), and ICU says what the domain means. They must agree.
 */
#include "core/base/base.h"
#include "core/base/limit.h"
#include "core/mail/address.h"
#include "core/mail/envelope.h"
#include "core/policy/decide.h"
#include "core/policy/rulefile.h"
#include "shards/smtp_client.h"
#include "shards/smtp_server.h"
#include "tests/unit/base/dice.h"
#include "tests/unit/harness.h"

#include <unicode/uidna.h>
#include <unicode/ustring.h>

#include <arpa/inet.h>
#include <stdlib.h>

enum {
    COUNT = 150000,
    RAW_BYTES = 2048,
    NAME_BYTES = 1024,
    TRANSACTION = 40, /* recipients */
};

static const char policy[] = "organisation: one\n"
                             "domains: [int.example, '*.below.example', 例え.jp, 日本.example]\n"
                             "affiliates: [group.example, '*.group.example']\n"
                             "defaults: {hold: 0s}\n";

static uint64_t seed = 20261124, wanted = COUNT;
static struct organisation *organisation;
static UIDNA *idna;

/* ---- the second reader: the last at sign, and what stands around it */

struct reading {
    char local[RAW_BYTES], domain[RAW_BYTES]; /* local: without quotes and backslashes */
    size_t local_len, domain_len;
};

static bool reader_text(unsigned char c)
{
    return (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') ||
           (c && strchr("!#$%&'*+-/=?^_`{|}~", c)) || c > 0x7F;
}

static bool reader_local(const char *at, size_t len, struct reading *r)
{
    bool quoted = len > 1 && at[0] == '"' && at[len - 1] == '"';
    r->local_len = 0;
    if (!quoted) {
        for (size_t i = 0; i < len; i++) {
            bool dot = at[i] == '.', edge = i == 0 || i + 1 == len;
            if (dot ? edge || at[i + 1] == '.' : !reader_text((unsigned char)at[i]))
                return false;
            r->local[r->local_len++] = at[i];
        }
        return len > 0;
    }
    for (size_t i = 1; i + 1 < len; i++) {
        bool escaped = at[i] == '\\';
        i += escaped;
        if (i + 1 >= len || (at[i] == '"' && !escaped) || (unsigned char)at[i] < ' ' ||
            at[i] == 0x7F)
            return false;
        r->local[r->local_len++] = at[i];
    }
    return true;
}

/* Letters, digits, hyphens inside labels, single dots; the last label is no number. ASCII only:
 * others are ICU's to judge. */
static bool reader_name(const char *at, size_t len)
{
    size_t label = 0, digits = 0;
    for (size_t i = 0; i <= len; i++) {
        if (i == len || at[i] == '.') {
            if (label == 0 || label > 63 || at[i - 1] == '-')
                return false;
            if (i == len)
                return digits < label && len <= 255;
            label = digits = 0;
            continue;
        }
        bool digit = at[i] >= '0' && at[i] <= '9';
        bool letter = (at[i] >= 'a' && at[i] <= 'z') || (at[i] >= 'A' && at[i] <= 'Z');
        if (!letter && !digit && !(at[i] == '-' && label))
            return false;
        label++;
        digits += digit;
    }
    return false;
}

static bool reader_literal(const char *at, size_t len)
{
    char text[RAW_BYTES];
    unsigned char raw[16];
    bool six = len > 6 && strncasecmp(at, "[IPv6:", 6) == 0;
    size_t skip = six ? 6 : 1;
    if (len < skip + 2 || at[len - 1] != ']' || memchr(at, '\0', len))
        return false;
    memcpy(text, at + skip, len - skip - 1);
    text[len - skip - 1] = '\0';
    return inet_pton(six ? AF_INET6 : AF_INET, text, raw) == 1;
}

static bool is_ascii(const char *at, size_t len)
{
    for (size_t i = 0; i < len; i++)
        if ((unsigned char)at[i] > 0x7F)
            return false;
    return true;
}

/* A mailbox without its brackets. False: not one. A domain that is not ASCII is taken as it is. */
static bool reader_mailbox(struct str in, struct reading *r)
{
    const char *sign = memrchr(in.at, '@', in.len);
    if (!sign || sign == in.at)
        return false;
    size_t local = (size_t)(sign - in.at);
    r->domain_len = in.len - local - 1;
    memcpy(r->domain, sign + 1, r->domain_len);
    if (!reader_local(in.at, local, r))
        return false;
    if (r->domain_len && r->domain[0] == '[')
        return reader_literal(r->domain, r->domain_len);
    return !is_ascii(r->domain, r->domain_len) || reader_name(r->domain, r->domain_len);
}

/* ICU's word on a domain: its A-labels in lower case, or nothing. */
static bool icu_domain(struct str in, char *out, size_t *len)
{
    UErrorCode error = U_ZERO_ERROR;
    UIDNAInfo info = UIDNA_INFO_INITIALIZER;
    int32_t got =
        uidna_nameToASCII_UTF8(idna, in.at, (int32_t)in.len, out, NAME_BYTES, &info, &error);
    if (U_FAILURE(error) || info.errors || got <= 0 || got >= NAME_BYTES)
        return false;
    *len = (size_t)got;
    return true;
}

static bool is_utf8(struct str s)
{
    static UChar wide[RAW_BYTES];
    UErrorCode error = U_ZERO_ERROR;
    (void)u_strFromUTF8(wide, RAW_BYTES, NULL, s.at, (int32_t)s.len, &error);
    return U_SUCCESS(error);
}

static bool reader_hop(struct str hop)
{
    char name[NAME_BYTES];
    size_t len;
    if (is_ascii(hop.at, hop.len))
        return reader_name(hop.at, hop.len);
    return icu_domain(hop, name, &len) && reader_name(name, len);
}

/* "@a,@b:mailbox": the route ends at the first colon. */
static bool reader_path(struct str in, struct reading *r)
{
    if (in.len == 0 || in.at[0] != '@')
        return reader_mailbox(in, r);
    while (in.len && in.at[0] == '@') {
        size_t end = 1;
        while (end < in.len && in.at[end] != ',' && in.at[end] != ':')
            end++;
        struct str hop = str_skip(str_head(in, end), 1);
        if (end == in.len || !reader_hop(hop))
            return false;
        bool last = in.at[end] == ':';
        in = str_skip(in, end + 1);
        if (last)
            return reader_mailbox(in, r);
    }
    return false;
}

/* A domain of the organisation, label by label from the right. */
static enum recipient_class naive_class(struct str domain)
{
    static const struct {
        const char *name;
        bool below, itself;
        enum recipient_class class;
    } own[] = {
        {"int.example", false, true, CLASS_INTERNAL},
        {"below.example", true, false, CLASS_INTERNAL},
        {"xn--r8jz45g.jp", false, true, CLASS_INTERNAL},
        {"xn--wgv71a.example", false, true, CLASS_INTERNAL},
        {"group.example", true, true, CLASS_AFFILIATE},
    };

    for (size_t i = 0; i < countof(own); i++) {
        size_t len = strlen(own[i].name);
        if (domain.len < len || memcmp(domain.at + domain.len - len, own[i].name, len) != 0)
            continue;
        if (domain.len == len ? own[i].itself
                              : own[i].below && domain.at[domain.len - len - 1] == '.')
            return own[i].class;
    }
    return CLASS_EXTERNAL;
}

/* ---- the generator */

struct raw {
    char at[RAW_BYTES];
    size_t len;
};

static void put(struct raw *r, const char *text, size_t len)
{
    len = size_min(len, sizeof r->at - r->len);
    memcpy(r->at + r->len, text, len);
    r->len += len;
}

static void put_c(struct raw *r, const char *text)
{
    put(r, text, strlen(text));
}

#define PICK(dice, table) ((table)[dice_below((dice), countof(table))])

/* ADDR-05, ADDR-06: what looks like an encoded word, up to the at sign. */
static const char *const words[] = {
    "=?x?q?user=40ext.example=3e=00?=foo",
    "=?x?q?user=40ext.example=01?=foo",
    "=?x?q?user=40ext.example=0d?=foo",
    "=?x?q?user=40ext.example=20?=foo",
    "=?x?q?user=40ext.example=2c?=foo",
    "=?utf-7?q?user&AEA-ext.example&ACA-?=foo",
    "user=?utf-7?b?JkFFQS0?=ext.example=?utf-7?b?JkFDdy0?=foo",
    "=?iso-8859-1?q?=61=62?=foo",
    "=?utf-8?b?dXNlckBleHQuZXhhbXBsZQ==?=",
    "=?iso-2022-jp?b?GyRC?=",
};

static const char *const letters[] = {
    "a", "B", "z9", "用户", "ñ", "\u212A", "ſ", "İ", "ß", "é", "e\u0301", "😀", "ﬃ",
};

/* ADDR-09, ADDR-11, ADDR-16 */
static const char *const odd[] = {
    "\u202e",
    "\u200b",
    "\ufeff",
    "\u00ad",
    "\u200d",
    "\u2066",
    "\u3000",
    "\u2028",
    "\xc2\x85",
    "\xff",
    "\xc0\x80",
    "\xed\xa0\x80",
    "\xf4\x90\x80\x80",
    "\xe3\x81",
    "＠",
    "＜",
    "＞",
    "．",
    " ",
    "\t",
    "\r",
    "\n",
    "\x01",
    "\x7f",
    "\x1b[2J",
    "(x)",
    ",",
    ";",
    ":",
    "<",
    ">",
    "[",
    "]",
    "\\",
    "\"",
    "@",
    "..",
    "%",
    "!",
    "|",
    "`id`",
    "$(id)",
    "../",
    "-",
    "'",
    "%s%n",
    "&",
    "*",
    "{}",
    "~",
    "#",
};

static void gen_run(struct dice *d, struct raw *r, unsigned most)
{
    static const char atoms[] = "abcXYZ019!#$%&'*+-/=?^_`{|}~";
    for (uint64_t n = 1 + dice_below(d, most); n; n--)
        put(r, &atoms[dice_below(d, sizeof atoms - 1)], 1);
}

static void gen_quoted(struct dice *d, struct raw *r)
{
    put_c(r, "\"");
    for (uint64_t n = dice_below(d, 8); n; n--)
        switch (dice_below(d, 6)) {
        case 0:
            put_c(r, "\\");
            put(r, (char[]){(char)(' ' + dice_below(d, 95))}, 1);
            break;
        case 1:
            put_c(r, PICK(d, odd));
            break;
        case 2:
            put_c(r, "user@ext.example");
            break;
        case 3:
            put_c(r, " ");
            break;
        default:
            gen_run(d, r, 4);
            break;
        }
    if (dice_below(d, 20))
        put_c(r, "\"");
}

static void gen_local(struct dice *d, struct raw *r)
{
    switch (dice_below(d, 14)) {
    case 0:
        put_c(r, PICK(d, words));
        return;
    case 1:
    case 2:
    case 3:
        gen_quoted(d, r);
        return;
    case 4: /* BOMB-02 */
        for (uint64_t n = 60 + dice_below(d, 8); n; n--)
            put_c(r, "l");
        return;
    case 5: /* ADDR-16 */
        gen_run(d, r, 4);
        put(r, (char[]){(char)dice_below(d, 256)}, 1);
        gen_run(d, r, 4);
        return;
    case 6:
        gen_run(d, r, 3);
        put_c(r, PICK(d, odd));
        gen_run(d, r, 3);
        return;
    case 7:
        put_c(r, dice_below(d, 2) ? "user%ext.example" : "ext.example!user"); /* ADDR-02 */
        return;
    case 8:
        put_c(r, dice_below(d, 2) ? "PostMaster" : "");
        return;
    default: /* ADDR-18 */
        for (uint64_t n = 1 + dice_below(d, 3); n; n--) {
            put_c(r, dice_below(d, 4) ? "Ki.Ku+Tag" : PICK(d, letters));
            put_c(r, n > 1 || !dice_below(d, 12) ? "." : "");
        }
        return;
    }
}

static const char *const domains[] = {
    "int.example",
    "INT.Example",
    "sub.int.example",
    "evilint.example",
    "int.example.evil.test",
    "ext.example",
    "a.below.example",
    "below.example",
    "b.a.Below.Example",
    "xbelow.example",
    "group.example",
    "x.group.example",
    "xgroup.example",
    "例え.jp",
    "xn--r8jz45g.jp",
    "XN--R8JZ45G.JP",
    "日本.example",
    "日本。example",
    "日本．ＥＸＡＭＰＬＥ",
    "bücher.example",
    "Bücher.below.example",
    "ｉｎｔ.example",
    "int．example",
    "int。example",
    "int｡example",
    "İNT.example",
    "ıNT.example",
    "інт.example",
    "іnt.example",
    "\u212A.example",
    "ſub.example",
    "faß.example",
    "σςΣ.example",
    "xn--fa-hia.example",
    "☕.example",
    "😀.example",
    "in\u200dt.example",
    "in\u00adt.example",
    "in\u202et.example",
    "int\ufeff.example",
    "e\u0301.example",
    "\u0301e.example",
    "שלום.example",
    "a\u05e9.example",
    "١٢.example",
    "xn--.example",
    "xn--a.example",
    "xn--int-.example",
    "ab--c.example",
    "１２７.0.0.1",
    "user＠ext.example",
    "ext℀.example",
    "⒈.example",
    "①.example",
    "㋿.example",
    "Ⅷ.example",
    "[192.0.2.1]",
    "[127.0.0.1]",
    "[IPv6:::1]",
    "[ipv6:2001:DB8::0:1]",
    "[IPv6:::ffff:127.0.0.1]",
    "[]",
    "[127.1]",
    "[x:y]",
    "[192.0.2.1](@int.example",
    "[192.0.2.1",
    "[300.0.0.1]",
    "[IPv6:]",
    "127.0.0.1",
    "0x7f.1",
    "2130706433",
    "localhost",
    "localhost.",
    "int.example.",
    ".int.example",
    "int..example",
    "-int.example",
    "int-.example",
    "int_x.example",
    "",
    "example",
    "1.2.3.4a",
    "int.example(x)",
    "int.example@ext.example",
    "ext.example@int.example",
    "int.example>",
    "int .example",
    "int.example\t",
    "int\r\n.example",
    "int.example ",
};

static void gen_domain(struct dice *d, struct raw *r)
{
    switch (dice_below(d, 12)) {
    case 0:
        for (uint64_t n = 62 + dice_below(d, 3); n; n--)
            put_c(r, "d");
        put_c(r, ".example");
        return;
    case 1: /* up to and over 255 */
        for (uint64_t n = 1 + dice_below(d, 5); n; n--)
            put_c(r, "abcdefghijabcdefghijabcdefghijabcdefghijabcdefghi.");
        put_c(r, PICK(d, domains));
        return;
    case 2:
        put_c(r, PICK(d, letters));
        put_c(r, dice_below(d, 3) ? "." : PICK(d, odd));
        put_c(r, PICK(d, domains));
        return;
    case 3:
        put_c(r, PICK(d, domains));
        put_c(r, PICK(d, odd));
        put_c(r, PICK(d, domains));
        return;
    default:
        put_c(r, PICK(d, domains));
        return;
    }
}

/* What stands between the brackets. */
static void gen_path(struct dice *d, struct raw *r)
{
    r->len = 0;
    if (!dice_below(d, 10)) { /* ADDR-03 */
        for (uint64_t n = 1 + dice_below(d, 2); n; n--) {
            put_c(r, "@");
            put_c(r, dice_below(d, 3) ? "int.example" : PICK(d, domains));
            put_c(r, n > 1 ? "," : ":");
        }
    }
    if (!dice_below(d, 40)) { /* ADDR-04 */
        put_c(r, "user(x@int.example)@ext.example");
        return;
    }
    gen_local(d, r);
    if (dice_below(d, 30))
        put_c(r, "@");
    gen_domain(d, r);
}

/* ---- one address, all the way */

struct tally {
    uint64_t taken, refused, by_class[3], utf8, quoted, literal, idn, routed, by_session;
};

struct way {
    struct smtp_server server;
    struct buffer replies;
    struct tally tally;
    struct arena arena;
    uint64_t broken;
    bool utf8; /* the transaction of the session has SMTPUTF8 */
};

static void broken(struct way *w, struct str in, const char *why)
{
    if (w->broken++ < 20) {
        (void)fprintf(stderr, "seed %llu: %s: ", (unsigned long long)seed, why);
        for (size_t i = 0; i < in.len; i++)
            (void)fprintf(stderr, in.at[i] > ' ' && in.at[i] <= '~' ? "%c" : "\\x%02x",
                          (unsigned char)in.at[i]);
        (void)fputc('\n', stderr);
    }
}

/* The RCPT line that goes to the next hop. False: none. */
static bool client_line(struct str address, struct buffer *out)
{
    static const struct smtp_client_settings settings = {STR_INIT("gate.example"), false};
    struct smtp_client c;
    struct reply_seen reply;
    const struct smtp_target target = {address, STR(""), 0};
    const struct smtp_envelope e = {.sender = STR("s@int.example"),
                                    .envid = STR(""),
                                    .recipients = &target,
                                    .recipient_count = 1};
    struct str hello = STR("220 x\r\n");
    smtp_client_init(&c, &settings);
    (void)!smtp_client_feed(&c, &hello, out);
    hello = STR("250-x\r\n250-SMTPUTF8\r\n250 PIPELINING\r\n");
    (void)!smtp_client_feed(&c, &hello, out);
    buffer_clear(out);
    return smtp_client_start(&c, &e, &reply, out);
}

/* The address as it is read back from the envelope that was written down. */
static struct str stored(struct way *w, const struct address *a)
{
    struct recipient r = {.address = a->whole, .orcpt = STR(""), .rule = STR("")};
    struct message m = {.recipients = &r, .recipient_count = 1, .body_inline = true};
    struct str *const texts[] = {&m.organisation, &m.sender,     &m.user,  &m.client, &m.envid,
                                 &m.subject,      &m.message_id, &m.token, &m.prefix};
    for (size_t i = 0; i < countof(texts); i++)
        *texts[i] = STR("");
    struct buffer record;
    buffer_init(&record, 1 << 16);
    message_encode(&m, &record);
    struct message *back = message_decode(1, buffer_str(&record));
    buffer_drop(&record);
    if (!back || back->recipient_count != 1) {
        message_drop(&back);
        return STR("");
    }
    struct str copy = arena_copy(&w->arena, back->recipients[0].address);
    message_drop(&back);
    return copy;
}

/* What the two readers and ICU make of the address that came. */
static void compare_meaning(struct way *w, struct str in, const struct address *a,
                            const struct reading *wire)
{
    struct reading meant;
    char name[NAME_BYTES];
    size_t len;
    if (!reader_path(in, &meant)) {
        broken(w, in, "taken, but no mailbox");
        return;
    }
    if (meant.local_len != wire->local_len || memcmp(meant.local, wire->local, meant.local_len))
        broken(w, in, "another local part on the wire");
    struct str domain = str_from(meant.domain, meant.domain_len);
    if (a->literal)
        return;
    if (is_ascii(domain.at, domain.len)) {
        if (!str_eq_nocase(domain, a->domain))
            broken(w, in, "another domain on the wire");
    } else if (icu_domain(domain, name, &len) && !str_eq(str_from(name, len), a->domain)) {
        broken(w, in, "ICU knows another domain");
    }
}

static void count_kinds(struct tally *t, struct str in, const struct address *a,
                        enum recipient_class class)
{
    t->taken++;
    t->by_class[class]++;
    t->utf8 += a->utf8;
    t->quoted += a->local.at[0] == '"';
    t->literal += a->literal;
    t->idn += str_find_str(a->domain, STR("xn--")) != SIZE_MAX;
    t->routed += in.at[0] == '@';
}

static void check_taken(struct way *w, struct str in, const struct address *a)
{
    enum recipient_class class = organisation_class(organisation, a->domain);
    struct str kept = stored(w, a);
    struct facts facts = {.sender = STR("s@int.example"),
                          .client = STR("\x7f\0\0\1"),
                          .recipients = {&kept, 1}};
    const struct decide_input input = {.organisation = organisation, .facts = &facts};
    struct arena arena;
    arena_init(&arena, 1 << 16);
    const struct outcome *outcome = decide(&input, &arena);
    must(outcome);
    count_kinds(&w->tally, in, a, class);
    if (class != naive_class(a->domain) || (a->literal && class != CLASS_EXTERNAL))
        broken(w, in, "wrong class");
    if (outcome_of(outcome, 0)->class != class)
        broken(w, in, "the rules see another class");
    arena_drop(&arena);

    struct buffer line;
    buffer_init(&line, 1 << 16);
    if (!client_line(kept, &line))
        broken(w, in, "taken, but can't be sent");
    struct str wire = buffer_str(&line);
    size_t rcpt = str_find_str(wire, STR("RCPT TO:<"));
    wire = str_skip(wire, rcpt == SIZE_MAX ? wire.len : rcpt + 9);
    size_t end = wire.len > 3 ? wire.len - 3 : 0;
    if (!str_eq(str_skip(wire, end), STR(">\r\n")))
        broken(w, in, "no RCPT line");
    wire = str_head(wire, end);

    struct address again;
    struct reading read;
    if (address_parse(wire, ADDRESS_UTF8, &w->arena, &again) != ADDRESS_OK ||
        !str_eq(again.whole, a->whole) || !str_eq(again.domain, a->domain) ||
        !str_eq(again.local, a->local) || again.literal != a->literal || again.utf8 != a->utf8)
        broken(w, in, "the wire says another address");
    if (!is_ascii(wire.at, wire.len) != a->utf8)
        broken(w, in, "8-bit bytes that are not announced");
    if (!reader_mailbox(wire, &read) || !str_eq(str_from(read.domain, read.domain_len), a->domain))
        broken(w, in, "a second reader finds another domain");
    else
        compare_meaning(w, in, a, &read);
    buffer_drop(&line);
}

/* What is refused although it has a meaning: what nobody sees, and symbols (RFC 5892). */
static bool is_hidden_or_symbol(struct str in)
{
    static const char *const never[] = {"\u202e", "\u200b",   "\ufeff", "\u00ad",
                                        "\u200d", "\u2066",   "\u2028", "☕",
                                        "😀",      "\xc2\x85", "\x7f",   "\x1b[2J"};
    for (size_t i = 0; i < countof(never); i++)
        if (str_find_str(in, str_c(never[i])) != SIZE_MAX)
            return true;
    return false;
}

/* What the grammar allows is taken, within the limits. */
static void check_refused(struct way *w, struct str in, enum address_status status)
{
    struct reading meant;
    char name[NAME_BYTES];
    size_t len;
    w->tally.refused++;
    if (status == ADDRESS_LONG || !is_utf8(in) || !reader_path(in, &meant))
        return;
    if (is_ascii(in.at, in.len))
        broken(w, in, "refused, but a mailbox");
    else if (meant.domain[0] != '[' &&
             icu_domain(str_from(meant.domain, meant.domain_len), name, &len) &&
             reader_name(name, len) && !is_hidden_or_symbol(in))
        broken(w, in, "refused, but ICU knows the domain");
}

/* The session must say of "RCPT TO:<...>" what the parser says. */
static void check_session(struct way *w, struct str in)
{
    struct address a;
    enum address_status status;
    struct buffer line;
    struct smtp_server *s = &w->server;
    if (memchr(in.at, '\r', in.len) || memchr(in.at, '\n', in.len) || memchr(in.at, 0, in.len))
        return;
    buffer_init(&line, 1 << 16);
    buffer_clear(&w->replies);
    if (s->recipient_count == 0 || s->recipient_count >= TRANSACTION) {
        w->utf8 = !w->utf8;
        buffer_printf(&line, "RSET\r\nMAIL FROM:<>%s\r\n", w->utf8 ? " SMTPUTF8" : "");
    }
    buffer_printf(&line, "RCPT TO:<%.*s>\r\n", STR_ARG(in));
    struct str bytes = buffer_str(&line);
    bool taken = false;
    status = address_parse(in, w->utf8 ? ADDRESS_UTF8 : 0, &w->arena, &a);
    enum smtp_server_event event;
    while ((event = smtp_server_feed(s, &bytes, &w->replies)) != SMTP_SERVER_MORE) {
        if (event == SMTP_SERVER_MAIL) {
            smtp_server_settle(s, REPLY_250_SENDER, STR(""), &w->replies);
            continue;
        }
        if (event != SMTP_SERVER_RCPT) {
            broken(w, in, "an event that is none of RCPT");
            break;
        }
        taken = true;
        if (!str_eq(s->recipients[s->recipient_count - 1].address.whole, a.whole))
            broken(w, in, "the session took another address");
        smtp_server_settle(s, REPLY_250_RECIPIENT, STR(""), &w->replies);
    }
    w->tally.by_session += taken;
    if (taken != (status == ADDRESS_OK))
        broken(w, in, "the session and the parser differ");
    buffer_drop(&line);
}

/* A path that holds '>' unquoted ends there, so the session sees another one. */
static bool is_one_path(struct str in)
{
    char text[RAW_BYTES + 2];
    text[0] = '<';
    memcpy(text + 1, in.at, in.len);
    text[in.len + 1] = '>';
    struct str all = str_from(text, in.len + 2), path;
    return address_cut_path(&all, &path) && all.len == 0;
}

static void walk(struct way *w, struct str in)
{
    struct address a, plain;
    enum address_status status = address_parse(in, ADDRESS_UTF8, &w->arena, &a);
    enum address_status ascii = address_parse(in, 0, &w->arena, &plain);
    if (status == ADDRESS_OK)
        check_taken(w, in, &a);
    else
        check_refused(w, in, status);
    if (is_ascii(in.at, in.len) ? ascii != status : ascii == ADDRESS_OK)
        broken(w, in, "SMTPUTF8 decides what it must not");
    if (is_one_path(in) && in.len && !str_eq_nocase(in, STR("postmaster")))
        check_session(w, in);
}

static void test_generated(void)
{
    static struct way w;
    static struct raw raw;
    const struct smtp_server_settings settings = {
        .hostname = STR("gate.example"),
        .message_bytes_max = 1 << 20,
        .recipients_max = TRANSACTION,
        .errors_max = UINT32_MAX,
        .service = SMTP_RELAY,
    };
    struct dice dice = {seed * 2 + 1};
    struct str hello = STR("EHLO src.example\r\n");
    arena_init(&w.arena, 1 << 20);
    buffer_init(&w.replies, 1 << 16);
    smtp_server_init(&w.server, &settings, false);
    CU_ASSERT(smtp_server_feed(&w.server, &hello, &w.replies) == SMTP_SERVER_MORE);
    for (uint64_t n = 0; n < wanted; n++) {
        gen_path(&dice, &raw);
        walk(&w, str_from(raw.at, raw.len));
        arena_reset(&w.arena);
    }
    const struct tally *t = &w.tally;
    (void)printf(
        "seed %llu: %llu addresses, %llu taken (%llu internal, %llu affiliate, %llu "
        "external; %llu UTF-8, %llu quoted, %llu literals, %llu IDN, %llu routed), %llu by "
        "the session\n",
        (unsigned long long)seed, (unsigned long long)(t->taken + t->refused),
        (unsigned long long)t->taken, (unsigned long long)t->by_class[CLASS_INTERNAL],
        (unsigned long long)t->by_class[CLASS_AFFILIATE],
        (unsigned long long)t->by_class[CLASS_EXTERNAL], (unsigned long long)t->utf8,
        (unsigned long long)t->quoted, (unsigned long long)t->literal, (unsigned long long)t->idn,
        (unsigned long long)t->routed, (unsigned long long)t->by_session);
    expect(w.broken == 0, "%llu broken", (unsigned long long)w.broken);
    const uint64_t kinds[] = {t->refused, t->by_class[0], t->by_class[1], t->by_class[2],
                              t->utf8,    t->quoted,      t->literal,     t->idn,
                              t->routed,  t->by_session};
    for (size_t i = 0; i < countof(kinds);
         i++) /* a generator that makes none of a kind proves nothing */
        expect(kinds[i] >= wanted / 500, "kind %zu: only %llu", i, (unsigned long long)kinds[i]);
    smtp_server_drop(&w.server);
    buffer_drop(&w.replies);
    arena_drop(&w.arena);
}

int main(int argc, char **argv)
{
    if (argc > 1)
        seed = strtoull(argv[1], NULL, 0);
    if (argc > 2)
        wanted = strtoull(argv[2], NULL, 0);
    UErrorCode error = U_ZERO_ERROR;
    idna = uidna_openUTS46(UIDNA_NONTRANSITIONAL_TO_ASCII | UIDNA_CHECK_BIDI |
                               UIDNA_CHECK_CONTEXTJ | UIDNA_USE_STD3_RULES,
                           &error);
    struct buffer errors;
    buffer_init(&errors, 1 << 16);
    organisation = rulefile_read(str_c(policy), "policy", NULL, &errors);
    if (U_FAILURE(error) || !organisation) {
        (void)fprintf(stderr, "%.*s\n", STR_ARG(buffer_str(&errors)));
        return 2;
    }
    const struct test tests[] = {
        {"ADDR-01, 02, 03, 04, 05, 06, 09, 11, 12, 13, 14, 16, 17, 18, 24: classified is sent",
         test_generated},
        {NULL, NULL},
    };
    int status = harness_run("address_oracle", tests);
    organisation_drop(&organisation);
    uidna_close(idna);
    buffer_drop(&errors);
    return status;
}
