#include "tools/extractor/office.h"

#include "tools/extractor/xml_text.h"

#include <stdio.h>

enum {
    MIMETYPE_BYTES = 100,
    MANIFEST_BYTES = 4 << 20,
};

static const struct {
    const char *entry, *type;
    enum office office;
} signs[] = {
    {"xl/workbook.bin", "application/vnd.ms-excel.sheet.binary.macroenabled.12", OFFICE_BINARY},
    {"word/", "application/vnd.openxmlformats-officedocument.wordprocessingml.document",
     OFFICE_OOXML},
    {"xl/", "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet", OFFICE_OOXML},
    {"ppt/", "application/vnd.openxmlformats-officedocument.presentationml.presentation",
     OFFICE_OOXML},
    {"visio/", "application/vnd.ms-visio.drawing.main+xml", OFFICE_OOXML},
};

static const struct {
    const char *entry, *type;
} others[] = {
    {"AndroidManifest.xml", "application/vnd.android.package-archive"},
    {"META-INF/MANIFEST.MF", "application/java-archive"},
    {"FixedDocSeq.fdseq", "application/vnd.ms-xpsdocument"},
};

static void drop_text(void *owner, struct str utf8)
{
    (void)owner, (void)utf8;
}

/* Does the list of an ODF file say that its parts are encrypted? */
static bool is_locked(struct container *zip)
{
    struct xml_text x;
    struct buffer list;
    bool locked = false;
    buffer_init(&list, MANIFEST_BYTES);
    if (container_peek(zip, "META-INF/manifest.xml", MANIFEST_BYTES, &list) &&
        xml_text_init(&x, drop_text, NULL)) {
        locked = !xml_text_feed(&x, buffer_str(&list)) || x.encrypted; /* or nobody can tell */
        xml_text_drop(&x);
    }
    buffer_drop(&list);
    return locked;
}

static bool look_odf(struct container *zip, struct office_kind *k)
{
    struct buffer type;
    buffer_init(&type, MIMETYPE_BYTES + (16 << 10));
    bool odf = container_peek(zip, "mimetype", MIMETYPE_BYTES, &type) &&
               str_starts(buffer_str(&type), STR("application/vnd."));
    bool book = str_starts(buffer_str(&type), STR("application/epub+zip"));
    if (odf || book) {
        struct str said = str_trim(str_head(buffer_str(&type), MIMETYPE_BYTES));
        (void)!str_to_c(said, k->type, sizeof k->type);
    }
    buffer_drop(&type);
    if (!odf && !(container_has(zip, "META-INF/manifest.xml") && container_has(zip, "content.xml")))
        return book;
    k->office = OFFICE_ODF;
    k->encrypted = is_locked(zip);
    k->macros = container_has(zip, "Basic/") || container_has(zip, "Scripts/");
    if (!k->type[0])
        (void)snprintf(k->type, sizeof k->type, "application/vnd.oasis.opendocument");
    return true;
}

void office_look(struct container *zip, struct office_kind *k)
{
    *k = (struct office_kind){.type = "application/zip"};
    if (container_has(zip, "[Content_Types].xml"))
        for (size_t i = 0; i < countof(signs) && k->office == OFFICE_NONE; i++)
            if (container_has(zip, signs[i].entry)) {
                k->office = signs[i].office;
                (void)snprintf(k->type, sizeof k->type, "%s", signs[i].type);
            }
    if (k->office != OFFICE_NONE) {
        k->macros = container_has(zip, "word/vbaProject") || container_has(zip, "xl/vbaProject") ||
                    container_has(zip, "ppt/vbaProject") || container_has(zip, "xl/macrosheets/");
        return;
    }
    k->type[0] = 0;
    if (look_odf(zip, k))
        return;
    const char *type = "application/zip";
    for (size_t i = countof(others); i-- > 0;)
        if (container_has(zip, others[i].entry))
            type = others[i].type;
    (void)snprintf(k->type, sizeof k->type, "%s", type);
}

bool office_is_part(enum office o, struct str name)
{
    if (o == OFFICE_NONE || str_find_str(name, STR("embeddings/")) != SIZE_MAX)
        return false;
    return str_ends_nocase(name, STR(".xml")) || str_ends_nocase(name, STR(".rels")) ||
           str_ends_nocase(name, STR(".vml")) || str_ends_nocase(name, STR(".rdf"));
}

bool office_is_noise(enum office o, struct str name)
{
    static const char *const noise[] = {"printerSettings/", "activeX/",          "/fonts/",
                                        "vbaProject",       "Configurations2/",  "layout-cache",
                                        "/media/",          "Pictures/",         "Thumbnails/",
                                        "mimetype",         "docProps/thumbnail"};
    static const char *const binary[] = {".bin",  ".odttf", ".fntdata", ".emf",         ".wmf",
                                         "cache", ".wdp",   "mimetype", "thumbnail.png"};
    bool placed = false, ends = false;
    for (size_t i = 0; i < countof(noise); i++)
        placed = placed || str_find_str(name, str_c(noise[i])) != SIZE_MAX;
    for (size_t i = 0; i < countof(binary); i++)
        ends = ends || str_ends_nocase(name, str_c(binary[i]));
    return o != OFFICE_NONE && placed && ends;
}
