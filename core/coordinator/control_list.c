/* control_list.c -- verbs that walk many mails: list and flush.
 *
 * A walk goes partition by partition in the order of ids, CONTROL_ROWS_PER_TURN mails a turn, and
 * stops while the client does not read: a long queue costs neither memory nor the wheel's time.
 */
#include "core/coordinator/change.h"
#include "core/coordinator/control.h"
#include "core/coordinator/row.h"
#include "core/coordinator/state.h"

enum {
    FLUSH_MOVES = 256
};

static bool parse_filter(struct client *client)
{
    struct buffer error;
    buffer_init(&error, 4096);
    bool good = filter_parse(request_str(&client->request, "filter"), &client->filter, &error);
    if (!good)
        control_end(client, 2, buffer_str(&error));
    buffer_drop(&error);
    return good;
}

/* The next mail of the walk; NULL at the end of a partition, and `*over` at the end of the last. */
static struct message *walk(struct coordinator *c, struct client *client, bool finished, bool *over)
{
    *over = client->partition >= c->set.partition_count;
    if (*over)
        return NULL;
    const struct partition *p = c->set.partitions[client->partition].partition;
    if (!client->view)
        client->view = view_open(p, VIEW_BY_ID, client->filter.id, finished);
    struct message *m = client->view ? view_next(client->view) : NULL;
    if (m)
        return m;
    if (client->view)
        view_close(&client->view);
    else
        client->refused = true;
    client->partition++;
    *over = client->partition >= c->set.partition_count;
    return NULL;
}

static bool list_step(struct coordinator *c, struct client *client)
{
    bool finished = request_flag(&client->request, "all") || filter_wants_finished(&client->filter);
    for (unsigned n = 0; n < CONTROL_ROWS_PER_TURN && control_has_room(client); n++) {
        bool over;
        struct message *m = walk(c, client, finished, &over);
        if (over) {
            control_end(client, client->refused,
                        client->refused ? STR("a partition can't be read") : STR(""));
            return true;
        }
        if (!m)
            continue;
        if (filter_matches(&client->filter, m, c->adopted_ms)) {
            struct js_writer w = control_row_begin(client);
            row_message(&w, m, ROW_LIST, c->adopted_ms, &c->now);
            control_row_end(client, &w);
        }
        message_drop(&m);
    }
    return false;
}

void control_on_list(struct coordinator *c, struct client *client)
{
    (void)c;
    if (parse_filter(client))
        client->step = list_step;
}

/* --- flush ----------------------------------------------------------------------------------- */

static void flush_done(struct coordinator *c, struct change *ch)
{
    struct client *client = control_client(c, ch->client);
    if (!client)
        return;
    client->waiting = false;
    client->refused |= ch->result != COMMIT_SYNCED;
    for (uint32_t i = 0; i < ch->unit->move_count; i++)
        client->done += ch->result == COMMIT_SYNCED && ch->unit->moves[i].done;
}

/* A move for each recipient of `m` that waits for its retry; their number, or -1 without memory. */
static int flush_message(struct coordinator *c, const struct filter *f, struct unit *unit,
                         const struct message *m)
{
    int moves = 0;
    for (uint32_t i = 0; i < m->recipient_count; i++) {
        const struct recipient *r = &m->recipients[i];
        if (r->stage != STAGE_RETRY || r->due_ms <= c->adopted_ms ||
            !filter_matches_recipient(f, r, c->adopted_ms))
            continue;
        struct move *move = unit_move(unit);
        if (!move)
            return -1;
        move->id = m->id;
        move->recipient = i;
        move->from = 1u << STAGE_RETRY;
        move->to = STAGE_RETRY;
        move->due_ms = c->adopted_ms;
        move->may_skip = true;
        moves++;
    }
    return moves;
}

static bool flush_end(struct client *client)
{
    struct js_writer w = control_row_begin(client);
    js_u64(&w, "mails", client->mails);
    js_u64(&w, "recipients", client->done);
    control_row_end(client, &w);
    control_end(client, client->refused,
                client->refused ? STR("a partition can't be read or written") : STR(""));
    return true;
}

/* Gather moves from one partition: a unit belongs to one. */
static void flush_gather(struct coordinator *c, struct client *client, struct unit *unit)
{
    bool over = false;
    for (unsigned n = 0; n < CONTROL_ROWS_PER_TURN && unit->move_count < FLUSH_MOVES; n++) {
        struct message *m = walk(c, client, false, &over);
        if (!m)
            break;
        int moves = 0;
        if (filter_matches_message(&client->filter, m, c->adopted_ms))
            moves = flush_message(c, &client->filter, unit, m);
        client->refused |= moves < 0;
        client->mails += moves > 0;
        message_drop(&m);
    }
}

static bool flush_step(struct coordinator *c, struct client *client)
{
    const struct change template = {.done = flush_done, .client = control_handle(c, client)};
    uint32_t partition = client->partition;
    if (client->waiting)
        return false;
    if (client->refused || partition >= c->set.partition_count)
        return flush_end(client);
    struct unit *unit = unit_make();
    if (!unit) {
        client->refused = true;
        return flush_end(client);
    }
    flush_gather(c, client, unit);
    if (!unit->move_count) {
        unit_drop(&unit);
        return false;
    }
    client->waiting = change_commit(c, partition, unit, &template);
    if (!client->waiting) {
        client->refused = true;
        unit_drop(&unit);
    }
    return false;
}

void control_on_flush(struct coordinator *c, struct client *client)
{
    const struct cell retry = {.kind = CELL_RETRY};
    if (!parse_filter(client))
        return;
    client->step = flush_step;
    /* before the mails become due: else they would only be put off until a pause is over */
    for (uint32_t i = 0; i < c->set.worker_count; i++)
        coordinator_put_worker(c, i, &retry);
}
