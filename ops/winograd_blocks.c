// A block of output tiles goes through all three steps of Winograd (input transform, products,
// output transform), so that what lies between them stays in the second-level cache. The products
// and the last step take a group of columns at a time: then it need not hold those of all columns.
//
// The pixels come from memory and go there. They are fetched while the products, which read little,
// keep the multipliers busy; the transforms would else wait for most of their time, for they touch
// a few bytes each of 36 pixels, which no prefetcher of the hardware follows.
#include "ops/conv_winograd.h"

#include "kernels/pack.h"
#include "kernels/winograd.h"
#include "tensor/prefetch.h"
#include "tensor/size.h"

#include <math.h>
#include <string.h>

// Planes a multiple of 4096 bytes apart would all fall into one set of the first-level cache.
#define PLANE_GAP 16 // floats
// A worker can only fetch ahead for blocks it is sure to get: it takes several at once, but so few
// that all workers end at about the same time.
#define CHUNKS_A_WORKER 16

#define TILE RML_WINOGRAD_TILE
#define OUT RML_WINOGRAD_OUT

// Floats between two planes of the transformed input, and of the products.
static size_t plane_v(const rml_winograd_shape *s)
{
    return s->block * s->depth + PLANE_GAP;
}

static size_t plane_m(const rml_winograd_shape *s)
{
    return s->block * s->group + PLANE_GAP;
}

static size_t zeros_bytes(const rml_winograd_shape *s)
{
    return rml_round_up(s->c * sizeof(float), RML_ALIGNMENT);
}

static size_t v_bytes(const rml_winograd_shape *s)
{
    return rml_round_up(s->planes * plane_v(s) * sizeof(float), RML_ALIGNMENT);
}

static size_t worker_bytes(const rml_winograd_shape *s)
{
    return v_bytes(s) + rml_round_up(s->planes * plane_m(s) * sizeof(float), RML_ALIGNMENT);
}

size_t rml_winograd_blocks_scratch_bytes(const rml_op_args *args, const rml_winograd_shape *s)
{
    return zeros_bytes(s) + (size_t)args->threads * worker_bytes(s);
}

typedef struct tile_at {
    int64_t image, y, x; // of the first output pixel
} tile_at;

static tile_at locate(const rml_winograd_shape *s, size_t tile)
{
    const size_t rest = tile % (s->tile_rows * s->tile_cols);
    return (tile_at){(int64_t)(tile / (s->tile_rows * s->tile_cols)),
                     (int64_t)(rest / s->tile_cols * OUT), (int64_t)(rest % s->tile_cols * OUT)};
}

// Pixel i of the tile of `side` by `side` pixels whose first one is `at`; NULL outside the image.
static float *pixel(const rml_tensor *image, tile_at at, size_t side, size_t i)
{
    const int64_t y = at.y + (int64_t)(i / side), x = at.x + (int64_t)(i % side);
    if (y < 0 || y >= image->dim[2] || x < 0 || x >= image->dim[3])
        return NULL;
    return image->data + at.image * image->stride[0] + y * image->stride[2] + x * image->stride[3];
}

static tile_at input_tile(const rml_op_args *args, const rml_winograd_shape *s, size_t tile)
{
    tile_at at = locate(s, tile);
    at.y -= args->attr->conv.pad[0];
    at.x -= args->attr->conv.pad[1];
    return at;
}

static void transform_input(const rml_op_args *args, const rml_winograd_shape *s, size_t tile,
                            float *v)
{
    const tile_at at = input_tile(args, s, tile);
    const float *src[TILE * TILE], *zeros = (const float *)args->scratch;
    for (size_t i = 0; i < TILE * TILE; i++) {
        src[i] = pixel(&args->in[0], at, TILE, i);
        if (!src[i])
            src[i] = zeros;
    }
    const rml_kernels *kernels = args->kernels;
    (s->pairs ? kernels->roots_input_bf16 : kernels->winograd_input)(src, s->c, v, plane_v(s));
}

// Tiles, and a group of columns of them.
typedef struct part {
    size_t first, count;
    size_t column, columns;
    size_t next; // so many tiles behind them are fetched
} part;

static void transform_output(const rml_op_args *args, const rml_winograd_shape *s, const part *of,
                             size_t tile, const float *m)
{
    const rml_tensor *residual = rml_conv_residual(args);
    const rml_activation *act = &args->attr->conv.act;
    const float *bias = rml_conv_bias(args);
    const tile_at at = locate(s, of->first + tile);
    float *dst[OUT * OUT];
    const float *add[OUT * OUT];
    for (size_t i = 0; i < OUT * OUT; i++) {
        dst[i] = pixel(&args->out[0], at, OUT, i);
        add[i] = NULL;
        if (!dst[i])
            continue;
        dst[i] += of->column;
        if (residual)
            add[i] = pixel(residual, at, OUT, i) + of->column;
    }
    const rml_kernels *kernels = args->kernels;
    (s->pairs ? kernels->roots_output_bf16 : kernels->winograd_output)(
        m + tile * of->columns, plane_m(s), of->columns, bias ? bias + of->column : NULL, dst,
        residual ? add : NULL, act->param[0], act->param[1]);
}

// Step `step` of `steps`: that share of the pixels which the output transform of this part writes
// and the input transform of the next block reads.
static void fetch(const rml_op_args *args, const rml_winograd_shape *s, const part *of, size_t step,
                  size_t steps)
{
    const rml_tensor *residual = rml_conv_residual(args);
    size_t all = of->count * OUT * OUT;
    for (size_t i = all * step / steps; i < all * (step + 1) / steps; i++) {
        const tile_at at = locate(s, of->first + i / (OUT * OUT));
        const float *dst = pixel(&args->out[0], at, OUT, i % (OUT * OUT));
        if (!dst)
            continue;
        rml_prefetch(dst + of->column, of->columns * sizeof(float));
        if (residual)
            rml_prefetch(pixel(residual, at, OUT, i % (OUT * OUT)) + of->column,
                         of->columns * sizeof(float));
    }
    all = of->next * TILE * TILE;
    for (size_t i = all * step / steps; i < all * (step + 1) / steps; i++) {
        const tile_at at = input_tile(args, s, of->first + of->count + i / (TILE * TILE));
        const float *src = pixel(&args->in[0], at, TILE, i % (TILE * TILE));
        if (src)
            rml_prefetch(src, s->c * sizeof(float));
    }
}

// The products of all planes: m[p] = v[p] * u[p].
static void multiply(const rml_op_args *args, const rml_winograd_shape *s, const part *of,
                     const float *v, float *m)
{
    const rml_kernels *kernels = args->kernels;
    const size_t plane_count = rml_pack_count(kernels, 1, s->depth, s->o);
    rml_gemm_f32_fn *gemm = s->pairs ? kernels->gemm_bf16 : kernels->gemm;
    const size_t steps = s->planes * ((of->columns + kernels->nr - 1) / kernels->nr);
    size_t step = 0;
    const float *a[RML_GEMM_MAX_MR];
    float *c[RML_GEMM_MAX_MR];
    for (size_t p = 0; p < s->planes; p++)
        for (size_t column = 0; column < of->columns; column += kernels->nr) {
            const float *u = args->packed + p * plane_count + (of->column + column) * s->depth;
            rml_gemm_tile product = {.a = a,
                                     .taps = 1,
                                     .depth = s->depth,
                                     .b = u,
                                     .cols = rml_min_size(kernels->nr, of->columns - column),
                                     .c = c,
                                     .low = -INFINITY,
                                     .high = INFINITY};
            fetch(args, s, of, step++, steps);
            for (size_t t = 0; t < of->count; t += kernels->mr) {
                product.rows = rml_min_size(kernels->mr, of->count - t);
                for (size_t i = 0; i < product.rows; i++) {
                    a[i] = v + p * plane_v(s) + (t + i) * s->depth;
                    c[i] = m + p * plane_m(s) + (t + i) * of->columns + column;
                }
                gemm(&product);
            }
        }
}

typedef struct run_job {
    const rml_op_args *args;
    const rml_winograd_shape *shape;
} run_job;

static void run_blocks(void *context, size_t begin, size_t end, int worker)
{
    const run_job *job = context;
    const rml_op_args *args = job->args;
    const rml_winograd_shape *s = job->shape;
    char *scratch = args->scratch + zeros_bytes(s) + (size_t)worker * worker_bytes(s);
    float *v = (float *)scratch, *m = (float *)(scratch + v_bytes(s));
    const size_t last = rml_min_size(end * s->block, s->tiles);
    for (size_t first = begin * s->block; first < last; first += s->block) {
        part of = {.first = first, .count = rml_min_size(s->block, last - first)};
        for (size_t t = 0; t < of.count; t++)
            transform_input(args, s, first + t, v + t * s->depth);
        for (of.column = 0; of.column < s->o; of.column += s->group) {
            of.columns = rml_min_size(s->group, s->o - of.column);
            if (of.column + of.columns == s->o)
                of.next = rml_min_size(s->block, last - first - of.count);
            multiply(args, s, &of, v, m);
            for (size_t t = 0; t < of.count; t++)
                transform_output(args, s, &of, t, m);
        }
    }
}

void rml_winograd_blocks_run(const rml_op_args *args, const rml_winograd_shape *s)
{
    run_job job = {args, s};
    memset(args->scratch, 0, zeros_bytes(s));
    const size_t blocks = (s->tiles + s->block - 1) / s->block;
    const size_t chunk = blocks / (CHUNKS_A_WORKER * (size_t)args->threads);
    rml_pool_run(args->pool, blocks, chunk ? chunk : 1, run_blocks, &job);
}
