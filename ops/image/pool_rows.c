// Maximum and average pooling of f32, separated: the rows of the input that a row of windows reads
// are joined to one line, then the columns of a window, by doubling: of lines that hold 1, 2, 4, ..
// columns those are joined that the binary number of columns has. A window of 13 x 13 costs 13 and
// 5 steps, not 169. Plain images are rows of pixels of one channel.
#include "ops/image/pool.h"

#include "tensor/size.h"

#include <math.h>
#include <string.h>

#define SMALL_CHANNELS 8   // of pixels for each of which a call would be too much
#define DIRECT_TAPS 9      // of windows apart from each other that are best read once
#define OVERLAPPING_TAPS 4 // of windows that share columns

typedef struct pool_job {
    const rml_op_args *args;
    rml_window window;
    bool plain, max;
    int last;        // axis of columns
    size_t channels; // of a pixel; 1: plain
    int64_t need,
        positions; // columns that windows reach over; where they would begin with stride 1
    int64_t inner, inner_stop; // windows that no edge cuts, along the columns
    size_t rows, tables;       // of outputs in an image; pointers to joined rows
} pool_job;

// Of one worker: pointers to rows, the line with its padding, and three more.
typedef struct lines {
    const float **rows;
    float *line, *level[2], *sum;
} lines;

static size_t line_floats(const pool_job *job)
{
    return rml_sat_mul((size_t)job->need, job->channels);
}

static pool_job job_of(const rml_op_args *args)
{
    const rml_pool_attr *pool = &args->attr->pool;
    pool_job job = {.args = args,
                    .window = rml_pool_window(args),
                    .plain = args->generic,
                    .max = pool->kind == RML_POOL_MAX,
                    .channels = args->generic ? 1 : (size_t)args->in[0].dim[1],
                    .tables = 1};
    const rml_window *w = &job.window;
    const int last = job.last = w->rank - 1;
    job.positions = w->out[last] > 0 ? (w->out[last] - 1) * w->stride[last] + 1 : 0;
    job.need = job.positions + rml_window_span(w, last) - 1;
    job.rows = rml_sizes_count(w->out, last);
    for (int i = 0; i < last; i++)
        job.tables =
            rml_sat_mul(job.tables, (size_t)(w->kernel[i] < w->in[i] ? w->kernel[i] : w->in[i]));
    while (job.inner < w->out[last] && job.inner * w->stride[last] < w->before[last])
        job.inner++;
    job.inner_stop = w->out[last];
    while (job.inner_stop > job.inner &&
           (job.inner_stop - 1) * w->stride[last] - w->before[last] + rml_window_span(w, last) >
               w->in[last])
        job.inner_stop--;
    return job;
}

// A window longer than the row would need lines far longer than what is read and written.
static bool fits(const rml_op_args *args, const rml_window *w)
{
    const rml_pool_attr *pool = &args->attr->pool;
    return args->in[0].dtype == RML_F32 && !pool->indices && pool->kind != RML_POOL_LP &&
           rml_window_span(w, w->rank - 1) <= w->in[w->rank - 1];
}

bool rml_pool_rows_accepts(const rml_op_args *args)
{
    const rml_window w = rml_pool_window(args);
    const int64_t taps = w.kernel[0] * w.kernel[1];
    return fits(args, &w) && !args->attr->pool.global &&
           taps > (w.stride[1] < w.kernel[1] && w.stride[1] == 1 ? OVERLAPPING_TAPS : DIRECT_TAPS);
}

bool rml_pool_rows_accepts_plain(const rml_op_args *args)
{
    const rml_window w = rml_pool_window(args);
    return fits(args, &w);
}

size_t rml_pool_rows_bytes(const rml_op_args *args)
{
    const pool_job job = job_of(args);
    return rml_sat_add(rml_aligned_bytes(job.tables, sizeof(float *)),
                       rml_sat_mul(4, rml_aligned_bytes(line_floats(&job), sizeof(float))));
}

static lines lines_of(const pool_job *job, int worker)
{
    char *memory = rml_op_worker(job->args, worker);
    const size_t line = rml_aligned_bytes(line_floats(job), sizeof(float));
    lines l = {.rows = (const float **)(void *)memory};
    memory += rml_aligned_bytes(job->tables, sizeof(float *));
    l.line = (float *)(void *)memory;
    l.level[0] = (float *)(void *)(memory + line);
    l.level[1] = (float *)(void *)(memory + 2 * line);
    l.sum = (float *)(void *)(memory + 3 * line);
    return l;
}

static void join(const rml_kernels *kernels, bool max, const float *a, const float *b, float *dst,
                 size_t count)
{
    RML_KERNEL(kernels, binary[max ? RML_BINARY_MAX : RML_BINARY_ADD])(a, b, dst, count);
}

static void join_taps(const rml_kernels *kernels, bool max, const float *const *src, size_t taps,
                      size_t count, float *dst)
{
    if (taps == 2)
        join(kernels, max, src[0], src[1], dst, count);
    else
        (max ? RML_KERNEL(kernels, pool_max) : RML_KERNEL(kernels, pool_sum))(&(rml_pool_windows){
            .src = src, .taps = taps, .channels = count, .count = 1, .scale = 1.0f, .dst = dst});
}

const float *rml_pool_join(const rml_kernels *kernels, bool max, const float *src, size_t taps,
                           size_t step, size_t count, float *const level[2], float *sum)
{
    const float *from = src, *tap[RML_POOL_SMALL_TAPS];
    size_t done = 0;
    if (taps == 1)
        return src;
    if (taps <= RML_POOL_SMALL_TAPS) {
        float *dst = src == sum ? level[0] : sum;
        for (size_t t = 0; t < taps; t++)
            tap[t] = src + t * step;
        join_taps(kernels, max, tap, taps, count, dst);
        return dst;
    }
    for (size_t size = 1, other = src == level[0];; size *= 2, other = !other) {
        if (size == taps)
            return from;
        if (taps & size) {
            if (done)
                join(kernels, max, sum, from + done * step, sum, count);
            else if (from != sum)
                memcpy(sum, from, count * sizeof *sum);
            done += size;
        }
        if (done == taps)
            return sum;
        // those of twice the size that begin where windows, or what is left of them, do
        join(kernels, max, from, from + size * step, level[other],
             count + (taps - 2 * size) * step);
        from = level[other];
    }
}

static void join_all(const pool_job *job, const float *const *src, size_t taps, size_t count,
                     float *dst)
{
    if (taps == 1)
        memcpy(dst, src[0], count * sizeof *dst);
    else
        join_taps(job->args->kernels, job->max, src, taps, count, dst);
}

// ---- rows ---------------------------------------------------------------------------------------

// Steps of `step` that begin in front of `room`.
static int64_t steps(int64_t room, int64_t step)
{
    if (room <= 0)
        return 0;
    return step == 1 ? room : (room - 1) / step + 1; // divisions take as long as a short row
}

// The rows of the image at `image` that windows at row `at` read; `padded` of them count for an
// average.
static size_t find_rows(const pool_job *job, const float *image, const int64_t *at,
                        const float **rows, double *padded)
{
    const rml_window *w = &job->window;
    const rml_tensor *in = &job->args->in[0];
    int64_t first[RML_MAX_SPATIAL], count[RML_MAX_SPATIAL], tap[RML_MAX_SPATIAL] = {0};
    *padded = 1;
    for (int i = 0; i < job->last; i++) {
        const int64_t step = w->dilation[i], start = at[i] * w->stride[i] - w->before[i];
        const int64_t skipped = start < 0 ? steps(-start, step) : 0;
        const int64_t inside = w->in[i] - start;
        int64_t stop = steps(inside, step);
        const int64_t counted = steps(inside + w->after[i], step);
        stop = stop < w->kernel[i] ? stop : w->kernel[i];
        *padded *= (double)(counted < w->kernel[i] ? counted : w->kernel[i]);
        first[i] = start + skipped * step;
        count[i] = stop > skipped ? stop - skipped : 0;
    }
    const size_t found = rml_sizes_count(count, job->last);
    for (size_t k = 0; k < found; k++, rml_sizes_next(count, job->last, tap)) {
        int64_t row = 0;
        for (int i = 0; i < job->last; i++)
            row = row * w->in[i] + first[i] + tap[i] * w->dilation[i];
        rows[k] = image + row * (job->plain ? w->in[job->last] : in->stride[2]);
    }
    return found;
}

// The line of all columns that windows reach over; the input itself where it is that.
static const float *join_rows(const pool_job *job, const lines *l, size_t found)
{
    const rml_window *w = &job->window;
    const int64_t before = w->before[job->last], room = job->need - before;
    const int64_t columns = room < w->in[job->last] ? room : w->in[job->last];
    const int64_t pixel = job->plain ? 1 : job->args->in[0].stride[3];
    const bool dense = pixel == (int64_t)job->channels;
    float *dst = l->line + before * (int64_t)job->channels;
    if (columns <= 0)
        return l->line;
    if (found == 1 && dense && before == 0 && columns == job->need)
        return l->rows[0];
    if (dense) {
        join_all(job, l->rows, found, (size_t)columns * job->channels, dst);
        return l->line;
    }
    for (int64_t x = 0; x < columns; x++, dst += job->channels) {
        join_all(job, l->rows, found, job->channels, dst);
        for (size_t k = 0; k < found; k++)
            l->rows[k] += pixel;
    }
    return l->line;
}

// ---- columns ------------------------------------------------------------------------------------

// Windows that begin at each column: where their results lie, `sum` or another line.
static const float *join_columns(const pool_job *job, const lines *l, const float *line, float *sum)
{
    const rml_window *w = &job->window;
    return rml_pool_join(job->args->kernels, job->max, line, (size_t)w->kernel[job->last],
                         (size_t)w->dilation[job->last] * job->channels,
                         (size_t)job->positions * job->channels, l->level, sum);
}

// The windows of a row from a line, `stride` columns apart.
static void pick(const pool_job *job, const float *from, float *dst)
{
    const size_t count = (size_t)job->window.out[job->last];
    const size_t stride = (size_t)job->window.stride[job->last], channels = job->channels;
    const size_t step = job->plain ? 1 : (size_t)job->args->out[0].stride[3];
    if (from == dst)
        return;
    if (stride == 1 && step == channels)
        memcpy(dst, from, count * channels * sizeof *dst);
    else if (channels > 1)
        for (size_t x = 0; x < count; x++)
            memcpy(dst + x * step, from + x * stride * channels, channels * sizeof *dst);
    else if (stride == 2 && step == 1) // known to the compiler
        for (size_t x = 0; x < count; x++)
            dst[x] = from[x * 2];
    else
        for (size_t x = 0; x < count; x++)
            dst[x * step] = from[x * stride];
}

// Windows apart from each other, a pixel at a time.
static void join_apart(const pool_job *job, const lines *l, const float *line, float *dst)
{
    const rml_window *w = &job->window;
    const size_t step = (size_t)job->args->out[0].stride[3], channels = job->channels;
    const size_t kernel = (size_t)w->kernel[job->last];
    for (int64_t x = 0; x < w->out[job->last]; x++, dst += step) {
        const float *first = line + (size_t)(x * w->stride[job->last]) * channels;
        for (size_t t = 0; t < kernel; t++)
            l->rows[t] = first + t * (size_t)w->dilation[job->last] * channels;
        join_all(job, l->rows, kernel, channels, dst);
    }
}

// ---- average ------------------------------------------------------------------------------------

// The number of elements of a window along the columns.
static double counted(const pool_job *job, int64_t at)
{
    const rml_window *w = &job->window;
    const int last = job->last;
    const bool padding = job->args->attr->pool.count_pad && !job->args->attr->pool.global;
    const int64_t step = w->dilation[last], start = at * w->stride[last] - w->before[last];
    const int64_t room = w->in[last] - start + (padding ? w->after[last] : 0);
    const int64_t skipped = start < 0 && !padding ? (-start + step - 1) / step : 0;
    int64_t stop = room > 0 ? (room - 1) / step + 1 : 0;
    stop = stop < w->kernel[last] ? stop : w->kernel[last];
    return stop > skipped ? (double)(stop - skipped) : 0;
}

static void divide(const pool_job *job, double rows, float *dst)
{
    const size_t step = job->plain ? 1 : (size_t)job->args->out[0].stride[3];
    const bool dense = step == job->channels;
    for (int64_t x = 0, run; x < job->window.out[job->last]; x += run) {
        const bool inner = dense && x >= job->inner && x < job->inner_stop;
        const double count = rows * counted(job, x);
        const float scale = count > 0 ? (float)(1 / count) : 0.0f;
        float *at = dst + (size_t)x * step;
        run = inner ? job->inner_stop - x : 1;
        RML_KERNEL(job->args->kernels, binary_scalar[RML_BINARY_MUL])
        (at, scale, at, (size_t)run * job->channels, false);
    }
}

// ---- a row of windows ---------------------------------------------------------------------------

static void run_row(const pool_job *job, const lines *l, size_t image, const int64_t *at,
                    float *dst)
{
    const rml_tensor *in = &job->args->in[0];
    const size_t plane =
        job->plain ? rml_sizes_count(job->window.in, job->window.rank) : (size_t)in->stride[0];
    const size_t step = job->plain ? 1 : (size_t)job->args->out[0].stride[3];
    const bool counts = job->args->attr->pool.count_pad && !job->args->attr->pool.global;
    double padded;
    const size_t found = find_rows(job, in->data + image * plane, at, l->rows, &padded);
    if (!found) {
        for (size_t x = 0; x < (size_t)job->window.out[job->last]; x++)
            for (size_t c = 0; c < job->channels; c++)
                dst[x * step + c] = job->max ? -INFINITY : 0.0f;
        return;
    }
    const float *line = join_rows(job, l, found);
    const bool dense = job->window.stride[job->last] == 1 && step == job->channels;
    if (job->window.stride[job->last] > 1 && job->channels >= SMALL_CHANNELS)
        join_apart(job, l, line, dst);
    else
        pick(job, join_columns(job, l, line, dense ? dst : l->sum), dst);
    if (!job->max)
        divide(job, counts ? padded : (double)found, dst);
}

static void run_rows(void *context, size_t begin, size_t end, int worker)
{
    const pool_job *job = context;
    const rml_tensor *out = &job->args->out[0];
    const lines l = lines_of(job, worker);
    const float nothing = job->max ? -INFINITY : 0.0f;
    int64_t at[RML_MAX_SPATIAL] = {0};
    for (size_t i = 0; i < line_floats(job); i++) // what stays of it is padding
        l.line[i] = nothing;
    rml_sizes_seek(job->window.out, job->last, begin % job->rows, at);
    for (size_t i = begin; i < end; i++, rml_sizes_next(job->window.out, job->last, at)) {
        const size_t image = i / job->rows, row = i % job->rows;
        run_row(job, &l, image, at,
                job->plain
                    ? out->data + i * (size_t)job->window.out[job->last]
                    : out->data + image * (size_t)out->stride[0] + row * (size_t)out->stride[2]);
    }
}

void rml_pool_rows_run(const rml_op_args *args)
{
    pool_job job = job_of(args);
    const rml_tensor *in = &args->in[0];
    const size_t images = (size_t)in->dim[0] * (job.plain ? (size_t)in->dim[1] : 1);
    rml_pool_run(args->pool, images * job.rows,
                 images * job.rows / (16 * (size_t)args->threads) + 1, run_rows, &job);
}
