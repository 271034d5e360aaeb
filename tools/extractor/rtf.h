/* rtf.h -- the text of an RTF file: its bytes with their code page, and its \u characters.
 *
 * Thread   any; pure.
 * Memory   a stack of RTF_DEPTH groups; deeper ones share the last.
 * Promise  every group counts but pictures, binary data and tables of fonts, colours and styles:
 *          hidden text, too; and those that other readers pass over.
 */
#ifndef TOOLS_EXTRACTOR_RTF_H
#define TOOLS_EXTRACTOR_RTF_H

#include "core/base/buffer.h"

enum {
    RTF_DEPTH = 256,
    RTF_FONTS = 512,
    RTF_WORD_BYTES = 32,
};

struct rtf_group {
    uint16_t page; /* code page of \'hh, by the font */
    uint8_t skip;  /* bytes that stand for a \u */
    bool mute;     /* not text */
    bool fonts;    /* the table of fonts */
};

struct rtf {
    void (*put)(void *owner, struct str charset, struct str bytes);
    void *owner;
    struct rtf_group group[RTF_DEPTH];
    uint32_t depth, deeper;
    uint16_t page; /* of the document */
    uint16_t font_page[RTF_FONTS];
    uint32_t font;
    uint64_t skipping, binary;
    uint32_t high; /* the first half of a surrogate pair */

    enum {
        RTF_TEXT,
        RTF_SLASH,
        RTF_WORD,
        RTF_NUMBER,
        RTF_HEX,
        RTF_HEX2
    } state;

    char word[RTF_WORD_BYTES + 1];
    size_t word_len;
    bool negative, numbered;
    uint64_t number;
    unsigned hex;
    bool hidden, objects, wrong;
    uint16_t out_page; /* of what is in `out`; 65001: UTF-8 */
    struct buffer out;
};

void rtf_init(struct rtf *r, void (*put)(void *owner, struct str charset, struct str bytes),
              void *owner);
void rtf_feed(struct rtf *r, struct str bytes);
void rtf_finish(struct rtf *r); /* `wrong`: its groups do not match */
void rtf_drop(struct rtf *r);

#endif
