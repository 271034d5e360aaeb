#include "tools/extractor/kind.h"

#include "tools/extractor/cfb.h"

#include <magic.h>
#include <stdio.h>

enum {
    LOOK_BYTES = 1 << 20,
    PDF_WITHIN = 1024, /* where readers look for its mark */
};

static magic_t marks;

static const struct {
    const char *type; /* one that ends with / or * is a beginning */
    enum kind kind;
} kinds[] = {
    {"text/html", KIND_HTML},
    {"application/xhtml+xml", KIND_HTML},
    {"image/svg+xml", KIND_HTML},
    {"text/rtf", KIND_RTF},
    {"application/pgp-encrypted", KIND_ENCRYPTED},
    {"application/x-gnupg", KIND_ENCRYPTED},
    {"text/PGP", KIND_ENCRYPTED},
    {"text/", KIND_TEXT},
    {"message/", KIND_MESSAGE},
    {"application/mbox", KIND_MESSAGE},
    {"application/json", KIND_TEXT},
    {"application/javascript", KIND_TEXT},
    {"application/x-ndjson", KIND_TEXT},
    {"application/csv", KIND_TEXT},
    {"application/x-wine-extension-ini", KIND_TEXT},
    {"application/x-setupscript", KIND_TEXT},
    {"application/x-bat", KIND_TEXT},
    {"application/x-mswinurl", KIND_TEXT},
    {"application/postscript", KIND_UNKNOWN}, /* its text may be spelled in any way */
    {"application/pgp", KIND_TEXT},           /* keys, signatures */
    {"application/x-7z-compressed", KIND_ARCHIVE},
    {"application/x-rar", KIND_ARCHIVE},
    {"application/vnd.rar", KIND_ARCHIVE},
    {"application/x-tar", KIND_ARCHIVE},
    {"application/x-lha", KIND_ARCHIVE},
    {"application/x-lzh*", KIND_ARCHIVE},
    {"application/vnd.ms-cab-compressed", KIND_ARCHIVE},
    {"application/x-iso9660-image", KIND_ARCHIVE},
    {"application/x-cpio", KIND_ARCHIVE},
    {"application/x-archive", KIND_ARCHIVE},
    {"application/vnd.debian.binary-package", KIND_ARCHIVE},
    {"application/x-xar", KIND_ARCHIVE},
    {"application/gzip", KIND_PACKED},
    {"application/x-gzip", KIND_PACKED},
    {"application/x-bzip2", KIND_PACKED},
    {"application/x-xz", KIND_PACKED},
    {"application/x-lzma", KIND_PACKED},
    {"application/x-lzip", KIND_PACKED},
    {"application/zstd", KIND_PACKED},
    {"application/x-lz4*", KIND_PACKED},
    {"application/x-compress", KIND_PACKED},
    {"image/", KIND_OPAQUE},
    {"audio/", KIND_OPAQUE},
    {"video/", KIND_OPAQUE},
    {"font/", KIND_OPAQUE},
    {"application/font*", KIND_OPAQUE},
    {"application/x-font*", KIND_OPAQUE},
    {"application/vnd.ms-opentype", KIND_OPAQUE},
    {"application/vnd.ms-fontobject", KIND_OPAQUE},
    {"application/x-dosexec", KIND_OPAQUE},
    {"application/vnd.microsoft.portable-executable", KIND_OPAQUE},
    {"application/x-executable", KIND_OPAQUE},
    {"application/x-pie-executable", KIND_OPAQUE},
    {"application/x-sharedlib", KIND_OPAQUE},
    {"application/x-mach-binary", KIND_OPAQUE},
    {"application/x-java-applet", KIND_OPAQUE},
};

bool kind_prepare(struct buffer *errors)
{
    marks = magic_open(MAGIC_MIME | MAGIC_NO_CHECK_COMPRESS);
    if (marks && magic_load(marks, NULL) == 0)
        return true;
    buffer_printf(errors, "libmagic: %s", marks ? magic_error(marks) : "no memory");
    return false;
}

/* No control characters but those of text, ESC of ISO-2022-JP among them: for what is too short or
 * too odd for libmagic. */
static bool is_text(struct str file)
{
    static const char fine[] = "\t\n\v\f\r\b\x1B";
    struct str looked = str_head(file, LOOK_BYTES);
    for (size_t i = 0; i < looked.len; i++) {
        unsigned char c = (unsigned char)looked.at[i];
        if (c == 0x7F || (c < ' ' && !memchr(fine, c, sizeof fine - 1)))
            return false;
    }
    return true;
}

/* A message of OpenPGP without armour: a packet with an encrypted session key, version 3 to 6. */
static bool is_pgp(struct str file)
{
    if (file.len < 4)
        return false;
    unsigned char tag = (unsigned char)file.at[0];
    bool fresh = (tag & 0xC0) == 0xC0;
    unsigned kind = fresh ? tag & 0x3F : tag >> 2 & 0xF, head = fresh ? 1 : 1u << (tag & 3);
    if (!(tag & 0x80) || (kind != 1 && kind != 3) || (!fresh && (tag & 3) > 1))
        return false;
    if (fresh && (unsigned char)file.at[1] >= 192)
        head = 2;
    unsigned char version = (unsigned char)file.at[1 + head];
    return kind == 1 ? version == 3 || version == 6 : version >= 4 && version <= 6;
}

static bool matches(struct str type, const char *pattern)
{
    struct str p = str_c(pattern);
    if (p.at[p.len - 1] == '*')
        return str_starts_nocase(type, str_head(p, p.len - 1));
    return p.at[p.len - 1] == '/' ? str_starts_nocase(type, p) : str_eq_nocase(type, p);
}

static void set_type(struct kind_of *k, const char *type, enum kind kind)
{
    (void)snprintf(k->type, sizeof k->type, "%s", type);
    k->kind = kind;
}

/* Only what a mark at the start proves: guesses are the reader's. */
static void set_charset(struct str file, struct kind_of *k)
{
    const char *name = str_starts(file, STR("\xEF\xBB\xBF")) ? "utf-8"
                       : str_starts(file, STR("\xFF\xFE"))   ? "utf-16le"
                       : str_starts(file, STR("\xFE\xFF"))   ? "utf-16be"
                                                             : "";
    (void)snprintf(k->charset, sizeof k->charset, "%s", name);
}

static void ask_magic(struct str file, struct kind_of *k)
{
    const char *said = magic_buffer(marks, file.at, size_min(file.len, LOOK_BYTES));
    struct str rest = str_c(said ? said : "application/octet-stream; charset=binary");
    struct str type = str_trim(str_cut(&rest, ';'));
    bool binary = str_find_str(rest, STR("binary")) != SIZE_MAX;
    k->kind = KIND_UNKNOWN;
    (void)!str_to_c(str_head(type, sizeof k->type - 1), k->type, sizeof k->type);
    for (size_t i = countof(kinds); i-- > 0;)
        if (matches(type, kinds[i].type))
            k->kind = kinds[i].kind; /* the first in the table stands */
    if (k->kind == KIND_UNKNOWN && str_eq(type, STR("application/octet-stream"))) {
        if (is_text(file))
            set_type(k, "text/plain", KIND_TEXT);
        else if (is_pgp(file))
            set_type(k, "application/pgp-encrypted", KIND_ENCRYPTED);
    }
    /* a program written as text, a data format made of text */
    if (k->kind == KIND_UNKNOWN && !binary && !str_eq(type, STR("application/postscript")))
        k->kind = KIND_TEXT;
    if (k->kind == KIND_TEXT || k->kind == KIND_HTML)
        set_charset(file, k);
}

static bool is_called_html(struct str name)
{
    static const char *const ends[] = {".htm",   ".html", ".xhtml", ".xht",
                                       ".shtml", ".mht",  ".mhtml"};
    bool called = false;
    for (size_t i = 0; i < countof(ends); i++)
        called = called || str_ends_nocase(name, str_c(ends[i]));
    return called;
}

void kind_look(struct str file, struct str name, struct kind_of *k)
{
    *k = (struct kind_of){0};
    if (file.len == 0)
        set_type(k, "application/x-empty", KIND_EMPTY);
    else if (str_starts(file, STR("PK\3\4")) || str_starts(file, STR("PK\5\6")) ||
             str_starts(file, STR("PK00PK\3\4")))
        set_type(k, "application/zip", KIND_ZIP);
    else if (cfb_is(file))
        set_type(k, "application/x-ole-storage", KIND_COMPOUND);
    else if (str_starts(str_trim(str_head(file, 64)), STR("{\\rt")))
        set_type(k, "text/rtf", KIND_RTF);
    else if (str_find_str(str_head(file, PDF_WITHIN), STR("%PDF-")) != SIZE_MAX)
        set_type(k, "application/pdf", KIND_PDF);
    else
        ask_magic(file, k);
    k->maybe_html = k->kind == KIND_TEXT && is_called_html(name);
}
