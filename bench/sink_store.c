#include "bench/sink.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum {
    SHA256_BYTES = 32,
    HEX_BYTES = 2 * SHA256_BYTES,
    NAME_BYTES = 48,
};

static void partial_name(const struct sink_session *s, char name[NAME_BYTES])
{
    (void)snprintf(name, NAME_BYTES, ".partial-%" PRIu64, s->number);
}

void sink_store_begin(struct sink_session *s)
{
    const struct sink_run *run = s->worker->run;
    sink_data_begin(&s->data);
    if (run->ledger >= 0) {
        if (!s->hash)
            s->hash = EVP_MD_CTX_new();
        if (!s->hash || !EVP_DigestInit_ex(s->hash, EVP_sha256(), NULL))
            bench_die("cannot hash");
    }
    if (run->content >= 0) {
        char name[NAME_BYTES];
        partial_name(s, name);
        s->file = openat(run->content, name, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
        if (s->file < 0)
            bench_die_errno("content");
    }
}

void sink_store_add(struct sink_session *s, const char *content, size_t bytes)
{
    if (s->worker->run->ledger >= 0)
        EVP_DigestUpdate(s->hash, content, bytes);
    if (s->file >= 0)
        bench_ledger_write(s->file, content, bytes);
}

static void ledger_lines(struct sink_session *s, const char *verdict, unsigned code)
{
    unsigned char digest[SHA256_BYTES];
    char hex[HEX_BYTES + 1];
    EVP_DigestFinal_ex(s->hash, digest, NULL);
    for (size_t i = 0; i < SHA256_BYTES; i++) {
        hex[2 * i] = "0123456789abcdef"[digest[i] >> 4];
        hex[2 * i + 1] = "0123456789abcdef"[digest[i] & 15];
    }
    hex[HEX_BYTES] = '\0';

    const struct sink_token *token = &s->data.token;
    uint64_t now_us = bench_wall_us();
    struct bench_bytes lines = {0};
    const char *rcpt = s->rcpts.data + s->rcpts.start;
    for (unsigned i = 0; i < s->rcpt_count; i++, rcpt += strlen(rcpt) + 1) {
        bench_bytes_print(&lines, "%s %.*s ", verdict, token->bytes ? token->bytes : 1,
                          token->bytes ? token->text : "-");
        /* the address only, and no blank in it, so that a line splits at blanks */
        const char *open = strchr(rcpt, '<');
        const char *p = open ? open + 1 : rcpt;
        for (bool quoted = false; *p && (quoted || (*p != '>' && *p != ' ')); p++) {
            quoted ^= *p == '"';
            bench_bytes_append(&lines, *p > ' ' ? p : "_", 1);
        }
        bench_bytes_print(&lines, " %" PRIu64 ".%06" PRIu64 " %s %" PRIu64, now_us / 1000000,
                          now_us % 1000000, hex, s->data.bytes);
        if (code)
            bench_bytes_print(&lines, " %u", code);
        bench_bytes_append(&lines, "\n", 1);
    }
    bench_ledger_write(s->worker->run->ledger, lines.data, bench_bytes_left(&lines));
    bench_bytes_free(&lines);
}

static void content_keep(struct sink_session *s, const char *verdict)
{
    struct sink_run *run = s->worker->run;
    uint64_t sequence = atomic_fetch_add(&run->files, 1) + 1;
    char partial[NAME_BYTES], name[NAME_BYTES], sidecar[NAME_BYTES];
    partial_name(s, partial);
    (void)snprintf(name, sizeof name, "%08" PRIu64, sequence);
    (void)snprintf(sidecar, sizeof sidecar, "%08" PRIu64 ".envelope", sequence);

    struct bench_bytes text = {0};
    bench_bytes_print(&text, "VERDICT %s\nPEER %s\nEHLO %s\nTLS %s\n", verdict, s->peer, s->helo,
                      s->secure ? "yes" : "no");
    bench_bytes_print(&text, "MAIL %.*s\n", (int)bench_bytes_left(&s->mail),
                      s->mail.data + s->mail.start);
    const char *rcpt = s->rcpts.data + s->rcpts.start;
    for (unsigned i = 0; i < s->rcpt_count; i++, rcpt += strlen(rcpt) + 1)
        bench_bytes_print(&text, "RCPT %s\n", rcpt);
    int fd = openat(run->content, sidecar, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
    if (fd < 0)
        bench_die_errno("content");
    bench_ledger_write(fd, text.data, bench_bytes_left(&text));
    close(fd);
    bench_bytes_free(&text);

    /* last, so that whoever sees the message finds its envelope */
    close(s->file);
    s->file = -1;
    if (renameat(run->content, partial, run->content, name) < 0)
        bench_die_errno("content");
}

void sink_store_end(struct sink_session *s, const char *verdict, unsigned code)
{
    if (s->file >= 0 && !code)
        content_keep(s, verdict);
    if (s->worker->run->ledger >= 0)
        ledger_lines(s, verdict, code);
    sink_store_drop(s);
}

void sink_store_drop(struct sink_session *s)
{
    if (s->file < 0)
        return;
    char name[NAME_BYTES];
    partial_name(s, name);
    close(s->file);
    s->file = -1;
    unlinkat(s->worker->run->content, name, 0);
}
