#include "ops/matmul/product.h"

#include "kernels/pack.h"
#include "ops/elementwise/nd_iterator.h"
#include "ops/elementwise/widen.h"
#include "tensor/size.h"

#include <math.h>
#include <string.h>

typedef struct product_job {
    const rml_op_args *args;
    const rml_product *product;
    char *scratch;
    size_t m, n, k, batch, pieces; // columns are cut into `pieces` of at most `piece`
    size_t piece, worker_bytes;
    int64_t a_row, a_col, b_row, b_col, y_row;
} product_job;

// Of f32 and f64 the second operand is packed, a panel of columns at a time.
static bool is_packed(const rml_tensor *y)
{
    return y->dtype == RML_F32 || y->dtype == RML_F64;
}

static size_t mr_of(const rml_kernels *kernels, const rml_tensor *y)
{
    return y->dtype == RML_F32 ? RML_KERNEL(kernels, gemm_f32).mr
                               : RML_KERNEL(kernels, gemm_f64).mr;
}

static size_t nr_of(const rml_kernels *kernels, const rml_tensor *y)
{
    return y->dtype == RML_F32 ? RML_KERNEL(kernels, gemm_f32).nr
                               : RML_KERNEL(kernels, gemm_f64).nr;
}

static size_t panel_bytes(const rml_kernels *kernels, const rml_tensor *y, size_t k)
{
    return rml_aligned_bytes(k, nr_of(kernels, y) * rml_dtype_size(y->dtype));
}

static product_job job_of(const rml_op_args *args, const rml_product *product)
{
    const rml_tensor *a = &product->a, *b = &product->b, *y = &product->y;
    const int row = y->rank - 2, col = y->rank - 1;
    product_job job = {.args = args, .product = product};
    job.m = (size_t)y->dim[row];
    job.n = (size_t)y->dim[col];
    job.k = (size_t)a->dim[col];
    job.batch = rml_tensor_span(y, 0, row);
    job.a_row = a->stride[row];
    job.a_col = a->stride[col];
    job.b_row = b->stride[row];
    job.b_col = b->stride[col];
    job.y_row = y->stride[row];
    job.piece = is_packed(y) ? nr_of(args->kernels, y) : RML_WIDEN_COUNT;
    job.pieces = (job.n + job.piece - 1) / job.piece;
    // A packed panel, and mr rows of `a` for when its rows are not contiguous.
    if (is_packed(y))
        job.worker_bytes = rml_sat_add(
            panel_bytes(args->kernels, y, job.k),
            rml_aligned_bytes(job.k, mr_of(args->kernels, y) * rml_dtype_size(y->dtype)));
    return job;
}

size_t rml_product_scratch(const rml_op_args *args, const rml_product *product)
{
    return rml_sat_mul((size_t)args->threads, job_of(args, product).worker_bytes);
}

char *rml_product_matrix(const rml_tensor *operand, const rml_tensor *y, size_t batch)
{
    int64_t at = 0;
    for (int i = y->rank - 3; i >= 0; i--) {
        const size_t dim = (size_t)y->dim[i];
        if (operand->dim[i] != 1)
            at += (int64_t)(batch % dim) * operand->stride[i];
        batch /= dim;
    }
    return (char *)operand->raw + at * (int64_t)rml_dtype_size(operand->dtype);
}

// ---- f32 ----------------------------------------------------------------------------------------

static void run_panels(void *context, size_t begin, size_t end, int worker)
{
    const product_job *job = context;
    const rml_product *product = job->product;
    const rml_kernels *kernels = job->args->kernels;
    float *panel = (float *)(void *)(job->scratch + (size_t)worker * job->worker_bytes);
    float *rows = (float *)(void *)((char *)panel + panel_bytes(kernels, &product->y, job->k));
    const void *a_rows[RML_GEMM_MAX_MR];
    float *c_rows[RML_GEMM_MAX_MR];
    for (size_t item = begin; item < end; item++) {
        const size_t batch = item / job->pieces,
                     column = item % job->pieces * RML_KERNEL(kernels, gemm_f32).nr;
        const float *a = (void *)rml_product_matrix(&product->a, &product->y, batch);
        const float *b = (void *)rml_product_matrix(&product->b, &product->y, batch);
        float *y = (void *)rml_product_matrix(&product->y, &product->y, batch);
        rml_gemm_tile tile = {.a = a_rows,
                              .taps = 1,
                              .depth = job->k,
                              .b = panel,
                              .cols =
                                  rml_min_size(RML_KERNEL(kernels, gemm_f32).nr, job->n - column),
                              .c = c_rows,
                              .low = -INFINITY,
                              .high = INFINITY};
        rml_pack_panel(&RML_KERNEL(kernels, gemm_f32), panel, b + (int64_t)column * job->b_col, 1,
                       job->k, tile.cols, 0, (size_t)job->b_row, (size_t)job->b_col);
        for (size_t row = 0; row < job->m; row += RML_KERNEL(kernels, gemm_f32).mr) {
            tile.rows = rml_min_size(RML_KERNEL(kernels, gemm_f32).mr, job->m - row);
            for (size_t i = 0; i < tile.rows; i++) {
                const float *src = a + (int64_t)(row + i) * job->a_row;
                if (job->a_col != 1) {
                    for (size_t k = 0; k < job->k; k++)
                        rows[i * job->k + k] = src[(int64_t)k * job->a_col];
                    src = rows + i * job->k;
                }
                a_rows[i] = src;
                c_rows[i] = y + (int64_t)(row + i) * job->y_row + column;
            }
            RML_KERNEL(kernels, gemm_f32).run(&tile);
        }
    }
}

// ---- f64 ----------------------------------------------------------------------------------------

static void pack_f64(double *panel, const double *b, const product_job *job, size_t cols, size_t nr)
{
    for (size_t k = 0; k < job->k; k++, panel += nr) {
        const double *src = b + (int64_t)k * job->b_row;
        for (size_t n = 0; n < cols; n++)
            panel[n] = src[(int64_t)n * job->b_col];
        for (size_t n = cols; n < nr; n++)
            panel[n] = 0;
    }
}

static void run_panels_f64(void *context, size_t begin, size_t end, int worker)
{
    const product_job *job = context;
    const rml_product *product = job->product;
    const rml_gemm_f64 *gemm = &RML_KERNEL(job->args->kernels, gemm_f64);
    double *panel = (double *)(void *)(job->scratch + (size_t)worker * job->worker_bytes);
    double *lines = panel + job->k * gemm->nr;
    const double *a_rows[RML_GEMM_MAX_MR];
    double *c_rows[RML_GEMM_MAX_MR];
    for (size_t item = begin; item < end; item++) {
        const size_t batch = item / job->pieces, column = item % job->pieces * gemm->nr;
        const size_t cols = rml_min_size(gemm->nr, job->n - column);
        const double *a = (void *)rml_product_matrix(&product->a, &product->y, batch);
        const double *b = (void *)rml_product_matrix(&product->b, &product->y, batch);
        double *y = (void *)rml_product_matrix(&product->y, &product->y, batch);
        pack_f64(panel, b + (int64_t)column * job->b_col, job, cols, gemm->nr);
        for (size_t row = 0, rows; row < job->m; row += rows) {
            rows = rml_min_size(gemm->mr, job->m - row);
            for (size_t i = 0; i < rows; i++) {
                a_rows[i] = rml_line_up(a + (int64_t)(row + i) * job->a_row, job->a_col, 0, job->k,
                                        sizeof *a, lines + i * job->k);
                c_rows[i] = y + (int64_t)(row + i) * job->y_row + column;
            }
            gemm->run(a_rows, rows, job->k, panel, cols, c_rows);
        }
    }
}

// ---- whole numbers of 32 and 64 bits: one row of `y` at a time ----------------------------------

static void run_whole(void *context, size_t begin, size_t end, int worker)
{
    const product_job *job = context;
    const rml_product *product = job->product;
    const rml_dtype dtype = product->y.dtype;
    const size_t bytes = rml_dtype_size(dtype);
    (void)worker;
    for (size_t item = begin; item < end; item++) {
        const size_t column = item % job->pieces * job->piece, line = item / job->pieces;
        const size_t batch = line / job->m, row = line % job->m;
        const size_t count = rml_min_size(job->piece, job->n - column);
        const char *a = rml_product_matrix(&product->a, &product->y, batch);
        const char *b = rml_product_matrix(&product->b, &product->y, batch);
        char *y = rml_product_matrix(&product->y, &product->y, batch);
        uint64_t sum[RML_WIDEN_COUNT] = {0}, buffer[RML_WIDEN_COUNT];
        for (size_t k = 0; k < job->k; k++) {
            const int64_t a_at = (int64_t)row * job->a_row + (int64_t)k * job->a_col;
            const int64_t b_at = (int64_t)k * job->b_row + (int64_t)column * job->b_col;
            const void *b_row =
                rml_line_up(b + b_at * (int64_t)bytes, job->b_col, 0, count, bytes, buffer);
            RML_KERNEL(job->args->kernels, add_scaled)
            (dtype, a + a_at * (int64_t)bytes, b_row, sum, count);
        }
        memcpy(y + ((int64_t)row * job->y_row + (int64_t)column) * (int64_t)bytes, sum,
               count * bytes);
    }
}

static bool is_whole(const rml_op_args *args, rml_dtype dtype)
{
    uint64_t none[1] = {0};
    return RML_KERNEL(args->kernels, add_scaled)(dtype, none, none, none, 0);
}

// ---- other types: one row of `y` at a time, RML_WIDEN_COUNT columns of it -----------------------

static rml_tensor line_view(const rml_tensor *of, const char *start, int64_t at, int64_t stride,
                            size_t count)
{
    return (rml_tensor){.raw = (void *)(uintptr_t)(start + at * (int64_t)rml_dtype_size(of->dtype)),
                        .dtype = of->dtype,
                        .rank = 1,
                        .dim = {(int64_t)count},
                        .stride = {stride}};
}

static void add_scaled(rml_wide wide, rml_widen *sum, const rml_widen *row, const rml_widen *factor,
                       size_t k, size_t count)
{
    if (wide == RML_WIDE_F64) {
        const double by = factor->f64[k];
        for (size_t i = 0; i < count; i++)
            sum->f64[i] += by * row->f64[i];
    } else {
        const uint64_t by = factor->u64[k]; // modulo 2^64 signed and unsigned are the same
        for (size_t i = 0; i < count; i++)
            sum->u64[i] += by * row->u64[i];
    }
}

static void run_wide(void *context, size_t begin, size_t end, int worker)
{
    const product_job *job = context;
    const rml_product *product = job->product;
    const rml_wide wide = rml_wide_of(product->y.dtype);
    (void)worker;
    for (size_t item = begin; item < end; item++) {
        const size_t column = item % job->pieces * job->piece, line = item / job->pieces;
        const size_t batch = line / job->m, row = line % job->m;
        const size_t count = rml_min_size(job->piece, job->n - column);
        const char *a = rml_product_matrix(&product->a, &product->y, batch);
        const char *b = rml_product_matrix(&product->b, &product->y, batch);
        rml_widen sum, factor, b_row;
        memset(&sum, 0, sizeof sum);
        for (size_t k = 0; k < job->k; k++) {
            if (k % RML_WIDEN_COUNT == 0) {
                const size_t some = rml_min_size(RML_WIDEN_COUNT, job->k - k);
                const rml_tensor a_line =
                    line_view(&product->a, a, (int64_t)row * job->a_row + (int64_t)k * job->a_col,
                              job->a_col, some);
                rml_widen_read(&a_line, 0, some, wide, &factor);
            }
            const rml_tensor b_line =
                line_view(&product->b, b, (int64_t)k * job->b_row + (int64_t)column * job->b_col,
                          job->b_col, count);
            rml_widen_read(&b_line, 0, count, wide, &b_row);
            add_scaled(wide, &sum, &b_row, &factor, k % RML_WIDEN_COUNT, count);
        }
        const rml_tensor out =
            line_view(&product->y, rml_product_matrix(&product->y, &product->y, batch),
                      (int64_t)row * job->y_row + (int64_t)column, 1, count);
        rml_widen_write(&out, 0, count, wide, &sum);
    }
}

void rml_product_run(const rml_op_args *args, const rml_product *product, char *scratch)
{
    product_job job = job_of(args, product);
    job.scratch = scratch;
    if (!rml_tensor_count(&product->y)) // however many empty matrices there are
        return;
    // Without columns of `a` there is nothing for the kernel to read; the sums are zero.
    if (is_packed(&product->y) && job.k > 0)
        rml_pool_run(args->pool, job.batch * job.pieces, 1,
                     product->y.dtype == RML_F32 ? run_panels : run_panels_f64, &job);
    else if (is_whole(args, product->y.dtype))
        rml_pool_run(args->pool, job.batch * job.m * job.pieces, 1, run_whole, &job);
    else
        rml_pool_run(args->pool, job.batch * job.m * job.pieces, 1, run_wide, &job);
}
