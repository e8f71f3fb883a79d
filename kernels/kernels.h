// Contract and type of every compute kernel, and the table that holds one implementation of each.
//
// Rules of all kernels: single-threaded and stateless; they read and write exactly the elements
// described, never past them; pointers need no alignment beyond that of float; outputs do not
// overlap inputs unless stated; NaN and infinity go through as IEEE arithmetic takes them. Images
// are channels-last: the elements of one pixel lie side by side, and a kernel gets a pointer per
// pixel, so that padding (a pointer to zeros), stride, dilation and concatenation cost nothing
// extra.
#ifndef RML_KERNELS_KERNELS_H
#define RML_KERNELS_KERNELS_H

#include "kernels/conv_direct.h"
#include "runmodel.h"

#define RML_GEMM_MAX_MR 32 // upper bounds over all levels, for buffers on the stack
#define RML_GEMM_MAX_NR 64
#define RML_LSTM_MAX_ROWS 8
#define RML_LAYER_NORM_BLOCK 2048 // elements summed in f32 before a total in double takes over

// One tile of an indirect GEMM, the heart of convolution, transposed convolution and matmul:
//
//   c[i][n] = clamp(bias[n] + sum over t < taps, k < depth of a[t*mr + i][k] * b[t*depth + k][n]
//                   + residual[i][n], low, high)              i < rows, n < cols
//
// The operands are floats or bf16 (uint16_t), as the descriptor says; the rest is f32. The sum runs
// over t, then k, in rising order, in one accumulator per element, so that a result does not depend
// on rows, cols or the tile it is in. In f32 it is one fused or unfused multiply-add each; in bf16
// some products may be added first, those of one k / kr at most, and denormals count as zero.
// A tile of GEMM has taps = 1; a tap of a convolution points at the pixel it reads, or at zeros.
typedef struct rml_gemm_tile {
    const void *const *a;         // [taps][mr]; entries i >= rows are not read
    size_t taps, depth;           // depth is a multiple of kr, with zeros behind what there is
    const void *b;                // one packed panel, see pack.h, pitch from cols
    size_t rows, cols;            // 1..mr, 1..nr
    float *const *c;              // [rows]
    const float *bias;            // [cols], or NULL
    const float *row_bias;        // [rows], or NULL; not both
    const float *const *residual; // [rows], or NULL; residual[i] may equal c[i]
    float low, high;              // -INFINITY, INFINITY for no clamp; NaN passes through the clamp
} rml_gemm_tile;

typedef void rml_gemm_fn(const rml_gemm_tile *tile);

typedef struct rml_gemm rml_gemm;

// Packs columns [first, first + count) of one panel (first is a multiple of nr, count <= nr) to
// `dst`, the start of that panel, rounded to the type:
//   element (t, k, n) = src[t*tap_stride + k*depth_stride + n*col_stride]
typedef void rml_pack_fn(const rml_gemm *gemm, void *dst, const float *src, size_t taps,
                         size_t depth, size_t count, size_t tap_stride, size_t depth_stride,
                         size_t col_stride);

// The product of one element type, and what those who feed it must know.
struct rml_gemm {
    rml_gemm_fn *run; // NULL: there is none
    rml_pack_fn *pack;
    // Called by a thread in front of some calls of `run` and behind them, or NULL: a unit that is
    // configured once for many tiles.
    void (*begin)(void), (*end)(void);
    size_t element_bytes; // of both operands
    size_t mr, nr;        // rows and columns of a full tile
    size_t nr_unit;       // panel pitches are multiples of this (the vector length)
    size_t kr;            // depth is one of this
    float rate;           // multiply-adds in the time of one by gemm_f32 of the same table
};

static inline void rml_gemm_begin(const rml_gemm *gemm)
{
    if (gemm->begin)
        gemm->begin();
}

static inline void rml_gemm_end(const rml_gemm *gemm)
{
    if (gemm->end)
        gemm->end();
}

// One tile of a product of doubles:
//   c[i][n] = sum over k < depth, in rising order, of a[i][k] * b[k*nr + n]   i < rows, n < cols
// with rows 1..mr, cols 1..nr; b has numbers up to nr, which count for nothing.
typedef void rml_gemm_f64_fn(const double *const *a, size_t rows, size_t depth, const double *b,
                             size_t cols, double *const *c);

typedef struct rml_gemm_f64 {
    rml_gemm_f64_fn *run;
    size_t mr, nr;
} rml_gemm_f64;

// `count` floats rounded to nearest even, then zeros up to `padded` >= count. dst may equal src.
typedef void rml_to_bf16_fn(const float *src, size_t count, size_t padded, uint16_t *dst);

// Output pixels of a convolution with few channels a group whose taps all move on by the same step:
//   dst[i*dst_step + c] = clamp(bias[c] + residual[i*residual_step + c] +
//                               sum over t < taps, k < depth of
//                               src[t][i*src_step + c / cols * depth + k] * weight(t, k, c),
//                               low, high)
//   i < pixels, c < groups.channels, with depth and cols of groups. The sum runs in rising t, then
//   k, one multiply-add each. A depthwise one (depth and cols 1) starts with the bias; others get
//   it behind, and the residual is added last.
typedef struct rml_conv_direct_row {
    const float *const *src; // [taps]
    size_t taps, pixels, src_step, dst_step, residual_step;
    rml_conv_groups groups;
    const float *weight;          // tap 0 of the first block, see conv_direct.h
    size_t weight_step;           // floats from a block to the next
    const float *bias, *residual; // or NULL
    float *dst;
    float low, high;
} rml_conv_direct_row;

typedef void rml_conv_direct_f32_fn(const rml_conv_direct_row *row);

// Rows of 1, 2 or 4 outputs of a convolution of plain images, whose taps are rows of numbers:
//   dst[o][r*dst_step + x] = clamp(bias[o] + sum over p < planes, t < taps of
//       src[p*pointers + o*lag + t][from + r*src_step + x] * weight[o][p*taps + t], low, high)
//   first <= r < rows, x < count, o < outs
// The sum runs in rising p, then t, one multiply-add each. The outputs are channels (lag 0), or
// rows of one channel, the taps of one `lag` behind those of the one before; (outs - 1) * lag is at
// most taps. src has numbers up to the next multiple of RML_CONV_PLAIN_PAD from `count` on, which
// count for nothing.
#define RML_CONV_PLAIN_PAD ((size_t)16)
typedef struct rml_conv_plain_rows {
    const float *const *src; // [planes][pointers]
    size_t planes, taps, lag, pointers, outs;
    const float *weight[4];
    float bias[4];
    float *dst[4];
    size_t count, from, first, rows, src_step, dst_step;
    float low, high;
} rml_conv_plain_rows;

typedef void rml_conv_plain_f32_fn(const rml_conv_plain_rows *rows);

// dst[r*dst_step + x] = x < count ? src[r*src_step + x] : fill, for r < rows, x < dst_step; count
// <= dst_step, a multiple of RML_CONV_PLAIN_PAD.
typedef void rml_pad_rows_f32_fn(const float *src, size_t src_step, size_t count, float fill,
                                 size_t rows, float *dst, size_t dst_step);

// Output pixels of a pooling that lie in a row: dst[i*dst_step + c] = max over t of
// src[t][i*src_step + c] (NaN wins), or the sum in rising t times `scale`, for i < count,
// c < channels. taps >= 1.
typedef struct rml_pool_windows {
    const float *const *src; // [taps], of the first window
    size_t taps, channels, count, src_step, dst_step;
    float scale;
    float *dst;
} rml_pool_windows;

typedef void rml_pool_f32_fn(const rml_pool_windows *windows);

// One output pixel of a linear resize: dst[c] = sum over t < 4 of src[t][c] * weight[t].
typedef void rml_lerp_f32_fn(const float *const *src, const float *weight, size_t channels,
                             float *dst);

// Winograd F(4x4, 3x3), one tile. The interpolation points and matrices are in winograd.h.
// `plane` should not be near a multiple of 1024 floats: 36 streams whole pages apart share one set
// of the first-level cache.
// Input: 36 pixels of a 6x6 window, row by row, `channels` floats each -> dst[p*plane + c], p < 36.
typedef void rml_winograd_input_f32_fn(const float *const *src, size_t channels, float *dst,
                                       size_t plane);
// Output: src[p*plane + c], p < 36 -> 16 pixels of a 4x4 window; dst[q] NULL is left out;
//   dst[q][c] = clamp(value + bias[c] + residual[q][c], low, high). bias and residual may be NULL,
//   residual[q] is not read where dst[q] is NULL, residual[q] may equal dst[q].
typedef void rml_winograd_output_f32_fn(const float *src, size_t plane, size_t channels,
                                        const float *bias, float *const *dst,
                                        const float *const *residual, float low, float high);

// The same over the fourth roots of unity, winograd_complex.h, for operands of bf16: p < 46.
typedef void rml_winograd_input_bf16_fn(const float *const *src, size_t channels, uint16_t *dst,
                                        size_t plane);

// `count` elements as another type, as rml_dtype_convert defines it but for the payload of NaN.
typedef void rml_convert_fn(rml_dtype from, const void *src, rml_dtype to, void *dst, size_t count);

// Elementwise on contiguous runs, see functions.inc. dst may equal src (a or b) exactly.
typedef void rml_unary_f32_fn(const float *src, float *dst, size_t count, const float *param);
typedef void rml_binary_f32_fn(const float *a, const float *b, float *dst, size_t count);
// b is one number: dst[i] = a[i] op b, or with `swap` b op a[i].
typedef void rml_binary_scalar_f32_fn(const float *a, float b, float *dst, size_t count, bool swap);

// All functions that operators know; kernels are those in front of RML_UNARY_KERNELS.
typedef enum rml_unary {
#define UNARY(upper, lower, types, onnx) RML_UNARY_##upper,
#include "kernels/functions.inc"
#undef UNARY
    RML_UNARY_COUNT,
    RML_UNARY_KERNELS = RML_UNARY_ATAN + 1
} rml_unary;

typedef enum rml_binary {
#define BINARY(upper, lower, types, onnx) RML_BINARY_##upper,
#include "kernels/functions.inc"
#undef BINARY
    RML_BINARY_COUNT,
    RML_BINARY_KERNELS = RML_BINARY_MIN + 1
} rml_binary;

// Elementwise on contiguous runs of another type than f32: a function and a type for which there is
// a loop, or false, and nothing is done. Bools are bytes 0 and 1; comparisons, IS_NAN and IS_INF,
// of f32 too, give them. Of f32 there are SIN, COS, FMOD and MOD besides. Whole numbers wrap;
// quotients are cut towards zero, and by zero they are zero. dst may equal an operand of elements
// of the same size exactly.
typedef bool rml_typed_binary_fn(rml_binary op, rml_dtype dtype, const void *a, const void *b,
                                 void *dst, size_t count);
typedef bool rml_typed_unary_fn(rml_unary op, rml_dtype dtype, const void *src, void *dst,
                                size_t count, const float *param);

// dst[j] = src[k * step + j * along], of elements of 1, 2, 4 or 8 bytes; k is index[j], of i32 with
// `narrow` and else of i64, plus `size` where it is negative, and then the nearest from 0 to
// size - 1.
typedef void rml_pick_fn(size_t bytes, const void *src, const void *index, bool narrow,
                         int64_t size, int64_t step, int64_t along, void *dst, size_t count);

// dst[i] = condition[i] ? a[i] : b[i], of elements of 1, 2, 4 or 8 bytes.
typedef void rml_select_fn(size_t bytes, const uint8_t *condition, const void *a, const void *b,
                           void *dst, size_t count);

// `count` running sums, or products, side by side, along rows `step` elements apart (below 0: each
// in front of the one before):
//   dst[r*step + i] = sum[i] + src[r*step + i], or with `exclusive` sum[i] alone
//   sum[i] += src[r*step + i]     for r from 0 to rows - 1
// The sums are doubles of floats, and uint64_t of whole numbers, of 32 and 64 bits. False: there is
// none for the type. dst may equal src.
typedef bool rml_running_fn(rml_dtype dtype, const void *src, int64_t step, size_t rows, void *dst,
                            void *sum, size_t count, bool product, bool exclusive);

// A step of a search along `count` lines side by side: where src[i] is above best[i], or below it,
// and with `last` where it is equal too, best[i] becomes it and where[i] `index`. NaN is above all
// numbers. False: there is none for the type.
typedef bool rml_search_lines_fn(rml_dtype dtype, const void *src, void *best, uint32_t *where,
                                 uint32_t index, size_t count, bool smallest, bool last);
// The same in one row of elements side by side, count >= 1.
typedef bool rml_search_row_fn(rml_dtype dtype, const void *src, size_t count, bool smallest,
                               bool last, int64_t *where);

// sum[i] += factor * row[i], of whole numbers of 32 and 64 bits, which wrap. False: there is none
// for the type.
typedef bool rml_add_scaled_fn(rml_dtype dtype, const void *factor, const void *row, void *sum,
                               size_t count);

// Floats to whole numbers of 8 or 16 bits: src[i] / scale, between low - zero and high - zero (NaN
// is the lower end), rounded to nearest even, plus zero; the type's ends are low and high.
typedef void rml_quantize_f32_fn(const float *src, float scale, float zero, float low, float high,
                                 rml_dtype dtype, void *dst, size_t count);

// Softmax of one contiguous row, with the maximum subtracted, or its logarithm. dst may equal src.
typedef void rml_softmax_f32_fn(const float *src, float *dst, size_t count, bool logarithm);

// One block of a row whose softmax is taken block after block, with numbers not yet divided by
// their sum:
//   x[i] = src[i] * scale + mask[i]     mask may be NULL
//   t = max(*top, x[0], .., x[count - 1])
//   dst[i] = exp(x[i] - t)   *sum = *sum * f + sum of dst   *top = t
// and returns f = exp(*top - t), by which what was gathered from the blocks before is to be
// multiplied. A row starts with *top = -INFINITY and *sum = 0. Where t is -INFINITY, dst and *sum
// are 0 and f is 1. A NaN in x makes *sum NaN. dst may equal src.
typedef float rml_softmax_step_f32_fn(const float *src, float scale, const float *mask, float *dst,
                                      size_t count, float *top, float *sum);

// Mean of each of `lanes` columns and the sum of squares of what its elements differ from it:
//   mean[c] = sum over r of src[r*step + c] / rows
//   spread[c] = sum over r of (src[r*step + c] - mean[c])^2     r < rows, c < lanes
// Both sums run in rising r. rows >= 1.
typedef void rml_moments_f32_fn(const float *src, size_t step, size_t rows, size_t lanes,
                                float *mean, float *spread);

// Rows joined one after another, in rising order: dst[c] = src[c] op src[step + c] op ..., for
// c < lanes and `rows` >= 1 rows. `op` is ADD, MUL, MAX or MIN.
typedef void rml_fold_f32_fn(rml_binary op, const float *src, size_t step, size_t rows,
                             size_t lanes, float *dst);

// Each row joined to one: dst[r] = src[r*step] op src[r*step + 1] op ..., for r < rows and `count`
// >= 1 elements of a row, in an order that depends on `count` only.
typedef void rml_fold_rows_f32_fn(rml_binary op, const float *src, size_t step, size_t rows,
                                  size_t count, float *dst);

// dst[i] = src[i] * scale[i] + shift[i], rounded once or twice. dst may equal src.
typedef void rml_affine_f32_fn(const float *src, const float *scale, const float *shift, float *dst,
                               size_t count);

// L2 normalisation of one pixel: dst[c] = src[c] / (sqrt(sum of src[c]^2) + eps) * scale[c]; eps
// outside the root. scale may be NULL. dst may equal src.
typedef void rml_l2norm_f32_fn(const float *src, const float *scale, float eps, size_t channels,
                               float *dst);

// Layer normalisation of one row:
//   dst[i] = (src[i] - mean) / sqrt(variance + eps) * gamma[i] + beta[i]
// with the mean of the row and the mean of (src[i] - mean)^2, found in two passes; with `rms` the
// mean is taken as 0. The factor 1 / sqrt is rounded on its own. gamma and beta may be NULL. dst
// may equal src.
typedef void rml_layer_norm_f32_fn(const float *src, const float *gamma, const float *beta,
                                   float eps, bool rms, size_t count, float *dst);

// dst[c*dst_pitch + r] = src[r*src_pitch + c], r < rows, c < cols. Exact. (NCHW <-> NHWC)
typedef void rml_transpose_f32_fn(const float *src, size_t src_pitch, float *dst, size_t dst_pitch,
                                  size_t rows, size_t cols);

// The same of elements of `bytes` 1, 2, 4 or 8. The steps from a row to the next are in bytes, and
// may be below 0.
typedef void rml_turn_fn(size_t bytes, const void *src, int64_t src_step, void *dst,
                         int64_t dst_step, size_t rows, size_t cols);

// One step of an LSTM for some sequences (rows) and one block of hidden units:
//
//   q[u] = x[r][q*gate + u] + sum over k < depth of h[r][k] * weight[(k*4 + q)*lstm_units + u]
//   c[r][u] = sigmoid(forget[u]) * c[r][u] + sigmoid(input[u]) * tanh(cell[u])
//   out[r][u] = sigmoid(output[u]) * tanh(c[r][u])          u < units, r < rows
//
// with the gates q = 0..3: input, forget, cell, output. The sum starts with x and runs over k in
// rising order. sigmoid and tanh err by at most 2.5 ULP. `h` does not overlap `out`. A single row
// may come with two blocks of units, whose weights follow each other.
typedef struct rml_lstm_tile {
    const float *weight;              // [blocks][depth][4][lstm_units], zeros behind `units`
    size_t depth;                     // all hidden units
    size_t rows, units;               // 1..lstm_rows; 1..lstm_units, or twice as many for one row
    size_t gate;                      // floats from a gate to the next in x
    const float *const *x, *const *h; // [rows]
    float *const *c, *const *out;     // [rows]
} rml_lstm_tile;

typedef void rml_lstm_f32_fn(const rml_lstm_tile *tile);

// ---- which implementation -----------------------------------------------------------------------

// Implementations of kernels that are compiled for the same features, RML_ISA_... of cpu.h; each
// includes those in front of it on its architecture.
typedef enum rml_kernel_set {
    RML_SET_PORTABLE,
    RML_SET_NEON,
    RML_SET_AVX2,
    RML_SET_AVX512,
    RML_SET_AVX512BF16_SLOW, // see RML_CPU_FEATURE_SLOW_AVX512_BF16
    RML_SET_AVX512BF16,
    RML_SET_AMXBF16,
    RML_SETS
} rml_kernel_set;

// What a session computes with. Passed by pointer: a test may hold two at once.
typedef struct rml_kernels {
    uint32_t features; // that were allowed
    rml_cpu_level level;
    rml_kernel_set set;
    bool in_order; // algorithms that sum in another order than the definition are left out
} rml_kernels;

// Chooses the best kernels that `features` suffice for, of which all must be here: see
// rml_cpu_features. 0: portable C.
void rml_kernels_init(rml_kernels *kernels, uint32_t features);

// The implementation of the kernel `place`: RML_KERNEL(kernels, pool_max)(...), or of functions
// RML_KERNEL(kernels, unary[kind])(...). There is one table for each, and none of all, so that a
// static program holds the kernels that its operators name, and no others.
#define RML_KERNEL(kernels, place) (rml_kernel_##place[(kernels)->set])

#define KERNEL(type, place, ...) extern type *const rml_kernel_##place[];
#define UNARY_KERNEL(kind, ...) extern rml_unary_f32_fn *const rml_kernel_unary_##kind[];
#define BINARY_KERNEL(kind, ...) extern rml_binary_f32_fn *const rml_kernel_binary_##kind[];
#define SCALAR_KERNEL(kind, ...)                                                                   \
    extern rml_binary_scalar_f32_fn *const rml_kernel_binary_scalar_##kind[];
#include "kernels/kernels.inc"

// The tables of all functions. Who knows the function names its own: unary_CLAMP.
extern rml_unary_f32_fn *const *const rml_kernel_unary[RML_UNARY_KERNELS];
extern rml_binary_f32_fn *const *const rml_kernel_binary[RML_BINARY_KERNELS];
extern rml_binary_scalar_f32_fn *const *const rml_kernel_binary_scalar[RML_BINARY_KERNELS];

// Where there are no products of bf16, these are NULL, and so is gemm_bf16.run.
extern rml_to_bf16_fn *const rml_kernel_to_bf16[];
extern rml_winograd_input_bf16_fn *const rml_kernel_winograd_complex_input[];
extern rml_winograd_output_f32_fn *const rml_kernel_winograd_complex_output[];

extern const rml_gemm rml_kernel_gemm_f32[], rml_kernel_gemm_bf16[];
extern const rml_gemm_f64 rml_kernel_gemm_f64[];
extern const size_t rml_kernel_conv_lanes[]; // outputs of conv_direct's blocks at most
extern const size_t rml_kernel_lstm_rows[], rml_kernel_lstm_units[]; // a full tile

#endif
