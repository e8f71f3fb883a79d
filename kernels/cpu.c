#define _GNU_SOURCE // syscall
#include "kernels/cpu.h"

#include "tensor/status.h"

#include <stdlib.h>
#include <string.h>

#if defined(RML_HAVE_AMXBF16)
#include <sys/syscall.h>
#include <unistd.h>

#define ARCH_REQUEST_STATE 0x1023 // ARCH_REQ_XCOMP_PERM
#define TILE_STATE 18             // XFEATURE_XTILEDATA
#endif
#if defined(RML_HAVE_NEON) && defined(__linux__)
#include <sys/auxv.h>
#endif

// Words that tell of features: of CPUID those of leaf 1, of 7, and of 7.1, or of ARM the HWCAPs.
enum { LEAF_1_ECX, LEAF_7_EBX, LEAF_7_ECX, LEAF_7_EDX, LEAF_7_1_EAX, WORDS };
enum { HWCAP = WORDS, HWCAP2, ALL_WORDS };

// The CPU may have registers that the system does not save across a task switch, so that CPUID
// alone is not enough: bits of XCR0.
#define SAVES_NOTHING 0u
#define SAVES_YMM 0x6u
#define SAVES_ZMM 0xe6u
#define SAVES_TILES 0x60000u

#define NAME_BYTES 20

static const struct {
    char name[NAME_BYTES];
    uint32_t bit;
    int word, shift;
    unsigned saved;
} features_known[] = {
    {"avx2", RML_CPU_FEATURE_AVX2, LEAF_7_EBX, 5, SAVES_YMM},
    {"fma", RML_CPU_FEATURE_FMA, LEAF_1_ECX, 12, SAVES_YMM},
    {"f16c", RML_CPU_FEATURE_F16C, LEAF_1_ECX, 29, SAVES_YMM},
    {"bmi2", RML_CPU_FEATURE_BMI2, LEAF_7_EBX, 8, SAVES_NOTHING},
    {"avx-vnni", RML_CPU_FEATURE_AVX_VNNI, LEAF_7_1_EAX, 4, SAVES_YMM},
    {"avx512f", RML_CPU_FEATURE_AVX512F, LEAF_7_EBX, 16, SAVES_ZMM},
    {"avx512bw", RML_CPU_FEATURE_AVX512BW, LEAF_7_EBX, 30, SAVES_ZMM},
    {"avx512dq", RML_CPU_FEATURE_AVX512DQ, LEAF_7_EBX, 17, SAVES_ZMM},
    {"avx512vl", RML_CPU_FEATURE_AVX512VL, LEAF_7_EBX, 31, SAVES_ZMM},
    {"avx512-vnni", RML_CPU_FEATURE_AVX512_VNNI, LEAF_7_ECX, 11, SAVES_ZMM},
    {"avx512-bf16", RML_CPU_FEATURE_AVX512_BF16, LEAF_7_1_EAX, 5, SAVES_ZMM},
    {"avx512-fp16", RML_CPU_FEATURE_AVX512_FP16, LEAF_7_EDX, 23, SAVES_ZMM},
    {"amx-tile", RML_CPU_FEATURE_AMX_TILE, LEAF_7_EDX, 24, SAVES_TILES},
    {"amx-bf16", RML_CPU_FEATURE_AMX_BF16, LEAF_7_EDX, 22, SAVES_TILES},
    {"amx-int8", RML_CPU_FEATURE_AMX_INT8, LEAF_7_EDX, 25, SAVES_TILES},
    {"slow-avx512-bf16", RML_CPU_FEATURE_SLOW_AVX512_BF16, ALL_WORDS, 0, 0},
    {"neon", RML_CPU_FEATURE_NEON, ALL_WORDS, 0, 0}, // part of every 64-bit ARM
    {"dotprod", RML_CPU_FEATURE_DOTPROD, HWCAP, 20, 0},
    {"fp16", RML_CPU_FEATURE_FP16, HWCAP, 10, 0},
    {"bf16", RML_CPU_FEATURE_BF16, HWCAP2, 14, 0},
    {"i8mm", RML_CPU_FEATURE_I8MM, HWCAP2, 13, 0},
};
#define FEATURE_COUNT (sizeof features_known / sizeof *features_known)

#if defined(RML_HAVE_AVX2) || defined(RML_HAVE_AVX512)

#define LEAF_1_ECX_OSXSAVE (1u << 27)
#define VENDOR_INTEL 0x756e6547u // "Genu"
#define MODEL_COOPER_LAKE 0x55u  // of family 6

typedef struct cpuid_registers {
    unsigned eax, ebx, ecx, edx;
} cpuid_registers;

#if defined(_MSC_VER)
#include <intrin.h>
static cpuid_registers cpuid(unsigned leaf, unsigned subleaf)
{
    int r[4];
    __cpuidex(r, (int)leaf, (int)subleaf);
    return (cpuid_registers){(unsigned)r[0], (unsigned)r[1], (unsigned)r[2], (unsigned)r[3]};
}

static unsigned xcr0(void)
{
    return (unsigned)_xgetbv(0);
}
#else
#include <cpuid.h>
static cpuid_registers cpuid(unsigned leaf, unsigned subleaf)
{
    cpuid_registers r;
    __cpuid_count(leaf, subleaf, r.eax, r.ebx, r.ecx, r.edx);
    return r;
}

// The intrinsic would need a target flag for this whole file.
static unsigned xcr0(void)
{
    unsigned low, high;
    __asm__ volatile("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
    return low;
}
#endif

// Each CPUID leaves a virtual machine and takes microseconds there.
uint32_t rml_cpu_probe(void)
{
    const cpuid_registers first = cpuid(0, 0);
    if (first.eax < 7)
        return 0;
    const cpuid_registers one = cpuid(1, 0), seven = cpuid(7, 0);
    const unsigned words[WORDS] = {one.ecx, seven.ebx, seven.ecx, seven.edx,
                                   seven.eax >= 1 ? cpuid(7, 1).eax : 0};
    const unsigned saved = one.ecx & LEAF_1_ECX_OSXSAVE ? xcr0() : 0; // faults without OSXSAVE
    uint32_t features = 0;
    for (size_t i = 0; i < FEATURE_COUNT; i++)
        if (features_known[i].word < WORDS &&
            (saved & features_known[i].saved) == features_known[i].saved &&
            words[features_known[i].word] >> features_known[i].shift & 1)
            features |= features_known[i].bit;
    const unsigned model = (one.eax >> 4 & 0xf) | (one.eax >> 12 & 0xf0);
    if (features & RML_CPU_FEATURE_AVX512_BF16 && first.ebx == VENDOR_INTEL &&
        model != MODEL_COOPER_LAKE) // measured on Sapphire Rapids, see bench/LOG.md
        features |= RML_CPU_FEATURE_SLOW_AVX512_BF16;
    return features;
}

#elif defined(RML_HAVE_NEON)

uint32_t rml_cpu_probe(void)
{
    uint32_t features = RML_CPU_FEATURE_NEON;
#if defined(__linux__)
    const unsigned long words[] = {getauxval(AT_HWCAP), getauxval(AT_HWCAP2)};
    for (size_t i = 0; i < FEATURE_COUNT; i++)
        if ((features_known[i].word == HWCAP || features_known[i].word == HWCAP2) &&
            words[features_known[i].word - HWCAP] >> features_known[i].shift & 1)
            features |= features_known[i].bit;
#endif
    return features;
}

#else

uint32_t rml_cpu_probe(void)
{
    return 0;
}

#endif

uint32_t rml_cpu_request_amx(uint32_t features)
{
#if defined(RML_HAVE_AMXBF16)
    if ((features & RML_ISA_AMXBF16) == RML_ISA_AMXBF16 &&
        syscall(SYS_arch_prctl, ARCH_REQUEST_STATE, TILE_STATE) == 0)
        return features;
#endif
    return features & ~RML_CPU_AMX;
}

// ---- levels and masks ---------------------------------------------------------------------------

#if defined(RML_HAVE_NEON)
#define HAS_NEON true
#else
#define HAS_NEON false
#endif
#if defined(RML_HAVE_AVX2)
#define HAS_AVX2 true
#else
#define HAS_AVX2 false
#endif
#if defined(RML_HAVE_AVX512)
#define HAS_AVX512 true
#else
#define HAS_AVX512 false
#endif

#define ARM_FEATURES (~(RML_CPU_FEATURE_NEON - 1))
#define AVX2_FEATURES (RML_ISA_AVX2 | RML_CPU_FEATURE_AVX_VNNI)

// `allows`: of a table that is lowered to the level, which may be of another architecture.
static const struct {
    const char *name;
    bool built;
    uint32_t needs, allows;
} levels[] = {
    [RML_CPU_BEST] = {"best", true, 0, UINT32_MAX},
    [RML_CPU_PORTABLE] = {"portable", true, 0, 0},
    [RML_CPU_NEON] = {"neon", HAS_NEON, RML_ISA_NEON, ARM_FEATURES},
    [RML_CPU_AVX2] = {"avx2", HAS_AVX2, RML_ISA_AVX2, ARM_FEATURES | AVX2_FEATURES},
    [RML_CPU_AVX512] = {"avx512", HAS_AVX512, RML_ISA_AVX512, UINT32_MAX},
};
#define LEVEL_COUNT (sizeof levels / sizeof *levels)

const char *rml_cpu_level_name(rml_cpu_level level)
{
    return (size_t)level < LEVEL_COUNT ? levels[level].name : "unknown";
}

bool rml_cpu_level_parse(const char *name, rml_cpu_level *level)
{
    for (size_t i = 0; i < LEVEL_COUNT; i++) {
        if (strcmp(name, levels[i].name) == 0) {
            *level = (rml_cpu_level)i;
            return true;
        }
    }
    return false;
}

bool rml_cpu_level_built(rml_cpu_level level)
{
    return (size_t)level < LEVEL_COUNT && levels[level].built;
}

static bool has_level(uint32_t features, rml_cpu_level level)
{
    return rml_cpu_level_built(level) && (features & levels[level].needs) == levels[level].needs;
}

rml_cpu_level rml_cpu_level_of(uint32_t features)
{
    rml_cpu_level best = RML_CPU_PORTABLE;
    for (size_t level = best; level < LEVEL_COUNT; level++)
        if (has_level(features, (rml_cpu_level)level))
            best = (rml_cpu_level)level;
    return best;
}

// Takes the features of `list`, which `source` holds, away. Words that are not known are refused
// after all others are taken.
static rml_status take_away(const char *source, const char *list, uint32_t *features,
                            rml_error *err)
{
    const char *unknown = NULL;
    for (const char *word = list; word && *word; word += strcspn(word, ",")) {
        word += *word == ',';
        const size_t length = strcspn(word, ",");
        size_t i = 0;
        while (i < FEATURE_COUNT && (strlen(features_known[i].name) != length ||
                                     strncmp(word, features_known[i].name, length) != 0))
            i++;
        if (i < FEATURE_COUNT)
            *features &= ~features_known[i].bit;
        else if (!unknown)
            unknown = word;
    }
    if (!unknown)
        return RML_OK;
    char known[FEATURE_COUNT * (NAME_BYTES + 2)] = "";
    for (size_t i = 0; i < FEATURE_COUNT; i++) {
        strcat(known, i ? ", " : "");
        strcat(known, features_known[i].name);
    }
    return rml_fail(err, RML_ERR_ARG, "%s names the feature '%.*s'; known are %s", source,
                    (int)strcspn(unknown, ","), unknown, known);
}

// What RML_CPU lowers RML_CPU_BEST to.
static rml_status limit_of(rml_cpu_level *limit, rml_error *err)
{
    const char *name = getenv(RML_CPU_ENVIRONMENT);
    *limit = RML_CPU_BEST;
    if (!name || !*name || rml_cpu_level_parse(name, limit))
        return RML_OK;
    return rml_fail(err, RML_ERR_ARG,
                    RML_CPU_ENVIRONMENT " is '%s', expected portable, neon, avx2, avx512 or best",
                    name);
}

rml_status rml_cpu_features(rml_cpu_level level, const char *mask, uint32_t *features,
                            rml_error *err)
{
    rml_cpu_level limit;
    *features = rml_cpu_probe();
    RML_TRY(take_away(RML_CPU_MASK_ENVIRONMENT, getenv(RML_CPU_MASK_ENVIRONMENT), features, err));
    RML_TRY(take_away("cpu_mask", mask, features, err));
    RML_TRY(limit_of(&limit, err));
    if (level != RML_CPU_BEST && !has_level(*features, level))
        return rml_fail(err, RML_ERR_UNSUPPORTED,
                        "CPU level %s is not available here, the best is %s",
                        rml_cpu_level_name(level), rml_cpu_level_name(rml_cpu_level_of(*features)));
    *features &= levels[level == RML_CPU_BEST ? limit : level].allows;
    return RML_OK;
}

rml_status rml_cpu_check(rml_error *err)
{
    uint32_t features;
    return rml_cpu_features(RML_CPU_BEST, NULL, &features, err);
}

static uint32_t usable(void)
{
    uint32_t features = rml_cpu_probe();
    (void)take_away(RML_CPU_MASK_ENVIRONMENT, getenv(RML_CPU_MASK_ENVIRONMENT), &features, NULL);
    return features;
}

const char *rml_cpu_feature(size_t index, bool *usable_here)
{
    if (index >= FEATURE_COUNT)
        return NULL;
    if (usable_here)
        *usable_here = usable() & features_known[index].bit;
    return features_known[index].name;
}

bool rml_cpu_level_available(rml_cpu_level level)
{
    return has_level(usable(), level);
}

rml_cpu_level rml_cpu_level_best(void)
{
    rml_cpu_level limit;
    (void)limit_of(&limit, NULL);
    return rml_cpu_level_of(usable() & levels[limit].allows);
}
