// Convolution of plain images, of one to three dimensions, from few channels or to few: the rows
// that a band of output rows reads are copied, padded, and with the columns of a stride apart, so
// that a tap is a row of numbers beside each other. Each worker copies for itself.
#include "ops/conv/conv.h"
#include "ops/conv/plain_rows.h"

#include "tensor/size.h"

#include <math.h>

#define COPY_BYTES ((size_t)24 * 1024) // that shall stay in the first-level cache
#define LEAST_BAND ((size_t)8)
#define MOST_COLUMNS ((size_t)2048)
#define LEAST_COLUMNS 14 // fewer fill no vector
#define CHUNKS 16        // of a thread's share

// What a product cannot do better: few outputs of a group, or few numbers to sum.
#define FEW_OUTPUTS 32
#define FEW_PLANES 64
#define FEW_TERMS 64
#define FEW_POINTS 8 // channels of a single tap: more are a product of rows as they lie

typedef struct plain {
    const rml_op_args *args;
    rml_window window; // of three dimensions
    size_t groups, depth, cols;
    size_t planes, taps, lag, pointers; // of the kernel
    size_t together;                    // rows of one output at once; 1: outputs instead
    size_t apart;                       // from one such row to the next
    size_t lead;                        // in front of a copy: its middle taps meet whole lines
    bool dense; // whole rows, where what is to the right of one is to the left of the next
    size_t band, bands, columns, blocks;
    size_t rows; // of a plane, copied
    rml_plain_copy copy;
} plain;

// An image of one column is a line.
static rml_window in_three(const rml_window *window)
{
    rml_window w = *window;
    const int last = window->rank - 1;
    const bool column = window->in[last] == 1 && window->out[last] == 1 &&
                        window->kernel[last] == 1 && window->before[last] == 0;
    const int missing = 3 - window->rank + column;
    w.rank = 3;
    for (int i = 0; i < 3; i++) {
        const int from = i - missing;
        w.in[i] = from < 0 ? 1 : window->in[from];
        w.out[i] = from < 0 ? 1 : window->out[from];
        w.kernel[i] = from < 0 ? 1 : window->kernel[from];
        w.stride[i] = from < 0 ? 1 : window->stride[from];
        w.dilation[i] = from < 0 ? 1 : window->dilation[from];
        w.before[i] = from < 0 ? 0 : window->before[from];
    }
    return w;
}

static plain plain_of(const rml_op_args *args)
{
    const rml_window window = rml_conv_window(args), w = in_three(&window);
    plain p = {.args = args, .window = w, .groups = (size_t)args->attr->conv.groups};
    p.depth = (size_t)args->in[1].dim[1];
    p.cols = (size_t)args->in[1].dim[0] / p.groups;
    p.planes = rml_sat_mul(p.depth, (size_t)w.kernel[0]);
    p.taps = rml_sat_mul((size_t)w.kernel[1], (size_t)w.kernel[2]);
    // The taps of a row begin among those of the row before, or where they end; those of a dilated
    // kernel, of the row a dilation before.
    p.together = p.cols > 1 || (w.dilation[1] > 1 && w.stride[1] > 1) ? 1
                 : w.kernel[1] / 3 >= w.stride[1]                     ? 4
                 : w.kernel[1] >= w.stride[1]                         ? 2
                                                                      : 1;
    p.apart = p.together > 1 ? (size_t)w.dilation[1] : 1;
    p.lag = p.together > 1 ? (size_t)(w.stride[1] * w.kernel[2]) : 0;
    p.pointers = rml_sat_add(p.taps, (p.together - 1) * p.lag);
    const size_t stride = (size_t)w.stride[2], height = (size_t)w.out[1], width = (size_t)w.out[2];
    const size_t span = (size_t)rml_window_span(&w, 1), reach = (size_t)rml_window_span(&w, 2);
    p.columns = rml_min_size(width, MOST_COLUMNS);
    p.blocks = p.columns ? (width + p.columns - 1) / p.columns : 0;
    p.dense = stride == 1 && p.blocks == 1 && w.before[2] >= 0;
    size_t pitch = rml_sat_add(p.columns, (reach - 1) / stride);
    pitch =
        p.dense ? rml_round_up(pitch, RML_CONV_PLAIN_PAD) : rml_sat_add(pitch, RML_CONV_PLAIN_PAD);
    if (p.dense)
        p.lead = rml_round_up((size_t)w.before[2], RML_CONV_PLAIN_PAD) - (size_t)w.before[2];
    const size_t row_floats = rml_sat_mul(pitch, rml_min_size(stride, reach));
    p.copy = (rml_plain_copy){w.in[1], w.in[2], w.stride[2], pitch, row_floats};
    const size_t fit = COPY_BYTES / sizeof(float) / rml_sat_mul(p.planes, row_floats);
    const size_t band = fit > span ? (fit - span) / (size_t)w.stride[1] : 0;
    p.band = rml_min_size(band > LEAST_BAND ? band : LEAST_BAND, height);
    p.bands = p.band ? (height + p.band - 1) / p.band : 0;
    p.rows = p.band ? rml_sat_add(rml_sat_mul(p.band - 1, (size_t)w.stride[1]), span) : 0;
    return p;
}

static size_t copy_bytes(const plain *p)
{
    const size_t floats = rml_sat_mul(rml_sat_mul(p->planes, p->rows), p->copy.row_floats);
    const size_t around = p->lead + (size_t)(p->dense ? p->window.before[2] : 0);
    return rml_aligned_bytes(rml_sat_add(rml_sat_add(around, RML_CONV_PLAIN_PAD), floats),
                             sizeof(float));
}

size_t rml_conv_plain_bytes(const rml_op_args *args)
{
    const plain p = plain_of(args);
    return rml_sat_add(copy_bytes(&p),
                       rml_aligned_bytes(rml_sat_mul(p.planes, p.pointers), sizeof(float *)));
}

bool rml_conv_plain_accepts(const rml_op_args *args)
{
    const rml_tensor *w = &args->in[1];
    int64_t taps = 1;
    for (int i = 2; i < w->rank; i++)
        taps = taps > FEW_TERMS ? taps : taps * w->dim[i];
    if (taps == 1 && w->dim[1] > FEW_POINTS)
        return false;
    if (w->rank > 5 || w->dim[1] > FEW_PLANES || w->dim[0] < 1)
        return false;
    const plain p = plain_of(args);
    return copy_bytes(&p) <= RML_PLAIN_MOST_BYTES &&
           (w->dim[1] == 1 || w->dim[1] * taps <= FEW_TERMS ||
            (w->dim[0] / args->attr->conv.groups <= FEW_OUTPUTS &&
             (w->rank < 5 || w->dim[1] * w->dim[2] <= FEW_PLANES)));
}

bool rml_conv_plain_fits(const rml_op_attr *attr, const rml_fact *in, int in_count)
{
    const rml_shape *x = &in[0].shape, *w = &in[1].shape;
    const int last = w->rank - 1;
    const rml_window_attr *window = &attr->conv.window;
    const bool column = w->rank == 4 && x->dim[3] == 1 && w->dim[3] == 1 &&
                        window->before[1] == 0 && window->after[1] == 0;
    const int along = column ? 2 : last;
    (void)in_count;
    if (x->rank != w->rank || x->dim[along] / window->stride[along - 2] < LEAST_COLUMNS)
        return false;
    int64_t terms = 1;
    for (int i = 1; i <= last; i++)
        terms = terms > FEW_TERMS ? terms : terms * w->dim[i];
    if (attr->conv.groups > 1)
        return w->dim[1] == 1 && w->dim[0] == attr->conv.groups;
    const bool point = !column && w->rank == 4 && w->dim[2] == 1 && w->dim[3] == 1 &&
                       window->stride[0] == 1 && window->stride[1] == 1;
    return point || (w->dim[1] <= 2 && terms <= FEW_TERMS);
}

// What is computed from one copy.
typedef struct part {
    size_t image, group, z, row, rows, column, columns; // of the output
} part;

static void copy_planes(const plain *p, const part *at, float *copy)
{
    const rml_window *w = &p->window;
    const int64_t top = (int64_t)at->row * w->stride[1] - w->before[1];
    const int64_t left = (int64_t)at->column * w->stride[2] - w->before[2];
    const size_t rows = (at->rows - 1) * (size_t)w->stride[1] + (size_t)rml_window_span(w, 1);
    for (size_t k = 0; k < p->depth; k++)
        for (int64_t tap = 0; tap < w->kernel[0]; tap++, copy += p->rows * p->copy.row_floats) {
            const int64_t z = (int64_t)at->z * w->stride[0] - w->before[0] + tap * w->dilation[0];
            const size_t channel = (at->image * p->groups + at->group) * p->depth + k;
            const float *plane =
                z < 0 || z >= w->in[0]
                    ? NULL
                    : p->args->in[0].data + ((int64_t)channel * w->in[0] + z) * w->in[1] * w->in[2];
            if (p->dense)
                rml_plain_copy_dense(p->args->kernels, &p->copy, plane, top, -left, rows, copy);
            else
                rml_plain_copy_rows(&p->copy, plane, top, left, rows, copy);
        }
}

static void point(const plain *p, const float *copy, const float **table)
{
    const rml_window *w = &p->window;
    for (size_t plane = 0; plane < p->planes; plane++, copy += p->rows * p->copy.row_floats)
        for (size_t t = 0; t < p->pointers; t++) {
            const size_t y = t / (size_t)w->kernel[2] * (size_t)w->dilation[1];
            const size_t x = t % (size_t)w->kernel[2] * (size_t)w->dilation[2];
            const size_t stride = (size_t)w->stride[2];
            *table++ = copy + y * p->copy.row_floats + x % stride * p->copy.pitch + x / stride;
        }
}

// Rows of one output, those at once that lie a dilation apart.
static void run_rows_apart(const plain *p, rml_conv_plain_rows *rows)
{
    const size_t all = rows->rows, apart = p->apart, src_step = rows->src_step;
    const size_t dst_step = rows->dst_step;
    float *dst = rows->dst[0];
    for (size_t first = 0; first < apart && first < all; first++, dst += dst_step) {
        rows->from = first * src_step;
        rows->rows = (all - first + apart - 1) / apart;
        rows->src_step = src_step * apart;
        rows->dst_step = dst_step * apart;
        rows->dst[0] = dst;
        rml_plain_run_rows(p->args->kernels, rows, p->together);
    }
}

// Outputs from `channel` on, 1, 2 or 4.
static void run_outputs(const plain *p, const part *at, const float *const *table, size_t channel,
                        size_t outputs)
{
    const rml_window *w = &p->window;
    const size_t width = (size_t)w->out[2], plane = (size_t)(w->out[0] * w->out[1] * w->out[2]);
    const size_t all = p->groups * p->cols, filter = p->planes * p->taps;
    const float *weight = p->args->in[1].data + channel * filter, *bias = rml_conv_bias(p->args);
    const rml_activation *act = &p->args->attr->conv.act;
    const bool clamp = act->kind == RML_UNARY_CLAMP && !rml_conv_residual(p->args);
    float *dst = p->args->out[0].data + (at->image * all + channel) * plane +
                 (at->z * (size_t)w->out[1] + at->row) * width + at->column;
    rml_conv_plain_rows rows = {.src = table,
                                .planes = p->planes,
                                .taps = p->taps,
                                .lag = p->lag,
                                .pointers = p->pointers,
                                .outs = outputs,
                                .count = at->columns,
                                .rows = at->rows,
                                .src_step = (size_t)w->stride[1] * p->copy.row_floats,
                                .dst_step = width,
                                .low = clamp ? act->param[0] : -INFINITY,
                                .high = clamp ? act->param[1] : INFINITY};
    for (size_t o = 0; o < outputs; o++) {
        rows.weight[o] = weight + o * filter;
        rows.bias[o] = bias ? bias[channel + o] : 0.0f;
        rows.dst[o] = dst + o * plane;
    }
    if (p->together == 1)
        RML_KERNEL(p->args->kernels, conv_plain)(&rows);
    else
        run_rows_apart(p, &rows);
    for (size_t i = 0; i < outputs && !clamp; i++, dst += plane)
        if (at->columns == width)
            rml_conv_epilogue(p->args, dst, at->rows * width);
        else
            for (size_t y = 0; y < at->rows; y++)
                rml_conv_epilogue(p->args, dst + y * width, at->columns);
}

static void run_parts(void *context, size_t begin, size_t end, int worker)
{
    const plain *p = context;
    const size_t height = (size_t)p->window.out[1], width = (size_t)p->window.out[2];
    char *scratch = rml_op_worker(p->args, worker);
    float *copy = (float *)(void *)scratch + p->lead;
    const float **table = (const float **)(void *)(scratch + copy_bytes(p));
    point(p, copy, table);
    for (size_t i = begin; i < end; i++) {
        size_t rest = i;
        part at;
        at.column = rest % p->blocks * p->columns;
        at.columns = rml_min_size(p->columns, width - at.column);
        rest /= p->blocks;
        at.row = rest % p->bands * p->band;
        at.rows = rml_min_size(p->band, height - at.row);
        rest /= p->bands;
        at.z = rest % (size_t)p->window.out[0];
        rest /= (size_t)p->window.out[0];
        at.group = rest % p->groups;
        at.image = rest / p->groups;
        copy_planes(p, &at, copy);
        for (size_t c = 0, some; c < p->cols; c += some) {
            some = p->cols - c >= 4 ? 4 : p->cols - c >= 2 ? 2 : 1;
            run_outputs(p, &at, table, at.group * p->cols + c, some);
        }
    }
}

void rml_conv_plain_run(const rml_op_args *args)
{
    plain p = plain_of(args);
    const size_t images = (size_t)args->out[0].dim[0];
    const size_t parts = images * p.groups * (size_t)p.window.out[0] * p.bands * p.blocks;
    rml_pool_run(args->pool, parts, parts / (CHUNKS * (size_t)args->threads) + 1, run_parts, &p);
}
