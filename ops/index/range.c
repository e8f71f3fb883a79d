// Numbers from a start on, a step apart, up to a limit that is left out.
#include "ops/index/list.h"

#include "ops/elementwise/widen.h"

#include <math.h>

#define MAX_RANGE ((int64_t)1 << 53) // elements; a double counts so far

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

static rml_status infer_range(const rml_op_node *node, rml_shape *out, rml_error *err)
{
    static const char *const names[] = {"start", "limit", "step"};
    *out = (rml_shape){1, {-1}};
    for (int i = 0; i < 3; i++)
        RML_TRY(rml_scalar_check(node, i, names[i], err));
    if (!node->in[0].data || !node->in[1].data || !node->in[2].data)
        return RML_OK;
    if (rml_dtype_is_float(node->in[0].dtype))
        RML_TRY(count_reals(node->in, &out->dim[0], err));
    else
        RML_TRY(count_integers(node->in, &out->dim[0], err));
    if (out->dim[0] == MAX_RANGE)
        return rml_fail(err, RML_ERR_LIMIT, "the range has too many elements");
    return RML_OK;
}

static void range_part(const rml_op_args *args, size_t begin, size_t end)
{
    const rml_tensor *out = &args->out[0];
    const bool real = rml_dtype_is_float(out->dtype);
    double from = 0, by = 0;
    int64_t start = 0, step = 0;
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
    rml_op_parallel(args, rml_tensor_count(&args->out[0]), sizeof(float), range_part);
}

const rml_op rml_op_range = {.id = RML_OP_RANGE,
                             .name = "range",
                             .inputs = {3, 3},
                             .signature = "n00>0",
                             .infer_values = infer_range,
                             .algorithms = RML_ONE_WAY("steps", run_range)};
