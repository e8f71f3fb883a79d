// Operators that make elements from few or none: size, range, eye, one_hot.
#include "ops/index/list.h"

#include "ops/elementwise/widen.h"
#include "tensor/convert.h"

#include <math.h>
#include <string.h>

#define PART 4096                    // elements a work item: enough to outweigh taking it
#define MAX_RANGE ((int64_t)1 << 53) // elements; a double counts so far

// ---- size: how many elements there are ---------------------------------------------------------

static rml_status types_size(const rml_op_attr *attr, const rml_fact *in, int in_count,
                             rml_dtype *out, rml_error *err)
{
    (void)attr;
    (void)in;
    (void)in_count;
    (void)err;
    *out = RML_I64;
    return RML_OK;
}

static rml_status infer_size(const rml_op_attr *attr, const rml_fact *in, int in_count,
                             rml_shape *out, rml_error *err)
{
    (void)attr;
    (void)in;
    (void)in_count;
    (void)err;
    *out = (rml_shape){0};
    return RML_OK;
}

static void run_size(const rml_op_args *args)
{
    *(int64_t *)args->out[0].raw = (int64_t)rml_tensor_count(&args->in[0]);
}

static const rml_algorithm size_algorithms[] = {{.name = "count", .run = run_size}};

const rml_op rml_op_size = {.name = "size",
                            .min_inputs = 1,
                            .max_inputs = 1,
                            .layout = RML_OP_PLAIN,
                            .packed_input = -1,
                            .from_shapes = true,
                            .types = types_size,
                            .infer_values = infer_size,
                            .algorithms = size_algorithms};

// ---- range: start, limit (left out), step ------------------------------------------------------

static rml_status types_range(const rml_op_attr *attr, const rml_fact *in, int in_count,
                              rml_dtype *out, rml_error *err)
{
    (void)attr;
    if (in[0].dtype == RML_BOOL)
        return rml_fail(err, RML_ERR_UNSUPPORTED, "a range of bool is not defined");
    return rml_types_same(in, in_count, out, 1, err);
}

static rml_status count_integers(const rml_fact *in, int64_t *count, rml_error *err)
{
    int64_t at[3];
    for (int i = 0; i < 3; i++)
        rml_dtype_convert(in[i].dtype, in[i].data, RML_I64, &at[i], 1);
    if (at[2] == 0)
        return rml_fail(err, RML_ERR_SHAPE, "a range with step 0");
    const bool any = at[2] > 0 ? at[1] > at[0] : at[1] < at[0];
    const uint64_t way =
        at[2] > 0 ? (uint64_t)at[1] - (uint64_t)at[0] : (uint64_t)at[0] - (uint64_t)at[1];
    const uint64_t step = at[2] > 0 ? (uint64_t)at[2] : 0 - (uint64_t)at[2];
    const uint64_t steps = any ? (way - 1) / step + 1 : 0;
    *count = steps > (uint64_t)MAX_RANGE ? MAX_RANGE : (int64_t)steps;
    return RML_OK;
}

static rml_status count_reals(const rml_fact *in, int64_t *count, rml_error *err)
{
    double at[3];
    for (int i = 0; i < 3; i++)
        rml_dtype_convert(in[i].dtype, in[i].data, RML_F64, &at[i], 1);
    const double steps = ceil((at[1] - at[0]) / at[2]);
    if (at[2] == 0 || isnan(steps))
        return rml_fail(err, RML_ERR_SHAPE, "a range from %g to %g has no step of %g", at[0], at[1],
                        at[2]);
    *count = steps <= 0 ? 0 : steps > (double)MAX_RANGE ? MAX_RANGE : (int64_t)steps;
    return RML_OK;
}

static rml_status infer_range(const rml_op_attr *attr, const rml_fact *in, int in_count,
                              rml_shape *out, rml_error *err)
{
    static const char *const names[] = {"start", "limit", "step"};
    (void)attr;
    *out = (rml_shape){1, {-1}};
    for (int i = 0; i < 3; i++)
        RML_TRY(rml_scalar_check(in, in_count, i, names[i], err));
    if (!in[0].data || !in[1].data || !in[2].data)
        return RML_OK;
    if (rml_wide_of(in[0].dtype) == RML_WIDE_F64)
        RML_TRY(count_reals(in, &out->dim[0], err));
    else
        RML_TRY(count_integers(in, &out->dim[0], err));
    if (out->dim[0] == MAX_RANGE)
        return rml_fail(err, RML_ERR_LIMIT, "the range has too many elements");
    return RML_OK;
}

static void range_part(void *context, size_t begin, size_t end, int worker)
{
    const rml_op_args *args = context;
    const rml_tensor *out = &args->out[0];
    const bool real = rml_wide_of(out->dtype) == RML_WIDE_F64;
    double from = 0, by = 0;
    int64_t start = 0, step = 0;
    (void)worker;
    if (real) {
        rml_dtype_convert(out->dtype, args->in[0].raw, RML_F64, &from, 1);
        rml_dtype_convert(out->dtype, args->in[2].raw, RML_F64, &by, 1);
    } else {
        rml_dtype_convert(out->dtype, args->in[0].raw, RML_I64, &start, 1);
        rml_dtype_convert(out->dtype, args->in[2].raw, RML_I64, &step, 1);
    }
    for (size_t at = begin; at < end; at += RML_WIDEN_COUNT) {
        const size_t count = end - at < RML_WIDEN_COUNT ? end - at : RML_WIDEN_COUNT;
        rml_widen chunk;
        for (size_t i = 0; i < count; i++)
            if (real)
                chunk.f64[i] = from + (double)(at + i) * by;
            else
                chunk.u64[i] = (uint64_t)start + (at + i) * (uint64_t)step;
        rml_widen_write(out, at, count, real ? RML_WIDE_F64 : RML_WIDE_I64, &chunk);
    }
}

static void run_range(const rml_op_args *args)
{
    rml_pool_run(args->pool, rml_tensor_count(&args->out[0]), PART, range_part,
                 (void *)(uintptr_t)args);
}

static const rml_algorithm range_algorithms[] = {{.name = "steps", .run = run_range}};

const rml_op rml_op_range = {.name = "range",
                             .min_inputs = 3,
                             .max_inputs = 3,
                             .layout = RML_OP_PLAIN,
                             .packed_input = -1,
                             .types = types_range,
                             .infer_values = infer_range,
                             .algorithms = range_algorithms};

// ---- eye: a matrix of the size of the input, ones on a diagonal --------------------------------

static rml_status types_eye(const rml_op_attr *attr, const rml_fact *in, int in_count,
                            rml_dtype *out, rml_error *err)
{
    (void)in;
    (void)in_count;
    (void)err;
    *out = attr->eye.to;
    return RML_OK;
}

static rml_status infer_eye(const rml_op_attr *attr, const rml_fact *in, int in_count,
                            rml_shape *out, rml_error *err)
{
    char text[RML_SHAPE_TEXT_BYTES];
    (void)attr;
    (void)in_count;
    *out = in[0].shape;
    if (out->rank >= 0 && out->rank != 2)
        return rml_fail(err, RML_ERR_SHAPE, "input %s is no matrix", rml_shape_text(out, text));
    return RML_OK;
}

static void run_eye(const rml_op_args *args)
{
    const rml_tensor *out = &args->out[0];
    const size_t bytes = rml_dtype_size(out->dtype), count = rml_tensor_count(out);
    const int64_t rows = out->dim[0], columns = out->dim[1];
    const double one = 1;
    int64_t diagonal = args->attr->eye.diagonal;
    diagonal = diagonal < -rows ? -rows : diagonal > columns ? columns : diagonal;
    if (count == 0)
        return;
    memset(out->raw, 0, count * bytes);
    for (int64_t i = diagonal < 0 ? -diagonal : 0; i < rows && i + diagonal < columns; i++)
        rml_dtype_convert(RML_F64, &one, out->dtype,
                          (char *)out->raw + (size_t)(i * columns + i + diagonal) * bytes, 1);
}

static const rml_algorithm eye_algorithms[] = {{.name = "diagonal", .run = run_eye}};

const rml_op rml_op_eye = {.name = "eye",
                           .min_inputs = 1,
                           .max_inputs = 1,
                           .layout = RML_OP_PLAIN,
                           .packed_input = -1,
                           .from_shapes = true,
                           .types = types_eye,
                           .infer_values = infer_eye,
                           .algorithms = eye_algorithms};

// ---- one_hot: indices, depth, (off, on); an index out of range is nowhere on -------------------

static rml_status types_one_hot(const rml_op_attr *attr, const rml_fact *in, int in_count,
                                rml_dtype *out, rml_error *err)
{
    (void)attr;
    (void)in_count;
    return rml_types_same(in + 2, 1, out, 1, err);
}

static rml_status infer_one_hot(const rml_op_attr *attr, const rml_fact *in, int in_count,
                                rml_shape *out, rml_error *err)
{
    const rml_shape *indices = &in[0].shape, *values = &in[2].shape;
    char text[RML_SHAPE_TEXT_BYTES];
    int64_t depth = -1;
    RML_TRY(rml_scalar_check(in, in_count, 1, "depth", err));
    if (values->rank >= 0 && (values->rank != 1 || (values->dim[0] >= 0 && values->dim[0] != 2)))
        return rml_fail(err, RML_ERR_SHAPE, "the values have shape %s, expected two",
                        rml_shape_text(values, text));
    if (rml_scalar_known(in, in_count, 1, &depth) && depth < 0)
        return rml_fail(err, RML_ERR_SHAPE, "depth %lld is negative", (long long)depth);
    *out = (rml_shape){.rank = RML_RANK_UNKNOWN};
    if (indices->rank < 0)
        return RML_OK;
    if (indices->rank == RML_MAX_RANK)
        return rml_fail(err, RML_ERR_LIMIT, "an output of more than %d dimensions", RML_MAX_RANK);
    const int axis = rml_axis_of(attr->axis.axis, indices->rank + 1);
    if (axis < 0)
        return rml_fail(err, RML_ERR_SHAPE, "axis %lld is not one of %d dimensions",
                        (long long)attr->axis.axis, indices->rank + 1);
    out->rank = indices->rank + 1;
    for (int i = 0; i < out->rank; i++)
        out->dim[i] = i == axis ? depth : indices->dim[i - (i > axis)];
    return RML_OK;
}

// Items: what is in front of the axis.
static void one_hot_part(void *context, size_t begin, size_t end, int worker)
{
    const rml_op_args *args = context;
    const rml_tensor *indices = &args->in[0], *out = &args->out[0];
    const int axis = rml_axis_of(args->attr->axis.axis, out->rank);
    const size_t bytes = rml_dtype_size(out->dtype), inner = (size_t)out->stride[axis];
    const int64_t depth = out->dim[axis];
    const char *off = args->in[2].raw, *on = off + bytes;
    (void)worker;
    for (size_t o = begin; o < end; o++) {
        char *dst = (char *)out->raw + o * (size_t)depth * inner * bytes;
        for (size_t i = 0; i < (size_t)depth * inner; i++)
            memcpy(dst + i * bytes, off, bytes);
        for (size_t i = 0; i < inner; i++) {
            const size_t at = o * inner + i;
            int64_t index;
            rml_dtype_convert(indices->dtype,
                              (const char *)indices->raw + at * rml_dtype_size(indices->dtype),
                              RML_I64, &index, 1);
            index += index < 0 ? depth : 0;
            if (index >= 0 && index < depth)
                memcpy(dst + ((size_t)index * inner + i) * bytes, on, bytes);
        }
    }
}

static void run_one_hot(const rml_op_args *args)
{
    const rml_tensor *out = &args->out[0];
    const int axis = rml_axis_of(args->attr->axis.axis, out->rank);
    const size_t count = rml_tensor_count(out);
    if (count == 0)
        return;
    const size_t slab = (size_t)(out->stride[axis] * out->dim[axis]);
    rml_pool_run(args->pool, count / slab, PART / slab + 1, one_hot_part, (void *)(uintptr_t)args);
}

static const rml_algorithm one_hot_algorithms[] = {{.name = "elements", .run = run_one_hot}};

const rml_op rml_op_one_hot = {.name = "one_hot",
                               .min_inputs = 3,
                               .max_inputs = 3,
                               .layout = RML_OP_PLAIN,
                               .packed_input = -1,
                               .types = types_one_hot,
                               .infer_values = infer_one_hot,
                               .algorithms = one_hot_algorithms};
