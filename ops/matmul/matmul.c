// Batched matrix product of two values of one type: y[..., M, N] = a[..., M, K] * b[..., K, N].
// Leading dimensions are broadcast. As in numpy, a first operand of one dimension is a row and a
// second one a column, and the dimension of size 1 is left out of the result.
#include "ops/matmul/product.h"

// The dimension of `shape` at distance `back` from the end, 1 where it has none.
static int64_t dim_back(const rml_shape *shape, int back)
{
    return shape->rank > back ? shape->dim[shape->rank - 1 - back] : 1;
}

static rml_status infer(const rml_op_node *node, rml_shape *out, rml_error *err)
{
    char a_text[RML_SHAPE_TEXT_BYTES], b_text[RML_SHAPE_TEXT_BYTES];
    const rml_matmul_attr *matmul = &node->attr->matmul;
    rml_shape a = node->shape[0], b = node->shape[1];
    bool fits = a.rank >= (matmul->transpose_a ? 2 : 1) && b.rank >= (matmul->transpose_b ? 2 : 1);
    if (fits) {
        if (a.rank == 1)
            a = (rml_shape){2, {1, a.dim[0]}};
        if (b.rank == 1)
            b = (rml_shape){2, {b.dim[0], 1}};
        const int64_t ka = dim_back(&a, matmul->transpose_a ? 1 : 0);
        const int64_t kb = dim_back(&b, matmul->transpose_b ? 0 : 1);
        fits = ka == kb || ka < 0 || kb < 0;
        out->rank = a.rank > b.rank ? a.rank : b.rank;
        for (int back = 2; back < out->rank; back++) {
            const int64_t da = dim_back(&a, back), db = dim_back(&b, back);
            const bool open = da < 0 && db < 0 && da != db; // either may be 1
            out->dim[out->rank - 1 - back] = open ? -1 : da == 1 || (da < 0 && db > 1) ? db : da;
            fits = fits && (da == db || da == 1 || db == 1 || da < 0 || db < 0);
        }
        out->rank -= 2;
        if (node->shape[0].rank > 1)
            out->dim[out->rank++] = dim_back(&a, matmul->transpose_a ? 0 : 1);
        if (node->shape[1].rank > 1)
            out->dim[out->rank++] = dim_back(&b, matmul->transpose_b ? 1 : 0);
    }
    if (!fits)
        return rml_fail(
            err, RML_ERR_SHAPE, "operands %s%s and %s%s do not fit",
            rml_shape_text(&node->shape[0], a_text), matmul->transpose_a ? " transposed" : "",
            rml_shape_text(&node->shape[1], b_text), matmul->transpose_b ? " transposed" : "");
    return RML_OK;
}

static void insert_dim(rml_tensor *view, int at)
{
    for (int i = view->rank; i > at; i--) {
        view->dim[i] = view->dim[i - 1];
        view->stride[i] = view->stride[i - 1];
    }
    view->dim[at] = view->stride[at] = 1;
    view->rank++;
}

static void swap_last(rml_tensor *view)
{
    const int row = view->rank - 2, col = view->rank - 1;
    const int64_t dim = view->dim[row], stride = view->stride[row];
    view->dim[row] = view->dim[col];
    view->stride[row] = view->stride[col];
    view->dim[col] = dim;
    view->stride[col] = stride;
}

// All three as matrices, with the same number of leading dimensions.
static rml_product product_of(const rml_op_args *args)
{
    rml_product product = {.a = args->in[0], .b = args->in[1], .y = args->out[0]};
    if (product.a.rank == 1) {
        insert_dim(&product.a, 0);
        insert_dim(&product.y, product.y.rank - (args->in[1].rank > 1));
    }
    if (product.b.rank == 1) {
        insert_dim(&product.b, 1);
        insert_dim(&product.y, product.y.rank);
    }
    if (args->attr->matmul.transpose_a)
        swap_last(&product.a);
    if (args->attr->matmul.transpose_b)
        swap_last(&product.b);
    while (product.a.rank < product.y.rank)
        insert_dim(&product.a, 0);
    while (product.b.rank < product.y.rank)
        insert_dim(&product.b, 0);
    return product;
}

static uint64_t macs(const rml_op_args *args)
{
    const rml_tensor *a = &args->in[0];
    const int depth = a->rank - (args->attr->matmul.transpose_a ? 2 : 1);
    return (uint64_t)rml_tensor_count(&args->out[0]) * (uint64_t)a->dim[depth];
}

static size_t scratch_bytes(const rml_op_args *args)
{
    const rml_product product = product_of(args);
    return rml_product_scratch(args, &product);
}

static void run(const rml_op_args *args)
{
    const rml_product product = product_of(args);
    rml_product_run(args, &product, args->scratch);
}

static bool is_f32(const rml_op_args *args)
{
    return args->out[0].dtype == RML_F32;
}

static const rml_algorithm algorithms[] = {
    {.name = "packed-gemm", .accepts = is_f32, .scratch_bytes = scratch_bytes, .run = run},
    {.name = "widened", .run = run}};

const rml_op rml_op_matmul = {.name = "matmul",
                              .inputs = {2, 2},
                              .signature = "*0>0",
                              .infer = infer,
                              .macs = macs,
                              .algorithms = algorithms};
