// Vectors of f32_neon.h in step: what is done to one of VF32_STEPS vectors is done to all before
// the next operation. An operation waits two to four cycles for the one before it, and a CPU sees
// not much more than a hundred instructions ahead: one vector's function after the other leaves its
// pipes idle.
//
// This takes the names of the other simd/f32_*.h, of those that functions in math.inc and their
// loops use. Give before including: VF32_STEPS, 2 to 4.
#ifndef RML_KERNELS_SIMD_F32_NEON_STEPS_H
#define RML_KERNELS_SIMD_F32_NEON_STEPS_H

#include "kernels/simd/f32_neon.h"

typedef struct steps {
    vf32 at[VF32_STEPS];
} steps;

typedef struct steps_bits { // masks, and powers of two
    uint32x4_t at[VF32_STEPS];
} steps_bits;

#define STEPS_OF(type, name, params, each)                                                         \
    static inline __attribute__((always_inline)) type steps_##name params                          \
    {                                                                                              \
        type r;                                                                                    \
        _Pragma("GCC unroll 4") for (size_t k = 0; k < VF32_STEPS; k++) r.at[k] = each;            \
        return r;                                                                                  \
    }

STEPS_OF(steps, set, (float x), vf32_set(x))
STEPS_OF(steps, load, (const float *p), vf32_load(p + 4 * k))
STEPS_OF(steps, load_again, (const float *p), vf32_load_again(p))
STEPS_OF(steps, abs, (steps a), vf32_abs(a.at[k]))
STEPS_OF(steps, neg, (steps a), vf32_neg(a.at[k]))
STEPS_OF(steps, add, (steps a, steps b), vf32_add(a.at[k], b.at[k]))
STEPS_OF(steps, sub, (steps a, steps b), vf32_sub(a.at[k], b.at[k]))
STEPS_OF(steps, mul, (steps a, steps b), vf32_mul(a.at[k], b.at[k]))
STEPS_OF(steps, div, (steps a, steps b), vf32_div(a.at[k], b.at[k]))
STEPS_OF(steps, sqrt, (steps a), vf32_sqrt(a.at[k]))
STEPS_OF(steps, round, (steps a), vf32_round(a.at[k]))
STEPS_OF(steps, floor, (steps a), vf32_floor(a.at[k]))
STEPS_OF(steps_bits, is_nan, (steps a), vf32_is_nan(a.at[k]))
STEPS_OF(steps, fma, (steps a, steps b, steps c), vf32_fma(a.at[k], b.at[k], c.at[k]))
STEPS_OF(steps, fma_again, (steps a, steps b, const float *c),
         vf32_fma(a.at[k], b.at[k], vf32_load_again(c)))
STEPS_OF(steps, fnma, (steps a, steps b, steps c), vf32_fnma(a.at[k], b.at[k], c.at[k]))
STEPS_OF(steps, copysign, (steps a, steps b), vf32_copysign(a.at[k], b.at[k]))
STEPS_OF(steps, at_least, (steps a, steps b), vf32_at_least(a.at[k], b.at[k]))
STEPS_OF(steps, at_most, (steps a, steps b), vf32_at_most(a.at[k], b.at[k]))
STEPS_OF(steps, at_least_nonzero, (steps a, steps b), vf32_at_least_nonzero(a.at[k], b.at[k]))
STEPS_OF(steps, at_most_nonzero, (steps a, steps b), vf32_at_most_nonzero(a.at[k], b.at[k]))
STEPS_OF(steps, exponent, (steps a), vf32_exponent(a.at[k]))
STEPS_OF(steps, mantissa, (steps a), vf32_mantissa(a.at[k]))
STEPS_OF(steps, scale, (steps a, steps_bits n), vf32_scale(a.at[k], n.at[k]))
STEPS_OF(steps, power, (steps_bits n), vf32_power(n.at[k]))
STEPS_OF(steps, select, (steps_bits m, steps a, steps b), vf32_select(m.at[k], a.at[k], b.at[k]))
STEPS_OF(steps_bits, less, (steps a, steps b), vf32_less(a.at[k], b.at[k]))

static inline __attribute__((always_inline)) steps steps_whole(steps v, steps_bits *n)
{
    const steps all = steps_set(VF32_WHOLE), digits = steps_add(v, all);
    for (size_t k = 0; k < VF32_STEPS; k++)
        n->at[k] = vreinterpretq_u32_f32(digits.at[k]);
    return steps_sub(digits, all);
}

static inline void steps_store(float *p, steps v)
{
    for (size_t k = 0; k < VF32_STEPS; k++)
        vf32_store(p + 4 * k, v.at[k]);
}

static inline steps steps_load_part(const float *p, size_t count)
{
    float lane[VF32_STEPS * VF32_LANES] = {0};
    memcpy(lane, p, count * sizeof *p);
    return steps_load(lane);
}

static inline void steps_store_part(float *p, steps v, size_t count)
{
    float lane[VF32_STEPS * VF32_LANES];
    steps_store(lane, v);
    memcpy(p, lane, count * sizeof *p);
}

// Otherwise vectors in step would be arguments in memory.
#define MATH_INLINE static inline __attribute__((always_inline))
#undef VF32_LANES
#define VF32_LANES (4 * VF32_STEPS)
#define vf32 steps
#define vpower steps_bits
#define vmask steps_bits
#define vf32_set steps_set
#define vf32_load steps_load
#define vf32_load_again steps_load_again
#define vf32_load_part steps_load_part
#define vf32_store steps_store
#define vf32_store_part steps_store_part
#define vf32_abs steps_abs
#define vf32_neg steps_neg
#define vf32_add steps_add
#define vf32_sub steps_sub
#define vf32_mul steps_mul
#define vf32_div steps_div
#define vf32_sqrt steps_sqrt
#define vf32_round steps_round
#define vf32_floor steps_floor
#define vf32_is_nan steps_is_nan
#define vf32_fma steps_fma
#define vf32_fma_again steps_fma_again
#define vf32_fnma steps_fnma
#define vf32_copysign steps_copysign
#define vf32_at_least steps_at_least
#define vf32_at_most steps_at_most
#define vf32_at_least_nonzero steps_at_least_nonzero
#define vf32_at_most_nonzero steps_at_most_nonzero
#define vf32_exponent steps_exponent
#define vf32_mantissa steps_mantissa
#define vf32_scale steps_scale
#define vf32_power steps_power
#define vf32_select steps_select
#define vf32_less steps_less
#define vf32_whole steps_whole

#endif
