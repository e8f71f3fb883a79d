// Convolution by Winograd: F(4x4, 3x3) with 36 multiplications for 16 outputs instead of 144, and
// with products of bf16, whose rounding those would amplify too much, 46 for 16.
//
// A work item takes a block of output tiles through all three steps (input transform, products,
// output transform), so that what lies between them stays in the second-level cache.
#include "ops/conv.h"

#include "kernels/pack.h"
#include "kernels/roots.h"
#include "ops/pairs.h"
#include "tensor/size.h"

#include <math.h>
#include <string.h>

#define SCRATCH_BYTES ((size_t)1280 * 1024) // what a block may take of the second-level cache
// Planes a multiple of 4096 bytes apart would all fall into one set of the first-level cache.
#define PLANE_GAP 16  // floats
#define MAX_BLOCK 192 // tiles
// In bf16, of inputs and of outputs. FFDNet, whose images are cut into tiles, has fewer in its
// usual widths: tiles and whole images must go the same way.
#define BF16_CHANNELS 128
// In bf16, images up to this size stay f32: that takes little longer, is faster than direct sums of
// bf16, and the layers in the middle of a network are those whose rounding all others carry on.
#define F32_PIXELS 4096

#define TILE RML_WINOGRAD_TILE
#define OUT RML_WINOGRAD_OUT

bool rml_conv_winograd_accepts(const rml_op_args *args)
{
    const rml_conv_attr *conv = &args->attr->conv;
    const rml_tensor *in = &args->in[0], *out = &args->out[0];
    if (conv->kernel[0] != 3 || conv->kernel[1] != 3 || conv->stride[0] != 1 ||
        conv->stride[1] != 1 || conv->dilation[0] != 1 || conv->dilation[1] != 1 ||
        conv->groups != 1 || conv->act.kind != RML_UNARY_CLAMP)
        return false;
    if (rml_wants_bf16(args) && (in->dim[1] < BF16_CHANNELS || out->dim[1] < BF16_CHANNELS))
        return false;
    // Few channels: the transforms outweigh the products. Small images: the weights, four times as
    // many as before, are read for too few tiles, and would not fit the memory promise.
    return in->dim[1] >= 16 && out->dim[1] >= 16 && out->dim[2] >= 16 && out->dim[3] >= 16;
}

bool rml_conv_winograd_bf16_accepts(const rml_op_args *args)
{
    const rml_tensor *out = &args->out[0];
    return rml_wants_bf16(args) && rml_conv_winograd_accepts(args) &&
           out->dim[2] * out->dim[3] > F32_PIXELS;
}

typedef struct wino_shape {
    size_t c, o, tile_rows, tile_cols, tiles, block;
    bool pairs;    // of bf16
    size_t depth;  // floats, or pairs, of a transformed pixel
    size_t planes; // products of a tile
} wino_shape;

// Whether of pairs is known of the algorithm, not of the shape: a band of an image is less high.
static wino_shape shape_of(const rml_op_args *args, bool pairs)
{
    const rml_tensor *out = &args->out[0];
    wino_shape s = {.c = (size_t)args->in[0].dim[1], .o = (size_t)out->dim[1]};
    s.pairs = pairs;
    s.depth = pairs ? rml_pairs(s.c) : s.c;
    s.planes = pairs ? RML_ROOTS_PLANES : RML_WINOGRAD_PLANES;
    s.tile_rows = ((size_t)out->dim[2] + OUT - 1) / OUT;
    s.tile_cols = ((size_t)out->dim[3] + OUT - 1) / OUT;
    s.tiles = (size_t)out->dim[0] * s.tile_rows * s.tile_cols;
    const size_t share = (s.tiles + (size_t)args->threads - 1) / (size_t)args->threads;
    size_t block = SCRATCH_BYTES / (s.planes * (s.depth + s.o) * sizeof(float));
    block = rml_min_size(block, MAX_BLOCK);
    block = rml_min_size(block, share);
    s.block = rml_round_up(block ? block : 1, args->kernels->mr);
    return s;
}

static size_t packed_count(const rml_op_args *args, bool pairs)
{
    const wino_shape s = shape_of(args, pairs);
    return s.planes * rml_pack_count(args->kernels, 1, s.depth, s.o);
}

typedef struct pack_job {
    const rml_op_args *args;
    const rml_constant *weight;
    float *packed, *temp; // temp: [nr][c][9] weights and [planes][nr][c], a worker
    wino_shape shape;
} pack_job;

static size_t pack_temp_count(const rml_op_args *args, const wino_shape *s)
{
    return args->kernels->nr * s->c * (9 + s->planes);
}

static void pack_panels(void *context, size_t begin, size_t end, int worker)
{
    const pack_job *job = context;
    const rml_kernels *kernels = job->args->kernels;
    const size_t c = job->shape.c, depth = job->shape.depth;
    const size_t plane_count = rml_pack_count(kernels, 1, depth, job->shape.o);
    float *rows = job->temp + (size_t)worker * pack_temp_count(job->args, &job->shape);
    float *planes = rows + kernels->nr * c * 9;
    for (size_t panel = begin; panel < end; panel++) {
        const size_t column = panel * kernels->nr;
        const size_t count = rml_min_size(kernels->nr, job->shape.o - column);
        rml_constant_read(job->weight, 0, (int64_t)column, (int64_t)count, rows);
        for (size_t i = 0; i < count * c; i++) {
            float u[RML_ROOTS_PLANES];
            if (job->shape.pairs)
                rml_roots_weight(rows + i * 9, u);
            else
                rml_winograd_weight(rows + i * 9, u);
            for (size_t p = 0; p < job->shape.planes; p++)
                planes[p * count * c + i] = u[p];
        }
        for (size_t p = 0; p < job->shape.planes; p++) {
            float *panel_at = job->packed + p * plane_count + column * depth;
            const float *plane = planes + p * count * c;
            if (job->shape.pairs)
                rml_pairs_pack_panel(kernels, panel_at, plane, 1, c, count, 0, 1, c);
            else
                rml_pack_panel(kernels, panel_at, plane, 1, c, count, 0, 1, c);
        }
    }
}

static rml_status pack(const rml_op_args *args, const rml_constant *weight, float *packed,
                       const rml_allocator *allocator, bool pairs, rml_error *err)
{
    pack_job job = {
        .args = args, .weight = weight, .packed = packed, .shape = shape_of(args, pairs)};
    const size_t bytes = (size_t)args->threads * pack_temp_count(args, &job.shape) * sizeof(float);
    job.temp = rml_alloc(allocator, bytes);
    if (!job.temp)
        return rml_fail_nomem(err, bytes, "packing weights");
    const size_t panels = (job.shape.o + args->kernels->nr - 1) / args->kernels->nr;
    rml_pool_run(args->pool, panels, 1, pack_panels, &job);
    rml_free(allocator, job.temp);
    return RML_OK;
}

// Floats between two planes of the transformed input, and of the products.
static size_t plane_v(const wino_shape *s)
{
    return s->block * s->depth + PLANE_GAP;
}

static size_t plane_m(const wino_shape *s)
{
    return s->block * s->o + PLANE_GAP;
}

static size_t zeros_bytes(const wino_shape *s)
{
    return rml_round_up(s->c * sizeof(float), RML_ALIGNMENT);
}

static size_t worker_bytes(const wino_shape *s)
{
    return rml_round_up(s->planes * plane_v(s) * sizeof(float), RML_ALIGNMENT) +
           rml_round_up(s->planes * plane_m(s) * sizeof(float), RML_ALIGNMENT);
}

static size_t scratch_bytes(const rml_op_args *args, bool pairs)
{
    const wino_shape s = shape_of(args, pairs);
    return zeros_bytes(&s) + (size_t)args->threads * worker_bytes(&s);
}

typedef struct tile_at {
    int64_t image, y, x; // of the first output pixel
} tile_at;

static tile_at locate(const wino_shape *s, size_t tile)
{
    const size_t rest = tile % (s->tile_rows * s->tile_cols);
    return (tile_at){(int64_t)(tile / (s->tile_rows * s->tile_cols)),
                     (int64_t)(rest / s->tile_cols * OUT), (int64_t)(rest % s->tile_cols * OUT)};
}

static void transform_input(const rml_op_args *args, const wino_shape *s, tile_at at, float *dst)
{
    const rml_tensor *in = &args->in[0];
    const float *src[TILE * TILE], *zeros = (const float *)args->scratch;
    const float *image = in->data + at.image * in->stride[0];
    for (int j = 0; j < TILE; j++) {
        const int64_t y = at.y + j - args->attr->conv.pad[0];
        for (int i = 0; i < TILE; i++) {
            const int64_t x = at.x + i - args->attr->conv.pad[1];
            const bool inside = y >= 0 && y < in->dim[2] && x >= 0 && x < in->dim[3];
            src[j * TILE + i] = inside ? image + y * in->stride[2] + x * in->stride[3] : zeros;
        }
    }
    const rml_kernels *kernels = args->kernels;
    (s->pairs ? kernels->roots_input_bf16 : kernels->winograd_input)(src, s->c, dst, plane_v(s));
}

static void transform_output(const rml_op_args *args, const wino_shape *s, tile_at at,
                             const float *src)
{
    const rml_tensor *out = &args->out[0], *residual = rml_conv_residual(args);
    const rml_activation *act = &args->attr->conv.act;
    float *dst[OUT * OUT];
    const float *add[OUT * OUT];
    for (int j = 0; j < OUT; j++)
        for (int i = 0; i < OUT; i++) {
            const int q = j * OUT + i;
            const int64_t y = at.y + j, x = at.x + i;
            const bool inside = y < out->dim[2] && x < out->dim[3];
            dst[q] = inside ? out->data + at.image * out->stride[0] + y * out->stride[2] +
                                  x * out->stride[3]
                            : NULL;
            if (residual)
                add[q] = inside ? residual->data + at.image * residual->stride[0] +
                                      y * residual->stride[2] + x * residual->stride[3]
                                : NULL;
        }
    const rml_kernels *kernels = args->kernels;
    (s->pairs ? kernels->roots_output_bf16
              : kernels->winograd_output)(src, plane_m(s), s->o, rml_conv_bias(args), dst,
                                          residual ? add : NULL, act->param[0], act->param[1]);
}

// The products of all planes of `count` tiles: m[p] = v[p] * u[p].
static void multiply(const rml_op_args *args, const wino_shape *s, size_t count, const float *v,
                     float *m)
{
    const rml_kernels *kernels = args->kernels;
    const size_t plane_count = rml_pack_count(kernels, 1, s->depth, s->o);
    rml_gemm_f32_fn *gemm = s->pairs ? kernels->gemm_bf16 : kernels->gemm;
    const float *a[RML_GEMM_MAX_MR];
    float *c[RML_GEMM_MAX_MR];
    for (size_t p = 0; p < s->planes; p++)
        for (size_t column = 0; column < s->o; column += kernels->nr) {
            rml_gemm_tile product = {.a = a,
                                     .taps = 1,
                                     .depth = s->depth,
                                     .b = args->packed + p * plane_count + column * s->depth,
                                     .cols = rml_min_size(kernels->nr, s->o - column),
                                     .c = c,
                                     .low = -INFINITY,
                                     .high = INFINITY};
            for (size_t t = 0; t < count; t += kernels->mr) {
                product.rows = rml_min_size(kernels->mr, count - t);
                for (size_t i = 0; i < product.rows; i++) {
                    a[i] = v + p * plane_v(s) + (t + i) * s->depth;
                    c[i] = m + p * plane_m(s) + (t + i) * s->o + column;
                }
                gemm(&product);
            }
        }
}

typedef struct run_job {
    const rml_op_args *args;
    wino_shape shape;
} run_job;

static void run_blocks(void *context, size_t begin, size_t end, int worker)
{
    const run_job *job = context;
    const rml_op_args *args = job->args;
    const wino_shape *s = &job->shape;
    float *v = (float *)(args->scratch + zeros_bytes(s) + (size_t)worker * worker_bytes(s));
    float *m =
        (float *)((char *)v + rml_round_up(s->planes * plane_v(s) * sizeof(float), RML_ALIGNMENT));
    for (size_t block = begin; block < end; block++) {
        const size_t first = block * s->block;
        const size_t count = rml_min_size(s->block, s->tiles - first);
        for (size_t t = 0; t < count; t++)
            transform_input(args, s, locate(s, first + t), v + t * s->depth);
        multiply(args, s, count, v, m);
        for (size_t t = 0; t < count; t++)
            transform_output(args, s, locate(s, first + t), m + t * s->o);
    }
}

static void run(const rml_op_args *args, bool pairs)
{
    run_job job = {args, shape_of(args, pairs)};
    memset(args->scratch, 0, zeros_bytes(&job.shape));
    rml_pool_run(args->pool, (job.shape.tiles + job.shape.block - 1) / job.shape.block, 1,
                 run_blocks, &job);
}

size_t rml_conv_winograd_packed_count(const rml_op_args *args)
{
    return packed_count(args, false);
}

rml_status rml_conv_winograd_pack(const rml_op_args *args, const rml_constant *weight,
                                  float *packed, const rml_allocator *allocator, rml_error *err)
{
    return pack(args, weight, packed, allocator, false, err);
}

size_t rml_conv_winograd_scratch_bytes(const rml_op_args *args)
{
    return scratch_bytes(args, false);
}

void rml_conv_winograd_run(const rml_op_args *args)
{
    run(args, false);
}

size_t rml_conv_winograd_bf16_packed_count(const rml_op_args *args)
{
    return packed_count(args, true);
}

rml_status rml_conv_winograd_bf16_pack(const rml_op_args *args, const rml_constant *weight,
                                       float *packed, const rml_allocator *allocator,
                                       rml_error *err)
{
    return pack(args, weight, packed, allocator, true, err);
}

size_t rml_conv_winograd_bf16_scratch_bytes(const rml_op_args *args)
{
    return scratch_bytes(args, true);
}

void rml_conv_winograd_bf16_run(const rml_op_args *args)
{
    run(args, true);
}
