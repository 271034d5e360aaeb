/* A reply from anywhere: no crash, and a verb only when one was said. */
#include "tests/fuzz/fuzz.h"

#include "core/mail/notice_reply.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    enum command_verb verb = COMMAND_HOLD;
    bool found = notice_reply_read(str_from((const char *)data, size), &verb);
    must(found == (verb == COMMAND_DISCARD || verb == COMMAND_RELEASE));
    return 0;
}
