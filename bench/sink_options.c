#include "bench/sink.h"

#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char usage[] =
    "sekimori-sink: an SMTP server that swallows mail\n"
    "  --listen HOST:PORT     default 127.0.0.1:2525; port 0 = a free one, printed\n"
    "  --threads N            default 1\n"
    "  --name HOST            in the banner and the certificate; default sink.test\n"
    "  --tls[=implicit]       offer STARTTLS (or speak TLS at once), self-signed\n"
    "  --certificate FILE     write the certificate there, as PEM\n"
    "  --auth                 offer AUTH PLAIN; anybody may\n"
    "  --ehlo LINE            one more EHLO line, e.g. SMTPUTF8; repeat for more\n"
    "  --delay-banner MS, --delay-mail MS, --delay-rcpt MS, --delay-data MS, --delay-dot MS\n"
    "  --reject-mail CODE:PERCENT, --reject-rcpt CODE:PERCENT, --reject-dot CODE:PERCENT\n"
    "                         repeat for up to 4 codes; 421 also hangs up\n"
    "  --drop-after-dot PERCENT, --hang-after-dot PERCENT\n"
    "  --slow BYTES_PER_S     read so slowly, per connection\n"
    "  --refuse-every N       421 to every Nth connection\n"
    "  --seed N               of the odds; default 1\n"
    "  --ledger FILE          append `got|unanswered|refused TOKEN RCPT TIME SHA256 BYTES [CODE]`\n"
    "  --content DIR          keep messages as files, with NUMBER.envelope beside\n"
    "  --max N                end after N accepted messages\n"
    "SIGTERM or SIGINT ends it: a JSON summary on stdout, exit 0. See bench/README.md.\n";

enum option_id {
    ID_LISTEN = 256,
    ID_THREADS,
    ID_NAME,
    ID_TLS,
    ID_CERTIFICATE,
    ID_AUTH,
    ID_EHLO,
    ID_REJECT_MAIL,
    ID_REJECT_RCPT,
    ID_REJECT_DOT,
    ID_DROP,
    ID_HANG,
    ID_SLOW,
    ID_REFUSE,
    ID_SEED,
    ID_LEDGER,
    ID_CONTENT,
    ID_MAX,
    ID_HELP,
    ID_DELAY, /* + enum sink_delay */
};

static const struct option options[] = {
    {"listen", required_argument, NULL, ID_LISTEN},
    {"threads", required_argument, NULL, ID_THREADS},
    {"name", required_argument, NULL, ID_NAME},
    {"tls", optional_argument, NULL, ID_TLS},
    {"certificate", required_argument, NULL, ID_CERTIFICATE},
    {"auth", no_argument, NULL, ID_AUTH},
    {"ehlo", required_argument, NULL, ID_EHLO},
    {"delay-banner", required_argument, NULL, ID_DELAY + SINK_DELAY_BANNER},
    {"delay-mail", required_argument, NULL, ID_DELAY + SINK_DELAY_MAIL},
    {"delay-rcpt", required_argument, NULL, ID_DELAY + SINK_DELAY_RCPT},
    {"delay-data", required_argument, NULL, ID_DELAY + SINK_DELAY_DATA},
    {"delay-dot", required_argument, NULL, ID_DELAY + SINK_DELAY_DOT},
    {"reject-mail", required_argument, NULL, ID_REJECT_MAIL},
    {"reject-rcpt", required_argument, NULL, ID_REJECT_RCPT},
    {"reject-dot", required_argument, NULL, ID_REJECT_DOT},
    {"drop-after-dot", required_argument, NULL, ID_DROP},
    {"hang-after-dot", required_argument, NULL, ID_HANG},
    {"slow", required_argument, NULL, ID_SLOW},
    {"refuse-every", required_argument, NULL, ID_REFUSE},
    {"seed", required_argument, NULL, ID_SEED},
    {"ledger", required_argument, NULL, ID_LEDGER},
    {"content", required_argument, NULL, ID_CONTENT},
    {"max", required_argument, NULL, ID_MAX},
    {"help", no_argument, NULL, ID_HELP},
    {NULL, 0, NULL, 0},
};

static double parse_percent(const char *name, const char *text)
{
    double percent = bench_parse_number(name, text);
    if (percent > 100)
        bench_die("--%s %s: more than 100 percent", name, text);
    return percent;
}

static void parse_odds(const char *name, const char *text, struct sink_odds *odds)
{
    char *end;
    unsigned long code = strtoul(text, &end, 10);
    if (*end != ':' || code < 400 || code > 599 || odds->count == SINK_ODDS_MAX)
        bench_die("--%s %s: CODE:PERCENT with a code of 400..599, at most %d times", name, text,
                  SINK_ODDS_MAX);
    odds->of[odds->count].code = (unsigned)code;
    odds->of[odds->count++].percent = parse_percent(name, end + 1);
}

static void take_limit(struct sink_options *o, int id, const char *name, const char *text)
{
    switch (id) {
    case ID_THREADS:
        o->threads = (unsigned)bench_parse_count(name, text);
        if (o->threads < 1 || o->threads > 1024)
            bench_die("--threads: 1 to 1024");
        break;
    case ID_DROP:
        o->drop_percent = parse_percent(name, text);
        break;
    case ID_HANG:
        o->hang_percent = parse_percent(name, text);
        break;
    case ID_SLOW:
        o->slow_bytes_per_s = bench_parse_count(name, text);
        break;
    case ID_REFUSE:
        o->refuse_every = bench_parse_count(name, text);
        break;
    case ID_SEED:
        o->seed = bench_parse_count(name, text);
        break;
    case ID_MAX:
        o->messages_max = bench_parse_count(name, text);
        break;
    default: /* the delays */
        o->delay_ms[id - ID_DELAY] = bench_parse_count(name, text);
        break;
    }
}

static void take_tls(struct sink_options *o, const char *text)
{
    o->tls = true;
    if (!text || !strcmp(text, "starttls"))
        return;
    if (strcmp(text, "implicit") != 0)
        bench_die("--tls=%s: starttls or implicit", text);
    o->tls_implicit = true;
}

static void take_option(struct sink_options *o, int id, const char *name, const char *text)
{
    switch (id) {
    case ID_HELP:
        (void)fputs(usage, stdout);
        /* NOLINTNEXTLINE(concurrency-mt-unsafe): no other thread runs yet */
        exit(0);
    case ID_LISTEN:
        o->listen = text;
        break;
    case ID_NAME:
        o->name = text;
        break;
    case ID_TLS:
        take_tls(o, text);
        break;
    case ID_CERTIFICATE:
        o->certificate = text;
        break;
    case ID_AUTH:
        o->auth = true;
        break;
    case ID_EHLO:
        if (o->ehlo_count == SINK_EHLO_MAX)
            bench_die("--ehlo: at most %d times", SINK_EHLO_MAX);
        o->ehlo[o->ehlo_count++] = text;
        break;
    case ID_REJECT_MAIL:
        parse_odds(name, text, &o->reject_mail);
        break;
    case ID_REJECT_RCPT:
        parse_odds(name, text, &o->reject_rcpt);
        break;
    case ID_REJECT_DOT:
        parse_odds(name, text, &o->reject_dot);
        break;
    case ID_LEDGER:
        o->ledger = text;
        break;
    case ID_CONTENT:
        o->content = text;
        break;
    default:
        take_limit(o, id, name, text);
        break;
    }
}

void sink_options_parse(struct sink_options *o, int argc, char **argv)
{
    *o = (struct sink_options){.listen = "127.0.0.1:2525",
                               .name = "sink.test",
                               .threads = 1,
                               .seed = 1};
    int index = 0;
    /* NOLINTNEXTLINE(concurrency-mt-unsafe): no other thread runs yet */
    for (int id; (id = getopt_long(argc, argv, "", options, &index)) != -1;) {
        if (id == '?')
            bench_die("see --help");
        take_option(o, id, options[index].name, optarg);
    }
    if (optind < argc)
        bench_die("%s: not an option; see --help", argv[optind]);
    if (o->slow_bytes_per_s)
        o->delay_ms[SINK_DELAY_SLOW] = 1000 / SINK_SLOW_SLICES;
}
