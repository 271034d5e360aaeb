/* fuzz_control.c -- one line of the control socket: bytes in, a checked request or a reason out. */
#include "core/coordinator/filter.h"
#include "core/coordinator/request.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct str line = str_from((const char *)data, size);
    struct request r;
    struct filter f;
    struct buffer text;
    buffer_init(&text, 65536);
    if (request_parse(line, &r, &text)) {
        must(r.verb < request_verbs() && text.len == 0);
        /* what was read can be written, and is one line that reads the same */
        struct buffer copy;
        struct request again;
        buffer_init(&copy, 16 * size + 4096);
        js_write_value(&copy, r.line);
        must(!copy.full && str_find(buffer_str(&copy), '\n') == SIZE_MAX);
        must(request_parse(buffer_str(&copy), &again, &text) && again.verb == r.verb);
        request_drop(&again);
        buffer_drop(&copy);
        (void)!filter_parse(request_str(&r, "filter"), &f, &text);
        request_drop(&r);
    } else {
        must(text.len > 0 && r.line == NULL);
    }
    buffer_clear(&text);
    (void)!filter_parse(line, &f, &text);
    /* any bytes as a value give one line of JSON */
    struct buffer out;
    buffer_init(&out, 16 * size + 4096);
    struct js_writer w = js_writer(&out);
    js_begin(&w, NULL, '{');
    js_str(&w, "value", line);
    js_end(&w, '}');
    struct js_value *value = js_read(buffer_str(&out));
    must(str_find(buffer_str(&out), '\n') == SIZE_MAX);
    must(value != NULL);
    js_forget(&value);
    buffer_drop(&out);
    buffer_drop(&text);
    return 0;
}
