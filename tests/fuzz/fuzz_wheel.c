/* Bytes are a program: arm at a tick | advance by d | sleep until wheel_next | take n. The model is
 * an array scanned in full (tests/unit/base/wheel_model.h). */
#include "tests/fuzz/fuzz.h"

#include "tests/unit/base/wheel_model.h"

/* An entry beyond 2^32 costs a step every 2^32 ticks: no time to go further than this at once. */
static const uint64_t WAY = 1ull << 40;

/* One byte says how many digits, then the digits: edges of levels are a byte or two away. */
static uint64_t take_number(struct str *in)
{
    uint64_t n = 0;
    uint8_t digits = 0, digit;
    if (!take8(in, &digits))
        return 0;
    for (digits = digits % 8; digits > 0 && take8(in, &digit); digits--)
        n = n << 8 | digit;
    return n;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct wheel_model m;
    struct str in = str_from((const char *)data, size);
    uint8_t what;
    model_init(&m, take_number(&in));
    for (int steps = 0; steps < 400 && take8(&in, &what); steps++)
        switch (what % 6) {
        case 0:
            must(model_arm(&m, m.now + take_number(&in)));
            break;
        case 1:
            must(model_arm(&m, take_number(&in))); /* past, mostly */
            break;
        case 2:
            must(model_advance(&m, m.now + take_number(&in) % WAY));
            break;
        case 3:
            must(model_advance(&m, u64_min(wheel_next(&m.wheel), m.now + WAY)));
            break;
        case 4:
            must(model_take(&m, what / 6, NULL));
            break;
        default:
            must(model_arm(&m, UINT64_MAX - take_number(&in)));
            break;
        }
    must(model_advance(&m, m.now + WAY) && model_take(&m, SIZE_MAX, NULL));
    model_drop(&m);
    return 0;
}
