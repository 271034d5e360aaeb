#include "tools/extractor/look.h"

#include "core/mail/utf8.h"
#include "tools/extractor/cfb.h"
#include "tools/extractor/container.h"
#include "tools/extractor/helper.h"
#include "tools/extractor/kind.h"
#include "tools/extractor/office.h"
#include "tools/extractor/rtf.h"
#include "tools/extractor/xml_text.h"

enum {
    READ_BYTES = 64 << 10,
};

/* A container that is open, and the file that it lies in. */
struct level {
    struct container container;
    struct spool spool;
    struct office_kind office;
    uint32_t member, depth;
    uint32_t entries;
    bool packed; /* and not yet taken for one file without a name */
};

/* Where text of a member goes. */
struct speech {
    struct job *job;
    uint32_t member;
    bool seen; /* something but blanks */
};

struct walk {
    struct job *job;
    struct level level[LOOK_DEPTH_MAX];
    uint32_t open;
};

static void put_utf8(void *owner, struct str utf8)
{
    struct speech *s = owner;
    for (size_t i = 0; i < utf8.len; i++)
        s->seen = s->seen || (unsigned char)utf8.at[i] > ' ';
    job_text(s->job, s->member, INSPECT_PLAIN, STR("utf-8"), utf8);
}

static bool put_helped(void *owner, struct str bytes)
{
    struct speech *s = owner;
    put_utf8(owner, bytes);
    return !job_stopped(s->job, s->member);
}

static void put_any(void *owner, struct str charset, struct str bytes)
{
    struct speech *s = owner;
    job_text(s->job, s->member, INSPECT_PLAIN, charset, bytes);
}

/* ---- leaves */

static void look_rtf(struct job *j, uint32_t member, struct str file)
{
    static struct rtf r;
    struct speech s = {.job = j, .member = member};
    rtf_init(&r, put_any, &s);
    while (file.len && !job_stopped(j, member)) {
        struct str some = str_head(file, READ_BYTES);
        rtf_feed(&r, some);
        file = str_skip(file, some.len);
    }
    rtf_finish(&r);
    if (r.hidden)
        job_flag(j, member, INSPECT_HIDDEN_DATA);
    if (r.objects)
        job_unreadable(j, member, INSPECT_REASON_FORMAT, "an object inside of RTF");
    else if (r.wrong)
        job_unreadable(j, member, INSPECT_REASON_DAMAGED, "groups of RTF that do not match");
    rtf_drop(&r);
}

static void look_helped(struct job *j, uint32_t member, enum helper h, const struct spool *file)
{
    struct speech s = {.job = j, .member = member};
    bool locked = h == HELPER_PDFTOTEXT && str_find_str(file->seen, STR("/Encrypt")) != SIZE_MAX;
    switch (helper_run(h, file->fd, job_left_ms(j), put_helped, &s)) {
    case HELPER_DONE:
        if (!s.seen && h == HELPER_PDFTOTEXT)
            job_flag(j, member, INSPECT_IS_OPAQUE); /* scanned pages */
        else if (!s.seen)
            job_unreadable(j, member, INSPECT_REASON_HELPER, "no text came out of it");
        break;
    case HELPER_FAILED:
        if (locked)
            job_flag(j, member, INSPECT_IS_ENCRYPTED);
        else
            job_unreadable(j, member, INSPECT_REASON_DAMAGED, "its reader refuses it");
        break;
    case HELPER_DIED:
        job_unreadable(j, member, INSPECT_REASON_HELPER, "its reader died of it");
        break;
    case HELPER_LATE:
        job_stop(j, member, INSPECT_REASON_TIME, "its reader");
        break;
    case HELPER_MISSING:
        job_unreadable(j, member, INSPECT_REASON_HELPER, "its reader is not installed");
        break;
    }
}

struct compound {
    struct cfb cfb;
    bool word, sheet, slides, locked, macros;
    bool odd;                 /* objects inside */
    bool old;                 /* of before Office 97: in a code page that nobody names */
    struct cfb_stream stream; /* of the document */
};

static void note_stream(struct compound *c, const struct cfb_stream *s)
{
    struct str name = str_c(s->name);
    bool word = str_eq(name, STR("WordDocument"));
    bool sheet = str_eq(name, STR("Workbook")) || str_eq(name, STR("Book"));
    bool slides = str_eq(name, STR("PowerPoint Document"));
    if (word || sheet)
        c->stream = *s;
    c->word |= word;
    c->sheet |= sheet;
    c->slides |= slides;
    c->old |= str_eq(name, STR("Book"));
    c->locked |= str_eq(name, STR("EncryptedPackage")) || str_eq(name, STR("EncryptedSummary")) ||
                 str_eq(name, STR("EncryptionInfo")) || str_eq(name, STR("DRMContent"));
    c->macros |= str_eq(name, STR("VBA")) || str_eq(name, STR("Macros")) ||
                 str_eq(name, STR("_VBA_PROJECT_CUR"));
    c->odd |= str_eq(name, STR("ObjectPool")) || str_starts(name, STR("MBD"));
}

/* The mark of encryption in the document itself: of Word in its head, of Excel in the second or
 * third record. */
static bool is_locked(struct compound *c)
{
    struct buffer head;
    bool locked = c->locked;
    buffer_init(&head, 4096);
    if ((c->word || c->sheet) && cfb_read(&c->cfb, &c->stream, 4096, &head)) {
        const unsigned char *at = (const unsigned char *)head.at;
        if (c->word && head.len > 12) {
            locked = locked || at[11] & 1;
            c->old = c->old || at[2] + (at[3] << 8) < 0xC1;
        }
        size_t next = 0;
        for (int i = 0; c->sheet && i < 8 && next + 4 <= head.len; i++) {
            locked = locked || (at[next] == 0x2F && at[next + 1] == 0);
            next += 4 + (size_t)at[next + 2] + ((size_t)at[next + 3] << 8);
        }
    }
    buffer_drop(&head);
    return locked;
}

static const char *compound_type(const struct compound *c)
{
    return c->word     ? "application/msword"
           : c->sheet  ? "application/vnd.ms-excel"
           : c->slides ? "application/vnd.ms-powerpoint"
                       : "application/x-ole-storage";
}

/* False: damaged. */
static bool open_compound(struct compound *c, struct str file)
{
    struct cfb_stream s;
    enum cfb_step step;
    memset(c, 0, sizeof *c);
    if (!cfb_open(&c->cfb, file))
        return false;
    while ((step = cfb_next(&c->cfb, &s)) == CFB_ENTRY)
        if (s.kind)
            note_stream(c, &s);
    c->locked = is_locked(c);
    return step == CFB_END;
}

static void look_compound(struct job *j, uint32_t member, const struct compound *c,
                          const struct spool *file)
{
    if (c->macros)
        job_flag(j, member, INSPECT_HAS_MACROS);
    if (c->locked) {
        job_flag(j, member, INSPECT_IS_ENCRYPTED);
        return;
    }
    if (c->word)
        look_helped(j, member, HELPER_CATDOC, file);
    if (c->sheet)
        look_helped(j, member, HELPER_XLS2CSV, file);
    if (c->slides)
        look_helped(j, member, HELPER_CATPPT, file);
    if (!c->word && !c->sheet && !c->slides)
        job_unreadable(j, member, INSPECT_REASON_FORMAT, "a compound file of another program");
    else if (c->old)
        job_unreadable(j, member, INSPECT_REASON_FORMAT, "a file of before Office 97");
    else if (c->odd)
        job_unreadable(j, member, INSPECT_REASON_FORMAT, "an object inside of an old Office file");
}

static void put_file(struct job *j, uint32_t member, enum inspect_form form, struct str charset,
                     struct str file)
{
    while (file.len && !job_stopped(j, member)) {
        struct str some = str_head(file, INSPECT_PIECE_BYTES);
        job_text(j, member, form, charset, some);
        file = str_skip(file, some.len);
    }
}

static void look_text(struct job *j, uint32_t member, const struct kind_of *k, struct str file)
{
    if (k->kind != KIND_HTML)
        put_file(j, member, INSPECT_PLAIN, str_c(k->charset), file);
    if (k->kind == KIND_HTML || k->maybe_html)
        put_file(j, member, INSPECT_HTML, str_c(k->charset), file);
}

/* ---- containers */

static void open_level(struct walk *w, struct spool *file, uint32_t member, uint32_t depth,
                       struct level *opened)
{
    if (depth >= w->job->limits.depth || w->open == LOOK_DEPTH_MAX) {
        job_unreadable(w->job, member, INSPECT_REASON_DEPTH, "");
        container_close(&opened->container);
        return;
    }
    opened->spool = *file;
    opened->member = member;
    opened->depth = depth;
    file->fd = -1; /* the level's now */
    file->seen = STR("");
    w->level[w->open++] = *opened;
}

/* Of a file that is told as `m`; true: a zip that can be walked. */
static bool try_zip(struct job *j, struct str file, struct level *l)
{
    if (!container_open_zip(&l->container, file, j->limits.members + 1))
        return false;
    office_look(&l->container, &l->office);
    return true;
}

static void look_zip(struct walk *w, struct spool *file, struct inspect_member *m,
                     struct kind_of *k)
{
    struct job *j = w->job;
    struct level l = {0};
    bool good = try_zip(j, file->seen, &l);
    m->type = good ? str_c(l.office.type) : str_c(k->type);
    m->flags |= INSPECT_IS_CONTAINER | (l.office.macros ? INSPECT_HAS_MACROS : 0) |
                (l.office.encrypted ? INSPECT_IS_ENCRYPTED : 0);
    uint32_t member = job_member(j, m);
    const struct zip_look *z = &l.container.look;
    if (!good)
        job_unreadable(j, member, l.container.reason, l.container.why);
    else if (z->bytes > j->limits.expanded)
        job_unreadable(j, member, INSPECT_REASON_BYTES, "what its entries say");
    else if (z->bytes > INSPECT_RATIO_FROM && z->bytes / file->bytes >= j->limits.ratio)
        job_unreadable(j, member, INSPECT_REASON_RATIO, "what its entries say");
    else if (l.office.office == OFFICE_BINARY)
        job_unreadable(j, member, INSPECT_REASON_FORMAT, "binary sheets");
    else if (!l.office.encrypted) {
        open_level(w, file, member, m->depth, &l);
        return;
    }
    container_close(&l.container);
}

static void look_archive(struct walk *w, struct spool *file, uint32_t member, uint32_t depth,
                         bool packed)
{
    struct level l = {.packed = packed};
    if (container_open_archive(&l.container, file->seen,
                               packed ? CONTAINER_PACKED : CONTAINER_LISTED)) {
        open_level(w, file, member, depth, &l);
        return;
    }
    job_unreadable(w->job, member, l.container.reason, l.container.why);
    container_close(&l.container);
}

/* ---- one file */

static uint32_t flags_of(const struct kind_of *k)
{
    switch (k->kind) {
    case KIND_ARCHIVE:
    case KIND_PACKED:
        return INSPECT_IS_CONTAINER;
    case KIND_OPAQUE:
        return INSPECT_IS_OPAQUE;
    case KIND_ENCRYPTED:
        return INSPECT_IS_ENCRYPTED;
    case KIND_MESSAGE:
        return INSPECT_IS_MESSAGE;
    case KIND_UNKNOWN:
    case KIND_EMPTY:
    case KIND_TEXT:
    case KIND_HTML:
    case KIND_RTF:
    case KIND_PDF:
    case KIND_ZIP:
    case KIND_COMPOUND:
        return 0;
    }
    return 0;
}

static void look_told(struct walk *w, struct spool *file, uint32_t member, uint32_t depth,
                      const struct kind_of *k)
{
    struct job *j = w->job;
    bool container = k->kind == KIND_ARCHIVE || k->kind == KIND_PACKED;
    /* behind a program, a picture, anything (ZIP-07); what a container holds is seen anyway */
    if (!container && zip_look_tail(file->seen))
        job_unreadable(j, member, INSPECT_REASON_AMBIGUOUS, "it is a zip, too");
    switch (k->kind) {
    case KIND_TEXT:
    case KIND_HTML:
        look_text(j, member, k, file->seen);
        break;
    case KIND_MESSAGE:
        look_text(j, member, k, file->seen);
        job_unreadable(j, member, INSPECT_REASON_FORMAT, "a mail inside of a file");
        break;
    case KIND_RTF:
        look_rtf(j, member, file->seen);
        break;
    case KIND_PDF:
        look_helped(j, member, HELPER_PDFTOTEXT, file);
        break;
    case KIND_ARCHIVE:
    case KIND_PACKED:
        look_archive(w, file, member, depth, k->kind == KIND_PACKED);
        break;
    case KIND_UNKNOWN:
        job_unreadable(j, member, INSPECT_REASON_FORMAT, k->type);
        break;
    case KIND_EMPTY:
    case KIND_OPAQUE:
    case KIND_ENCRYPTED:
    case KIND_ZIP:
    case KIND_COMPOUND:
        break;
    }
}

/* Takes the spool. */
static void look_at(struct walk *w, struct spool *file, struct inspect_member *m)
{
    struct kind_of k;
    static struct compound c;
    kind_look(file->seen, m->name, &k);
    m->type = str_c(k.type);
    if (k.kind == KIND_ZIP) {
        look_zip(w, file, m, &k);
    } else if (k.kind == KIND_COMPOUND) {
        bool good = open_compound(&c, file->seen);
        m->type = str_c(compound_type(&c));
        uint32_t member = job_member(w->job, m);
        if (good)
            look_compound(w->job, member, &c, file);
        else
            job_unreadable(w->job, member, INSPECT_REASON_DAMAGED, "a compound file");
    } else {
        m->flags |= flags_of(&k);
        uint32_t member = job_member(w->job, m);
        look_told(w, file, member, m->depth, &k);
    }
    spool_drop(file);
}

/* ---- entries */

static bool is_odd(struct str name)
{
    bool odd = name.len == 0 || name.at[0] == '/' || (name.len > 1 && name.at[1] == ':');
    struct str rest = name;
    for (size_t i = 0; i < name.len; i++)
        odd = odd || (unsigned char)name.at[i] < ' ' || name.at[i] == '\\';
    while (rest.len)
        odd = str_eq(str_cut(&rest, '/'), STR("..")) || odd;
    return odd;
}

static uint32_t name_flags(const struct container_entry *e)
{
    return (utf8_is_valid(e->name) ? 0 : INSPECT_NAME_RAW) |
           (is_odd(e->name) ? INSPECT_NAME_ODD : 0);
}

/* What went wrong while an entry was read. */
static void entry_failed(struct job *j, const struct level *l, uint32_t member)
{
    if (l->container.locked)
        job_flag(j, member, INSPECT_IS_ENCRYPTED);
    else
        job_unreadable(j, member, l->container.reason, l->container.why);
}

/* XML of an Office file: text of the file itself. */
static void read_part(struct walk *w, struct level *l)
{
    static char room[READ_BYTES];
    struct job *j = w->job;
    struct speech s = {.job = j, .member = l->member};
    struct xml_text x;
    int64_t n = 0;
    if (!xml_text_init(&x, put_utf8, &s)) {
        job_stop(j, l->member, INSPECT_REASON_MEMORY, "");
        return;
    }
    while (!job_stopped(j, l->member) && (n = container_read(&l->container, room, READ_BYTES)) > 0)
        if (!job_expand(j, l->member, (size_t)n) || !xml_text_feed(&x, str_from(room, (size_t)n)))
            break;
    bool good = xml_text_finish(&x);
    if (n < 0)
        entry_failed(j, l, l->member);
    else if (!good && !j->stopped)
        job_unreadable(j, l->member, INSPECT_REASON_DAMAGED, "XML that cannot be read");
    if (x.hidden)
        job_flag(j, l->member, INSPECT_HIDDEN_DATA);
    xml_text_drop(&x);
}

/* A file of its own. */
static void read_member(struct walk *w, struct level *l, struct inspect_member *m)
{
    static char room[READ_BYTES];
    struct job *j = w->job;
    struct spool file;
    int64_t n = 0;
    bool fits = true;
    if (!spool_open(&file, j->limits.bytes)) {
        job_stop(j, l->member, INSPECT_REASON_MEMORY, "");
        return;
    }
    while (fits && !job_stopped(j, l->member) &&
           (n = container_read(&l->container, room, READ_BYTES)) > 0)
        fits = job_expand(j, l->member, (size_t)n) && spool_put(&file, str_from(room, (size_t)n));
    if (n >= 0 && fits && !j->stopped && spool_see(&file)) {
        m->bytes = file.bytes;
        look_at(w, &file, m);
        return;
    }
    if (!j->stopped) {
        uint32_t member = job_member(j, m);
        if (n < 0)
            entry_failed(j, l, member);
        else
            job_unreadable(j, member, INSPECT_REASON_BYTES, "");
    }
    spool_drop(&file);
}

static void take_entry(struct walk *w, struct level *l, const struct container_entry *e)
{
    enum office office = l->office.office;
    struct inspect_member m = {.parent = l->member,
                               .depth = l->depth + 1,
                               .bytes = e->bytes,
                               .name = e->name,
                               .flags = name_flags(e)};
    if (!job_entry(w->job, l->member) || e->folder)
        return;
    if (e->encrypted || e->link) {
        m.flags |= e->encrypted ? INSPECT_IS_ENCRYPTED : INSPECT_IS_LINK;
        (void)job_member(w->job, &m);
    } else if (office_is_part(office, e->name)) {
        read_part(w, l);
    } else if (office_is_noise(office, e->name)) {
        m.flags |= INSPECT_IS_OPAQUE;
        (void)job_member(w->job, &m);
    } else {
        read_member(w, l, &m);
    }
}

static void close_level(struct walk *w)
{
    struct level *l = &w->level[--w->open];
    container_close(&l->container);
    spool_drop(&l->spool);
}

/* What looked like an empty tar (zeros) is one file. */
static bool open_again(struct level *l)
{
    l->packed = false;
    container_close(&l->container);
    return container_open_archive(&l->container, l->spool.seen, CONTAINER_RAW);
}

static void step(struct walk *w)
{
    struct level *l = &w->level[w->open - 1];
    struct container_entry e;
    switch (container_next(&l->container, &e)) {
    case CONTAINER_ENTRY:
        l->entries++;
        take_entry(w, l, &e);
        return;
    case CONTAINER_BAD:
        job_unreadable(w->job, l->member, l->container.reason, l->container.why);
        break;
    case CONTAINER_LOCKED:
        job_flag(w->job, l->member, INSPECT_IS_ENCRYPTED);
        break;
    case CONTAINER_END:
        if (l->packed && l->entries == 0 && open_again(l))
            return;
        break;
    }
    close_level(w);
}

void look(struct job *j, struct spool *file, struct str name)
{
    static struct walk w;
    struct inspect_member m = {.bytes = file->bytes, .name = name};
    w.job = j;
    look_at(&w, file, &m);
    while (w.open) {
        if (job_stopped(j, w.level[w.open - 1].member))
            close_level(&w);
        else
            step(&w);
    }
}
