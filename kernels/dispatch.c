#include "kernels/cpu.h"
#include "kernels/kernels_internal.h"

#include <assert.h>

typedef struct block {
    rml_cpu_level level;
    size_t mr, nr, nr_unit, lstm_rows, lstm_units;
} block;

static const block blocks[] = {
    {RML_CPU_PORTABLE, 4, 32, 8, 4, 8},
    {RML_CPU_NEON, 12, 8, 4, 6, 4},
    {RML_CPU_AVX2, 6, 16, 8, 2, 8},
    {RML_CPU_AVX512, 12, 32, 16, 6, 16},
};

void rml_kernels_init(rml_kernels *kernels, rml_cpu_level level)
{
    if (level == RML_CPU_BEST)
        level = rml_cpu_level_best();
    assert(rml_cpu_level_available(level));
    kernels->level = level;
    kernels->gemm_bf16 = NULL;
    kernels->pairs_bf16 = NULL;
    kernels->roots_input_bf16 = NULL;
    kernels->roots_output_bf16 = NULL;

#define KERNEL(at, type, field, function)                                                          \
    if (level >= RML_CPU_##at && rml_cpu_level_available(RML_CPU_##at))                            \
        kernels->field = function;
#define KERNEL_BF16(at, has, type, field, function)                                                \
    if (level >= RML_CPU_##at && has())                                                            \
        kernels->field = function;
#include "kernels/kernels.inc"
#undef KERNEL
#undef KERNEL_BF16

    for (size_t i = 0; i < sizeof blocks / sizeof *blocks; i++) {
        const block *at = &blocks[i];
        if (level >= at->level && rml_cpu_level_available(at->level)) {
            kernels->mr = at->mr;
            kernels->nr = at->nr;
            kernels->nr_unit = at->nr_unit;
            kernels->lstm_rows = at->lstm_rows;
            kernels->lstm_units = at->lstm_units;
        }
    }
}
