// Operators that move elements: concat, transpose, expand.
#include "ops/index/list.h"
#include "ops/elementwise/nd_iterator.h"

static rml_status types_concat(const rml_op_attr *attr, const rml_fact *in, int in_count,
                               rml_dtype *out, rml_error *err)
{
    (void)attr;
    return rml_types_same(in, in_count, out, 1, err);
}

// ---- concat -------------------------------------------------------------------------------------

static rml_status infer_concat(const rml_op_attr *attr, const rml_shape *in, int in_count,
                               rml_shape *out, rml_error *err)
{
    char a[RML_SHAPE_TEXT_BYTES], b[RML_SHAPE_TEXT_BYTES];
    int axis;
    RML_TRY(rml_axis_check(attr->concat.axis, &in[0], &axis, err));
    *out = in[0];
    bool fits = true;
    for (int k = 0; k < in_count; k++) {
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
            RML_TRY(rml_dim_add(out->dim[axis], in[k].dim[axis], &out->dim[axis], err));
    }
    return RML_OK;
}

static void run_concat(const rml_op_args *args)
{
    const int axis = rml_axis_of(args->attr->concat.axis, args->out[0].rank);
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

// ---- transpose ----------------------------------------------------------------------------------

int rml_transpose_axis(const rml_transpose_attr *attr, int rank, int i)
{
    return attr->rank < 0 ? rank - 1 - i : rml_axis_of(attr->order[i], rank);
}

static rml_status infer_transpose(const rml_op_attr *attr, const rml_fact *in, int in_count,
                                  rml_shape *out, rml_error *err)
{
    const rml_transpose_attr *transpose = &attr->transpose;
    const rml_shape *from = &in[0].shape;
    unsigned seen = 0;
    (void)in_count;
    *out = (rml_shape){.rank = from->rank};
    if (from->rank < 0) {
        out->rank = transpose->rank < 0 ? RML_RANK_UNKNOWN : transpose->rank;
        for (int i = 0; i < out->rank; i++)
            out->dim[i] = -1;
        return RML_OK;
    }
    for (int i = 0; i < from->rank && (transpose->rank < 0 || transpose->rank == from->rank); i++) {
        const int axis = rml_transpose_axis(transpose, from->rank, i);
        if (axis < 0)
            break;
        seen |= 1u << axis;
        out->dim[i] = from->dim[axis];
    }
    if (seen != (1u << from->rank) - 1 || transpose->rank > from->rank)
        return rml_fail(err, RML_ERR_SHAPE, "the order is no permutation of %d dimensions",
                        from->rank);
    return RML_OK;
}

static void run_transpose(const rml_op_args *args)
{
    rml_tensor view = args->in[0];
    for (int i = 0; i < view.rank; i++) {
        const int axis = rml_transpose_axis(&args->attr->transpose, view.rank, i);
        view.dim[i] = args->in[0].dim[axis];
        view.stride[i] = args->in[0].stride[axis];
    }
    rml_copy_view(args, &view, &args->out[0]);
}

static const rml_algorithm transpose_algorithms[] = {{.name = "copy", .run = run_transpose}};

const rml_op rml_op_transpose = {.name = "transpose",
                                 .min_inputs = 1,
                                 .max_inputs = 1,
                                 .layout = RML_OP_PLAIN,
                                 .packed_input = -1,
                                 .types = rml_types_first,
                                 .infer_values = infer_transpose,
                                 .algorithms = transpose_algorithms};

// ---- expand: repeat along dimensions of size 1, by the rules of numpy -------------------------

// To the shape in the attribute and that of the second input.
static rml_status expand_like(const rml_expand_attr *attr, const rml_shape *from,
                              const rml_shape *like, rml_shape *out, rml_error *err)
{
    char a[RML_SHAPE_TEXT_BYTES], b[RML_SHAPE_TEXT_BYTES];
    *out = attr->shape;
    if (from->rank == RML_RANK_UNKNOWN || (like && like->rank == RML_RANK_UNKNOWN)) {
        out->rank = RML_RANK_UNKNOWN;
        return RML_OK;
    }
    bool fits = from->rank <= out->rank && (!like || like->rank == out->rank);
    for (int i = 0; i < out->rank && fits; i++) {
        const int at = i - (out->rank - from->rank);
        const int64_t have = at < 0 ? 1 : from->dim[at];
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
                        rml_shape_text(from, a), rml_shape_text(out, b));
    return RML_OK;
}

// To what the input and the listed shape are broadcast to together.
static rml_status expand_to(const rml_shape *from, const rml_list *target, rml_shape *out,
                            rml_error *err)
{
    *out = (rml_shape){.rank = RML_RANK_UNKNOWN};
    if (target->count > RML_MAX_RANK)
        return rml_fail(err, RML_ERR_LIMIT, "a target of %d dimensions, at most %d", target->count,
                        RML_MAX_RANK);
    if (from->rank < 0 || target->count < 0)
        return RML_OK;
    rml_shape both[2] = {*from, {.rank = target->count}};
    for (int i = 0; i < target->count; i++) {
        both[1].dim[i] = target->known ? target->at[i] : -1;
        if (target->known && target->at[i] < 0)
            return rml_fail(err, RML_ERR_SHAPE, "target size %lld is negative",
                            (long long)target->at[i]);
    }
    return rml_broadcast_shape(both, 2, out, err);
}

static rml_status infer_expand(const rml_op_attr *attr, const rml_fact *in, int in_count,
                               rml_shape *out, rml_error *err)
{
    rml_list target;
    RML_TRY(rml_list_infer(in, in_count, 2, "target sizes", &target, err));
    if (target.given)
        return expand_to(&in[0].shape, &target, out, err);
    return expand_like(&attr->expand, &in[0].shape,
                       in_count > 1 && in[1].shape.rank != -1 ? &in[1].shape : NULL, out, err);
}

static void run_expand(const rml_op_args *args)
{
    rml_copy_view(args, &args->in[0], &args->out[0]);
}

static const rml_algorithm expand_algorithms[] = {{.name = "copy", .run = run_expand}};

const rml_op rml_op_expand = {.name = "expand",
                              .min_inputs = 1,
                              .max_inputs = 3,
                              .layout = RML_OP_PLAIN,
                              .packed_input = -1,
                              .checks_elements = true,
                              .types = rml_types_first,
                              .infer_values = infer_expand,
                              .algorithms = expand_algorithms};
