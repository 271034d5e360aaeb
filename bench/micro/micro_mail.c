#include "bench/micro/micro.h"
#include "core/base/base.h"
#include "core/mail/address.h"
#include "core/mail/body.h"
#include "core/mail/envelope.h"
#include "core/mail/header.h"
#include "core/mail/line.h"
#include "core/mail/mailbox.h"
#include "core/mail/reply.h"
#include "core/mail/word.h"
#include "storage/journal.h"

enum {
    ARENA_BYTES = 1 << 20,
    OUT_BYTES = 1 << 20,
    GROUP_MAILS = 16,
};

static const char headers[] =
    "Received: from pc7.int.example (pc7.int.example [192.0.2.7])\r\n"
    "\tby gate.example with ESMTPSA id 4XyZ; Tue, 24 Nov 2026 09:00:00 +0900\r\n"
    "From: =?UTF-8?B?5bGx55Sw6Iqx5a2Q?= <alice@int.example>\r\n"
    "To: Bob <bob@ext.example>, carol@other.example,\r\n"
    " \"Dave, D.\" <dave@third.example>\r\n"
    "Cc: team@int.example\r\n"
    "Subject: =?ISO-2022-JP?B?GyRCOCs0KSROND4bKEI=?= 2026-11\r\n"
    "Date: Tue, 24 Nov 2026 09:00:00 +0900\r\n"
    "Message-ID: <20261124.090000.1@pc7.int.example>\r\n"
    "MIME-Version: 1.0\r\n"
    "Content-Type: text/plain; charset=UTF-8\r\n"
    "Content-Transfer-Encoding: 8bit\r\n"
    "\r\n";

/* `len` bytes of lines of 76, as a base64 body has them. */
static struct str lines_of(size_t len, struct buffer *b)
{
    buffer_init(b, OUT_BYTES);
    while (b->len + 78 <= len) {
        for (int i = 0; i < 76; i++)
            buffer_putc(b, (char)('A' + (i * 7 + (int)b->len) % 26));
        buffer_puts(b, "\r\n");
    }
    return buffer_str(b);
}

void micro_line(struct micro *m)
{
    static const char commands[] = "MAIL FROM:<alice@int.example> SIZE=4096\r\n"
                                   "RCPT TO:<bob@ext.example>\r\n"
                                   "DATA\r\n";
    struct line l;
    line_init(&l, LIMIT_COMMAND_BYTES);
    while (micro_more(m)) {
        struct str in = str_c(commands), out;
        while (line_feed(&l, &in, &out) == LINE_DONE)
            micro_keep(out.len);
    }
    micro_items(m, 3);
    line_drop(&l);
}

static void body_in(struct micro *m, size_t bytes)
{
    struct buffer b;
    lines_of(bytes, &b);
    buffer_puts(&b, ".\r\n");
    while (micro_more(m)) {
        struct body_in automaton;
        struct str in = buffer_str(&b), run;
        body_in_init(&automaton);
        while (body_in_feed(&automaton, &in, &run) == BODY_IN_DATA)
            micro_keep(run.len);
    }
    micro_bytes(m, b.len);
    buffer_drop(&b);
}

void micro_body_in_4k(struct micro *m)
{
    body_in(m, 4096);
}

void micro_body_in_64k(struct micro *m)
{
    body_in(m, 65536);
}

void micro_body_out_4k(struct micro *m)
{
    struct buffer b, out;
    struct str in = lines_of(4096, &b);
    buffer_init(&out, OUT_BYTES);
    while (micro_more(m)) {
        struct body_out writer;
        body_out_init(&writer);
        buffer_clear(&out);
        must(body_out_feed(&writer, in, &out) && body_out_end(&writer, &out));
    }
    micro_bytes(m, in.len);
    buffer_drop(&b);
    buffer_drop(&out);
}

void micro_header(struct micro *m)
{
    struct arena arena;
    arena_init(&arena, ARENA_BYTES);
    while (micro_more(m)) {
        struct header h;
        struct header_facts facts;
        header_init(&h);
        must(header_feed(&h, str_c(headers)) == HEADER_DONE);
        must(header_read_facts(&h, &arena, &facts));
        micro_keep(facts.from);
        header_drop(&h);
        arena_reset(&arena);
    }
    micro_bytes(m, sizeof headers - 1);
    arena_drop(&arena);
}

void micro_address(struct micro *m)
{
    struct arena arena;
    struct address a;
    arena_init(&arena, ARENA_BYTES);
    while (micro_more(m)) {
        must(address_parse_path(STR("<Taro.Yamada+news@Sales.Ext.Example>"), ADDRESS_RECIPIENT,
                                &arena, &a) == ADDRESS_OK);
        micro_keep(a.whole.len);
        arena_reset(&arena);
    }
    micro_items(m, 1);
    arena_drop(&arena);
}

void micro_mailboxes(struct micro *m)
{
    struct buffer b;
    struct arena arena;
    struct mailbox_list list;
    buffer_init(&b, OUT_BYTES);
    arena_init(&arena, ARENA_BYTES);
    for (int i = 0; i < 100; i++) {
        const char *name = i % 4 == 1 ? "\"Yamada, Taro\" " : i % 4 == 3 ? "Hanako Yamada " : "";
        buffer_printf(&b, "%s%s<user%d@sales%d.ext.example>", i ? ",\r\n " : "", name, i, i % 7);
    }
    while (micro_more(m)) {
        must(mailbox_read(buffer_str(&b), &arena, &list) && list.count == 100 && !list.doubts);
        micro_keep(list.at[99].end);
        arena_reset(&arena);
    }
    micro_bytes(m, b.len);
    arena_drop(&arena);
    buffer_drop(&b);
}

void micro_reply(struct micro *m)
{
    struct reply_parser p;
    reply_parser_init(&p);
    while (micro_more(m)) {
        struct str in = STR("250 2.1.5 Recipient OK, go ahead\r\n");
        must(reply_parser_feed(&p, &in) == REPLY_DONE);
        micro_keep(p.seen.code);
    }
    micro_items(m, 1);
}

void micro_subject(struct micro *m)
{
    struct buffer out;
    buffer_init(&out, OUT_BYTES);
    while (micro_more(m)) {
        buffer_clear(&out);
        word_decode(STR("=?ISO-2022-JP?B?GyRCOCs0KSROND4bKEI=?= =?UTF-8?B?44Gu5Lu2?= 2026"),
                    LIMIT_SUBJECT_BYTES, &out);
    }
    micro_keep(out.len);
    micro_items(m, 1);
    buffer_drop(&out);
}

/* A usual message with three recipients. */
static struct message *some_message(void)
{
    struct message *m = message_make(ARENA_BYTES);
    must(m);
    m->id = 42;
    m->accepted_ms = 1795000000000;
    m->organisation = STR("demo");
    m->sender = m->user = STR("alice@int.example");
    m->client = STR("192.0.2.7 pc7.int.example");
    m->envid = m->token = STR("");
    m->subject = STR("a subject of the usual length");
    m->message_id = STR("<20261124.090000.1@pc7.int.example>");
    m->prefix =
        STR("Received: from pc7.int.example ([192.0.2.7])\r\n\tby gate.example with ESMTPSA\r\n"
            "\tid 0001; Tue, 24 Nov 2026 09:00:00 +0900\r\n");
    m->body_bytes = 4096;
    m->body_inline = true;
    m->recipient_count = 3;
    m->recipients = arena_take(&m->arena, 3 * sizeof *m->recipients);
    must(m->recipients);
    for (uint32_t i = 0; i < 3; i++)
        m->recipients[i] = (struct recipient){.address = STR("bob@ext.example"),
                                              .orcpt = STR(""),
                                              .rule = STR("external"),
                                              .last = STR(""),
                                              .stage = STAGE_WAITING,
                                              .due_ms = 1795000300000,
                                              .release_ms = 1795000300000};
    return m;
}

void micro_envelope_encode(struct micro *m)
{
    struct message *message = some_message();
    struct buffer out;
    buffer_init(&out, OUT_BYTES);
    while (micro_more(m)) {
        buffer_clear(&out);
        message_encode(message, &out);
    }
    micro_bytes(m, out.len);
    buffer_drop(&out);
    message_drop(&message);
}

void micro_envelope_decode(struct micro *m)
{
    struct message *message = some_message();
    struct buffer out;
    buffer_init(&out, OUT_BYTES);
    message_encode(message, &out);
    message_drop(&message);
    while (micro_more(m)) {
        message = message_decode(42, buffer_str(&out));
        must(message);
        message_drop(&message);
    }
    micro_bytes(m, out.len);
    buffer_drop(&out);
}

void micro_group(struct micro *m)
{
    static _Alignas(4096) char staging[GROUP_MAILS * 8192];
    struct message *message = some_message();
    struct buffer body, record;
    struct str text = lines_of(4096, &body);
    struct journal_place place = {.segment = 1, .generation = 1, .sequence = 7};
    struct group g = {.at = staging};
    size_t bytes = 0;
    buffer_init(&g.directory, OUT_BYTES);
    buffer_init(&record, OUT_BYTES);
    while (micro_more(m)) {
        uint64_t offset;
        uint32_t checksum;
        group_open(&g, &place, sizeof staging);
        for (uint64_t id = 1; id <= GROUP_MAILS; id++) {
            buffer_clear(&record);
            message_encode(message, &record);
            must(group_add(&g, RECORD_BODY, id, text, STR(""), &offset) &&
                 group_add(&g, RECORD_ACCEPT, id, buffer_str(&record), STR(""), &offset));
        }
        bytes = group_close(&g, 1795000000000, &checksum);
        micro_keep(checksum);
    }
    micro_items(m, GROUP_MAILS);
    micro_keep(bytes);
    buffer_drop(&g.directory);
    buffer_drop(&body);
    buffer_drop(&record);
    message_drop(&message);
}
