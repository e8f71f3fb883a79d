// A block of output tiles goes through all three steps of Winograd (input transform, products,
// output transform), so that what lies between them stays in the second-level cache. The products
// and the last step take a group of columns at a time: then it need not hold those of all columns.
//
// The pixels come from memory and go there. They are fetched while the products, which read little,
// keep the multipliers busy; the transforms would else wait for most of their time, for they touch
// a few bytes each of 36 pixels, which no prefetcher of the hardware follows.
#include "ops/conv/conv_winograd.h"

#include "kernels/pack.h"
#include "kernels/winograd_complex.h"
#include "tensor/prefetch.h"
#include "tensor/size.h"

#include <math.h>
#include <string.h>

// Planes a multiple of 4096 bytes apart would all fall into one set of the first-level cache.
#define PLANE_GAP 64  // bytes
#define FETCH_SHARE 4 // the last fourth of the products

#define TILE RML_WINOGRAD_TILE
#define OUT RML_WINOGRAD_OUT

// Elements between two planes of the transformed input, and floats between those of the products.
static size_t plane_v(const rml_winograd_shape *s)
{
    return rml_sat_add(rml_sat_mul(s->block, s->depth), PLANE_GAP / s->gemm->element_bytes);
}

static size_t plane_m(const rml_winograd_shape *s)
{
    return s->block * s->group + PLANE_GAP / sizeof(float);
}

static size_t zeros_bytes(const rml_winograd_shape *s)
{
    return rml_aligned_bytes(s->c, sizeof(float));
}

static size_t v_bytes(const rml_winograd_shape *s)
{
    return rml_aligned_bytes(plane_v(s), s->planes * s->gemm->element_bytes);
}

static size_t worker_bytes(const rml_winograd_shape *s)
{
    return rml_sat_add(v_bytes(s), rml_aligned_bytes(plane_m(s), s->planes * sizeof(float)));
}

size_t rml_winograd_blocks_scratch_bytes(const rml_op_args *args, const rml_winograd_shape *s)
{
    return rml_sat_add(zeros_bytes(s), rml_sat_mul((size_t)args->threads, worker_bytes(s)));
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

static void transform_input(const rml_op_args *args, const rml_winograd_shape *s, size_t tile,
                            void *v)
{
    tile_at at = locate(s, tile);
    at.y -= s->pad[0];
    at.x -= s->pad[1];
    const float *src[TILE * TILE], *zeros = (const float *)args->scratch;
    for (size_t i = 0; i < TILE * TILE; i++) {
        src[i] = pixel(&args->in[0], at, TILE, i);
        if (!src[i])
            src[i] = zeros;
    }
    const rml_kernels *kernels = args->kernels;
    if (s->bf16)
        RML_KERNEL(kernels, winograd_complex_input)(src, s->c, v, plane_v(s));
    else
        RML_KERNEL(kernels, winograd_input)(src, s->c, v, plane_v(s));
}

// Tiles, and a group of columns of them.
typedef struct part {
    size_t first, count;
    size_t column, columns;
    size_t next, next_count; // tiles to be fetched
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
    const bool clamp = act->kind == RML_UNARY_CLAMP;
    (s->bf16 ? RML_KERNEL(kernels, winograd_complex_output) : RML_KERNEL(kernels, winograd_output))(
        m + tile * of->columns, plane_m(s), of->columns, bias ? bias + of->column : NULL, dst,
        residual ? add : NULL, clamp ? act->param[0] : -INFINITY, clamp ? act->param[1] : INFINITY);
    for (size_t i = 0; i < OUT * OUT && !clamp; i++)
        if (dst[i])
            RML_KERNEL(kernels, unary[act->kind])(dst[i], dst[i], of->columns, act->param);
}

// What is fetched during the products of a part: of the pixels of `tiles` tiles of `side` by `side`
// some channels.
typedef struct ahead {
    const rml_tensor *image;
    size_t first, tiles, side;
    size_t channel, channels;
    int64_t back_y, back_x; // how far a tile begins before its outputs
} ahead;

// The pixels that the output transform of this part writes and adds, and those that the input
// transform of the next block reads. Returns how many of `list` there are.
static size_t aheads_of(const rml_op_args *args, const rml_winograd_shape *s, const part *of,
                        ahead list[3])
{
    size_t n = 0;
    list[n++] = (ahead){&args->out[0], of->first, of->count, OUT, of->column, of->columns, 0, 0};
    list[n] = list[0];
    list[n].image = rml_conv_residual(args);
    if (list[n].image)
        n++;
    list[n++] =
        (ahead){&args->in[0], of->next, of->next_count, TILE, 0, s->c, s->pad[0], s->pad[1]};
    return n;
}

// Called before each of the `steps` products. Fetches a share of the pixels during the last ones
// only: what is fetched earlier, the weights that flow through the cache have thrown out again.
static void fetch(const rml_winograd_shape *s, const ahead *of, size_t step, size_t steps)
{
    const size_t early = steps - steps / FETCH_SHARE;
    if (step < early)
        return;
    step -= early;
    steps -= early;
    const size_t area = of->side * of->side, all = of->tiles * area;
    const size_t end = all * (step + 1) / steps;
    for (size_t i = all * step / steps; i < end;) {
        tile_at at = locate(s, of->first + i / area);
        at.y -= of->back_y;
        at.x -= of->back_x;
        const size_t stop = rml_min_size(end, (i / area + 1) * area);
        for (; i < stop; i++) {
            const float *p = pixel(of->image, at, of->side, i % area);
            if (p)
                rml_prefetch(p + of->channel, of->channels * sizeof(float));
        }
    }
}

static bool is_zero(const rml_winograd_shape *s, size_t plane)
{
    return s->twice && rml_winograd_complex_is_zero_twice(plane);
}

// The products of all planes: m[p] = v[p] * u[p].
static void multiply(const rml_op_args *args, const rml_winograd_shape *s, const part *of,
                     const void *v, float *m)
{
    const rml_gemm *gemm = s->gemm;
    const size_t plane_count = rml_pack_count(gemm, 1, s->c, s->o);
    size_t steps = 0, step = 0;
    for (size_t p = 0; p < s->planes; p++)
        steps += is_zero(s, p) ? 0 : rml_pack_panels(gemm, of->columns);
    ahead list[3];
    const size_t aheads = aheads_of(args, s, of, list);
    const void *a[RML_GEMM_MAX_MR];
    float *c[RML_GEMM_MAX_MR];
    rml_gemm_begin(gemm);
    for (size_t p = 0; p < s->planes; p++) {
        if (is_zero(s, p)) {
            memset(m + p * plane_m(s), 0, of->count * of->columns * sizeof(float));
            continue;
        }
        for (size_t column = 0; column < of->columns; column += gemm->nr) {
            const void *u =
                rml_pack_at(gemm, args->packed, p * plane_count + (of->column + column) * s->depth);
            rml_gemm_tile product = {.a = a,
                                     .taps = 1,
                                     .depth = s->depth,
                                     .b = u,
                                     .cols = rml_min_size(gemm->nr, of->columns - column),
                                     .c = c,
                                     .low = -INFINITY,
                                     .high = INFINITY};
            for (size_t i = 0; i < aheads; i++)
                fetch(s, &list[i], step, steps);
            step++;
            for (size_t t = 0; t < of->count; t += gemm->mr) {
                product.rows = rml_min_size(gemm->mr, of->count - t);
                for (size_t i = 0; i < product.rows; i++) {
                    a[i] = rml_pack_at(gemm, v, p * plane_v(s) + (t + i) * s->depth);
                    c[i] = m + p * plane_m(s) + (t + i) * of->columns + column;
                }
                gemm->run(&product);
            }
        }
    }
    rml_gemm_end(gemm);
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
    void *v = scratch;
    float *m = (float *)(scratch + v_bytes(s));
    if (s->depth > s->c)
        memset(v, 0, v_bytes(s)); // behind the channels, where nothing else is written
    for (size_t block = begin; block < end; block++) {
        part of = {.first = block * s->block};
        of.count = rml_min_size(s->block, s->tiles - of.first);
        // The other workers take the blocks between, if they are as fast.
        of.next = rml_min_size(of.first + (size_t)args->threads * s->block, s->tiles);
        for (size_t t = 0; t < of.count; t++)
            transform_input(args, s, of.first + t, rml_pack_at(s->gemm, v, t * s->depth));
        for (of.column = 0; of.column < s->o; of.column += s->group) {
            of.columns = rml_min_size(s->group, s->o - of.column);
            if (of.column + of.columns == s->o)
                of.next_count = rml_min_size(s->block, s->tiles - of.next);
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
    rml_pool_run(args->pool, (s->tiles + s->block - 1) / s->block, 1, run_blocks, &job);
}
