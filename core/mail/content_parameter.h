/* content_parameter.h -- the parameters of a Content-Type or Content-Disposition, in every reading.
 *
 * For content.c only. A piece is one "name=value" as it stands there, with up to
 * PIECE_READINGS readings of its value; pieces of one base name ("filename*0*", "filename*1",
 * "filename") are put together by parameter_gather().
 *
 * Thread   any; pure.
 * Memory   of the arena, which must outlive the list.
 */
#ifndef CORE_MAIL_CONTENT_PARAMETER_H
#define CORE_MAIL_CONTENT_PARAMETER_H

#include "core/base/limit.h"
#include "core/mail/content.h"

enum {
    PIECE_READINGS = 4,
};

struct piece {
    struct str base;  /* what stands before "*" */
    int32_t index;    /* of a continuation, else -1 */
    bool extended;    /* "*" at the end: charset'language'%XX */
    uint8_t readings; /* at least one */
    struct str value[PIECE_READINGS];
};

struct parameters {
    struct arena *scratch;
    struct piece piece[LIMIT_PARAMETERS];
    uint32_t count;
    unsigned doubt; /* of enum content_doubt */
};

enum parameter_text {
    PARAMETER_RAW,  /* bytes as they are */
    PARAMETER_NAME, /* words decoded, one clean line of UTF-8 */
};

/* Length of the comment at the front, or of everything when it is not closed. */
size_t content_comment_bytes(struct str s);

/* `rest`: unfolded, behind the type. */
void parameters_read(struct parameters *p, struct str rest);

/* All values of the parameter `base`, each once, added to the list in `arena`. */
void parameter_gather(struct parameters *p, struct str base, enum parameter_text text,
                      struct arena *arena, struct content_list *list);

/* Add what is not yet in it; false: no memory, or LIMIT_READINGS reached. */
bool content_list_add(struct content_list *list, struct str value, struct arena *arena);

#endif
