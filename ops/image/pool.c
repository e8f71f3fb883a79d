// Pooling over windows, or over the whole image.
//   x [N,C,...]   y [N,C,...]   where [N,C,...] of i64, if asked for: place of the largest element
//   in x, counted over all of x
// Source: torch.nn.MaxPool2d, AvgPool2d, AdaptiveAvgPool2d(1); ONNX {Max,Average,Lp}Pool, Global*.
#include "ops/image/pool.h"

#include "ops/alone.h"
#include "ops/elementwise/widen.h"
#include "tensor/size.h"

#include <math.h>

static int outputs(const rml_op_attr *attr)
{
    return attr->pool.indices ? 2 : 1;
}

static rml_status make_window(const rml_pool_attr *pool, const rml_shape *x, rml_window *window,
                              rml_error *err)
{
    if (!pool->global)
        return rml_window_make(&pool->window, x, NULL, window, err);
    *window = (rml_window){.rank = x->rank - 2};
    for (int i = 0; i < window->rank; i++) {
        window->in[i] = window->kernel[i] = x->dim[i + 2];
        window->out[i] = window->stride[i] = window->dilation[i] = 1;
    }
    return RML_OK;
}

static rml_status infer(const rml_op_node *node, rml_shape *out, rml_error *err)
{
    const rml_pool_attr *pool = &node->attr->pool;
    char text[RML_SHAPE_TEXT_BYTES];
    rml_shape x = node->in[0].shape;
    rml_window window;
    if (x.rank == RML_RANK_UNKNOWN && pool->window.rank)
        x = (rml_shape){pool->window.rank + 2, {-1, -1, -1, -1, -1, -1, -1, -1}};
    out[0] = x;
    if (x.rank != RML_RANK_UNKNOWN && x.rank < 3)
        return rml_fail(err, RML_ERR_SHAPE, "input is %s, expected 3 dimensions or more",
                        rml_shape_text(&x, text));
    if (pool->kind == RML_POOL_LP && !(pool->p > 0))
        return rml_fail(err, RML_ERR_ARG, "p is %g, expected more than 0", pool->p);
    if (x.rank != RML_RANK_UNKNOWN)
        RML_TRY(make_window(pool, &x, &window, err));
    for (int i = 2; i < x.rank; i++)
        out[0].dim[i] = window.out[i - 2];
    if (pool->indices)
        out[1] = out[0];
    return RML_OK;
}

static bool takes_images(const rml_op_attr *attr, const rml_fact *in, int in_count)
{
    const rml_pool_attr *pool = &attr->pool;
    const int rank = in[0].shape.rank;
    (void)in_count;
    return in[0].dtype == RML_F32 && !pool->indices && pool->kind != RML_POOL_LP &&
           (rank == 4 || (rank == RML_RANK_UNKNOWN && pool->window.rank == 2)) &&
           (pool->global || (pool->window.dilation[0] == 1 && pool->window.dilation[1] == 1));
}

rml_window rml_pool_window(const rml_op_args *args)
{
    const rml_shape x = rml_tensor_shape(&args->in[0]);
    rml_window window;
    make_window(&args->attr->pool, &x, &window, NULL); // infer: it fits
    return window;
}

// ---- any number of dimensions, any type, plain, with dilation and indices -----------------------
//
// A channel of an image is widened to double, which holds every element type that is pooled; sums
// are rounded once.

typedef struct pool_job {
    const rml_op_args *args;
    rml_window window;
    size_t in_plane, out_plane;
} pool_job;

static size_t worker_bytes(const rml_op_args *args)
{
    const rml_tensor *in = &args->in[0], *out = &args->out[0];
    return rml_aligned_bytes(rml_sat_add(rml_sizes_count(&in->dim[2], in->rank - 2),
                                         rml_sizes_count(&out->dim[2], out->rank - 2)),
                             sizeof(double));
}

// The taps of one window that lie inside the image, by axis.
typedef struct taps {
    int64_t first[RML_MAX_SPATIAL], count[RML_MAX_SPATIAL]; // input coordinate, number
    size_t all;                                             // product of the numbers
    double padded;                                          // the same with those in the padding
} taps;

// How many of first, first + step, ... (kernel of them) are below `limit`, `first` being >= 0.
static int64_t below(int64_t first, int64_t step, int64_t kernel, int64_t limit)
{
    const int64_t count = limit > first ? (limit - 1 - first) / step + 1 : 0;
    return count < kernel ? count : kernel;
}

static taps taps_at(const rml_window *w, const int64_t *at)
{
    taps t = {.all = 1, .padded = 1};
    for (int i = 0; i < w->rank; i++) {
        const int64_t first = at[i] * w->stride[i] - w->before[i], step = w->dilation[i];
        const int64_t skipped = first < 0 ? (-first + step - 1) / step : 0;
        const int64_t left = skipped < w->kernel[i] ? w->kernel[i] - skipped : 0;
        t.first[i] = first + skipped * step;
        t.count[i] = below(t.first[i], step, left, w->in[i]);
        t.padded *= (double)below(first + w->before[i], step, w->kernel[i],
                                  w->in[i] + w->before[i] + w->after[i]);
        t.all *= (size_t)t.count[i];
    }
    return t;
}

// What has been seen of one window.
typedef struct state {
    double value; // largest element, or sum
    int64_t where[RML_MAX_SPATIAL];
    bool any;
} state;

static void take_row(const rml_pool_attr *pool, const double *src, int64_t step, int64_t count,
                     const int64_t *at, int last, state *s)
{
    for (int64_t i = 0; i < count; i++) {
        const double x = src[i * step];
        if (pool->kind == RML_POOL_AVERAGE) {
            s->value += x;
        } else if (pool->kind == RML_POOL_LP) {
            s->value += pool->p == 1 ? fabs(x) : pool->p == 2 ? x * x : pow(fabs(x), pool->p);
        } else if (!s->any || x > s->value || (isnan(x) && !isnan(s->value))) {
            s->value = x;
            s->any = true;
            for (int d = 0; d < last; d++)
                s->where[d] = at[d];
            s->where[last] = at[last] + i * step;
        }
    }
}

static state pool_window(const pool_job *job, const taps *t, const double *plane)
{
    const rml_window *w = &job->window;
    const int last = w->rank - 1;
    const size_t rows = t->all ? rml_sizes_count(t->count, last) : 0;
    int64_t tap[RML_MAX_SPATIAL] = {0}, at[RML_MAX_SPATIAL];
    state s = {0};
    at[last] = t->first[last];
    for (size_t row = 0; row < rows; row++, rml_sizes_next(t->count, last, tap)) {
        int64_t offset = 0;
        for (int i = 0; i < last; i++) {
            at[i] = t->first[i] + tap[i] * w->dilation[i];
            offset = offset * w->in[i] + at[i];
        }
        take_row(&job->args->attr->pool, plane + offset * w->in[last] + at[last], w->dilation[last],
                 t->count[last], at, last, &s);
    }
    return s;
}

// What is the largest of nothing but padding: the smallest number of the type.
static double smallest(rml_dtype type)
{
    return type == RML_I8 ? -128 : type == RML_U8 ? 0 : -INFINITY;
}

static double finish(const rml_pool_attr *pool, const taps *t, double value)
{
    if (pool->kind == RML_POOL_AVERAGE) {
        const double count = pool->count_pad ? t->padded : (double)t->all;
        return count > 0 ? value / count : 0;
    }
    if (pool->kind == RML_POOL_LP)
        return pool->p == 1 ? value : pool->p == 2 ? sqrt(value) : pow(value, 1 / pool->p);
    return value;
}

// ---- without indices: a tap of all windows of a row at a time -----------------------------------

static void join_row(const rml_pool_attr *pool, const double *src, int64_t step, int64_t count,
                     double *row)
{
    if (pool->kind == RML_POOL_AVERAGE)
        for (int64_t i = 0; i < count; i++)
            row[i] += src[i * step];
    else if (pool->kind == RML_POOL_MAX)
        for (int64_t i = 0; i < count; i++)
            row[i] = src[i * step] > row[i] || isnan(src[i * step]) ? src[i * step] : row[i];
    else
        for (int64_t i = 0; i < count; i++) {
            const double x = src[i * step];
            row[i] += pool->p == 1 ? fabs(x) : pool->p == 2 ? x * x : pow(fabs(x), pool->p);
        }
}

// Few windows are not worth it, and one that is longer than the row would walk many taps for
// nothing.
static bool goes_by_rows(const pool_job *job)
{
    const int last = job->window.rank - 1;
    return !job->args->attr->pool.indices && job->window.out[last] >= 4 &&
           job->window.kernel[last] <= job->window.in[last];
}

// `at`: the first window of the row.
static void pool_row(const pool_job *job, int64_t *at, const double *plane, double *row)
{
    const rml_pool_attr *pool = &job->args->attr->pool;
    const rml_window *w = &job->window;
    const int last = w->rank - 1;
    const int64_t in = w->in[last], out = w->out[last], stride = w->stride[last];
    const taps t = taps_at(w, at);
    const size_t rows = rml_sizes_count(t.count, last);
    int64_t tap[RML_MAX_SPATIAL] = {0};
    for (int64_t i = 0; i < out; i++)
        row[i] = pool->kind == RML_POOL_MAX ? smallest(job->args->in[0].dtype) : 0;
    for (size_t k = 0; k < rows; k++, rml_sizes_next(t.count, last, tap)) {
        int64_t offset = 0;
        for (int i = 0; i < last; i++)
            offset = offset * w->in[i] + t.first[i] + tap[i] * w->dilation[i];
        for (int64_t j = 0; j < w->kernel[last]; j++) {
            const int64_t column = j * w->dilation[last] - w->before[last]; // of the first window
            const int64_t begin = column < 0 ? (-column + stride - 1) / stride : 0;
            const int64_t end = below(column + begin * stride, stride, out - begin, in);
            if (end > 0)
                join_row(pool, plane + offset * in + column + begin * stride, stride, end,
                         row + begin);
        }
    }
    taps whole = {.all = 0}; // of the windows that no edge of the row cuts
    for (at[last] = 0; at[last] < out && pool->kind != RML_POOL_MAX; at[last]++) {
        const int64_t first = at[last] * stride - w->before[last];
        const bool cut = first < 0 || first + (w->kernel[last] - 1) * w->dilation[last] >= in;
        const taps here = cut || !whole.all ? taps_at(w, at) : whole;
        row[at[last]] = finish(pool, &here, row[at[last]]);
        if (!cut)
            whole = here;
    }
}

static int64_t index_of(const pool_job *job, const state *s)
{
    const rml_window *w = &job->window;
    int64_t index = 0;
    if (!s->any)
        return 0;
    if (job->args->attr->pool.column_major)
        for (int i = w->rank - 1; i >= 0; i--)
            index = index * w->in[i] + s->where[i];
    else
        for (int i = 0; i < w->rank; i++)
            index = index * w->in[i] + s->where[i];
    return index;
}

static void run_planes(void *context, size_t begin, size_t end, int worker)
{
    const pool_job *job = context;
    const rml_op_args *args = job->args;
    const rml_window *w = &job->window;
    const rml_dtype type = args->in[0].dtype;
    double *plane = rml_op_worker(args, worker);
    double *result = plane + job->in_plane;
    const bool by_rows = goes_by_rows(job);
    for (size_t item = begin; item < end; item++) {
        int64_t at[RML_MAX_SPATIAL] = {0};
        rml_read_f64(&args->in[0], item * job->in_plane, plane, job->in_plane);
        const size_t cols = (size_t)w->out[w->rank - 1];
        for (size_t i = 0; by_rows && i < job->out_plane; i += cols) {
            at[w->rank - 1] = 0;
            pool_row(job, at, plane, result + i);
            rml_sizes_next(w->out, w->rank - 1, at);
        }
        for (size_t i = 0; !by_rows && i < job->out_plane;
             i++, rml_sizes_next(w->out, w->rank, at)) {
            const taps t = taps_at(w, at);
            const state s = pool_window(job, &t, plane);
            const bool nothing = args->attr->pool.kind == RML_POOL_MAX && !s.any;
            result[i] = nothing ? smallest(type) : finish(&args->attr->pool, &t, s.value);
            if (args->attr->pool.indices)
                ((int64_t *)args->out[1].raw)[item * job->out_plane + i] =
                    (int64_t)(item * job->in_plane) + index_of(job, &s);
        }
        rml_write_f64(&args->out[0], item * job->out_plane, result, job->out_plane);
    }
}

static void run_any(const rml_op_args *args)
{
    const rml_tensor *x = &args->in[0];
    pool_job job = {.args = args, .window = rml_pool_window(args)};
    job.in_plane = rml_sizes_count(job.window.in, job.window.rank);
    job.out_plane = rml_sizes_count(job.window.out, job.window.rank);
    rml_pool_run(args->pool, (size_t)(x->dim[0] * x->dim[1]), 1, run_planes, &job);
}

static const rml_algorithm algorithms[] = {
    {.name = "rows",
     .accepts = rml_pool_rows_accepts,
     .worker_bytes = rml_pool_rows_bytes,
     .run = rml_pool_rows_run},
    {.name = "pixels", .accepts = rml_pool_pixels_accepts, .run = rml_pool_pixels_run},
    {.name = "window", .worker_bytes = rml_pool_window_bytes, .run = rml_pool_window_run},
    {.name = "whole-planes",
     .generic = true,
     .accepts = rml_pool_whole_accepts,
     .run = rml_pool_whole_run},
    {.name = "joined-planes",
     .generic = true,
     .accepts = rml_pool_plane_accepts,
     .worker_bytes = rml_pool_plane_bytes,
     .run = rml_pool_plane_run},
    {.name = "rows-of-planes",
     .generic = true,
     .accepts = rml_pool_rows_accepts_plain,
     .worker_bytes = rml_pool_rows_bytes,
     .run = rml_pool_rows_run},
    {.name = "planes", .generic = true, .worker_bytes = worker_bytes, .run = run_any}};

const rml_op rml_op_pool = {.id = RML_OP_POOL,
                            .name = "pool",
                            .inputs = {1, 1},
                            .layout = RML_OP_CHANNELS_LAST,
                            .takes_images = takes_images,
                            .plain_as_well = takes_images,
                            .outputs = outputs,
                            .signature = "p>0l",
                            .infer_values = infer,
                            .algorithms = algorithms};

const rml_op rml_op_mean_alone = {.id = RML_OP_POOL,
                                  .name = "pool",
                                  .inputs = {1, 1},
                                  .layout = RML_OP_CHANNELS_LAST,
                                  .infer_values = infer,
                                  .algorithms = RML_ONE_WAY("pixels", rml_pool_pixels_run)};
