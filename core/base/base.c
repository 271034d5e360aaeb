#include "core/base/base.h"

#include <stdio.h>
#include <stdlib.h>

void base_panic(const char *file, int line, const char *what)
{
    (void)fprintf(stderr, "sekimori: broken promise at %s:%d: %s\n", file, line, what);
    abort();
}
