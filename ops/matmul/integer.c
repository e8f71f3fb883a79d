// Exact products of 8-bit integers: matrix products and convolutions with sums in i32. They run on
// the f32 gemm kernel: a number minus its zero point is at most 255, and a sum of 256 products of
// two such numbers is less than 2^24, so that f32 holds it exactly; such sums are added as
// integers.
#include "ops/conv/conv.h"
#include "ops/matmul/matmul.h"
#include "ops/matmul/pack_weight.h"

#include "kernels/pack.h"
#include "tensor/size.h"

#include <math.h>
#include <string.h>

enum { EXACT_DEPTH = 256, PACK_ITEMS = 4 };

static int32_t small_at(const rml_tensor *tensor, int64_t at)
{
    return tensor->dtype == RML_I8 ? ((const int8_t *)tensor->raw)[at]
                                   : ((const uint8_t *)tensor->raw)[at];
}

// Zero point number `index` of a list, or of the one there is, or 0 where there is none.
static int32_t zero_at(const rml_op_args *args, int input, size_t index)
{
    if (args->in_count <= input || args->in[input].rank < 0)
        return 0;
    const size_t count = rml_tensor_count(&args->in[input]);
    return count ? small_at(&args->in[input], (int64_t)(index % count)) : 0;
}

// ---- the product --------------------------------------------------------------------------------

// One product: y[row*y_row + col*y_col] = sum over k of x(row, k) * w(k, col), zero points taken
// off. `gather` writes a row of x as floats.
typedef struct integer_product {
    const rml_op_args *args;
    size_t rows, cols, depth;
    void (*gather)(const struct integer_product *product, size_t row, float *dst);
    rml_tensor x, w; // element (row, k) at row*x_row + k*x_col, (k, col) at k*w_row + col*w_col
    int64_t x_row, x_col, w_row, w_col;
    size_t x_zero, w_zero; // index of the first row's and column's zero point
    int32_t *y;
    int64_t y_row, y_col;
    const rml_window *window; // of a convolution
} integer_product;

// Packed weights: for each EXACT_DEPTH of the depth all panels, zeros behind the last column.
static size_t packed_bytes(const rml_op_args *args, size_t depth, size_t cols)
{
    return rml_aligned_bytes(rml_pack_count(&RML_KERNEL(args->kernels, gemm_f32), 1, depth, cols),
                             sizeof(float));
}

// A worker's rows as floats, and their sums.
static size_t worker_bytes(const rml_op_args *args, size_t depth, size_t cols)
{
    return rml_aligned_bytes(rml_sat_add(depth, cols),
                             RML_KERNEL(args->kernels, gemm_f32).mr * sizeof(float));
}

static size_t product_bytes(const rml_op_args *args, size_t depth, size_t cols)
{
    return rml_sat_add(packed_bytes(args, depth, cols),
                       rml_sat_mul((size_t)args->threads, worker_bytes(args, depth, cols)));
}

static void pack_panels(void *context, size_t begin, size_t end, int worker)
{
    const integer_product *product = context;
    const rml_gemm *gemm = &RML_KERNEL(product->args->kernels, gemm_f32);
    float *packed = (float *)(void *)product->args->scratch;
    (void)worker;
    for (size_t first = begin * gemm->nr; first < rml_min_size(end * gemm->nr, product->cols);
         first += gemm->nr) {
        const size_t cols = rml_min_size(gemm->nr, product->cols - first);
        const size_t pitch = rml_pack_pitch(gemm, cols);
        for (size_t k = 0; k < product->depth; k += EXACT_DEPTH) {
            const size_t depth = rml_min_size(EXACT_DEPTH, product->depth - k);
            float *dst = packed + rml_pack_count(gemm, 1, k, product->cols) + first * depth;
            memset(dst, 0, depth * pitch * sizeof *dst);
            for (size_t c = 0; c < cols; c++) {
                const int32_t zero = zero_at(product->args, 3, product->w_zero + first + c);
                int64_t at = (int64_t)(first + c) * product->w_col + (int64_t)k * product->w_row;
                for (size_t i = 0; i < depth; i++, at += product->w_row)
                    dst[i * pitch + c] = (float)(small_at(&product->w, at) - zero);
            }
        }
    }
}

static void run_rows(void *context, size_t begin, size_t end, int worker)
{
    const integer_product *product = context;
    const rml_op_args *args = product->args;
    const rml_gemm *gemm = &RML_KERNEL(args->kernels, gemm_f32);
    const size_t depth = product->depth, cols = product->cols;
    const float *packed = (const float *)(const void *)args->scratch;
    float *rows = (float *)(void *)(args->scratch + packed_bytes(args, depth, cols) +
                                    (size_t)worker * worker_bytes(args, depth, cols));
    float *sums = rows + gemm->mr * depth;
    for (size_t item = begin; item < end; item++) {
        const size_t first = item * gemm->mr, count = rml_min_size(gemm->mr, product->rows - first);
        for (size_t i = 0; i < count; i++)
            product->gather(product, first + i, rows + i * depth);
        for (size_t k = 0; k < depth; k += EXACT_DEPTH) {
            rml_pack_multiply(gemm, rows + k, depth, count, rml_min_size(EXACT_DEPTH, depth - k),
                              packed + rml_pack_count(gemm, 1, k, cols), cols, sums, cols);
            for (size_t i = 0; i < count; i++)
                for (size_t n = 0; n < cols; n++) {
                    int32_t *y = product->y + (int64_t)(first + i) * product->y_row +
                                 (int64_t)n * product->y_col;
                    *y = (int32_t)((uint32_t)*y + (uint32_t)(int32_t)sums[i * cols + n]); // wraps
                }
        }
    }
}

static void pack_weights(integer_product *product)
{
    rml_pool_run(product->args->pool,
                 rml_pack_panels(&RML_KERNEL(product->args->kernels, gemm_f32), product->cols),
                 PACK_ITEMS, pack_panels, product);
}

static void multiply(integer_product *product)
{
    const size_t mr = RML_KERNEL(product->args->kernels, gemm_f32).mr;
    rml_pool_run(product->args->pool, (product->rows + mr - 1) / mr, 1, run_rows, product);
}

static void clear(const rml_tensor *y)
{
    memset(y->raw, 0, rml_tensor_count(y) * sizeof(int32_t));
}

// ---- matrix product: a [..., M, K], b [..., K, N], zero points of rows and columns --------------

// Zero points: one, or one a row (column), or one a row (column) of every matrix.
static bool zeros_fit(const rml_shape *zero, int64_t lines, size_t matrices)
{
    size_t count, all;
    if (zero->rank < 0 || !rml_shape_known(zero) || lines < 0)
        return true;
    return rml_shape_count(zero, &count) &&
           (count == 1 || count == (size_t)lines ||
            (rml_size_mul((size_t)lines, matrices, &all) && count == all));
}

static size_t matrices_of(const rml_shape *shape)
{
    const rml_shape outer = {
        shape->rank > 2 ? shape->rank - 2 : 0,
        {shape->dim[0], shape->dim[1], shape->dim[2], shape->dim[3], shape->dim[4], shape->dim[5]}};
    size_t count = 0;
    rml_shape_count(&outer, &count);
    return count;
}

static rml_status infer_matmul(const rml_op_node *node, rml_shape *out, rml_error *err)
{
    char text[RML_SHAPE_TEXT_BYTES];
    const rml_op_attr plain = {.matmul = rml_matmul_plain(false, false)};
    RML_TRY(rml_op_matmul.infer(&(rml_op_node){&plain, node->in, node->shape, 2}, out, err));
    for (int k = 2; k < node->in_count; k++) {
        const rml_shape *of = &node->shape[k - 2];
        const int back = k == 2 ? 2 : 1;
        const int64_t lines = of->rank < 2 ? 1 : of->dim[of->rank - back];
        if (!zeros_fit(&node->shape[k], lines, rml_shape_known(of) ? matrices_of(of) : 1) &&
            rml_shape_known(of))
            return rml_fail(err, RML_ERR_SHAPE, "zero point %s does not fit its operand",
                            rml_shape_text(&node->shape[k], text));
    }
    return RML_OK;
}

static void gather_row(const integer_product *product, size_t row, float *dst)
{
    const int32_t zero = zero_at(product->args, 2, product->x_zero + row);
    int64_t at = (int64_t)row * product->x_row;
    for (size_t k = 0; k < product->depth; k++, at += product->x_col)
        dst[k] = (float)(small_at(&product->x, at) - zero);
}

static size_t scratch_matmul(const rml_op_args *args)
{
    const rml_product all = rml_matmul_product(args, false, false);
    return product_bytes(args, (size_t)all.b.dim[all.b.rank - 2],
                         (size_t)all.b.dim[all.b.rank - 1]);
}

// Moves `view` to its matrix of result `batch`, and returns the number of the matrix.
static size_t seek_matrix(rml_tensor *view, const rml_tensor *y, size_t batch)
{
    char *matrix = rml_product_matrix(view, y, batch);
    const size_t at = (size_t)(matrix - (char *)view->raw);
    view->raw = matrix;
    return at / (size_t)(view->dim[view->rank - 2] * view->dim[view->rank - 1]);
}

static void run_matmul(const rml_op_args *args)
{
    const rml_product all = rml_matmul_product(args, false, false);
    const int row = all.y.rank - 2, col = all.y.rank - 1;
    integer_product product = {.args = args,
                               .gather = gather_row,
                               .rows = (size_t)all.y.dim[row],
                               .cols = (size_t)all.y.dim[col],
                               .depth = (size_t)all.a.dim[col],
                               .x_row = all.a.stride[row],
                               .x_col = all.a.stride[col],
                               .w_row = all.b.stride[row],
                               .w_col = all.b.stride[col],
                               .y_row = all.y.stride[row],
                               .y_col = all.y.stride[col]};
    const void *packed = NULL;
    clear(&all.y);
    if (!rml_tensor_count(&all.y) || !product.depth)
        return;
    for (size_t batch = 0; batch < rml_tensor_span(&all.y, 0, row); batch++) {
        product.x = all.a;
        product.w = all.b;
        product.x_zero = seek_matrix(&product.x, &all.y, batch) * product.rows;
        product.w_zero = seek_matrix(&product.w, &all.y, batch) * product.cols;
        product.y = (int32_t *)all.y.raw + batch * product.rows * product.cols;
        if (packed != product.w.raw)
            pack_weights(&product);
        packed = product.w.raw;
        multiply(&product);
    }
}

static uint64_t macs_matmul(const rml_op_args *args)
{
    return (uint64_t)rml_tensor_count(&args->out[0]) *
           (uint64_t)args->in[0].dim[args->in[0].rank - 1];
}

const rml_op rml_op_integer_matmul = {.id = RML_OP_INTEGER_MATMUL,
                                      .name = "integer_matmul",
                                      .inputs = {2, 4},
                                      .signature = "c>e",
                                      .infer = infer_matmul,
                                      .macs = macs_matmul,
                                      .algorithms =
                                          RML_ONE_WAY_IN("exact-gemm", scratch_matmul, run_matmul)};

// ---- convolution: x [N,C,...], w [O,C/g,...], a zero point of x, one or O of w

static rml_status infer_conv(const rml_op_node *node, rml_shape *out, rml_error *err)
{
    char x_text[RML_SHAPE_TEXT_BYTES], w_text[RML_SHAPE_TEXT_BYTES];
    RML_TRY(rml_conv_infer(&node->attr->conv, node->shape, 2, 2, false, out, err));
    if ((node->in_count > 2 && !zeros_fit(&node->shape[2], 1, 1)) ||
        (node->in_count > 3 && !zeros_fit(&node->shape[3], node->shape[1].dim[0], 1)))
        return rml_fail(err, RML_ERR_SHAPE, "weight %s and its zero points do not fit input %s",
                        rml_shape_text(&node->shape[1], w_text),
                        rml_shape_text(&node->shape[0], x_text));
    return RML_OK;
}

// The taps of one output pixel, channel after channel; padding is the zero point, so 0 here.
static void gather_pixel(const integer_product *product, size_t row, float *dst)
{
    const rml_window *w = product->window;
    const int32_t zero = zero_at(product->args, 2, 0);
    const size_t plane = rml_sizes_count(w->in, w->rank),
                 taps = rml_sizes_count(w->kernel, w->rank);
    int64_t at[RML_MAX_SPATIAL], tap[RML_MAX_SPATIAL] = {0};
    rml_sizes_seek(w->out, w->rank, row, at);
    for (size_t t = 0; t < taps; t++, rml_sizes_next(w->kernel, w->rank, tap)) {
        int64_t offset = 0;
        bool inside = true;
        for (int i = 0; i < w->rank; i++) {
            const int64_t x = at[i] * w->stride[i] - w->before[i] + tap[i] * w->dilation[i];
            inside = inside && x >= 0 && x < w->in[i];
            offset = offset * w->in[i] + x;
        }
        for (size_t k = t; k < product->depth; k += taps, offset += (int64_t)plane)
            dst[k] = inside ? (float)(small_at(&product->x, offset) - zero) : 0.0f;
    }
}

static size_t conv_depth(const rml_op_args *args)
{
    size_t depth = 1;
    for (int i = 1; i < args->in[1].rank; i++)
        depth *= (size_t)args->in[1].dim[i];
    return depth;
}

static size_t scratch_conv(const rml_op_args *args)
{
    const size_t cols = (size_t)(args->in[1].dim[0] / args->attr->conv.groups);
    return product_bytes(args, conv_depth(args), cols);
}

static void run_conv(const rml_op_args *args)
{
    const rml_tensor *x = &args->in[0], *w = &args->in[1], *y = &args->out[0];
    const rml_window window = rml_conv_window(args);
    const size_t groups = (size_t)args->attr->conv.groups;
    const size_t channels = (size_t)w->dim[1], pixels = rml_sizes_count(window.out, window.rank),
                 plane = rml_sizes_count(window.in, window.rank);
    integer_product product = {.args = args,
                               .rows = pixels,
                               .cols = (size_t)w->dim[0] / groups,
                               .depth = conv_depth(args),
                               .gather = gather_pixel,
                               .w_row = 1,
                               .y_row = 1,
                               .y_col = (int64_t)pixels,
                               .window = &window};
    product.w_col = (int64_t)product.depth;
    clear(y);
    if (!rml_tensor_count(y) || !product.depth)
        return;
    for (size_t group = 0; group < groups; group++) {
        product.w = *w;
        rml_tensor_advance(&product.w, (int64_t)(group * product.cols * product.depth));
        product.w_zero = group * product.cols;
        pack_weights(&product);
        for (size_t image = 0; image < (size_t)x->dim[0]; image++) {
            product.x = *x;
            rml_tensor_advance(&product.x, (int64_t)((image * groups + group) * channels * plane));
            product.y = (int32_t *)y->raw + (image * groups + group) * product.cols * pixels;
            multiply(&product);
        }
    }
}

static uint64_t macs_conv(const rml_op_args *args)
{
    return (uint64_t)rml_tensor_count(&args->out[0]) * conv_depth(args);
}

const rml_op rml_op_integer_conv = {.id = RML_OP_INTEGER_CONV,
                                    .name = "integer_conv",
                                    .inputs = {2, 4},
                                    .signature = "c>e",
                                    .infer = infer_conv,
                                    .macs = macs_conv,
                                    .algorithms =
                                        RML_ONE_WAY_IN("exact-gemm", scratch_conv, run_conv)};
