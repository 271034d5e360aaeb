/* Any bytes as a config file: no crash; what loads is written and read back the same. */
#include "core/base/base.h"
#include "core/base/setting.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct buffer errors, first, second;
    buffer_init(&errors, 1 << 20);
    buffer_init(&first, 1 << 20);
    buffer_init(&second, 1 << 20);
    struct settings *s = settings_load(str_from((const char *)data, size), "f", NULL, 0, &errors);
    must((s != NULL) == (errors.len == 0));
    if (s) {
        settings_write(s, &first);
        struct settings *again = settings_load(buffer_str(&first), "g", NULL, 0, &errors);
        must(again != NULL);
        settings_write(again, &second);
        must(str_eq(buffer_str(&first), buffer_str(&second)));
        settings_drop(&again);
    }
    settings_drop(&s);
    buffer_drop(&errors);
    buffer_drop(&first);
    buffer_drop(&second);
    return 0;
}
