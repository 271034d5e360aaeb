/* name_server.h -- a DNS server that answers what a table says, for the tests of the resolver.
 *
 * The first label of the name picks the row, the type must match; without a row the answer is
 *     empty.
 *
 * Thread   its own; the table must not change meanwhile.
 */
#ifndef TESTS_UNIT_IO_NAME_SERVER_H
#define TESTS_UNIT_IO_NAME_SERVER_H

#include "core/base/str.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

struct name_row {
    const char *label;
    int type;
    int rcode; /* -1: no answer at all */
    int answers;
    struct str bytes; /* of the answer section; the question's name is at 12 */
};

struct name_server {
    int fd;
    uint16_t port;
    const struct name_row *rows;
    size_t count;
    atomic_int asked;
    pthread_t thread;
};

static inline const struct name_row *name_server_row(const struct name_server *s, struct str label,
                                                     int type)
{
    for (size_t i = 0; i < s->count; i++)
        if (s->rows[i].type == type && str_eq_nocase(str_c(s->rows[i].label), label))
            return &s->rows[i];
    return NULL;
}

static inline void name_server_answer(const struct name_server *s, char *packet, size_t len,
                                      const struct sockaddr_in *to)
{
    size_t at = 12;
    while (at < len && packet[at])
        at += 1 + (size_t)(unsigned char)packet[at];
    at += 5; /* the root, type and class */
    if (at > len)
        return;
    int type = (unsigned char)packet[at - 4] << 8 | (unsigned char)packet[at - 3];
    struct str label = str_from(packet + 13, (unsigned char)packet[12]);
    const struct name_row *row = name_server_row(s, label, type);
    if (row && row->rcode < 0)
        return;
    packet[2] = (char)0x81;
    packet[3] = (char)(0x80 | (row ? row->rcode : 0));
    memset(packet + 6, 0, 6);
    if (row) {
        packet[7] = (char)row->answers;
        memcpy(packet + at, row->bytes.at, row->bytes.len);
        at += row->bytes.len;
    }
    (void)sendto(s->fd, packet, at, 0, (const struct sockaddr *)to, sizeof *to);
}

static inline void *name_server_run(void *argument)
{
    struct name_server *s = argument;
    char packet[4096];
    struct sockaddr_in from;
    for (;;) {
        socklen_t from_len = sizeof from;
        ssize_t len = recvfrom(s->fd, packet, 1024, 0, (struct sockaddr *)&from, &from_len);
        if (len < 13) /* one byte is the word to stop */
            return NULL;
        atomic_fetch_add(&s->asked, 1);
        name_server_answer(s, packet, (size_t)len, &from);
    }
}

static inline void name_server_start(struct name_server *s, const struct name_row *rows,
                                     size_t count)
{
    *s = (struct name_server){.rows = rows, .count = count};
    s->fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
    must(s->fd >= 0 && bind(s->fd, (struct sockaddr *)&a, sizeof a) == 0);
    socklen_t len = sizeof a;
    must(getsockname(s->fd, (struct sockaddr *)&a, &len) == 0);
    s->port = ntohs(a.sin_port);
    must(pthread_create(&s->thread, NULL, name_server_run, s) == 0);
}

static inline void name_server_stop(struct name_server *s)
{
    struct sockaddr_in a = {.sin_family = AF_INET,
                            .sin_port = htons(s->port),
                            .sin_addr = {htonl(INADDR_LOOPBACK)}};
    (void)sendto(s->fd, "x", 1, 0, (struct sockaddr *)&a, sizeof a);
    (void)pthread_join(s->thread, NULL);
    (void)close(s->fd);
}

#endif
