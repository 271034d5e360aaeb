/* Which recipients of a delivery a connection may carry. What suit.c tells the mail is caught here
 * instead of going to a journal. */
#include "shards/suit.h"

#include "core/base/heap.h"
#include "tests/unit/harness.h"

enum {
    TEXT_BYTES = 2000
};

static struct buffer told; /* "0 bounce 5.6.7 mx.example;" for each outcome */
static unsigned users;

void mail_use(struct mail *mail)
{
    (void)mail;
    users++;
}

void mail_release(struct mail *mail)
{
    (void)mail;
    users--;
}

void mail_conclude(struct mail *mail, const struct outcome *outcomes, uint32_t count)
{
    static const char *const verdicts[] = {"delivered", "retry", "bounce"};
    for (uint32_t i = 0; i < count; i++) {
        const struct outcome *o = &outcomes[i];
        buffer_printf(&told, "%u %s %.*s %.*s;", o->recipient, verdicts[o->verdict],
                      STR_ARG(o->status), STR_ARG(o->remote));
        expect(o->why.len && !o->attempted && !o->exposed, "nothing was tried");
    }
    mail_release(mail);
}

static const struct {
    const char *name;
    uint32_t flags; /* of the mail; its recipients are 0: a@x.example, 1: あ@x.example */
    uint64_t size;
    enum smtp_tls needs, has;
    unsigned offers;
    uint64_t size_max;
    bool second, used; /* second: not the most preferred exchanger */
    enum suit want;
    const char *told;
} rows[] = {
    {"all is offered", MESSAGE_8BIT | MESSAGE_SMTPUTF8 | MESSAGE_8BIT_HEADER, 100, 0, 0,
     SMTP_8BITMIME | SMTP_SMTPUTF8, 0, false, false, SUIT_GO, ""},
    {"RFC 6531 only the UTF-8 address bounces", MESSAGE_SMTPUTF8, 100, 0, 0, 0, 0, false, false,
     SUIT_GO, "1 bounce 5.6.7 mx.example;"},
    {"RFC 6531 a UTF-8 header is for nobody", MESSAGE_SMTPUTF8 | MESSAGE_8BIT | MESSAGE_8BIT_HEADER,
     100, 0, 0, SMTP_8BITMIME, 0, false, false, SUIT_OVER,
     "0 bounce 5.6.7 mx.example;1 bounce 5.6.7 mx.example;"},
    {"8-bit bytes in a header without SMTPUTF8 are 8-bit bytes", MESSAGE_8BIT | MESSAGE_8BIT_HEADER,
     100, 0, 0, SMTP_8BITMIME | SMTP_SMTPUTF8, 0, false, false, SUIT_GO, ""},
    {"OUT-16 8BITMIME", MESSAGE_8BIT, 100, 0, 0, SMTP_SMTPUTF8, 0, false, false, SUIT_OVER,
     "0 bounce 5.6.3 mx.example;1 bounce 5.6.3 mx.example;"},
    {"OUT-16 SIZE", 0, 101, 0, 0, SMTP_SMTPUTF8 | SMTP_SIZE, 100, false, false, SUIT_OVER,
     "0 bounce 5.3.4 mx.example;1 bounce 5.3.4 mx.example;"},
    {"RFC 1870 SIZE is enough", 0, 100, 0, 0, SMTP_SMTPUTF8 | SMTP_SIZE, 100, false, false, SUIT_GO,
     ""},
    {"a second exchanger condemns nothing", 0, 101, 0, 0, SMTP_SMTPUTF8 | SMTP_SIZE, 100, true,
     false, SUIT_OVER, "0 retry 4.3.4 mx.example;1 retry 4.3.4 mx.example;"},
    {"OUT-19 a used connection in the clear: another one", 0, 100, SMTP_TLS_ENCRYPTED, 0,
     SMTP_SMTPUTF8, 0, false, true, SUIT_ELSEWHERE, ""},
    {"OUT-19 encrypted only, and verified is asked for", 0, 100, SMTP_TLS_VERIFIED,
     SMTP_TLS_ENCRYPTED, SMTP_SMTPUTF8, 0, false, true, SUIT_ELSEWHERE, ""},
    {"OUT-19 a used connection that is good enough", 0, 100, SMTP_TLS_ENCRYPTED, SMTP_TLS_ENCRYPTED,
     SMTP_SMTPUTF8, 0, false, true, SUIT_GO, ""},
    {"OUT-19 a fresh connection in the clear: later", 0, 100, SMTP_TLS_ENCRYPTED, 0, SMTP_SMTPUTF8,
     0, false, false, SUIT_OVER, "0 retry 4.7.10 mx.example;1 retry 4.7.10 mx.example;"},
    {"OUT-19 TLS goes before what the hop lacks else", MESSAGE_8BIT, 100, SMTP_TLS_ENCRYPTED, 0, 0,
     0, false, true, SUIT_ELSEWHERE, ""},
};

static void test_rows(void)
{
    for (size_t i = 0; i < countof(rows); i++) {
        struct recipient recipients[] = {{.address = STR_INIT("a@x.example")},
                                         {.address = STR_INIT("\xe3\x81\x82@x.example")}};
        struct message message = {.flags = rows[i].flags,
                                  .sender = STR_INIT("s@int.example"),
                                  .prefix = STR_INIT(""),
                                  .body_bytes = rows[i].size,
                                  .recipients = recipients,
                                  .recipient_count = 2};
        struct mail mail = {.message = &message};
        struct delivery *d = heap_take(sizeof *d + 2 * sizeof(uint32_t));
        d->mail = &mail;
        d->tls = rows[i].needs;
        d->count = 2;
        d->recipient[1] = 1;
        struct smtp_client c = {.tls = rows[i].has,
                                .offers = rows[i].offers,
                                .size_max = rows[i].size_max};
        const struct suit_hop hop = {STR("mx.example"), !rows[i].second, rows[i].used};
        users = 1; /* the delivery's */
        buffer_init(&told, TEXT_BYTES);
        enum suit got = suit_check(d, &c, &hop);
        expect(got == rows[i].want, "%s: %d", rows[i].name, (int)got);
        expect_str(buffer_str(&told), str_c(rows[i].told), rows[i].name);
        expect(users == (got != SUIT_OVER), "%s: %u users of the mail", rows[i].name, users);
        if (got != SUIT_OVER) {
            expect(d->count == 2u - (rows[i].told[0] != '\0'), "%s: who is left", rows[i].name);
            expect(d->recipient[0] == 0, "%s: who is left", rows[i].name);
            heap_drop(d);
        }
        buffer_drop(&told);
    }
}

int main(void)
{
    const struct test tests[] = {{"OUT-16, OUT-19 what a hop lacks", test_rows}, {0}};
    return harness_run("suit", tests);
}
