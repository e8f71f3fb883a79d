// Columns back to images: what several windows hold of a pixel is added up.
//   x [N, C*window, windows]   size [rank] of i64   window's sizes [rank] of i64   y [N,C,size...]
// Source: ONNX Col2Im; torch.nn.Fold.
#include "ops/conv/window.h"

#include "ops/elementwise/widen.h"
#include "tensor/size.h"

#include <string.h>

enum { X, SIZE, WINDOW };

static rml_status types(const rml_op_node *node, rml_dtype *out, rml_error *err)
{
    for (int i = 1; i < node->in_count; i++)
        if (node->in[i].dtype != RML_I64)
            return rml_fail(err, RML_ERR_UNSUPPORTED, "input %d is %s, expected i64", i,
                            rml_dtype_name(node->in[i].dtype));
    if (node->in[X].dtype == RML_I64 || node->in[X].dtype == RML_U64)
        return rml_fail(err, RML_ERR_UNSUPPORTED, "input is %s, which is not added up here",
                        rml_dtype_name(node->in[X].dtype));
    out[0] = node->in[X].dtype;
    return RML_OK;
}

// The windows of an image [n, channels, size...].
static rml_status make_windows(const rml_col2im_attr *col2im, int rank, const int64_t *size,
                               const int64_t *window, rml_window *windows, rml_error *err)
{
    rml_shape image = {.rank = rank + 2, .dim = {1, 1}};
    memcpy(&image.dim[2], size, (size_t)rank * sizeof *size);
    return rml_window_make(&col2im->window, &image, window, windows, err);
}

static rml_status infer(const rml_op_node *node, rml_shape *out, rml_error *err)
{
    const rml_shape *x = &node->in[X].shape;
    const int64_t *size = node->in[SIZE].data, *window = node->in[WINDOW].data;
    char text[RML_SHAPE_TEXT_BYTES];
    int64_t rank = -1, taps = 1, blocks = 1;
    rml_window w;
    *out = (rml_shape){.rank = RML_RANK_UNKNOWN};
    for (int i = SIZE; i <= WINDOW; i++)
        if (node->in[i].shape.rank == 1 && node->in[i].shape.dim[0] >= 0)
            rank = node->in[i].shape.dim[0];
    if (x->rank == RML_RANK_UNKNOWN || rank < 0)
        return RML_OK;
    if (x->rank != 3 || rank < 1 || rank > RML_MAX_SPATIAL ||
        (node->in[SIZE].shape.rank >= 0 && node->in[SIZE].shape.dim[0] >= 0 &&
         node->in[SIZE].shape.dim[0] != rank))
        return rml_fail(err, RML_ERR_SHAPE, "input is %s for images of %lld dimensions",
                        rml_shape_text(x, text), (long long)rank);
    *out = (rml_shape){.rank = (int)rank + 2, .dim = {x->dim[0], -1, -1, -1, -1, -1, -1, -1}};
    for (int i = 0; size && i < rank; i++) {
        if (size[i] < 0)
            return rml_fail(err, RML_ERR_SHAPE, "the image's size is negative");
        out->dim[i + 2] = size[i];
    }
    if (!size || !window)
        return RML_OK;
    for (int i = 0; i < rank; i++)
        if (window[i] < 1)
            return rml_fail(err, RML_ERR_SHAPE, "the window's size %lld is not positive",
                            (long long)window[i]);
    RML_TRY(make_windows(&node->attr->col2im, (int)rank, size, window, &w, err));
    bool fits = true;
    for (int i = 0; i < rank && fits; i++)
        fits = rml_i64_mul(taps, window[i], &taps) && rml_i64_mul(blocks, w.out[i], &blocks);
    fits =
        fits && (x->dim[1] < 0 || x->dim[1] % taps == 0) && (x->dim[2] < 0 || x->dim[2] == blocks);
    if (!fits)
        return rml_fail(err, RML_ERR_SHAPE,
                        "input is %s, expected %lld windows and a multiple of %lld taps",
                        rml_shape_text(x, text), (long long)blocks, (long long)taps);
    out->dim[1] = x->dim[1] < 0 ? -1 : x->dim[1] / taps;
    return RML_OK;
}

typedef struct col2im_job {
    const rml_op_args *args;
    rml_window windows;
    size_t plane, taps, blocks;
} col2im_job;

static size_t worker_bytes(const rml_op_args *args)
{
    const rml_tensor *out = &args->out[0];
    return rml_aligned_bytes(
        rml_sat_add(rml_sizes_count(&out->dim[2], out->rank - 2), (size_t)args->in[X].dim[2]),
        sizeof(double));
}

// Adds what all windows hold of one tap.
static void add_tap(const rml_window *w, const int64_t *tap, const double *row, double *plane)
{
    int64_t at[RML_MAX_SPATIAL] = {0};
    const size_t blocks = rml_sizes_count(w->out, w->rank);
    for (size_t b = 0; b < blocks; b++, rml_sizes_next(w->out, w->rank, at)) {
        int64_t offset = 0;
        bool inside = true;
        for (int i = 0; i < w->rank && inside; i++) {
            const int64_t x = at[i] * w->stride[i] + tap[i] * w->dilation[i] - w->before[i];
            inside = x >= 0 && x < w->in[i];
            offset = offset * w->in[i] + x;
        }
        if (inside)
            plane[offset] += row[b];
    }
}

static void run_planes(void *context, size_t begin, size_t end, int worker)
{
    const col2im_job *job = context;
    const rml_op_args *args = job->args;
    const rml_window *w = &job->windows;
    double *plane = rml_op_worker(args, worker);
    double *row = plane + job->plane;
    for (size_t item = begin; item < end; item++) {
        int64_t tap[RML_MAX_SPATIAL] = {0};
        memset(plane, 0, job->plane * sizeof *plane);
        for (size_t t = 0; t < job->taps; t++, rml_sizes_next(w->kernel, w->rank, tap)) {
            rml_read_f64(&args->in[X], (item * job->taps + t) * job->blocks, row, job->blocks);
            add_tap(w, tap, row, plane);
        }
        rml_write_f64(&args->out[0], item * job->plane, plane, job->plane);
    }
}

static void run(const rml_op_args *args)
{
    const int rank = args->out[0].rank - 2;
    col2im_job job = {.args = args};
    // The shape was inferred from these elements: they fit.
    if (make_windows(&args->attr->col2im, rank, args->in[SIZE].raw, args->in[WINDOW].raw,
                     &job.windows, NULL) != RML_OK)
        return;
    job.plane = rml_sizes_count(job.windows.in, rank);
    job.taps = rml_sizes_count(job.windows.kernel, rank);
    job.blocks = rml_sizes_count(job.windows.out, rank);
    rml_pool_run(args->pool, (size_t)(args->out[0].dim[0] * args->out[0].dim[1]), 1, run_planes,
                 &job);
}

const rml_op rml_op_col2im = {.id = RML_OP_COL2IM,
                              .name = "col2im",
                              .inputs = {3, 3},
                              .types = types,
                              .infer_values = infer,
                              .algorithms = RML_ONE_WAY_EACH("planes", worker_bytes, run)};
