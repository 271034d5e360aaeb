// micro.cc -- the door to Google Benchmark, which is C++.
#include "bench/micro/micro.h"

#include <benchmark/benchmark.h>

struct micro {
    benchmark::State &state;
};

extern "C" bool micro_more(struct micro *m)
{
    return m->state.KeepRunning();
}

extern "C" void micro_bytes(struct micro *m, uint64_t each)
{
    m->state.SetBytesProcessed(static_cast<int64_t>(each) * m->state.iterations());
}

extern "C" void micro_items(struct micro *m, uint64_t each)
{
    m->state.SetItemsProcessed(static_cast<int64_t>(each) * m->state.iterations());
}

extern "C" void micro_keep(uint64_t value)
{
    benchmark::DoNotOptimize(value);
}

static void run(benchmark::State &state, void (*function)(struct micro *))
{
    struct micro m = {state};
    function(&m);
}

int main(int argc, char **argv)
{
#define MICRO(name) benchmark::RegisterBenchmark(#name, run, micro_##name);
#include "bench/micro/micro.def"
#undef MICRO
    benchmark::Initialize(&argc, argv);
    if (benchmark::ReportUnrecognizedArguments(argc, argv))
        return 2;
    benchmark::RunSpecifiedBenchmarks();
    return 0;
}
