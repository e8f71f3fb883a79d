// Batched matrix product of two run-time values: y[..., M, N] = a[..., M, K] * b[..., K, N].
// Leading dimensions are equal or 1. The second operand is packed into scratch at run time.
#include "ops/op.h"

#include "kernels/pack.h"
#include "tensor/size.h"

#include <math.h>

// The dimension of `shape` at distance `back` from the end, 1 where it has none.
static int64_t dim_back(const rml_shape *shape, int back)
{
    return shape->rank > back ? shape->dim[shape->rank - 1 - back] : 1;
}

static rml_status infer(const rml_op_attr *attr, const rml_shape *in, int in_count, rml_shape *out,
                        rml_error *err)
{
    char a_text[RML_SHAPE_TEXT_BYTES], b_text[RML_SHAPE_TEXT_BYTES];
    const rml_matmul_attr *matmul = &attr->matmul;
    const rml_shape *a = &in[0], *b = &in[1];
    bool fits = a->rank >= 2 && b->rank >= 2;
    (void)in_count;
    if (fits) {
        const int64_t ka = dim_back(a, matmul->transpose_a ? 1 : 0);
        const int64_t kb = dim_back(b, matmul->transpose_b ? 0 : 1);
        fits = ka == kb || ka < 0 || kb < 0;
        out->rank = a->rank > b->rank ? a->rank : b->rank;
        for (int back = 2; back < out->rank; back++) {
            const int64_t da = dim_back(a, back), db = dim_back(b, back);
            out->dim[out->rank - 1 - back] = da == 1 ? db : da;
            fits = fits && (da == db || da == 1 || db == 1 || da < 0 || db < 0);
        }
        out->dim[out->rank - 2] = dim_back(a, matmul->transpose_a ? 0 : 1);
        out->dim[out->rank - 1] = dim_back(b, matmul->transpose_b ? 1 : 0);
    }
    if (!fits)
        return rml_fail(err, RML_ERR_SHAPE, "operands %s%s and %s%s do not fit",
                        rml_shape_text(a, a_text), matmul->transpose_a ? " transposed" : "",
                        rml_shape_text(b, b_text), matmul->transpose_b ? " transposed" : "");
    return RML_OK;
}

typedef struct sizes {
    size_t m, n, k, batch, panels;
    int64_t a_row, a_col, b_row, b_col; // strides of the matrices as multiplied
} sizes;

static sizes sizes_of(const rml_op_args *args)
{
    const rml_tensor *a = &args->in[0], *b = &args->in[1], *y = &args->out[0];
    const rml_matmul_attr *matmul = &args->attr->matmul;
    sizes s = {.m = (size_t)y->dim[y->rank - 2], .n = (size_t)y->dim[y->rank - 1], .batch = 1};
    s.k = (size_t)a->dim[a->rank - (matmul->transpose_a ? 2 : 1)];
    for (int i = 0; i < y->rank - 2; i++)
        s.batch *= (size_t)y->dim[i];
    s.panels = (s.n + args->kernels->nr - 1) / args->kernels->nr;
    s.a_row = a->stride[a->rank - (matmul->transpose_a ? 1 : 2)];
    s.a_col = a->stride[a->rank - (matmul->transpose_a ? 2 : 1)];
    s.b_row = b->stride[b->rank - (matmul->transpose_b ? 1 : 2)];
    s.b_col = b->stride[b->rank - (matmul->transpose_b ? 2 : 1)];
    return s;
}

static uint64_t macs(const rml_op_args *args)
{
    const sizes s = sizes_of(args);
    return (uint64_t)rml_tensor_count(&args->out[0]) * s.k;
}

// One worker's scratch: a packed panel, and mr rows of `a` when its rows are not contiguous.
static size_t panel_bytes(const rml_op_args *args, const sizes *s)
{
    return rml_round_up(s->k * args->kernels->nr * sizeof(float), RML_ALIGNMENT);
}

static size_t worker_bytes(const rml_op_args *args, const sizes *s)
{
    return panel_bytes(args, s) +
           rml_round_up(s->k * args->kernels->mr * sizeof(float), RML_ALIGNMENT);
}

static size_t scratch_bytes(const rml_op_args *args)
{
    const sizes s = sizes_of(args);
    return (size_t)args->threads * worker_bytes(args, &s);
}

// Start of matrix number `batch` of an operand that may be broadcast.
static float *matrix_at(const rml_tensor *operand, const rml_tensor *y, size_t batch)
{
    float *at = operand->data;
    for (int back = 2; back < y->rank; back++) {
        const size_t dim = (size_t)y->dim[y->rank - 1 - back];
        const size_t index = batch % dim;
        batch /= dim;
        if (back < operand->rank && operand->dim[operand->rank - 1 - back] != 1)
            at += (int64_t)index * operand->stride[operand->rank - 1 - back];
    }
    return at;
}

static void run_panels(void *context, size_t begin, size_t end, int worker)
{
    const rml_op_args *args = context;
    const rml_kernels *kernels = args->kernels;
    const rml_tensor *y = &args->out[0];
    const sizes s = sizes_of(args);
    float *panel = (float *)(args->scratch + (size_t)worker * worker_bytes(args, &s));
    float *rows = (float *)((char *)panel + panel_bytes(args, &s));
    const float *a_rows[RML_GEMM_MAX_MR];
    float *c_rows[RML_GEMM_MAX_MR];
    for (size_t item = begin; item < end; item++) {
        const size_t batch = item / s.panels, column = item % s.panels * kernels->nr;
        const float *a = matrix_at(&args->in[0], y, batch), *b = matrix_at(&args->in[1], y, batch);
        float *c = matrix_at(y, y, batch);
        rml_gemm_tile tile = {.a = a_rows,
                              .taps = 1,
                              .depth = s.k,
                              .b = panel,
                              .cols = rml_min_size(kernels->nr, s.n - column),
                              .c = c_rows,
                              .low = -INFINITY,
                              .high = INFINITY};
        rml_pack_panel(kernels, panel, b + (int64_t)column * s.b_col, 1, s.k, tile.cols, 0,
                       (size_t)s.b_row, (size_t)s.b_col);
        for (size_t row = 0; row < s.m; row += kernels->mr) {
            tile.rows = rml_min_size(kernels->mr, s.m - row);
            for (size_t i = 0; i < tile.rows; i++) {
                const float *src = a + (int64_t)(row + i) * s.a_row;
                if (s.a_col != 1) {
                    for (size_t k = 0; k < s.k; k++)
                        rows[i * s.k + k] = src[(int64_t)k * s.a_col];
                    src = rows + i * s.k;
                }
                a_rows[i] = src;
                c_rows[i] = c + (row + i) * s.n + column;
            }
            kernels->gemm(&tile);
        }
    }
}

static void run(const rml_op_args *args)
{
    const sizes s = sizes_of(args);
    rml_op_args copy = *args;
    rml_pool_run(args->pool, s.batch * s.panels, 1, run_panels, &copy);
}

static const rml_algorithm algorithms[] = {
    {.name = "packed-gemm", .scratch_bytes = scratch_bytes, .run = run}};

const rml_op rml_op_matmul = {.name = "matmul",
                              .min_inputs = 2,
                              .max_inputs = 2,
                              .layout = RML_OP_PLAIN,
                              .packed_input = -1,
                              .infer = infer,
                              .macs = macs,
                              .algorithms = algorithms};
