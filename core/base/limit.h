/* limit.h -- every maximum of the program that is not a setting, with the arithmetic.
 *
 * Memory of a shard: LIMIT_RECEIVE_BUFFERS * LIMIT_RECEIVE_BUFFER_BYTES (8 MiB) for reading, one
 * struct intake and its buffers a connection, LIMIT_INLINE_BYTES or two staging buffers a mail that
 * is being received, the same for one that is being delivered. Settings (setting.def) bound counts.
 */
#ifndef CORE_BASE_LIMIT_H
#define CORE_BASE_LIMIT_H

enum {
    LIMIT_SHARDS = 256,
    LIMIT_LISTENERS = 16,
    LIMIT_NETWORKS = 64,        /* entries of a setting that is a list of networks */
    LIMIT_SOURCES = 64,         /* addresses that we call from */
    LIMIT_OWN_ADDRESSES = 1024, /* of our interfaces, known for loop detection: 18 bytes each */

    /* Of the descriptors that we may have, inbound connections leave this part, and at least so
     * many, to the journal, the index and deliveries. */
    LIMIT_DESCRIPTOR_PART = 8,
    LIMIT_DESCRIPTORS_SPARE = 64,

    /* Calls to next hops leave half of that, so that a burst of them stops neither the disk nor the
     * control socket (shard_descriptor_end()). */
    LIMIT_DESCRIPTOR_PART_OUT = 16,
    LIMIT_DESCRIPTORS_SPARE_OUT = 32,

    /* SMTP, RFC 5321 4.5.3.1 asks for at least 512; AUTH (RFC 4954) for 12288. */
    LIMIT_COMMAND_BYTES = 4096,
    LIMIT_AUTH_BYTES = 12288,
    LIMIT_AUTH_REQUESTS = 1024, /* exchanges of a worker with auth_socket at once; 128 bytes each */
    LIMIT_TEXT_LINE_BYTES = 998, /* without CRLF, RFC 5322 2.1.1; longer is refused */
    LIMIT_LOCAL_BYTES = 64,
    LIMIT_DOMAIN_BYTES = 255,
    LIMIT_PATH_BYTES = 256,         /* with the angle brackets */
    LIMIT_HEADER_BYTES = 256 << 10, /* all header fields of a mail; more: 552 */
    LIMIT_HEADER_FIELDS = 1000,
    LIMIT_RECEIVED_FIELDS = 100, /* so many: a loop (RFC 5321 6.3: normally at least 100) */
    LIMIT_REPLY_LINE_BYTES = 512,
    LIMIT_REPLY_LINES = 128,
    LIMIT_SUBJECT_BYTES = 512, /* decoded, kept for lists; longer is cut */

    /* Address lists of header fields; beyond these the list is doubtful (MAILBOX_LIMIT). */
    LIMIT_MAILBOXES = 4096,         /* of one field, and groups; 128 bytes each while it is read */
    LIMIT_MAILBOX_TOKENS = 512,     /* words of one element; 16 bytes each, on the stack */
    LIMIT_MAILBOX_NAME_BYTES = 512, /* decoded; longer is cut (MAILBOX_LONG) */

    /* Time zones and calendars */
    LIMIT_ZONE_BYTES = 64 << 10,  /* of a file of tzdata; the largest has 3.6 KiB */
    LIMIT_ZONE_CHANGES = 2000,    /* 16 bytes each; the most are 236 */
    LIMIT_CALENDAR_WINDOWS = 64,  /* of one calendar */
    LIMIT_CALENDAR_RANGES = 1000, /* holidays and workdays of one calendar, 16 bytes each */
    LIMIT_CALENDAR_DAYS = 800,    /* how far ahead an opening is looked for */

    /* What a worker remembers of whom (shards/guard.h): 5 kinds, 168 bytes each: 26 MiB when all
     * are used. A power of two. */
    LIMIT_GUARD_ENTRIES = 32768,

    LIMIT_CHARSET_LOOK_BYTES = 16 << 10, /* text without a charset is guessed by so many */

    /* MIME. Whatever is over one of these sets CONTENT_LIMIT or MIME_LIMIT: the mail counts as
     * unreadable and is held, never passed on unseen. */
    LIMIT_MIME_DEPTH = 100,             /* parts in parts, as Postfix has it (BOMB-07) */
    LIMIT_MIME_PARTS = 10000,           /* some 400 bytes each (BOMB-08) */
    LIMIT_MIME_READINGS = 8,            /* parts that get the same bytes at once */
    LIMIT_MIME_MEMORY_BYTES = 16 << 20, /* what the parts' headers say, of one mail */
    LIMIT_PART_HEADER_BYTES = 64 << 10,
    LIMIT_BOUNDARIES = 256,       /* that are looked for at once; RFC 2046 wants one a level */
    LIMIT_BOUNDARY_BYTES = 1024,  /* RFC 2046 5.1.1: 70 */
    LIMIT_PARAMETERS = 128,       /* of one field; a name of 4 KiB has some 70 pieces (RFC 2231) */
    LIMIT_PARAMETER_BYTES = 4096, /* of one value, or of one piece of it */
    LIMIT_READINGS = 32,          /* different values of one parameter */

    LIMIT_FOLD_MARKS = 4096, /* 64 KiB of a map from folded text to its source; then wider apart */

    /* Storage */
    LIMIT_BLOCK_BYTES = 4096,        /* alignment of every O_DIRECT read and write */
    LIMIT_INLINE_BYTES = 256 << 10,  /* bodies up to this travel in their journal group */
    LIMIT_EXTENT_BYTES = 1 << 20,    /* unit of grants in body segments */
    LIMIT_STAGING_BYTES = 256 << 10, /* one write of a large body; two buffers a connection */
    LIMIT_GROUP_BYTES = 16 << 20,    /* one journal group */
    LIMIT_RECORD_BYTES = 8 << 20,    /* one record; 10,000 recipients fit */

    /* Words and expressions of an organisation (core/policy/match). Ten thousand words are 2 MB of
     * database and 0.2 s of compiling; a scan of a mail has 4 bytes a pattern. */
    LIMIT_PATTERNS = 100000,
    LIMIT_DICTIONARIES = 1000,
    LIMIT_PATTERN_BYTES = 4096,         /* as written; folding and escapes make it longer */
    LIMIT_PATTERN_FOLDED_BYTES = 15000, /* Hyperscan takes 16,000 */
    LIMIT_PATTERN_SOURCE_BYTES = 16 << 20,
    LIMIT_PATTERN_STATE_BYTES = 4096, /* kept between pieces of a text, for one expression */
    LIMIT_PATTERN_DATABASE_BYTES = 8 << 20,
    LIMIT_MATCH_FILE_BYTES = 256 << 20,
    LIMIT_MATCH_STREAM_BYTES = 64 << 10, /* for all: four streams a mail that is being judged */
    LIMIT_MATCH_HITS = 16384,            /* patterns found in one mail, 152 bytes each */

    /* Matches reported while a text is read; some 10 ns each. More: the mail is held. */
    LIMIT_MATCH_EVENTS = 100000,
    LIMIT_MATCH_EVENTS_PER_BYTE = 8,

    /* Threads */
    LIMIT_RING_CELLS = 4096,
    LIMIT_CELLS_PER_TURN = 512,
    LIMIT_DUE_PER_TURN = 256, /* so that a release storm cannot stall accepting */
    LIMIT_RECEIVE_BUFFERS = 512,
    LIMIT_RECEIVE_BUFFER_BYTES = 16 << 10,
    LIMIT_SEND_BYTES = 64 << 10, /* replies waiting for a peer; more: it is read when it reads */

    /* Next hops: about 1 KiB each, with a queue of up to ROUTE_QUEUE_MAX. */
    LIMIT_DESTINATIONS = 10000, /* of one worker; mail for more waits as ids */

    /* DNS */
    LIMIT_LOOKUPS = 200, /* domains that one worker asks about at once; what waits beyond that takes
                              turns, in libunbound (256 sockets) it would not */
    LIMIT_EXCHANGERS = 64, /* MX records looked at for one domain */
    LIMIT_ADDRESSES = 16,  /* addresses of one exchanger */

    /* Look-ups of a worker that libunbound has at once, forgotten ones included: it ends none
     * early, and a silent server takes it 70 s. Further ones wait in turn; some 10 KiB each. */
    LIMIT_RESOLVER_LOOKUPS = 4096,
};

_Static_assert(LIMIT_DUE_PER_TURN <= LIMIT_RING_CELLS / 4, "a turn's releases fit the ring");
_Static_assert(LIMIT_INLINE_BYTES * 4 <= LIMIT_GROUP_BYTES, "a group holds several inline bodies");

#endif
