/* replay.c -- runs a fuzz target over the inputs that are kept, without a fuzzer.
 *
 *   fuzz_reply corpus/fuzz_reply
 *
 * Names each input before it runs: the last name is the finding's.
 */
#include "tests/fuzz/fuzz.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>

enum {
    INPUT_BYTES = 1 << 20
};

static bool play(const char *path)
{
    FILE *f = fopen(path, "rb");
    if (!f)
        return false;
    char *room = heap_take(INPUT_BYTES);
    size_t size = fread(room, 1, INPUT_BYTES, f);
    (void)fclose(f);
    uint8_t *data = heap_take(size ? size : 1); /* a read behind the end is seen */
    memcpy(data, room, size);
    heap_drop(room);
    (void)fprintf(stderr, "%s\n", path);
    (void)LLVMFuzzerTestOneInput(data, size);
    heap_drop(data);
    return true;
}

static bool is_input(const struct dirent *e)
{
    return e->d_name[0] != '.';
}

int main(int argc, char **argv)
{
    unsigned count = 0;
    for (int i = 1; i < argc; i++) {
        DIR *d = opendir(argv[i]);
        struct dirent *e;
        while (d && (e = readdir(d))) { /* NOLINT(concurrency-mt-unsafe): one thread */
            char path[4096];
            (void)snprintf(path, sizeof path, "%s/%s", argv[i], e->d_name);
            count += is_input(e) && play(path);
        }
        if (d)
            (void)closedir(d);
    }
    (void)fprintf(stderr, "%u inputs\n", count);
    return count ? EXIT_SUCCESS : EXIT_FAILURE;
}
