/* index.c -- what the index looks like. Format 1. Frozen: add kinds of keys, never change one.
 * Integers are big-endian, so that byte order is numeric order; every key starts with its letter.
 *
 *   'M' id:8               -> where it lies, and the message     state.c
 *   'S' id:8               -> states and accounting              state.c
 *   'D' due_ms:8 id:8      -> lane:4, or empty   one for each message with a timed recipient
 *   'R' id:8 recipient:4   -> last line of the recipient
 *   'U' hash:8 ~id:8       -> (empty)   by reverse-path, newest first; SipHash-1-3, seed 0
 *   'F' finished_ms:8 id:8 -> (empty)   what is final, by time; purged after the history
 *   'K' key                -> document
 *   'P'                    -> position of the journal that is covered, counts      position.c
 *   'T' token              -> id:8
 *   'E' segment:4 extent:4 -> id:8 generation:4   extents of large bodies in use
 *   'L' segment:4          -> generation:4 live messages:8 live bytes:8
 *   'A' id:8               -> (empty)   a recipient is SENDING
 *   'C' id:8 recipient:4   -> payload of the DECIDE record in force
 *   'N' id:8 seq:8 n:4     -> note
 *   'V' id:8               -> (empty)   a recipient is not final
 *
 * Letters O (organisation), X (parcel), G (ledger) are kept for later. There is no log of RocksDB's
 * own: the journal is it. */
#include "storage/index.h"

#include "core/base/base.h"
#include "core/base/heap.h"
#include "core/base/log.h"

#include <rocksdb/c.h>
#include <signal.h>
#include <stdatomic.h>
#include <time.h>

enum {
    WRITE_BUFFER_BYTES = 16 << 20,
    WRITE_BUFFERS = 4, /* two in use; more only while flushes lag */
    CACHE_BYTES = 16 << 20,
    PERSISTED_TIER = 2, /* ReadTier::kPersistedTier: without the memory tables */
    BLOOM_BITS = 10,
    RUNS = 8,
    BLOCK_BYTES = 4096,
};

struct index {
    _Atomic(rocksdb_t *) db;
    atomic_int readers;
    atomic_bool suspect;
    char *path;
    rocksdb_options_t *options;
    rocksdb_cache_t *cache;
    rocksdb_env_t *env;
    rocksdb_writeoptions_t *write;
    rocksdb_readoptions_t *read, *read_durable;
    rocksdb_writebatch_t *batch;
};

struct cursor {
    struct index *ix;
    rocksdb_readoptions_t *options;
    rocksdb_iterator_t *iterator;
    bool moved;
    size_t until_bytes;
    char until[];
};

/* index_logger.cc */
rocksdb_logger_t *index_logger_make(void);
void index_logger_drop(rocksdb_logger_t *logger);

/* Keys of one kind mostly come in order: ids and due times grow. Beside the last of its kind a key
 * finds its place in the memory table without a search. The C interface has this option only as
 * text. */
static void follow_on(struct index *ix)
{
    char *words = NULL;
    rocksdb_options_t *options = rocksdb_options_create();
    rocksdb_get_options_from_string(
        ix->options, "memtable_insert_with_hint_prefix_extractor=rocksdb.FixedPrefix.1", options,
        &words);
    must(!words);
    rocksdb_options_destroy(ix->options);
    ix->options = options;
}

static void make_options(struct index *ix)
{
    ix->cache = rocksdb_cache_create_lru(CACHE_BYTES);
    rocksdb_block_based_table_options_t *table = rocksdb_block_based_options_create();
    rocksdb_block_based_options_set_block_cache(table, ix->cache);
    rocksdb_block_based_options_set_block_size(table, BLOCK_BYTES);
    rocksdb_block_based_options_set_filter_policy(table,
                                                  rocksdb_filterpolicy_create_bloom(BLOOM_BITS));
    /* filters and indexes stay in memory: about ten bytes a message. In the cache they would throw
     * each other out, since one filter is larger than a shard of it. */
    rocksdb_block_based_options_set_cache_index_and_filter_blocks(table, 0);
    rocksdb_block_based_options_set_format_version(table, 5);
    ix->options = rocksdb_options_create();
    rocksdb_options_set_block_based_table_factory(ix->options, table);
    rocksdb_block_based_options_destroy(table);
    ix->env = rocksdb_create_default_env();
    rocksdb_env_set_background_threads(ix->env, 1);
    rocksdb_env_set_high_priority_background_threads(ix->env, 1);
    rocksdb_options_set_env(ix->options, ix->env);
    rocksdb_options_set_create_if_missing(ix->options, 1);
    rocksdb_options_set_paranoid_checks(ix->options, 1);
    rocksdb_options_set_write_buffer_size(ix->options, WRITE_BUFFER_BYTES);
    rocksdb_options_set_max_write_buffer_number(ix->options, WRITE_BUFFERS);
    rocksdb_options_set_target_file_size_base(ix->options, WRITE_BUFFER_BYTES);
    /* sorted runs of like size are merged: a value is rewritten three times instead of ten; reads
     * of one key look into every run, but its filter says no */
    rocksdb_options_set_compaction_style(ix->options, rocksdb_universal_compaction);
    rocksdb_options_set_level0_file_num_compaction_trigger(ix->options, RUNS);
    rocksdb_options_set_max_background_jobs(ix->options, 2);
    rocksdb_options_set_compression(ix->options, rocksdb_lz4_compression);
    rocksdb_logger_t *silent = index_logger_make();
    rocksdb_options_set_info_log(ix->options, silent);
    index_logger_drop(silent);
    rocksdb_options_set_max_manifest_file_size(ix->options, 4 << 20);
    rocksdb_options_set_stats_dump_period_sec(ix->options, 0);
    rocksdb_options_set_stats_persist_period_sec(ix->options, 0);
    rocksdb_options_set_max_open_files(ix->options, 512);
    rocksdb_options_set_allow_concurrent_memtable_write(ix->options, 0);
    follow_on(ix);
    ix->write = rocksdb_writeoptions_create();
    rocksdb_writeoptions_disable_WAL(ix->write, 1);
    ix->read = rocksdb_readoptions_create();
    ix->read_durable = rocksdb_readoptions_create();
    rocksdb_readoptions_set_read_tier(ix->read_durable, PERSISTED_TIER);
    ix->batch = rocksdb_writebatch_create();
}

/* The library starts threads at the first open: they must not take our signals. */
static rocksdb_t *open_quietly(struct index *ix, struct buffer *error)
{
    sigset_t all, before;
    (void)sigfillset(&all);
    (void)pthread_sigmask(SIG_BLOCK, &all, &before);
    char *words = NULL;
    rocksdb_t *db = rocksdb_open(ix->options, ix->path, &words);
    (void)pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (words) {
        buffer_printf(error, "index %s: %s", ix->path, words);
        rocksdb_free(words);
        return NULL;
    }
    return db;
}

void index_thread_start(void)
{
    rocksdb_set_perf_level(rocksdb_disable);
}

struct index *index_make(const char *path)
{
    struct index *ix = heap_take(sizeof *ix);
    make_options(ix);
    atomic_init(&ix->readers, 0);
    atomic_init(&ix->db, NULL);
    atomic_init(&ix->suspect, false);
    index_place(ix, path);
    return ix;
}

void index_place(struct index *ix, const char *path)
{
    must(!atomic_load(&ix->db));
    size_t bytes = strlen(path) + 1;
    char *copy = heap_take(bytes);
    memcpy(copy, path, bytes);
    heap_drop(ix->path);
    ix->path = copy;
}

void index_destroy(struct index *ix)
{
    must(!atomic_load(&ix->db));
    char *words = NULL;
    rocksdb_destroy_db(ix->options, ix->path, &words);
    if (words) /* nothing there: fine */
        rocksdb_free(words);
}

void index_shut(struct index *ix)
{
    rocksdb_t *db = atomic_exchange(&ix->db, NULL);
    if (!db)
        return;
    while (atomic_load(&ix->readers) > 0)
        (void)nanosleep(&(struct timespec){.tv_nsec = 1000000}, NULL);
    rocksdb_close(db);
}

bool index_open(struct index *ix, struct buffer *error)
{
    index_shut(ix);
    index_forget(ix);
    atomic_store(&ix->suspect, false);
    rocksdb_t *db = open_quietly(ix, error);
    atomic_store(&ix->db, db);
    return db != NULL;
}

bool index_is_suspect(const struct index *ix)
{
    return atomic_load_explicit(&ix->suspect, memory_order_relaxed);
}

void index_suspect(struct index *ix)
{
    atomic_store(&ix->suspect, true);
}

void index_close(struct index **ix_p)
{
    struct index *ix = *ix_p;
    if (!ix)
        return;
    index_shut(ix);
    rocksdb_writebatch_destroy(ix->batch);
    rocksdb_readoptions_destroy(ix->read);
    rocksdb_readoptions_destroy(ix->read_durable);
    rocksdb_writeoptions_destroy(ix->write);
    rocksdb_options_destroy(ix->options);
    rocksdb_cache_destroy(ix->cache);
    rocksdb_env_destroy(ix->env);
    heap_drop(ix->path);
    heap_drop(ix);
    *ix_p = NULL;
}

/* Between enter and leave the library's side is not closed. */
static rocksdb_t *enter(struct index *ix)
{
    (void)atomic_fetch_add(&ix->readers, 1);
    rocksdb_t *db = atomic_load(&ix->db);
    if (!db)
        (void)atomic_fetch_sub(&ix->readers, 1);
    return db;
}

static void leave(struct index *ix)
{
    (void)atomic_fetch_sub(&ix->readers, 1);
}

static bool complain(const char *what, char *words)
{
    if (!words)
        return false;
    log_error("index_error", log_text("what", what), log_text("reason", words));
    rocksdb_free(words);
    return true;
}

static enum index_result get(struct index *ix, const rocksdb_readoptions_t *how, struct str key,
                             struct buffer *value)
{
    rocksdb_t *db = enter(ix);
    if (!db)
        return INDEX_BROKEN;
    char *words = NULL;
    rocksdb_pinnableslice_t *found = rocksdb_get_pinned(db, how, key.at, key.len, &words);
    enum index_result result = found ? INDEX_FOUND : INDEX_ABSENT;
    if (found) {
        size_t length = 0;
        const char *at = rocksdb_pinnableslice_value(found, &length);
        buffer_put(value, str_from(at, length));
        rocksdb_pinnableslice_destroy(found);
        if (value->full)
            result = INDEX_BROKEN;
    }
    leave(ix);
    if (!complain("get", words))
        return result;
    index_suspect(ix);
    return INDEX_BROKEN;
}

enum index_result index_get(struct index *ix, struct str key, struct buffer *value)
{
    return get(ix, ix->read, key, value);
}

enum index_result index_get_durable(struct index *ix, struct str key, struct buffer *value)
{
    return get(ix, ix->read_durable, key, value);
}

void index_put(struct index *ix, struct str key, struct str value)
{
    rocksdb_writebatch_put(ix->batch, key.at, key.len, value.at, value.len);
}

void index_delete(struct index *ix, struct str key)
{
    rocksdb_writebatch_delete(ix->batch, key.at, key.len);
}

void index_forget(struct index *ix)
{
    rocksdb_writebatch_clear(ix->batch);
}

bool index_write(struct index *ix)
{
    rocksdb_t *db = atomic_load(&ix->db);
    if (!db)
        return false;
    char *words = NULL;
    rocksdb_write(db, ix->write, ix->batch, &words);
    rocksdb_writebatch_clear(ix->batch);
    return !complain("write", words);
}

bool index_flush(struct index *ix, bool wait)
{
    rocksdb_t *db = atomic_load(&ix->db);
    if (!db)
        return false;
    rocksdb_flushoptions_t *how = rocksdb_flushoptions_create();
    rocksdb_flushoptions_set_wait(how, wait);
    char *words = NULL;
    rocksdb_flush(db, how, &words);
    rocksdb_flushoptions_destroy(how);
    return !complain("flush", words);
}

struct cursor *cursor_open(struct index *ix, struct str from, struct str until)
{
    rocksdb_t *db = enter(ix);
    if (!db)
        return NULL;
    struct cursor *c = heap_take(sizeof *c + until.len);
    c->ix = ix;
    c->until_bytes = until.len;
    memcpy(c->until, until.at, until.len);
    c->options = rocksdb_readoptions_create();
    rocksdb_readoptions_set_iterate_upper_bound(c->options, c->until, c->until_bytes);
    c->iterator = rocksdb_create_iterator(db, c->options);
    rocksdb_iter_seek(c->iterator, from.at, from.len);
    return c;
}

enum index_result cursor_next(struct cursor *c, struct str *key, struct str *value)
{
    if (c->moved && rocksdb_iter_valid(c->iterator))
        rocksdb_iter_next(c->iterator);
    c->moved = true;
    if (!rocksdb_iter_valid(c->iterator)) {
        char *words = NULL;
        rocksdb_iter_get_error(c->iterator, &words);
        if (!complain("scan", words))
            return INDEX_ABSENT;
        index_suspect(c->ix);
        return INDEX_BROKEN;
    }
    key->at = rocksdb_iter_key(c->iterator, &key->len);
    value->at = rocksdb_iter_value(c->iterator, &value->len);
    return INDEX_FOUND;
}

void cursor_seek(struct cursor *c, struct str key)
{
    rocksdb_iter_seek(c->iterator, key.at, key.len);
    c->moved = false;
}

void cursor_close(struct cursor **c_p)
{
    struct cursor *c = *c_p;
    if (!c)
        return;
    rocksdb_iter_destroy(c->iterator);
    rocksdb_readoptions_destroy(c->options);
    leave(c->ix);
    heap_drop(c);
    *c_p = NULL;
}
