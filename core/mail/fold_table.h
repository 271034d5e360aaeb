/* fold_table.h -- what fold.c knows about each character. Private.
 *
 * fold_describe() asks ICU. tools/fold_table asks it at build time for the 65,536 characters of the
 * basic plane and writes fold_table.inc, so that the usual ones cost a look into a table.
 */
#ifndef CORE_MAIL_FOLD_TABLE_H
#define CORE_MAIL_FOLD_TABLE_H

#include "core/base/base.h"

enum {
    FOLD_DELTA = 0xFFFF,    /* of FOLD_SIMPLE: what to add, modulo 65536 */
    FOLD_SIMPLE = 1 << 16,  /* becomes one character, whatever stands before it */
    FOLD_DROP = 1 << 17,    /* shows nothing */
    FOLD_BLANK = 1 << 18,   /* white space */
    FOLD_JOINS = 1 << 19,   /* may combine with what stands before it */
    FOLD_CLASS_SHIFT = 20,  /* of FOLD_SIMPLE: enum fold_class of what it becomes */
    FOLD_PLANE = 0x10000,   /* characters in the table */
    FOLD_BLOCK = 256,       /* characters of a block of it; equal blocks are there once */
    FOLD_RESULT_UNITS = 20, /* UTF-16 of one character */
};

enum fold_class {
    FOLD_NOTHING,
    FOLD_LETTER, /* all that is not one of the others */
    FOLD_PUNCTUATION,
    FOLD_JAPANESE,
};

/* FOLD_... bits; without any it is up to ICU what becomes of it. */
uint32_t fold_describe(uint32_t c);

/* What one code point of normalised text becomes at last. */
uint32_t fold_unify(uint32_t c);
enum fold_class fold_class(uint32_t c);

/* NFKC_Casefold of a few characters; the number of units in `to`, which has room for
 * FOLD_RESULT_UNITS of each. */
size_t fold_normalise(const uint32_t *at, size_t count, uint16_t *to, size_t room);

#endif
