#include "core/mail/notice.h"

#include "core/base/limit.h"

#include <stdio.h>

enum {
    ROWS = 200,
    PART_BYTES = 1 << 20
};

/* Everything that is said, in both languages, in one place. */
struct words {
    const char *html_language;
    const char *held, *subject, *accepted, *size, *to;
    const char *class_of[3];
    const char *release;
    const char *waiting, *due, *stopped, *approval;
    const char *alone, *discard, *now, *account, *page, *page_link, *robot;
};

static const struct words words[] = {
    [COMPOSE_JAPANESE] =
        {
            "ja",
            "次のメールの配送を一時保留しています。",
            "件名",
            "受付日時",
            "サイズ",
            "宛先",
            {"社内", "準社内", "社外"},
            "配送予定",
            "保留中",
            "配送開始",
            "停止中",
            "承認待ち",
            "操作がなければ、配送予定の時刻に自動で配送します。",
            "取り消す場合: このメールに返信し、本文の先頭に「破棄」とお書きください。",
            "すぐに配送する場合: このメールに返信し、本文の先頭に「今すぐ」とお書きください。",
            "返信は、元のメールを送信したアカウントからお送りください。",
            "内容の確認と宛先ごとの操作は、次のページで行えます。",
            "保留中のメールを開く",
            "このメールは Sekimori が自動で送信しています。",
        },
    [COMPOSE_ENGLISH] =
        {
            "en",
            "Your mail is on hold and has not left yet.",
            "Subject",
            "Accepted",
            "Size",
            "Recipients",
            {"internal", "affiliate", "external"},
            "Leaves at",
            "on hold",
            "leaving",
            "stopped",
            "awaiting approval",
            "If you do nothing, it leaves by itself at the time shown.",
            "To take it back: reply to this mail with the first word \"cancel\".",
            "To send it at once: reply to this mail with the first word \"release\".",
            "Reply from the account that sent the mail.",
            "To look at it, or to decide for single recipients, open this page.",
            "Open the mail on hold",
            "Sekimori wrote this mail automatically.",
        },
};

/* Styles stand in each element: mail programs throw style sheets away. Addresses may break anywhere
 * and nothing else in a row does, so that a telephone shows it as it is. */
static const char body_style[] = "font-family:sans-serif;line-height:1.5;max-width:42em";
static const char fact_style[] =
    "text-align:left;vertical-align:top;white-space:nowrap;padding:0 1em 0 0";
static const char class_style[] =
    "border-top:1px solid #bbb;padding:4px 1em 4px 0;vertical-align:top;white-space:nowrap";
static const char address_style[] =
    "border-top:1px solid #bbb;padding:4px 0;overflow-wrap:anywhere;width:100%";

static const char *state_of(const struct notice *n, const struct recipient *r,
                            const struct words *w)
{
    if (r->stage == STAGE_HELD)
        return w->stopped;
    if (r->stage == STAGE_APPROVAL)
        return w->approval;
    return r->stage == STAGE_WAITING && r->release_ms > n->date_ms ? w->waiting : w->due;
}

static void put_row(const struct notice *n, const struct recipient *r, const struct words *w,
                    bool html, struct buffer *out)
{
    const char *class = w->class_of[r->class <= CLASS_EXTERNAL ? r->class : CLASS_EXTERNAL];
    const char *state = state_of(n, r, w);
    bool external = r->class == CLASS_EXTERNAL;
    if (html)
        buffer_printf(out, "<tr><td style=\"%s\">%s%s%s</td><td style=\"%s\">", class_style,
                      external ? "<b style=\"color:#d32f2f\">" : "", class, external ? "</b>" : "",
                      address_style);
    else
        buffer_printf(out, "- [%s] ", class);
    compose_put(r->address, html, out);
    if (html)
        buffer_printf(out, "<br><small>%s ", w->release);
    else
        buffer_puts(out, "  ");
    compose_time(r->release_ms, n->zone_minutes, out);
    buffer_printf(out,
                  html ? " &ensp;<span style=\"white-space:nowrap\">%s</span></small></td></tr>\n"
                       : "  %s\n",
                  state);
}

/* External recipients first: they are what a mistake is about. */
static void put_rows(const struct notice *n, const struct words *w, bool html, struct buffer *out)
{
    uint32_t rows = 0;
    for (unsigned class = CLASS_EXTERNAL + 1; class -- > CLASS_INTERNAL;)
        for (uint32_t i = 0; i < n->about->recipient_count && rows < ROWS; i++) {
            if (n->about->recipients[i].class != class)
                continue;
            put_row(n, &n->about->recipients[i], w, html, out);
            rows++;
        }
    if (rows == n->about->recipient_count)
        return;
    buffer_puts(out, html ? "<tr><td colspan=\"2\">" : "  ");
    uint32_t left = n->about->recipient_count - rows;
    buffer_printf(out, w == &words[COMPOSE_JAPANESE] ? "ほか %u 件" : "and %u more", left);
    buffer_puts(out, html ? "</td></tr>\n" : "\n");
}

static void put_facts(const struct notice *n, const struct words *w, bool html, struct buffer *out)
{
    const char *between = html ? "</th><td style=\"vertical-align:top\">" : ": ",
               *after = html ? "</td></tr>\n" : "\n";
    char before[160] = "";
    if (html)
        (void)snprintf(before, sizeof before, "<tr><th style=\"%s\">", fact_style);
    buffer_printf(out, "%s%s%s", before, w->subject, between);
    compose_put(n->about->subject, html, out);
    buffer_printf(out, "%s%s%s%s", after, before, w->accepted, between);
    compose_time(n->about->accepted_ms, n->zone_minutes, out);
    buffer_printf(out, "%s%s%s%s", after, before, w->size, between);
    compose_size(n->about->body_bytes, out);
    buffer_puts(out, after);
}

static void put_text(const struct notice *n, const struct words *w, struct buffer *out)
{
    buffer_printf(out, "%s\n\n", w->held);
    put_facts(n, w, false, out);
    buffer_printf(out, "\n%s\n", w->to);
    put_rows(n, w, false, out);
    buffer_printf(out, "\n%s\n%s\n%s\n%s\n", w->alone, w->discard, w->now, w->account);
    if (n->url.len) {
        buffer_printf(out, "\n%s\n", w->page);
        buffer_put(out, n->url);
        buffer_puts(out, "\n");
    }
    buffer_printf(out, "\n%s\n", w->robot);
}

static void put_html(const struct notice *n, const struct words *w, struct buffer *out)
{
    buffer_printf(out, "<div lang=\"%s\">\n<p><b>%s</b></p>\n<table>\n", w->html_language, w->held);
    put_facts(n, w, true, out);
    buffer_printf(out, "</table>\n<p><b>%s</b></p>\n<table style=\"border-collapse:collapse\">\n",
                  w->to);
    put_rows(n, w, true, out);
    buffer_printf(out, "</table>\n<p>%s</p>\n<ul><li>%s</li><li>%s</li></ul>\n<p>%s</p>\n",
                  w->alone, w->discard, w->now, w->account);
    if (n->url.len) {
        buffer_printf(out, "<p>%s<br><a href=\"", w->page);
        compose_put(n->url, true, out);
        buffer_printf(out, "\">%s</a></p>\n", w->page_link);
    }
    buffer_printf(out, "<p><small>%s</small></p>\n</div>\n", w->robot);
}

static void put_address(const struct notice *n, const char *name, struct str token,
                        struct buffer *out)
{
    struct buffer address;
    buffer_init(&address, 1024);
    buffer_puts(&address, token.len ? "gate+" : "gate");
    buffer_put(&address, token);
    buffer_putc(&address, '@');
    buffer_put(&address, n->domain);
    compose_address(name, STR("Sekimori"), buffer_str(&address), out);
    buffer_drop(&address);
}

static void put_fields(const struct notice *n, struct buffer *out)
{
    put_address(n, "From", STR(""), out);
    put_address(n, "Reply-To", n->about->token, out);
    compose_address("To", STR(""), n->about->sender, out);
    compose_subject("[配送保留]", n->about->subject, out);
    compose_date(n->date_ms, out);
    compose_field("Message-ID", n->message_id, out);
    if (n->about->message_id.len) {
        compose_field("In-Reply-To", n->about->message_id, out);
        compose_field("References", n->about->message_id, out);
    }
    buffer_puts(out, "Auto-Submitted: auto-generated\r\nX-Auto-Response-Suppress: All\r\n"
                     "MIME-Version: 1.0\r\n"
                     "Content-Type: multipart/alternative; boundary=\"");
    buffer_put(out, n->boundary);
    buffer_puts(out, "\"\r\n");
}

/* Letters that a token may have: it goes into an address. */
static bool is_token(struct str s)
{
    for (size_t i = 0; i < s.len; i++) {
        char c = char_lower(s.at[i]);
        if (!(c >= 'a' && c <= 'z') && !(c >= '0' && c <= '9') && c != '-' && c != '_')
            return false;
    }
    return s.len > 0 && s.len + strlen("gate+") <= LIMIT_LOCAL_BYTES;
}

bool notice_write(const struct notice *n, struct buffer *out)
{
    if (n->about->sender.len == 0 || !is_token(n->about->token))
        return false;
    bool english = n->language == COMPOSE_ENGLISH;
    const struct words *first = &words[english ? COMPOSE_ENGLISH : COMPOSE_JAPANESE];
    const struct words *second = &words[english ? COMPOSE_JAPANESE : COMPOSE_ENGLISH];
    struct buffer text, html;
    buffer_init(&text, PART_BYTES);
    buffer_init(&html, PART_BYTES);
    put_text(n, first, &text);
    buffer_puts(&text, "\n----\n\n");
    put_text(n, second, &text);
    buffer_printf(&html,
                  "<!DOCTYPE html>\n<html lang=\"%s\"><head><meta charset=\"utf-8\">"
                  "<meta name=\"viewport\" content=\"width=device-width\"></head>"
                  "<body style=\"%s\">\n",
                  first->html_language, body_style);
    put_html(n, first, &html);
    buffer_puts(&html, "<hr>\n");
    put_html(n, second, &html);
    buffer_puts(&html, "</body></html>\n");

    put_fields(n, out);
    compose_boundary(n->boundary, false, out);
    compose_text("text/plain", buffer_str(&text), out);
    compose_boundary(n->boundary, false, out);
    compose_text("text/html", buffer_str(&html), out);
    compose_boundary(n->boundary, true, out);
    bool ok = !text.full && !html.full && !out->full;
    buffer_drop(&text);
    buffer_drop(&html);
    return ok;
}

bool notice_token(struct str address, struct str domain, struct str *token)
{
    size_t at = str_find(address, '@');
    if (at == SIZE_MAX || !str_eq_nocase(str_skip(address, at + 1), domain))
        return false;
    struct str local = str_head(address, at);
    if (!str_starts_nocase(local, STR("gate+")))
        return false;
    *token = str_skip(local, strlen("gate+"));
    return is_token(*token);
}
