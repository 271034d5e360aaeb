#include "core/io/answer.h"

#include "core/base/base.h"
#include "core/base/random.h"
#include "tests/unit/harness.h"

#include <stdlib.h>

/* A header and the question "example.jp MX" at 12; the name is 12 bytes, records start at 28. */
#define HEAD(answers) "\x12\x34\x81\x80\0\1\0" answers "\0\0\0\0"
#define QUESTION      "\7example\2jp\0\0\17\0\1"
#define MX_HEAD(len)  "\xc0\x0c\0\17\0\1\0\0\0\74\0" len

static const struct {
    const char *name;
    struct str message;
    bool opens, broken;
    int good;         /* MX records that can be read */
    const char *last; /* exchanger of the last good one */
} rows[] = {
    {"one", STR_INIT(HEAD("\1") QUESTION MX_HEAD("\7") "\0\12\2mx\xc0\x0c"), true, false, 1,
     "mx.example.jp"},
    {"upper case", STR_INIT(HEAD("\1") QUESTION MX_HEAD("\7") "\0\12\2MX\xc0\x0c"), true, false, 1,
     "mx.example.jp"},
    {"the root", STR_INIT(HEAD("\1") QUESTION MX_HEAD("\3") "\0\0\0"), true, false, 1, ""},
    {"not a host name", STR_INIT(HEAD("\1") QUESTION MX_HEAD("\6") "\0\12\2\r\n\0"), true, false, 1,
     "??"},
    {"OUT-15 no data", STR_INIT(HEAD("\1") QUESTION MX_HEAD("\0")), true, false, 0, NULL},
    {"OUT-15 half a preference", STR_INIT(HEAD("\1") QUESTION MX_HEAD("\1") "\0"), true, false, 0,
     NULL},
    {"OUT-15 no exchanger", STR_INIT(HEAD("\1") QUESTION MX_HEAD("\2") "\0\12"), true, false, 0,
     NULL},
    {"OUT-15 label longer than the record",
     STR_INIT(HEAD("\2") QUESTION MX_HEAD("\4") "\0\12\77a" MX_HEAD("\7") "\0\12\2mx\xc0\x0c"),
     true, false, 1, "mx.example.jp"},
    {"OUT-15 name without end", STR_INIT(HEAD("\1") QUESTION MX_HEAD("\4") "\0\12\1a"), true, false,
     0, NULL},
    {"OUT-15 bytes after the name", STR_INIT(HEAD("\1") QUESTION MX_HEAD("\4") "\0\12\0a"), true,
     false, 0, NULL},
    {"OUT-15 pointer to itself", STR_INIT(HEAD("\1") QUESTION MX_HEAD("\4") "\0\12\xc0\x2a"), true,
     false, 0, NULL},
    {"OUT-15 two names in a circle",
     STR_INIT(HEAD("\1") QUESTION MX_HEAD("\10") "\0\12\1a\xc0\x2d\xc0\x2a"), true, false, 0, NULL},
    {"OUT-15 pointer forward", STR_INIT(HEAD("\1") QUESTION MX_HEAD("\4") "\0\12\xc0\x2c"), true,
     false, 0, NULL},
    {"OUT-15 pointer beyond the message",
     STR_INIT(HEAD("\1") QUESTION MX_HEAD("\4") "\0\12\xff\xff"), true, false, 0, NULL},
    {"OUT-15 half a pointer", STR_INIT(HEAD("\1") QUESTION MX_HEAD("\3") "\0\12\xc0"), true, false,
     0, NULL},
    {"OUT-15 reserved label type", STR_INIT(HEAD("\1") QUESTION MX_HEAD("\4") "\0\12\x80\0"), true,
     false, 0, NULL},
    {"OUT-15 record longer than the message",
     STR_INIT(HEAD("\1") QUESTION MX_HEAD("\x40") "\0\12\2mx\xc0\x0c"), true, true, 0, NULL},
    {"OUT-15 more records than there are",
     STR_INIT(HEAD("\3") QUESTION MX_HEAD("\7") "\0\12\2mx\xc0\x0c"), true, true, 1,
     "mx.example.jp"},
    {"another class",
     STR_INIT(HEAD("\1") QUESTION "\xc0\x0c\0\17\0\3\0\0\0\74\0\7\0\12\2mx\xc0\x0c"), true, false,
     0, NULL},
    {"no question", STR_INIT("\x12\x34\x81\x80\0\0\0\0\0\0\0\0"), true, false, 0, NULL},
    {"half a header", STR_INIT("\x12\x34\x81\x80\0\1"), false, false, 0, NULL},
    {"nothing", STR_INIT(""), false, false, 0, NULL},
};

/* A copy that ends where its memory ends, so that the sanitizer sees a step beyond. */
static char *exact(struct str s)
{
    char *at = malloc(s.len ? s.len : 1);
    must(at != NULL);
    memcpy(at, s.at, s.len);
    return at;
}

static int read_all(struct str message, bool *opens, bool *broken, struct dns_name *last)
{
    char *copy = exact(message);
    struct answer a;
    struct answer_record r;
    int good = 0;
    *opens = answer_open(&a, str_from(copy, message.len));
    while (*opens && answer_next(&a, &r)) {
        uint16_t preference;
        struct dns_name name;
        if (r.type == DNS_TYPE_MX && answer_mx(&a, &r, &preference, &name)) {
            good++;
            *last = name;
        }
    }
    *broken = a.broken;
    free(copy);
    return good;
}

static void test_rows(void)
{
    for (size_t i = 0; i < countof(rows); i++) {
        bool opens, broken;
        struct dns_name last = {.at = ""};
        int good = read_all(rows[i].message, &opens, &broken, &last);
        expect(opens == rows[i].opens && broken == rows[i].broken, "%s", rows[i].name);
        expect(good == rows[i].good, "%s: %d good", rows[i].name, good);
        if (rows[i].last)
            expect_str(str_c(last.at), str_c(rows[i].last), rows[i].name);
        expect(last.is_host == (rows[i].last && rows[i].last[0] != '?'), "%s", rows[i].name);
    }
}

static void test_cut(void)
{
    for (size_t i = 0; i < countof(rows); i++)
        for (size_t len = 0; len < rows[i].message.len; len++) {
            bool opens, broken;
            struct dns_name last;
            int good = read_all(str_head(rows[i].message, len), &opens, &broken, &last);
            expect(good <= rows[i].good, "%s cut at %zu", rows[i].name, len);
        }
}

static void test_changed(void)
{
    for (int round = 0; round < 20000; round++) {
        struct str from = rows[random_below(countof(rows))].message;
        char bytes[128];
        must(from.len <= sizeof bytes);
        memcpy(bytes, from.at, from.len);
        for (uint64_t changes = random_below(4); changes && from.len; changes--)
            bytes[random_below(from.len)] = (char)random_below(256);
        bool opens, broken;
        struct dns_name last = {.at = ""};
        (void)read_all(str_from(bytes, from.len), &opens, &broken, &last);
        expect(memchr(last.at, '\0', sizeof last.at) != NULL, "ends");
    }
}

/* 64 KiB of records whose names all point to the longest chain: linear, and done at once. */
static void test_long(void)
{
    struct buffer b;
    buffer_init(&b, 1 << 16);
    buffer_put(&b, BYTES("\x12\x34\x81\x80\0\0\xff\xff\0\0\0\0"));
    size_t previous = b.len;
    buffer_put(&b, BYTES("\1a\0\0\20\0\1\0\0\0\0\0\0"));
    while (b.len + 14 < b.max) {
        size_t at = b.len;
        buffer_put(&b, BYTES("\1a"));
        buffer_put16(&b, (uint16_t)(0xc000 | (previous & 0x3fff)));
        buffer_put(&b, BYTES("\0\20\0\1\0\0\0\0\0\0"));
        if (at < 0x4000)
            previous = at;
    }
    bool opens, broken;
    struct dns_name last;
    expect(read_all(buffer_str(&b), &opens, &broken, &last) == 0 && opens && broken,
           "a name over 253 bytes ends it");
    buffer_drop(&b);
}

int main(void)
{
    const struct test tests[] = {
        {"OUT-15 rows", test_rows},
        {"OUT-15 cut at every byte", test_cut},
        {"OUT-15 changed bytes", test_changed},
        {"OUT-15 64 KiB of pointers", test_long},
        {0},
    };
    return harness_run("answer", tests);
}
