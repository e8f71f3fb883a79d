// Dimensions in another order.
#include "ops/elementwise/nd_iterator.h"
#include "ops/index/list.h"

int rml_transpose_axis(const rml_transpose_attr *attr, int rank, int i)
{
    return attr->rank < 0 ? rank - 1 - i : rml_axis_of(attr->order[i], rank);
}

static rml_status infer_transpose(const rml_op_node *node, rml_shape *out, rml_error *err)
{
    const rml_transpose_attr *transpose = &node->attr->transpose;
    const rml_shape *from = &node->in[0].shape;
    unsigned seen = 0;
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

const rml_op rml_op_transpose = {.id = RML_OP_TRANSPOSE,
                                 .name = "transpose",
                                 .inputs = {1, 1},
                                 .signature = "*>0",
                                 .infer_values = infer_transpose,
                                 .algorithms = RML_ONE_WAY("copy", run_transpose)};
