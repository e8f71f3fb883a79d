#include "kernels/cpu.h"
#include "kernels/kernels_internal.h"

static const struct {
    uint32_t needs;
    size_t mr, nr, nr_unit, lstm_rows, lstm_units;
} blocks[] = {
    {RML_ISA_PORTABLE, 4, 32, 8, 4, 8},
    {RML_ISA_NEON, 12, 8, 4, 6, 4},
    {RML_ISA_AVX2, 6, 16, 8, 2, 8},
    {RML_ISA_AVX512, 12, 32, 16, 6, 16},
};

void rml_kernels_init(rml_kernels *kernels, uint32_t features)
{
    *kernels = (rml_kernels){.features = features, .level = rml_cpu_level_of(features)};

#define KERNEL(isa, type, place, function)                                                         \
    if ((features & RML_ISA_##isa) == RML_ISA_##isa)                                               \
        kernels->place = function;
#include "kernels/kernels.inc"
#undef KERNEL

    for (size_t i = 0; i < sizeof blocks / sizeof *blocks; i++)
        if ((features & blocks[i].needs) == blocks[i].needs) {
            kernels->mr = blocks[i].mr;
            kernels->nr = blocks[i].nr;
            kernels->nr_unit = blocks[i].nr_unit;
            kernels->lstm_rows = blocks[i].lstm_rows;
            kernels->lstm_units = blocks[i].lstm_units;
        }
}
