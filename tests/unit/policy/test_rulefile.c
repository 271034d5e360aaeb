#include "core/policy/rulefile.h"

#include "core/base/base.h"
#include "tests/unit/harness.h"

static struct buffer errors;

#define HEAD       "organisation: o\ndomains: [int.example]\n" /* two lines */
#define SCRAM_SALT "W22ZaJ0SNY7soEsUEjb6gQ=="
#define SCRAM_KEY  "WG5d8oPm3OtcPnkdi4Uo7BkeZkBFzpcXkuLmtbsT4qY="
#define ALICE      "  - {address: alice@int.example"

/* Each row is a whole file and exactly what is said about it. */
static const struct {
    const char *name, *text, *want;
} rows[] = {
    {"least", HEAD, ""},
    {"empty", "", "f:1:1: an organisation is wanted: lines of key: value\n"},
    {"only a list", "- a\n", "f:1:1: an organisation is wanted: lines of key: value\n"},
    {"nothing that must be there", "plan: self\n",
     "f:1:1: `organisation` is missing\nf:1:1: `domains` is missing\n"},
    {"unknown key", HEAD "rule: []\n",
     "f:3:1: unknown key 'rule' of an organisation (did you mean 'rules'?)\n"},
    {"repeated key", HEAD "plan: self\nplan: self\n",
     "f:4:1: 'plan' is given twice, first in line 3\n"},
    {"several at once", "organisation: A b\ndomains: [a_b., int.example]\nplan: selfs\n",
     "f:1:15: 'A b' is not a name: a-z, 0-9 and -, at most 63\n"
     "f:3:7: 'selfs' is not standard or self (did you mean 'self'?)\n"
     "f:2:11: 'a_b.' is not a domain\n"},
    {"language", HEAD "language: jp\n", "f:3:11: 'jp' is not ja or en (did you mean 'ja'?)\n"},
    {"time zone", HEAD "time_zone: ../etc\n",
     "f:3:12: '../etc' is not a time zone (Asia/Tokyo, UTC)\n"},
    {"domain twice", "organisation: o\ndomains: [int.example, INT.example]\n",
     "f:2:24: 'int.example' is listed twice\n"},
    {"domain and affiliate", HEAD "affiliates: [int.example]\n",
     "f:3:13: 'int.example' is also among `domains`\n"},
    {"every domain there is", "organisation: o\ndomains: ['*']\n", "f:2:11: '*' is not a domain\n"},
    {"no domains", "organisation: o\ndomains: []\n", "f:2:10: a list is wanted: [a, b]\n"},
    {"network", HEAD "networks: [192.0.2.1/24, a, 0.0.0.0/0]\n",
     "f:3:12: '192.0.2.1/24' has bits behind its prefix (did you mean '192.0.2.0/24'?)\n"
     "f:3:26: 'a' is not a network (192.0.2.0/24, \"2001:db8::/32\")\n"
     "f:3:29: '0.0.0.0/0' is the whole internet\n"},
    {"network twice", HEAD "networks: [127.0.0.1, 127.0.0.1/32]\n",
     "f:3:23: '127.0.0.1/32' is listed twice\n"},

    {"users are a list", HEAD "users: {address: a@int.example}\n",
     "f:3:8: users: a list is wanted: - {address: alice@int.example}\n"},
    {"user key", HEAD "users:\n" ALICE ", role: [approver]}\n",
     "f:4:34: unknown key 'role' of a user (did you mean 'roles'?)\n"},
    {"user twice, by another case", HEAD "users:\n" ALICE "}\n  - {address: Alice@INT.example}\n",
     "f:5:15: user 'Alice@int.example' is there twice\n"},
    {"user of a foreign domain", HEAD "users:\n  - {address: a@other.example}\n",
     "f:4:15: the domain of 'a@other.example' is not among `domains`\n"},
    {"user without address", HEAD "users:\n  - {name: x}\n", "f:4:5: a user without `address`\n"},
    {"no address", HEAD "users:\n  - {address: alice}\n", "f:4:15: 'alice' is not an address\n"},
    {"role", HEAD "users:\n" ALICE ", roles: [admin]}\n",
     "f:4:42: 'admin' is not administrator or approver (did you mean 'administrator'?)\n"},
    {"foreign send_as", HEAD "users:\n" ALICE ", send_as: [ceo@other.example]}\n",
     "f:4:44: the domain of 'ceo@other.example' is not among `domains`\n"},
    {"plain password", HEAD "users:\n" ALICE ", password: secret}\n",
     "f:4:34: `password` in plain text is for sandboxes; use password_hash\n"},
    {"hash of another kind", HEAD "users:\n" ALICE ", password_hash: \"$1$abc\"}\n",
     "f:4:49: password_hash: $argon2id$v=19$m=…,t=…,p=…$salt$hash is wanted\n"},
    {"SCRAM verifier of another kind",
     HEAD "users:\n" ALICE ", password_scram: \"SCRAM-SHA-1$4096:" SCRAM_SALT "$" SCRAM_KEY
          ":" SCRAM_KEY "\"}\n",
     "f:4:50: password_scram: SCRAM-SHA-256$iterations:salt$StoredKey:ServerKey is wanted, "
     "with 4096 iterations or more\n"},
    {"too few iterations",
     HEAD "users:\n" ALICE ", password_scram: \"SCRAM-SHA-256$4095:" SCRAM_SALT "$" SCRAM_KEY
          ":" SCRAM_KEY "\"}\n",
     "f:4:50: password_scram: SCRAM-SHA-256$iterations:salt$StoredKey:ServerKey is wanted, "
     "with 4096 iterations or more\n"},
    {"one key",
     HEAD "users:\n" ALICE ", password_scram: \"SCRAM-SHA-256$4096:" SCRAM_SALT "$" SCRAM_KEY
          "\"}\n",
     "f:4:50: password_scram: SCRAM-SHA-256$iterations:salt$StoredKey:ServerKey is wanted, "
     "with 4096 iterations or more\n"},
    {"control character", HEAD "users:\n" ALICE ", name: \"a\\nb\"}\n",
     "f:4:40: has a control character\n"},

    {"group keys", HEAD "groups:\n  g: {member: [a@b.example]}\n",
     "f:4:7: unknown key 'member' of a group (did you mean 'members'?)\n"
     "f:4:6: a group without `members`\n"},
    {"foreign mailbox", HEAD "groups:\n  g: {members: [a@b.example], mailbox: m@b.example}\n",
     "f:4:40: the domain of 'm@b.example' is not among `domains`\n"},
    {"member twice", HEAD "groups:\n  g: [a@b.example, a@b.example]\n",
     "f:4:20: 'a@b.example' is listed twice\n"},

    {"calendar",
     HEAD "calendars:\n  c: {days: [monday], hours: 9-17, holidays: [japan, 2026-13-01]}\n",
     "f:4:14: 'monday' is not a day (mon to sun) (did you mean 'mon'?)\n"
     "f:4:30: '9-17' is not hours (\"09:00-19:00\")\n"
     "f:4:54: '2026-13-01' is not a holiday (japan, \"2026-12-29\")\n"},
    {"dictionary", HEAD "dictionaries:\n  d: {word: [a]}\n",
     "f:4:7: unknown key 'word' of a dictionary (did you mean 'words'?)\n"},

    {"rules are a list", HEAD "rules: {}\n",
     "f:3:8: rules: a list is wanted: - {name: …, then: …}\n"},
    {"rule without anything", HEAD "rules:\n  - {when: {}}\n",
     "f:4:5: a rule without `name`\nf:4:12: when: a mapping is wanted: {key: value}\n"
     "f:4:5: a rule without `then`\n"},
    {"rule key", HEAD "rules:\n  - {name: a, if: {}, then: {hold: 1s}}\n",
     "f:4:15: unknown key 'if' of a rule\n"},
    {"rule twice",
     HEAD "rules:\n  - {name: a, when: {recipient: {class: internal}}, then: {hold: 0s}}\n"
          "  - {name: a, then: {hold: 1s}}\n",
     "f:5:12: rule 'a' is there twice\n"},
    {"condition", HEAD "rules:\n  - {name: a, when: {sendr: {group: g}}, then: {hold: 1s}}\n",
     "f:4:22: unknown condition 'sendr' (did you mean 'sender'?)\n"},
    {"condition of a section",
     HEAD "rules:\n  - {name: a, when: {recipient: {clas: internal}}, then: {hold: 1s}}\n",
     "f:4:34: unknown condition 'clas' of recipient (did you mean 'class'?)\n"},
    {"class", HEAD "rules:\n  - {name: a, when: {recipient: {class: extern}}, then: {hold: 1s}}\n",
     "f:4:41: 'extern' is not internal, affiliate or external (did you mean 'external'?)\n"},
    {"unknown group",
     HEAD "groups: {newcomers: [a@int.example]}\nrules:\n"
          "  - {name: a, when: {sender: {group: newcomer}}, then: {hold: 1s}}\n",
     "f:5:38: unknown group 'newcomer' (did you mean 'newcomers'?)\n"},
    {"section is a word", HEAD "rules:\n  - {name: a, when: {sender: alice}, then: {hold: 1s}}\n",
     "f:4:30: sender: a mapping is wanted: {key: value}\n"},
    {"any", HEAD "rules:\n  - {name: a, when: {any: {sender: {user: a}}}, then: {hold: 1s}}\n",
     "f:4:27: any: a list is wanted: [{...}, {...}]\n"},
    {"any of words", HEAD "rules:\n  - {name: a, when: {any: [a]}, then: {hold: 1s}}\n",
     "f:4:28: any: a mapping is wanted: {key: value}\n"},
    {"not", HEAD "rules:\n  - {name: a, when: {not: [a]}, then: {hold: 1s}}\n",
     "f:4:27: not: a mapping is wanted: {key: value}\n"},
    {"empty list matches nothing",
     HEAD "rules:\n  - {name: a, when: {sender: {user: []}}, then: {hold: 1s}}\n",
     "f:4:37: a list is wanted: [a, b]\n"},

    {"not built: approve", HEAD "rules:\n  - {name: a, then: {approve: {by: supervisor}}}\n",
     "f:4:22: `approve` is not available in this version\n"},
    {"not built: attachments",
     HEAD
     "rules:\n  - name: a\n    when: {attachments: {at_least: 1}}\n    then: {attachments: zip}\n",
     "f:5:12: `attachments` is not available in this version\n"
     "f:6:12: `attachments` is not available in this version\n"},
    {"not built: inside any",
     HEAD "rules:\n  - {name: a, when: {any: [{unreadable: true}, {ambiguous: true}]}, "
          "then: {hold: 1d}}\n",
     "f:4:29: `unreadable` is not available in this version\n"
     "f:4:49: `ambiguous` is not available in this version\n"},
    {"unknown list",
     HEAD "lists: {rivals: [\"*.rival.example\", x@y.example]}\nrules:\n"
          "  - {name: a, when: {recipient: {list: rival}}, then: {hold: 1d}}\n",
     "f:5:40: unknown list 'rival' (did you mean 'rivals'?)\n"},
    {"not built: in defaults", HEAD "defaults: {require_tls: any}\n",
     "f:3:12: `require_tls` is not available in this version\n"},
    {"action", HEAD "defaults: {holds: 5m}\n",
     "f:3:12: unknown action 'holds' (did you mean 'hold'?)\n"},
    {"hold", HEAD "defaults: {hold: 300}\n",
     "f:3:18: hold: '300' is not a duration (0s, 300s, 5m, 2h, 7d)\n"},
    {"hold too long", HEAD "defaults: {hold: 8d}\n",
     "f:3:18: hold: '8d' is out of range (0s to 7d)\n"},
    {"notice", HEAD "defaults: {notice: off}\n",
     "f:3:20: notice: each, none or {every: 30m} is wanted\n"},
    {"notice every", HEAD "defaults: {notice: {every: 5s}}\n",
     "f:3:28: every: '5s' is out of range (1m to 7d)\n"},
    {"notice key", HEAD "defaults: {notice: {evry: 5m}}\n",
     "f:3:21: unknown key 'evry' of notice (did you mean 'every'?)\n"},
    {"stop in defaults", HEAD "defaults: {stop: true}\n",
     "f:3:12: `stop` means nothing in defaults\n"},
    {"stop: no", HEAD "rules:\n  - {name: a, then: {stop: no}}\n",
     "f:4:28: stop: true is wanted, or leave it out\n"},

    {"unreachable: all is said",
     HEAD "rules:\n  - {name: a, then: {hold: 1s}}\n"
          "  - {name: b, when: {recipient: {class: external}}, then: {hold: 2s}}\n",
     "f:5:12: rule 'b' never decides anything: rule 'a' in line 4 is first\n"},
    {"unreachable: behind a stop",
     HEAD
     "rules:\n  - {name: a, when: {recipient: {class: [internal, external]}}, then: {stop: true}}\n"
     "  - {name: b, when: {sender: {user: a@int.example}, recipient: {class: external}}, "
     "then: {notice: each}}\n",
     "f:5:12: rule 'b' never decides anything: rule 'a' in line 4 is first\n"},
    {"reachable: another action",
     HEAD "rules:\n  - {name: a, then: {hold: 1s}}\n  - {name: b, then: {notice: none}}\n", ""},
    {"reachable: narrower is first",
     HEAD "rules:\n  - {name: a, when: {recipient: {class: external}}, then: {hold: 1s}}\n"
          "  - {name: b, then: {hold: 2s}}\n",
     ""},
    {"reachable: it stops",
     HEAD "rules:\n  - {name: a, then: {hold: 1s}}\n"
          "  - {name: b, when: {recipient: {class: external}}, then: {hold: 2s, stop: true}}\n"
          "  - {name: c, then: {notice: none}}\n",
     ""},
    {"anchors", HEAD "hosts: &a [smtp.int.example]\n", "f:3:8: anchors (&) are not allowed here\n"},
};

static void test_errors(void)
{
    for (size_t i = 0; i < countof(rows); i++) {
        buffer_clear(&errors);
        struct organisation *o = rulefile_read(str_c(rows[i].text), "f", NULL, &errors);
        expect_str(buffer_str(&errors), str_c(rows[i].want), rows[i].name);
        expect((o != NULL) == (rows[i].want[0] == '\0'), "%s: result", rows[i].name);
        organisation_drop(&o);
    }
}

static const char full[] =
    "# comments go\n"
    "organisation: demo\n"
    "domains: [INT.example, '*.int.example', 日本.example]\n"
    "affiliates: group.example\n"
    "networks: [192.0.2.0/24, \"2001:db8::/32\", 198.51.100.7]\n"
    "hosts: [smtp.int.example]\n"
    "users:\n"
    "  - {address: Alice@int.example, name: 山田 花子, supervisor: carol@int.example,\n"
    "     password_hash: \"$argon2id$v=19$m=64,t=1,p=1$c29tZXNhbHQ$AAAAAAAAAAAAAAAAAAAAAA\",\n"
    "     password_scram: \"SCRAM-SHA-256$4096:" SCRAM_SALT "$" SCRAM_KEY ":" SCRAM_KEY "\"}\n"
    "  - {address: carol@int.example, roles: [approver, administrator], send_as: "
    "[info@int.example]}\n"
    "groups:\n"
    "  newcomers: [alice@int.example]\n"
    "  \"help: desk\": {members: [bob@int.example, x@ext.example], mailbox: help@int.example}\n"
    "calendars:\n"
    "  business: {days: [mon, tue], hours: \"09:00-19:00\", holidays: [japan, \"2026-12-29\"]}\n"
    "dictionaries:\n"
    "  confidential: {words: [社外秘, \"a: b\"], patterns: [\"案件番号[0-9]{6}\"]}\n"
    "rules:\n"
    "  - name: one\n"
    "    when: {sender: {group: [newcomers, 'help: desk'], domain: '*.int.example'}, "
    "recipient: {class: external}}\n"
    "    then: {notice: {every: 90m}, hold: 900s}\n"
    "  - name: two\n"
    "    when:\n"
    "      any:\n"
    "        - sender: {network: 192.0.2.0/24}\n"
    "        - not: {all: [{recipient: {domain: a.example}}, {not: {recipient: "
    "{address: [b@B.example]}}}]}\n"
    "        - {sender: {user: carol@int.example}, any: [{recipient: {group: newcomers}}]}\n"
    "      not: {sender: {address: carol@int.example}}\n"
    "    then: {hold: 0s, stop: true}\n"
    "  - {name: three, then: {notice: none}}\n"
    "defaults: {hold: 5m, notice: each}\n";

static const char canonical[] =
    "organisation: demo\n"
    "plan: self\n"
    "language: ja\n"
    "time_zone: Asia/Tokyo\n"
    "domains: [int.example, \"*.int.example\", xn--wgv71a.example]\n"
    "affiliates: [group.example]\n"
    "networks: [192.0.2.0/24, \"2001:db8::/32\", 198.51.100.7/32]\n"
    "hosts: [smtp.int.example]\n"
    "users:\n"
    "  - {address: Alice@int.example, name: 山田 花子, password_hash: "
    "\"$argon2id$v=19$m=64,t=1,p=1$c29tZXNhbHQ$AAAAAAAAAAAAAAAAAAAAAA\", password_scram: "
    "SCRAM-SHA-256$4096:" SCRAM_SALT "$" SCRAM_KEY ":" SCRAM_KEY ", supervisor: "
    "carol@int.example}\n"
    "  - {address: carol@int.example, roles: [administrator, approver], send_as: "
    "[info@int.example]}\n"
    "groups:\n"
    "  newcomers: [alice@int.example]\n"
    "  \"help: desk\": {members: [bob@int.example, x@ext.example], mailbox: help@int.example}\n"
    "calendars:\n"
    "  business: {days: [mon, tue], hours: 09:00-19:00, holidays: [japan, 2026-12-29]}\n"
    "dictionaries:\n"
    "  confidential: {words: [社外秘, \"a: b\"], patterns: [\"案件番号[0-9]{6}\"]}\n"
    "rules:\n"
    "  - name: one\n"
    "    when: {sender: {group: [newcomers, \"help: desk\"], domain: \"*.int.example\"}, "
    "recipient: {class: external}}\n"
    "    then: {hold: 15m, notice: {every: 90m}}\n"
    "  - name: two\n"
    "    when: {any: [{sender: {network: 192.0.2.0/24}}, {not: {all: [{recipient: {domain: "
    "a.example}}, {not: {recipient: {address: b@b.example}}}]}}, {sender: {user: "
    "carol@int.example}, any: [{recipient: {group: newcomers}}]}], not: {sender: {address: "
    "carol@int.example}}}\n"
    "    then: {hold: 0s, stop: true}\n"
    "  - name: three\n"
    "    then: {notice: none}\n"
    "defaults: {hold: 5m, notice: each}\n";

static void test_export(void)
{
    struct buffer out;
    buffer_init(&out, 1 << 16);
    buffer_clear(&errors);
    struct organisation *o = rulefile_read(str_c(full), "f", NULL, &errors);
    expect_str(buffer_str(&errors), STR(""), "full");
    CU_ASSERT_PTR_NOT_NULL_FATAL(o);
    rulefile_write(o, &out);
    expect_str(buffer_str(&out), str_c(canonical), "export");
    organisation_drop(&o);
    o = rulefile_read(str_c(canonical), "f", NULL, &errors);
    expect_str(buffer_str(&errors), STR(""), "import of an export");
    CU_ASSERT_PTR_NOT_NULL_FATAL(o);
    buffer_clear(&out);
    rulefile_write(o, &out);
    expect_str(buffer_str(&out), str_c(canonical), "export(import(export)) is export");
    organisation_drop(&o);
    buffer_drop(&out);
}

static void test_options(void)
{
    struct rulefile_options sandbox = {.allow_password = true, .network = STR_INIT("127.0.0.0/8")};
    const char *text = HEAD "users:\n" ALICE ", password: secret}\n";
    struct organisation *o = rulefile_read(str_c(text), "f", &sandbox, &errors);
    CU_ASSERT_PTR_NOT_NULL_FATAL(o);
    expect_str(o->users[0].password, STR("secret"), "plain password");
    expect(o->network_count == 1, "the sandbox's network");
    expect(organisation_set_hash(o, 0, STR("$argon2id$x"), STR("")), "hash");
    expect(o->users[0].password.len == 0, "the plain one is forgotten");
    organisation_drop(&o);
    o = rulefile_read(STR(HEAD "networks: [127.0.0.0/8]\n"), "f", &sandbox, &errors);
    CU_ASSERT_PTR_NOT_NULL_FATAL(o);
    expect(o->network_count == 1, "not added twice");
    organisation_drop(&o);
}

static void test_demo(void)
{
    struct buffer text;
    buffer_init(&text, 1 << 16);
    FILE *file = fopen(SOURCE_DIR "/tools/demo.yaml", "re");
    char *to = buffer_reserve(&text, 1 << 14);
    CU_ASSERT_FATAL(file && to);
    buffer_added(&text, fread(to, 1, 1 << 14, file));
    (void)fclose(file);
    buffer_clear(&errors);
    struct organisation *o = rulefile_read(buffer_str(&text), "demo.yaml", NULL, &errors);
    expect_str(buffer_str(&errors), STR(""), "demo");
    expect(o && o->user_count == 4 && o->group_count == 1, "demo");
    organisation_drop(&o);
    buffer_drop(&text);
}

/* Nesting beyond the bound, and wide conditions. */
static void test_bounds(void)
{
    struct buffer text;
    buffer_init(&text, 1 << 20);
    buffer_puts(&text, HEAD "rules:\n  - name: deep\n    then: {hold: 1s}\n    when: ");
    for (int i = 0; i < 40; i++)
        buffer_puts(&text, "{not: ");
    buffer_puts(&text, "{sender: {user: a@int.example}}");
    buffer_fill(&text, '}', 40);
    buffer_clear(&errors);
    struct organisation *o = rulefile_read(buffer_str(&text), "f", NULL, &errors);
    expect(o == NULL && str_find_str(buffer_str(&errors), STR("nested more than")) != SIZE_MAX,
           "%.*s", STR_ARG(buffer_str(&errors)));
    buffer_clear(&text);
    buffer_puts(&text, HEAD "rules:\n  - name: deep\n    then: {hold: 1s}\n    when: ");
    for (int i = 0; i < 20; i++)
        buffer_puts(&text, "{not: ");
    buffer_puts(&text, "{sender: {user: a@int.example}}");
    buffer_fill(&text, '}', 20);
    buffer_clear(&errors);
    o = rulefile_read(buffer_str(&text), "f", NULL, &errors);
    expect_str(buffer_str(&errors),
               STR("f:6:119: conditions inside conditions more than 12 deep\n"), "depth");
    buffer_clear(&text);
    buffer_puts(&text, HEAD "rules:\n  - name: wide\n    then: {hold: 1s}\n    when: {any: [");
    for (int i = 0; i < 600; i++)
        buffer_puts(&text, "{sender: {user: a@int.example}}, ");
    buffer_puts(&text, "]}\n");
    buffer_clear(&errors);
    o = rulefile_read(buffer_str(&text), "f", NULL, &errors);
    expect(o == NULL &&
               str_find_str(buffer_str(&errors), STR("more than 1000 conditions")) != SIZE_MAX,
           "%.*s", STR_ARG(buffer_str(&errors)));
    buffer_drop(&text);
}

int main(void)
{
    buffer_init(&errors, 1 << 16);
    const struct test tests[] = {
        {"files and what is wrong with them", test_errors},
        {"import and export", test_export},
        {"sandbox options", test_options},
        {"the demo organisation", test_demo},
        {"bounds", test_bounds},
        {0},
    };
    int status = harness_run("rulefile", tests);
    buffer_drop(&errors);
    return status;
}
