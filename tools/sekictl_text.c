#include "core/base/random.h"
#include "core/base/setting.h"
#include "core/mail/utf8.h"
#include "core/policy/rulefile.h"
#include "crypto/credential.h"
#include "crypto/scram.h"
#include "tools/sekictl.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <termios.h>
#include <unistd.h>

/* What stands two columns wide in a terminal, as ranges of code points. */
static const struct {
    uint32_t first, last;
} wide[] = {
    {0x1100, 0x115f}, {0x2e80, 0x303e},   {0x3041, 0x33ff},   {0x3400, 0x4dbf},   {0x4e00, 0x9fff},
    {0xa000, 0xa4cf}, {0xac00, 0xd7a3},   {0xf900, 0xfaff},   {0xfe30, 0xfe6f},   {0xff01, 0xff60},
    {0xffe0, 0xffe6}, {0x1f300, 0x1f64f}, {0x1f900, 0x1faff}, {0x20000, 0x3fffd},
};

static unsigned columns_of(uint32_t c)
{
    if ((c >= 0x300 && c <= 0x36f) || c == 0x3099 || c == 0x309a || (c >= 0xfe00 && c <= 0xfe0f) ||
        utf8_is_hidden(c))
        return 0;
    for (size_t i = 0; i < countof(wide); i++)
        if (c >= wide[i].first && c <= wide[i].last)
            return 2;
    return 1;
}

unsigned text_columns(struct str text)
{
    unsigned columns = 0;
    uint32_t c;
    for (size_t length; (length = utf8_take(text, &c)) > 0; text = str_skip(text, length))
        columns += columns_of(c);
    return columns;
}

/* The longest head within `columns`. */
static struct str cut_columns(struct str text, unsigned columns)
{
    struct str rest = text;
    unsigned used = 0;
    uint32_t c;
    for (size_t length; (length = utf8_take(rest, &c)) > 0; rest = str_skip(rest, length)) {
        used += columns_of(c);
        if (used > columns)
            break;
    }
    return str_head(text, text.len - rest.len);
}

void print_text(FILE *out, struct str text, unsigned columns)
{
    struct buffer clean;
    buffer_init(&clean, 4 * text.len + 16);
    utf8_clean(text, 4 * text.len + 16, &clean);
    struct str shown = buffer_str(&clean);
    if (columns == 0) {
        (void)fprintf(out, "%.*s", STR_ARG(shown));
    } else if (text_columns(shown) <= columns) {
        (void)fprintf(out, "%.*s%*s", STR_ARG(shown), (int)(columns - text_columns(shown)), "");
    } else {
        shown = cut_columns(shown, columns - 1);
        (void)fprintf(out, "%.*s~%*s", STR_ARG(shown), (int)(columns - 1 - text_columns(shown)),
                      "");
    }
    buffer_drop(&clean);
}

void complain(const char *format, ...)
{
    char line[4096];
    va_list args;
    va_start(args, format);
    (void)vsnprintf(line, sizeof line, format, args);
    va_end(args);
    (void)fputs("sekictl: ", stderr);
    print_text(stderr, str_c(line), 0);
    (void)fputc('\n', stderr);
}

bool read_whole(const char *path, struct buffer *text)
{
    int fd = strcmp(path, "-") == 0 ? STDIN_FILENO : open(path, O_RDONLY | O_CLOEXEC);
    ssize_t got = -1;
    while (fd >= 0) {
        char *at = buffer_reserve(text, 65536);
        if (!at) {
            errno = EFBIG;
            got = -1;
            break;
        }
        got = read(fd, at, 65536);
        if (got < 0 && errno == EINTR)
            continue;
        if (got <= 0)
            break;
        buffer_added(text, (size_t)got);
    }
    if (got < 0)
        complain("%s: %s", path, strerrordesc_np(errno));
    if (fd > STDIN_FILENO)
        (void)close(fd);
    return got == 0;
}

void print_lines(FILE *out, const struct buffer *text)
{
    struct str rest = buffer_str(text);
    while (rest.len) {
        print_text(out, str_cut(&rest, '\n'), 0);
        (void)fputc('\n', out);
    }
}

int test_config(const char *path)
{
    struct buffer text;
    struct buffer errors;
    struct settings *settings = NULL;
    buffer_init(&text, 1 << 20);
    buffer_init(&errors, 1 << 20);
    if (read_whole(path, &text))
        settings = settings_load(buffer_str(&text), path, NULL, 0, &errors);
    print_lines(stderr, &errors);
    buffer_drop(&text);
    buffer_drop(&errors);
    if (!settings)
        return REFUSED;
    settings_drop(&settings);
    return DONE;
}

/* --- passwords ------------------------------------------------------------------------------- */

static bool hash_password(struct str password, struct buffer *hash, struct buffer *scram)
{
    uint8_t salt[CREDENTIAL_SALT_BYTES], scram_salt[SCRAM_SALT_BYTES];
    random_bytes(salt, sizeof salt);
    random_bytes(scram_salt, sizeof scram_salt);
    if (str_find(password, '\0') == SIZE_MAX &&
        credential_hash(password, salt, &credential_standard, hash) &&
        scram_make(password, scram_salt, SCRAM_ITERATIONS, scram))
        return true;
    complain("the password is empty, longer than %d bytes, or has a NUL byte in it",
             CREDENTIAL_PASSWORD_BYTES);
    return false;
}

/* One line without its end; what the terminal shows is off while it is typed. */
static bool read_line(const char *prompt, struct buffer *line)
{
    struct termios before;
    bool terminal = isatty(STDIN_FILENO) && tcgetattr(STDIN_FILENO, &before) == 0;
    if (terminal) {
        struct termios silent = before;
        silent.c_lflag &= ~(tcflag_t)ECHO;
        (void)tcsetattr(STDIN_FILENO, TCSAFLUSH, &silent);
        (void)fputs(prompt, stderr);
    }
    char c;
    ssize_t got;
    while ((got = read(STDIN_FILENO, &c, 1)) == 1 && c != '\n')
        buffer_putc(line, c);
    if (terminal) {
        (void)tcsetattr(STDIN_FILENO, TCSAFLUSH, &before);
        (void)fputc('\n', stderr);
    }
    if (line->len && line->at[line->len - 1] == '\r')
        line->len--;
    return got >= 0 && !line->full;
}

bool ask_password(struct buffer *hash, struct buffer *scram, bool may_be_empty)
{
    struct buffer first;
    struct buffer again;
    bool good = false;
    buffer_init(&first, CREDENTIAL_PASSWORD_BYTES + 1);
    buffer_init(&again, CREDENTIAL_PASSWORD_BYTES + 1);
    bool same = read_line("Password: ", &first);
    if (same && isatty(STDIN_FILENO) && first.len)
        same = read_line("Again: ", &again) && str_eq(buffer_str(&first), buffer_str(&again));
    if (!same)
        complain("the passwords differ, or are too long");
    else
        good =
            first.len == 0 && may_be_empty ? true : hash_password(buffer_str(&first), hash, scram);
    if (first.at)
        explicit_bzero(first.at, first.room);
    if (again.at)
        explicit_bzero(again.at, again.room);
    buffer_drop(&first);
    buffer_drop(&again);
    return good;
}

static bool hash_users(struct organisation *o, const struct options *options)
{
    for (size_t i = 0; i < o->user_count; i++) {
        const struct user *u = &o->users[i];
        struct str password = u->password;
        struct buffer hash;
        struct buffer scram;
        bool good = true;
        if (!password.len && !u->password_hash.len && !u->password_scram.len)
            password = options->standard_password;
        if (!password.len)
            continue;
        buffer_init(&hash, 512);
        buffer_init(&scram, SCRAM_TEXT_BYTES);
        good = hash_password(password, &hash, &scram) &&
               organisation_set_hash(o, i, buffer_str(&hash), buffer_str(&scram));
        buffer_drop(&hash);
        buffer_drop(&scram);
        if (!good)
            return false;
    }
    return true;
}

struct organisation *read_policy(const char *path, const struct options *options)
{
    struct buffer file;
    struct buffer errors;
    const struct rulefile_options how = {.allow_password = options->allow_plain_passwords,
                                         .network = options->network,
                                         .zones = zones_make(ZONE_DIRECTORY)};
    struct organisation *o = NULL;
    buffer_init(&file, RULEFILE_BYTES_MAX);
    buffer_init(&errors, 1 << 20);
    if (read_whole(path, &file))
        o = rulefile_read(buffer_str(&file), path, &how, &errors);
    print_lines(stderr, &errors);
    buffer_drop(&file);
    buffer_drop(&errors);
    return o;
}

bool read_organisation(const char *path, const struct options *options, struct buffer *text)
{
    struct organisation *o = read_policy(path, options);
    bool good = o && hash_users(o, options);
    if (good)
        rulefile_write(o, text);
    organisation_drop(&o);
    return good && !text->full;
}
