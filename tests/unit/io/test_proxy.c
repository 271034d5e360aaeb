#include "core/io/proxy.h"

#include "core/base/base.h"
#include "tests/unit/harness.h"

#include <arpa/inet.h>

#define SIGNATURE "\r\n\r\n\0\r\nQUIT\n"
/* 192.0.2.1 to 198.51.100.2, port 25 */
#define FOUR "\xc0\x00\x02\x01\xc6\x33\x64\x02\x12\x34\x00\x19"
#define SIX                                                                \
    "\x20\x01\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\x01\x20\x01\x0d\xb8\0\0\0\0\0" \
    "\0\0\0\0\0\0\x02\x12\x34\x00\x19"
#define MAPPED                                                                 \
    "\0\0\0\0\0\0\0\0\0\0\xff\xff\xc0\x00\x02\x09\0\0\0\0\0\0\0\0\0\0\xff\xff" \
    "\xc6\x33\x64\x02\x12\x34\x00\x19"
#define TLV "\x04\x00\x04\x01\x02\x03\x04" /* NOOP, 4 bytes */

static const struct {
    const char *name;
    struct str in;
    enum proxy_status want;
    size_t left;        /* behind the header, or from the byte on that is wrong */
    const char *source; /* "": the header says LOCAL */
} rows[] = {
    {"TCP4", STR_INIT(SIGNATURE "\x21\x11\x00\x0c" FOUR), PROXY_DONE, 0, "192.0.2.1"},
    {"TCP6", STR_INIT(SIGNATURE "\x21\x21\x00\x24" SIX), PROXY_DONE, 0, "2001:db8::1"},
    {"TCP6 of a mapped address is IPv4", STR_INIT(SIGNATURE "\x21\x21\x00\x24" MAPPED), PROXY_DONE,
     0, "192.0.2.9"},
    {"what is behind the header stays", STR_INIT(SIGNATURE "\x21\x11\x00\x0c" FOUR "EHLO"),
     PROXY_DONE, 4, "192.0.2.1"},
    {"TLVs are skipped", STR_INIT(SIGNATURE "\x21\x11\x00\x13" FOUR TLV "E"), PROXY_DONE, 1,
     "192.0.2.1"},
    {"TLVs behind TCP6", STR_INIT(SIGNATURE "\x21\x21\x00\x2b" SIX TLV "E"), PROXY_DONE, 1,
     "2001:db8::1"},
    {"a TLV that says it is longer ends with the header",
     STR_INIT(SIGNATURE "\x21\x11\x00\x0f" FOUR "\x04\xff\xff"
                        "E"),
     PROXY_DONE, 1, "192.0.2.1"},
    {"LOCAL", STR_INIT(SIGNATURE "\x20\x00\x00\x00"), PROXY_DONE, 0, ""},
    {"LOCAL with an address, which is ignored", STR_INIT(SIGNATURE "\x20\x11\x00\x0c" FOUR "EHLO"),
     PROXY_DONE, 4, ""},
    {"LOCAL of any family", STR_INIT(SIGNATURE "\x20\xee\x00\x03xyz"), PROXY_DONE, 0, ""},
    {"incomplete", STR_INIT(SIGNATURE "\x21\x11\x00\x0c\xc0\x00\x02"), PROXY_MORE, 0, NULL},
    {"incomplete TLVs", STR_INIT(SIGNATURE "\x21\x11\x00\x0d" FOUR), PROXY_MORE, 0, NULL},
    {"REL-05 no header", STR_INIT("EHLO x\r\n"), PROXY_BAD, 7, NULL},
    {"REL-05 a TLS client hello", STR_INIT("\x16\x03\x01\x02\x00"), PROXY_BAD, 4, NULL},
    {"REL-05 version 1", STR_INIT("PROXY TCP4 1.2.3.4 5.6.7.8 9 25\r\n"), PROXY_BAD, 32, NULL},
    {"REL-05 signature wrong at its end", STR_INIT("\r\n\r\n\0\r\nQUIT\r\x21"), PROXY_BAD, 1, NULL},
    {"REL-05 version 1 in the binary form", STR_INIT(SIGNATURE "\x11\x11\x00\x0c" FOUR), PROXY_BAD,
     15, NULL},
    {"REL-05 version 3", STR_INIT(SIGNATURE "\x31\x11\x00\x0c" FOUR), PROXY_BAD, 15, NULL},
    {"REL-05 command 2", STR_INIT(SIGNATURE "\x22\x11\x00\x0c" FOUR), PROXY_BAD, 15, NULL},
    {"REL-05 a PROXY of unknown family", STR_INIT(SIGNATURE "\x21\x00\x00\x0c" FOUR), PROXY_BAD, 14,
     NULL},
    {"REL-05 UDP", STR_INIT(SIGNATURE "\x21\x12\x00\x0c" FOUR), PROXY_BAD, 14, NULL},
    {"REL-05 a Unix socket", STR_INIT(SIGNATURE "\x21\x31\x00\x00"), PROXY_BAD, 2, NULL},
    {"REL-05 TCP4 without an address", STR_INIT(SIGNATURE "\x21\x11\x00\x00" FOUR), PROXY_BAD, 12,
     NULL},
    {"REL-05 TCP4, one byte short", STR_INIT(SIGNATURE "\x21\x11\x00\x0b" FOUR), PROXY_BAD, 12,
     NULL},
    {"REL-05 TCP6 with addresses of TCP4", STR_INIT(SIGNATURE "\x21\x21\x00\x0c" FOUR), PROXY_BAD,
     12, NULL},
    {"REL-05 64 KiB of TLVs", STR_INIT(SIGNATURE "\x21\x11\xff\xff" FOUR), PROXY_BAD, 12, NULL},
    {"REL-05 one byte over the bound", STR_INIT(SIGNATURE "\x21\x11\x10\x01" FOUR), PROXY_BAD, 12,
     NULL},
    {"at the bound", STR_INIT(SIGNATURE "\x21\x11\x10\x00" FOUR), PROXY_MORE, 0, NULL},
};

static void check_source(const struct proxy *p, const char *name, const char *want)
{
    uint8_t at[16];
    char text[INET6_ADDRSTRLEN] = "";
    size_t bytes = proxy_source(p, at);
    if (bytes)
        (void)inet_ntop(bytes == 4 ? AF_INET : AF_INET6, at, text, sizeof text);
    expect_str(str_c(text), str_c(want), name);
}

/* Once decided it stays so: what comes later is the session's. */
static void test_rows(void)
{
    for (size_t i = 0; i < countof(rows); i++)
        for (size_t split = 0; split <= rows[i].in.len; split++) {
            struct proxy p = {0};
            enum proxy_status status = PROXY_MORE;
            struct str piece;
            size_t at = 0, left = 0;
            while (harness_piece(rows[i].in, split, &at, &piece)) {
                if (status == PROXY_MORE)
                    status = proxy_feed(&p, &piece);
                left += piece.len;
            }
            expect(status == rows[i].want, "%s, split %zu: %u", rows[i].name, split,
                   (unsigned)status);
            expect(left == rows[i].left, "%s, split %zu: %zu left", rows[i].name, split, left);
            if (rows[i].source)
                check_source(&p, rows[i].name, rows[i].source);
        }
}

static void test_after_the_end(void)
{
    struct proxy p = {0};
    struct str in = STR(SIGNATURE "\x21\x11\x00\x0c" FOUR), more = STR(SIGNATURE);
    CU_ASSERT(proxy_feed(&p, &in) == PROXY_DONE && in.len == 0);
    CU_ASSERT(proxy_feed(&p, &more) == PROXY_DONE && more.len == 12);
    struct proxy bad = {0};
    in = STR("x");
    CU_ASSERT(proxy_feed(&bad, &in) == PROXY_BAD);
    in = STR(SIGNATURE "\x20\x00\x00\x00");
    CU_ASSERT(proxy_feed(&bad, &in) == PROXY_BAD && in.len == 16);
}

/* As long as a header may be, byte by byte. */
static void test_longest(void)
{
    struct proxy p = {0};
    struct str in = STR(SIGNATURE "\x21\x11\x10\x00" FOUR), tlv = STR("x");
    enum proxy_status status = proxy_feed(&p, &in);
    size_t count = 0;
    for (; status == PROXY_MORE; count++, tlv = STR("x"))
        status = proxy_feed(&p, &tlv);
    CU_ASSERT(status == PROXY_DONE && count == PROXY_REST_BYTES_MAX - 12);
    check_source(&p, "longest", "192.0.2.1");
}

int main(void)
{
    const struct test tests[] = {
        {"headers, split at every byte", test_rows},
        {"after the end", test_after_the_end},
        {"the longest", test_longest},
        {0},
    };
    return harness_run("proxy", tests);
}
