/* crc.c -- CRC-32C three ways.
 *
 * The instruction has a latency of three cycles and can start every cycle, so that long input is
 * cut into three lanes that run at once; their checksums are joined by shifting over the length of
 * a lane, which is a multiplication in GF(2) done by four look-ups. Tables are made at the first
 * use; making them twice at the same time writes the same values. */
#include "core/base/crc.h"

#include <stdatomic.h>

#if defined(__x86_64__)
#include <nmmintrin.h>
#endif

enum {
    POLYNOMIAL_REFLECTED = (int)0x82f63b78,
    LANE_BYTES = 1344
};

static uint32_t bytes_table[8][256];
static uint32_t shift_table[4][256]; /* over LANE_BYTES zero bytes */
static atomic_int ready;

static void make_bytes_table(void)
{
    for (uint32_t n = 0; n < 256; n++) {
        uint32_t crc = n;
        for (int bit = 0; bit < 8; bit++)
            crc = crc & 1 ? crc >> 1 ^ (uint32_t)POLYNOMIAL_REFLECTED : crc >> 1;
        bytes_table[0][n] = crc;
    }
    for (uint32_t n = 0; n < 256; n++)
        for (int k = 1; k < 8; k++)
            bytes_table[k][n] =
                bytes_table[0][bytes_table[k - 1][n] & 0xff] ^ bytes_table[k - 1][n] >> 8;
}

static uint32_t shift_lane_slow(uint32_t crc)
{
    for (int i = 0; i < LANE_BYTES; i++)
        crc = crc >> 8 ^ bytes_table[0][crc & 0xff];
    return crc;
}

static void make_shift_table(void)
{
    /* linear: the 32 single bits are enough, the rest are sums */
    uint32_t basis[32];
    for (int bit = 0; bit < 32; bit++)
        basis[bit] = shift_lane_slow(1u << bit);
    for (int k = 0; k < 4; k++)
        for (uint32_t n = 0; n < 256; n++) {
            uint32_t sum = 0;
            for (int bit = 0; bit < 8; bit++)
                sum ^= n >> bit & 1 ? basis[k * 8 + bit] : 0;
            shift_table[k][n] = sum;
        }
}

/* 1: by table, 2: by instruction */
static int prepare(void)
{
    make_bytes_table();
    make_shift_table();
    int how = 1;
#if defined(__x86_64__)
    if (__builtin_cpu_supports("sse4.2"))
        how = 2;
#endif
    atomic_store_explicit(&ready, how, memory_order_release);
    return how;
}

static int method(void)
{
    int how = atomic_load_explicit(&ready, memory_order_acquire);
    return how ? how : prepare();
}

static uint64_t word_at(const char *at)
{
    uint64_t v;
    memcpy(&v, at, sizeof v);
    return v;
}

uint32_t crc32c_table(uint32_t crc, struct str s)
{
    (void)method();
    crc = ~crc;
    const char *at = s.at;
    size_t len = s.len;
    for (; len >= 8; len -= 8, at += 8) {
        uint64_t w = word_at(at) ^ crc;
        crc = bytes_table[7][w & 0xff] ^ bytes_table[6][w >> 8 & 0xff] ^
              bytes_table[5][w >> 16 & 0xff] ^ bytes_table[4][w >> 24 & 0xff] ^
              bytes_table[3][w >> 32 & 0xff] ^ bytes_table[2][w >> 40 & 0xff] ^
              bytes_table[1][w >> 48 & 0xff] ^ bytes_table[0][w >> 56];
    }
    for (; len; len--, at++)
        crc = crc >> 8 ^ bytes_table[0][(crc ^ (uint8_t)*at) & 0xff];
    return ~crc;
}

#if defined(__x86_64__)
static uint32_t shift_lane(uint32_t crc)
{
    return shift_table[0][crc & 0xff] ^ shift_table[1][crc >> 8 & 0xff] ^
           shift_table[2][crc >> 16 & 0xff] ^ shift_table[3][crc >> 24];
}

__attribute__((target("sse4.2"))) static uint32_t crc32c_instruction(uint32_t start, struct str s)
{
    uint64_t crc = ~start;
    const char *at = s.at;
    size_t len = s.len;
    for (; len >= (size_t)3 * LANE_BYTES; len -= (size_t)3 * LANE_BYTES, at += 3 * LANE_BYTES) {
        uint64_t second = 0, third = 0;
        for (size_t i = 0; i < LANE_BYTES; i += 8) {
            crc = _mm_crc32_u64(crc, word_at(at + i));
            second = _mm_crc32_u64(second, word_at(at + LANE_BYTES + i));
            third = _mm_crc32_u64(third, word_at(at + (size_t)2 * LANE_BYTES + i));
        }
        crc = shift_lane((uint32_t)crc) ^ (uint32_t)second;
        crc = shift_lane((uint32_t)crc) ^ (uint32_t)third;
    }
    for (; len >= 8; len -= 8, at += 8)
        crc = _mm_crc32_u64(crc, word_at(at));
    for (; len; len--, at++)
        crc = _mm_crc32_u8((uint32_t)crc, (uint8_t)*at);
    return ~(uint32_t)crc;
}
#endif

uint32_t crc32c(uint32_t crc, struct str s)
{
#if defined(__x86_64__)
    if (method() == 2)
        return crc32c_instruction(crc, s);
#endif
    return crc32c_table(crc, s);
}
