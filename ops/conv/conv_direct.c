// Direct convolution: few channels a group, so that the pixels of a window are met by weights as
// they lie in memory, without the tables of pointers and the panels that a product wants. Depthwise
// convolution, with or without a channel multiplier, is the common case.
#include "ops/conv/conv.h"

#include "ops/conv/window.h"
#include "tensor/size.h"

#include <math.h>
#include <string.h>

// Channels that go into one of several groups.
#define MAX_GROUP_DEPTH 16
// Channels that go into a single group, those in a row of its taps, and channels that come out.
// More go in to give a product enough to do, and so does a single tap, whose pixels follow each
// other.
#define MAX_DEPTH 8
#define MAX_ROW_DEPTH 24
#define MIN_COLS 16

static rml_conv_groups groups_of(const rml_op_args *args)
{
    const size_t groups = (size_t)args->attr->conv.groups, outputs = (size_t)args->in[1].dim[0];
    return (rml_conv_groups){(size_t)args->in[1].dim[1], outputs / groups, outputs};
}

bool rml_conv_direct_accepts(const rml_op_args *args)
{
    const rml_conv_groups g = groups_of(args);
    const size_t row_taps = (size_t)args->in[1].dim[3];
    if (args->attr->conv.groups > 1 || (g.depth == 1 && g.cols == 1))
        return g.cols > 0 && g.depth <= MAX_GROUP_DEPTH;
    return g.cols >= MIN_COLS && g.depth <= MAX_DEPTH && row_taps > 1 &&
           row_taps <= MAX_ROW_DEPTH / g.depth;
}

// Depthwise weights of fewer channels than a vector are repeated to fill it: a row of outputs may
// then be computed as if it had pixels of a whole vector each.
static size_t repeats(const rml_op_args *args)
{
    const rml_conv_groups g = groups_of(args);
    const size_t lanes = args->kernels->conv_lanes;
    return g.depth == 1 && g.cols == 1 && g.channels < lanes && lanes % g.channels == 0
               ? lanes / g.channels
               : 1;
}

// Floats of a block's weights.
static size_t block_floats(const rml_op_args *args)
{
    return rml_sat_mul(rml_sat_mul(rml_conv_taps(args), (size_t)args->in[1].dim[1]),
                       args->kernels->conv_lanes);
}

size_t rml_conv_direct_packed_bytes(const rml_op_args *args)
{
    const rml_conv_groups g = groups_of(args);
    return rml_sat_mul(rml_sat_mul(block_floats(args), sizeof(float)),
                       rml_conv_blocks(&g, args->kernels->conv_lanes));
}

rml_status rml_conv_direct_pack(const rml_op_args *args, const rml_constant *weight, void *packed,
                                const rml_allocator *allocator, rml_error *err)
{
    const rml_conv_groups g = groups_of(args);
    const size_t lanes = args->kernels->conv_lanes, taps = rml_conv_taps(args);
    const size_t filter = g.depth * taps, bytes = filter * lanes * sizeof(float);
    float *rows = rml_alloc(allocator, bytes), *dst = packed;
    if (!rows)
        return rml_fail_nomem(err, bytes, "packing weights");
    memset(packed, 0, rml_conv_direct_packed_bytes(args));
    for (size_t i = 0; i < rml_conv_blocks(&g, lanes); i++) {
        const rml_conv_block block = rml_conv_block_at(&g, lanes, i);
        rml_constant_read(weight, 0, (int64_t)block.first, (int64_t)block.count, rows);
        for (size_t t = 0; t < taps; t++)
            for (size_t k = 0; k < g.depth; k++, dst += lanes)
                for (size_t n = 0; n < block.count * repeats(args); n++)
                    dst[n] = rows[n % block.count * filter + k * taps + t];
    }
    rml_free(allocator, rows);
    return RML_OK;
}

// Zeros of a pixel, a repeated bias, and a table of pointers for each worker.
static size_t zeros_bytes(const rml_op_args *args)
{
    return rml_aligned_bytes((size_t)args->in[0].dim[1], sizeof(float));
}

static size_t bias_bytes(const rml_op_args *args)
{
    return rml_aligned_bytes(args->kernels->conv_lanes, sizeof(float));
}

static size_t table_bytes(const rml_op_args *args)
{
    return rml_aligned_bytes(rml_conv_taps(args), sizeof(float *));
}

size_t rml_conv_direct_scratch_bytes(const rml_op_args *args)
{
    return rml_sat_add(rml_sat_add(zeros_bytes(args), bias_bytes(args)),
                       rml_sat_mul((size_t)args->threads, table_bytes(args)));
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
    rml_window window;
    rml_conv_groups groups;
    int64_t inner_first, inner_stop;
    bool dense; // pixels follow each other in all views, and weights and bias are repeated
} direct_job;

// Some outputs of one row, all channels or, of dense views, floats as they follow each other.
static void run_pixels(const direct_job *job, rml_conv_direct_row *row, const float **src)
{
    const rml_op_args *args = job->args;
    const size_t lanes = args->kernels->conv_lanes, floats = row->pixels * job->groups.channels;
    if (!job->dense) {
        args->kernels->conv_direct(row);
        return;
    }
    row->src_step = row->dst_step = row->residual_step = lanes;
    row->groups.channels = lanes;
    row->pixels = floats / lanes;
    if (row->pixels)
        args->kernels->conv_direct(row);
    const size_t done = row->pixels * lanes;
    if (done == floats)
        return;
    row->pixels = 1;
    row->groups.channels = floats - done;
    row->dst += done;
    row->residual = row->residual ? row->residual + done : NULL;
    for (size_t t = 0; t < row->taps; t++)
        src[t] += done;
    args->kernels->conv_direct(row);
}

// All outputs of one row.
static void run_row(const direct_job *job, rml_window_at at, const float **table)
{
    const rml_op_args *args = job->args;
    const rml_window *window = &job->window;
    const rml_tensor *in = &args->in[0], *out = &args->out[0], *residual = rml_conv_residual(args);
    const rml_activation *act = &args->attr->conv.act;
    const bool clamp = act->kind == RML_UNARY_CLAMP;
    const float *zeros = (const float *)args->scratch;
    const size_t row_floats = job->groups.depth * args->kernels->conv_lanes; // of weights
    size_t tap_first, tap_stop;
    inner_taps(window, at.row, in, &tap_first, &tap_stop);
    const size_t skipped = tap_first * (size_t)window->kernel[1];
    for (size_t pixels; at.col < window->out[1]; at.col += (int64_t)pixels) {
        const bool inner = at.col >= job->inner_first && at.col < job->inner_stop;
        // At the left and right some taps read zeros, and have no step to go on by.
        pixels = inner ? (size_t)(job->inner_stop - at.col) : 1;
        rml_window_pointers(window, &at, in, 0, zeros, false, (const void **)table, 1);
        // Above and below the image whole rows of taps are zeros, and left out.
        rml_conv_direct_row row = {.src = table + skipped,
                                   .taps = tap_stop * (size_t)window->kernel[1] - skipped,
                                   .pixels = pixels,
                                   .src_step = (size_t)(window->stride[1] * in->stride[3]),
                                   .dst_step = (size_t)out->stride[3],
                                   .residual_step = residual ? (size_t)residual->stride[3] : 0,
                                   .groups = job->groups,
                                   .weight = (const float *)args->packed + skipped * row_floats,
                                   .weight_step = block_floats(args),
                                   .bias = job->dense
                                               ? (const float *)(args->scratch + zeros_bytes(args))
                                               : rml_conv_bias(args),
                                   .residual = residual ? rml_window_out(&at, residual) : NULL,
                                   .dst = rml_window_out(&at, out),
                                   .low = clamp ? act->param[0] : -INFINITY,
                                   .high = clamp ? act->param[1] : INFINITY};
        run_pixels(job, &row, table + skipped);
    }
    at.col = 0;
    rml_conv_activate(args, rml_window_out(&at, out), (size_t)window->out[1]);
}

static void run_rows(void *context, size_t begin, size_t end, int worker)
{
    const direct_job *job = context;
    const rml_op_args *args = job->args;
    const float **table = (const float **)(args->scratch + zeros_bytes(args) + bias_bytes(args) +
                                           (size_t)worker * table_bytes(args));
    for (size_t i = begin; i < end; i++)
        run_row(job, rml_window_seek(&job->window, i * (size_t)job->window.out[1]), table);
}

void rml_conv_direct_run(const rml_op_args *args)
{
    const rml_tensor *in = &args->in[0], *out = &args->out[0], *residual = rml_conv_residual(args);
    const float *bias = rml_conv_bias(args);
    float *repeated = (float *)(void *)(args->scratch + zeros_bytes(args));
    direct_job job = {.args = args, .window = rml_conv_window(args), .groups = groups_of(args)};
    const int64_t pixel = (int64_t)job.groups.channels;
    job.dense = repeats(args) > 1 && job.window.stride[1] == 1 && in->stride[3] == pixel &&
                out->stride[3] == pixel && (!residual || residual->stride[3] == pixel);
    inner_columns(&job.window, in, &job.inner_first, &job.inner_stop);
    memset(args->scratch, 0, zeros_bytes(args));
    for (size_t i = 0; job.dense && i < args->kernels->conv_lanes; i++)
        repeated[i] = bias ? bias[i % job.groups.channels] : 0.0f;
    rml_pool_run(args->pool, (size_t)(out->dim[0] * out->dim[2]), 1, run_rows, &job);
}
