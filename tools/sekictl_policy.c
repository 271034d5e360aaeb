/* sekictl_policy.c -- `policy test` and `policy diff`: rule files that are not in use, without a
 * gateway. */
#include "core/base/clock.h"
#include "core/base/setting.h"
#include "core/mail/address.h"
#include "core/policy/fact_read.h"
#include "core/policy/review.h"
#include "tools/sekictl.h"

#include <string.h>

enum {
    MAIL_BYTES_MAX = 1 << 30,
    WORK_BYTES = 64 << 20,
    TEXT_BYTES = 256 << 20,
    ERROR_BYTES_MAX = 1 << 20,
};

/* In the spelling that rules compare. NULL: it was said why. */
static const char *read_address(const char *text, unsigned flags, struct arena *arena,
                                struct str *out)
{
    struct address address;
    if (address_parse(str_c(text), flags | ADDRESS_UTF8, arena, &address) != ADDRESS_OK) {
        complain("'%s' is not an address", text);
        return NULL;
    }
    *out = address.whole;
    return text;
}

static bool fill_envelope(const struct options *given, struct arena *arena, struct facts *f)
{
    struct str *to = arena_take(arena, (given->to_count + 1) * sizeof *to);
    if (!to || given->to_count == 0) {
        complain("who gets it? add --to ADDRESS, once for each recipient");
        return false;
    }
    for (size_t i = 0; i < given->to_count; i++)
        if (!read_address(given->to[i], ADDRESS_RECIPIENT, arena, &to[i]))
            return false;
    f->recipients = (struct str_list){to, given->to_count};
    if (given->from && !read_address(given->from, ADDRESS_SENDER, arena, &f->sender))
        return false;
    return !given->user || read_address(given->user, 0, arena, &f->user);
}

/* What the gateway would make of a header section of any size, or say no to. */
static bool read_header(struct str mail, struct header *h)
{
    header_init(h);
    enum header_status status = header_feed(h, mail);
    if (status == HEADER_MORE)
        status = header_finish(h);
    if (status == HEADER_DONE)
        return true;
    complain("the header section of the mail is too large: over %d bytes or %d fields",
             (int)LIMIT_HEADER_BYTES, (int)LIMIT_HEADER_FIELDS);
    return false;
}

static bool review(const struct organisation *o, struct str mail, const struct options *given,
                   struct buffer *out)
{
    struct arena arena;
    struct header header;
    struct header_facts marks;
    struct buffer errors;
    buffer_init(&errors, ERROR_BYTES_MAX);
    struct settings *standard = settings_load(STR(""), "standard", NULL, 0, &errors);
    arena_init(&arena, WORK_BYTES);
    struct facts f = {.time_ms = clock_wall_ms(), .size = mail.len};
    bool good = read_header(mail, &header) && header_read_facts(&header, &arena, &marks) &&
                fill_envelope(given, &arena, &f);
    f.is_auto = good && (marks.is_auto || f.sender.len == 0);
    if (good && !(good = fact_read(o, &header, &arena, &f)))
        complain("no memory, or a calendar without its time zone");
    const struct decide_input in = {.organisation = o,
                                    .facts = &f,
                                    .hold_standard_ms = standard ? standard->hold : 0};
    good = good && standard && review_mail(&in, out);
    header_drop(&header);
    arena_drop(&arena);
    buffer_drop(&errors);
    return good;
}

/* LF becomes CRLF: files of people have either. */
static void read_mail(struct str in, struct buffer *out)
{
    while (in.len) {
        struct str line = str_cut(&in, '\n');
        if (line.len && line.at[line.len - 1] == '\r')
            line.len--;
        buffer_put(out, line);
        buffer_puts(out, "\r\n");
    }
}

int policy_test(const char *path, const struct options *given)
{
    struct buffer file, mail, out;
    if (!given->policy) {
        complain("which rules? add --policy FILE; `sekictl org export NAME` writes one");
        return WRONG_USAGE;
    }
    struct organisation *o = read_policy(given->policy, given);
    buffer_init(&file, MAIL_BYTES_MAX);
    buffer_init(&mail, MAIL_BYTES_MAX);
    buffer_init(&out, TEXT_BYTES);
    bool good = o && read_whole(path, &file);
    if (good) {
        read_mail(buffer_str(&file), &mail);
        good = review(o, buffer_str(&mail), given, &out);
    }
    if (good)
        print_lines(stdout, &out);
    organisation_drop(&o);
    buffer_drop(&file);
    buffer_drop(&mail);
    buffer_drop(&out);
    return good && fflush(stdout) == 0 ? DONE : REFUSED;
}

int policy_diff(const char *before, const char *after, const struct options *given)
{
    struct buffer out;
    struct organisation *a = read_policy(before, given), *b = read_policy(after, given);
    buffer_init(&out, TEXT_BYTES);
    bool good = a && b;
    if (good)
        review_diff(a, b, &out);
    if (good && out.len == 0)
        buffer_puts(&out, "no difference\n");
    print_lines(stdout, &out);
    organisation_drop(&a);
    organisation_drop(&b);
    buffer_drop(&out);
    return good && fflush(stdout) == 0 ? DONE : REFUSED;
}
