// Maximum and average pooling of f32 in plain images, a plane as a whole: a small one is padded and
// joined with itself, moved, along one axis after the other, so that short rows cost no calls of
// their own. And the case of one window over all of the plane.
#include "ops/image/pool.h"

#include "tensor/size.h"

#include <math.h>
#include <string.h>

#define PLANE_FLOATS 6144 // padded: that stay, with their like, in the first-level cache

// Volumes that are too large go slice by slice: the slices of a window, `step` apart, are joined to
// one plane, of which the job is then. Windows begin `stride` slices apart.
typedef struct slices {
    size_t joined, step, stride; // joined is 1 where there are none to join
    size_t in, out;              // of an image; 1 where it is no volume
} slices;

typedef struct plane_job {
    const rml_op_args *args;
    rml_window window;
    slices slices;
    bool max;
    bool as_it_lies;  // no padding, and nothing left over but at the end
    bool whole_lines; // an image whose rows are padded at once
    int64_t need[RML_MAX_SPATIAL],
        step[RML_MAX_SPATIAL];                // padded sizes, floats from one to the next
    size_t floats, room, in_plane, out_plane; // room: with what rows padded at once write behind
} plane_job;

// Of maxima only, whose bits know no order, and where all slices of a window are inside.
static slices take_slices(rml_window *w, bool max)
{
    const slices none = {.joined = 1, .in = 1, .out = 1};
    const bool inside = w->rank == 3 && w->before[0] == 0 && w->out[0] > 0 &&
                        (w->out[0] - 1) * w->stride[0] + rml_window_span(w, 0) <= w->in[0];
    if (!inside || !max || w->kernel[0] > RML_POOL_SMALL_TAPS ||
        rml_sizes_count(w->in, w->rank) <= PLANE_FLOATS)
        return none;
    const slices taken = {.joined = (size_t)w->kernel[0],
                          .step = (size_t)w->dilation[0],
                          .stride = (size_t)w->stride[0],
                          .in = (size_t)w->in[0],
                          .out = (size_t)w->out[0]};
    w->rank--;
    for (int i = 0; i < w->rank; i++) {
        w->in[i] = w->in[i + 1];
        w->out[i] = w->out[i + 1];
        w->kernel[i] = w->kernel[i + 1];
        w->stride[i] = w->stride[i + 1];
        w->dilation[i] = w->dilation[i + 1];
        w->before[i] = w->before[i + 1];
        w->after[i] = w->after[i + 1];
    }
    return taken;
}

static plane_job job_of(const rml_op_args *args)
{
    plane_job job = {.args = args,
                     .window = rml_pool_window(args),
                     .max = args->attr->pool.kind == RML_POOL_MAX,
                     .as_it_lies = true,
                     .floats = 1};
    const rml_window *w = &job.window;
    job.slices = take_slices(&job.window, job.max);
    for (int i = 0; i < w->rank; i++) {
        job.need[i] = (w->out[i] - 1) * w->stride[i] + rml_window_span(w, i);
        job.as_it_lies = job.as_it_lies && w->before[i] == 0 &&
                         (i > 0 ? job.need[i] == w->in[i] : job.need[i] <= w->in[i]);
    }
    for (int i = w->rank - 1; i >= 0; i--) {
        job.step[i] = (int64_t)job.floats;
        job.floats = rml_sat_mul(job.floats, (size_t)(job.need[i] > 0 ? job.need[i] : 0));
    }
    job.room = job.floats;
    if (w->rank == 2 && !job.as_it_lies && job.floats > 0 && job.floats <= PLANE_FLOATS) {
        const size_t line = rml_round_up((size_t)job.need[1], RML_CONV_PLAIN_PAD);
        const size_t floats = rml_sat_mul((size_t)job.need[0], line);
        job.whole_lines = floats <= PLANE_FLOATS + PLANE_FLOATS / 2;
        if (job.whole_lines) {
            job.step[0] = (int64_t)line;
            job.floats = floats;
            job.room = floats + line;
        }
    }
    job.in_plane = rml_sizes_count(w->in, w->rank);
    job.out_plane = rml_sizes_count(w->out, w->rank);
    return job;
}

static bool is_plain_f32(const rml_op_args *args)
{
    const rml_pool_attr *pool = &args->attr->pool;
    return args->in[0].dtype == RML_F32 && !pool->indices && pool->kind != RML_POOL_LP;
}

bool rml_pool_plane_accepts(const rml_op_args *args)
{
    const rml_window w = rml_pool_window(args);
    bool fits = is_plain_f32(args);
    for (int i = 0; i < w.rank; i++)
        fits = fits && rml_window_span(&w, i) <= w.in[i];
    const plane_job job = job_of(args);
    return fits && (job.whole_lines || job.floats <= PLANE_FLOATS);
}

static size_t line_bytes(const plane_job *job)
{
    return rml_aligned_bytes(job->room, sizeof(float));
}

// The padded plane, three like it, and the reciprocals of what an average counts or the maximum of
// slices.
size_t rml_pool_plane_bytes(const rml_op_args *args)
{
    const plane_job job = job_of(args);
    const size_t slice = job.slices.joined > 1 ? job.in_plane : 0;
    return rml_sat_add(4 * line_bytes(&job),
                       rml_aligned_bytes(job.max ? slice : job.out_plane, sizeof(float)));
}

static double counted(const plane_job *job, int axis, int64_t at)
{
    const rml_window *w = &job->window;
    const bool padding = job->args->attr->pool.count_pad;
    const int64_t start = at * w->stride[axis] - w->before[axis];
    const int64_t low = padding ? start : 0, high = w->in[axis] + (padding ? w->after[axis] : 0);
    int64_t count = 0;
    for (int64_t k = 0; k < w->kernel[axis]; k++) {
        const int64_t x = start + k * w->dilation[axis];
        count += x >= low && x < high;
    }
    return (double)count;
}

// `counts`: room for a row.
static void find_factors(const plane_job *job, float *factor, float *counts)
{
    const rml_window *w = &job->window;
    const int last = w->rank - 1;
    const size_t cols = (size_t)w->out[last];
    int64_t at[RML_MAX_SPATIAL] = {0};
    for (size_t x = 0; x < cols; x++)
        counts[x] = (float)counted(job, last, (int64_t)x);
    float before = -1.0f;
    for (size_t i = 0; i < job->out_plane; i += cols, rml_sizes_next(w->out, last, at)) {
        float rows = 1.0f;
        for (int axis = 0; axis < last; axis++)
            rows *= (float)counted(job, axis, at[axis]);
        if (rows == before) { // divisions take longer than the sums of a row
            memcpy(factor + i, factor + i - cols, cols * sizeof *factor);
            continue;
        }
        for (size_t x = 0; x < cols; x++)
            factor[i + x] = rows * counts[x] > 0.0f ? 1.0f / (rows * counts[x]) : 0.0f;
        before = rows;
    }
}

// Rows of an image at once: what is to the right of one is to the left of the next.
static void pad_image(const plane_job *job, const float *src, float *dst)
{
    const rml_window *w = &job->window;
    const int64_t below = job->need[0] - w->before[0], right = job->need[1] - w->before[1];
    const int64_t rows = below < w->in[0] ? below : w->in[0];
    const int64_t columns = right < w->in[1] ? right : w->in[1];
    rml_pad_rows_f32_fn *const pad_rows = RML_KERNEL(job->args->kernels, pad_rows);
    if (rows > 0 && columns > 0)
        pad_rows(src, (size_t)w->in[1], (size_t)columns, job->max ? -INFINITY : 0.0f, (size_t)rows,
                 dst + w->before[0] * job->step[0] + w->before[1], (size_t)job->step[0]);
}

static void pad(const plane_job *job, const float *src, float *dst)
{
    const rml_window *w = &job->window;
    const int last = w->rank - 1;
    const size_t rows = rml_sizes_count(w->in, last);
    const int64_t room = job->need[last] - w->before[last];
    const int64_t columns = room < w->in[last] ? room : w->in[last];
    int64_t at[RML_MAX_SPATIAL] = {0};
    for (size_t row = 0; row < rows && columns > 0; row++, rml_sizes_next(w->in, last, at)) {
        int64_t to = w->before[last];
        bool inside = true;
        for (int i = 0; i < last; i++) {
            inside = inside && at[i] + w->before[i] < job->need[i];
            to += (at[i] + w->before[i]) * job->step[i];
        }
        if (inside)
            memcpy(dst + to, src + (int64_t)row * w->in[last], (size_t)columns * sizeof *dst);
    }
}

static void pick(const plane_job *job, const float *src, float *dst)
{
    const rml_window *w = &job->window;
    const int last = w->rank - 1;
    const int64_t count = w->out[last], stride = w->stride[last];
    const size_t rows = rml_sizes_count(w->out, last);
    int64_t at[RML_MAX_SPATIAL] = {0};
    for (size_t row = 0; row < rows; row++, rml_sizes_next(w->out, last, at), dst += count) {
        const float *from = src;
        for (int i = 0; i < last; i++)
            from += at[i] * w->stride[i] * job->step[i];
        if (stride == 1)
            memcpy(dst, from, (size_t)count * sizeof *dst);
        else if (stride == 2) // known to the compiler
            for (int64_t x = 0; x < count; x++)
                dst[x] = from[2 * x];
        else
            for (int64_t x = 0; x < count; x++)
                dst[x] = from[x * stride];
    }
}

// Rows that are joined as they are picked.
static void join_rows(const plane_job *job, const float *src, float *dst)
{
    const rml_window *w = &job->window;
    const rml_kernels *kernels = job->args->kernels;
    const float *tap[RML_POOL_SMALL_TAPS];
    for (int64_t t = 0; t < w->kernel[0]; t++)
        tap[t] = src + t * w->dilation[0] * job->step[0];
    (job->max ? RML_KERNEL(kernels, pool_max) : RML_KERNEL(kernels, pool_sum))(
        &(rml_pool_windows){.src = tap,
                            .taps = (size_t)w->kernel[0],
                            .channels = (size_t)w->out[1],
                            .count = (size_t)w->out[0],
                            .src_step = (size_t)(w->stride[0] * job->step[0]),
                            .dst_step = (size_t)w->out[1],
                            .scale = 1.0f,
                            .dst = dst});
}

// The plane that item `item` is made of: as it lies, or the maximum of the slices of its windows.
static const float *plane_of(const plane_job *job, size_t item, float *slice)
{
    const slices *s = &job->slices;
    const size_t first = item / s->out * s->in + item % s->out * s->stride;
    const float *at = job->args->in[0].data + first * job->in_plane, *tap[RML_POOL_SMALL_TAPS];
    if (s->joined == 1)
        return at;
    for (size_t t = 0; t < s->joined; t++)
        tap[t] = at + t * s->step * job->in_plane;
    RML_KERNEL(job->args->kernels, pool_max)
    (&(rml_pool_windows){.src = tap,
                         .taps = s->joined,
                         .channels = job->in_plane,
                         .count = 1,
                         .scale = 1.0f,
                         .dst = slice});
    return slice;
}

// Where its loops begin in a line makes 8 % of a pooling of 2x2.
static __attribute__((aligned(64))) void run_planes(void *context, size_t begin, size_t end,
                                                    int worker)
{
    const plane_job *job = context;
    const rml_op_args *args = job->args;
    const rml_window *w = &job->window;
    const size_t line = line_bytes(job) / sizeof(float);
    float *plane = rml_op_worker(args, worker), *sum = plane + 3 * line, *factor = sum + line;
    float *const level[2] = {plane + line, plane + 2 * line};
    const float nothing = job->max ? -INFINITY : 0.0f;
    const bool picks = w->rank == 2 && w->stride[1] == 1 && w->kernel[0] <= RML_POOL_SMALL_TAPS;
    for (size_t i = 0; i < job->room; i++) // what stays of it is padding
        plane[i] = nothing;
    if (!job->max)
        find_factors(job, factor, sum);
    for (size_t item = begin; item < end; item++) {
        const float *at = plane_of(job, item, factor);
        float *dst = args->out[0].data + item * job->out_plane;
        size_t count = job->floats;
        if (!job->as_it_lies) {
            if (job->whole_lines)
                pad_image(job, at, plane);
            else
                pad(job, at, plane);
            at = plane;
        }
        for (int axis = w->rank - 1; axis >= picks; axis--) {
            const size_t taps = (size_t)w->kernel[axis];
            const size_t step = (size_t)(w->dilation[axis] * job->step[axis]);
            count -= (taps - 1) * step;
            at = rml_pool_join(args->kernels, job->max, at, taps, step, count, level, sum);
        }
        if (picks)
            join_rows(job, at, dst);
        else
            pick(job, at, dst);
        if (!job->max)
            RML_KERNEL(args->kernels, binary[RML_BINARY_MUL])(dst, factor, dst, job->out_plane);
    }
}

void rml_pool_plane_run(const rml_op_args *args)
{
    plane_job job = job_of(args);
    const size_t images = (size_t)(args->in[0].dim[0] * args->in[0].dim[1]);
    rml_pool_run(args->pool, images * job.slices.out, 8, run_planes, &job);
}

// ---- one window over all ------------------------------------------------------------------------

#define LANES 16 // sums side by side

bool rml_pool_whole_accepts(const rml_op_args *args)
{
    const rml_window w = rml_pool_window(args);
    bool whole = is_plain_f32(args);
    for (int i = 0; i < w.rank; i++)
        whole = whole && w.in[i] > 0 && w.out[i] == 1 && w.before[i] == 0 && w.dilation[i] == 1 &&
                w.kernel[i] == w.in[i];
    return whole;
}

static float mean_of(const float *src, size_t count)
{
    float lane[LANES] = {0};
    size_t i = 0;
    for (; i + LANES <= count; i += LANES)
        for (size_t n = 0; n < LANES; n++)
            lane[n] += src[i + n];
    for (size_t n = 0; i < count; i++, n++)
        lane[n] += src[i];
    for (size_t n = LANES / 2; n > 0; n /= 2)
        for (size_t m = 0; m < n; m++)
            lane[m] += lane[m + n];
    return lane[0] / (float)count;
}

typedef struct whole_job {
    const rml_op_args *args;
    size_t size; // of what the window is over
} whole_job;

static void run_whole(void *context, size_t begin, size_t end, int worker)
{
    const whole_job *job = context;
    const float *src = job->args->in[0].data + begin * job->size;
    float *out = job->args->out[0].data + begin;
    (void)worker;
    if (job->args->attr->pool.kind == RML_POOL_MAX)
        RML_KERNEL(job->args->kernels, fold_rows)
    (RML_BINARY_MAX, src, job->size, end - begin, job->size, out);
    else for (size_t i = begin; i < end; i++, src += job->size) *out++ = mean_of(src, job->size);
}

void rml_pool_whole_run(const rml_op_args *args)
{
    const rml_window w = rml_pool_window(args);
    whole_job job = {args, rml_sizes_count(w.in, w.rank)};
    rml_pool_run(args->pool, (size_t)(args->in[0].dim[0] * args->in[0].dim[1]), 16, run_whole,
                 &job);
}
