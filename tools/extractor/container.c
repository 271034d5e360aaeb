#include "tools/extractor/container.h"

#include "core/base/heap.h"

#include <archive.h>
#include <archive_entry.h>
#include <zip.h>

/* ---- zip */

static bool refuse(struct container *c, enum inspect_reason reason, const char *why)
{
    c->reason = reason;
    c->why = why;
    return false;
}

static bool check_look(struct container *c, enum zip_look_status status)
{
    switch (status) {
    case ZIP_LOOK_GOOD:
        return true;
    case ZIP_LOOK_NONE:
    case ZIP_LOOK_DAMAGED:
        return refuse(c, INSPECT_REASON_DAMAGED, c->look.why);
    case ZIP_LOOK_DIFFERS:
        return refuse(c, INSPECT_REASON_AMBIGUOUS, c->look.why);
    case ZIP_LOOK_OVERLAPS:
        return refuse(c, INSPECT_REASON_RATIO, c->look.why);
    case ZIP_LOOK_MANY:
        return refuse(c, INSPECT_REASON_MEMBERS, c->look.why);
    case ZIP_LOOK_DISKS:
        return refuse(c, INSPECT_REASON_FORMAT, c->look.why);
    }
    return false;
}

bool container_open_zip(struct container *c, struct str file, uint32_t entries_max)
{
    zip_error_t error;
    *c = (struct container){.is_zip = true};
    buffer_init(&c->text, 256);
    /* an entry of a directory takes 46 bytes */
    c->look.room = size_min(entries_max, file.len / 46 + 1);
    c->look.entries = heap_try(c->look.room * sizeof *c->look.entries);
    c->places = heap_try(c->look.room * sizeof *c->places);
    if (!c->look.entries || !c->places)
        return refuse(c, INSPECT_REASON_MEMORY, "");
    if (!check_look(c, zip_look(file, &c->look, c->places)))
        return false;
    zip_error_init(&error);
    zip_source_t *source = zip_source_buffer_create(file.at, file.len, 0, &error);
    c->zip = source ? zip_open_from_source(source, ZIP_RDONLY, &error) : NULL;
    if (!c->zip && source)
        zip_source_free(source);
    zip_error_fini(&error);
    if (!c->zip)
        return refuse(c, INSPECT_REASON_DAMAGED, "libzip refuses it");
    if (zip_get_num_entries(c->zip, 0) != (zip_int64_t)c->look.count)
        return refuse(c, INSPECT_REASON_AMBIGUOUS, "two counts of its entries");
    return true;
}

static void close_file(struct container *c)
{
    if (c->file)
        (void)zip_fclose(c->file);
    c->file = NULL;
}

static enum container_step next_zip(struct container *c, struct container_entry *e)
{
    close_file(c);
    if (c->at == c->look.count)
        return CONTAINER_END;
    const struct zip_look_entry *z = &c->look.entries[c->at++];
    *e = (struct container_entry){
        .name = z->name,
        .bytes = z->bytes,
        .folder = z->name.len && z->name.at[z->name.len - 1] == '/' && z->bytes == 0,
        .encrypted = z->flags & 1,
        .unicode = z->unicode,
    };
    return CONTAINER_ENTRY;
}

static int64_t read_zip(struct container *c, char *at, size_t room)
{
    if (!c->file)
        c->file = zip_fopen_index(c->zip, c->at - 1, 0);
    zip_int64_t n = c->file ? zip_fread(c->file, at, room) : -1;
    if (n >= 0)
        return n;
    int code = zip_error_code_zip(c->file ? zip_file_get_error(c->file) : zip_get_error(c->zip));
    c->locked = code == ZIP_ER_NOPASSWD || code == ZIP_ER_WRONGPASSWD;
    c->reason = code == ZIP_ER_COMPNOTSUPP || code == ZIP_ER_ENCRNOTSUPP ? INSPECT_REASON_FORMAT
                : code == ZIP_ER_MEMORY                                  ? INSPECT_REASON_MEMORY
                                                                         : INSPECT_REASON_DAMAGED;
    c->why = "an entry of a zip";
    return -1;
}

bool container_has(const struct container *c, const char *name)
{
    for (size_t i = 0; i < c->look.count; i++)
        if (str_starts_nocase(c->look.entries[i].name, str_c(name)))
            return true;
    return false;
}

bool container_peek(struct container *c, const char *name, uint64_t max, struct buffer *out)
{
    size_t saved = c->at, i = 0;
    while (i < c->look.count && !str_eq(c->look.entries[i].name, str_c(name)))
        i++;
    if (i == c->look.count || (c->look.entries[i].flags & 1))
        return false;
    int64_t n = 1;
    c->at = i + 1;
    while (n > 0 && out->len < max) {
        char *to = buffer_reserve(out, (size_t)u64_min(max - out->len, 16 << 10));
        n = to ? container_read(c, to, (size_t)u64_min(max - out->len, 16 << 10)) : -1;
        buffer_added(out, n > 0 ? (size_t)n : 0);
    }
    close_file(c);
    c->at = saved;
    return n >= 0;
}

/* ---- others */

static const struct {
    int (*add)(struct archive *a);
    unsigned hints;
} readers[] = {

#define FILES (1u << CONTAINER_LISTED | 1u << CONTAINER_PACKED)
#define WHOLE (1u << CONTAINER_PACKED | 1u << CONTAINER_RAW)
    {archive_read_support_format_7zip, FILES},     {archive_read_support_format_rar, FILES},
    {archive_read_support_format_rar5, FILES},     {archive_read_support_format_tar, FILES},
    {archive_read_support_format_lha, FILES},      {archive_read_support_format_cab, FILES},
    {archive_read_support_format_cpio, FILES},     {archive_read_support_format_iso9660, FILES},
    {archive_read_support_format_ar, FILES},       {archive_read_support_format_xar, FILES},
    {archive_read_support_format_raw, WHOLE},      {archive_read_support_filter_gzip, WHOLE},
    {archive_read_support_filter_bzip2, WHOLE},    {archive_read_support_filter_xz, WHOLE},
    {archive_read_support_filter_lzma, WHOLE},     {archive_read_support_filter_lzip, WHOLE},
    {archive_read_support_filter_zstd, WHOLE},     {archive_read_support_filter_lz4, WHOLE},
    {archive_read_support_filter_compress, WHOLE},
#undef FILES
#undef WHOLE
};

bool container_open_archive(struct container *c, struct str file, enum container_hint hint)
{
    *c = (struct container){0};
    buffer_init(&c->text, 256);
    c->archive = archive_read_new();
    if (!c->archive)
        return refuse(c, INSPECT_REASON_MEMORY, "");
    for (size_t i = 0; i < countof(readers); i++)
        if (readers[i].hints & 1u << hint)
            (void)readers[i].add(c->archive); /* a warning is a format that then is not read */
    /* a tar goes on behind its end for some programs */
    (void)archive_read_set_format_option(c->archive, "tar", "read_concatenated_archives", "1");
    if (archive_read_open_memory(c->archive, file.at, file.len) == ARCHIVE_OK)
        return true;
    return refuse(c, INSPECT_REASON_DAMAGED, "libarchive refuses it");
}

/* What libarchive says of an error, and whether that is encryption. */
static void take_error(struct container *c)
{
    const char *said = archive_error_string(c->archive);
    buffer_clear(&c->text);
    buffer_put(&c->text, str_head(str_c(said ? said : "libarchive"), 200));
    buffer_putc(&c->text, 0);
    c->why = c->text.at ? c->text.at : "";
    c->locked = strcasestr(c->why, "encrypt") || strcasestr(c->why, "passphrase");
    c->reason = strcasestr(c->why, "support")          ? INSPECT_REASON_FORMAT
                : strcasestr(c->why, "can't allocate") ? INSPECT_REASON_MEMORY
                                                       : INSPECT_REASON_DAMAGED;
}

static enum container_step next_archive(struct container *c, struct container_entry *e)
{
    struct archive_entry *a;
    int status = archive_read_next_header(c->archive, &a);
    if (status == ARCHIVE_EOF)
        return CONTAINER_END;
    if (status != ARCHIVE_OK && status != ARCHIVE_WARN) {
        take_error(c);
        c->locked = c->locked || archive_read_has_encrypted_entries(c->archive) > 0;
        return c->locked ? CONTAINER_LOCKED : CONTAINER_BAD;
    }
    const char *name = archive_entry_pathname_utf8(a);
    *e = (struct container_entry){
        .unicode = name != NULL,
        .name = str_c(name ? name : archive_entry_pathname(a)),
        .bytes = archive_entry_size_is_set(a) ? (uint64_t)archive_entry_size(a) : UINT64_MAX,
        .folder = archive_entry_filetype(a) == AE_IFDIR,
        .link = (archive_entry_filetype(a) != AE_IFREG && archive_entry_filetype(a) != 0 &&
                 archive_entry_filetype(a) != AE_IFDIR) ||
                archive_entry_hardlink(a),
        .encrypted = archive_entry_is_data_encrypted(a) || archive_entry_is_metadata_encrypted(a),
    };
    return CONTAINER_ENTRY;
}

static int64_t read_archive(struct container *c, char *at, size_t room)
{
    la_ssize_t n;
    do
        n = archive_read_data(c->archive, at, room);
    while (n == ARCHIVE_RETRY);
    if (n >= 0)
        return n;
    take_error(c);
    return -1;
}

/* ---- both */

enum container_step container_next(struct container *c, struct container_entry *e)
{
    c->locked = false;
    return c->is_zip ? next_zip(c, e) : next_archive(c, e);
}

int64_t container_read(struct container *c, char *at, size_t room)
{
    return c->is_zip ? read_zip(c, at, room) : read_archive(c, at, room);
}

void container_close(struct container *c)
{
    close_file(c);
    if (c->zip)
        zip_discard(c->zip);
    if (c->archive)
        (void)archive_read_free(c->archive);
    heap_drop(c->look.entries);
    heap_drop(c->places);
    buffer_drop(&c->text);
}
