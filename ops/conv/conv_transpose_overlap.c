// Transposed convolution by one product for all taps, whose columns are added up where they
// overlap: for few outputs, which would fill a panel badly tap by tap, and for strides of so many
// steps that phases had little to do each, as in the inverse of a short-time Fourier transform.
//
// A worker takes a part of the output and multiplies what reaches it, row by row of the input and
// chunk by chunk of its columns. An output gets its summands in one order, however the image is
// cut.
#include "ops/conv/conv_transpose.h"

#include "kernels/pack.h"
#include "ops/matmul/pack_weight.h"
#include "tensor/size.h"

#define FEW_COLS 4
// Columns of the input that are multiplied at once, and floats that they make.
#define MOST_PIXELS 192
#define PART_FLOATS ((size_t)96 * 1024)
#define PARTS_A_WORKER 4
#define LONG_RUN 64 // floats

typedef struct overlap {
    const rml_op_args *args;
    rml_window window;
    size_t groups, depth, cols, taps;
    size_t pitch;              // floats of a pixel's columns, all taps of a group
    int64_t part[2], parts[2]; // outputs of a part along each axis, and how many parts
} overlap;

static overlap overlap_of(const rml_op_args *args)
{
    overlap o = {.args = args,
                 .window = rml_conv_transpose_window(args),
                 .groups = (size_t)args->attr->conv.groups,
                 .depth = rml_transpose_depth(args),
                 .cols = rml_transpose_cols(args),
                 .taps = rml_conv_taps(args)};
    o.pitch =
        rml_pack_count(&RML_KERNEL(args->kernels, gemm_f32), 1, 1, rml_sat_mul(o.taps, o.cols));
    return o;
}

bool rml_transpose_overlap_accepts(const rml_op_args *args)
{
    const rml_window window = rml_conv_transpose_window(args);
    return rml_transpose_cols(args) <= FEW_COLS || rml_phase_count(&window) > RML_MAX_PHASES;
}

static size_t group_floats(const overlap *o)
{
    return rml_sat_mul(o->depth, o->pitch);
}

size_t rml_transpose_overlap_packed_bytes(const rml_op_args *args)
{
    const overlap o = overlap_of(args);
    return rml_sat_mul(rml_sat_mul(o.groups, sizeof(float)), group_floats(&o));
}

rml_status rml_transpose_overlap_pack(const rml_op_args *args, const rml_constant *weight,
                                      void *packed, const rml_allocator *allocator, rml_error *err)
{
    const overlap o = overlap_of(args);
    const rml_gemm *gemm = &RML_KERNEL(args->kernels, gemm_f32);
    const size_t columns = o.taps * o.cols, count = o.depth * columns;
    const size_t bytes = rml_sat_mul(count, 2 * sizeof(float));
    float *rows = rml_alloc(allocator, bytes), *dst = packed;
    if (!rows)
        return rml_fail_nomem(err, bytes, "packing weights");
    float *matrix = rows + count; // [depth][taps][cols]
    for (size_t group = 0; group < o.groups; group++, dst += group_floats(&o)) {
        rml_constant_read(weight, 0, (int64_t)(group * o.depth), (int64_t)o.depth, rows);
        for (size_t k = 0; k < o.depth; k++)
            for (size_t n = 0; n < columns; n++)
                matrix[k * columns + n] = rows[k * columns + n % o.cols * o.taps + n / o.cols];
        for (size_t n = 0; n < columns; n += gemm->nr)
            rml_pack_panel(gemm, dst + n * o.depth, matrix + n, 1, o.depth,
                           rml_min_size(gemm->nr, columns - n), 0, columns, 1);
    }
    rml_free(allocator, rows);
    return RML_OK;
}

// Columns of the input whose products are kept at once.
static int64_t chunk_of(const overlap *o)
{
    const size_t most = PART_FLOATS / (o->pitch < PART_FLOATS ? o->pitch : PART_FLOATS);
    return (int64_t)rml_min_size(most < 16 ? 16 : most, MOST_PIXELS);
}

size_t rml_transpose_overlap_worker_bytes(const rml_op_args *args)
{
    const overlap o = overlap_of(args);
    return rml_aligned_bytes(rml_sat_mul((size_t)chunk_of(&o), o.pitch), sizeof(float));
}

// Inputs along an axis that reach outputs [first, stop): [*begin, *end).
static void reaching(const rml_window *w, int axis, int64_t first, int64_t stop, int64_t *begin,
                     int64_t *end)
{
    const int64_t stride = w->stride[axis],
                  low = first + w->before[axis] - rml_window_span(w, axis);
    const int64_t high = stop - 1 + w->before[axis];
    *begin = low < 0 ? 0 : low / stride + 1;
    *end = high < 0 ? 0 : high / stride + 1;
    *end = *end < w->in[axis] ? *end : w->in[axis];
}

// A part of the output of one image.
typedef struct part {
    int64_t image, row, stop_row, col, stop_col;
} part;

// Adds the products of one input pixel and one row of the kernel, which follow each other in memory
// as the outputs do. `at`: the column of the output that the kernel's first column falls on.
static void add_run(const overlap *o, const part *p, int64_t at, const float *products, float *row)
{
    const int64_t cols = (int64_t)o->cols, end = at + o->window.kernel[1];
    const int64_t first = at < p->col ? p->col : at, stop = end < p->stop_col ? end : p->stop_col;
    float *y = row + first * cols;
    if (first < stop)
        RML_KERNEL(o->args->kernels, binary[RML_BINARY_ADD])
    (y, products + (first - at) * cols, y, (size_t)((stop - first) * cols));
}

// Adds the products of pixels [begin, end) of an input row and one element of the kernel. `at`: the
// column of the output that pixel 0 falls on.
static void add_tap(const overlap *o, const part *p, int64_t at, int64_t begin, int64_t end,
                    const float *products, float *row)
{
    const int64_t stride = o->window.stride[1], low = p->col - at, high = p->stop_col - at;
    const int64_t skipped = low > 0 ? (low + stride - 1) / stride : 0;
    const int64_t limit = high > 0 ? (high - 1) / stride + 1 : 0;
    const int64_t first = begin > skipped ? begin : skipped, stop = end < limit ? end : limit;
    const int64_t pixel = o->args->out[0].stride[3], step = stride * pixel;
    const float *added = products + (first - begin) * (int64_t)o->pitch;
    float *y = row + at * pixel + first * step;
    if (o->cols == 1)
        for (int64_t x = first; x < stop; x++, added += o->pitch, y += step)
            *y += *added;
    else
        for (int64_t x = first; x < stop; x++, added += o->pitch, y += step)
            for (size_t c = 0; c < o->cols; c++)
                y[c] += added[c];
}

// What pixels [begin, end) of one input row add. Short runs would overlap the run before while that
// is still on its way to the cache: there, an element of the kernel at a time.
static void add_products(const overlap *o, const part *p, int64_t in_row, int64_t begin,
                         int64_t end, const float *products, float *group_out)
{
    const rml_window *w = &o->window;
    const rml_tensor *out = &o->args->out[0];
    const bool dense = w->dilation[1] == 1 && out->stride[3] == (int64_t)o->cols;
    const size_t run = (size_t)w->kernel[1] * o->cols;
    for (int64_t ky = 0; ky < w->kernel[0]; ky++) {
        const int64_t y = in_row * w->stride[0] - w->before[0] + ky * w->dilation[0];
        const float *taps = products + (size_t)ky * run;
        float *row = group_out + y * out->stride[2];
        if (y < p->row || y >= p->stop_row)
            continue;
        if (dense && run >= LONG_RUN)
            for (int64_t x = begin; x < end; x++, taps += o->pitch)
                add_run(o, p, x * w->stride[1] - w->before[1], taps, row);
        else
            for (int64_t k = 0; k < w->kernel[1]; k++, taps += o->cols)
                add_tap(o, p, k * w->dilation[1] - w->before[1], begin, end, taps, row);
    }
}

static void multiply(const overlap *o, size_t group, const float *src, size_t pixels, float *dst)
{
    const rml_gemm *gemm = &RML_KERNEL(o->args->kernels, gemm_f32);
    const float *packed = (const float *)o->args->packed + group * group_floats(o);
    const size_t step = (size_t)o->args->in[0].stride[3];
    for (size_t i = 0; i < pixels; i += gemm->mr)
        rml_pack_multiply(gemm, src + i * step, step, rml_min_size(gemm->mr, pixels - i), o->depth,
                          packed, o->pitch, dst + i * o->pitch, o->pitch);
}

static void start(const overlap *o, const part *p, float *image)
{
    const rml_tensor *out = &o->args->out[0];
    const float *bias = rml_conv_bias(o->args);
    const size_t channels = (size_t)out->dim[1];
    for (int64_t y = p->row; y < p->stop_row; y++)
        for (int64_t x = p->col; x < p->stop_col; x++) {
            float *pixel = image + y * out->stride[2] + x * out->stride[3];
            for (size_t c = 0; c < channels; c++)
                pixel[c] = bias ? bias[c] : 0.0f;
        }
}

// The residual and the activation, of pixels that follow each other or one by one.
static void finish(const overlap *o, const part *p, float *image)
{
    const rml_op_args *args = o->args;
    const rml_tensor *out = &args->out[0], *residual = rml_conv_residual(args);
    const rml_activation *act = &args->attr->conv.act;
    const bool dense =
        out->stride[3] == out->dim[1] && (!residual || residual->stride[3] == out->dim[1]);
    const int64_t step = dense ? p->stop_col - p->col : 1;
    const size_t count = (size_t)(step * out->dim[1]);
    for (int64_t y = p->row; y < p->stop_row; y++)
        for (int64_t x = p->col; x < p->stop_col; x += step) {
            float *at = image + y * out->stride[2] + x * out->stride[3];
            if (residual)
                RML_KERNEL(args->kernels, binary[RML_BINARY_ADD])
            (at,
             residual->data + p->image * residual->stride[0] + y * residual->stride[2] +
                 x * residual->stride[3],
             at, count);
            if (!rml_activation_is_none(act))
                RML_KERNEL(args->kernels, unary[act->kind])(at, at, count, act->param);
        }
}

static void run_part(const overlap *o, const part *p, float *products)
{
    const rml_tensor *in = &o->args->in[0], *out = &o->args->out[0];
    float *image = out->data + p->image * out->stride[0];
    const int64_t chunk = chunk_of(o);
    int64_t top, bottom, left, right;
    reaching(&o->window, 0, p->row, p->stop_row, &top, &bottom);
    reaching(&o->window, 1, p->col, p->stop_col, &left, &right);
    start(o, p, image);
    for (size_t group = 0; group < o->groups; group++)
        for (int64_t row = top; row < bottom; row++) {
            const float *src = in->data + p->image * in->stride[0] + row * in->stride[2] +
                               (int64_t)(group * o->depth);
            for (int64_t begin = left, end; begin < right; begin = end) {
                end = begin / chunk * chunk + chunk; // the same chunks in every part
                end = end < right ? end : right;
                multiply(o, group, src + begin * in->stride[3], (size_t)(end - begin), products);
                add_products(o, p, row, begin, end, products, image + (int64_t)(group * o->cols));
            }
        }
    finish(o, p, image);
}

static void run_parts(void *context, size_t begin, size_t end, int worker)
{
    const overlap *o = context;
    float *products = rml_op_worker(o->args, worker);
    for (size_t i = begin; i < end; i++) {
        const int64_t col = (int64_t)i % o->parts[1] * o->part[1];
        const int64_t row = (int64_t)i / o->parts[1] % o->parts[0] * o->part[0];
        const rml_window *w = &o->window;
        const part p = {.image = (int64_t)i / o->parts[1] / o->parts[0],
                        .row = row,
                        .stop_row = row + o->part[0] < w->out[0] ? row + o->part[0] : w->out[0],
                        .col = col,
                        .stop_col = col + o->part[1] < w->out[1] ? col + o->part[1] : w->out[1]};
        run_part(o, &p, products);
    }
}

void rml_transpose_overlap_run(const rml_op_args *args)
{
    overlap o = overlap_of(args);
    const int64_t images = args->out[0].dim[0];
    const int64_t want = args->threads > 1 ? PARTS_A_WORKER * args->threads : 1;
    o.parts[0] = o.parts[1] = 1;
    // What is needed of the neighbours is multiplied twice, so that parts are several kernels long.
    for (int axis = 0; axis < 2; axis++) {
        const int64_t least = 4 * rml_window_span(&o.window, axis), size = o.window.out[axis];
        const int64_t share = (size + want - 1) / want;
        o.part[axis] = images * o.parts[0] >= want ? size : share > least ? share : least;
        o.part[axis] = o.part[axis] < size ? o.part[axis] : size;
        o.parts[axis] = (size + o.part[axis] - 1) / o.part[axis];
    }
    rml_pool_run(args->pool, (size_t)(images * o.parts[0] * o.parts[1]), 1, run_parts, &o);
}
