/* xml_text.h -- the text of one XML part of an Office file (OOXML, ODF), as it streams by.
 *
 * All character data counts, in any element: what a reader could see, and what it hides.
 * Paragraphs, rows, cells and breaks become line breaks and tabs, runs are joined. Numbers of cells
 * come as they stand, indexes of shared strings do not. Of attributes: outside targets of links,
 * descriptions of pictures, names of sheets.
 *
 * Memory   an expat parser; text is handed out in pieces of UTF-8.
 * Promise  no entities of the part's own are read (bombs): such a part is DAMAGED.
 */
#ifndef TOOLS_EXTRACTOR_XML_TEXT_H
#define TOOLS_EXTRACTOR_XML_TEXT_H

#include "core/base/buffer.h"

struct XML_ParserStruct;

struct xml_text {
    struct XML_ParserStruct *parser;
    void (*put)(void *owner, struct str utf8);
    void *owner;
    struct buffer out;
    bool hidden;    /* tracked changes, comments, hidden sheets, rows, columns, slides, words */
    bool encrypted; /* ODF's list of files says so */
    bool is_index;  /* inside of a cell whose number is an index */
    bool in_number;
    bool bad;
    char last; /* byte that was put last */
};

/* False: no memory. */
NODISCARD bool xml_text_init(struct xml_text *x, void (*put)(void *owner, struct str utf8),
                             void *owner);
NODISCARD bool xml_text_feed(struct xml_text *x, struct str bytes); /* false: damaged */
NODISCARD bool xml_text_finish(struct xml_text *x);
void xml_text_drop(struct xml_text *x);

#endif
