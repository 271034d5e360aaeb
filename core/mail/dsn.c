#include "core/mail/dsn.h"

#include "core/base/limit.h"
#include "core/mail/compose.h"
#include "core/mail/decode.h"
#include "core/mail/header.h"
#include "core/mail/parameter.h"
#include "core/mail/utf8.h"

#include <stdio.h>

enum {
    PEOPLE_RECIPIENTS = 100,
    PART_BYTES = 1 << 20,
    STATUS_BYTES = 8 << 20,
    FIELD_BYTES = 2048,
};

static const struct {
    const char *tag, *subject, *action;
    const char *japanese, *english; /* what happened */
} actions[] = {
    [DSN_RELAYED] =
        {"[転送済み]", "Relayed Mail:", "relayed",
         "次の宛先へのメールを相手のサーバーに渡しました。相手のサーバーは配送結果の通知に"
         "対応していないため、この先の結果はお知らせできません。\n",
         "Your mail to the following recipients was handed to a server that does not\n"
         "report what becomes of it. Nothing more will be told about it.\n"},
    [DSN_DELAYED] = {"[配送遅延]", "Delayed Mail:", "delayed",
                     "次の宛先へのメールの配送が遅れています。自動で再試行しますので、"
                     "送信し直す必要はありません。\n",
                     "Your mail to the following recipients is delayed. It will be tried again\n"
                     "automatically; you need not send it again.\n"},
    [DSN_FAILED] = {"[配送不能]", "Undelivered Mail:", "failed",
                    "次の宛先にメールを配送できませんでした。再送信は行いません。\n",
                    "Your mail could not be delivered to the following recipients.\n"
                    "It will not be tried again.\n"},
};

bool dsn_is_wanted(enum dsn_action action, uint32_t notify)
{
    static const uint32_t bits[] = {[DSN_RELAYED] = NOTIFY_SUCCESS,
                                    [DSN_DELAYED] = NOTIFY_DELAY,
                                    [DSN_FAILED] = NOTIFY_FAILURE};
    if (action == DSN_NONE)
        return false;
    if (notify == 0)
        return action != DSN_RELAYED;
    return notify & bits[action];
}

const char *dsn_tag(enum dsn_action action)
{
    must(action != DSN_NONE && action < countof(actions));
    return actions[action].tag;
}

enum dsn_action dsn_heaviest(const struct dsn *d)
{
    enum dsn_action heaviest = DSN_NONE;
    for (uint32_t i = 0; i < d->recipient_count; i++)
        if (d->recipients[i].action > heaviest)
            heaviest = d->recipients[i].action;
    return heaviest;
}

/* ---- the part for people */

static void put_labelled(const char *label, struct str value, struct buffer *out)
{
    buffer_puts(out, label);
    compose_put(value, false, out);
    buffer_putc(out, '\n');
}

static void put_recipient(const struct dsn_recipient *r, bool japanese, struct buffer *out)
{
    put_labelled("\n  ", r->address, out);
    struct str why = r->diagnostic.len ? r->diagnostic : r->reason;
    if (why.len)
        put_labelled(japanese ? "    理由: " : "    Reason: ", why, out);
    if (r->remote.len)
        put_labelled(japanese ? "    相手サーバー: " : "    Next server: ", r->remote, out);
}

/* What happened to those with one action; nothing where there are none. */
static void put_section(const struct dsn *d, enum dsn_action action, bool japanese,
                        struct buffer *out)
{
    uint64_t until_ms = 0;
    uint32_t count = 0;
    for (uint32_t i = 0; i < d->recipient_count; i++) {
        const struct dsn_recipient *r = &d->recipients[i];
        if (r->action != action)
            continue;
        if (count++ == 0)
            buffer_puts(out, japanese ? actions[action].japanese : actions[action].english);
        if (count <= PEOPLE_RECIPIENTS)
            put_recipient(r, japanese, out);
        until_ms = u64_max(until_ms, r->retry_until_ms);
    }
    if (count > PEOPLE_RECIPIENTS)
        buffer_printf(out, japanese ? "\n  ほか %u 件\n" : "\n  and %u more\n",
                      count - PEOPLE_RECIPIENTS);
    if (count && action == DSN_DELAYED) {
        buffer_puts(out, japanese ? "\n再試行の期限: " : "\nTried until: ");
        compose_time(until_ms, d->zone_minutes, out);
        buffer_putc(out, '\n');
    }
    if (count)
        buffer_putc(out, '\n');
}

static void put_people(const struct dsn *d, enum compose_language language, struct buffer *out)
{
    bool japanese = language == COMPOSE_JAPANESE;
    put_section(d, DSN_FAILED, japanese, out);
    put_section(d, DSN_DELAYED, japanese, out);
    put_section(d, DSN_RELAYED, japanese, out);
    put_labelled(japanese ? "件名: " : "Subject: ", d->about->subject, out);
    buffer_puts(out, japanese ? "受付日時: " : "Accepted: ");
    compose_time(d->about->accepted_ms, d->zone_minutes, out);
    buffer_puts(out, japanese ? "\n\nこのメールは " : "\n\nThis mail was written by ");
    compose_put(d->mta, false, out);
    buffer_puts(out, japanese ? " が自動で送信しています。\n" : " automatically.\n");
}

/* ---- the part for programs */

enum dsn_form {    /* of the parts for programs */
    SEVEN_BIT,     /* RFC 3464 */
    GLOBAL,        /* RFC 6533, as it is */
    GLOBAL_QUOTED, /* and in quoted-printable */
};

/* `ascii`: is the original's header section? */
static enum dsn_form form_of(const struct dsn *d, bool ascii)
{
    if (!utf8_is_ascii(d->about->sender))
        return GLOBAL;
    if (!(d->about->flags & MESSAGE_SMTPUTF8))
        return SEVEN_BIT;
    for (uint32_t i = 0; i < d->recipient_count && ascii; i++)
        ascii = utf8_is_ascii(d->recipients[i].address) && utf8_is_ascii(d->recipients[i].orcpt);
    return ascii ? SEVEN_BIT : GLOBAL_QUOTED;
}

/* RFC 6533 3 utf-8-addr-xtext without its escapes for ASCII; '?' for what is not UTF-8. */
static void put_seven_bit(struct str s, struct buffer *out)
{
    while (s.len) {
        uint32_t c = 0;
        size_t bytes = utf8_take(s, &c);
        if (bytes > 1)
            buffer_printf(out, "\\x{%X}", (unsigned)c);
        else
            buffer_putc(out, bytes ? s.at[0] : '?');
        s = str_skip(s, bytes ? bytes : 1);
    }
}

/* Blanks, "+", "=" and "\" stand for themselves nowhere in utf-8-addr-xtext; `keep` those "\" that
 * begin an escape. */
static void put_escaped(struct str address, bool keep, struct buffer *out)
{
    for (size_t i = 0; i < address.len; i++) {
        char c = address.at[i];
        bool escape = keep && str_starts(str_skip(address, i), STR("\\x{"));
        if (c == ' ' || c == '+' || c == '=' || (c == '\\' && !escape))
            buffer_printf(out, "\\x{%X}", (unsigned)c);
        else
            buffer_putc(out, c);
    }
}

void dsn_put_parameter(struct str typed, bool utf8, struct buffer *out)
{
    struct buffer escaped;
    buffer_init(&escaped, FIELD_BYTES * 4);
    put_escaped(typed, true, &escaped);
    if (utf8)
        buffer_put(out, buffer_str(&escaped));
    else
        put_seven_bit(buffer_str(&escaped), out);
    buffer_drop(&escaped);
}

/* "Name: type; value", one line: compose_field() for UTF-8 too. */
static void put_typed(const char *name, const char *type, struct str value, enum dsn_form form,
                      struct buffer *out)
{
    struct buffer line;
    buffer_init(&line, 4 * FIELD_BYTES);
    buffer_puts(&line, type);
    value = utf8_head(value, FIELD_BYTES);
    if (form == SEVEN_BIT) {
        buffer_put(&line, value);
        compose_field(name, buffer_str(&line), out);
    } else {
        buffer_printf(out, "%s: ", name);
        utf8_clean(value, FIELD_BYTES, &line);
        buffer_put(out, utf8_head(buffer_str(&line), LIMIT_TEXT_LINE_BYTES - 64));
        buffer_puts(out, "\r\n");
    }
    buffer_drop(&line);
}

static void put_final_recipient(struct str address, enum dsn_form form, struct buffer *out)
{
    struct buffer escaped, seven_bit;
    bool ascii = utf8_is_ascii(address);
    buffer_init(&escaped, FIELD_BYTES);
    buffer_init(&seven_bit, 4 * FIELD_BYTES);
    if (!ascii && form == SEVEN_BIT) {
        put_escaped(address, false, &escaped);
        put_seven_bit(buffer_str(&escaped), &seven_bit);
        address = buffer_str(&seven_bit);
    }
    put_typed("Final-Recipient", ascii ? "rfc822; " : "utf-8; ", address, form, out);
    buffer_drop(&escaped);
    buffer_drop(&seven_bit);
}

static void put_original_recipient(struct str orcpt, enum dsn_form form, struct buffer *out)
{
    struct buffer seven_bit;
    buffer_init(&seven_bit, 4 * FIELD_BYTES);
    if (form == SEVEN_BIT && !utf8_is_ascii(orcpt)) {
        dsn_put_parameter(orcpt, false, &seven_bit);
        orcpt = buffer_str(&seven_bit);
    }
    put_typed("Original-Recipient", "", orcpt, form, out);
    buffer_drop(&seven_bit);
}

static void put_one_status(const struct dsn_recipient *r, enum dsn_form form, struct buffer *out)
{
    buffer_puts(out, "\r\n");
    if (r->orcpt.len)
        put_original_recipient(r->orcpt, form, out);
    put_final_recipient(r->address, form, out);
    compose_field("Action", str_c(actions[r->action].action), out);
    compose_field("Status", r->status, out);
    if (r->remote.len)
        put_typed("Remote-MTA", "dns; ", r->remote, SEVEN_BIT, out);
    if (r->diagnostic.len)
        put_typed("Diagnostic-Code", "smtp; ", r->diagnostic, SEVEN_BIT, out);
    if (r->action == DSN_DELAYED) {
        struct clock_date date = clock_date(r->retry_until_ms);
        compose_field("Will-Retry-Until", str_c(date.at), out);
    }
}

/* The part's header fields and its content, which is coded as the form says. */
static void put_part(const char *seven_bit, const char *global, struct str content,
                     enum dsn_form form, struct buffer *out)
{
    bool quoted = form == GLOBAL_QUOTED || (form == SEVEN_BIT && !utf8_is_ascii(content));
    buffer_printf(out, "Content-Type: %s\r\n", form == SEVEN_BIT ? seven_bit : global);
    if (quoted)
        buffer_puts(out, "Content-Transfer-Encoding: quoted-printable\r\n");
    else if (form == GLOBAL)
        buffer_puts(out, "Content-Transfer-Encoding: 8bit\r\n");
    buffer_puts(out, "\r\n");
    if (quoted)
        encode_quoted(content, out);
    else
        buffer_put(out, content);
}

static bool put_status(const struct dsn *d, enum dsn_form form, struct buffer *out)
{
    struct buffer status;
    buffer_init(&status, STATUS_BYTES);
    put_typed("Reporting-MTA", "dns; ", d->mta, SEVEN_BIT, &status);
    if (d->about->envid.len)
        compose_field("Original-Envelope-Id", d->about->envid, &status);
    if (d->about->future.len) /* RFC 4865 */
        compose_field("Future-Release-Request", d->about->future, &status);
    struct clock_date date = clock_date(d->about->accepted_ms);
    compose_field("Arrival-Date", str_c(date.at), &status);
    for (uint32_t i = 0; i < d->recipient_count; i++)
        put_one_status(&d->recipients[i], form, &status);
    put_part("message/delivery-status", "message/global-delivery-status", buffer_str(&status), form,
             out);
    bool whole = !status.full;
    buffer_drop(&status);
    return whole;
}

/* ---- the original's header section */

static bool is_bcc(struct str name)
{
    return str_eq_nocase(name, STR("Bcc")) || str_eq_nocase(name, STR("Resent-Bcc"));
}

/* Field by field, so that nothing that is no field and no Bcc comes back. */
static void read_fields(struct str mail, struct buffer *fields)
{
    struct header h;
    header_init(&h);
    enum header_status status = header_feed(&h, str_head(mail, LIMIT_HEADER_BYTES));
    (void)status; /* cut or odd: the fields so far are good */
    for (uint32_t i = 0; i < h.count; i++) {
        const struct header_field *f = header_fields(&h) + i;
        if (!is_bcc(header_name(&h, f)))
            buffer_put(fields, str_from(h.bytes.at + f->start, f->end - f->start));
    }
    header_drop(&h);
}

/* ---- the whole */

static void put_fields(const struct dsn *d, struct buffer *out)
{
    struct buffer from;
    buffer_init(&from, 512);
    buffer_puts(&from, "MAILER-DAEMON@");
    buffer_put(&from, str_head(d->mta, LIMIT_DOMAIN_BYTES));
    compose_address("From", STR("Mail Delivery System"), buffer_str(&from), out);
    buffer_drop(&from);
    compose_address("To", STR(""), d->about->sender, out);
    enum dsn_action action = dsn_heaviest(d);
    char prefix[64];
    (void)snprintf(prefix, sizeof prefix, "%s %s", actions[action].tag, actions[action].subject);
    compose_subject(prefix, d->about->subject, out);
    compose_date(d->date_ms, out);
    compose_field("Message-ID", d->message_id, out);
    if (d->about->message_id.len) {
        compose_field("In-Reply-To", d->about->message_id, out);
        compose_field("References", d->about->message_id, out);
    }
    buffer_puts(out, "Auto-Submitted: auto-replied\r\nMIME-Version: 1.0\r\n");
    buffer_puts(out, "Content-Type: multipart/report; report-type=delivery-status;\r\n"
                     " boundary=\"");
    buffer_put(out, d->boundary);
    buffer_puts(out, "\"\r\n");
}

bool dsn_write(const struct dsn *d, struct buffer *out)
{
    if (d->about->sender.len == 0 || dsn_heaviest(d) == DSN_NONE)
        return false;
    struct buffer text, fields;
    buffer_init(&text, PART_BYTES);
    put_people(d, COMPOSE_JAPANESE, &text);
    buffer_puts(&text, "\n----\n\n");
    put_people(d, COMPOSE_ENGLISH, &text);
    buffer_init(&fields, LIMIT_HEADER_BYTES);
    read_fields(d->header, &fields);
    enum dsn_form form = form_of(d, utf8_is_ascii(buffer_str(&fields)));

    put_fields(d, out);
    compose_boundary(d->boundary, false, out);
    compose_text("text/plain", buffer_str(&text), out);
    compose_boundary(d->boundary, false, out);
    bool whole = put_status(d, form, out);
    compose_boundary(d->boundary, false, out);
    put_part("text/rfc822-headers", "message/global-headers", buffer_str(&fields), form, out);
    compose_boundary(d->boundary, true, out);
    whole = whole && !text.full && !out->full;
    buffer_drop(&text);
    buffer_drop(&fields);
    return whole;
}
