/* kind.h -- what a file really is, whatever it is called; the door to libmagic.
 *
 * Thread   one. kind_prepare() before the sandbox: it reads the table of marks, which all rooms
 *          then share.
 * Promise  a zip, a compound file, RTF and PDF go by their own marks first, as the programs of the
 *          recipients go; what is no text, no known format, is UNKNOWN: it cannot be inspected.
 */
#ifndef TOOLS_EXTRACTOR_KIND_H
#define TOOLS_EXTRACTOR_KIND_H

#include "core/base/buffer.h"

enum kind {
    KIND_UNKNOWN,
    KIND_EMPTY,
    KIND_TEXT,
    KIND_HTML,
    KIND_MESSAGE,
    KIND_RTF,
    KIND_PDF,
    KIND_ZIP, /* and what is a zip inside */
    KIND_COMPOUND,
    KIND_ARCHIVE,
    KIND_PACKED, /* one file, compressed; a tar may be inside */
    KIND_ENCRYPTED,
    KIND_OPAQUE,
};

struct kind_of {
    enum kind kind;
    char type[128];   /* true media type */
    char charset[32]; /* of text, where it is certain; else "" */
    bool maybe_html;  /* text that its name calls HTML */
};

NODISCARD bool kind_prepare(struct buffer *errors);
void kind_look(struct str file, struct str name, struct kind_of *k);

#endif
