#include "kernels/cpu.h"
#include "kernels/kernels_internal.h"

#include <assert.h>

typedef struct gemm_block {
    rml_cpu_level level;
    size_t mr, nr, nr_unit;
} gemm_block;

static const gemm_block gemm_blocks[] = {
    {RML_CPU_PORTABLE, 4, 32, 8},
    {RML_CPU_NEON, 12, 8, 4},
    {RML_CPU_AVX2, 6, 16, 8},
    {RML_CPU_AVX512, 12, 32, 16},
};

void rml_kernels_init(rml_kernels *kernels, rml_cpu_level level)
{
    if (level == RML_CPU_BEST)
        level = rml_cpu_level_best();
    assert(rml_cpu_level_available(level));
    kernels->level = level;

#define KERNEL(at, type, field, function)                                                          \
    if (level >= RML_CPU_##at && rml_cpu_level_available(RML_CPU_##at))                            \
        kernels->field = function;
#include "kernels/kernels.inc"
#undef KERNEL

    for (size_t i = 0; i < sizeof gemm_blocks / sizeof *gemm_blocks; i++) {
        const gemm_block *block = &gemm_blocks[i];
        if (level >= block->level && rml_cpu_level_available(block->level)) {
            kernels->mr = block->mr;
            kernels->nr = block->nr;
            kernels->nr_unit = block->nr_unit;
        }
    }
}
