// Layer normalisation over the last dimensions of any value.
//   y = (x - mean) / sqrt(variance + eps) * gamma + beta
// Inputs: x, gamma, beta; the last two may be absent, and are broadcast to x. One row is one kernel
// call, so that a result does not depend on threads or on the row's place. Other types than f32,
// broadcast weights, and the moments as outputs are for the general algorithm.
#include "ops/elementwise/widen.h"
#include "ops/norm/norm_rows.h"

#include "tensor/size.h"

#define CHUNK_FLOATS 16384 // of the rows a worker takes at a time

static int outputs(const rml_op_attr *attr)
{
    return attr->layer_norm.moments ? 3 : 1;
}

static rml_status types(const rml_op_node *node, rml_dtype *out, rml_error *err)
{
    static const rml_op floats = {.signature = "rrr>0"};
    RML_TRY(rml_op_types(&floats, node, out, err));
    for (int k = 1; k < outputs(node->attr); k++)
        out[k] = out[0] == RML_F64 ? RML_F64 : RML_F32;
    return RML_OK;
}

static bool broadcasts(const rml_shape *weights, const rml_shape *x)
{
    bool fits = weights->rank <= x->rank;
    for (int i = 0; i < weights->rank && fits; i++)
        fits = weights->dim[i] == 1 ||
               rml_dims_agree(weights->dim[i], x->dim[x->rank - weights->rank + i]);
    return fits;
}

static rml_status infer(const rml_op_node *node, rml_shape *out, rml_error *err)
{
    char a[RML_SHAPE_TEXT_BYTES], b[RML_SHAPE_TEXT_BYTES];
    const rml_shape *x = &node->shape[0];
    const int axis = node->attr->layer_norm.axis + (node->attr->layer_norm.axis < 0 ? x->rank : 0);
    if (axis < 0 || axis >= x->rank)
        return rml_fail(err, RML_ERR_SHAPE, "axis %d is not one of input %s",
                        node->attr->layer_norm.axis, rml_shape_text(x, a));
    for (int k = 1; k < node->in_count; k++)
        if (rml_op_given(node, k) && !broadcasts(&node->shape[k], x))
            return rml_fail(err, RML_ERR_SHAPE, "%s is %s, the input %s", k == 1 ? "gamma" : "beta",
                            rml_shape_text(&node->shape[k], b), rml_shape_text(x, a));
    for (int k = 0; k < outputs(node->attr); k++) {
        out[k] = *x;
        for (int i = axis; i < x->rank && k > 0; i++)
            out[k].dim[i] = 1;
    }
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
        RML_KERNEL(args->kernels, layer_norm)
    (args->in[0].data + i * count, gamma, beta, attr->eps, attr->rms, count,
     args->out[0].data + i * count);
}

static void run(const rml_op_args *args)
{
    rml_op_args copy = *args;
    const size_t count = row_count(args);
    if (count)
        rml_pool_run(args->pool, rml_tensor_count(&args->in[0]) / count,
                     count < CHUNK_FLOATS ? CHUNK_FLOATS / count : 1, run_rows, &copy);
}

// Whether weights are of the normalised dimensions, none of them broadcast.
static bool fits_kernel(const rml_op_args *args)
{
    const rml_tensor *x = &args->in[0];
    const int axis = args->attr->layer_norm.axis, rank = axis < 0 ? -axis : x->rank - axis;
    bool fits = rml_norm_is_f32(args) && !args->attr->layer_norm.moments;
    for (int k = 1; k < args->in_count && fits; k++) {
        const rml_tensor *w = rml_op_input(args, k);
        fits = !w || w->rank == rank;
        for (int i = 0; i < rank && fits && w; i++)
            fits = w->dim[i] == x->dim[x->rank - rank + i];
    }
    return fits;
}

static rml_tensor broadcast(const rml_op_args *args, int input)
{
    const rml_tensor *w = rml_op_input(args, input);
    return w ? rml_broadcast_view(w, &args->in[0]) : (rml_tensor){.rank = -1};
}

static void run_wide(const rml_op_args *args)
{
    const rml_layer_norm_attr *attr = &args->attr->layer_norm;
    const size_t count = row_count(args);
    const int axis = attr->axis < 0 ? attr->axis + args->in[0].rank : attr->axis;
    // An empty row has moments, too: NaN.
    const rml_norm_rows norm = {.rows = rml_tensor_span(&args->in[0], 0, axis),
                                .count = count,
                                .eps = (double)attr->eps,
                                .rms = attr->rms,
                                .gamma = broadcast(args, 1),
                                .beta = broadcast(args, 2),
                                .mean = attr->moments ? &args->out[1] : NULL,
                                .inverse = attr->moments ? &args->out[2] : NULL};
    rml_norm_rows_run(args, &norm);
}

static const rml_algorithm algorithms[] = {{.name = "rows", .accepts = fits_kernel, .run = run},
                                           {.name = "widened", .run = run_wide}};

const rml_op rml_op_layer_norm = {.id = RML_OP_LAYER_NORM,
                                  .name = "layer_norm",
                                  .inputs = {1, 3},
                                  .in_place = true,
                                  .outputs = outputs,
                                  .types = types,
                                  .infer = infer,
                                  .algorithms = algorithms};
