#include "bench/load.h"

#include <getopt.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const char usage[] =
    "sekimori-load: SMTP load, closed loop or (--rate) open loop\n"
    "  --to HOST:PORT         default 127.0.0.1:2525\n"
    "  --threads N            default 1\n"
    "  --connections N        default 10, shared out among the threads\n"
    "  --messages N, --seconds S   at least one; the first reached ends the run\n"
    "  --warmup S             measure only after S seconds; comes on top of --seconds\n"
    "  --grace S              after --seconds, wait so long for answers; default 5\n"
    "  --timeout S            give up a connection that is silent so long; default 60\n"
    "  --rate R               open loop, messages per second\n"
    "  --size BYTES | --mix SIZE:WEIGHT,...   e.g. 4k:70,64k:25,1m:5; default 4k\n"
    "  --pipeline, --no-pipeline   MAIL RCPT DATA in one go if offered; default on\n"
    "  --per-connection N     messages before QUIT and a new connection\n"
    "  --tls none|starttls|implicit\n"
    "  --auth USER:PASS       AUTH PLAIN\n"
    "  --helo NAME            default load.sekimori.invalid\n"
    "  --from ADDR, --rcpt ADDR   patterns: %d a number, %100m that number modulo 100;\n"
    "                         repeat --rcpt to take turns\n"
    "  --rcpts N              recipients of a message; default 1\n"
    "  --reconnect            connect again when the server dies; needs --seconds\n"
    "  --ledger FILE          append `acked TOKEN TIME`, `failed TOKEN CODE`, `unknown TOKEN`\n"
    "  --token-prefix P       letters, digits, - and _; default from time and process\n"
    "  --seed N               of the size mix; default 1\n"
    "  --json                 one JSON object on stdout, text on stderr\n"
    "Exit: 0 the run was complete, 1 it was not, 2 usage. See bench/README.md.\n";

enum option_id {
    ID_TO = 256,
    ID_THREADS,
    ID_CONNECTIONS,
    ID_MESSAGES,
    ID_SECONDS,
    ID_WARMUP,
    ID_GRACE,
    ID_TIMEOUT,
    ID_RATE,
    ID_MIX,
    ID_PIPELINE,
    ID_NO_PIPELINE,
    ID_PER_CONNECTION,
    ID_TLS,
    ID_AUTH,
    ID_HELO,
    ID_FROM,
    ID_RCPT,
    ID_RCPTS,
    ID_RECONNECT,
    ID_LEDGER,
    ID_TOKEN_PREFIX,
    ID_SEED,
    ID_JSON,
    ID_HELP,
};

static const struct option options[] = {
    {"to", required_argument, NULL, ID_TO},
    {"threads", required_argument, NULL, ID_THREADS},
    {"connections", required_argument, NULL, ID_CONNECTIONS},
    {"messages", required_argument, NULL, ID_MESSAGES},
    {"seconds", required_argument, NULL, ID_SECONDS},
    {"warmup", required_argument, NULL, ID_WARMUP},
    {"grace", required_argument, NULL, ID_GRACE},
    {"timeout", required_argument, NULL, ID_TIMEOUT},
    {"rate", required_argument, NULL, ID_RATE},
    {"size", required_argument, NULL, ID_MIX},
    {"mix", required_argument, NULL, ID_MIX},
    {"pipeline", no_argument, NULL, ID_PIPELINE},
    {"no-pipeline", no_argument, NULL, ID_NO_PIPELINE},
    {"per-connection", required_argument, NULL, ID_PER_CONNECTION},
    {"tls", required_argument, NULL, ID_TLS},
    {"auth", required_argument, NULL, ID_AUTH},
    {"helo", required_argument, NULL, ID_HELO},
    {"from", required_argument, NULL, ID_FROM},
    {"rcpt", required_argument, NULL, ID_RCPT},
    {"rcpts", required_argument, NULL, ID_RCPTS},
    {"reconnect", no_argument, NULL, ID_RECONNECT},
    {"ledger", required_argument, NULL, ID_LEDGER},
    {"token-prefix", required_argument, NULL, ID_TOKEN_PREFIX},
    {"seed", required_argument, NULL, ID_SEED},
    {"json", no_argument, NULL, ID_JSON},
    {"help", no_argument, NULL, ID_HELP},
    {NULL, 0, NULL, 0},
};

static enum load_tls parse_tls(const char *text)
{
    static const char *const names[] = {"none", "starttls", "implicit"};
    for (unsigned i = 0; i < COUNTOF(names); i++)
        if (!strcmp(text, names[i]))
            return (enum load_tls)i;
    bench_die("--tls %s: none, starttls or implicit", text);
}

static uint64_t parse_positive(const char *name, const char *text, uint64_t max)
{
    uint64_t n = bench_parse_count(name, text);
    if (n < 1 || n > max)
        bench_die("--%s %s: out of range", name, text);
    return n;
}

/* False: the option is not a number. */
static bool take_number(struct load_options *o, int id, const char *name, const char *text)
{
    switch (id) {
    case ID_THREADS:
        o->threads = (unsigned)parse_positive(name, text, 1024);
        return true;
    case ID_CONNECTIONS:
        o->connections = (unsigned)parse_positive(name, text, 1000000);
        return true;
    case ID_MESSAGES:
        o->messages = parse_positive(name, text, UINT64_MAX - 1);
        return true;
    case ID_SECONDS:
        o->seconds = bench_parse_number(name, text);
        return true;
    case ID_WARMUP:
        o->warmup_s = bench_parse_number(name, text);
        return true;
    case ID_GRACE:
        o->grace_s = bench_parse_number(name, text);
        return true;
    case ID_TIMEOUT:
        o->timeout_s = bench_parse_number(name, text);
        return true;
    case ID_RATE:
        o->rate = bench_parse_number(name, text);
        return true;
    case ID_PER_CONNECTION:
        o->per_connection = parse_positive(name, text, UINT64_MAX - 1);
        return true;
    case ID_RCPTS:
        o->rcpts = (unsigned)parse_positive(name, text, 100000);
        return true;
    case ID_SEED:
        o->seed = bench_parse_count(name, text);
        return true;
    default:
        return false;
    }
}

static void take_rcpt(struct load_options *o, const char *text)
{
    if (o->rcpt_patterns == LOAD_PATTERNS_MAX)
        bench_die("--rcpt: at most %d times", LOAD_PATTERNS_MAX);
    o->rcpt[o->rcpt_patterns++] = text;
}

static void take_option(struct load_options *o, int id, const char *text)
{
    switch (id) {
    case ID_HELP:
        (void)fputs(usage, stdout);
        /* NOLINTNEXTLINE(concurrency-mt-unsafe): no other thread runs yet */
        exit(0);
    case ID_TO:
        o->to = text;
        break;
    case ID_MIX:
        o->mix = text;
        break;
    case ID_PIPELINE:
    case ID_NO_PIPELINE:
        o->pipeline = id == ID_PIPELINE;
        break;
    case ID_TLS:
        o->tls = parse_tls(text);
        break;
    case ID_AUTH:
        o->auth = text;
        break;
    case ID_HELO:
        o->helo = text;
        break;
    case ID_FROM:
        o->from = text;
        break;
    case ID_RCPT:
        take_rcpt(o, text);
        break;
    case ID_RECONNECT:
        o->reconnect = true;
        break;
    case ID_LEDGER:
        o->ledger = text;
        break;
    case ID_TOKEN_PREFIX:
        o->token_prefix = text;
        break;
    default: /* ID_JSON, the only one left */
        o->json = true;
        break;
    }
}

static void check(struct load_options *o)
{
    static char prefix[32];
    if (o->messages == UINT64_MAX && o->seconds <= 0)
        bench_die("give --messages or --seconds; see --help");
    if (o->seconds + o->warmup_s > LOAD_SECONDS_MAX)
        bench_die("--seconds: at most %d", LOAD_SECONDS_MAX);
    if (o->reconnect && o->seconds <= 0)
        bench_die("--reconnect needs --seconds, or it might never end");
    if (o->threads > o->connections)
        bench_die("fewer connections than threads");
    if (!o->token_prefix) {
        (void)snprintf(prefix, sizeof prefix, "t%llx%x", (unsigned long long)bench_wall_us() / 1000,
                       (unsigned)getpid() & 0xfff);
        o->token_prefix = prefix;
    }
    size_t bytes = strlen(o->token_prefix);
    if (!bytes || bytes > LOAD_PREFIX_BYTES_MAX ||
        strspn(o->token_prefix,
               "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_") < bytes)
        bench_die("--token-prefix: 1 to %d letters, digits, - and _", LOAD_PREFIX_BYTES_MAX);
    if (!o->rcpt_patterns)
        o->rcpt[o->rcpt_patterns++] = "user%d@example.test";
}

void load_options_parse(struct load_options *o, int argc, char **argv)
{
    *o = (struct load_options){
        .to = "127.0.0.1:2525",
        .from = "sender@load.sekimori.invalid",
        .helo = "load.sekimori.invalid",
        .mix = "4k",
        .rcpts = 1,
        .threads = 1,
        .connections = 10,
        .messages = UINT64_MAX,
        .per_connection = UINT64_MAX,
        .grace_s = 5,
        .timeout_s = 60,
        .pipeline = true,
        .seed = 1,
    };
    int index = 0;
    /* NOLINTNEXTLINE(concurrency-mt-unsafe): no other thread runs yet */
    for (int id; (id = getopt_long(argc, argv, "", options, &index)) != -1;) {
        if (id == '?')
            bench_die("see --help");
        if (!take_number(o, id, options[index].name, optarg))
            take_option(o, id, optarg);
    }
    if (optind < argc)
        bench_die("%s: not an option; see --help", argv[optind]);
    check(o);
}
