// Operators that only move elements: concat, slice, split, reshape, transpose, expand.
#include "ops/walk.h"

#include <string.h>

// Inputs behind the first, where they are not joined with it, say sizes.
static rml_status types_first(const rml_op_attr *attr, const rml_fact *in, int in_count,
                              rml_dtype *out, rml_error *err)
{
    (void)attr;
    (void)in_count;
    return rml_types_same(in, 1, out, 1, err);
}

static rml_status types_concat(const rml_op_attr *attr, const rml_fact *in, int in_count,
                               rml_dtype *out, rml_error *err)
{
    (void)attr;
    return rml_types_same(in, in_count, out, 1, err);
}

static rml_status types_split(const rml_op_attr *attr, const rml_fact *in, int in_count,
                              rml_dtype *out, rml_error *err)
{
    (void)in_count;
    return rml_types_same(in, 1, out, attr->split.count, err);
}

// ---- concat -------------------------------------------------------------------------------------

static rml_status infer_concat(const rml_op_attr *attr, const rml_shape *in, int in_count,
                               rml_shape *out, rml_error *err)
{
    const int axis = attr->concat.axis;
    char a[RML_SHAPE_TEXT_BYTES], b[RML_SHAPE_TEXT_BYTES];
    *out = in[0];
    bool fits = axis >= 0 && axis < in[0].rank;
    for (int k = 0; k < in_count && fits; k++) {
        fits = in[k].rank == out->rank;
        for (int i = 0; i < out->rank && fits; i++)
            if (i != axis) {
                fits = in[k].dim[i] == out->dim[i] || in[k].dim[i] < 0 || out->dim[i] < 0;
                if (out->dim[i] < 0)
                    out->dim[i] = in[k].dim[i];
            }
        if (!fits)
            return rml_fail(err, RML_ERR_SHAPE, "inputs %s and %s cannot be joined along axis %d",
                            rml_shape_text(&in[0], a), rml_shape_text(&in[k], b), axis);
        if (k > 0)
            out->dim[axis] =
                in[k].dim[axis] < 0 || out->dim[axis] < 0 ? -1 : out->dim[axis] + in[k].dim[axis];
    }
    if (!fits)
        return rml_fail(err, RML_ERR_SHAPE, "axis %d is not one of input %s", axis,
                        rml_shape_text(&in[0], a));
    return RML_OK;
}

static void run_concat(const rml_op_args *args)
{
    const int axis = args->attr->concat.axis;
    rml_tensor part = args->out[0];
    for (int k = 0; k < args->in_count; k++) {
        part.dim[axis] = args->in[k].dim[axis];
        // The planner lets producers write straight into their part of the output where it can.
        if (part.raw != args->in[k].raw)
            rml_copy_view(args, &args->in[k], &part);
        rml_tensor_advance(&part, part.dim[axis] * part.stride[axis]);
    }
}

static const rml_algorithm concat_algorithms[] = {{.name = "copy", .run = run_concat}};

const rml_op rml_op_concat = {.name = "concat",
                              .min_inputs = 1,
                              .max_inputs = -1,
                              .layout = RML_OP_FOLLOW,
                              .packed_input = -1,
                              .types = types_concat,
                              .infer = infer_concat,
                              .algorithms = concat_algorithms};

// ---- slice --------------------------------------------------------------------------------------

static void slice_range(const rml_slice_attr *slice, int64_t size, int64_t *start, int64_t *count)
{
    int64_t first = slice->start < 0 ? slice->start + size : slice->start;
    int64_t stop = slice->stop < 0 ? slice->stop + size : slice->stop;
    first = first < 0 ? 0 : first > size ? size : first;
    stop = stop < first ? first : stop > size ? size : stop;
    *start = first;
    *count = stop > first ? (stop - first - 1) / slice->step + 1 : 0;
}

static rml_status infer_slice(const rml_op_attr *attr, const rml_shape *in, int in_count,
                              rml_shape *out, rml_error *err)
{
    const rml_slice_attr *slice = &attr->slice;
    char text[RML_SHAPE_TEXT_BYTES];
    int64_t start, count;
    (void)in_count;
    if (slice->axis < 0 || slice->axis >= in[0].rank || slice->step < 1)
        return rml_fail(err, RML_ERR_SHAPE, "axis %d and step %lld do not fit input %s",
                        slice->axis, (long long)slice->step, rml_shape_text(&in[0], text));
    *out = in[0];
    if (in[0].dim[slice->axis] < 0)
        return RML_OK;
    slice_range(slice, in[0].dim[slice->axis], &start, &count);
    out->dim[slice->axis] = count;
    return RML_OK;
}

static void run_slice(const rml_op_args *args)
{
    const rml_slice_attr *slice = &args->attr->slice;
    rml_tensor part = args->in[0];
    int64_t start, count;
    slice_range(slice, part.dim[slice->axis], &start, &count);
    rml_tensor_advance(&part, start * part.stride[slice->axis]);
    part.dim[slice->axis] = count;
    if (count > 1) // a step beyond the end is not multiplied: it may be any number
        part.stride[slice->axis] *= slice->step;
    rml_copy_view(args, &part, &args->out[0]);
}

static const rml_algorithm slice_algorithms[] = {{.name = "copy", .run = run_slice}};

const rml_op rml_op_slice = {.name = "slice",
                             .min_inputs = 1,
                             .max_inputs = 1,
                             .layout = RML_OP_FOLLOW,
                             .packed_input = -1,
                             .types = types_first,
                             .infer = infer_slice,
                             .algorithms = slice_algorithms};

// ---- split --------------------------------------------------------------------------------------

static int split_outputs(const rml_op_attr *attr)
{
    return attr->split.count;
}

static rml_status infer_split(const rml_op_attr *attr, const rml_shape *in, int in_count,
                              rml_shape *out, rml_error *err)
{
    const rml_split_attr *split = &attr->split;
    char text[RML_SHAPE_TEXT_BYTES];
    (void)in_count;
    bool fits = split->axis >= 0 && split->axis < in[0].rank;
    int64_t rest = fits ? in[0].dim[split->axis] : 0;
    const bool known = rest >= 0;
    for (int k = 0; k < split->count && fits; k++) {
        fits = split->sizes[k] >= 0 && (!known || split->sizes[k] <= rest);
        rest -= split->sizes[k];
        out[k] = in[0];
        out[k].dim[split->axis] = split->sizes[k];
    }
    if (!fits || (known && rest != 0))
        return rml_fail(err, RML_ERR_SHAPE, "axis %d of input %s cannot be cut into these %d parts",
                        split->axis, rml_shape_text(&in[0], text), split->count);
    return RML_OK;
}

static void run_split(const rml_op_args *args)
{
    const rml_split_attr *split = &args->attr->split;
    rml_tensor part = args->in[0];
    for (int k = 0; k < split->count; k++) {
        part.dim[split->axis] = split->sizes[k];
        rml_copy_view(args, &part, &args->out[k]);
        rml_tensor_advance(&part, split->sizes[k] * part.stride[split->axis]);
    }
}

static const rml_algorithm split_algorithms[] = {{.name = "copy", .run = run_split}};

const rml_op rml_op_split = {.name = "split",
                             .min_inputs = 1,
                             .max_inputs = 1,
                             .layout = RML_OP_FOLLOW,
                             .packed_input = -1,
                             .outputs = split_outputs,
                             .types = types_split,
                             .infer = infer_split,
                             .algorithms = split_algorithms};

// ---- reshape ------------------------------------------------------------------------------------

// The target: of the attribute, or the elements of the second input. False: not known yet.
static bool reshape_target(const rml_reshape_attr *attr, const rml_fact *in, int in_count,
                           rml_shape *target)
{
    *target = attr->shape;
    if (in_count < 2 || in[1].shape.rank == -1)
        return true;
    target->rank = in[1].shape.rank == 1 && in[1].shape.dim[0] >= 0 ? (int)in[1].shape.dim[0]
                                                                    : RML_RANK_UNKNOWN;
    if (target->rank > RML_MAX_RANK)
        target->rank = RML_RANK_UNKNOWN;
    for (int i = 0; i < target->rank; i++)
        target->dim[i] = in[1].data ? ((const int64_t *)in[1].data)[i] : -1;
    return in[1].data && target->rank >= 0;
}

static rml_status types_reshape(const rml_op_attr *attr, const rml_fact *in, int in_count,
                                rml_dtype *out, rml_error *err)
{
    (void)attr;
    if (in_count > 1 && in[1].shape.rank != -1 && in[1].dtype != RML_I64)
        return rml_fail(err, RML_ERR_UNSUPPORTED, "the target shape is %s, expected i64",
                        rml_dtype_name(in[1].dtype));
    return rml_types_same(in, 1, out, 1, err);
}

static rml_status infer_reshape(const rml_op_attr *attr, const rml_fact *in, int in_count,
                                rml_shape *out, rml_error *err)
{
    const rml_shape *from = &in[0].shape;
    char a[RML_SHAPE_TEXT_BYTES], b[RML_SHAPE_TEXT_BYTES];
    rml_shape target;
    int rest = -1;
    const bool known = reshape_target(&attr->reshape, in, in_count, &target);
    *out = target;
    if (!known)
        return RML_OK;
    for (int i = 0; i < out->rank; i++) {
        if (out->dim[i] == 0 && !attr->reshape.keep_zero)
            out->dim[i] = i < from->rank ? from->dim[i] : from->rank < 0 ? -1 : 0;
        else if (out->dim[i] == -1 && rest < 0)
            rest = i;
        else if (out->dim[i] < 0)
            return rml_fail(err, RML_ERR_SHAPE, "target shape %s is not valid",
                            rml_shape_text(&target, b));
    }
    if (!rml_shape_known(from))
        return RML_OK;
    size_t have, want = 1;
    rml_shape sizes = *out;
    if (rest >= 0)
        sizes.dim[rest] = 1;
    bool fits = rml_shape_count(from, &have) && rml_shape_count(&sizes, &want);
    if (fits && rest >= 0) {
        fits = want > 0 && have % want == 0;
        out->dim[rest] = fits ? (int64_t)(have / want) : -1;
    } else if (fits) {
        fits = have == want;
    }
    if (!fits)
        return rml_fail(err, RML_ERR_SHAPE, "input %s cannot take shape %s",
                        rml_shape_text(from, a), rml_shape_text(&target, b));
    return RML_OK;
}

static void run_reshape(const rml_op_args *args)
{
    const rml_tensor *in = &args->in[0], *out = &args->out[0];
    if (out->raw != in->raw)
        memcpy(out->raw, in->raw, rml_tensor_count(in) * rml_dtype_size(in->dtype));
}

static const rml_algorithm reshape_algorithms[] = {{.name = "copy", .run = run_reshape}};

const rml_op rml_op_reshape = {.name = "reshape",
                               .min_inputs = 1,
                               .max_inputs = 2,
                               .layout = RML_OP_PLAIN,
                               .packed_input = -1,
                               .in_place = true,
                               .keeps_memory = true,
                               .types = types_reshape,
                               .infer_values = infer_reshape,
                               .algorithms = reshape_algorithms};

// ---- transpose ----------------------------------------------------------------------------------

static rml_status infer_transpose(const rml_op_attr *attr, const rml_shape *in, int in_count,
                                  rml_shape *out, rml_error *err)
{
    const rml_transpose_attr *transpose = &attr->transpose;
    unsigned seen = 0;
    (void)in_count;
    out->rank = in[0].rank;
    for (int i = 0; i < in[0].rank && transpose->rank == in[0].rank; i++) {
        if (transpose->order[i] < 0 || transpose->order[i] >= in[0].rank)
            break;
        seen |= 1u << transpose->order[i];
        out->dim[i] = in[0].dim[transpose->order[i]];
    }
    if (seen != (1u << in[0].rank) - 1)
        return rml_fail(err, RML_ERR_SHAPE, "the order is no permutation of %d dimensions",
                        in[0].rank);
    return RML_OK;
}

static void run_transpose(const rml_op_args *args)
{
    rml_tensor view = args->in[0];
    for (int i = 0; i < view.rank; i++) {
        view.dim[i] = args->in[0].dim[args->attr->transpose.order[i]];
        view.stride[i] = args->in[0].stride[args->attr->transpose.order[i]];
    }
    rml_copy_view(args, &view, &args->out[0]);
}

static const rml_algorithm transpose_algorithms[] = {{.name = "copy", .run = run_transpose}};

const rml_op rml_op_transpose = {.name = "transpose",
                                 .min_inputs = 1,
                                 .max_inputs = 1,
                                 .layout = RML_OP_PLAIN,
                                 .packed_input = -1,
                                 .types = types_first,
                                 .infer = infer_transpose,
                                 .algorithms = transpose_algorithms};

// ---- expand: repeat along dimensions of size 1, by the rules of numpy -------------------------

static rml_status infer_expand(const rml_op_attr *attr, const rml_shape *in, int in_count,
                               rml_shape *out, rml_error *err)
{
    char a[RML_SHAPE_TEXT_BYTES], b[RML_SHAPE_TEXT_BYTES];
    const rml_shape *like = in_count > 1 && in[1].rank >= 0 ? &in[1] : NULL;
    *out = attr->expand.shape;
    bool fits = in[0].rank <= out->rank && (!like || like->rank == out->rank);
    for (int i = 0; i < out->rank && fits; i++) {
        const int at = i - (out->rank - in[0].rank);
        const int64_t have = at < 0 ? 1 : in[0].dim[at];
        if (out->dim[i] == 0 && like)
            out->dim[i] = like->dim[i];
        else
            fits = out->dim[i] > 0;
        if (out->dim[i] == 1)
            out->dim[i] = have;
        fits = fits && (have == 1 || have < 0 || out->dim[i] < 0 || have == out->dim[i]);
    }
    if (!fits)
        return rml_fail(err, RML_ERR_SHAPE, "input %s cannot be expanded to %s",
                        rml_shape_text(&in[0], a), rml_shape_text(out, b));
    return RML_OK;
}

static void run_expand(const rml_op_args *args)
{
    rml_copy_view(args, &args->in[0], &args->out[0]);
}

static const rml_algorithm expand_algorithms[] = {{.name = "copy", .run = run_expand}};

const rml_op rml_op_expand = {.name = "expand",
                              .min_inputs = 1,
                              .max_inputs = 2,
                              .layout = RML_OP_PLAIN,
                              .packed_input = -1,
                              .types = types_first,
                              .infer = infer_expand,
                              .algorithms = expand_algorithms};
