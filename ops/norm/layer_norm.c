// Layer normalisation over the last dimensions of any value.
//   y = (x - mean) / sqrt(variance + eps) * gamma + beta
// Inputs: x, gamma, beta; the last two may be absent. One row is one kernel call, so that a result
// does not depend on threads or on the row's place.
#include "ops/op.h"

#include "tensor/size.h"

#define CHUNK_FLOATS 16384 // of the rows a worker takes at a time

static rml_status infer(const rml_op_node *node, rml_shape *out, rml_error *err)
{
    char a[RML_SHAPE_TEXT_BYTES], b[RML_SHAPE_TEXT_BYTES];
    const rml_shape *x = &node->shape[0];
    const int axis = node->attr->layer_norm.axis + (node->attr->layer_norm.axis < 0 ? x->rank : 0);
    if (axis < 0 || axis >= x->rank)
        return rml_fail(err, RML_ERR_SHAPE, "axis %d is not one of input %s",
                        node->attr->layer_norm.axis, rml_shape_text(x, a));
    rml_shape row = {.rank = x->rank - axis};
    for (int i = axis; i < x->rank; i++)
        row.dim[i - axis] = x->dim[i];
    for (int k = 1; k < node->in_count; k++)
        if (rml_op_given(node, k) && !rml_shapes_agree(&node->shape[k], &row))
            return rml_fail(err, RML_ERR_SHAPE, "%s is %s, the input %s", k == 1 ? "gamma" : "beta",
                            rml_shape_text(&node->shape[k], b), rml_shape_text(x, a));
    *out = *x;
    return RML_OK;
}

static size_t row_count(const rml_op_args *args)
{
    const int rank = args->in[0].rank, axis = args->attr->layer_norm.axis;
    return rml_tensor_span(&args->in[0], axis < 0 ? axis + rank : axis, rank);
}

static void run_rows(void *context, size_t begin, size_t end, int worker)
{
    const rml_op_args *args = context;
    const rml_layer_norm_attr *attr = &args->attr->layer_norm;
    const size_t count = row_count(args);
    const float *gamma = rml_op_input(args, 1) ? args->in[1].data : NULL;
    const float *beta = rml_op_input(args, 2) ? args->in[2].data : NULL;
    (void)worker;
    for (size_t i = begin; i < end; i++)
        args->kernels->layer_norm(args->in[0].data + i * count, gamma, beta, attr->eps, attr->rms,
                                  count, args->out[0].data + i * count);
}

static void run(const rml_op_args *args)
{
    rml_op_args copy = *args;
    const size_t count = row_count(args);
    if (count)
        rml_pool_run(args->pool, rml_tensor_count(&args->in[0]) / count,
                     count < CHUNK_FLOATS ? CHUNK_FLOATS / count : 1, run_rows, &copy);
}

const rml_op rml_op_layer_norm = {.name = "layer_norm",
                                  .inputs = {1, 3},
                                  .in_place = true,
                                  .infer = infer,
                                  .algorithms = RML_ONE_WAY("rows", run)};
