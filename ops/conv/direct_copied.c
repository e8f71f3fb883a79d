// Direct convolution from copied rows. The rows that a row of outputs reads are kept in a ring of
// rows that holds some channels and some columns, padded: so they stay in the first-level cache
// until the last row of outputs has read them, however many channels lie between the same of two
// pixels, and every output is one that no edge cuts. Planes become pixels on the way.
#include "ops/conv/direct.h"

#include "tensor/size.h"

#include <math.h>
#include <string.h>

#define RING_BYTES ((size_t)24 * 1024)
#define LEAST_COLUMNS 16
// Of the output rows that a worker takes, which an activation meets again.
#define BAND_BYTES ((size_t)256 * 1024)
#define LEAST_ROWS 3 // times the rows of a window: those above a band are copied twice

typedef struct copied {
    const rml_op_args *args;
    const rml_direct *direct;
    rml_conv_groups unit; // the fewest whole groups that are blocks
    size_t blocks;        // of a unit
    size_t slice;         // units whose channels are copied together
    int64_t columns;      // outputs that are computed from one ring
    size_t ring_rows, row_floats;
    size_t band, bands;
    size_t taps;
} copied;

static size_t inputs_of(const rml_conv_groups *g)
{
    return g->channels / g->cols * g->depth;
}

static copied copied_of(const rml_op_args *args, const rml_direct *direct)
{
    const rml_window *w = &direct->window;
    const rml_conv_groups *g = &direct->groups;
    const size_t lanes = RML_KERNEL(args->kernels, conv_lanes),
                 groups = rml_conv_block_groups(g, lanes);
    copied c = {.args = args, .direct = direct, .unit = *g};
    c.unit.channels = rml_min_size(groups ? groups * g->cols : g->cols, g->channels);
    c.blocks = rml_conv_blocks(&c.unit, lanes);
    c.taps = (size_t)(w->kernel[0] * w->kernel[1]);
    c.ring_rows = w->kernel[0] > 0 ? (size_t)rml_window_span(w, 0) : 1;
    const size_t pixel = inputs_of(&c.unit) * sizeof(float);
    const size_t span = w->kernel[1] > 0 ? (size_t)rml_window_span(w, 1) : 1;
    const size_t fit = RING_BYTES / rml_sat_mul(c.ring_rows, pixel);
    const size_t columns = fit > span ? (fit - span) / (size_t)w->stride[1] : 0;
    c.columns = (int64_t)rml_min_size(columns > LEAST_COLUMNS ? columns : LEAST_COLUMNS,
                                      w->out[1] > 0 ? (size_t)w->out[1] : 1);
    const size_t reach =
        rml_sat_add(rml_sat_mul((size_t)c.columns - 1, (size_t)w->stride[1]), span);
    const size_t ring = rml_sat_mul(rml_sat_mul(c.ring_rows, reach), pixel);
    const size_t units = (g->channels + c.unit.channels - 1) / c.unit.channels;
    c.slice = rml_min_size(ring < RING_BYTES ? RING_BYTES / ring : 1, units);
    c.row_floats = rml_sat_mul(rml_sat_mul(reach, c.slice), inputs_of(&c.unit));
    return c;
}

static size_t ring_bytes(const copied *c)
{
    return rml_aligned_bytes(rml_sat_mul(c->ring_rows, c->row_floats), sizeof(float));
}

// Of narrower images too, whose rings hold more units.
size_t rml_direct_copied_bytes(const rml_op_args *args, const rml_direct *direct)
{
    const copied c = copied_of(args, direct);
    const size_t units = (direct->groups.channels + c.unit.channels - 1) / c.unit.channels;
    const size_t all = rml_sat_mul(ring_bytes(&c) / c.slice, units);
    const size_t ring = rml_aligned_bytes(rml_min_size(all, RING_BYTES), 1);
    return rml_sat_add(ring > ring_bytes(&c) ? ring : ring_bytes(&c),
                       rml_aligned_bytes(c.taps, sizeof(float *)));
}

// What of the convolution one ring serves.
typedef struct part {
    int64_t image, column, columns; // of the output
    size_t first, channels;         // of the output
    size_t from, inputs;            // of the input
    float *ring;
    const float **table;
} part;

static float *ring_row(const copied *c, const part *p, int64_t row)
{
    return p->ring + (size_t)row % c->ring_rows * c->row_floats;
}

// Pixels that follow each other at once; others a vector at a time, whose size compilers know.
static void copy_pixels(const float *restrict src, size_t step, size_t floats, size_t pixels,
                        float *restrict dst)
{
    if (step == floats) {
        memcpy(dst, src, pixels * floats * sizeof *dst);
        return;
    }
    for (size_t x = 0; x < pixels; x++, src += step, dst += floats) {
        size_t i = 0;
        for (; i + 8 <= floats; i += 8)
            memcpy(dst + i, src + i, 8 * sizeof *dst);
        for (; i < floats; i++)
            dst[i] = src[i];
    }
}

// Row `row` of the input, which is inside, with what is to the left and right of it.
static void copy_row(const copied *c, const part *p, int64_t row)
{
    const rml_window *w = &c->direct->window;
    const rml_tensor *in = c->direct->in;
    const int64_t begin = p->column * w->stride[1] - w->before[1];
    const int64_t end = begin + (p->columns - 1) * w->stride[1] + rml_window_span(w, 1);
    const int64_t first = begin < 0 ? 0 : begin < in->dim[3] ? begin : in->dim[3];
    const int64_t stop = end > in->dim[3] ? in->dim[3] : end < first ? first : end;
    float *dst = ring_row(c, p, row);
    const size_t left = (size_t)(first - begin < end - begin ? first - begin : end - begin);
    memset(dst, 0, left * p->inputs * sizeof *dst);
    dst += left * p->inputs;
    if (stop > first) {
        const float *src = in->data + p->image * in->stride[0] + row * in->stride[2] +
                           first * in->stride[3] + (int64_t)p->from * in->stride[1];
        if (rml_direct_reads_planes(in))
            RML_KERNEL(c->args->kernels, transpose)
        (src, (size_t)in->stride[1], dst, p->inputs, p->inputs, (size_t)(stop - first));
        else copy_pixels(src, (size_t)in->stride[3], p->inputs, (size_t)(stop - first), dst);
        dst += (size_t)(stop - first) * p->inputs;
        memset(dst, 0, (size_t)(end - stop) * p->inputs * sizeof *dst);
    } else {
        memset(dst, 0, ((size_t)(end - begin) - left) * p->inputs * sizeof *dst);
    }
}

// Pointers to the taps that lie inside the height, and the number of those in front of them.
static size_t point(const copied *c, const part *p, int64_t y, size_t *taps)
{
    const rml_window *w = &c->direct->window;
    const size_t step = (size_t)w->dilation[1] * p->inputs;
    int64_t row = y * w->stride[0] - w->before[0];
    size_t skipped = 0;
    *taps = 0;
    for (int64_t ty = 0; ty < w->kernel[0]; ty++, row += w->dilation[0]) {
        if (row < 0) {
            skipped += (size_t)w->kernel[1];
            continue;
        }
        if (row >= c->direct->in->dim[2])
            break;
        const float *at = ring_row(c, p, row);
        for (int64_t tx = 0; tx < w->kernel[1]; tx++, at += step)
            p->table[(*taps)++] = at;
    }
    return skipped;
}

static void run_part(const copied *c, const part *p, int64_t top, int64_t bottom)
{
    const rml_direct *direct = c->direct;
    const rml_window *w = &direct->window;
    const rml_tensor *out = direct->out, *residual = direct->residual;
    const bool clamp = direct->act->kind == RML_UNARY_CLAMP;
    const size_t lanes = RML_KERNEL(c->args->kernels, conv_lanes),
                 row_floats = direct->groups.depth * lanes;
    const size_t block = p->first / c->unit.channels * c->blocks;
    int64_t next = 0; // row of the input that is copied next
    rml_conv_direct_row row = {.src = p->table,
                               .pixels = (size_t)p->columns,
                               .src_step = (size_t)w->stride[1] * p->inputs,
                               .dst_step = (size_t)out->stride[3],
                               .residual_step = residual ? (size_t)residual->stride[3] : 0,
                               .groups = {direct->groups.depth, direct->groups.cols, p->channels},
                               .weight_step = c->taps * row_floats,
                               .bias = direct->bias ? direct->bias + p->first : NULL,
                               .low = clamp ? direct->act->param[0] : -INFINITY,
                               .high = clamp ? direct->act->param[1] : INFINITY};
    for (int64_t y = top; y < bottom; y++) {
        const int64_t first = y * w->stride[0] - w->before[0], stop = first + (int64_t)c->ring_rows;
        const rml_window_at at = {p->image, y, p->column};
        next = next < first ? first : next;
        for (; c->taps && next < stop && next < direct->in->dim[2]; next++)
            copy_row(c, p, next);
        const size_t skipped = point(c, p, y, &row.taps);
        row.weight = direct->packed + block * row.weight_step + skipped * row_floats;
        row.dst = rml_window_out(&at, out) + p->first;
        row.residual = residual ? rml_window_out(&at, residual) + p->first : NULL;
        RML_KERNEL(c->args->kernels, conv_direct)(&row);
    }
}

static void run_bands(void *context, size_t begin, size_t end, int worker)
{
    const copied *c = context;
    const rml_direct *direct = c->direct;
    const size_t lines = ring_bytes(c) + rml_aligned_bytes(c->taps, sizeof(float *));
    char *scratch = c->args->scratch + (size_t)worker * lines;
    part p = {.ring = (float *)(void *)scratch,
              .table = (const float **)(void *)(scratch + ring_bytes(c))};
    for (size_t i = begin; i < end; i++) {
        const int64_t top = (int64_t)(i % c->bands * c->band);
        const int64_t bottom =
            (int64_t)rml_min_size((size_t)top + c->band, (size_t)direct->window.out[0]);
        const int64_t width = direct->window.out[1];
        p.image = (int64_t)(i / c->bands);
        for (p.first = 0; p.first < direct->groups.channels; p.first += p.channels) {
            p.channels =
                rml_min_size(c->slice * c->unit.channels, direct->groups.channels - p.first);
            p.from = p.first / direct->groups.cols * direct->groups.depth;
            p.inputs = p.channels / direct->groups.cols * direct->groups.depth;
            for (p.column = 0; p.column < width; p.column += p.columns) {
                p.columns = width - p.column < c->columns ? width - p.column : c->columns;
                run_part(c, &p, top, bottom);
            }
        }
        for (int64_t y = top; y < bottom; y++) {
            const rml_window_at at = {p.image, y, 0};
            rml_direct_activate(c->args, direct, rml_window_out(&at, direct->out), (size_t)width);
        }
    }
}

void rml_direct_copied_run(const rml_op_args *args, const rml_direct *direct)
{
    copied c = copied_of(args, direct);
    const size_t height = (size_t)direct->window.out[0], images = (size_t)direct->out->dim[0];
    const size_t row_bytes =
        (size_t)direct->window.out[1] * direct->groups.channels * sizeof(float);
    const size_t fit = BAND_BYTES / (row_bytes + 1);
    const size_t share = (height + 2 * (size_t)args->threads - 1) / (2 * (size_t)args->threads);
    c.band = rml_min_size(fit > LEAST_ROWS ? fit : LEAST_ROWS, args->threads > 1 ? share : height);
    c.bands = (height + c.band - 1) / c.band;
    rml_pool_run(args->pool, images * c.bands, 1, run_bands, &c);
}
