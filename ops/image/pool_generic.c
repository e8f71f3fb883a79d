// Pooling of images of any number of dimensions and any type, plain, with dilation and indices.
//
// A channel of an image is widened to double, which holds every element type that is pooled; sums
// are rounded once.
#include "ops/image/pool.h"

#include "ops/elementwise/widen.h"
#include "tensor/size.h"

#include <math.h>

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

size_t rml_pool_generic_scratch_bytes(const rml_op_args *args)
{
    return rml_sat_mul((size_t)args->threads, worker_bytes(args));
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

static double finish(const rml_pool_attr *pool, const taps *t, const state *s, rml_dtype type)
{
    if (pool->kind == RML_POOL_AVERAGE) {
        const double count = pool->count_pad ? t->padded : (double)t->all;
        return count > 0 ? s->value / count : 0;
    }
    if (pool->kind == RML_POOL_LP)
        return pool->p == 1 ? s->value : pool->p == 2 ? sqrt(s->value) : pow(s->value, 1 / pool->p);
    // Nothing but padding: the smallest number of the type.
    return s->any ? s->value : type == RML_I8 ? -128 : type == RML_U8 ? 0 : -INFINITY;
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
    double *plane = (double *)(void *)(args->scratch + (size_t)worker * worker_bytes(args));
    double *result = plane + job->in_plane;
    for (size_t item = begin; item < end; item++) {
        int64_t at[RML_MAX_SPATIAL] = {0};
        rml_read_f64(&args->in[0], item * job->in_plane, plane, job->in_plane);
        for (size_t i = 0; i < job->out_plane; i++, rml_sizes_next(w->out, w->rank, at)) {
            const taps t = taps_at(w, at);
            const state s = pool_window(job, &t, plane);
            result[i] = finish(&args->attr->pool, &t, &s, type);
            if (args->attr->pool.indices)
                ((int64_t *)args->out[1].raw)[item * job->out_plane + i] =
                    (int64_t)(item * job->in_plane) + index_of(job, &s);
        }
        rml_write_f64(&args->out[0], item * job->out_plane, result, job->out_plane);
    }
}

void rml_pool_generic_run(const rml_op_args *args)
{
    const rml_tensor *x = &args->in[0];
    pool_job job = {.args = args, .window = rml_pool_window(args)};
    job.in_plane = rml_sizes_count(job.window.in, job.window.rank);
    job.out_plane = rml_sizes_count(job.window.out, job.window.rank);
    rml_pool_run(args->pool, (size_t)(x->dim[0] * x->dim[1]), 1, run_planes, &job);
}
