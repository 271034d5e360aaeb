#include "core/coordinator/publish.h"

#include "core/base/heap.h"
#include "core/base/log.h"
#include "core/coordinator/state.h"
#include "core/io/own.h"
#include "core/policy/directory.h"
#include "core/policy/rulefile.h"

#include <errno.h>
#include <fcntl.h>
#include <pwd.h>
#include <sys/stat.h>
#include <unistd.h>

enum {
    CONFIG_BYTES_MAX = 1 << 20,
    ORGANISATIONS_MAX = 100000,
    DOCUMENT_ARENA_BYTES = 1 << 30, /* all documents at once, while a directory is made */
    NAMES_ARENA_BYTES = 4096 + LIMIT_OWN_ADDRESSES * (int)sizeof(struct network),
};

static const struct str document_prefix = STR_INIT("organisation/");

/* --- what publications share ----------------------------------------------------------------- */

static void drop_settings(void *object)
{
    struct settings *s = object;
    settings_drop(&s);
}

static void drop_directory(void *object)
{
    struct directory *d = object;
    directory_drop(&d);
}

static struct shared *share(void *object, void (*drop)(void *object))
{
    struct shared *s = heap_take(sizeof *s);
    *s = (struct shared){.object = object, .drop = drop, .refs = 0};
    return s;
}

static struct shared *use(struct shared *s)
{
    s->refs++;
    return s;
}

static void unuse(struct shared *s)
{
    if (--s->refs > 0)
        return;
    s->drop(s->object);
    heap_drop(s);
}

/* --- publications ---------------------------------------------------------------------------- */

static void publication_drop(struct publication *p)
{
    list_remove(&p->link);
    unuse(p->settings);
    unuse(p->directory);
    arena_drop(&p->arena);
    heap_drop(p);
}

static struct publication *of(struct snapshot *s)
{
    return owner_of(s, struct publication, snapshot);
}

static struct str machine_name(struct arena *arena)
{
    char name[256] = "";
    if (gethostname(name, sizeof name - 1) != 0 || name[0] == '\0')
        return STR("localhost");
    struct str copy = arena_copy(arena, str_c(name));
    return copy.at ? copy : STR("localhost");
}

/* Names become numbers once, here: accepting a client must not wait for a name service. */
static void find_control_users(struct publication *p)
{
    const struct str_list *users = &p->snapshot.settings->control_users;
    for (size_t i = 0; i < users->count && p->control_uid_count < PUBLISH_CONTROL_USERS; i++) {
        char name[64];
        char room[4096];
        struct passwd entry;
        struct passwd *found = NULL;
        if (users->at[i].len == 0 || users->at[i].len >= sizeof name)
            continue;
        memcpy(name, users->at[i].at, users->at[i].len);
        name[users->at[i].len] = '\0';
        if (getpwnam_r(name, &entry, room, sizeof room, &found) == 0 && found)
            p->control_uids[p->control_uid_count++] = found->pw_uid;
        else
            log_warning("control_user_unknown", log_text("user", name));
    }
}

/* Asked for here, at start and at each reload: a worker must not wait for it. */
static void find_addresses(struct publication *p)
{
    struct network *at = arena_take(&p->arena, LIMIT_OWN_ADDRESSES * sizeof *at);
    if (!at)
        return;
    size_t count = own_addresses(at, LIMIT_OWN_ADDRESSES);
    p->snapshot.addresses = at;
    p->snapshot.address_count = size_min(count, LIMIT_OWN_ADDRESSES);
    if (count > LIMIT_OWN_ADDRESSES)
        log_warning("many_addresses", log_u64("count", count),
                    log_text("hint", "loops through those beyond 1024 are found by Received only"));
}

static struct publication *publication_make(struct shared *settings, struct shared *directory,
                                            uint64_t generation)
{
    struct publication *p = heap_take(sizeof *p);
    struct snapshot *s = &p->snapshot;
    list_init(&p->link);
    arena_init(&p->arena, NAMES_ARENA_BYTES);
    p->settings = use(settings);
    p->directory = use(directory);
    s->generation = generation;
    s->settings = settings->object;
    s->directory = directory->object;
    s->hostname = s->settings->hostname.len ? s->settings->hostname : machine_name(&p->arena);
    s->notice_domain = s->settings->notice_domain.len ? s->settings->notice_domain : s->hostname;
    find_control_users(p);
    find_addresses(p);
    return p;
}

void publish_init(struct publish *p, struct snapshot *first)
{
    list_init(&p->publications);
    p->current = of(first);
    list_append(&p->publications, &p->current->link);
}

void publish_drop(struct publish *p)
{
    while (!list_empty(&p->publications))
        publication_drop(owner_of(p->publications.next, struct publication, link));
    p->current = NULL;
}

/* --- the config file ------------------------------------------------------------------------- */

static bool read_file(const char *path, struct buffer *text, struct buffer *errors)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    struct stat st;
    int error = fd < 0 || fstat(fd, &st) != 0 ? errno : 0;
    if (!error && (!S_ISREG(st.st_mode) || st.st_size > CONFIG_BYTES_MAX))
        error = EFBIG;
    while (!error) {
        char *at = buffer_reserve(text, 4096);
        ssize_t got = at ? read(fd, at, 4096) : -1;
        if (got < 0)
            error = at ? errno : EFBIG;
        if (got <= 0)
            break;
        buffer_added(text, (size_t)got);
    }
    if (fd >= 0)
        (void)close(fd);
    if (error)
        buffer_printf(errors, "%s: %s\n", path, strerrordesc_np(error));
    return error == 0;
}

static struct settings *load_settings(const struct coordinator_settings *s, struct buffer *errors)
{
    struct buffer text;
    struct settings *settings = NULL;
    buffer_init(&text, CONFIG_BYTES_MAX + 4096);
    if (!s->config_path || read_file(s->config_path, &text, errors))
        settings = settings_load(buffer_str(&text), s->config_path ? s->config_path : "defaults",
                                 s->overrides, s->override_count, errors);
    buffer_drop(&text);
    return settings;
}

/* --- the registry ---------------------------------------------------------------------------- */

/* All organisations, `name` replaced by `text` (empty: left out). */
struct gather {
    struct organisation **at;
    size_t count, room;
    struct zones *zones;
    bool bad;
};

static void gather_one(struct gather *g, struct str text, struct str key, struct buffer *errors)
{
    char name[300];
    struct buffer label;
    const struct rulefile_options options = {.zones = g->zones};
    buffer_init(&label, sizeof name);
    buffer_put(&label, key);
    buffer_putc(&label, '\0');
    struct organisation *o =
        rulefile_read(text, label.full ? "organisation" : label.at, &options, errors);
    buffer_drop(&label);
    if (!o) {
        g->bad = true;
        return;
    }
    if (g->count == g->room) {
        size_t room = g->room ? g->room * 2 : 16;
        struct organisation **at = heap_grow(g->at, room * sizeof(struct organisation *));
        must(at != NULL);
        g->at = at;
        g->room = room;
    }
    g->at[g->count++] = o;
}

static struct directory *make_directory(const struct coordinator_settings *set, struct str name,
                                        struct str text, struct buffer *errors)
{
    const struct partition *registry = set->registry;
    struct gather g = {.zones = set->zones};
    struct view_documents *cursor = NULL;
    struct arena arena;
    struct str key;
    struct str value;
    struct directory *directory = NULL;
    arena_init(&arena, DOCUMENT_ARENA_BYTES);
    while (registry && g.count < ORGANISATIONS_MAX &&
           view_documents(registry, document_prefix, &cursor, &arena, &key, &value)) {
        if (!str_eq(str_skip(key, document_prefix.len), name))
            gather_one(&g, value, key, errors);
        arena_reset(&arena);
    }
    view_documents_close(&cursor);
    arena_drop(&arena);
    if (text.len)
        gather_one(&g, text, name, errors);
    if (!g.bad)
        directory = directory_make(g.at, g.count, errors);
    for (size_t i = 0; i < g.count && !directory; i++)
        organisation_drop(&g.at[i]);
    heap_drop(g.at);
    return directory;
}

static bool store(struct partition *registry, struct str name, struct str text,
                  struct buffer *errors)
{
    struct unit *unit = unit_make();
    struct buffer key;
    if (!unit) {
        buffer_puts(errors, "no memory\n");
        return false;
    }
    buffer_init(&key, 512);
    buffer_put(&key, document_prefix);
    buffer_put(&key, name);
    unit_add_document(unit, buffer_str(&key), text);
    partition_commit(registry, unit);
    buffer_drop(&key);
    enum commit_result result = unit->result;
    unit_drop(&unit);
    if (result != COMMIT_SYNCED)
        buffer_puts(errors, result == COMMIT_FULL ? "the disk is full; nothing was changed\n"
                                                  : "the registry can't write\n");
    return result == COMMIT_SYNCED;
}

static void set_log_level(struct str name)
{
    static const char *const names[] = {"debug", "info", "warning", "error"};
    for (unsigned i = 0; i < countof(names); i++)
        if (str_eq(name, str_c(names[i])))
            log_level_set((enum log_level)i);
}

/* --- publishing ------------------------------------------------------------------------------ */

struct snapshot *publish_first(const struct coordinator_settings *s, struct buffer *errors)
{
    struct settings *settings = load_settings(s, errors);
    if (!settings)
        return NULL;
    struct directory *directory = make_directory(s, STR(""), STR(""), errors);
    if (!directory) {
        settings_drop(&settings);
        return NULL;
    }
    struct publication *p =
        publication_make(share(settings, drop_settings), share(directory, drop_directory), 1);
    p->snapshot.users = s->worker_count;
    return &p->snapshot;
}

static void drop_unused(struct publish *p)
{
    list_each_safe(entry, &p->publications) {
        struct publication *old = owner_of(entry, struct publication, link);
        if (old != p->current && old->snapshot.users == 0)
            publication_drop(old);
    }
}

static void publish(struct coordinator *c, struct shared *settings, struct shared *directory)
{
    struct publish *p = &c->publish;
    uint64_t generation = p->current->snapshot.generation + 1;
    struct publication *new = publication_make(settings, directory, generation);
    const struct cell cell = {.kind = CELL_PUBLISH, .object = &new->snapshot};
    new->snapshot.users = c->set.worker_count;
    list_append(&p->publications, &new->link);
    p->current = new;
    set_log_level(new->snapshot.settings->log_level);
    for (uint32_t i = 0; i < c->set.worker_count; i++)
        coordinator_put_worker(c, i, &cell);
    drop_unused(p);
    log_info("published", log_u64("generation", generation));
}

void publish_adopted(struct coordinator *c, uint32_t worker, const struct snapshot *old)
{
    list_each(entry, &c->publish.publications) {
        struct publication *p = owner_of(entry, struct publication, link);
        if (&p->snapshot != old)
            continue;
        must(p->snapshot.users > 0);
        p->snapshot.users--;
        c->workers[worker].generation = p->snapshot.generation + 1;
        drop_unused(&c->publish);
        return;
    }
    must(!"a worker put away a snapshot that we know");
}

bool publish_settled(const struct coordinator *c)
{
    uint64_t current = c->publish.current->snapshot.generation;
    for (uint32_t i = 0; i < c->set.worker_count; i++)
        if (current > 1 && c->workers[i].generation < current)
            return false;
    return true;
}

static void log_lines(const char *event, struct str lines)
{
    while (lines.len) {
        struct str line = str_cut(&lines, '\n');
        if (line.len)
            log_error(event, log_str("error", line));
    }
}

bool publish_check(struct coordinator *c, struct buffer *errors, struct buffer *restart)
{
    struct settings *new = load_settings(&c->set, errors);
    if (!new)
        return false;
    settings_restart_needed(c->publish.current->snapshot.settings, new, restart);
    settings_drop(&new);
    return true;
}

bool publish_reload(struct coordinator *c, struct buffer *errors, struct buffer *restart)
{
    struct settings *new = load_settings(&c->set, errors);
    if (!new) {
        log_lines("reload_refused", buffer_str(errors));
        return false;
    }
    settings_restart_needed(c->publish.current->snapshot.settings, new, restart);
    publish(c, share(new, drop_settings), c->publish.current->directory);
    return true;
}

bool publish_organisation(struct coordinator *c, struct str name, struct str text,
                          struct buffer *errors)
{
    struct directory *directory = make_directory(&c->set, name, text, errors);
    if (!directory)
        return false;
    if (!store(c->set.registry, name, text, errors)) {
        directory_drop(&directory);
        return false;
    }
    publish(c, c->publish.current->settings, share(directory, drop_directory));
    return true;
}

bool publish_may_control(const struct publish *p, uid_t uid)
{
    if (uid == 0 || uid == geteuid())
        return true;
    for (size_t i = 0; i < p->current->control_uid_count; i++)
        if (p->current->control_uids[i] == uid)
            return true;
    return false;
}
