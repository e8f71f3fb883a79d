#include "ops/conv/direct.h"

#include "tensor/size.h"

#include <math.h>
#include <string.h>

#define COPIED_TAPS 15
#define COPIED_DILATION 4

size_t rml_direct_floats(const rml_kernels *kernels, const rml_conv_groups *groups, size_t taps)
{
    const size_t lanes = RML_KERNEL(kernels, conv_lanes);
    return rml_sat_mul(rml_sat_mul(rml_sat_mul(taps, groups->depth), lanes),
                       rml_conv_blocks(groups, lanes));
}

// Depthwise weights of fewer channels than a vector are repeated to fill it: a row of outputs may
// then be computed as if it had pixels of a whole vector each.
static size_t repeats(const rml_kernels *kernels, const rml_conv_groups *g)
{
    const size_t lanes = RML_KERNEL(kernels, conv_lanes);
    return g->depth == 1 && g->cols == 1 && g->channels < lanes && lanes % g->channels == 0
               ? lanes / g->channels
               : 1;
}

void rml_direct_pack(const rml_kernels *kernels, const rml_conv_groups *groups, size_t outputs,
                     const float *src, const size_t *tap, size_t taps, size_t depth_stride,
                     size_t col_stride, float *dst)
{
    const size_t lanes = RML_KERNEL(kernels, conv_lanes), used = outputs * repeats(kernels, groups);
    for (size_t t = 0; t < taps; t++)
        for (size_t k = 0; k < groups->depth; k++, dst += lanes)
            for (size_t n = 0; n < lanes; n++)
                dst[n] =
                    n < used ? src[tap[t] + k * depth_stride + n % outputs * col_stride] : 0.0f;
}

// Zeros of a pixel, a repeated bias, and a table of pointers for each worker.
static size_t zeros_bytes(size_t channels)
{
    return rml_aligned_bytes(channels, sizeof(float));
}

static size_t bias_bytes(const rml_kernels *kernels)
{
    return rml_aligned_bytes(RML_KERNEL(kernels, conv_lanes), sizeof(float));
}

static size_t table_bytes(size_t taps)
{
    return rml_aligned_bytes(taps, sizeof(float *));
}

// Taps enough to outweigh copying, without much between them. Images of groups that fill vectors
// need fewer: a pixel by itself, as those at the left and right are, waits for every sum, and in
// copied rows there is none.
static bool is_copied(const rml_kernels *kernels, const rml_direct *direct)
{
    const rml_conv_groups *g = &direct->groups;
    const rml_window *w = &direct->window;
    const bool filled = g->channels > g->cols && w->kernel[0] > 1 && w->kernel[1] > 1 &&
                        rml_conv_block_groups(g, RML_KERNEL(kernels, conv_lanes)) == 0;
    if (rml_direct_reads_planes(direct->in))
        return true;
    return repeats(kernels, g) == 1 && (filled || w->kernel[0] * w->kernel[1] >= COPIED_TAPS) &&
           w->dilation[0] <= COPIED_DILATION && w->dilation[1] <= COPIED_DILATION;
}

size_t rml_direct_scratch_bytes(const rml_op_args *args, const rml_direct *direct)
{
    const rml_window *w = &direct->window;
    const size_t taps = rml_sat_mul((size_t)w->kernel[0], (size_t)w->kernel[1]);
    if (is_copied(args->kernels, direct))
        return rml_sat_mul((size_t)args->threads, rml_direct_copied_bytes(args, direct));
    return rml_sat_add(
        rml_sat_add(zeros_bytes((size_t)direct->in->dim[1]), bias_bytes(args->kernels)),
        rml_sat_mul((size_t)args->threads, table_bytes(taps)));
}

// Columns of the output all of whose taps lie inside the width: [first, stop).
static void inner_columns(const rml_window *window, const rml_tensor *in, int64_t *first,
                          int64_t *stop)
{
    rml_window_at at = {0, 0, 0};
    while (at.col < window->out[1] && !rml_window_inside_cols(window, &at, in))
        at.col++;
    *first = at.col;
    while (at.col < window->out[1] && rml_window_inside_cols(window, &at, in))
        at.col++;
    *stop = at.col;
}

// Rows of taps that lie inside the height: [first, stop).
static void inner_taps(const rml_window *window, int64_t row, const rml_tensor *in, size_t *first,
                       size_t *stop)
{
    *first = *stop = 0;
    for (int64_t t = 0; t < window->kernel[0]; t++) {
        const int64_t y = row * window->stride[0] - window->before[0] + t * window->dilation[0];
        *first += y < 0;
        *stop += y < in->dim[2];
    }
}

typedef struct direct_job {
    const rml_op_args *args;
    const rml_direct *direct;
    const float *zeros, *bias;
    char *tables;
    size_t taps;
    int64_t inner_first, inner_stop;
    bool dense; // pixels follow each other in all views, and weights and bias are repeated
} direct_job;

// Some outputs of one row, all channels or, of dense views, floats as they follow each other.
static void run_pixels(const direct_job *job, rml_conv_direct_row *row, const float **src)
{
    const rml_op_args *args = job->args;
    const size_t lanes = RML_KERNEL(args->kernels, conv_lanes);
    const size_t floats = row->pixels * job->direct->groups.channels;
    if (!job->dense) {
        RML_KERNEL(args->kernels, conv_direct)(row);
        return;
    }
    row->src_step = row->dst_step = row->residual_step = lanes;
    row->groups.channels = lanes;
    row->pixels = floats / lanes;
    if (row->pixels)
        RML_KERNEL(args->kernels, conv_direct)(row);
    const size_t done = row->pixels * lanes;
    if (done == floats)
        return;
    row->pixels = 1;
    row->groups.channels = floats - done;
    row->dst += done;
    row->residual = row->residual ? row->residual + done : NULL;
    for (size_t t = 0; t < row->taps; t++)
        src[t] += done;
    RML_KERNEL(args->kernels, conv_direct)(row);
}

void rml_direct_activate(const rml_op_args *args, const rml_direct *direct, float *first,
                         size_t pixels)
{
    const rml_activation *act = direct->act;
    const size_t step = (size_t)direct->out->stride[3], channels = direct->groups.channels;
    const bool dense = step == channels;
    const size_t count = dense ? pixels * channels : channels;
    if (act->kind != RML_UNARY_CLAMP)
        for (size_t i = 0; i < (dense ? 1 : pixels); i++)
            direct->activate(args->kernels, act, first + i * step, count);
}

// All outputs of one row.
static void run_row(const direct_job *job, rml_window_at at, const float **table)
{
    const rml_direct *direct = job->direct;
    const rml_window *window = &direct->window;
    const rml_tensor *in = direct->in, *out = direct->out, *residual = direct->residual;
    const bool clamp = direct->act->kind == RML_UNARY_CLAMP;
    const size_t row_floats =
        direct->groups.depth * RML_KERNEL(job->args->kernels, conv_lanes); // of weights
    size_t tap_first, tap_stop;
    inner_taps(window, at.row, in, &tap_first, &tap_stop);
    const size_t skipped = tap_first * (size_t)window->kernel[1];
    for (size_t pixels; at.col < window->out[1]; at.col += (int64_t)pixels) {
        const bool inner = at.col >= job->inner_first && at.col < job->inner_stop;
        // At the left and right some taps read zeros, and have no step to go on by.
        pixels = inner ? (size_t)(job->inner_stop - at.col) : 1;
        rml_window_pointers(window, &at, in, 0, job->zeros, false, (const void **)table, 1);
        // Above and below the image whole rows of taps are zeros, and left out.
        rml_conv_direct_row row = {.src = table + skipped,
                                   .taps = tap_stop * (size_t)window->kernel[1] - skipped,
                                   .pixels = pixels,
                                   .src_step = (size_t)(window->stride[1] * in->stride[3]),
                                   .dst_step = (size_t)out->stride[3],
                                   .residual_step = residual ? (size_t)residual->stride[3] : 0,
                                   .groups = direct->groups,
                                   .weight = direct->packed + skipped * row_floats,
                                   .weight_step = job->taps * row_floats,
                                   .bias = job->bias,
                                   .residual = residual ? rml_window_out(&at, residual) : NULL,
                                   .dst = rml_window_out(&at, out),
                                   .low = clamp ? direct->act->param[0] : -INFINITY,
                                   .high = clamp ? direct->act->param[1] : INFINITY};
        run_pixels(job, &row, table + skipped);
    }
    at.col = 0;
    rml_direct_activate(job->args, direct, rml_window_out(&at, out), (size_t)window->out[1]);
}

static void run_rows(void *context, size_t begin, size_t end, int worker)
{
    const direct_job *job = context;
    const rml_window *window = &job->direct->window;
    const float **table =
        (const float **)(void *)(job->tables + (size_t)worker * table_bytes(job->taps));
    for (size_t i = begin; i < end; i++)
        run_row(job, rml_window_seek(window, i * (size_t)window->out[1]), table);
}

void rml_direct_run(const rml_op_args *args, const rml_direct *direct)
{
    const rml_tensor *in = direct->in, *out = direct->out, *residual = direct->residual;
    const rml_window *window = &direct->window;
    const rml_conv_groups *g = &direct->groups;
    if (window->out[0] == 0 || window->out[1] == 0)
        return; // a phase without outputs
    if (is_copied(args->kernels, direct)) {
        rml_direct_copied_run(args, direct);
        return;
    }
    const size_t zeros = zeros_bytes((size_t)in->dim[1]);
    const int64_t pixel = (int64_t)g->channels;
    float *repeated = (float *)(void *)(args->scratch + zeros);
    direct_job job = {.args = args,
                      .direct = direct,
                      .zeros = (const float *)(const void *)args->scratch,
                      .bias = direct->bias,
                      .tables = args->scratch + zeros + bias_bytes(args->kernels),
                      .taps = (size_t)(window->kernel[0] * window->kernel[1]),
                      .dense = repeats(args->kernels, g) > 1 && window->stride[1] == 1 &&
                               in->stride[3] == pixel && out->stride[3] == pixel &&
                               (!residual || residual->stride[3] == pixel)};
    inner_columns(window, in, &job.inner_first, &job.inner_stop);
    memset(args->scratch, 0, zeros);
    for (size_t i = 0; job.dense && direct->bias && i < RML_KERNEL(args->kernels, conv_lanes); i++)
        repeated[i] = direct->bias[i % g->channels];
    if (job.dense && direct->bias)
        job.bias = repeated;
    rml_pool_run(args->pool, (size_t)(out->dim[0] * window->out[0]), 1, run_rows, &job);
}
