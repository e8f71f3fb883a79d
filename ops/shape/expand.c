// Repeats along dimensions of size 1, by the rules of numpy.
#include "ops/elementwise/nd_iterator.h"
#include "ops/index/list.h"

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

static rml_status infer_expand(const rml_op_node *node, rml_shape *out, rml_error *err)
{
    rml_list target;
    RML_TRY(rml_list_infer(node, 2, "target sizes", &target, err));
    if (target.given)
        return expand_to(&node->in[0].shape, &target, out, err);
    return expand_like(&node->attr->expand, &node->in[0].shape,
                       rml_op_given(node, 1) ? &node->in[1].shape : NULL, out, err);
}

static void run_expand(const rml_op_args *args)
{
    rml_copy_view(args, &args->in[0], &args->out[0]);
}

const rml_op rml_op_expand = {.id = RML_OP_EXPAND,
                              .name = "expand",
                              .inputs = {1, 3},
                              .checks_elements = true,
                              .signature = "**i>0",
                              .infer_values = infer_expand,
                              .algorithms = RML_ONE_WAY("copy", run_expand)};
