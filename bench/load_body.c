#include "bench/load.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum {
    TEXT_LINE_BYTES = 72
}; /* without CRLF; the house promises <= 76 */

static const char *const words[] = {
    "the",     "of",     "and",  "mail",    "to",     "in",      "order", "that", "queue", "is",
    "was",     "for",    "on",   "letter",  "with",   "as",      "be",    "at",   "by",    "this",
    "invoice", "had",    "not",  "are",     "but",    "from",    "or",    "have", "an",    "they",
    "which",   "one",    "you",  "meeting", "were",   "her",     "all",   "she",  "there", "would",
    "their",   "we",     "him",  "been",    "report", "has",     "when",  "who",  "will",  "more",
    "no",      "if",     "out",  "so",      "said",   "account", "what",  "up",   "its",   "about",
    "into",    "number", "than", "them",
};

static void add_date(struct bench_bytes *t)
{
    time_t now = (time_t)(bench_wall_us() / 1000000);
    struct tm utc;
    char text[64];
    gmtime_r(&now, &utc);
    (void)strftime(text, sizeof text, "%a, %d %b %Y %H:%M:%S +0000", &utc);
    bench_bytes_print(t, "Date: %s\r\n", text);
}

static void add_header(struct load_body *b, struct bench_bytes *t, const struct load_options *o)
{
    add_date(t);
    bench_bytes_append(t, "From: Load <", 12);
    load_expand(t, o->from, 0);
    bench_bytes_append(t, ">\r\nTo: Everybody <", 18);
    load_expand(t, o->rcpt[0], 0);
    bench_bytes_append(t, ">\r\nMessage-ID: <", 16);
    b->stamp_at[0] = t->end;
    bench_bytes_print(t, "@load.sekimori.invalid>\r\nSubject: A letter of %" PRIu64 " bytes\r\n",
                      b->size);
    bench_bytes_print(t, "MIME-Version: 1.0\r\nContent-Type: text/plain; charset=us-ascii\r\n"
                         "X-Token: ");
    b->stamp_at[1] = t->end;
    bench_bytes_print(t, "\r\n\r\nToken ");
    b->stamp_at[2] = t->end;
    bench_bytes_print(t, "\r\n");
}

/* Lines of words, up to exactly `end`; no line begins with a dot. */
static void add_text(struct bench_bytes *t, size_t end, uint64_t seed)
{
    size_t column = 0;
    for (uint64_t n = 0; t->end + 2 < end; n++) {
        const char *word = words[bench_mix(seed + n) % COUNTOF(words)];
        size_t bytes = strlen(word);
        size_t room = end - 2 - t->end; /* the last line end is set aside */
        if (column && column + 1 + bytes > TEXT_LINE_BYTES) {
            bench_bytes_append(t, room < 3 ? "  " : "\r\n", room < 2 ? room : 2);
            column = 0;
            continue;
        }
        if (column) {
            bench_bytes_append(t, " ", 1);
            column++;
            room--;
        }
        bytes = bytes < room ? bytes : room;
        bench_bytes_append(t, word, bytes);
        column += bytes;
    }
    bench_bytes_append(t, "\r\n", 2);
}

static void body_make(struct load_body *b, const struct load_options *o, size_t token_bytes)
{
    struct bench_bytes t = {0};
    add_header(b, &t, o);
    size_t stamps = LOAD_STAMPS * token_bytes;
    size_t size = b->size > stamps ? (size_t)b->size - stamps : 0;
    /* A gap of one byte cannot hold a line end: the message becomes two bytes longer. */
    if (size > t.end && size - t.end == 1)
        size++;
    if (size > t.end)
        add_text(&t, size, o->seed);
    b->size = t.end + stamps;
    bench_bytes_append(&t, ".\r\n", 3);
    b->text = t.data;
    b->text_bytes = t.end;
    b->bytes = t.end + stamps;
}

void load_bodies_make(struct load_bodies *b, const struct load_options *o)
{
    b->token_bytes = strlen(o->token_prefix) + 1 + LOAD_TOKEN_DIGITS;
    const char *p = o->mix;
    for (;;) {
        char text[32];
        size_t item = strcspn(p, ",");
        if (b->count == LOAD_SIZES_MAX || item >= sizeof text)
            bench_die("--mix: at most %d items SIZE:WEIGHT", LOAD_SIZES_MAX);
        memcpy(text, p, item);
        text[item] = '\0';
        char *colon = strchr(text, ':');
        if (colon)
            *colon++ = '\0';
        struct load_body *body = &b->body[b->count++];
        body->size = bench_parse_count("mix", text);
        body->weight = colon ? bench_parse_count("mix", colon) : 1;
        b->weight_sum += body->weight;
        body_make(body, o, b->token_bytes);
        if (!p[item])
            break;
        p += item + 1;
    }
    if (!b->weight_sum)
        bench_die("--mix: all weights are 0");
}

const struct load_body *load_body_pick(const struct load_bodies *b, uint64_t random)
{
    uint64_t at = random % b->weight_sum;
    unsigned i = 0;
    while (at >= b->body[i].weight)
        at -= b->body[i++].weight;
    return &b->body[i];
}

int load_body_gather(const struct load_body *b, const char *token, size_t token_bytes, size_t left,
                     struct iovec parts[static 2 * LOAD_STAMPS + 1])
{
    size_t skip = b->bytes - left, from = 0;
    int count = 0;
    for (int i = 0; i < 2 * LOAD_STAMPS + 1; i++) {
        struct iovec part;
        if (i % 2) {
            part = (struct iovec){(void *)(uintptr_t)token, token_bytes};
        } else {
            size_t to = i / 2 < LOAD_STAMPS ? b->stamp_at[i / 2] : b->text_bytes;
            part = (struct iovec){b->text + from, to - from};
            from = to;
        }
        if (skip >= part.iov_len) {
            skip -= part.iov_len;
            continue;
        }
        part.iov_base = (char *)part.iov_base + skip;
        part.iov_len -= skip;
        skip = 0;
        parts[count++] = part;
    }
    return count;
}

void load_expand(struct bench_bytes *out, const char *pattern, uint64_t number)
{
    for (const char *p = pattern; *p; p++) {
        if (*p != '%') {
            bench_bytes_append(out, p, 1);
            continue;
        }
        char *end;
        uint64_t modulus = strtoull(p + 1, &end, 10);
        if (*end == 'd')
            bench_bytes_print(out, "%" PRIu64, number);
        else if (*end == 'm' && modulus)
            bench_bytes_print(out, "%" PRIu64, number % modulus);
        else if (*end == '%')
            bench_bytes_append(out, "%", 1);
        else
            bench_die("%s: %%d, %%Nm or %%%% expected", pattern);
        p = end;
    }
}
