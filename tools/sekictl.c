/* sekictl.c -- the operator's command line. Its verbs and help are core/coordinator/control.def. */
#include "tools/sekictl.h"

#include "core/base/base.h"
#include "core/base/heap.h"
#include "core/coordinator/request.h"
#include "crypto/scram.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const struct verb {
    const char *name, *arguments;
    unsigned flags;
    const char *usage, *help;
} verbs[] = {

#define VERB(name, handler, arguments, flags, usage, help) \
    {(name), (arguments), (flags), (usage), (help)},
#include "core/coordinator/control.def"
#undef VERB
};

static const char standard_socket[] = "/run/sekimori/control.sock";

static const char filter_help[] =
    "FILTER is any of these words; all must hold. Each may be a flag too (--from ADDRESS):\n"
    "  from:ADDRESS|DOMAIN|<>   to:ADDRESS|DOMAIN   state:STATE[,STATE]...   org:NAME   id:ID\n"
    "  older:DURATION           younger:DURATION    subject:TEXT (\"two words\" in quotes)\n"
    "States: held, waiting, approval, due, sending, retry, delivered, bounced, discarded.\n"
    "Durations: 90s, 30m, 2h, 7d.\n";

static const char *const filter_flags[] = {"from",  "to",      "state",   "org",
                                           "older", "younger", "subject", "id"};

/* --- help ------------------------------------------------------------------------------------ */

static bool has_argument(const struct verb *v, const char *name)
{
    struct str names = str_c(v->arguments);
    for (struct str one = str_word(&names); one.len; one = str_word(&names)) {
        if (one.at[one.len - 1] == '!')
            one.len--;
        if (str_eq(one, str_c(name)))
            return true;
    }
    return false;
}

static void help_verb(const struct verb *v)
{
    (void)printf("usage: sekictl [--socket PATH] [--json] %s\n\n%s\n", v->usage, v->help);
    if (has_argument(v, "filter"))
        (void)printf("\n%s", filter_help);
}

static void help_all(FILE *out)
{
    (void)fputs("usage: sekictl [--socket PATH] [--json] VERB [ARGUMENT]...\n\n", out);
    for (size_t i = 0; i < countof(verbs); i++)
        (void)fprintf(out, "  %s\n", verbs[i].usage);
    (void)fprintf(out,
                  "\n%s\nsekictl VERB --help says more about one verb.\n"
                  "The gateway is found by --socket, the environment variable SEKIMORI_SOCKET, or\n"
                  "at %s.\n"
                  "Exit status: 0 done, 1 refused, 2 wrong usage, 3 no gateway at the socket.\n",
                  filter_help, standard_socket);
}

/* --- words of the command line --------------------------------------------------------------- */

struct command_line {
    struct options options;
    const struct verb *verb;
    struct buffer request; /* members so far, without braces */
    struct js_writer writer;
    struct buffer filter;
    const char *file;       /* FILE of org import, config test and policy verbs */
    const char *other_file; /* NEW of policy diff */
    const char *subject;    /* address or name, for what is said before a removal */
    struct str positionals; /* names of arguments still to be given by position */
};

/* The verb at the front of `words`: the longest that fits; how many words it takes. */
static size_t find_verb(char **words, size_t count, const struct verb **verb)
{
    for (size_t taken = count < 2 ? count : 2; taken > 0; taken--) {
        char name[64];
        (void)snprintf(name, sizeof name, taken == 2 ? "%s %s" : "%s", words[0],
                       taken == 2 ? words[1] : "");
        for (size_t i = 0; i < countof(verbs); i++)
            if (strcmp(verbs[i].name, name) == 0) {
                *verb = &verbs[i];
                return taken;
            }
    }
    return 0;
}

static void put_filter(struct command_line *l, const char *key, const char *value)
{
    if (l->filter.len)
        buffer_putc(&l->filter, ' ');
    if (key)
        buffer_printf(&l->filter, "%s:\"%s\"", key, value);
    else
        buffer_puts(&l->filter, value);
}

static bool is_filter_flag(const char *name)
{
    for (size_t i = 0; i < countof(filter_flags); i++)
        if (strcmp(filter_flags[i], name) == 0)
            return true;
    return false;
}

/* Next argument that is given by position; empty: none is left. */
static struct str next_positional(struct command_line *l)
{
    struct str name;
    while ((name = str_word(&l->positionals)).len) {
        if (name.at[name.len - 1] != '!')
            continue;
        name.len--;
        if (!str_eq(name, STR("hash")) && !str_eq(name, STR("text")) && !str_eq(name, STR("org")))
            return name;
    }
    return STR("");
}

static bool take_word(struct command_line *l, const char *word)
{
    bool wants_file = strcmp(l->verb->name, "org import") == 0 || (l->verb->flags & LOCAL);
    if (has_argument(l->verb, "filter")) {
        /* a word with blanks came quoted from the shell: keep it one word */
        const char *colon = strchr(word, ':');
        if (colon && strchr(word, ' ') && !strchr(word, '"')) {
            if (l->filter.len)
                buffer_putc(&l->filter, ' ');
            buffer_put(&l->filter, str_from(word, (size_t)(colon - word) + 1));
            buffer_printf(&l->filter, "\"%s\"", colon + 1);
        } else {
            put_filter(l, NULL, word);
        }
        return true;
    }
    if (wants_file && !l->file) {
        l->file = word;
        return true;
    }
    if (strcmp(l->verb->name, "policy diff") == 0 && !l->other_file) {
        l->other_file = word;
        return true;
    }
    struct str name = next_positional(l);
    char key[32];
    if (!name.len || name.len >= sizeof key) {
        complain("%s: '%s' is one argument too many", l->verb->name, word);
        return false;
    }
    memcpy(key, name.at, name.len);
    key[name.len] = '\0';
    js_text(&l->writer, key, word);
    if (!l->subject)
        l->subject = word;
    return true;
}

static bool take_flag(struct command_line *l, const char *name)
{
    struct options *o = &l->options;
    if (strcmp(name, "json") == 0)
        o->json = true;
    else if (strcmp(name, "yes") == 0)
        o->yes = true;
    else if (strcmp(name, "help") == 0)
        o->help = true;
    else if (strcmp(name, "allow-plain-passwords") == 0)
        o->allow_plain_passwords = true;
    else if (l->verb && strcmp(name, "all") == 0 && has_argument(l->verb, "all"))
        js_flag(&l->writer, "all", true);
    else
        return false;
    return true;
}

static bool take_test_option(struct options *o, const char *name, const char *value)
{
    if (strcmp(name, "policy") == 0) {
        o->policy = value;
    } else if (strcmp(name, "from") == 0) {
        o->from = value;
    } else if (strcmp(name, "user") == 0) {
        o->user = value;
    } else if (strcmp(name, "to") == 0) {
        const char **to = heap_grow(o->to, (o->to_count + 1) * sizeof *to);
        must(to != NULL);
        o->to = to;
        o->to[o->to_count++] = value;
    } else {
        return false;
    }
    return true;
}

static bool take_option(struct command_line *l, const char *name, const char *value)
{
    struct options *o = &l->options;
    if (strcmp(name, "socket") == 0)
        o->socket = value;
    else if (strcmp(name, "default-password") == 0)
        o->standard_password = str_c(value);
    else if (strcmp(name, "network") == 0)
        o->network = str_c(value);
    else if (l->verb && strcmp(l->verb->name, "policy test") == 0)
        return take_test_option(o, name, value);
    else if (l->verb && has_argument(l->verb, "filter") && is_filter_flag(name))
        put_filter(l, name, value);
    else if (l->verb && has_argument(l->verb, name) && strcmp(name, "hash") != 0 &&
             strcmp(name, "scram") != 0)
        js_text(&l->writer, name, value);
    else
        return false;
    return true;
}

/* One word at words[i], an option's value included: how many were taken; 0: wrong usage. */
static size_t take(struct command_line *l, char **words, size_t count)
{
    const char *word = words[0];
    if (strncmp(word, "--", 2) != 0 || word[2] == '\0')
        return take_word(l, word) ? 1 : 0;
    char name[32];
    const char *equals = strchr(word, '=');
    size_t length = equals ? (size_t)(equals - word) - 2 : strlen(word) - 2;
    if (length < sizeof name) {
        memcpy(name, word + 2, length);
        name[length] = '\0';
        if (!equals && take_flag(l, name))
            return 1;
        if (equals && take_option(l, name, equals + 1))
            return 1;
        if (!equals && count > 1 && take_option(l, name, words[1]))
            return 2;
    }
    complain("%s%sunknown option, or one without its value: %s", l->verb ? l->verb->name : "",
             l->verb ? ": " : "", word);
    return 0;
}

static bool read_command_line(struct command_line *l, char **words, size_t count)
{
    size_t at = 0;
    while (at < count) {
        if (!l->verb && words[at][0] != '-') {
            size_t taken = find_verb(words + at, count - at, &l->verb);
            if (!taken) {
                complain("unknown verb '%s'; sekictl --help lists them", words[at]);
                return false;
            }
            l->positionals = str_c(l->verb->arguments);
            js_text(&l->writer, "verb", l->verb->name);
            at += taken;
            continue;
        }
        size_t taken = take(l, words + at, count - at);
        if (!taken)
            return false;
        at += taken;
    }
    return true;
}

/* --- asking ---------------------------------------------------------------------------------- */

struct answer {
    const char *verb;
    const char *subject; /* only rows about it are counted */
    bool json;
    unsigned found;
};

static void show_row(const struct js_value *row, void *context)
{
    const struct answer *a = context;
    if (a->json)
        print_json(row);
    else
        print_row(a->verb, row);
    /* a refusal's reason belongs on stderr, whatever stdout is */
    bool done = true;
    if (a->json && js_get_flag(js_member(row, "done"), &done) && !done)
        complain("%.*s: %.*s", STR_ARG(js_member_str(row, "address")),
                 STR_ARG(js_member_str(row, "reason")));
}

static void count_row(const struct js_value *row, void *context)
{
    struct answer *a = context;
    if (!str_eq_nocase(js_member_str(row, "name"), str_c(a->subject)) &&
        !str_eq_nocase(js_member_str(row, "address"), str_c(a->subject)))
        return;
    a->found++;
    print_row(a->verb, row);
}

/* What a removal would take, and that it wants --yes. */
static int ask_first(const struct command_line *l)
{
    bool org = strncmp(l->verb->name, "org", 3) == 0;
    struct answer a = {.verb = org ? "org list" : "user list", .subject = l->subject};
    int status = wire_ask(l->options.socket,
                          org ? STR("{\"verb\":\"org list\"}") : STR("{\"verb\":\"user list\"}"),
                          count_row, &a);
    if (status == DONE && a.found)
        complain("%s would remove %u; nothing was done: add --yes to do it", l->verb->name,
                 a.found);
    else if (status == DONE)
        complain("there is no '%s'", l->subject ? l->subject : "");
    return status == DONE ? REFUSED : status;
}

/* What only this side can add: the text of a file, the hash of a password. */
static int complete(struct command_line *l)
{
    int status = DONE;
    struct buffer text;
    buffer_init(&text, 16 << 20);
    if (has_argument(l->verb, "filter") && l->filter.len)
        js_str(&l->writer, "filter", buffer_str(&l->filter));
    if (has_argument(l->verb, "text")) {
        if (!l->file) {
            complain("usage: sekictl %s", l->verb->usage);
            status = WRONG_USAGE;
        } else if (!read_organisation(l->file, &l->options, &text)) {
            status = REFUSED;
        } else {
            js_str(&l->writer, "text", buffer_str(&text));
        }
    }
    if (has_argument(l->verb, "hash")) {
        struct buffer scram;
        buffer_init(&scram, SCRAM_TEXT_BYTES);
        if (!ask_password(&text, &scram, strcmp(l->verb->name, "user add") == 0)) {
            status = REFUSED;
        } else if (text.len) {
            js_str(&l->writer, "hash", buffer_str(&text));
            js_str(&l->writer, "scram", buffer_str(&scram));
        }
        buffer_drop(&scram);
    }
    buffer_drop(&text);
    return status;
}

/* Without a gateway. */
static int run_local(struct command_line *l)
{
    bool diff = strcmp(l->verb->name, "policy diff") == 0;
    if (!l->file || (diff && !l->other_file)) {
        complain("usage: sekictl %s", l->verb->usage);
        return WRONG_USAGE;
    }
    if (diff)
        return policy_diff(l->file, l->other_file, &l->options);
    if (strcmp(l->verb->name, "policy test") == 0)
        return policy_test(l->file, &l->options);
    return test_config(l->file);
}

static int run(struct command_line *l)
{
    if (l->options.help) {
        if (l->verb)
            help_verb(l->verb);
        else
            help_all(stdout);
        return DONE;
    }
    if (!l->verb) {
        help_all(stderr);
        return WRONG_USAGE;
    }
    if (next_positional(l).len) {
        complain("usage: sekictl %s", l->verb->usage);
        return WRONG_USAGE;
    }
    if (l->verb->flags & LOCAL && (l->file || strcmp(l->verb->name, "config test") != 0))
        return run_local(l);
    if ((l->verb->flags & ASKS_FIRST) && !l->options.yes)
        return ask_first(l);
    int status = complete(l);
    if (status != DONE)
        return status;
    js_end(&l->writer, '}');
    struct answer a = {.verb = l->verb->name, .json = l->options.json};
    status = wire_ask(l->options.socket, buffer_str(&l->request), show_row, &a);
    return fflush(stdout) == 0 ? status : REFUSED;
}

int main(int argc, char **argv)
{
    struct command_line l = {0};
    const char *from_environment = getenv("SEKIMORI_SOCKET");
    if (argc == 2 && strcmp(argv[1], "--version") == 0) {
        (void)puts("sekictl " SEKIMORI_VERSION);
        return DONE;
    }
    l.options.socket = from_environment && *from_environment ? from_environment : standard_socket;
    buffer_init(&l.request, 64 << 20);
    buffer_init(&l.filter, 64 << 10);
    l.writer = js_writer(&l.request);
    js_begin(&l.writer, NULL, '{');
    int status = WRONG_USAGE;
    if (argc > 1 && read_command_line(&l, argv + 1, (size_t)argc - 1))
        status = run(&l);
    else if (argc <= 1)
        help_all(stderr);
    buffer_drop(&l.request);
    buffer_drop(&l.filter);
    return status;
}
