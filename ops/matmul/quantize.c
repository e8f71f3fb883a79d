// From floats to small integers and back: one scale and zero point for all elements, for each index
// of one axis, or for each block of indices.
#include "ops/elementwise/widen.h"
#include "ops/matmul/quantize.h"
#include "tensor/dtype.h"
#include "tensor/size.h"

#include <math.h>

enum { PART = 16 * RML_WIDEN_COUNT, F32_COUNT = 1024 };

bool rml_code_range(rml_dtype dtype, double *low, double *high)
{
    switch (dtype) {
    case RML_I8:
    case RML_I16:
        *high = dtype == RML_I8 ? 127 : 32767;
        *low = -*high - 1;
        return true;
    case RML_U8:
    case RML_U16:
        *high = dtype == RML_U8 ? 255 : 65535;
        *low = 0;
        return true;
    default:
        return false;
    }
}

// ---- which scale belongs to an element ----------------------------------------------------------

static int64_t blocks_of(int64_t dim, int64_t block)
{
    return dim / block + (dim % block != 0);
}

static bool is_single(const rml_shape *shape)
{
    size_t count;
    return rml_shape_known(shape) && rml_shape_count(shape, &count) && count == 1;
}

static bool scale_fits(const rml_quantize_attr *quantize, const rml_shape *x,
                       const rml_shape *scale)
{
    const int axis = quantize->axis < 0 ? quantize->axis + x->rank : quantize->axis;
    if (is_single(scale))
        return true;
    if (scale->rank == 1 && scale->dim[0] < 0) // it may be one
        return true;
    if (axis < 0 || axis >= x->rank)
        return false;
    if (quantize->block == 0 || scale->rank != x->rank)
        return scale->rank == 1 && rml_dims_agree(scale->dim[0], x->dim[axis]);
    bool fits = true;
    for (int i = 0; i < x->rank && fits; i++)
        fits = x->dim[i] < 0 ||
               rml_dims_agree(scale->dim[i],
                              i == axis ? blocks_of(x->dim[i], quantize->block) : x->dim[i]);
    return fits;
}

// A zero point has the shape of its scale; (1) and () go together.
static bool zero_fits(const rml_shape *scale, const rml_shape *zero)
{
    if (is_single(scale) && rml_shape_known(zero))
        return is_single(zero);
    bool fits = zero->rank == scale->rank;
    for (int i = 0; i < scale->rank && fits; i++)
        fits = rml_dims_agree(zero->dim[i], scale->dim[i]);
    return fits;
}

static rml_status infer(const rml_op_node *node, rml_shape *out, rml_error *err)
{
    const rml_quantize_attr *quantize = &node->attr->quantize;
    char x_text[RML_SHAPE_TEXT_BYTES], scale_text[RML_SHAPE_TEXT_BYTES];
    *out = node->shape[0];
    if (quantize->block < 0 || !scale_fits(quantize, &node->shape[0], &node->shape[1]))
        return rml_fail(err, RML_ERR_SHAPE, "scale %s does not fit axis %d of input %s",
                        rml_shape_text(&node->shape[1], scale_text), quantize->axis,
                        rml_shape_text(&node->shape[0], x_text));
    if (node->in_count > 2 && node->shape[2].rank >= 0 &&
        !zero_fits(&node->shape[1], &node->shape[2]))
        return rml_fail(err, RML_ERR_SHAPE, "the zero point is %s, its scale %s",
                        rml_shape_text(&node->shape[2], x_text),
                        rml_shape_text(&node->shape[1], scale_text));
    return RML_OK;
}

// Elements to numbers with scales and zero points, or back.
typedef struct quantize_job {
    const rml_kernels *kernels;
    const rml_tensor *x, *y, *scale, *zero; // zero NULL: 0
    rml_dtype precision;                    // of the division
    size_t count, inner, dim, block;        // count 1: one scale
} quantize_job;

static quantize_job job_of(const rml_op_args *args)
{
    const rml_tensor *x = &args->in[0];
    const rml_quantize_attr *quantize = &args->attr->quantize;
    quantize_job job = {.kernels = args->kernels,
                        .x = x,
                        .y = &args->out[0],
                        .scale = &args->in[1],
                        .zero = rml_op_input(args, 2),
                        .precision = quantize->precision,
                        .count = rml_tensor_count(&args->in[1])};
    if (job.count == 1)
        return job;
    const int axis = quantize->axis < 0 ? quantize->axis + x->rank : quantize->axis;
    job.inner = rml_tensor_span(x, axis + 1, x->rank);
    job.dim = (size_t)x->dim[axis];
    job.block = args->in[1].rank == x->rank && quantize->block > 0 ? (size_t)quantize->block : 0;
    return job;
}

// Index of element `at`'s scale, and for how many elements from there on it holds (at most `most`).
static size_t scale_at(const quantize_job *job, size_t at, size_t *most)
{
    if (job->count == 1)
        return 0;
    const size_t inside = at % job->inner, row = at / job->inner, index = row % job->dim;
    size_t run = job->inner - inside, scale = index;
    if (job->block) {
        const size_t blocks = (job->dim + job->block - 1) / job->block;
        scale = (row / job->dim * blocks + index / job->block) * job->inner + inside;
        const size_t left = job->block - index % job->block;
        run = job->inner > 1 ? 1 : left < job->dim - index ? left : job->dim - index;
    }
    if (run < *most)
        *most = run;
    return scale;
}

// ---- quantize -----------------------------------------------------------------------------------

// The scale is a float, the zero point of the type of the small integers.
static rml_status check_types(const rml_op_node *node, rml_dtype small, rml_error *err)
{
    if (!rml_dtype_is_float(node->in[1].dtype))
        return rml_fail(err, RML_ERR_UNSUPPORTED, "the scale is %s, expected a float type",
                        rml_dtype_name(node->in[1].dtype));
    if (rml_op_given(node, 2) && node->in[2].dtype != small)
        return rml_fail(err, RML_ERR_UNSUPPORTED, "the zero point is %s, the quantized value %s",
                        rml_dtype_name(node->in[2].dtype), rml_dtype_name(small));
    return RML_OK;
}

static rml_status types_quantize(const rml_op_node *node, rml_dtype *out, rml_error *err)
{
    double low, high;
    *out = node->attr->quantize.to;
    if (!rml_code_range(*out, &low, &high) || !rml_dtype_is_float(node->attr->quantize.precision))
        return rml_fail(err, RML_ERR_UNSUPPORTED, "quantization to %s by %s is not defined",
                        rml_dtype_name(*out), rml_dtype_name(node->attr->quantize.precision));
    return check_types(node, *out, err);
}

// The usual cases, by kernels: f32 holds what is quantized to, and numbers of up to 16 bits.
static bool run_f32(const quantize_job *job, size_t at, size_t count, double scale, double zero,
                    double low, double high)
{
    const rml_kernels *kernels = job->kernels;
    const void *x = rml_tensor_at(job->x, (int64_t)at);
    const bool to_small = low < high, is_wide = job->x->dtype == RML_F32;
    float wide[F32_COUNT], *y = job->y->data + at;
    if (to_small && job->precision == RML_F32) {
        if (!is_wide)
            RML_KERNEL(kernels, convert)(job->x->dtype, x, RML_F32, wide, count);
        RML_KERNEL(kernels, quantize)
        (is_wide ? x : wide, (float)scale, (float)zero, (float)low, (float)high, job->y->dtype,
         rml_tensor_at(job->y, (int64_t)at), count);
        return true;
    }
    if (to_small || job->scale->dtype != RML_F32 || job->y->dtype != RML_F32 ||
        rml_dtype_size(job->x->dtype) > 2)
        return false;
    RML_KERNEL(kernels, convert)(job->x->dtype, x, RML_F32, y, count);
    RML_KERNEL(kernels, binary_scalar[RML_BINARY_SUB])(y, (float)zero, y, count, false);
    RML_KERNEL(kernels, binary_scalar[RML_BINARY_MUL])(y, (float)scale, y, count, false);
    return true;
}

static void run_part(void *context, size_t begin, size_t end, int worker)
{
    const quantize_job *job = context;
    double low = 0, high = 0;
    const bool back = !rml_code_range(job->y->dtype, &low, &high);
    (void)worker;
    for (size_t at = begin, count; at < end; at += count) {
        rml_widen x, y;
        count = rml_min_size(end - at, F32_COUNT);
        const size_t index = scale_at(job, at, &count);
        const double zero = job->zero ? rml_number_f64(job->zero, index) : 0;
        const double scale = rml_number_f64(job->scale, index);
        if (run_f32(job, at, count, scale, zero, low, high))
            continue;
        count = rml_min_size(count, RML_WIDEN_COUNT);
        rml_widen_read(job->x, at, count, RML_WIDE_F64, &x);
        for (size_t i = 0; i < count && back; i++)
            x.f64[i] = (x.f64[i] - zero) * scale;
        if (!back)
            rml_quantize_run(job->precision, rml_rounded_f64(job->precision, scale), zero, low,
                             high, x.f64, y.i64, count);
        rml_widen_write(job->y, at, count, back ? RML_WIDE_F64 : RML_WIDE_I64, back ? &x : &y);
    }
}

static void run(const rml_op_args *args)
{
    quantize_job job = job_of(args);
    rml_pool_run(args->pool, rml_tensor_count(job.y), PART, run_part, &job);
}

const rml_op rml_op_quantize = {.id = RML_OP_QUANTIZE,
                                .name = "quantize",
                                .inputs = {2, 3},
                                .types = types_quantize,
                                .infer = infer,
                                .algorithms = RML_ONE_WAY("widened", run)};

// ---- dequantize ---------------------------------------------------------------------------------

static rml_status types_dequantize(const rml_op_node *node, rml_dtype *out, rml_error *err)
{
    *out = node->attr->quantize.to;
    if (!rml_dtype_is_float(*out))
        return rml_fail(err, RML_ERR_UNSUPPORTED, "%s is no float type", rml_dtype_name(*out));
    return check_types(node, node->in[0].dtype, err);
}

const rml_op rml_op_dequantize = {.id = RML_OP_DEQUANTIZE,
                                  .name = "dequantize",
                                  .inputs = {2, 3},
                                  .types = types_dequantize,
                                  .infer = infer,
                                  .algorithms = RML_ONE_WAY("widened", run)};

// ---- dynamic quantization of f32 to u8: range and scale come from the elements ------------------

static int outputs_dynamic(const rml_op_attr *attr)
{
    (void)attr;
    return 3;
}

static rml_status types_dynamic(const rml_op_node *node, rml_dtype *out, rml_error *err)
{
    if (node->in[0].dtype != RML_F32)
        return rml_fail(err, RML_ERR_UNSUPPORTED, "the input is %s, expected f32",
                        rml_dtype_name(node->in[0].dtype));
    out[0] = out[2] = RML_U8;
    out[1] = RML_F32;
    return RML_OK;
}

static rml_status infer_dynamic(const rml_op_node *node, rml_shape *out, rml_error *err)
{
    (void)err;
    out[0] = node->shape[0];
    out[1] = out[2] = (rml_shape){0};
    return RML_OK;
}

// Lowest and highest number, and 0, in several lanes that do not wait for each other.
static void range_of_all(const float *x, size_t count, float *low, float *high)
{
    enum { LANES = 16 };
    float lows[LANES] = {0}, highs[LANES] = {0};
    for (size_t i = 0; i < count; i++) {
        const size_t lane = i % LANES;
        lows[lane] = x[i] < lows[lane] ? x[i] : lows[lane];
        highs[lane] = x[i] > highs[lane] ? x[i] : highs[lane];
    }
    for (size_t lane = 0; lane < LANES; lane++) {
        *low = lows[lane] < *low ? lows[lane] : *low;
        *high = highs[lane] > *high ? highs[lane] : *high;
    }
}

static void run_dynamic(const rml_op_args *args)
{
    const rml_tensor *x = &args->in[0];
    const size_t count = rml_tensor_count(x);
    float low = 0, high = 0;
    range_of_all(x->data, count, &low, &high);
    const float scale = (high == low ? 1.0f : high - low) / 255.0f, zero = 0.0f - low / scale;
    args->out[1].data[0] = scale;
    *(uint8_t *)args->out[2].raw =
        (uint8_t)rintf(zero >= 0.0f ? (zero <= 255.0f ? zero : 255.0f) : 0.0f);
    quantize_job job = {.kernels = args->kernels,
                        .x = x,
                        .y = &args->out[0],
                        .scale = &args->out[1],
                        .zero = &args->out[2],
                        .precision = RML_F32,
                        .count = 1};
    rml_pool_run(args->pool, count, PART, run_part, &job);
}

const rml_op rml_op_dynamic_quantize = {.id = RML_OP_DYNAMIC_QUANTIZE,
                                        .name = "dynamic_quantize",
                                        .inputs = {1, 1},
                                        .outputs = outputs_dynamic,
                                        .types = types_dynamic,
                                        .infer = infer_dynamic,
                                        .algorithms = RML_ONE_WAY("two-passes", run_dynamic)};
