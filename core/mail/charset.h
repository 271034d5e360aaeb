/* charset.h -- any bytes to UTF-8. The only door to ICU.
 *
 * Names are taken as mailers mean them: "iso-2022-jp" reads NEC and IBM letters and half-width
 * kana too, "shift_jis" is CP932, "us-ascii" with 8-bit bytes is guessed.
 *
 *   struct charset c;
 *   charset_open(&c, cache, STR("iso-2022-jp"));
 *   charset_feed(&c, piece, &out);     any number of pieces, cut anywhere
 *   charset_finish(&c, &out);          c.doubt is complete
 *   charset_drop(&c);
 *
 * What a keyword search must see. With a doubt other programs may show other characters, so the
 * same bytes are to be fed to a second reading as well, and both be searched: open another one with
 * the empty name, which takes the bytes as they are (ASCII and UTF-8 as themselves, else guessed),
 * and feed its text to a fold and a scan of its own (BOMB-10). CHARSET_UTF7 and _RARE are known at
 * charset_open(); the others only after the part, which then is decoded once more. Mail without a
 * doubt is read once.
 *
 * Thread   one a converter; a cache belongs to one thread, and so do converters opened with it.
 * Memory   converters of ICU, about 1 KiB each; without a cache one is made and dropped in each
 *          open. While it is guessed: up to LIMIT_CHARSET_LOOK_BYTES. `out` grows by at most
 *          CHARSET_GROWTH bytes a byte, and by what is guessed at.
 * Cost     linear, whatever the escape sequences; ASCII in a charset that has it is copied.
 * Errors   what can't be read becomes U+FFFD and CHARSET_MALFORMED. What comes out is valid UTF-8.
 */
#ifndef CORE_MAIL_CHARSET_H
#define CORE_MAIL_CHARSET_H

#include "core/base/buffer.h"

enum charset_doubt {
    CHARSET_UNKNOWN = 1 << 0,   /* nobody knows the name: guessed */
    CHARSET_GUESSED = 1 << 1,   /* no name or "us-ascii", and bytes that are not: guessed */
    CHARSET_MALFORMED = 1 << 2, /* bytes that the charset does not have */
    CHARSET_UTF7 = 1 << 3,      /* few programs still read it */
    CHARSET_RARE = 1 << 4,      /* ASCII bytes mean something else, and few programs know it */
    CHARSET_NO_ORDER = 1 << 5,  /* UTF-16 or UTF-32 without a mark: taken as big-endian */
};

enum {
    CHARSET_GROWTH = 4,
    CHARSET_CACHE = 8, /* idle converters that a cache keeps */
};

struct charset_library;
struct charset_cache; /* of one thread */
NODISCARD struct charset_cache *charset_cache_make(void);
void charset_cache_drop(struct charset_cache **cache); /* after its converters; NULL is allowed */

enum charset_kind {
    CHARSET_KIND_UTF8,
    CHARSET_KIND_LIBRARY,
    CHARSET_KIND_LOOK, /* no name is known; ASCII so far, or what is not is collected */
};

struct charset {
    unsigned doubt; /* of enum charset_doubt, complete after charset_finish() */

    enum charset_kind kind;
    bool ascii;    /* ASCII bytes are themselves at the start of any character */
    bool escapes;  /* ISO-2022: ASCII bytes are themselves while `plain` */
    bool plain;    /* and nothing is held back in the converter */
    bool unmarked; /* UTF-16, UTF-32: nothing was fed yet that could be a mark */
    uint8_t held_bytes;
    char held[4];  /* UTF-8: the head of a character; else the first bytes */
    uint16_t high; /* first half of a surrogate pair */
    struct charset_library *library;
    struct charset_cache *cache;
    struct buffer look;
};

/* `cache` may be NULL. Any name: what nobody knows is guessed. */
void charset_open(struct charset *c, struct charset_cache *cache, struct str name);
void charset_feed(struct charset *c, struct str in, struct buffer *out);
void charset_finish(struct charset *c, struct buffer *out);
void charset_drop(struct charset *c); /* also in the middle */

/* The whole at once. False: a charset that nobody knows, the bytes were guessed instead; or
 * malformed bytes. */
bool charset_to_utf8(struct str name, struct str bytes, struct buffer *out);

/* What bytes without a name are: "utf-8" when they are valid, else ISO-2022-JP (by its escapes),
 * EUC-JP or CP932 by their pairs, else windows-1252. */
struct str charset_guess(struct str bytes);

#endif
