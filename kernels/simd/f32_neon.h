// 4 lanes of f32 on AArch64 NEON. The same names as in the other simd/f32_*.h.
#ifndef RML_KERNELS_SIMD_F32_NEON_H
#define RML_KERNELS_SIMD_F32_NEON_H

#if !defined(__aarch64__) && !defined(_M_ARM64)
#error "this file is for 64-bit ARM"
#endif

#include <arm_neon.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#define VF32_LANES 4

// KEEP_IN_REGISTER: where compilers would load each lane of v by itself. KEEP_POINTER: where they
// would keep many that are a step apart.
#if defined(__GNUC__)
#define KEEP_IN_REGISTER(v) __asm__("" : "+w"(v))
#define KEEP_POINTER(p) __asm__("" : "+r"(p))
#else
#define KEEP_IN_REGISTER(v) ((void)(v))
#define KEEP_POINTER(p) ((void)(p))
#endif

typedef float32x4_t vf32;
typedef uint32x4_t vmask; // all bits of a lane set or clear

static inline vf32 vf32_set(float x)
{
    return vdupq_n_f32(x);
}

static inline vf32 vf32_load(const float *p)
{
    return vld1q_f32(p);
}

// A load in each round of a loop, for what a multiply-add is to overwrite: a copy would need the
// pipes that multiply.
static inline vf32 vf32_load_again(const float *p)
{
#if defined(__GNUC__)
    typedef float32x4_t anywhere __attribute__((aligned(4), may_alias));
    return *(const volatile anywhere *)p;
#else
    return vld1q_f32(p);
#endif
}

static inline void vf32_store(float *p, vf32 v)
{
    vst1q_f32(p, v);
}

// The first `count` (0..LANES) lanes; memory behind them is not touched, lanes behind them are
// zero.
static inline vf32 vf32_load_part(const float *p, size_t count)
{
    float lane[VF32_LANES] = {0};
    memcpy(lane, p, count * sizeof *p);
    return vld1q_f32(lane);
}

static inline void vf32_store_part(float *p, vf32 v, size_t count)
{
    float lane[VF32_LANES];
    vst1q_f32(lane, v);
    memcpy(p, lane, count * sizeof *p);
}

static inline vf32 vf32_select(vmask mask, vf32 yes, vf32 no)
{
    return vbslq_f32(mask, yes, no);
}

// The first `count` lanes of v, the others zero.
static inline vf32 vf32_keep_part(vf32 v, size_t count)
{
    static const uint32_t index[VF32_LANES] = {0, 1, 2, 3};
    return vf32_select(vcltq_u32(vld1q_u32(index), vdupq_n_u32((uint32_t)count)), v, vf32_set(0));
}

// A vector of f16, widened; and rounded to them.
static inline vf32 vf32_load_f16(const uint16_t *p)
{
    return vcvt_f32_f16(vreinterpret_f16_u16(vld1_u16(p)));
}

static inline void vf32_store_f16(uint16_t *p, vf32 v)
{
    vst1_u16(p, vreinterpret_u16_f16(vcvt_f16_f32(v)));
}

static inline vf32 vf32_add(vf32 a, vf32 b)
{
    return vaddq_f32(a, b);
}

static inline vf32 vf32_sub(vf32 a, vf32 b)
{
    return vsubq_f32(a, b);
}

static inline vf32 vf32_mul(vf32 a, vf32 b)
{
    return vmulq_f32(a, b);
}

static inline vf32 vf32_div(vf32 a, vf32 b)
{
    return vdivq_f32(a, b);
}

static inline vf32 vf32_sqrt(vf32 v)
{
    return vsqrtq_f32(v);
}

// a * b + c and c - a * b, rounded once.
static inline vf32 vf32_fma(vf32 a, vf32 b, vf32 c)
{
    return vfmaq_f32(c, a, b);
}

static inline vf32 vf32_fma_again(vf32 a, vf32 b, const float *c)
{
    return vf32_fma(a, b, vf32_load_again(c));
}

// a * b[lane] + c; the lane is a constant.
#define VF32_FMA_LANE(a, b, lane, c) vfmaq_laneq_f32(c, a, b, lane)

static inline vf32 vf32_fnma(vf32 a, vf32 b, vf32 c)
{
    return vfmsq_f32(c, a, b);
}

static inline vf32 vf32_abs(vf32 v)
{
    return vabsq_f32(v);
}

static inline vf32 vf32_neg(vf32 v)
{
    return vnegq_f32(v);
}

// Magnitude of `v` with the sign of `sign`.
static inline vf32 vf32_copysign(vf32 v, vf32 sign)
{
    return vbslq_f32(vdupq_n_u32(0x80000000u), sign, v);
}

static inline vmask vf32_less(vf32 a, vf32 b)
{
    return vcltq_f32(a, b);
}

// Lane i is lane[i] (< LANES) of v.
static inline vf32 vf32_pick(vf32 v, const int32_t *lane)
{
    const uint32x4_t first = vmulq_n_u32(vreinterpretq_u32_s32(vld1q_s32(lane)), 0x04040404u);
    const uint32x4_t bytes = vaddq_u32(first, vdupq_n_u32(0x03020100u));
    return vreinterpretq_f32_u8(vqtbl1q_u8(vreinterpretq_u8_f32(v), vreinterpretq_u8_u32(bytes)));
}

// max(v, low), min(v, high). NaN passes, and -0 stays -0 as on the other levels: the instruction
// for the maximum would make it 0.
static inline vf32 vf32_at_least(vf32 v, vf32 low)
{
    return vf32_select(vf32_less(v, low), low, v);
}

static inline vf32 vf32_at_most(vf32 v, vf32 high)
{
    return vf32_select(vf32_less(high, v), high, v);
}

// The same where the bound is a number and no zero, for which the instruction does.
static inline vf32 vf32_at_least_nonzero(vf32 v, vf32 low)
{
    return vmaxq_f32(v, low);
}

static inline vf32 vf32_at_most_nonzero(vf32 v, vf32 high)
{
    return vminq_f32(v, high);
}

// The larger; either where one is NaN, or both are zeros.
static inline vf32 vf32_larger(vf32 a, vf32 b)
{
    return vmaxq_f32(a, b);
}

// The larger, the smaller; NaN in either wins.
static inline vf32 vf32_max(vf32 a, vf32 b)
{
    return vmaxq_f32(a, b);
}

static inline vf32 vf32_min(vf32 a, vf32 b)
{
    return vminq_f32(a, b);
}

static inline vf32 vf32_round(vf32 v) // to nearest, ties to even
{
    return vrndnq_f32(v);
}

static inline vmask vf32_is_nan(vf32 v)
{
    return vmvnq_u32(vceqq_f32(v, v));
}

static inline vf32 vf32_floor(vf32 v)
{
    return vrndmq_f32(v);
}

// Of positive normal numbers: v = mantissa * 2^exponent, the mantissa in [1, 2).
static inline vf32 vf32_exponent(vf32 v)
{
    const int32x4_t biased = vreinterpretq_s32_u32(vshrq_n_u32(vreinterpretq_u32_f32(v), 23));
    return vcvtq_f32_s32(vsubq_s32(biased, vdupq_n_s32(127)));
}

static inline vf32 vf32_mantissa(vf32 v)
{
    const uint32x4_t bits = vandq_u32(vreinterpretq_u32_f32(v), vdupq_n_u32(0x7FFFFF));
    return vreinterpretq_f32_u32(vorrq_u32(bits, vreinterpretq_u32_f32(vdupq_n_f32(1.0f))));
}

// A whole number n in [-252, 254] is n + 254 in the lower 9 bits of a vpower, where a float of so
// large a number that it has no digits behind the point holds it: rounding by the instructions for
// it takes four times as long.
typedef uint32x4_t vpower;
#define VF32_WHOLE 12583166.0f // 3 * 2^22 + 254

// v, which is below 2^21, to nearest, ties to even.
static inline vf32 vf32_whole(vf32 v, vpower *n)
{
    const vf32 digits = vf32_add(v, vf32_set(VF32_WHOLE));
    *n = vreinterpretq_u32_f32(digits);
    return vf32_sub(digits, vf32_set(VF32_WHOLE));
}

// v * 2^n rounded once, also where the result is infinite or denormal: in two steps, because 2^n
// alone may be neither, and the first step is exact for v near 1.
static inline vf32 vf32_scale(vf32 v, vpower n)
{
    const uint32x4_t half = vshrq_n_u32(n, 1);
    const vf32 first = vreinterpretq_f32_u32(vshlq_n_u32(half, 23));
    const vf32 rest = vreinterpretq_f32_u32(vshlq_n_u32(vsubq_u32(n, half), 23));
    return vmulq_f32(vmulq_f32(v, first), rest);
}

// 2^n for n in [-126, 127].
static inline vf32 vf32_power(vpower n)
{
    return vreinterpretq_f32_u32(vsubq_u32(vshlq_n_u32(n, 23), vdupq_n_u32(127u << 23)));
}

// Sum of the lanes by halves, always in the same order.
static inline float vf32_sum(vf32 v)
{
    float32x2_t half = vadd_f32(vget_low_f32(v), vget_high_f32(v));
    return vget_lane_f32(half, 0) + vget_lane_f32(half, 1);
}

// The lanes joined by halves as those of a sum, for any two of them: the result is in the first.
#define VF32_JOIN_LANES(join, v)                                                                   \
    do {                                                                                           \
        (v) = join(v, vextq_f32(v, v, 2));                                                         \
        (v) = join(v, vrev64q_f32(v));                                                             \
    } while (0)

// The largest lane, a NaN or not where there is one.
static inline float vf32_top(vf32 v)
{
    return vmaxvq_f32(v);
}

#define vf32_prefetch(p) __builtin_prefetch(p)

#define VF32_ADDENDS_IN_MEMORY
#define VF32_IN_HALVES
#define VF32_OWN_POWERS
#define VF32_OWN_BOUNDS
#include "kernels/simd/tail.inc"

#endif
