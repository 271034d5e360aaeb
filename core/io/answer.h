/* answer.h -- reading a DNS answer off the wire (RFC 1035 4.1), believing none of it.
 *
 * Thread   any; pure.
 * Memory   nothing is kept; names are written into the caller's bytes.
 * Cost     linear: a compression pointer must lead to before the name in which it stands.
 * Errors   `broken`: the message contradicts itself; what was read before it is good.
 */
#ifndef CORE_IO_ANSWER_H
#define CORE_IO_ANSWER_H

#include "core/base/str.h"

enum {
    DNS_TYPE_A = 1,
    DNS_TYPE_MX = 15,
    DNS_TYPE_AAAA = 28,
    DNS_CLASS_IN = 1,
    DNS_RCODE_OK = 0,
    DNS_RCODE_NXDOMAIN = 3,
};

/* "mx.example.jp": lower case, no final dot; "" is the root. */
struct dns_name {
    char at[256];
    bool is_host; /* letters, digits, hyphen and underscore only, so it may stand in a log */
};

struct answer {
    struct str message;
    size_t at;
    unsigned left; /* records of the answer section not yet read */
    bool broken;
};

struct answer_record {
    uint16_t type;
    size_t data_at; /* in the message: names in it may point anywhere before */
    struct str data;
};

/* False: not even a header and a question. */
NODISCARD bool answer_open(struct answer *a, struct str message);

/* The next record of class IN in the answer section; false at the end or when `broken`. */
bool answer_next(struct answer *a, struct answer_record *out);

/* Read the name at *at and move behind it. */
NODISCARD bool answer_name(struct str message, size_t *at, struct dns_name *out);

/* The data of an MX record; false: too short, or longer than what it says. */
NODISCARD bool answer_mx(const struct answer *a, const struct answer_record *r,
                         uint16_t *preference, struct dns_name *exchanger);

#endif
