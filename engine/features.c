// What is built in, and what of it this machine has.
#include "kernels/cpu.h"

#if defined(RML_HAVE_AVX512BF16)
#define HAS_BF16 true
#else
#define HAS_BF16 false
#endif
#ifdef RML_WITH_THREADS
#define HAS_THREADS true
#else
#define HAS_THREADS false
#endif

rml_feature rml_feature_at(size_t index)
{
    enum { LEVELS = RML_CPU_AVX512, F32 = LEVELS, BF16, F16_ROUNDED, THREADS, FIRST_CPU };
    rml_feature feature = {.kind = RML_FEATURE_LEVEL, .built = true, .available = true};
    if (index < LEVELS) {
        const rml_cpu_level level = (rml_cpu_level)(RML_CPU_AVX512 - index);
        feature.name = rml_cpu_level_name(level);
        feature.built = rml_cpu_level_built(level);
        feature.available = rml_cpu_level_available(level);
    } else if (index >= F32 && index <= F16_ROUNDED) {
        static const rml_precision precisions[] = {RML_PRECISION_F32, RML_PRECISION_BF16,
                                                   RML_PRECISION_F16_ROUNDED};
        const rml_precision precision = precisions[index - F32];
        feature.kind = RML_FEATURE_PRECISION;
        feature.name = rml_precision_name(precision);
        feature.built = index != BF16 || HAS_BF16;
        feature.available = rml_precision_available(precision, RML_CPU_BEST);
    } else if (index == THREADS) {
        feature.kind = RML_FEATURE_BUILD;
        feature.name = "threads";
        feature.built = feature.available = HAS_THREADS;
    } else {
        feature.kind = RML_FEATURE_CPU;
        feature.name = rml_cpu_feature(index - FIRST_CPU, &feature.available);
        feature.built = feature.name;
    }
    return feature;
}
