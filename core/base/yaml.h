/* yaml.h -- a YAML text as a tree that knows where everything stands; for files that people write.
 *
 * Only what cannot surprise: texts, lists and mappings. Tabs, anchors, aliases, tags,
 * directives, a second document, a key that is no text and a key given twice are errors.
 *
 * Thread   one a doc.
 * Memory   nodes and texts live in the arena given; they outlive the doc.
 * Cost     O(bytes), and O(keys * keys) in one mapping, of which DOC_KEYS are allowed.
 * Errors   "NAME:LINE:COLUMN: text" lines in `errors`, columns in characters from 1; `error_count`
 *          says how many. What is no YAML ends the reading: then there is no root.
 */
#ifndef CORE_BASE_YAML_H
#define CORE_BASE_YAML_H

#include "core/base/arena.h"
#include "core/base/buffer.h"

enum {
    DOC_DEPTH = 40,    /* nested lists and mappings */
    DOC_KEYS = 10000,  /* of one mapping */
    DOC_ERRORS = 1000, /* lines written; more are only counted */
};

enum node_kind {
    NODE_TEXT,
    NODE_LIST,
    NODE_MAP
};

struct node {
    enum node_kind kind;
    bool is_plain; /* a text without quotes */
    uint32_t line, column;
    struct str text;
    struct node *key;    /* of a mapping's entry */
    struct node *parent; /* the list or mapping that it stands in */
    struct node *first, *last, *next;
    struct node *pending; /* while a mapping is read: a key whose value comes next */
    size_t count;         /* of entries */
};

struct doc {
    const char *name;
    struct arena *arena;
    struct buffer *errors;
    size_t error_count;
    struct node *root; /* NULL: an empty file, or errors */
};

/* True when it is YAML; `error_count` also counts what is YAML but not allowed here. */
NODISCARD bool doc_read(struct doc *d, struct str text, const char *name, struct arena *arena,
                        struct buffer *errors);

/* The value of a key, or NULL. */
const struct node *node_get(const struct node *map, struct str key);

/* Written without quotes: nothing, ~ or null. */
bool node_is_missing(const struct node *n);

void doc_error(struct doc *d, const struct node *at, const char *format, ...) PRINTFLIKE(3, 4);

/* The same with " (did you mean 'x'?)" behind it when `suggestion` is not empty. */
void doc_error_near(struct doc *d, const struct node *at, struct str suggestion, const char *format,
                    ...) PRINTFLIKE(4, 5);

/* Text from a file made safe for one line of a message: cut, controls as '?'. */
struct doc_shown {
    char at[84];
};

struct doc_shown doc_show(struct str s);

/* One text as YAML, in quotes where it needs them; good in a list and as a key too. */
void doc_write_text(struct buffer *out, struct str s);

/* A tree in flow style, on one line: [a, b], {key: value}. */
void doc_write_node(struct buffer *out, const struct node *top);

#endif
