#include "ops/conv/igemm.h"

#include "kernels/pack.h"
#include "tensor/size.h"

#include <assert.h>
#include <math.h>
#include <stdint.h>
#include <string.h>

// Output pixels of one work item, in gemm tiles: enough to keep a weight panel hot in the
// second-level cache, few enough to share small images between threads.
#define BLOCK_TILES 8
// Weights that stay in the second-level cache while all of a block's pixels meet them.
#define WEIGHTS_BYTES ((size_t)512 * 1024)
// Input pixels that stay there while all panels meet them, in blocks of at most so many tiles; of
// images larger than the last-level cache may be.
#define BLOCK_BYTES ((size_t)768 * 1024)
#define IMAGE_BYTES ((size_t)8 << 20)
#define MOST_TILES 64
// Multiply-adds that one thread does in less time than it takes to wake another.
#define ALONE_MACS ((size_t)1 << 17)

static size_t zeros_bytes(const rml_gemm *gemm, size_t taps, size_t depth)
{
    return rml_aligned_bytes(rml_sat_mul(taps, rml_pack_depth(gemm, depth)), gemm->element_bytes);
}

static size_t table_bytes(const rml_gemm *gemm, size_t taps)
{
    return rml_aligned_bytes(taps, gemm->mr * sizeof(void *));
}

size_t rml_igemm_scratch_bytes(const rml_gemm *gemm, int threads, size_t taps, size_t depth)
{
    // zeros long enough for a merged row of taps, then one pointer table a worker
    return rml_sat_add(zeros_bytes(gemm, taps, depth),
                       rml_sat_mul((size_t)threads, table_bytes(gemm, taps)));
}

typedef struct igemm_job {
    const rml_igemm *product;
    const rml_kernels *kernels;
    const rml_gemm *gemm;
    const void *zeros;
    char *pointers;
    size_t pointers_bytes; // of one worker
    size_t pixels, tiles, block_tiles, blocks, panels;
    float low, high;
    bool post;       // an activation that the gemm kernel does not have
    bool merge;      // a row of taps may be one long run of floats
    bool flat;       // pixels follow each other in all views, and each reads the one at its place
    bool panel_last; // the panels of a block of pixels one after the other, not the other way round
    bool together;   // ... by one worker: what they read and write side by side stays in its cache
} igemm_job;

bool rml_igemm_is_flat(const rml_tensor *view)
{
    return view->stride[2] == view->stride[3] * view->dim[3] &&
           (view->dim[0] == 1 || view->stride[0] == view->stride[2] * view->dim[2]);
}

static bool reads_its_place(const rml_igemm *product)
{
    const rml_window *window = &product->window;
    for (int axis = 0; axis < 2; axis++)
        if (window->kernel[axis] != 1 || window->stride[axis] != 1 || window->before[axis] != 0 ||
            product->in->dim[2 + axis] != product->out->dim[2 + axis])
            return false;
    return rml_igemm_is_flat(product->in) && rml_igemm_is_flat(product->out) &&
           (!product->residual || rml_igemm_is_flat(product->residual));
}

// Pointers of one view's pixels.
static void point_flat(const rml_tensor *view, size_t pixel, size_t rows, int64_t channel,
                       float **at)
{
    float *first = view->data + (int64_t)pixel * view->stride[3] + channel;
    for (size_t i = 0; i < rows; i++)
        at[i] = first + (int64_t)i * view->stride[3];
}

static void point_operand(const rml_igemm *product, size_t pixel, size_t rows, const void **at)
{
    const int64_t bytes = (int64_t)product->gemm->element_bytes, step = product->in->stride[3];
    const char *first =
        (const char *)product->in->raw + ((int64_t)pixel * step + product->in_channel) * bytes;
    for (size_t i = 0; i < rows; i++)
        at[i] = first + (int64_t)i * step * bytes;
}

static bool all_inside(const igemm_job *job, rml_window_at at, size_t rows)
{
    const rml_window *window = &job->product->window;
    bool inside = true;
    for (size_t i = 0; inside && i < rows; i++, rml_window_next(window, &at))
        inside = rml_window_inside_cols(window, &at, job->product->in);
    return inside;
}

static void point_each(const igemm_job *job, rml_window_at at, size_t rows, size_t column,
                       bool merge, const void **a, float **c, const float **residual)
{
    const rml_igemm *product = job->product;
    const rml_window *window = &product->window;
    const int64_t channel = product->out_channel + (int64_t)column;
    for (size_t i = 0; i < rows; i++, rml_window_next(window, &at)) {
        rml_window_pointers(window, &at, product->in, product->in_channel, job->zeros, merge, a + i,
                            job->gemm->mr);
        c[i] = rml_window_out(&at, product->out) + channel;
        if (product->residual)
            residual[i] = rml_window_out(&at, product->residual) + channel;
    }
}

// Pixels of one row whose taps lie inside the width: each is a step further than the one before.
static void point_run(const igemm_job *job, rml_window_at at, size_t rows, size_t column,
                      bool merge, size_t taps, const void **a, float **c, const float **residual)
{
    const rml_igemm *product = job->product;
    const int64_t step =
        product->window.stride[1] * product->in->stride[3] * (int64_t)product->gemm->element_bytes;
    point_each(job, at, 1, column, merge, a, c, residual);
    for (size_t t = 0; t < taps; t++, a += job->gemm->mr)
        for (size_t i = 1; i < rows; i++)
            a[i] = a[0] == job->zeros ? a[0] : (const char *)a[i - 1] + step;
    for (size_t i = 1; i < rows; i++)
        c[i] = c[i - 1] + product->out->stride[3];
    for (size_t i = 1; product->residual && i < rows; i++)
        residual[i] = residual[i - 1] + product->residual->stride[3];
}

// Tables for one tile; returns the number of taps the kernel walks.
static size_t point(const igemm_job *job, size_t pixel, size_t rows, const void **a, float **c,
                    const float **residual, size_t column, size_t *depth)
{
    const rml_igemm *product = job->product;
    const rml_window *window = &product->window;
    if (job->flat) {
        const int64_t out_channel = product->out_channel + (int64_t)column;
        point_operand(product, pixel, rows, a);
        point_flat(product->out, pixel, rows, out_channel, c);
        if (product->residual)
            point_flat(product->residual, pixel, rows, out_channel, (float **)(uintptr_t)residual);
        *depth = product->depth;
        return 1;
    }
    const rml_window_at at = rml_window_seek(window, pixel);
    const rml_window_at last = {at.image, at.row, at.col + (int64_t)rows - 1};
    const bool run = last.col < window->out[1] &&
                     rml_window_inside_cols(window, &at, product->in) &&
                     rml_window_inside_cols(window, &last, product->in);
    const bool merge = job->merge && (run || all_inside(job, at, rows));
    *depth = merge ? product->depth * (size_t)window->kernel[1] : product->depth;
    const size_t taps = (size_t)(merge ? window->kernel[0] : window->kernel[0] * window->kernel[1]);
    if (run)
        point_run(job, at, rows, column, merge, taps, a, c, residual);
    else
        point_each(job, at, rows, column, merge, a, c, residual);
    return taps;
}

// A block of pixels by one panel of columns.
static void run_block(const igemm_job *job, size_t block, size_t panel, int worker)
{
    const rml_igemm *product = job->product;
    const rml_gemm *gemm = job->gemm;
    const void **a = (const void **)(job->pointers + (size_t)worker * job->pointers_bytes);
    float *c[RML_GEMM_MAX_MR];
    const float *residual[RML_GEMM_MAX_MR];
    const size_t taps = (size_t)(product->window.kernel[0] * product->window.kernel[1]);
    const size_t column = panel * gemm->nr;
    rml_gemm_tile tile = {.a = a,
                          .b = rml_pack_at(gemm, product->packed, column * taps * product->depth),
                          .cols = rml_min_size(gemm->nr, product->cols - column),
                          .c = c,
                          .bias = product->bias ? product->bias + column : NULL,
                          .residual = product->residual ? residual : NULL,
                          .low = job->low,
                          .high = job->high};
    size_t pixel = block * job->block_tiles * gemm->mr;
    const size_t stop = rml_min_size(job->pixels, (block + 1) * job->block_tiles * gemm->mr);
    for (; pixel < stop; pixel += gemm->mr) {
        tile.rows = rml_min_size(gemm->mr, stop - pixel);
        tile.taps = point(job, pixel, tile.rows, a, c, residual, column, &tile.depth);
        gemm->run(&tile);
        for (size_t i = 0; job->post && i < tile.rows; i++)
            product->activate(job->kernels, product->act, c[i], tile.cols);
    }
}

static void run_items(void *context, size_t begin, size_t end, int worker)
{
    const igemm_job *job = context;
    rml_gemm_begin(job->gemm);
    for (size_t item = begin; item < end; item++)
        if (job->together)
            for (size_t panel = 0; panel < job->panels; panel++)
                run_block(job, item, panel, worker);
        else if (job->panel_last)
            run_block(job, item / job->panels, item % job->panels, worker);
        else
            run_block(job, item % job->blocks, item / job->blocks, worker);
    rml_gemm_end(job->gemm);
}

// Either a panel stays in the second-level cache while all pixels pass, or a block of pixels while
// all panels pass: what streams by the other one comes from further away each time. An image that
// the last cache does not hold is better read once.
static void choose_order(igemm_job *job, size_t weights)
{
    const rml_tensor *in = job->product->in;
    const size_t image = (size_t)(in->dim[0] * in->dim[2] * in->dim[3]) * job->product->depth *
                         job->gemm->element_bytes;
    size_t block = BLOCK_TILES;
    job->panel_last = weights <= WEIGHTS_BYTES;
    if (job->panel_last || image <= IMAGE_BYTES)
        return;
    while (block < MOST_TILES && image / job->tiles * block * 2 <= BLOCK_BYTES)
        block *= 2;
    job->panel_last = weights * ((job->tiles + block - 1) / block) < image * job->panels;
    if (job->panel_last)
        job->block_tiles = block;
}

void rml_igemm_run(const rml_op_args *args, const rml_igemm *product)
{
    const rml_gemm *gemm = product->gemm;
    const rml_window *window = &product->window;
    const rml_activation *act = product->act;
    const bool clamp = act->kind == RML_UNARY_CLAMP;
    const size_t taps = (size_t)(window->kernel[0] * window->kernel[1]);
    const size_t zeros = zeros_bytes(gemm, taps, product->depth);
    memset(args->scratch, 0, zeros);
    igemm_job job = {
        .product = product,
        .kernels = args->kernels,
        .gemm = gemm,
        .zeros = args->scratch,
        .pointers = args->scratch + zeros,
        .pointers_bytes = table_bytes(gemm, taps),
        .pixels = (size_t)(product->in->dim[0] * window->out[0] * window->out[1]),
        .panels = rml_pack_panels(gemm, product->cols),
        .low = clamp ? act->param[0] : -INFINITY,
        .high = clamp ? act->param[1] : INFINITY,
        .post = !clamp,
        // adjacent pixels of a row, all channels of the view
        .merge = window->dilation[1] == 1 && window->kernel[1] > 1 &&
                 product->in->stride[3] == (int64_t)product->depth,
        .flat = reads_its_place(product),
    };
    job.tiles = (job.pixels + gemm->mr - 1) / gemm->mr;
    job.block_tiles = BLOCK_TILES;
    choose_order(&job, taps * product->depth * product->cols * gemm->element_bytes);
    while (job.block_tiles > 1 &&
           job.panels * ((job.tiles + job.block_tiles - 1) / job.block_tiles) <
               4 * (size_t)args->threads)
        job.block_tiles /= 2;
    job.blocks = (job.tiles + job.block_tiles - 1) / job.block_tiles;
    job.together = job.panel_last && job.blocks >= 4 * (size_t)args->threads;
    const size_t items = (job.together ? 1 : job.panels) * job.blocks;
    const size_t macs = job.pixels * product->cols * product->depth * taps;
    if (items)
        rml_pool_run(args->pool, items, macs < ALONE_MACS ? items : 1, run_items, &job);
}
