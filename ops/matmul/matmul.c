// Matrix product: y[..., M, N] = act(alpha * a[..., M, K] * b[..., K, N] + beta * c + residual).
//   c, broadcast to y, and residual are optional; an activation and a residual come where
//   rml_matmul_fuses.
// Leading dimensions are broadcast. As in numpy, a first operand of one dimension is a row and a
// second one a column, and the dimension of size 1 is left out of the result.
//
// A constant matrix is packed, and all rows of `a` are one product with it. Source:
// torch.nn.Linear, torch.matmul; ONNX MatMul, Gemm.
#include "ops/conv/igemm.h"
#include "ops/matmul/matmul.h"

#include "kernels/pack.h"
#include "ops/elementwise/nd_iterator.h"
#include "ops/elementwise/widen.h"
#include "ops/matmul/bf16.h"
#include "ops/matmul/pack_weight.h"
#include "tensor/size.h"

#include <math.h>

enum { A, B, C, RESIDUAL };

static rml_status types(const rml_op_node *node, rml_dtype *out, rml_error *err)
{
    const rml_matmul_attr *matmul = &node->attr->matmul;
    static const rml_op alike = {.signature = "*0>0"};
    const rml_dtype dtype = node->in[A].dtype;
    RML_TRY(rml_op_types(&alike, node, out, err));
    for (int k = 0; k < 2 && !rml_dtype_is_float(dtype); k++) {
        const double factor = (double)(k ? matmul->beta : matmul->alpha);
        if (!(fabs(factor) < 0x1p53 && factor == trunc(factor)))
            return rml_fail(err, RML_ERR_UNSUPPORTED, "a factor of %g for %s", factor,
                            rml_dtype_name(dtype));
    }
    return RML_OK;
}

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
    for (int k = C; k < node->in_count; k++) {
        const rml_shape *more = &node->shape[k];
        fits = !rml_op_given(node, k) || more->rank <= out->rank;
        for (int back = 0; back < more->rank && fits; back++)
            fits = (k == C && dim_back(more, back) == 1) ||
                   rml_dims_agree(dim_back(more, back), dim_back(out, back));
        if (!fits)
            return rml_fail(err, RML_ERR_SHAPE, "%s is %s, the output %s",
                            k == C ? "bias" : "residual", rml_shape_text(more, a_text),
                            rml_shape_text(out, b_text));
    }
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

rml_product rml_matmul_product(const rml_op_args *args, bool transpose_a, bool transpose_b)
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
    if (transpose_a)
        swap_last(&product.a);
    if (transpose_b)
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

static rml_product product_of(const rml_op_args *args)
{
    return rml_matmul_product(args, args->attr->matmul.transpose_a, args->attr->matmul.transpose_b);
}

// ---- operands as they are -----------------------------------------------------------------------

static size_t scratch_bytes(const rml_op_args *args)
{
    const rml_product product = product_of(args);
    return rml_product_scratch(args, &product);
}

typedef struct sum_job {
    const rml_tensor *y;
    rml_tensor c; // as y; rank -1: none
    float alpha, beta;
} sum_job;

// y = alpha * y + beta * c
static void scale_and_add(void *context, size_t begin, size_t end, int worker)
{
    const sum_job *job = context;
    const rml_wide wide = rml_wide_of(job->y->dtype);
    const bool whole = wide != RML_WIDE_F64; // then factors are whole numbers that fit
    const uint64_t alpha = whole ? (uint64_t)(int64_t)job->alpha : 0;
    const uint64_t beta = whole ? (uint64_t)(int64_t)job->beta : 0;
    (void)worker;
    for (size_t at = begin, count; at < end; at += count) {
        rml_widen sum, c = {.u64 = {0}};
        count = rml_min_size(RML_WIDEN_COUNT, end - at);
        rml_widen_read(job->y, at, count, wide, &sum);
        if (job->c.rank >= 0)
            rml_widen_read(&job->c, at, count, wide, &c);
        for (size_t i = 0; i < count; i++)
            if (wide == RML_WIDE_F64)
                sum.f64[i] = (double)job->alpha * sum.f64[i] + (double)job->beta * c.f64[i];
            else
                sum.u64[i] = alpha * sum.u64[i] + beta * c.u64[i];
        rml_widen_write(job->y, at, count, wide, &sum);
    }
}

static void add_c(const rml_op_args *args, float alpha)
{
    const rml_tensor *c = rml_op_input(args, C), *y = &args->out[0];
    sum_job job = {y, {.rank = -1}, alpha, args->attr->matmul.beta};
    if (c)
        job.c = rml_broadcast_view(c, y);
    if (c || alpha != 1)
        rml_pool_run(args->pool, rml_tensor_count(y), 16 * RML_WIDEN_COUNT, scale_and_add, &job);
}

static void run(const rml_op_args *args)
{
    const rml_product product = product_of(args);
    rml_product_run(args, &product, args->scratch);
    add_c(args, args->attr->matmul.alpha);
}

static bool is_f32(const rml_op_args *args)
{
    return args->out[0].dtype == RML_F32;
}

// ---- constant matrices --------------------------------------------------------------------------

static int64_t depth_of(const rml_op_args *args)
{
    return args->in[B].dim[args->attr->matmul.transpose_b ? 1 : 0];
}

static int64_t cols_of(const rml_op_args *args)
{
    return args->in[B].dim[args->attr->matmul.transpose_b ? 0 : 1];
}

static bool packs(const rml_shape *b)
{
    return b->rank == 2 && b->dim[0] > 0 && b->dim[1] > 0;
}

// Whether c is one number a column, as the kernel adds them.
static bool is_bias(const rml_matmul_attr *matmul, const rml_shape *b, const rml_shape *c)
{
    const int64_t cols = b->dim[matmul->transpose_b ? 0 : 1];
    size_t count;
    return matmul->beta == 1 && c->rank > 0 && c->dim[c->rank - 1] == cols && rml_shape_known(c) &&
           rml_shape_count(c, &count) && count == (size_t)cols;
}

bool rml_matmul_fuses(const rml_matmul_attr *matmul, const rml_shape *b, const rml_shape *c)
{
    return packs(b) && (!c || is_bias(matmul, b, c));
}

static bool accepts(const rml_op_args *args)
{
    const rml_shape b = rml_tensor_shape(&args->in[B]);
    return is_f32(args) && rml_op_constant(args, B) && packs(&b);
}

// Rows of a matrix that is all of an item meet the weights once: what bf16 saves there is little.
static bool accepts_bf16(const rml_op_args *args)
{
    return args->in[A].rank > 2 && accepts(args) &&
           rml_bf16_gains(args, (size_t)depth_of(args), (size_t)cols_of(args));
}

static const rml_gemm *gemm_of(const rml_op_args *args)
{
    return rml_gemm_of(args, rml_runs_bf16(args));
}

static size_t packed_bytes(const rml_op_args *args)
{
    return rml_pack_bytes(gemm_of(args), 1, (size_t)depth_of(args), (size_t)cols_of(args));
}

// `rows`: [depth][count], or [count][depth] of a transposed matrix.
static void pack_columns(const rml_weight_pack *pack, size_t group, size_t column, size_t count,
                         float *rows)
{
    const size_t depth = pack->floats;
    const bool transposed = pack->axis == 0;
    const float alpha = pack->args->attr->matmul.alpha;
    (void)group;
    for (size_t i = 0; i < depth * count && alpha != 1; i++)
        rows[i] *= alpha;
    rml_pack_panel(
        pack->gemm,
        rml_pack_at(pack->gemm, pack->packed, column * rml_pack_depth(pack->gemm, depth)), rows, 1,
        depth, count, 0, transposed ? 1 : count, transposed ? depth : 1);
}

static rml_status pack(const rml_op_args *args, const rml_constant *weight, void *packed,
                       const rml_allocator *allocator, rml_error *err)
{
    const rml_weight_pack columns = {.args = args,
                                     .gemm = gemm_of(args),
                                     .axis = args->attr->matmul.transpose_b ? 0 : 1,
                                     .groups = 1,
                                     .cols = (size_t)cols_of(args),
                                     .floats = (size_t)depth_of(args),
                                     .panel = pack_columns,
                                     .packed = packed};
    return rml_pack_weight(&columns, weight, allocator, err);
}

// A plain [..., K] view as one row of pixels with K channels.
static rml_tensor as_pixels(const rml_tensor *tensor)
{
    const int64_t channels = tensor->dim[tensor->rank - 1];
    const int64_t pixels = channels ? (int64_t)rml_tensor_count(tensor) / channels : 0;
    return (rml_tensor){.data = tensor->data,
                        .rank = 4,
                        .dim = {1, channels, 1, pixels},
                        .stride = {pixels * channels, 1, pixels * channels, channels}};
}

// The first operand with its rows in order: itself, or to be copied to `memory`.
static rml_tensor rows_of(const rml_op_args *args, rml_tensor *view, void *memory)
{
    *view = args->in[A];
    if (!args->attr->matmul.transpose_a)
        return *view;
    swap_last(view);
    const rml_shape shape = rml_tensor_shape(view);
    return rml_tensor_typed(memory, view->dtype, &shape);
}

static size_t turned_bytes(const rml_op_args *args)
{
    return args->attr->matmul.transpose_a
               ? rml_aligned_bytes(rml_tensor_count(&args->in[A]), sizeof(float))
               : 0;
}

static size_t gemm_bytes(const rml_op_args *args)
{
    return rml_igemm_scratch_bytes(gemm_of(args), args->threads, 1, (size_t)depth_of(args));
}

static size_t packed_scratch(const rml_op_args *args)
{
    rml_tensor view;
    const rml_tensor rows = rows_of(args, &view, NULL), in = as_pixels(&rows);
    return rml_sat_add(rml_sat_add(gemm_bytes(args), turned_bytes(args)),
                       rml_runs_bf16(args) ? rml_bf16_image_bytes(args, &in) : 0);
}

static void run_packed(const rml_op_args *args)
{
    char *scratch = args->scratch + gemm_bytes(args);
    rml_tensor view, residual = {.rank = -1};
    const rml_tensor rows = rows_of(args, &view, scratch);
    rml_tensor in = as_pixels(&rows);
    const rml_tensor *c = rml_op_input(args, C);
    const rml_shape b = rml_tensor_shape(&args->in[B]),
                    c_shape = c ? rml_tensor_shape(c) : (rml_shape){0};
    const bool bias = c && is_bias(&args->attr->matmul, &b, &c_shape);
    const rml_tensor out = as_pixels(&args->out[0]);
    if (rml_op_input(args, RESIDUAL))
        residual = as_pixels(&args->in[RESIDUAL]);
    if (args->attr->matmul.transpose_a)
        rml_copy_view(args, &view, &rows);
    if (rml_runs_bf16(args))
        in = rml_bf16_image(args, &in, scratch + turned_bytes(args));
    const rml_igemm product = {.window = rml_window_row(1, 1, out.dim[3]),
                               .in = &in,
                               .out = &out,
                               .residual = residual.rank < 0 ? NULL : &residual,
                               .depth = (size_t)in.dim[1],
                               .cols = (size_t)out.dim[1],
                               .gemm = gemm_of(args),
                               .packed = args->packed,
                               .bias = bias ? c->data : NULL,
                               .act = &args->attr->matmul.act,
                               .activate = args->algorithm->activate};
    rml_igemm_run(args, &product);
    if (c && !bias)
        add_c(args, 1); // the packed matrix is scaled
}

#define PACKED                                                                                     \
    .packed_bytes = packed_bytes, .pack = pack, .scratch_bytes = packed_scratch, .run = run_packed

static const rml_algorithm algorithms[] = {
    {.name = "packed-gemm-bf16",
     .precision = RML_PRECISION_BF16,
     .accepts = accepts_bf16,
     .activate = rml_activate,
     PACKED},
    {.name = "packed-gemm", .accepts = accepts, .activate = rml_activate, PACKED},
    {.name = "gemm", .scratch_bytes = scratch_bytes, .run = run}};

#define MATMUL_WITH(ways)                                                                          \
    {                                                                                              \
        .id = RML_OP_MATMUL, .name = "matmul", .inputs = {2, 4}, .packed_input = B,                \
        .types = types, .infer = infer, .macs = macs, .algorithms = ways                           \
    }

const rml_op rml_op_matmul = MATMUL_WITH(algorithms);

static const rml_algorithm constant[] = {
    {.name = "packed-gemm-bf16", .precision = RML_PRECISION_BF16, .accepts = accepts_bf16, PACKED},
    {.name = "packed-gemm", PACKED}};

const rml_op rml_op_linear = MATMUL_WITH(constant);
