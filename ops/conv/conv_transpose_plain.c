// Transposed convolution of plain images to few channels, without a reorder: each phase, see
// conv_transpose.c, is a convolution of the input as it lies, whose rows are computed into a stage;
// from there phases of the same row go beside each other. The rows that a band of outputs reads are
// copied, padded, once for all phases. Each worker copies for itself.
#include "ops/conv/conv_transpose.h"
#include "ops/conv/plain_rows.h"

#include "tensor/size.h"

#include <math.h>

#define COPY_BYTES ((size_t)24 * 1024) // that shall stay in the first-level cache
#define LEAST_BAND ((size_t)8)
#define MOST_COLUMNS ((size_t)1024)
#define LEAST_COLUMNS 14 // fewer fill no vector
#define FEW_OUTPUTS 4
#define FEW_PLANES 64

typedef struct plain {
    const rml_op_args *args;
    rml_window window; // of two dimensions
    size_t depth, cols;
    int64_t top, left;    // input offsets of the first taps of all phases
    size_t reach;         // rows that those of one output row of all phases span
    size_t height, width; // positions of phases, see rml_phase
    size_t band, bands, columns, blocks;
    size_t rows;           // of a plane, copied
    size_t filters, table; // numbers and pointers of all phases
    rml_plain_copy copy;
} plain;

static rml_window in_two(const rml_window *window)
{
    rml_window w = *window;
    if (w.rank == 1) {
        w.rank = 2;
        w.in[1] = w.in[0], w.out[1] = w.out[0], w.kernel[1] = w.kernel[0];
        w.stride[1] = w.stride[0], w.dilation[1] = w.dilation[0], w.before[1] = w.before[0];
        w.in[0] = w.out[0] = w.kernel[0] = w.stride[0] = w.dilation[0] = 1;
        w.before[0] = 0;
    }
    return w;
}

// Rows of one output that are computed at once, as taps of a row begin among those of the row
// before, or where they end.
static size_t together_of(const plain *p, const rml_phases *phase)
{
    if (p->cols > 1 || phase->y.step > 1 || phase->x.count == 0)
        return 1;
    return phase->y.count >= 3 ? 4 : phase->y.count >= 1 ? 2 : 1;
}

static size_t taps_of(const rml_phases *phase)
{
    return (size_t)(phase->y.count * phase->x.count);
}

// Of a plane: those of the row before and the next ones.
static size_t pointers_of(const plain *p, const rml_phases *phase)
{
    return taps_of(phase) + (together_of(p, phase) - 1) * (size_t)phase->x.count;
}

// Widens [*low, *high) by the offsets that a phase reads along an axis.
static void widen(const rml_phase *phase, int64_t *low, int64_t *high)
{
    const int64_t stop = phase->first + (phase->count - 1) * phase->step + 1;
    if (phase->count == 0)
        return;
    if (*high <= *low) {
        *low = phase->first;
        *high = stop;
    }
    *low = phase->first < *low ? phase->first : *low;
    *high = stop > *high ? stop : *high;
}

static plain plain_of(const rml_op_args *args)
{
    const rml_window window = rml_conv_transpose_window(args), w = in_two(&window);
    plain p = {.args = args, .window = w};
    p.depth = (size_t)args->in[1].dim[0];
    p.cols = (size_t)args->in[1].dim[1];
    int64_t bottom = 0, right = 0;
    for (size_t at = 0; at < rml_phase_count(&w); at++) {
        const rml_phases phase = rml_phases_of(&w, at);
        widen(&phase.y, &p.top, &bottom);
        widen(&phase.x, &p.left, &right);
        p.table += p.depth * pointers_of(&p, &phase);
    }
    p.filters = p.depth * p.cols * (size_t)(w.kernel[0] * w.kernel[1]);
    p.reach = bottom > p.top ? (size_t)(bottom - p.top) : 1;
    p.height = (size_t)((w.out[0] + w.stride[0] - 1) / w.stride[0]);
    p.width = (size_t)((w.out[1] + w.stride[1] - 1) / w.stride[1]);
    p.columns = rml_min_size(p.width, MOST_COLUMNS);
    p.blocks = p.columns ? (p.width + p.columns - 1) / p.columns : 0;
    const size_t beside = right > p.left ? (size_t)(right - p.left - 1) : 0;
    const size_t pitch = rml_sat_add(p.columns, beside + RML_CONV_PLAIN_PAD);
    p.copy = (rml_plain_copy){w.in[0], w.in[1], 1, pitch, pitch};
    const size_t fit = COPY_BYTES / sizeof(float) / rml_sat_mul(p.depth, pitch);
    const size_t band = fit > p.reach ? fit - p.reach : 0;
    p.band = rml_min_size(band > LEAST_BAND ? band : LEAST_BAND, p.height);
    p.bands = p.band ? (p.height + p.band - 1) / p.band : 0;
    p.rows = rml_sat_add(p.band, p.reach - 1);
    return p;
}

// Scratch of a worker: the copy, the stage of a row of phases, filters, and pointers to taps.
static size_t copy_bytes(const plain *p)
{
    return rml_aligned_bytes(rml_sat_mul(rml_sat_mul(p->depth, p->rows), p->copy.pitch),
                             sizeof(float));
}

static size_t stage_bytes(const plain *p)
{
    return rml_aligned_bytes(p->cols * (size_t)p->window.stride[1] * p->band * p->columns,
                             sizeof(float));
}

size_t rml_transpose_plain_bytes(const rml_op_args *args)
{
    const plain p = plain_of(args);
    return rml_sat_add(rml_sat_add(copy_bytes(&p), stage_bytes(&p)),
                       rml_sat_add(rml_aligned_bytes(p.filters, sizeof(float)),
                                   rml_aligned_bytes(p.table, sizeof(float *))));
}

bool rml_transpose_plain_accepts(const rml_op_args *args)
{
    const rml_tensor *w = &args->in[1];
    if ((w->rank != 3 && w->rank != 4) || args->attr->conv.groups != 1 || w->dim[0] < 1 ||
        w->dim[0] > FEW_PLANES || w->dim[1] < 1 || w->dim[1] > FEW_OUTPUTS)
        return false;
    const rml_window window = rml_conv_transpose_window(args), two = in_two(&window);
    if (two.kernel[0] < 1 || two.kernel[1] < 1 || rml_phase_count(&two) > RML_MAX_PHASES)
        return false;
    const plain p = plain_of(args);
    return copy_bytes(&p) <= RML_PLAIN_MOST_BYTES;
}

bool rml_transpose_plain_fits(const rml_op_attr *attr, const rml_fact *in, int in_count)
{
    const rml_shape *x = &in[0].shape, *w = &in[1].shape;
    const int64_t *stride = attr->conv.window.stride;
    (void)in_count;
    return x->rank == w->rank && attr->conv.groups == 1 && w->dim[0] <= FEW_PLANES &&
           w->dim[1] <= FEW_OUTPUTS && x->dim[w->rank - 1] >= LEAST_COLUMNS &&
           rml_sat_mul((size_t)stride[0], w->rank == 3 ? 1 : (size_t)stride[1]) <= RML_MAX_PHASES;
}

// What is computed from one copy: positions of phases, of an image.
typedef struct part {
    size_t image, row, rows, column, columns;
} part;

// Filters and pointers of all phases, one behind the other.
static void prepare(const plain *p, const float *copy, float *filter, const float **table)
{
    const rml_window *w = &p->window;
    const float *weight = p->args->in[1].data;
    const size_t kernel = (size_t)(w->kernel[0] * w->kernel[1]);
    for (size_t at = 0; at < rml_phase_count(w); at++) {
        const rml_phases phase = rml_phases_of(w, at);
        const size_t taps = taps_of(&phase), pointers = pointers_of(p, &phase);
        for (size_t o = 0; o < p->cols; o++)
            for (size_t k = 0; k < p->depth; k++)
                for (size_t t = 0; t < taps; t++)
                    *filter++ = weight[(k * p->cols + o) * kernel + rml_phase_tap(w, &phase, t)];
        for (size_t k = 0; k < p->depth; k++)
            for (size_t t = 0; t < pointers; t++) {
                const int64_t y = (int64_t)t / phase.x.count, x = (int64_t)t % phase.x.count;
                const size_t row = (size_t)(phase.y.first - p->top + y * phase.y.step);
                const size_t column = (size_t)(phase.x.first - p->left + x * phase.x.step);
                *table++ = copy + (k * p->rows + row) * p->copy.pitch + column;
            }
    }
}

static void copy_planes(const plain *p, const part *at, float *copy)
{
    const size_t plane = (size_t)(p->window.in[0] * p->window.in[1]);
    const float *src = p->args->in[0].data + at->image * p->depth * plane;
    for (size_t k = 0; k < p->depth; k++, src += plane, copy += p->rows * p->copy.pitch)
        rml_plain_copy_rows(&p->copy, src, (int64_t)at->row + p->top, (int64_t)at->column + p->left,
                            at->rows + p->reach - 1, copy);
}

// One phase to the stage, [cols][rows][columns].
static void run_phase(const plain *p, const part *at, const rml_phases *phase, const float *filter,
                      const float *const *table, float *stage)
{
    const float *bias = rml_conv_bias(p->args);
    const size_t taps = taps_of(phase), together = together_of(p, phase);
    const size_t step = at->rows * at->columns;
    for (size_t c = 0, some; c < p->cols; c += some) {
        some = p->cols - c >= 4 ? 4 : p->cols - c >= 2 ? 2 : 1;
        rml_conv_plain_rows rows = {.src = table,
                                    .planes = p->depth,
                                    .taps = taps,
                                    .lag = together > 1 ? (size_t)phase->x.count : 0,
                                    .pointers = pointers_of(p, phase),
                                    .outs = some,
                                    .count = at->columns,
                                    .rows = at->rows,
                                    .src_step = p->copy.pitch,
                                    .dst_step = at->columns,
                                    .low = -INFINITY,
                                    .high = INFINITY};
        for (size_t o = 0; o < some; o++) {
            rows.weight[o] = filter + (c + o) * p->depth * taps;
            rows.bias[o] = bias ? bias[c + o] : 0.0f;
            rows.dst[o] = stage + (c + o) * step;
        }
        if (together > 1)
            rml_plain_run_rows(p->args->kernels, &rows, together);
        else
            RML_KERNEL(p->args->kernels, conv_plain)(&rows);
    }
}

// The columns of a row's phases, `step` numbers apart, beside each other.
static void join(const float *restrict src, size_t step, size_t phases, size_t count,
                 float *restrict dst)
{
    const size_t whole = count / phases;
    if (phases == 2) // known to the compiler, several at once
        for (size_t i = 0; i < whole; i++) {
            dst[2 * i] = src[i];
            dst[2 * i + 1] = src[step + i];
        }
    else
        for (size_t x = 0; x < phases; x++)
            for (size_t i = 0; i < whole; i++)
                dst[i * phases + x] = src[x * step + i];
    for (size_t x = 0; x < count % phases; x++)
        dst[whole * phases + x] = src[x * step + whole];
}

// The phases of row `y` of a stride, which are the `stride[1]` ones from there on.
static void join_rows(const plain *p, const part *at, size_t y, const float *stage)
{
    const rml_window *w = &p->window;
    const size_t stride = (size_t)w->stride[1], height = (size_t)w->out[0];
    const size_t width = (size_t)w->out[1], first = at->column * stride;
    const size_t count = rml_min_size(at->columns * stride, width - first);
    const size_t step = p->cols * at->rows * at->columns;
    for (size_t c = 0; c < p->cols; c++)
        for (size_t r = 0; r < at->rows; r++, stage += at->columns) {
            const size_t row = (at->row + r) * (size_t)w->stride[0] + y;
            if (row >= height)
                continue;
            float *dst =
                p->args->out[0].data + ((at->image * p->cols + c) * height + row) * width + first;
            join(stage, step, stride, count, dst);
            rml_conv_epilogue(p->args, dst, count);
        }
}

static void run_parts(void *context, size_t begin, size_t end, int worker)
{
    const plain *p = context;
    const rml_window *w = &p->window;
    char *scratch = rml_op_worker(p->args, worker);
    float *copy = (float *)(void *)scratch;
    float *stage = (float *)(void *)(scratch + copy_bytes(p));
    float *filters = (float *)(void *)(scratch + copy_bytes(p) + stage_bytes(p));
    const float **tables =
        (const float **)(void *)((char *)filters + rml_aligned_bytes(p->filters, sizeof(float)));
    prepare(p, copy, filters, tables);
    for (size_t i = begin; i < end; i++) {
        part at = {.column = i % p->blocks * p->columns,
                   .row = i / p->blocks % p->bands * p->band,
                   .image = i / p->blocks / p->bands};
        at.columns = rml_min_size(p->columns, p->width - at.column);
        at.rows = rml_min_size(p->band, p->height - at.row);
        copy_planes(p, &at, copy);
        const float *filter = filters, *const *table = tables;
        const size_t floats = p->cols * at.rows * at.columns;
        for (size_t y = 0; y < (size_t)w->stride[0]; y++) {
            for (size_t x = 0; x < (size_t)w->stride[1]; x++) {
                const rml_phases phase = rml_phases_of(w, y * (size_t)w->stride[1] + x);
                run_phase(p, &at, &phase, filter, table, stage + x * floats);
                filter += p->depth * p->cols * taps_of(&phase);
                table += p->depth * pointers_of(p, &phase);
            }
            join_rows(p, &at, y, stage);
        }
    }
}

void rml_transpose_plain_run(const rml_op_args *args)
{
    plain p = plain_of(args);
    rml_pool_run(args->pool, (size_t)args->out[0].dim[0] * p.bands * p.blocks, 1, run_parts, &p);
}
