#include "core/base/overload.h"

#include "core/base/log.h"

const char *overload_name(enum overload_cause c)
{
    static const char *const names[] = {
#define OVERLOAD(name, text) text,
#include "core/base/overload.def"
#undef OVERLOAD
    };
    return names[c];
}

void overload_look(struct overload *o, enum overload_cause c, uint64_t level, uint64_t begin,
                   uint64_t end)
{
    uint32_t bit = 1u << c;
    if (!(o->causes & bit) && level >= begin) {
        o->causes |= bit;
        log_warning("overload", log_text("of", overload_name(c)), log_u64("level", level),
                    log_u64("until_below", end));
    } else if (o->causes & bit && level < end) {
        o->causes &= ~bit;
        log_info("overload_over", log_text("of", overload_name(c)), log_u64("level", level));
    }
}
