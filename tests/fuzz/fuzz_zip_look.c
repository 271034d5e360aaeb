/* Any bytes as a zip: what is GOOD lies in the file, in order, and shares nothing. */
#include "tests/fuzz/fuzz.h"

#include "tools/extractor/zip_look.h"

enum {
    ENTRIES = 64
};

static void check(struct str file, const struct zip_look *z)
{
    for (size_t i = 0; i < z->count; i++) {
        const struct zip_look_entry *a = &z->entries[i];
        must(a->at < a->end && a->end <= file.len && a->packed <= file.len);
        must(a->name.at >= file.at && a->name.at + a->name.len <= file.at + file.len);
        for (size_t j = 0; j < i; j++) {
            const struct zip_look_entry *b = &z->entries[j];
            must(a->end <= b->at || b->end <= a->at);
        }
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct zip_look_entry entries[ENTRIES];
    uint32_t places[ENTRIES];
    struct zip_look z = {.entries = entries, .room = ENTRIES};
    struct str file = str_from((const char *)data, size);
    enum zip_look_status status = zip_look(file, &z, places);
    must(z.count <= ENTRIES && (status == ZIP_LOOK_GOOD || z.why));
    if (status == ZIP_LOOK_GOOD) {
        check(file, &z);
        must(z.count == 0 || zip_look_tail(file) || z.count >= 65535);
    }
    (void)zip_look_tail(file);
    return 0;
}
