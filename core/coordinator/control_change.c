/* control_change.c -- verbs about one mail: show, explain, release, discard, hold. */
#include "core/base/id.h"
#include "core/coordinator/change.h"
#include "core/coordinator/control.h"
#include "core/coordinator/row.h"
#include "core/coordinator/state.h"

static bool parse_id(struct client *client, uint64_t *id)
{
    struct str text = request_str(&client->request, "id");
    if (id_parse(text, id))
        return true;
    control_endf(client, 2, "'%.*s' is no id of a mail: 13 letters, as list shows it",
                 (int)size_min(text.len, 40), text.at);
    return false;
}

static void show(struct coordinator *c, struct client *client, enum row_detail detail)
{
    uint64_t id;
    struct message *m = NULL;
    if (!parse_id(client, &id))
        return;
    if (id_partition(id) < c->set.partition_count)
        m = view_get(c->set.partitions[id_partition(id)].partition, id);
    if (!m) {
        control_end(client, 1, STR("unknown mail"));
        return;
    }
    struct js_writer w = control_row_begin(client);
    row_message(&w, m, detail, c->adopted_ms, &c->now);
    control_row_end(client, &w);
    control_end(client, 0, STR(""));
    message_drop(&m);
}

void control_on_show(struct coordinator *c, struct client *client)
{
    show(c, client, ROW_SHOW);
}

void control_on_explain(struct coordinator *c, struct client *client)
{
    show(c, client, ROW_EXPLAIN);
}

/* One row a recipient that was asked for, then the end. */
static void report(struct coordinator *c, struct change *ch)
{
    struct client *client = control_client(c, ch->client);
    if (!client)
        return;
    for (uint32_t i = 0; i < ch->verdict_count; i++) {
        const char *reason = change_reason(ch, i);
        struct js_writer w = control_row_begin(client);
        js_str(&w, "address", ch->message->recipients[ch->verdicts[i].recipient].address);
        js_flag(&w, "done", reason == NULL);
        if (reason)
            js_text(&w, "reason", reason);
        control_row_end(client, &w);
    }
    bool complete = change_complete(ch);
    control_end(client, !complete, complete ? STR("") : STR("not done for all recipients"));
    client->waiting = false;
}

static bool wait_step(struct coordinator *c, struct client *client)
{
    (void)c;
    return !client->waiting;
}

static void change(struct coordinator *c, struct client *client, enum command_verb verb)
{
    struct change_order order = {.verb = verb,
                                 .recipient = request_str(&client->request, "recipient"),
                                 .by = client->user};
    const struct change template = {.done = report, .client = control_handle(c, client)};
    if (!parse_id(client, &order.id))
        return;
    client->waiting = true;
    client->step = wait_step;
    switch (change_start(c, &order, &template)) {
    case CHANGE_ASKED:
        return;
    case CHANGE_UNKNOWN:
        control_end(client, 1, STR("unknown mail"));
        break;
    case CHANGE_NO_RECIPIENT:
        control_end(client, 1, STR("the mail has no such recipient"));
        break;
    case CHANGE_BUSY:
        control_end(client, 1, STR("busy; try again"));
        break;
    }
    client->waiting = false;
    client->step = NULL;
}

void control_on_release(struct coordinator *c, struct client *client)
{
    change(c, client, COMMAND_RELEASE);
}

void control_on_discard(struct coordinator *c, struct client *client)
{
    change(c, client, COMMAND_DISCARD);
}

void control_on_hold(struct coordinator *c, struct client *client)
{
    change(c, client, COMMAND_HOLD);
}
