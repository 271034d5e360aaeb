#include "core/main_options.h"

#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <stdio.h>
#include <unistd.h>

enum {
    CONFIG_BYTES_MAX = 1 << 20,
    EXIT_USAGE = 64
};

static const char help[] =
    "usage: sekimori [--config FILE] [--set KEY=VALUE]... [--check]\n"
    "\n"
    "An outbound mail gateway: holds every mail a while, so that its sender can take it back.\n"
    "\n"
    "  -c, --config FILE      settings, see sekimori.yaml; default\n"
    "                         /etc/sekimori/sekimori.yaml when that exists\n"
    "  -s, --set KEY=VALUE    one setting, wins over the file; lists are comma separated\n"
    "      --check            check the settings and exit\n"
    "      --example          print the annotated settings file with all defaults\n"
    "  -V, --version\n"
    "  -h, --help\n"
    "\n"
    "Stop it with SIGTERM, make it read its settings again with SIGHUP, talk to it with\n"
    "sekictl(1).\n";

static const char standard_config[] = "/etc/sekimori/sekimori.yaml";

static int print_example(void)
{
    struct buffer out;
    buffer_init(&out, CONFIG_BYTES_MAX);
    settings_write_example(&out);
    (void)fwrite(out.at, 1, out.len, stdout);
    buffer_drop(&out);
    return 0;
}

static bool add_override(struct options *o, const char *text)
{
    if (o->override_count == OPTIONS_OVERRIDES_MAX) {
        (void)fprintf(stderr, "sekimori: more than %d --set\n", OPTIONS_OVERRIDES_MAX);
        return false;
    }
    o->overrides[o->override_count++] = str_c(text);
    return true;
}

bool options_parse(int argc, char **argv, struct options *o, int *status)
{
    static const struct option names[] = {
        {"config", required_argument, NULL, 'c'},
        {"set", required_argument, NULL, 's'},
        {"check", no_argument, NULL, 'k'},
        {"example", no_argument, NULL, 'e'},
        {"version", no_argument, NULL, 'V'},
        {"help", no_argument, NULL, 'h'},
        {NULL, 0, NULL, 0},
    };
    *o = (struct options){0};
    *status = 0;
    for (int c; (c = getopt_long(argc, argv, "c:s:Vh", names, NULL)) != -1;) {
        switch (c) {
        case 'c':
            o->config = optarg;
            break;
        case 's':
            if (!add_override(o, optarg)) {
                *status = EXIT_USAGE;
                return false;
            }
            break;
        case 'k':
            o->check = true;
            break;
        case 'e':
            *status = print_example();
            return false;
        case 'V':
            (void)fputs("sekimori " SEKIMORI_VERSION "\n", stdout);
            return false;
        case 'h':
            (void)fputs(help, stdout);
            return false;
        default:
            *status = EXIT_USAGE;
            return false;
        }
    }
    if (optind < argc) {
        (void)fprintf(stderr, "sekimori: unexpected argument '%s'; see --help\n", argv[optind]);
        *status = EXIT_USAGE;
        return false;
    }
    if (!o->config && access(standard_config, F_OK) == 0)
        o->config = standard_config;
    return true;
}

static bool read_file(const char *path, struct buffer *out)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return false;
    ssize_t len = 1;
    while (len > 0) {
        char *to = buffer_reserve(out, 4096);
        if (!to) {
            errno = EFBIG;
            len = -1;
            break;
        }
        len = read(fd, to, 4096);
        if (len > 0)
            buffer_added(out, (size_t)len);
    }
    int error = errno;
    (void)close(fd);
    errno = error;
    return len == 0;
}

struct settings *options_load(const struct options *o, struct buffer *errors)
{
    struct buffer text;
    struct settings *s = NULL;
    buffer_init(&text, CONFIG_BYTES_MAX);
    if (o->config && !read_file(o->config, &text))
        buffer_printf(errors, "%s: %s\n", o->config, strerrorname_np(errno));
    else
        s = settings_load(buffer_str(&text), o->config ? o->config : "settings", o->overrides,
                          o->override_count, errors);
    buffer_drop(&text);
    return s;
}
