/* Both directions walk the same way: scan_clean() runs over text in which every LF follows a CR,
 * every CR is followed by a LF, no NUL stands, and no line begins with a dot. Only what it stops
 * at is looked at byte by byte. */
#include "core/mail/body.h"

#include <emmintrin.h>

enum {
    BLOCK = 64
};

struct marks { /* a bit a byte, the first byte lowest */
    uint64_t cr, lf, nul, dot, high;
};

static uint64_t bits_of(__m128i v, char c, unsigned lane)
{
    unsigned hits = (unsigned)_mm_movemask_epi8(_mm_cmpeq_epi8(v, _mm_set1_epi8(c)));
    return (uint64_t)hits << (16 * lane);
}

static inline struct marks mark_block(const char *at)
{
    struct marks m = {0, 0, 0, 0, 0};
    for (unsigned lane = 0; lane < BLOCK / 16; lane++) {
        __m128i v = _mm_loadu_si128((const void *)(at + (size_t)16 * lane));
        m.cr |= bits_of(v, '\r', lane);
        m.lf |= bits_of(v, '\n', lane);
        m.nul |= bits_of(v, '\0', lane);
        m.dot |= bits_of(v, '.', lane);
        m.high |= (uint64_t)(unsigned)_mm_movemask_epi8(v) << (16 * lane);
    }
    return m;
}

static void count_lines(struct body_scan *s, uint64_t lf)
{
    if (!lf) {
        s->line += BLOCK;
        return;
    }
    /* bytes before the LF, with the CR; lines inside a block are shorter than any limit */
    if (s->line + (size_t)__builtin_ctzll(lf) > LIMIT_TEXT_LINE_BYTES + 1)
        s->long_line = true;
    s->line = (size_t)__builtin_clzll(lf);
}

/* How many bytes from `at`, in whole blocks, are clean. Only from START, TEXT and CR. */
static size_t scan_clean(struct body_scan *s, const char *at, size_t len)
{
    size_t done = 0;
    for (; len - done >= BLOCK; done += BLOCK) {
        struct marks m = mark_block(at + done);
        uint64_t lf_due = m.cr << 1 | (s->at == BODY_AT_CR);
        uint64_t starts = m.lf << 1 | (s->at == BODY_AT_START);
        if (m.lf != lf_due || m.nul || (m.dot & starts))
            break;
        s->eight_bit |= m.high != 0;
        count_lines(s, m.lf);
        s->at = m.cr >> 63 ? BODY_AT_CR : m.lf >> 63 ? BODY_AT_START : BODY_AT_TEXT;
    }
    return done;
}

/* One byte that is content; what is wrong with it, or BODY_IN_MORE. START, TEXT and CR. */
static enum body_in_status scan_byte(struct body_scan *s, char c)
{
    bool cr = s->at == BODY_AT_CR;
    s->at = BODY_AT_TEXT;
    if (c == '\n' && cr) {
        s->long_line |= s->line > LIMIT_TEXT_LINE_BYTES + 1;
        s->line = 0;
        s->at = BODY_AT_START;
        return BODY_IN_MORE;
    }
    s->line++;
    s->eight_bit |= (unsigned char)c > 0x7F;
    if (c == '\r')
        s->at = BODY_AT_CR;
    if (cr)
        return BODY_IN_BARE_CR;
    return c == '\n' ? BODY_IN_BARE_LF : c == '\0' ? BODY_IN_NUL : BODY_IN_MORE;
}

/* ---- in */

void body_in_init(struct body_in *b)
{
    *b = (struct body_in){.scan.at = BODY_AT_START};
}

enum step {
    STEP_CONTENT, /* the byte is content */
    STEP_DROP,    /* it is not: the dot, or the end's CR */
    STEP_END,
    STEP_FAULT, /* first one of this mail */
};

static enum step fault(struct body_in *b, enum body_in_status why)
{
    if (b->fault != BODY_IN_MORE || why == BODY_IN_MORE)
        return STEP_CONTENT;
    b->fault = why;
    return STEP_FAULT;
}

static enum step step(struct body_in *b, char c)
{
    struct body_scan *s = &b->scan;
    if (s->at == BODY_AT_START && c == '.') {
        s->at = BODY_AT_DOT;
        return STEP_DROP;
    }
    if (s->at == BODY_AT_DOT && c == '\r') {
        s->at = BODY_AT_DOT_CR;
        return STEP_DROP;
    }
    if (s->at == BODY_AT_DOT_CR && c == '\n')
        return STEP_END;
    if (s->at == BODY_AT_DOT_CR)
        s->at = BODY_AT_CR; /* and scan_byte() finds that CR bare */
    else if (s->at == BODY_AT_DOT)
        s->at = BODY_AT_TEXT;
    return fault(b, scan_byte(s, c));
}

static enum body_in_status verdict(struct body_in *b)
{
    b->ended = true;
    if (b->fault == BODY_IN_MORE && b->scan.long_line)
        b->fault = BODY_IN_LINE_TOO_LONG;
    return b->fault == BODY_IN_MORE ? BODY_IN_DONE : b->fault;
}

/* Where the run that begins at `in` ends: the bytes of it, and the step that ended it. */
static size_t find_run(struct body_in *b, struct str in, enum step *why)
{
    size_t run = 0;
    *why = STEP_CONTENT;
    while (run < in.len) {
        enum body_at at = b->scan.at;
        if (at <= BODY_AT_CR)
            run += scan_clean(&b->scan, in.at + run, in.len - run);
        /* the block that is not clean, bytewise; a dot behind a run waits for the next call */
        for (size_t end = size_min(run + BLOCK, in.len); run < end; run++) {
            if (run && b->scan.at == BODY_AT_START && in.at[run] == '.')
                return run;
            *why = step(b, in.at[run]);
            if (*why != STEP_CONTENT)
                return run;
        }
    }
    return run;
}

enum body_in_status body_in_feed(struct body_in *b, struct str *in, struct str *out)
{
    must(!b->ended);
    while (in->len) {
        enum step why;
        size_t run = find_run(b, *in, &why);
        *out = str_head(*in, run);
        *in = str_skip(*in, why == STEP_CONTENT ? run : run + 1);
        if (why != STEP_CONTENT)
            *out = str_from("", 0);
        if (why == STEP_FAULT)
            return b->fault;
        if (why == STEP_END)
            return verdict(b);
        if (run && b->fault == BODY_IN_MORE)
            return BODY_IN_DATA;
    }
    *out = str_from("", 0);
    return BODY_IN_MORE;
}

/* ---- chunks */

void body_chunk_init(struct body_chunk *b)
{
    *b = (struct body_chunk){.scan.at = BODY_AT_START};
}

/* The clean bytes at the beginning of `in`; a fault is noted. */
static size_t scan_run(struct body_chunk *b, struct str in)
{
    size_t run = 0;
    while (run < in.len) {
        run += scan_clean(&b->scan, in.at + run, in.len - run);
        for (size_t end = size_min(run + BLOCK, in.len); run < end; run++) {
            b->fault = scan_byte(&b->scan, in.at[run]);
            if (b->fault != BODY_IN_MORE)
                return run;
        }
    }
    return run;
}

enum body_in_status body_chunk_feed(struct body_chunk *b, struct str *in, struct str *out)
{
    *out = str_from("", 0);
    if (b->left == 0)
        return BODY_IN_DONE;
    if (in->len == 0)
        return BODY_IN_MORE;
    struct str mine = str_head(*in, (size_t)u64_min(in->len, b->left));
    *in = str_skip(*in, mine.len);
    b->left -= mine.len;
    if (b->fault != BODY_IN_MORE)
        return b->left ? BODY_IN_MORE : BODY_IN_DONE;
    size_t run = scan_run(b, mine);
    if (b->fault != BODY_IN_MORE)
        return b->fault;
    *out = str_head(mine, run);
    return BODY_IN_DATA;
}

enum body_in_status body_chunk_end(struct body_chunk *b, struct str *out)
{
    *out = str_from("", 0);
    if (b->fault == BODY_IN_MORE && b->scan.at == BODY_AT_CR)
        b->fault = BODY_IN_BARE_CR;
    if (b->fault == BODY_IN_MORE && b->scan.at == BODY_AT_TEXT) {
        b->scan.long_line |= b->scan.line > LIMIT_TEXT_LINE_BYTES;
        *out = str_from("\r\n", 2);
    }
    if (b->fault == BODY_IN_MORE && b->scan.long_line)
        b->fault = BODY_IN_LINE_TOO_LONG;
    return b->fault == BODY_IN_MORE ? BODY_IN_DONE : b->fault;
}

/* ---- out */

void body_out_init(struct body_out *o)
{
    *o = (struct body_out){.scan.at = BODY_AT_START};
}

bool body_out_feed(struct body_out *o, struct str in, struct buffer *out)
{
    struct body_scan *s = &o->scan;
    size_t written = 0, at = 0;
    while (at < in.len && !o->failed) {
        at += scan_clean(s, in.at + at, in.len - at);
        for (size_t end = size_min(at + BLOCK, in.len); at < end && !o->failed; at++) {
            if (s->at == BODY_AT_START && in.at[at] == '.') {
                buffer_put(out, str_from(in.at + written, at - written));
                buffer_putc(out, '.');
                written = at;
            }
            o->failed = scan_byte(s, in.at[at]) != BODY_IN_MORE;
        }
    }
    if (!o->failed)
        buffer_put(out, str_from(in.at + written, in.len - written));
    return !o->failed;
}

bool body_out_end(struct body_out *o, struct buffer *out)
{
    if (o->scan.at == BODY_AT_CR)
        o->failed = true;
    if (o->failed)
        return false;
    buffer_puts(out, o->scan.at == BODY_AT_START ? ".\r\n" : "\r\n.\r\n");
    return true;
}
