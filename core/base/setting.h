/* setting.h -- the config file: one annotated YAML file, checked as a whole.
 *
 * Thread   settings_load(): any. The result is immutable and shared; settings_drop() by whoever
 *          knows that nobody uses it any more (core/coordinator/publish).
 * Errors   every problem of the file is reported, "FILE:LINE:COLUMN: text (did you mean …?)", and
 *          nothing is returned: a bad file never replaces a running one.
 */
#ifndef CORE_BASE_SETTING_H
#define CORE_BASE_SETTING_H

#include "core/base/buffer.h"

struct str_list {
    const struct str *at;
    size_t count;
};

#define SETTING_FIELD_NUMBER   uint64_t
#define SETTING_FIELD_DURATION uint64_t
#define SETTING_FIELD_SIZE     uint64_t
#define SETTING_FIELD_FLAG     bool
#define SETTING_FIELD_TEXT     struct str
#define SETTING_FIELD_LIST     struct str_list

struct settings {
#define SETTING(name, type, standard, min, max, when, why) SETTING_FIELD_##type name;
#include "core/base/setting.def"
#undef SETTING
    struct arena *arena; /* owns the texts */
};

/* `text` is the file's content, `name` its name for messages, `overrides` are "key=value" entries
 * that win over the file (the command line's --set). NULL: `errors` has one line a problem. */
NODISCARD struct settings *settings_load(struct str text, const char *name,
                                         const struct str *overrides, size_t override_count,
                                         struct buffer *errors);
void settings_drop(struct settings **s);

/* The annotated file with every setting at its default, commented: systemd/sekimori.yaml. */
void settings_write_example(struct buffer *out);

/* `key: value` lines of all settings in force; for `sekictl config show`. */
void settings_write(const struct settings *s, struct buffer *out);

/* Names of settings that differ and need a restart, separated by blanks. */
void settings_restart_needed(const struct settings *old, const struct settings *new,
                             struct buffer *names);

/* "300s" "5m" "2h" "7d" "50ms" -> ms; "10MiB" "500kB" "4096" -> bytes. Shared with the rule file.
 * */
NODISCARD bool setting_duration(struct str text, uint64_t *ms);
NODISCARD bool setting_size(struct str text, uint64_t *bytes);

/* The nearest of `names` to a misspelt word, or an empty str when none is near. */
struct str setting_suggest(struct str word, const struct str *names, size_t count);

#endif
