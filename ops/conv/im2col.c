#include "ops/conv/im2col.h"

#include "kernels/pack.h"
#include "tensor/size.h"

#include <math.h>

// Rows of a panel that are multiplied at once, so that it stays in the second-level cache.
#define PANEL_ROWS 768

static size_t block_channels(size_t taps, size_t depth)
{
    const size_t channels = taps < PANEL_ROWS ? PANEL_ROWS / taps : 1;
    return rml_min_size(channels, depth);
}

static size_t panel_bytes(const rml_op_args *args, size_t taps, size_t depth)
{
    return rml_aligned_bytes(rml_sat_mul(block_channels(taps, depth), taps),
                             RML_KERNEL(args->kernels, gemm_f32).nr * sizeof(float));
}

static size_t worker_bytes(const rml_op_args *args, size_t taps, size_t depth)
{
    return rml_sat_add(
        panel_bytes(args, taps, depth),
        rml_aligned_bytes(RML_KERNEL(args->kernels, gemm_f32).nr, RML_IM2COL_PIXEL_BYTES));
}

size_t rml_im2col_scratch_bytes(const rml_op_args *args)
{
    const rml_tensor *w = &args->in[1];
    return rml_sat_mul(
        (size_t)args->threads,
        worker_bytes(args, rml_sizes_count(&w->dim[2], w->rank - 2), (size_t)w->dim[1]));
}

rml_im2col rml_im2col_make(const rml_op_args *args, int bias)
{
    const rml_tensor *w = &args->in[1];
    const int64_t groups = args->attr->conv.groups;
    rml_im2col columns = {.args = args,
                          .window = rml_conv_window(args),
                          .groups = (size_t)groups,
                          .depth = (size_t)w->dim[1],
                          .rows = (size_t)(w->dim[0] / groups),
                          .in = &args->in[0],
                          .weight = w,
                          .out = &args->out[0]};
    columns.taps = rml_sizes_count(columns.window.kernel, columns.window.rank);
    columns.pixels = rml_sizes_count(columns.window.out, columns.window.rank);
    if (rml_op_input(args, bias))
        columns.bias = args->in[bias].data;
    return columns;
}

// Whether the epilogue is a clamp alone, which tiles do themselves.
static bool clamps(const rml_im2col *columns)
{
    return columns->epilogue && !rml_conv_residual(columns->args) &&
           columns->args->attr->conv.act.kind == RML_UNARY_CLAMP;
}

typedef struct columns_job {
    const rml_im2col *columns;
    size_t panels, row_blocks, row_block;
} columns_job;

// All output channels [row, stop) of a group at the pixels of one panel, from the rows of
// `channels` input channels on. Sums go on from what the output holds already; those of the last
// channels are clamped in the tile where that is all there is to do behind them.
static void multiply(const rml_im2col *columns, const rml_im2col_part *part, size_t group,
                     size_t row, size_t stop, bool first)
{
    const rml_kernels *kernels = columns->args->kernels;
    const size_t width = columns->depth * columns->taps;
    const size_t done = (part->channel - group * columns->depth) * columns->taps;
    const rml_activation *act = &columns->args->attr->conv.act;
    const bool clamp =
        clamps(columns) && part->channel + part->channels == (group + 1) * columns->depth;
    const void *a[RML_GEMM_MAX_MR];
    float *c[RML_GEMM_MAX_MR];
    for (; row < stop; row += RML_KERNEL(kernels, gemm_f32).mr) {
        const size_t count = rml_min_size(RML_KERNEL(kernels, gemm_f32).mr, stop - row);
        for (size_t i = 0; i < count; i++) {
            const size_t channel = group * columns->rows + row + i;
            a[i] = columns->weight->data + channel * width + done;
            c[i] = columns->out->data +
                   (part->image * columns->groups * columns->rows + channel) * columns->pixels +
                   part->pixel;
        }
        const rml_gemm_tile tile = {
            .a = a,
            .taps = 1,
            .depth = part->channels * columns->taps,
            .b = part->dst,
            .rows = count,
            .cols = part->pixels,
            .c = c,
            .row_bias = first && columns->bias ? columns->bias + group * columns->rows + row : NULL,
            .residual = first ? NULL : (const float *const *)c,
            .low = clamp ? act->param[0] : -INFINITY,
            .high = clamp ? act->param[1] : INFINITY};
        RML_KERNEL(kernels, gemm_f32).run(&tile);
    }
}

static void run_items(void *context, size_t begin, size_t end, int worker)
{
    const columns_job *job = context;
    const rml_im2col *columns = job->columns;
    const rml_op_args *args = columns->args;
    const size_t nr = RML_KERNEL(args->kernels, gemm_f32).nr,
                 block = block_channels(columns->taps, columns->depth);
    char *scratch =
        args->scratch + (size_t)worker * worker_bytes(args, columns->taps, columns->depth);
    for (size_t item = begin; item < end; item++) {
        const size_t row = item % job->row_blocks * job->row_block;
        const size_t panel = item / job->row_blocks % job->panels;
        const size_t group = item / job->row_blocks / job->panels % columns->groups;
        const size_t stop = group * columns->depth + columns->depth;
        rml_im2col_part part = {.image = item / job->row_blocks / job->panels / columns->groups,
                                .channel = group * columns->depth,
                                .pixel = panel * nr,
                                .dst = (float *)scratch,
                                .scratch =
                                    scratch + panel_bytes(args, columns->taps, columns->depth)};
        part.pixels = rml_min_size(nr, columns->pixels - part.pixel);
        part.pitch = rml_pack_pitch(&RML_KERNEL(args->kernels, gemm_f32), part.pixels);
        for (bool first = true; part.channel < stop; part.channel += part.channels, first = false) {
            part.channels = rml_min_size(block, stop - part.channel);
            columns->fill(columns, &part);
            multiply(columns, &part, group, row, rml_min_size(columns->rows, row + job->row_block),
                     first);
        }
        for (size_t r = row; columns->epilogue && !clamps(columns) &&
                             r < rml_min_size(columns->rows, row + job->row_block);
             r++)
            rml_conv_epilogue(args,
                              columns->out->data +
                                  ((part.image * columns->groups + group) * columns->rows + r) *
                                      columns->pixels +
                                  part.pixel,
                              part.pixels);
    }
}

void rml_im2col_run(const rml_im2col *columns)
{
    const rml_op_args *args = columns->args;
    columns_job job = {.columns = columns, .row_blocks = 1, .row_block = columns->rows};
    job.panels = (columns->pixels + RML_KERNEL(args->kernels, gemm_f32).nr - 1) /
                 RML_KERNEL(args->kernels, gemm_f32).nr;
    const size_t images = (size_t)columns->in->dim[0];
    // Few pixels: each panel is made several times, for some of the output channels each.
    const size_t least = 4 * RML_KERNEL(args->kernels, gemm_f32).mr;
    while (images * columns->groups * job.panels * job.row_blocks < 4 * (size_t)args->threads &&
           job.row_block > least && args->threads > 1) {
        job.row_block =
            rml_round_up((job.row_block + 1) / 2, RML_KERNEL(args->kernels, gemm_f32).mr);
        job.row_blocks = (columns->rows + job.row_block - 1) / job.row_block;
    }
    rml_pool_run(args->pool, images * columns->groups * job.panels * job.row_blocks, 1, run_items,
                 &job);
}
