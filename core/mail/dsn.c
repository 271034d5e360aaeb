#include "core/mail/dsn.h"

#include "core/base/limit.h"
#include "core/mail/compose.h"
#include "core/mail/decode.h"
#include "core/mail/header.h"
#include "core/mail/utf8.h"

enum {
    PEOPLE_RECIPIENTS = 100,
    PART_BYTES = 1 << 20
};

static const struct {
    const char *subject, *action;
    const char *japanese, *english; /* what happened; the delay's end with the time */
} kinds[] = {
    [DSN_FAILURE] = {"[配送不能] Undelivered Mail:", "failed",
                     "次の宛先にメールを配送できませんでした。再送信は行いません。\n",
                     "Your mail could not be delivered to the following recipients.\n"
                     "It will not be tried again.\n"},
    [DSN_DELAY] = {"[配送遅延] Delayed Mail:", "delayed",
                   "次の宛先へのメールの配送が遅れています。自動で再試行しますので、"
                   "送信し直す必要はありません。\n",
                   "Your mail to the following recipients is delayed. It will be tried again\n"
                   "automatically; you need not send it again.\n"},
};

static void put_labelled(const char *label, struct str value, struct buffer *out)
{
    buffer_puts(out, label);
    compose_put(value, false, out);
    buffer_putc(out, '\n');
}

static void put_recipients(const struct dsn *d, enum compose_language language, struct buffer *out)
{
    bool japanese = language == COMPOSE_JAPANESE;
    for (uint32_t i = 0; i < d->recipient_count && i < PEOPLE_RECIPIENTS; i++) {
        const struct dsn_recipient *r = &d->recipients[i];
        put_labelled("\n  ", r->address, out);
        struct str why = r->diagnostic.len ? r->diagnostic : r->reason;
        if (why.len)
            put_labelled(japanese ? "    理由: " : "    Reason: ", why, out);
        if (r->remote.len)
            put_labelled(japanese ? "    相手サーバー: " : "    Next server: ", r->remote, out);
    }
    if (d->recipient_count > PEOPLE_RECIPIENTS)
        buffer_printf(out, japanese ? "\n  ほか %u 件\n" : "\n  and %u more\n",
                      d->recipient_count - PEOPLE_RECIPIENTS);
}

static void put_people(const struct dsn *d, enum compose_language language, struct buffer *out)
{
    bool japanese = language == COMPOSE_JAPANESE;
    buffer_puts(out, japanese ? kinds[d->kind].japanese : kinds[d->kind].english);
    put_recipients(d, language, out);
    put_labelled(japanese ? "\n件名: " : "\nSubject: ", d->about->subject, out);
    buffer_puts(out, japanese ? "受付日時: " : "Accepted: ");
    compose_time(d->about->accepted_ms, d->zone_minutes, out);
    if (d->kind == DSN_DELAY) {
        buffer_puts(out, japanese ? "\n再試行の期限: " : "\nTried until: ");
        compose_time(d->retry_until_ms, d->zone_minutes, out);
    }
    buffer_puts(out, japanese ? "\n\nこのメールは " : "\n\nThis mail was written by ");
    compose_put(d->mta, false, out);
    buffer_puts(out, japanese ? " が自動で送信しています。\n" : " automatically.\n");
}

/* "rfc822;a@b", or RFC 6533's 7-bit form of an address that is not ASCII. */
static void put_recipient_field(const char *name, struct str address, struct buffer *out)
{
    struct buffer value;
    buffer_init(&value, 4096);
    bool ascii = utf8_is_ascii(address);
    buffer_puts(&value, ascii ? "rfc822; " : "utf-8; ");
    while (address.len) {
        uint32_t c;
        size_t bytes = utf8_take(address, &c);
        if (bytes > 1)
            buffer_printf(&value, "\\x{%X}", (unsigned)c);
        else
            buffer_putc(&value, address.at[0]);
        address = str_skip(address, bytes ? bytes : 1);
    }
    compose_field(name, buffer_str(&value), out);
    buffer_drop(&value);
}

static void put_typed(const char *name, const char *type, struct str value, struct buffer *out)
{
    struct buffer typed;
    buffer_init(&typed, 4096);
    buffer_puts(&typed, type);
    buffer_put(&typed, str_head(value, 2048));
    compose_field(name, buffer_str(&typed), out);
    buffer_drop(&typed);
}

static void put_status(const struct dsn *d, struct buffer *out)
{
    buffer_puts(out, "Content-Type: message/delivery-status\r\n\r\n");
    put_typed("Reporting-MTA", "dns; ", d->mta, out);
    if (d->about->envid.len)
        compose_field("Original-Envelope-Id", d->about->envid, out);
    struct clock_date date = clock_date(d->about->accepted_ms);
    compose_field("Arrival-Date", str_c(date.at), out);
    for (uint32_t i = 0; i < d->recipient_count; i++) {
        const struct dsn_recipient *r = &d->recipients[i];
        buffer_puts(out, "\r\n");
        if (r->orcpt.len)
            compose_field("Original-Recipient", r->orcpt, out);
        put_recipient_field("Final-Recipient", r->address, out);
        compose_field("Action", str_c(kinds[d->kind].action), out);
        compose_field("Status", r->status, out);
        if (r->remote.len)
            put_typed("Remote-MTA", "dns; ", r->remote, out);
        if (r->diagnostic.len)
            put_typed("Diagnostic-Code", "smtp; ", r->diagnostic, out);
        if (d->kind == DSN_DELAY) {
            date = clock_date(d->retry_until_ms);
            compose_field("Will-Retry-Until", str_c(date.at), out);
        }
    }
}

static bool is_bcc(struct str name)
{
    return str_eq_nocase(name, STR("Bcc")) || str_eq_nocase(name, STR("Resent-Bcc"));
}

/* Field by field, so that nothing that is no field and no Bcc comes back. */
static void put_header(const struct dsn *d, struct buffer *out)
{
    struct header h;
    struct buffer fields;
    header_init(&h);
    buffer_init(&fields, LIMIT_HEADER_BYTES);
    enum header_status status = header_feed(&h, str_head(d->header, LIMIT_HEADER_BYTES));
    (void)status; /* cut or odd: the fields so far are good */
    for (uint32_t i = 0; i < h.count; i++) {
        const struct header_field *f = header_fields(&h) + i;
        if (!is_bcc(header_name(&h, f)))
            buffer_put(&fields, str_from(h.bytes.at + f->start, f->end - f->start));
    }
    bool ascii = utf8_is_ascii(buffer_str(&fields));
    buffer_puts(out, "Content-Type: text/rfc822-headers\r\n");
    buffer_puts(out, ascii ? "\r\n" : "Content-Transfer-Encoding: quoted-printable\r\n\r\n");
    if (ascii)
        buffer_put(out, buffer_str(&fields));
    else
        encode_quoted(buffer_str(&fields), out);
    buffer_drop(&fields);
    header_drop(&h);
}

static void put_fields(const struct dsn *d, struct buffer *out)
{
    struct buffer from;
    buffer_init(&from, 512);
    buffer_puts(&from, "MAILER-DAEMON@");
    buffer_put(&from, str_head(d->mta, LIMIT_DOMAIN_BYTES));
    compose_address("From", STR("Mail Delivery System"), buffer_str(&from), out);
    buffer_drop(&from);
    compose_address("To", STR(""), d->about->sender, out);
    compose_subject(kinds[d->kind].subject, d->about->subject, out);
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
    if (d->about->sender.len == 0)
        return false;
    struct buffer text;
    buffer_init(&text, PART_BYTES);
    put_people(d, COMPOSE_JAPANESE, &text);
    buffer_puts(&text, "\n----\n\n");
    put_people(d, COMPOSE_ENGLISH, &text);

    put_fields(d, out);
    compose_boundary(d->boundary, false, out);
    compose_text("text/plain", buffer_str(&text), out);
    compose_boundary(d->boundary, false, out);
    put_status(d, out);
    compose_boundary(d->boundary, false, out);
    put_header(d, out);
    compose_boundary(d->boundary, true, out);
    bool ok = !text.full && !out->full;
    buffer_drop(&text);
    return ok;
}
