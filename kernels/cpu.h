// What this CPU and operating system can run, as one word that is asked for once: a bit for each
// instruction set extension that kernels use. The public half is in runmodel.h (rml_cpu_*).
#ifndef RML_KERNELS_CPU_H
#define RML_KERNELS_CPU_H

#include "runmodel.h"

// Overrides RML_CPU_BEST downwards: a level name.
#define RML_CPU_ENVIRONMENT "RML_CPU"
// Features to do without: their names, with commas between them.
#define RML_CPU_MASK_ENVIRONMENT "RML_CPU_MASK"

#define RML_CPU_FEATURE_AVX2 (1u << 0)
#define RML_CPU_FEATURE_FMA (1u << 1)
#define RML_CPU_FEATURE_F16C (1u << 2)
#define RML_CPU_FEATURE_BMI2 (1u << 3)
#define RML_CPU_FEATURE_AVX_VNNI (1u << 4)
#define RML_CPU_FEATURE_AVX512F (1u << 5)
#define RML_CPU_FEATURE_AVX512BW (1u << 6)
#define RML_CPU_FEATURE_AVX512DQ (1u << 7)
#define RML_CPU_FEATURE_AVX512VL (1u << 8)
#define RML_CPU_FEATURE_AVX512_VNNI (1u << 9)
#define RML_CPU_FEATURE_AVX512_BF16 (1u << 10)
#define RML_CPU_FEATURE_AVX512_FP16 (1u << 11)
#define RML_CPU_FEATURE_AMX_TILE (1u << 12)
#define RML_CPU_FEATURE_AMX_BF16 (1u << 13)
#define RML_CPU_FEATURE_AMX_INT8 (1u << 14)
// No extension: AVX512-BF16 does half as many multiply-adds as f32 there, not twice as many.
#define RML_CPU_FEATURE_SLOW_AVX512_BF16 (1u << 15)
#define RML_CPU_FEATURE_NEON (1u << 16)
#define RML_CPU_FEATURE_DOTPROD (1u << 17)
#define RML_CPU_FEATURE_FP16 (1u << 18)
#define RML_CPU_FEATURE_BF16 (1u << 19)
#define RML_CPU_FEATURE_I8MM (1u << 20)

#define RML_CPU_AMX (RML_CPU_FEATURE_AMX_TILE | RML_CPU_FEATURE_AMX_BF16 | RML_CPU_FEATURE_AMX_INT8)

// What the kernels of each set of files need: those that the files are compiled for.
#define RML_ISA_PORTABLE 0u
#define RML_ISA_NEON RML_CPU_FEATURE_NEON
#define RML_ISA_AVX2                                                                               \
    (RML_CPU_FEATURE_AVX2 | RML_CPU_FEATURE_FMA | RML_CPU_FEATURE_F16C | RML_CPU_FEATURE_BMI2)
#define RML_ISA_AVX512                                                                             \
    (RML_ISA_AVX2 | RML_CPU_FEATURE_AVX512F | RML_CPU_FEATURE_AVX512BW |                           \
     RML_CPU_FEATURE_AVX512DQ | RML_CPU_FEATURE_AVX512VL)
#define RML_ISA_AVX512BF16 (RML_ISA_AVX512 | RML_CPU_FEATURE_AVX512_BF16)
#define RML_ISA_AMXBF16 (RML_ISA_AVX512BF16 | RML_CPU_FEATURE_AMX_TILE | RML_CPU_FEATURE_AMX_BF16)

// What CPU and system have, of what is built in.
uint32_t rml_cpu_probe(void);

// What kernels may use: what rml_cpu_probe tells, without the features of RML_CPU_MASK and `mask`
// (or NULL), lowered to `level`, or where that is RML_CPU_BEST to RML_CPU. Refuses words that are
// not known, and a level that is not there.
rml_status rml_cpu_features(rml_cpu_level level, const char *mask, uint32_t *features,
                            rml_error *err);

// The level of a table for `features`.
rml_cpu_level rml_cpu_level_of(uint32_t features);

// Asks the system for the tiles of AMX, for as long as this process lives, where kernels for
// `features` use them; to be called only where those will run. Returns `features`, without AMX
// where there are no tiles.
uint32_t rml_cpu_request_amx(uint32_t features);

// Whether kernels of the level are built in.
bool rml_cpu_level_built(rml_cpu_level level);

// The name of the feature that a mask takes away, by index; NULL past the last. `here`, if not
// NULL: whether this CPU and system have it, and RML_CPU_MASK leaves it.
const char *rml_cpu_feature(size_t index, bool *here);

#endif
