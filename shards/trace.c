#include "core/base/id.h"
#include "core/base/random.h"
#include "shards/intake.h"

/* RFC 5321 4.4, RFC 3848. The recipients are never named: they may be blind copies (7.2). */
static void write_received(const struct intake *i, uint64_t wall_ms, struct buffer *out)
{
    struct str helo = buffer_str(&i->session.helo);
    buffer_printf(out, "Received: from %.*s ([%s])\r\n", STR_ARG(helo.len ? helo : STR("unknown")),
                  i->client_text.at);
    buffer_printf(out, "\tby %.*s (Sekimori) with %.*s id %s",
                  STR_ARG(i->session.settings->hostname),
                  STR_ARG(smtp_server_protocol(&i->session)), id_text(i->id).at);
    if (i->connection.tls)
        buffer_printf(out, "\r\n\t(%s)", tls_describe(i->connection.tls).at);
    buffer_printf(out, ";\r\n\t%s\r\n", clock_date(wall_ms).at);
}

void trace_fields_write(const struct intake *i, const struct header_facts *facts, uint64_t wall_ms,
                        struct buffer *out, struct buffer *message_id)
{
    bool submission = i->service != SMTP_RELAY;
    write_received(i, wall_ms, out);
    buffer_put(message_id, facts->message_id);
    if (submission && facts->message_id_count == 0) { /* RFC 6409 8.3 */
        buffer_printf(message_id, "<%s.%08lx@%.*s>", id_text(i->id).at, random_u64() >> 32,
                      STR_ARG(i->session.settings->hostname));
        buffer_printf(out, "Message-ID: %.*s\r\n", STR_ARG(buffer_str(message_id)));
    }
    if (submission && facts->date == 0) /* RFC 6409 8.2 */
        buffer_printf(out, "Date: %s\r\n", clock_date(wall_ms).at);
    if (i->header.count == 0 && i->header.odd & HEADER_ODD_LINE)
        buffer_puts(out, "\r\n"); /* a mail without header fields: our own are its header */
}
