/* office.h -- zips that are more than a zip: OOXML, ODF, and what else tells itself by its entries.
 */
#ifndef TOOLS_EXTRACTOR_OFFICE_H
#define TOOLS_EXTRACTOR_OFFICE_H

#include "tools/extractor/container.h"

enum office {
    OFFICE_NONE,
    OFFICE_OOXML,
    OFFICE_BINARY, /* OOXML with binary sheets: not read */
    OFFICE_ODF,
};

struct office_kind {
    enum office office;
    char type[128];
    bool macros, encrypted;
};

void office_look(struct container *zip, struct office_kind *k);

/* An entry of an Office file whose text is the file's own. */
bool office_is_part(enum office o, struct str name);

/* An entry that holds no text and is of no known format. */
bool office_is_noise(enum office o, struct str name);

#endif
