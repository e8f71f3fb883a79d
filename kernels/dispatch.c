#include "kernels/cpu.h"
#include "kernels/kernels_internal.h"

void rml_kernels_init(rml_kernels *kernels, uint32_t features)
{
    *kernels = (rml_kernels){.features = features, .level = rml_cpu_level_of(features)};

#define HAS(isa) (features & RML_ISA_##isa) == RML_ISA_##isa
#define KERNEL(isa, type, place, function)                                                         \
    if (HAS(isa))                                                                                  \
        kernels->place = function;
#define GEMM(isa, type, function, rows, cols, cols_unit, depth_unit, speed, before, after)         \
    if (HAS(isa))                                                                                  \
        kernels->gemm_##type = (rml_gemm){.run = function,                                         \
                                          .pack = rml_pack_##type,                                 \
                                          .begin = before,                                         \
                                          .end = after,                                            \
                                          .element_bytes = RML_PACK_BYTES_##type,                  \
                                          .mr = rows,                                              \
                                          .nr = cols,                                              \
                                          .nr_unit = cols_unit,                                    \
                                          .kr = depth_unit,                                        \
                                          .rate = speed};
#define LSTM(isa, function, rows, units)                                                           \
    if (HAS(isa)) {                                                                                \
        kernels->lstm = function;                                                                  \
        kernels->lstm_rows = rows;                                                                 \
        kernels->lstm_units = units;                                                               \
    }
#define CONV_DIRECT(isa, function, lanes)                                                          \
    if (HAS(isa)) {                                                                                \
        kernels->conv_direct = function;                                                           \
        kernels->conv_lanes = lanes;                                                               \
    }
#define GEMM_F64(isa, function, rows, cols)                                                        \
    if (HAS(isa))                                                                                  \
        kernels->gemm_f64 = (rml_gemm_f64){function, rows, cols};
#include "kernels/kernels.inc"
#undef KERNEL
}
