// What one core can do at most.
#ifndef RML_TOOLS_BENCH_FMA_PEAK_H
#define RML_TOOLS_BENCH_FMA_PEAK_H

#include "runmodel.h"

// Multiply-adds of f32 in registers, in GFLOP/s (two a multiply-add), the best of several
// measurements of about a millisecond each; 0 for levels that have no such loop here.
double fma_peak(rml_cpu_level level);

#endif
