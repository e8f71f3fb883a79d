// Softmax, its logarithm and the position of the maximum as ones and zeros, along one axis or over
// all dimensions from one on.
#include "ops/alone.h"
#include "ops/elementwise/widen.h"

#include "tensor/dtype.h"
#include "tensor/size.h"

#include <math.h>
#include <string.h>

#define CHUNK_ELEMENTS 4096

static rml_status infer_softmax(const rml_op_node *node, rml_shape *out, rml_error *err)
{
    char text[RML_SHAPE_TEXT_BYTES];
    const int axis =
        node->attr->softmax.axis + (node->attr->softmax.axis < 0 ? node->shape[0].rank : 0);
    const int most = node->shape[0].rank - (node->attr->softmax.flat ? 0 : 1);
    if (axis < 0 || axis > most)
        return rml_fail(err, RML_ERR_SHAPE, "axis %d is not one of input %s",
                        node->attr->softmax.axis, rml_shape_text(&node->shape[0], text));
    *out = node->shape[0];
    return RML_OK;
}

// A row is `count` elements `step` apart.
typedef struct rows {
    size_t count, step;
} rows;

static rows rows_of(const rml_op_args *args)
{
    const rml_softmax_attr *attr = &args->attr->softmax;
    const rml_tensor *in = &args->in[0];
    const int axis = attr->axis + (attr->axis < 0 ? in->rank : 0);
    rows row = {1, 1};
    for (int i = axis; i < in->rank; i++)
        if (i == axis || attr->flat)
            row.count *= (size_t)in->dim[i];
        else
            row.step *= (size_t)in->dim[i];
    return row;
}

static size_t first_of(const rows *row, size_t index)
{
    return index / row->step * row->step * row->count + index % row->step;
}

static void run_rows(const rml_op_args *args, rml_pool_fn fn)
{
    const size_t count = rows_of(args).count;
    rml_op_args copy = *args;
    const size_t chunk = count && count < CHUNK_ELEMENTS ? CHUNK_ELEMENTS / count : 1;
    if (count)
        rml_pool_run(args->pool, rml_tensor_count(&args->in[0]) / count, chunk, fn, &copy);
}

// ---- f32 ----------------------------------------------------------------------------------------

static bool has_kernel(const rml_op_args *args)
{
    return args->in[0].dtype == RML_F32 && args->attr->softmax.kind != RML_SOFTMAX_HARD;
}

// A row in double, or in f32.
static size_t row_bytes(const rml_op_args *args)
{
    return rml_aligned_bytes(rows_of(args).count, sizeof(double));
}

static void f32_rows(void *context, size_t begin, size_t end, int worker)
{
    const rml_op_args *args = context;
    const float *src = args->in[0].data; // both views are plain, so strides agree
    float *dst = args->out[0].data;
    const rows row = rows_of(args);
    float *copy = rml_op_worker(args, worker);
    const bool logarithm = args->attr->softmax.kind == RML_SOFTMAX_LOG;
    for (size_t i = begin; i < end; i++) {
        const size_t at = first_of(&row, i);
        if (row.step == 1) {
            RML_KERNEL(args->kernels, softmax)(src + at, dst + at, row.count, logarithm);
            continue;
        }
        for (size_t k = 0; k < row.count; k++)
            copy[k] = src[at + k * row.step];
        RML_KERNEL(args->kernels, softmax)(copy, copy, row.count, logarithm);
        for (size_t k = 0; k < row.count; k++)
            dst[at + k * row.step] = copy[k];
    }
}

static void run_f32(const rml_op_args *args)
{
    run_rows(args, f32_rows);
}

// ---- f32 in short rows, which are turned, some at a time: a vector has one element of each ------

#define SHORT_COUNT 8
#define TURNED 128

static bool is_short(const rml_op_args *args)
{
    const rows row = rows_of(args);
    return args->in[0].dtype == RML_F32 && args->attr->softmax.kind == RML_SOFTMAX &&
           row.step == 1 && row.count <= SHORT_COUNT;
}

static size_t short_bytes(const rml_op_args *args)
{
    (void)args;
    return (2 * SHORT_COUNT + 1) * TURNED * sizeof(float);
}

// `count` lines of `some` elements. Sums are joined by halves, as the kernel of a row joins lanes.
static void turned_softmax(const rml_kernels *kernels, float *x, float *work, size_t count,
                           size_t some)
{
    float *top = work, *sum = work + TURNED;
    memcpy(top, x, some * sizeof *top);
    for (size_t k = 1; k < count; k++)
        RML_KERNEL(kernels, binary_MAX)(top, x + k * TURNED, top, some);
    for (size_t k = 0; k < count; k++)
        RML_KERNEL(kernels, binary_SUB)(x + k * TURNED, top, x + k * TURNED, some);
    RML_KERNEL(kernels, unary_EXP)(x, x, (count - 1) * TURNED + some, NULL);
    memcpy(sum, x, count * TURNED * sizeof *sum);
    for (size_t half = SHORT_COUNT / 2, left = count; half > 0; half /= 2) {
        for (size_t k = half; k < left; k++)
            RML_KERNEL(kernels, binary_ADD)
        (sum + (k - half) * TURNED, sum + k * TURNED, sum + (k - half) * TURNED, some);
        left = rml_min_size(left, half);
    }
    for (size_t k = 0; k < count; k++)
        RML_KERNEL(kernels, binary_DIV)(x + k * TURNED, sum, x + k * TURNED, some);
}

static void short_rows(void *context, size_t begin, size_t end, int worker)
{
    const rml_op_args *args = context;
    const size_t count = rows_of(args).count;
    float *x = rml_op_worker(args, worker), *work = x + SHORT_COUNT * TURNED;
    memset(x, 0, SHORT_COUNT * TURNED * sizeof *x);
    for (size_t i = begin, some; i < end; i += some) {
        some = rml_min_size(TURNED, end - i);
        RML_KERNEL(args->kernels, transpose)
        (args->in[0].data + i * count, count, x, TURNED, some, count);
        turned_softmax(args->kernels, x, work, count, some);
        RML_KERNEL(args->kernels, transpose)
        (x, TURNED, args->out[0].data + i * count, count, count, some);
    }
}

static void run_short(const rml_op_args *args)
{
    run_rows(args, short_rows);
}

// ---- any type -----------------------------------------------------------------------------------

// ONNX defines softmax by steps, each of which rounds: with halves, doing better moves the result
// further from what its tests expect than they allow.
static void soften(rml_dtype dtype, double top, double *x, size_t count)
{
    double sum = 0;
    for (size_t k = 0; k < count; k++) {
        x[k] = dtype == RML_F64 ? exp(x[k] - top)
                                : rml_rounded_f64(dtype, exp(rml_rounded_f64(dtype, x[k] - top)));
        sum += x[k];
    }
    sum = dtype == RML_F64 ? sum : rml_rounded_f64(dtype, sum);
    for (size_t k = 0; k < count; k++)
        x[k] /= sum;
}

static void take_logarithm(double top, double *x, size_t count)
{
    double sum = 0;
    for (size_t k = 0; k < count; k++)
        sum += exp(x[k] - top);
    const double shift = log(sum);
    for (size_t k = 0; k < count; k++)
        x[k] = x[k] - top - shift;
}

static void compute(rml_softmax_kind kind, rml_dtype dtype, double *x, size_t count)
{
    size_t where = 0;
    for (size_t k = 1; k < count; k++)
        where = x[k] > x[where] ? k : where;
    if (kind == RML_SOFTMAX)
        soften(dtype, x[where], x, count);
    else if (kind == RML_SOFTMAX_LOG)
        take_logarithm(x[where], x, count);
    for (size_t k = 0; k < count && kind == RML_SOFTMAX_HARD; k++)
        x[k] = k == where;
}

static void wide_rows(void *context, size_t begin, size_t end, int worker)
{
    const rml_op_args *args = context;
    const rml_dtype dtype = args->in[0].dtype;
    const size_t bytes = rml_dtype_size(dtype);
    const rows row = rows_of(args);
    double *x = rml_op_worker(args, worker);
    for (size_t i = begin; i < end; i++) {
        const size_t at = first_of(&row, i);
        const char *src = (const char *)args->in[0].raw + at * bytes;
        char *dst = (char *)args->out[0].raw + at * bytes;
        const size_t parts = row.step == 1 ? 1 : row.count, each = row.count / parts;
        for (size_t k = 0; k < parts; k++)
            rml_dtype_convert(dtype, src + k * row.step * bytes, RML_F64, x + k, each);
        compute(args->attr->softmax.kind, dtype, x, row.count);
        for (size_t k = 0; k < parts; k++)
            rml_dtype_convert(RML_F64, x + k, dtype, dst + k * row.step * bytes, each);
    }
}

static void run_wide(const rml_op_args *args)
{
    run_rows(args, wide_rows);
}

static const rml_algorithm softmax_algorithms[] = {
    {.name = "short-rows", .accepts = is_short, .worker_bytes = short_bytes, .run = run_short},
    {.name = "rows", .accepts = has_kernel, .worker_bytes = row_bytes, .run = run_f32},
    {.name = "widened", .worker_bytes = row_bytes, .run = run_wide}};

const rml_op rml_op_softmax = {.id = RML_OP_SOFTMAX,
                               .name = "softmax",
                               .inputs = {1, 1},
                               .in_place = true,
                               .signature = "r>0",
                               .infer = infer_softmax,
                               .algorithms = softmax_algorithms};

static const rml_algorithm alone[] = {
    {.name = "short-rows", .accepts = is_short, .worker_bytes = short_bytes, .run = run_short},
    {.name = "rows", .worker_bytes = row_bytes, .run = run_f32}};

const rml_op rml_op_softmax_alone = {.id = RML_OP_SOFTMAX,
                                     .name = "softmax",
                                     .inputs = {1, 1},
                                     .in_place = true,
                                     .infer = infer_softmax,
                                     .algorithms = alone};
