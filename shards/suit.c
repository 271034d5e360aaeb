#include "shards/suit.h"

#include "core/base/heap.h"
#include "core/mail/utf8.h"
#include "core/remake/remake.h"

struct smtp_needs suit_needs(const struct delivery *d)
{
    const struct message *m = d->mail->message;
    const uint32_t utf8_header = MESSAGE_SMTPUTF8 | MESSAGE_8BIT_HEADER;
    return (struct smtp_needs){
        .size = remake_bytes(m),
        .eight_bit = m->flags & MESSAGE_8BIT,
        .utf8 = (m->flags & utf8_header) == utf8_header || !utf8_is_ascii(m->sender),
        .tls = d->tls,
    };
}

static const struct {
    const char *why /* then the hop's name */, *status, *status_for_now;
} misfits[] = {
    [SMTP_MISFIT_TLS] = {"the mail must go inside TLS, which is not to be had at ", "4.7.10",
                         "4.7.10"},
    [SMTP_MISFIT_SIZE] = {"the mail is larger than is taken by ", "5.3.4", "4.3.4"},
    [SMTP_MISFIT_UTF8] = {"addresses or header are UTF-8, and there is no SMTPUTF8 at ", "5.6.7",
                          "4.6.7"},
    [SMTP_MISFIT_8BIT] = {"the mail has 8-bit bytes, and there is no 8BITMIME at ", "5.6.3",
                          "4.6.3"},
};

/* The mail is released once for what is concluded here, and the rest of the delivery still uses
 * it. */
static void conclude(struct delivery *d, const uint32_t *recipients, uint32_t count,
                     enum smtp_misfit misfit, const struct suit_hop *hop)
{
    struct buffer why;
    struct outcome *outcomes = heap_take(count * sizeof *outcomes);
    bool retry = misfit == SMTP_MISFIT_TLS || !hop->preferred;
    buffer_init(&why, LIMIT_REPLY_LINE_BYTES);
    buffer_puts(&why, misfits[misfit].why);
    buffer_put(&why, hop->name);
    for (uint32_t i = 0; i < count; i++)
        outcomes[i] = (struct outcome){
            .recipient = recipients[i],
            .verdict = retry ? VERDICT_RETRY : VERDICT_BOUNCE,
            .why = buffer_str(&why),
            .status = str_c(retry ? misfits[misfit].status_for_now : misfits[misfit].status),
            .remote = hop->name,
        };
    mail_use(d->mail);
    mail_conclude(d->mail, outcomes, count);
    heap_drop(outcomes);
    buffer_drop(&why);
}

/* Conclude those whose addresses only SMTPUTF8 can say. */
static void sift(struct delivery *d, const struct suit_hop *hop)
{
    const struct message *m = d->mail->message;
    uint32_t *refused = heap_take(d->count * sizeof *refused), refused_count = 0, kept = 0;
    for (uint32_t i = 0; i < d->count; i++) {
        uint32_t index = d->recipient[i];
        if (utf8_is_ascii(m->recipients[index].address))
            d->recipient[kept++] = index;
        else
            refused[refused_count++] = index;
    }
    d->count = kept;
    if (refused_count)
        conclude(d, refused, refused_count, SMTP_MISFIT_UTF8, hop);
    heap_drop(refused);
}

enum suit suit_check(struct delivery *d, const struct smtp_client *c, const struct suit_hop *hop)
{
    struct smtp_needs needs = suit_needs(d);
    enum smtp_misfit misfit = smtp_client_misfit(c, &needs);
    if (misfit == SMTP_MISFIT_TLS && hop->used)
        return SUIT_ELSEWHERE;
    if (misfit != SMTP_FITS) {
        conclude(d, d->recipient, d->count, misfit, hop);
        d->count = 0;
    } else if (!(c->offers & SMTP_SMTPUTF8)) {
        sift(d, hop);
    }
    if (d->count)
        return SUIT_GO;
    mail_release(d->mail);
    heap_drop(d);
    return SUIT_OVER;
}
