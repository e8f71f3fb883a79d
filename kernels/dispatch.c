// The tables of kernels: for each kernel its implementation in each set, see RML_KERNEL.
#include "kernels/cpu.h"
#include "kernels/kernels_internal.h"

// How many sets the tables have: no more than are built in.
#if defined(RML_HAVE_AMXBF16)
#define BUILT (RML_SET_AMXBF16 + 1)
#elif defined(RML_HAVE_AVX512BF16)
#define BUILT (RML_SET_AVX512BF16 + 1)
#elif defined(RML_HAVE_AVX512)
#define BUILT (RML_SET_AVX512 + 1)
#elif defined(RML_HAVE_AVX2)
#define BUILT (RML_SET_AVX2 + 1)
#elif defined(RML_HAVE_NEON)
#define BUILT (RML_SET_NEON + 1)
#else
#define BUILT (RML_SET_PORTABLE + 1)
#endif

void rml_kernels_init(rml_kernels *kernels, uint32_t features)
{
    static const uint32_t needs[RML_SETS] = {
        [RML_SET_NEON] = RML_ISA_NEON,
        [RML_SET_AVX2] = RML_ISA_AVX2,
        [RML_SET_AVX512] = RML_ISA_AVX512,
        [RML_SET_AVX512BF16_SLOW] = RML_ISA_AVX512BF16 | RML_CPU_FEATURE_SLOW_AVX512_BF16,
        [RML_SET_AVX512BF16] = RML_ISA_AVX512BF16,
        [RML_SET_AMXBF16] = RML_ISA_AMXBF16,
    };
    *kernels = (rml_kernels){.features = features, .level = rml_cpu_level_of(features)};
    for (int set = 0; set < BUILT; set++)
        if ((features & needs[set]) == needs[set] &&
            !(set == RML_SET_AVX512BF16 && features & RML_CPU_FEATURE_SLOW_AVX512_BF16))
            kernels->set = (rml_kernel_set)set;
}

// Each leaves an entry out that is not built in.
#if defined(RML_HAVE_NEON)
#define NEON(...) [RML_SET_NEON] = __VA_ARGS__,
#else
#define NEON(...)
#endif
#if defined(RML_HAVE_AVX2)
#define AVX2(...) [RML_SET_AVX2] = __VA_ARGS__,
#else
#define AVX2(...)
#endif
#if defined(RML_HAVE_AVX512BF16)
#define BF16(...) [RML_SET_AVX512BF16_SLOW] = __VA_ARGS__, [RML_SET_AVX512BF16] = __VA_ARGS__,
#else
#define BF16(...)
#endif
#if defined(RML_HAVE_AMXBF16)
#define AMX(...) [RML_SET_AMXBF16] = __VA_ARGS__,
#else
#define AMX(...)
#endif
#if defined(RML_HAVE_AVX512)
#define AVX512(...) [RML_SET_AVX512] = __VA_ARGS__, BF16(__VA_ARGS__) AMX(__VA_ARGS__)
#else
#define AVX512(...)
#endif

#define BY_SET(base, neon, avx2, avx512)                                                           \
    {                                                                                              \
        base##_portable, NEON(base##_##neon) AVX2(base##_##avx2) AVX512(base##_##avx512)           \
    }

#define KERNEL(type, place, base, neon, avx2, avx512)                                              \
    type *const rml_kernel_##place[BUILT] = BY_SET(base, neon, avx2, avx512);
#define UNARY_KERNEL(kind, ...)                                                                    \
    rml_unary_f32_fn *const rml_kernel_unary_##kind[BUILT] = BY_SET(__VA_ARGS__);
#define BINARY_KERNEL(kind, ...)                                                                   \
    rml_binary_f32_fn *const rml_kernel_binary_##kind[BUILT] = BY_SET(__VA_ARGS__);
#define SCALAR_KERNEL(kind, ...)                                                                   \
    rml_binary_scalar_f32_fn *const rml_kernel_binary_scalar_##kind[BUILT] = BY_SET(__VA_ARGS__);
#include "kernels/kernels.inc"

rml_unary_f32_fn *const *const rml_kernel_unary[RML_UNARY_KERNELS] = {
#define KERNEL(...)
#define UNARY_KERNEL(kind, ...) [RML_UNARY_##kind] = rml_kernel_unary_##kind,
#define BINARY_KERNEL(...)
#define SCALAR_KERNEL(...)
#include "kernels/kernels.inc"
};

rml_binary_f32_fn *const *const rml_kernel_binary[RML_BINARY_KERNELS] = {
#define KERNEL(...)
#define UNARY_KERNEL(...)
#define BINARY_KERNEL(kind, ...) [RML_BINARY_##kind] = rml_kernel_binary_##kind,
#define SCALAR_KERNEL(...)
#include "kernels/kernels.inc"
};

rml_binary_scalar_f32_fn *const *const rml_kernel_binary_scalar[RML_BINARY_KERNELS] = {
#define KERNEL(...)
#define UNARY_KERNEL(...)
#define BINARY_KERNEL(...)
#define SCALAR_KERNEL(kind, ...) [RML_BINARY_##kind] = rml_kernel_binary_scalar_##kind,
#include "kernels/kernels.inc"
};

// ---- kernels with a tile of their own -----------------------------------------------------------

#define GEMM_F32(function, rows, cols, cols_unit)                                                  \
    {                                                                                              \
        .run = function, .pack = rml_pack_f32, .element_bytes = sizeof(float), .mr = rows,         \
        .nr = cols, .nr_unit = cols_unit, .kr = 1, .rate = 1.0f                                    \
    }

const rml_gemm rml_kernel_gemm_f32[BUILT] = {
    GEMM_F32(rml_gemm_f32_portable, 4, 32, 8),
    NEON(GEMM_F32(rml_gemm_f32_neon, 12, 8, 4)) AVX2(GEMM_F32(rml_gemm_f32_avx2, 6, 16, 8))
        AVX512(GEMM_F32(rml_gemm_f32_avx512, 12, 32, 16))};

#define GEMM_BF16(function, rows, depth_unit, speed, before, after)                                \
    {                                                                                              \
        .run = function, .pack = rml_pack_bf16, .begin = before, .end = after,                     \
        .element_bytes = sizeof(uint16_t), .mr = rows, .nr = 32, .nr_unit = 16, .kr = depth_unit,  \
        .rate = speed                                                                              \
    }

const rml_gemm rml_kernel_gemm_bf16[BUILT] = {
    {.run = NULL}, // of the portable set and, unless one follows, of all others
#if defined(RML_HAVE_AVX512BF16)
    [RML_SET_AVX512BF16_SLOW] = GEMM_BF16(rml_gemm_bf16_avx512bf16, 12, 2, 0.5f, NULL, NULL),
    [RML_SET_AVX512BF16] = GEMM_BF16(rml_gemm_bf16_avx512bf16, 12, 2, 2.0f, NULL, NULL),
#endif
    AMX(GEMM_BF16(rml_gemm_bf16_amxbf16, 32, 32, 7.0f, rml_gemm_begin_amxbf16,
                  rml_gemm_end_amxbf16))};

#define GEMM_F64(function, rows, cols)                                                             \
    {                                                                                              \
        function, rows, cols                                                                       \
    }

const rml_gemm_f64 rml_kernel_gemm_f64[BUILT] = {
    GEMM_F64(rml_gemm_f64_portable, 4, 16),
    NEON(GEMM_F64(rml_gemm_f64_portable, 4, 16)) AVX2(GEMM_F64(rml_gemm_f64_avx2, 6, 8))
        AVX512(GEMM_F64(rml_gemm_f64_avx512, 12, 16))};

const size_t rml_kernel_conv_lanes[BUILT] = {8, NEON(4) AVX2(8) AVX512(16)};
const size_t rml_kernel_lstm_rows[BUILT] = {4, NEON(6) AVX2(2) AVX512(6)};
const size_t rml_kernel_lstm_units[BUILT] = {8, NEON(4) AVX2(8) AVX512(16)};

rml_to_bf16_fn *const rml_kernel_to_bf16[BUILT] = {NULL, BF16(rml_to_bf16_avx512bf16)
                                                             AMX(rml_to_bf16_avx512bf16)};
rml_winograd_input_bf16_fn *const rml_kernel_winograd_complex_input[BUILT] = {
    NULL, BF16(rml_winograd_complex_input_bf16_avx512bf16)
              AMX(rml_winograd_complex_input_bf16_avx512bf16)};
rml_winograd_output_f32_fn *const rml_kernel_winograd_complex_output[BUILT] = {
    NULL, BF16(rml_winograd_complex_output_bf16_avx512bf16)
              AMX(rml_winograd_complex_output_bf16_avx512bf16)};
