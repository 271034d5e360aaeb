/* main_options.h -- the daemon's command line.
 *
 * Thread   the first. Memory: for the life of the program.
 */
#ifndef CORE_MAIN_OPTIONS_H
#define CORE_MAIN_OPTIONS_H

#include "core/base/setting.h"

enum {
    OPTIONS_OVERRIDES_MAX = 256
};

struct options {
    const char *config; /* NULL: defaults only */
    struct str overrides[OPTIONS_OVERRIDES_MAX];
    size_t override_count;
    bool check;
};

/* False: the program is to end with `*status` (help, version, wrong usage). */
NODISCARD bool options_parse(int argc, char **argv, struct options *o, int *status);

/* Reads the config file and the overrides. NULL: `errors`. */
NODISCARD struct settings *options_load(const struct options *o, struct buffer *errors);

#endif
