#define _GNU_SOURCE // syscall
#include "kernels/cpu.h"

#include <stdlib.h>
#include <string.h>

#if defined(RML_HAVE_AMXBF16)
#include <sys/syscall.h>
#include <unistd.h>

#define ARCH_REQUEST_STATE 0x1023 // ARCH_REQ_XCOMP_PERM
#define TILE_STATE 18             // XFEATURE_XTILEDATA
#endif

#if defined(RML_HAVE_AVX2) || defined(RML_HAVE_AVX512)

#define CPUID_1_ECX_FMA (1u << 12)
#define CPUID_1_ECX_OSXSAVE (1u << 27)
#define CPUID_1_ECX_AVX (1u << 28)
#define CPUID_1_ECX_F16C (1u << 29)
#define CPUID_7_EBX_AVX2 (1u << 5)
#define CPUID_7_EBX_BMI2 (1u << 8)
#define CPUID_7_EBX_AVX512 ((1u << 16) | (1u << 17) | (1u << 30) | (1u << 31)) // F, DQ, BW, VL
#define CPUID_7_1_EAX_BF16 (1u << 5)
#define CPUID_7_EDX_AMX ((1u << 22) | (1u << 24)) // BF16, TILE
#define XCR0_AMX 0x60000u
#define XCR0_AVX 0x06u    // the system saves xmm and ymm
#define XCR0_AVX512 0xe0u // the same for masks and zmm

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

static bool detect_x86(rml_cpu_level level)
{
    if (cpuid(0, 0).eax < 7)
        return false;
    // The CPU may have registers that the system does not save across a task switch, so CPUID alone
    // is not enough; XGETBV itself faults without OSXSAVE.
    unsigned ecx = cpuid(1, 0).ecx;
    unsigned need = CPUID_1_ECX_FMA | CPUID_1_ECX_OSXSAVE | CPUID_1_ECX_AVX | CPUID_1_ECX_F16C;
    if ((ecx & need) != need)
        return false;
    unsigned saved = xcr0(), ebx = cpuid(7, 0).ebx;
    need = CPUID_7_EBX_AVX2 | CPUID_7_EBX_BMI2;
    if ((saved & XCR0_AVX) != XCR0_AVX || (ebx & need) != need)
        return false;
    if (level == RML_CPU_AVX2)
        return true;
    return (saved & XCR0_AVX512) == XCR0_AVX512 && (ebx & CPUID_7_EBX_AVX512) == CPUID_7_EBX_AVX512;
}

#endif

bool rml_cpu_has_bf16(void)
{
#if defined(RML_HAVE_AVX512BF16)
    return rml_cpu_level_available(RML_CPU_AVX512) && cpuid(7, 0).eax >= 1 &&
           (cpuid(7, 1).eax & CPUID_7_1_EAX_BF16);
#else
    return false;
#endif
}

bool rml_cpu_has_amx(void)
{
#if defined(RML_HAVE_AMXBF16)
    return rml_cpu_has_bf16() && (cpuid(7, 0).edx & CPUID_7_EDX_AMX) == CPUID_7_EDX_AMX &&
           (xcr0() & XCR0_AMX) == XCR0_AMX &&
           syscall(SYS_arch_prctl, ARCH_REQUEST_STATE, TILE_STATE) == 0;
#else
    return false;
#endif
}

static const char *const level_names[] = {"best", "portable", "neon", "avx2", "avx512"};
#define LEVEL_COUNT (sizeof level_names / sizeof *level_names)

const char *rml_cpu_level_name(rml_cpu_level level)
{
    return (size_t)level < LEVEL_COUNT ? level_names[level] : "unknown";
}

bool rml_cpu_level_parse(const char *name, rml_cpu_level *level)
{
    for (size_t i = 0; i < LEVEL_COUNT; i++) {
        if (strcmp(name, level_names[i]) == 0) {
            *level = (rml_cpu_level)i;
            return true;
        }
    }
    return false;
}

bool rml_cpu_level_available(rml_cpu_level level)
{
    switch (level) {
    case RML_CPU_BEST:
    case RML_CPU_PORTABLE:
        return true;
#if defined(RML_HAVE_NEON)
    case RML_CPU_NEON: // part of every 64-bit ARM
        return true;
#endif
#if defined(RML_HAVE_AVX2)
    case RML_CPU_AVX2:
        return detect_x86(level);
#endif
#if defined(RML_HAVE_AVX512)
    case RML_CPU_AVX512:
        return detect_x86(level);
#endif
    default:
        return false;
    }
}

rml_cpu_level rml_cpu_level_at_most(rml_cpu_level limit)
{
    rml_cpu_level best = RML_CPU_PORTABLE;
    rml_cpu_level top = limit == RML_CPU_BEST ? RML_CPU_AVX512 : limit;
    for (int level = RML_CPU_PORTABLE; level <= (int)top; level++) {
        if (rml_cpu_level_available((rml_cpu_level)level))
            best = (rml_cpu_level)level;
    }
    return best;
}

rml_cpu_level rml_cpu_level_best(void)
{
    rml_cpu_level limit = RML_CPU_BEST;
    const char *name = getenv(RML_CPU_ENVIRONMENT);
    if (name)
        rml_cpu_level_parse(name, &limit);
    return rml_cpu_level_at_most(limit);
}
