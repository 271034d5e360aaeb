#include "core/base/setting.h"

#include "core/base/base.h"
#include "core/base/base64.h"
#include "core/base/yaml.h"
#include "tests/unit/harness.h"

static struct buffer errors;

#define SOURCE_ERROR(column, value, what)                      \
    "f:1:" column ": outbound_addresses: '" value "' is " what \
    " (192.0.2.7, 192.0.2.7=mx1.example.jp, 2001:db8::7=mx1.example.jp)\n"

/* Each row is a whole file and exactly what is said about it. */
static const struct {
    const char *name, *text, *want;
} file_rows[] = {
    {"empty file", "", ""},
    {"only comments", "# hold: 5m\n", ""},
    {"every type",
     "shards: 2\nhold: 300s\nmessage_size: 10MiB\nnotices: off\nhostname: a.example\n"
     "relay_listen: [\"[::1]:25\", 127.0.0.1:0]\n",
     ""},
    {"CR LF", "hold: 0s\r\nshards: 1\r\n", ""},
    {"unknown key", "hold: 5m\nholdd: 5m\n",
     "f:2:1: unknown setting 'holdd' (did you mean 'hold'?)\n"},
    {"unknown key, nothing near", "colour: red\n", "f:1:1: unknown setting 'colour'\n"},
    {"all errors at once", "shards: 300\nholds: 1s\nnotices: maybe\n",
     "f:1:9: shards: 300 is out of range (0 to 256)\n"
     "f:2:1: unknown setting 'holds' (did you mean 'hold'?)\n"
     "f:3:10: notices: 'maybe' is not on or off\n"},
    {"twice", "hold: 5m\nshards: 1\nhold: 6m\n", "f:3:1: 'hold' is given twice, first in line 1\n"},
    {"no unit", "hold: 300\n", "f:1:7: hold: '300' is not a duration (50ms, 300s, 5m, 2h, 7d)\n"},
    {"too long a hold", "hold: 8d\n", "f:1:7: hold: 8d is out of range (0s to 7d)\n"},
    {"odd size", "message_size: 64kiB\n",
     "f:1:15: message_size: '64kiB' is not a size (4096, 500kB, 10MiB)\n"},
    {"too large a size", "message_size: 1GiB\n",
     "f:1:15: message_size: 1GiB is out of range (64KiB to 200MiB)\n"},
    {"overflow", "hold: 18446744073709551615d\n",
     "f:1:7: hold: '18446744073709551615d' is not a duration (50ms, 300s, 5m, 2h, 7d)\n"},
    {"negative", "shards: -1\n", "f:1:9: shards: '-1' is not a number\n"},
    {"octal is no number of ours", "shards: 0x10\n", "f:1:9: shards: '0x10' is not a number\n"},
    {"flag", "notices: true\n", "f:1:10: notices: 'true' is not on or off (did you mean 'on'?)\n"},
    {"flag off", "notices: No\n", "f:1:10: notices: 'No' is not on or off (did you mean 'off'?)\n"},
    {"no value", "tls_key:\n",
     "f:1:9: tls_key: no value; \"\" is an empty text, [] an empty list\n"},
    {"empty where it must not be", "directory: \"\"\n", "f:1:12: directory: must not be empty\n"},
    {"control character", "hostname: \"a\\nb\"\n", "f:1:11: hostname: has a control character\n"},
    {"level", "log_level: warn\n",
     "f:1:12: log_level: 'warn' is not debug, info, warning or error (did you mean 'warning'?)\n"},
    {"list for one", "hold: [5m]\n", "f:1:7: hold: one value is wanted\n"},
    {"one for list", "relay_listen: 127.0.0.1:25\n",
     "f:1:15: relay_listen: a list is wanted: [a, b]\n"},
    {"list in list", "relay_listen: [[a]]\n", "f:1:16: relay_listen: a text is wanted\n"},
    {"not HOST:PORT", "relay_listen: [127.0.0.1:25, localhost, 300.0.0.1:25]\n",
     "f:1:30: relay_listen: 'localhost' is not HOST:PORT (192.0.2.1:25, [2001:db8::1]:25, "
     "host.example:25)\n"
     "f:1:41: relay_listen: '300.0.0.1:25' is not HOST:PORT (192.0.2.1:25, [2001:db8::1]:25, "
     "host.example:25)\n"},
    {"port", "route: a.example:65536\n",
     "f:1:8: route: 'a.example:65536' is not HOST:PORT (192.0.2.1:25, [2001:db8::1]:25, "
     "host.example:25)\n"},
    {"bare IPv6", "route: \"2001:db8::1:25\"\n",
     "f:1:8: route: '2001:db8::1:25' is not HOST:PORT (192.0.2.1:25, [2001:db8::1]:25, "
     "host.example:25)\n"},
    {"addresses to call from",
     "outbound_addresses: [192.0.2.7, 192.0.2.8=mx1.example.jp, \"2001:db8::7=mx2.example.jp\"]\n",
     ""},
    {"not addresses to call from",
     "outbound_addresses: [mx.example, \"192.0.2.7:25\", \"192.0.2.7=\", 192.0.2.7/24, "
     "\"192.0.2.7=a b\", \"192.0.2.7=192.0.2.7\"]\n",
     SOURCE_ERROR("22", "mx.example", "no address, or ADDRESS=NAME")
         SOURCE_ERROR("34", "192.0.2.7:25", "no address, or ADDRESS=NAME")
             SOURCE_ERROR("50", "192.0.2.7=", "no address, or ADDRESS=NAME")
                 SOURCE_ERROR("64", "192.0.2.7/24", "no address, or ADDRESS=NAME")
                     SOURCE_ERROR("78", "192.0.2.7=a b", "no address, or ADDRESS=NAME")
                         SOURCE_ERROR("95", "192.0.2.7=192.0.2.7", "no address, or ADDRESS=NAME")},
    {"addresses that no machine has",
     "outbound_addresses: [0.0.0.0=a.example, \"::\", 224.0.0.1]\n",
     SOURCE_ERROR("22", "0.0.0.0=a.example", "no address of a machine")
         SOURCE_ERROR("41", "::", "no address of a machine")
             SOURCE_ERROR("47", "224.0.0.1", "no address of a machine")},
    {"REL-06 a route to ourselves", "relay_listen: [\"192.0.2.1:25\"]\nroute: \"192.0.2.1:25\"\n",
     "f:1:1: route: '192.0.2.1:25' leads back to us: we listen there\n"},
    {"REL-06 by the wildcard", "relay_listen: [\"0.0.0.0:25\"]\nroute: \"localhost:25\"\n",
     "f:1:1: route: 'localhost:25' leads back to us: we listen there\n"},
    {"REL-06 by the wildcard, IPv6", "submission_listen: [\"[::]:587\"]\nroute: \"[::1]:587\"\n",
     "f:1:1: route: '[::1]:587' leads back to us: we listen there\n"},
    {"a route to another port here", "route: \"127.0.0.1:2525\"\n", ""},
    {"a route to another host", "route: \"192.0.2.9:25\"\n", ""},
    {"too many", "control_users: [a,b,c,d,e,f,g,h,i,j,k,l,m,n,o,p,q]\n",
     "f:1:16: control_users: more than 16 entries\n"},
    {"tab", "hold:\t5m\nshards: 1\t# one\n",
     "f:1:6: a tab; use blanks\nf:2:10: a tab; use blanks\n"},
    {"anchor and alias", "hold: &a 5m\nretry_first: *a\n",
     "f:1:7: anchors (&) are not allowed here\n"
     "f:2:14: aliases (*) are not allowed here; quote a text that begins so\n"},
    {"tag", "hold: !!str 5m\n", "f:1:7: tags (!) are not allowed here\n"},
    {"directive", "%YAML 1.1\n---\nhold: 5m\n", "f:1:1: directives (%) are not allowed here\n"},
    {"second document", "hold: 5m\n---\nhold: 6m\n",
     "f:2:1: a second document; one file is one document\n"},
    {"merge key is a key", "<<: {hold: 5m}\n", "f:1:1: unknown setting '<<'\n"},
    {"key is a list", "[a]: b\n", "f:1:1: a key must be a text\nf:1:1: unknown setting ''\n"},
    {"a list", "- hold\n", "f:1:1: lines of KEY: VALUE are wanted\n"},
    {"a word", "hold\n", "f:1:1: lines of KEY: VALUE are wanted\n"},
    {"broken", "relay_listen: [a, b\nhold: 5m\n",
     "f:2:5: did not find expected ',' or ']', while parsing a flow sequence of line 1\n"},
    {"columns are characters", "hostname: 東京, ]\nhold: \"東\" x\n",
     "f:2:11: did not find expected key, while parsing a block mapping of line 1\n"},
    {"not UTF-8", "hold: 5m\nhostname: \xff\n", "f:2:11: invalid leading UTF-8 octet\n"},
    {"NUL and its like", "hold: 5m\nhostname: a\x01\n",
     "f:2:12: control characters are not allowed\n"},
};

static void test_files(void)
{
    for (size_t i = 0; i < countof(file_rows); i++) {
        buffer_clear(&errors);
        struct settings *s = settings_load(str_c(file_rows[i].text), "f", NULL, 0, &errors);
        expect_str(buffer_str(&errors), str_c(file_rows[i].want), file_rows[i].name);
        expect((s != NULL) == (file_rows[i].want[0] == '\0'), "%s: result", file_rows[i].name);
        settings_drop(&s);
    }
}

static const struct {
    const char *override, *want;
} override_rows[] = {
    {"hold=1s", ""},
    {"hold=1", "--set hold=1: hold: '1' is not a duration (50ms, 300s, 5m, 2h, 7d)\n"},
    {"relay_listen=127.0.0.1:0, [::1]:0", ""},
    {"relay_listen=", ""},
    {"relay_listen=a", "--set relay_listen=a: relay_listen: 'a' is not HOST:PORT (192.0.2.1:25, "
                       "[2001:db8::1]:25, host.example:25)\n"},
    {"log=/tmp/a=b", ""},
    {"hodl=1s", "--set hodl=1s: unknown setting 'hodl' (did you mean 'hold'?)\n"},
    {"hold", "--set hold: KEY=VALUE is wanted\n"},
    {"hold=\n", "--set hold=?: hold: '?' is not a duration (50ms, 300s, 5m, 2h, 7d)\n"},
};

static void test_overrides(void)
{
    for (size_t i = 0; i < countof(override_rows); i++) {
        struct str override = str_c(override_rows[i].override);
        buffer_clear(&errors);
        struct settings *s = settings_load(STR("hold: 7m\n"), "f", &override, 1, &errors);
        expect_str(buffer_str(&errors), str_c(override_rows[i].want), override_rows[i].override);
        settings_drop(&s);
    }
    struct str twice[] = {STR_INIT("hold=1s"), STR_INIT("hold=2s"),
                          STR_INIT("relay_listen=127.0.0.1:0, [::1]:0")};
    struct settings *s = settings_load(STR("hold: 7m\n"), "f", twice, 3, &errors);
    CU_ASSERT_PTR_NOT_NULL_FATAL(s);
    expect(s->hold == 2000, "the last one wins: %llu", (unsigned long long)s->hold);
    expect(s->relay_listen.count == 2, "two listeners");
    expect_str(s->relay_listen.at[1], STR("[::1]:0"), "blanks around commas go");
    settings_drop(&s);
}

static void test_values(void)
{
    struct settings *s =
        settings_load(STR("log: 'a: \"b\" #c'\nhold: 90s\n"), "f", NULL, 0, &errors);
    CU_ASSERT_PTR_NOT_NULL_FATAL(s);
    expect(s->hold == 90000, "hold");
    expect(s->message_size == 50u << 20, "default size");
    expect(s->notices && !s->outbound_loopback, "flags");
    expect(s->relay_listen.count == 1 && s->control_users.count == 0, "lists");
    expect_str(s->directory, STR("/var/lib/sekimori"), "default text");

    struct buffer first, second;
    buffer_init(&first, 1 << 16);
    buffer_init(&second, 1 << 16);
    settings_write(s, &first);
    struct settings *again = settings_load(buffer_str(&first), "g", NULL, 0, &errors);
    CU_ASSERT_PTR_NOT_NULL_FATAL(again);
    settings_write(again, &second);
    expect_str(buffer_str(&second), buffer_str(&first), "what is written is read back");
    expect(str_find_str(buffer_str(&first), STR("hold: 90s\n")) != SIZE_MAX, "largest unit");
    expect(str_find_str(buffer_str(&first), STR("log: \"a: \\\"b\\\" #c\"\n")) != SIZE_MAX,
           "quotes");

    buffer_clear(&first);
    settings_restart_needed(s, again, &first);
    expect_str(buffer_str(&first), STR(""), "nothing differs");
    settings_drop(&again);
    again = settings_load(STR("hold: 1s\nshards: 2\nrelay_listen: []\n"), "f", NULL, 0, &errors);
    settings_restart_needed(s, again, &first);
    expect_str(buffer_str(&first), STR("shards relay_listen log"), "hold needs none");
    settings_drop(&again);
    settings_drop(&s);
    settings_drop(&s);
    buffer_drop(&first);
    buffer_drop(&second);
}

static void read_file(const char *path, struct buffer *out)
{
    FILE *file = fopen(path, "re");
    char *to = buffer_reserve(out, 1 << 16);
    if (file && to)
        buffer_added(out, fread(to, 1, 1 << 16, file));
    if (file)
        (void)fclose(file);
}

static void test_example(void)
{
    struct buffer want, shipped;
    buffer_init(&want, 1 << 17);
    buffer_init(&shipped, 1 << 17);
    settings_write_example(&want);
    read_file(SOURCE_DIR "/systemd/sekimori.yaml", &shipped);
    expect(str_eq(buffer_str(&want), buffer_str(&shipped)),
           "systemd/sekimori.yaml is old: %s --write > systemd/sekimori.yaml", "test_setting");
    for (size_t i = 1; i + 1 < want.len; i++) /* with its defaults uncommented it is valid */
        if (want.at[i] == '#' && want.at[i - 1] == '\n' && want.at[i + 1] != ' ')
            want.at[i] = ' ';
    buffer_clear(&errors);
    struct settings *s = settings_load(buffer_str(&want), "example", NULL, 0, &errors);
    expect_str(buffer_str(&errors), STR(""), "example");
    expect(s != NULL, "example");
    settings_drop(&s);
    buffer_drop(&want);
    buffer_drop(&shipped);
}

static void test_suggest(void)
{
    static const struct str names[] = {STR_INIT("hold"), STR_INIT("history"), STR_INIT("hostname")};
    static const char *const rows[][2] = {
        {"hodl", "hold"}, {"HOLD", "hold"},   {"hostnam", "hostname"}, {"histroy", "history"},
        {"x", ""},        {"recipients", ""}, {"hol", "hold"},
    };
    for (size_t i = 0; i < countof(rows); i++)
        expect_str(setting_suggest(str_c(rows[i][0]), names, countof(names)), str_c(rows[i][1]),
                   rows[i][0]);
}

/* Limits of the reader that no honest file meets. */
static void test_bounds(void)
{
    struct buffer text;
    buffer_init(&text, 1 << 22);
    buffer_puts(&text, "hold: ");
    buffer_fill(&text, '[', 10000);
    buffer_clear(&errors);
    struct settings *s = settings_load(buffer_str(&text), "f", NULL, 0, &errors);
    expect_str(buffer_str(&errors), STR("f:1:46: nested more than 40 deep\n"), "deep");
    expect(s == NULL, "deep");
    buffer_clear(&text);
    buffer_fill(&text, '#', (1 << 20) + 1);
    buffer_clear(&errors);
    s = settings_load(buffer_str(&text), "f", NULL, 0, &errors);
    expect_str(buffer_str(&errors), STR("f:1:1: larger than 1048576 bytes\n"), "large");
    expect(s == NULL, "large");
    buffer_drop(&text);
}

/* Any text goes through the writer and the reader unchanged. */
static void test_texts(void)
{
    static const struct str rows[] = {
        STR_INIT(""),
        STR_INIT("plain"),
        STR_INIT("two words"),
        STR_INIT(" blanks "),
        STR_INIT("null"),
        STR_INIT("~"),
        STR_INIT("- a"),
        STR_INIT("a: b"),
        STR_INIT("09:00-19:00"),
        STR_INIT("a #b"),
        STR_INIT("#b"),
        STR_INIT("[a"),
        STR_INIT("{a"),
        STR_INIT("*.int.example"),
        STR_INIT("a,b"),
        STR_INIT("a\nb\n"),
        STR_INIT("a\tb"),
        STR_INIT("\"q\" \\ 'r'"),
        STR_INIT("%a"),
        STR_INIT("@a"),
        STR_INIT("`a"),
        STR_INIT("山田 花子"),
        STR_INIT("a\xc2\x85z"),
        STR_INIT("a\xe2\x80\xa8z"),
        STR_INIT("---"),
        STR_INIT("\xef\xbb\xbf\x7f"),
        STR_INIT("x\0y"),
        STR_INIT("..."),
        STR_INIT("=b"),
        STR_INIT("a:"),
        STR_INIT("😀"),
        STR_INIT("\xef\xbf\xbf"),
        STR_INIT("!t"),
    };
    for (size_t i = 0; i < countof(rows); i++)
        for (int form = 0; form < 3; form++) {
            struct arena arena;
            struct doc d;
            struct buffer text;
            arena_init(&arena, 1 << 16);
            buffer_init(&text, 1 << 12);
            buffer_puts(&text, form == 1 ? "[x, " : form == 2 ? "{k: " : "k: ");
            doc_write_text(&text, rows[i]);
            buffer_puts(&text, form == 1 ? ", y]" : form == 2 ? "}\n" : "\n");
            buffer_clear(&errors);
            bool is_read = doc_read(&d, buffer_str(&text), "f", &arena, &errors);
            expect(is_read && errors.len == 0, "%s: %.*s", rows[i].at,
                   STR_ARG(buffer_str(&errors)));
            const struct node *n = is_read ? d.root->first : NULL;
            if (n)
                expect_str((form == 1 ? n->next : n)->text, rows[i], rows[i].at);
            buffer_drop(&text);
            arena_drop(&arena);
        }
}

static const struct {
    const char *name, *in;
    bool padded, bare;
    const char *out;
} base64_rows[] = {
    {"RFC 4648 empty", "", true, true, ""},
    {"RFC 4648 f", "Zg==", true, false, "f"},
    {"RFC 4648 foobar", "Zm9vYmFy", true, true, "foobar"},
    {"bare", "Zm8", false, true, "fo"},
    {"padded", "Zm8=", true, false, "fo"},
    {"bits behind the end", "Zh==", false, false, ""},
    {"three pads", "Z===", false, false, ""},
    {"only pads", "====", false, false, ""},
    {"pad alone", "=", false, false, ""},
    {"pad in the middle", "Zg==Zg==", false, false, ""},
    {"blank", "Zm9v YmFy", false, false, ""},
    {"line end", "Zm9v\r\n", false, false, ""},
    {"URL alphabet", "_-__", false, false, ""},
    {"one letter", "Z", false, false, ""},
    {"five letters", "Zm9vY", false, false, ""},
};

static void test_base64(void)
{
    struct buffer b;
    buffer_init(&b, 4096);
    for (size_t i = 0; i < countof(base64_rows); i++)
        for (int form = BASE64_PADDED; form <= BASE64_BARE; form++) {
            bool want = form == BASE64_PADDED ? base64_rows[i].padded : base64_rows[i].bare;
            struct str in = str_c(base64_rows[i].in);
            buffer_clear(&b);
            bool got = base64_decode(in, (enum base64_form)form, &b);
            expect(got == want, "%s, form %d", base64_rows[i].name, form);
            expect_str(buffer_str(&b), str_c(want ? base64_rows[i].out : ""), base64_rows[i].name);
            if (!want)
                continue;
            buffer_clear(&b);
            base64_encode(str_c(base64_rows[i].out), (enum base64_form)form, &b);
            expect_str(buffer_str(&b), in, base64_rows[i].name);
        }
    buffer_drop(&b);
}

int main(int argc, char **argv)
{
    if (argc == 2 && str_eq(str_c(argv[1]), STR("--write"))) {
        struct buffer example;
        buffer_init(&example, 1 << 17);
        settings_write_example(&example);
        (void)fwrite(example.at, 1, example.len, stdout);
        buffer_drop(&example);
        return 0;
    }
    buffer_init(&errors, 1 << 16);
    const struct test tests[] = {
        {"files and what is wrong with them", test_files},
        {"overrides", test_overrides},
        {"values", test_values},
        {"the shipped example", test_example},
        {"suggestions", test_suggest},
        {"bounds", test_bounds},
        {"texts", test_texts},
        {"base64", test_base64},
        {0},
    };
    int status = harness_run("setting", tests);
    buffer_drop(&errors);
    return status;
}
