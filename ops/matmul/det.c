// Determinants of the matrices of the last two dimensions, in double.
#include "ops/op.h"

#include "ops/elementwise/widen.h"
#include "tensor/dtype.h"
#include "tensor/size.h"

#include <math.h>

static rml_status infer(const rml_op_node *node, rml_shape *out, rml_error *err)
{
    char text[RML_SHAPE_TEXT_BYTES];
    const rml_shape *x = &node->shape[0];
    if (x->rank < 2 || !rml_dims_agree(x->dim[x->rank - 1], x->dim[x->rank - 2]))
        return rml_fail(err, RML_ERR_SHAPE, "input %s has no square matrices",
                        rml_shape_text(&node->shape[0], text));
    *out = node->shape[0];
    out->rank -= 2;
    return RML_OK;
}

static size_t side(const rml_op_args *args)
{
    return (size_t)args->in[0].dim[args->in[0].rank - 1];
}

static size_t worker_bytes(const rml_op_args *args)
{
    return rml_aligned_bytes(rml_sat_mul(side(args), side(args)), sizeof(double));
}

// Elimination with the largest pivot of each column; overwrites the matrix.
static double determinant(double *m, size_t n)
{
    double product = 1;
    for (size_t k = 0; k < n; k++) {
        size_t pivot = k;
        for (size_t i = k + 1; i < n; i++)
            if (fabs(m[i * n + k]) > fabs(m[pivot * n + k]))
                pivot = i;
        if (pivot != k) {
            product = -product;
            for (size_t j = k; j < n; j++) {
                const double swap = m[k * n + j];
                m[k * n + j] = m[pivot * n + j];
                m[pivot * n + j] = swap;
            }
        }
        product *= m[k * n + k];
        if (m[k * n + k] == 0)
            return product;
        for (size_t i = k + 1; i < n; i++) {
            const double factor = m[i * n + k] / m[k * n + k];
            for (size_t j = k + 1; j < n; j++)
                m[i * n + j] -= factor * m[k * n + j];
        }
    }
    return product;
}

static void run_part(void *context, size_t begin, size_t end, int worker)
{
    const rml_op_args *args = context;
    const size_t n = side(args);
    double *m = rml_op_worker(args, worker);
    for (size_t i = begin; i < end; i++) {
        rml_read_f64(&args->in[0], i * n * n, m, n * n);
        const double value = determinant(m, n);
        rml_write_f64(&args->out[0], i, &value, 1);
    }
}

static void run(const rml_op_args *args)
{
    rml_pool_run(args->pool, rml_tensor_count(&args->out[0]), 1, run_part, (void *)(uintptr_t)args);
}

const rml_op rml_op_det = {.id = RML_OP_DET,
                           .name = "det",
                           .inputs = {1, 1},
                           .signature = "r>0",
                           .infer = infer,
                           .algorithms = RML_ONE_WAY_EACH("elimination", worker_bytes, run)};
