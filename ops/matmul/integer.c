// Exact products of 8-bit integers: matrix products and convolutions with sums in i32. They run on
// the f32 gemm kernel: a number minus its zero point is at most 255, and a sum of 256 products of
// two such numbers is less than 2^24, so that f32 holds it exactly; such sums are added as
// integers.
#include "ops/conv/conv.h"

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

static rml_status types(const rml_op_node *node, rml_dtype *out, rml_error *err)
{
    for (int k = 0; k < node->in_count; k++) {
        if (node->in[k].shape.rank == -1)
            continue;
        if (node->in[k].dtype != RML_I8 && node->in[k].dtype != RML_U8)
            return rml_fail(err, RML_ERR_UNSUPPORTED, "input %d is %s, expected i8 or u8", k,
                            rml_dtype_name(node->in[k].dtype));
    }
    *out = RML_I32;
    return RML_OK;
}

// ---- the product --------------------------------------------------------------------------------

// One product: y[row*y_row + col*y_col] = sum over k of x(row, k) * w(k, col), zero points taken
// off. `gather` writes x(row, first .. first + count) as floats.
typedef struct integer_product {
    const rml_op_args *args;
    size_t rows, cols, depth;
    void (*gather)(const struct integer_product *product, size_t row, size_t first, size_t count,
                   float *dst);
    rml_tensor x, w; // w: element (k, col) at k*w_row + col*w_col
    int64_t w_row, w_col, x_row, x_col;
    size_t x_zero, w_zero; // index of the first row's and column's zero point
    int32_t *y;
    int64_t y_row, y_col;
    const void *window; // of a convolution
} integer_product;

static size_t panels_of(const rml_kernels *kernels, size_t cols)
{
    return (cols + kernels->gemm_f32.nr - 1) / kernels->gemm_f32.nr;
}

static size_t packed_bytes(const rml_kernels *kernels, size_t depth, size_t cols)
{
    return rml_aligned_bytes(rml_sat_mul(panels_of(kernels, cols), depth),
                             kernels->gemm_f32.nr * sizeof(float));
}

// A worker's rows as floats, and the sums of one tile.
static size_t worker_bytes(const rml_kernels *kernels, size_t depth)
{
    return rml_aligned_bytes(rml_sat_add(depth, kernels->gemm_f32.nr),
                             kernels->gemm_f32.mr * sizeof(float));
}

static size_t product_bytes(const rml_op_args *args, size_t depth, size_t cols)
{
    return rml_sat_add(packed_bytes(args->kernels, depth, cols),
                       rml_sat_mul((size_t)args->threads, worker_bytes(args->kernels, depth)));
}

// Panels of w: each [depth][pitch], zeros behind the last column.
static void pack_panels(void *context, size_t begin, size_t end, int worker)
{
    const integer_product *product = context;
    const rml_kernels *kernels = product->args->kernels;
    (void)worker;
    for (size_t panel = begin; panel < end; panel++) {
        const size_t first = panel * kernels->gemm_f32.nr;
        const size_t cols = rml_min_size(kernels->gemm_f32.nr, product->cols - first);
        const size_t pitch = rml_pack_pitch(&kernels->gemm_f32, cols);
        float *dst = (float *)(void *)product->args->scratch + first * product->depth;
        memset(dst, 0, product->depth * pitch * sizeof *dst);
        for (size_t c = 0; c < cols; c++) {
            const int32_t zero = zero_at(product->args, 3, product->w_zero + first + c);
            int64_t at = (int64_t)(first + c) * product->w_col;
            for (size_t k = 0; k < product->depth; k++, at += product->w_row)
                dst[k * pitch + c] = (float)(small_at(&product->w, at) - zero);
        }
    }
}

// Adds the products of up to mr rows with one panel to y.
static void run_tile(const integer_product *product, const float *rows, float *sums, size_t first,
                     size_t count, size_t panel)
{
    const rml_kernels *kernels = product->args->kernels;
    const size_t column = panel * kernels->gemm_f32.nr;
    const size_t cols = rml_min_size(kernels->gemm_f32.nr, product->cols - column);
    const float *packed =
        (const float *)(const void *)product->args->scratch + column * product->depth;
    const void *a[RML_GEMM_MAX_MR];
    float *c[RML_GEMM_MAX_MR];
    for (size_t k = 0; k < product->depth; k += EXACT_DEPTH) {
        rml_gemm_tile tile = {.a = a,
                              .taps = 1,
                              .depth = rml_min_size(EXACT_DEPTH, product->depth - k),
                              .b = packed + k * rml_pack_pitch(&kernels->gemm_f32, cols),
                              .rows = count,
                              .cols = cols,
                              .c = c,
                              .low = -INFINITY,
                              .high = INFINITY};
        for (size_t i = 0; i < count; i++) {
            a[i] = rows + i * product->depth + k;
            c[i] = sums + i * kernels->gemm_f32.nr;
        }
        kernels->gemm_f32.run(&tile);
        for (size_t i = 0; i < count; i++)
            for (size_t n = 0; n < cols; n++) {
                int32_t *y = product->y + (int64_t)(first + i) * product->y_row +
                             (int64_t)(column + n) * product->y_col;
                *y = (int32_t)((uint32_t)*y + (uint32_t)(int32_t)c[i][n]); // wraps
            }
    }
}

static void run_rows(void *context, size_t begin, size_t end, int worker)
{
    const integer_product *product = context;
    const rml_kernels *kernels = product->args->kernels;
    char *own = product->args->scratch + packed_bytes(kernels, product->depth, product->cols) +
                (size_t)worker * worker_bytes(kernels, product->depth);
    float *sums = (float *)(void *)own, *rows = sums + kernels->gemm_f32.mr * kernels->gemm_f32.nr;
    const size_t panels = panels_of(kernels, product->cols);
    for (size_t item = begin; item < end; item++) {
        const size_t first = item * kernels->gemm_f32.mr;
        const size_t count = rml_min_size(kernels->gemm_f32.mr, product->rows - first);
        for (size_t i = 0; i < count; i++)
            product->gather(product, first + i, 0, product->depth, rows + i * product->depth);
        for (size_t panel = 0; panel < panels; panel++)
            run_tile(product, rows, sums, first, count, panel);
    }
}

static void pack_weights(integer_product *product)
{
    const rml_op_args *args = product->args;
    rml_pool_run(args->pool, panels_of(args->kernels, product->cols), PACK_ITEMS, pack_panels,
                 product);
}

static void multiply(integer_product *product)
{
    const size_t mr = product->args->kernels->gemm_f32.mr;
    rml_pool_run(product->args->pool, (product->rows + mr - 1) / mr, 1, run_rows, product);
}

static void clear(const rml_tensor *y)
{
    memset(y->raw, 0, rml_tensor_count(y) * sizeof(int32_t));
}

// ---- matrix product: a [..., M, K], b [..., K, N], zero points of rows and of columns
// ------------

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
    const rml_op_attr plain = {.matmul = {false, false}};
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

static void gather_row(const integer_product *product, size_t row, size_t first, size_t count,
                       float *dst)
{
    const int32_t zero = zero_at(product->args, 2, product->x_zero + row);
    int64_t at = (int64_t)row * product->x_row + (int64_t)first * product->x_col;
    for (size_t k = 0; k < count; k++, at += product->x_col)
        dst[k] = (float)(small_at(&product->x, at) - zero);
}

// Rows, columns and depth; operands of one dimension are a row and a column.
static integer_product matmul_of(const rml_op_args *args)
{
    const rml_tensor *a = &args->in[0], *b = &args->in[1];
    integer_product product = {.args = args, .gather = gather_row, .x = *a, .w = *b};
    product.depth = (size_t)a->dim[a->rank - 1];
    product.rows = a->rank > 1 ? (size_t)a->dim[a->rank - 2] : 1;
    product.cols = b->rank > 1 ? (size_t)b->dim[b->rank - 1] : 1;
    product.x_row = (int64_t)product.depth;
    product.x_col = product.w_col = product.y_col = 1;
    product.w_row = product.y_row = (int64_t)product.cols;
    return product;
}

static size_t scratch_matmul(const rml_op_args *args)
{
    const integer_product product = matmul_of(args);
    return product_bytes(args, product.depth, product.cols);
}

// Number of the operand's matrix that goes into matrix `batch` of the result.
static size_t matrix_of(const rml_tensor *operand, const rml_tensor *y, int y_outer, size_t batch)
{
    const int outer = operand->rank > 2 ? operand->rank - 2 : 0;
    size_t at = 0, step = 1;
    for (int back = 1; back <= y_outer; back++) {
        const size_t dim = (size_t)y->dim[y_outer - back], index = batch % dim;
        batch /= dim;
        if (back > outer)
            continue;
        const size_t own = (size_t)operand->dim[outer - back];
        at += (own == 1 ? 0 : index) * step;
        step *= own;
    }
    return at;
}

static void run_matmul(const rml_op_args *args)
{
    const rml_tensor *a = &args->in[0], *b = &args->in[1], *y = &args->out[0];
    const int y_outer = y->rank - (a->rank > 1) - (b->rank > 1);
    integer_product product = matmul_of(args);
    size_t batches = 1, packed = SIZE_MAX;
    clear(y);
    for (int i = 0; i < y_outer; i++)
        batches *= (size_t)y->dim[i];
    for (size_t batch = 0; batch < batches && product.rows && product.cols; batch++) {
        const size_t a_at = matrix_of(a, y, y_outer, batch), b_at = matrix_of(b, y, y_outer, batch);
        product.x = *a;
        product.w = *b;
        rml_tensor_advance(&product.x, (int64_t)(a_at * product.rows * product.depth));
        rml_tensor_advance(&product.w, (int64_t)(b_at * product.cols * product.depth));
        product.x_zero = a_at * product.rows;
        product.w_zero = b_at * product.cols;
        product.y = (int32_t *)y->raw + batch * product.rows * product.cols;
        if (packed != b_at)
            pack_weights(&product);
        packed = b_at;
        multiply(&product);
    }
}

static uint64_t macs_matmul(const rml_op_args *args)
{
    return (uint64_t)rml_tensor_count(&args->out[0]) *
           (uint64_t)args->in[0].dim[args->in[0].rank - 1];
}

static const rml_algorithm matmul_algorithms[] = {
    {.name = "exact-gemm", .scratch_bytes = scratch_matmul, .run = run_matmul}};
const rml_op rml_op_integer_matmul = {.name = "integer-matmul",
                                      .inputs = {2, 4},
                                      .types = types,
                                      .infer = infer_matmul,
                                      .macs = macs_matmul,
                                      .algorithms = matmul_algorithms};

#define AXES 3 // of a convolution, at most

// ---- convolution: x [N,C,...], w [O,C/g,...], a zero point of x, one or O of w
// -------------------

static rml_status infer_conv(const rml_op_node *node, rml_shape *out, rml_error *err)
{
    char x_text[RML_SHAPE_TEXT_BYTES], w_text[RML_SHAPE_TEXT_BYTES];
    RML_TRY(rml_conv_infer(&node->attr->conv, node->shape, 2, 2, false, out, err));
    if (out->rank > AXES + 2 || (node->in_count > 2 && !zeros_fit(&node->shape[2], 1, 1)) ||
        (node->in_count > 3 && !zeros_fit(&node->shape[3], node->shape[1].dim[0], 1)))
        return rml_fail(err, RML_ERR_SHAPE, "weight %s and its zero points do not fit input %s",
                        rml_shape_text(&node->shape[1], w_text),
                        rml_shape_text(&node->shape[0], x_text));
    return RML_OK;
}

// Up to three spatial axes; those that are missing come first, with size 1.
static rml_window window_of(const rml_op_args *args)
{
    const rml_window given = rml_conv_window(args);
    rml_window window = {.rank = AXES};
    for (int i = 0; i < AXES; i++) {
        const int axis = i - (AXES - given.rank);
        const bool missing = axis < 0;
        window.in[i] = missing ? 1 : given.in[axis];
        window.out[i] = missing ? 1 : given.out[axis];
        window.kernel[i] = missing ? 1 : given.kernel[axis];
        window.stride[i] = missing ? 1 : given.stride[axis];
        window.dilation[i] = missing ? 1 : given.dilation[axis];
        window.before[i] = missing ? 0 : given.before[axis];
    }
    return window;
}

// The taps of one output pixel, channel after channel; padding is the zero point, so 0 here.
static void gather_pixel(const integer_product *product, size_t row, size_t first, size_t count,
                         float *dst)
{
    const rml_window *w = product->window;
    const int32_t zero = zero_at(product->args, 2, 0);
    const int64_t at[3] = {(int64_t)row / (w->out[1] * w->out[2]),
                           (int64_t)row / w->out[2] % w->out[1], (int64_t)row % w->out[2]};
    const int64_t plane = w->in[0] * w->in[1] * w->in[2];
    const size_t taps = (size_t)(w->kernel[0] * w->kernel[1] * w->kernel[2]);
    (void)first;
    for (size_t channel = 0; channel < count / taps; channel++)
        for (int64_t kz = 0; kz < w->kernel[0]; kz++)
            for (int64_t ky = 0; ky < w->kernel[1]; ky++) {
                const int64_t z = at[0] * w->stride[0] - w->before[0] + kz * w->dilation[0];
                const int64_t y = at[1] * w->stride[1] - w->before[1] + ky * w->dilation[1];
                const bool inside = z >= 0 && z < w->in[0] && y >= 0 && y < w->in[1];
                const int64_t line = (int64_t)channel * plane + (z * w->in[1] + y) * w->in[2];
                for (int64_t kx = 0; kx < w->kernel[2]; kx++) {
                    const int64_t x = at[2] * w->stride[2] - w->before[2] + kx * w->dilation[2];
                    *dst++ = inside && x >= 0 && x < w->in[2]
                                 ? (float)(small_at(&product->x, line + x) - zero)
                                 : 0.0f;
                }
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
    const rml_window window = window_of(args);
    const size_t groups = (size_t)args->attr->conv.groups;
    const size_t channels = (size_t)w->dim[1], pixels = rml_sizes_count(window.out, AXES),
                 plane = rml_sizes_count(window.in, AXES);
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

static const rml_algorithm conv_algorithms[] = {
    {.name = "exact-gemm", .scratch_bytes = scratch_conv, .run = run_conv}};
const rml_op rml_op_integer_conv = {.name = "integer-conv",
                                    .inputs = {2, 4},
                                    .types = types,
                                    .infer = infer_conv,
                                    .macs = macs_conv,
                                    .algorithms = conv_algorithms};
