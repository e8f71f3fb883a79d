// Resizing of tensors of any number of dimensions, plain.
#include "ops/image/resize.h"

#include "tensor/dtype.h"
#include "tensor/size.h"

#include <string.h>

// ---- nearest ------------------------------------------------------------------------------------

size_t rml_resize_nearest_scratch_bytes(const rml_op_args *args)
{
    size_t places = 0;
    for (int i = 0; i < args->out[0].rank; i++)
        places = rml_sat_add(places, (size_t)args->out[0].dim[i]);
    return rml_sat_mul(places, sizeof(int64_t));
}

typedef struct nearest_job {
    const rml_op_args *args;
    const int64_t *where[RML_MAX_RANK];
    uint64_t outside; // an element
    bool whole_rows;  // nothing changes along the last axis
    bool twice;       // each element of a row is repeated once
} nearest_job;

#define TAKE(type)                                                                                 \
    for (int64_t i = 0; i < width; i++)                                                            \
    ((type *)dst)[i] = where[i] < 0 ? *(const type *)outside : ((const type *)src)[where[i]]

static void take_row(const void *src, const int64_t *where, const void *outside, int64_t width,
                     size_t bytes, void *dst)
{
    RML_BY_SIZE(bytes, TAKE);
}

#define REPEAT(type)                                                                               \
    for (int64_t i = 0; i < width / 2; i++)                                                        \
    ((type *)dst)[2 * i] = ((type *)dst)[2 * i + 1] = ((const type *)src)[i]

static void repeat_row(const void *src, int64_t width, size_t bytes, void *dst)
{
    RML_BY_SIZE(bytes, REPEAT);
}

#define REPEAT_TWICE(type)                                                                         \
    for (int64_t i = 0; i < width; i++)                                                            \
    ((type *)dst)[2 * i] = ((type *)dst)[2 * i + 1] = ((type *)below)[2 * i] =                     \
        ((type *)below)[2 * i + 1] = ((const type *)src)[i]

// One row as two of twice its width, which are not read again.
static void repeat_twice(const void *restrict src, int64_t width, size_t bytes, void *restrict dst,
                         void *restrict below)
{
    RML_BY_SIZE(bytes, REPEAT_TWICE);
}

// Rows of the input where images become twice as wide and as high, and no other axis changes.
static void double_rows(void *context, size_t begin, size_t end, int worker)
{
    const nearest_job *job = context;
    const rml_tensor *in = &job->args->in[0];
    const int64_t width = in->dim[in->rank - 1];
    const size_t bytes = rml_dtype_size(in->dtype), row = (size_t)width * bytes;
    const char *src = (const char *)in->raw + begin * row;
    char *dst = (char *)job->args->out[0].raw + 4 * begin * row;
    (void)worker;
    for (size_t i = begin; i < end; i++, src += row, dst += 4 * row)
        repeat_twice(src, width, bytes, dst, dst + 2 * row);
}

// True where the axis repeats each element once.
static bool is_twice(const rml_resize_axis *axis, const int64_t *where)
{
    bool twice = axis->out == 2 * axis->in;
    for (int64_t at = 0; at < axis->out && twice; at++)
        twice = where[at] == at / 2;
    return twice;
}

static void nearest_rows(void *context, size_t begin, size_t end, int worker)
{
    const nearest_job *job = context;
    const rml_tensor *in = &job->args->in[0], *out = &job->args->out[0];
    const size_t bytes = rml_dtype_size(in->dtype);
    const int last = out->rank - 1;
    const int64_t width = out->dim[last];
    const char *before = NULL; // the source of the row in front
    int64_t at[RML_MAX_RANK];
    (void)worker;
    for (size_t rest = begin, i = (size_t)last; i-- > 0; rest /= (size_t)out->dim[i])
        at[i] = (int64_t)(rest % (size_t)out->dim[i]);
    for (size_t row = begin; row < end; row++) {
        char *dst = (char *)out->raw + row * (size_t)width * bytes;
        int64_t from = 0;
        bool inside = true;
        for (int i = 0; i < last; i++) {
            inside = inside && job->where[i][at[i]] >= 0;
            from = from * in->dim[i] + job->where[i][at[i]];
        }
        for (int i = last - 1; i >= 0 && ++at[i] == out->dim[i]; i--)
            at[i] = 0;
        const char *src = (const char *)in->raw + from * in->dim[last] * (int64_t)bytes;
        if (!inside)
            for (int64_t i = 0; i < width; i++)
                memcpy(dst + (size_t)i * bytes, &job->outside, bytes);
        else if (src == before)
            memcpy(dst, dst - (size_t)width * bytes, (size_t)width * bytes);
        else if (job->whole_rows)
            memcpy(dst, src, (size_t)width * bytes);
        else if (job->twice)
            repeat_row(src, width, bytes, dst);
        else
            take_row(src, job->where[last], &job->outside, width, bytes, dst);
        before = inside ? src : NULL;
    }
}

void rml_resize_nearest_run(const rml_op_args *args)
{
    const rml_resize_attr *attr = &args->attr->resize;
    const rml_resize_plan p = rml_resize_plan_of(args);
    nearest_job job = {.args = args};
    int64_t *where = (int64_t *)(void *)args->scratch;
    size_t rows = 1;
    if (p.rank == 0) {
        memcpy(args->out[0].raw, args->in[0].raw, rml_dtype_size(args->out[0].dtype));
        return;
    }
    for (int i = 0; i < p.rank; i++) {
        job.where[i] = where;
        for (int64_t at = 0; at < p.axis[i].out; at++)
            where[at] = rml_resize_nearest(attr, &p.axis[i], at);
        where += p.axis[i].out;
        rows *= i < p.rank - 1 ? (size_t)p.axis[i].out : 1;
    }
    job.whole_rows = rml_resize_axis_is_same(attr, &p.axis[p.rank - 1]);
    job.twice = is_twice(&p.axis[p.rank - 1], job.where[p.rank - 1]);
    bool doubles = job.twice && p.rank > 1 && is_twice(&p.axis[p.rank - 2], job.where[p.rank - 2]);
    for (int i = 0; i < p.rank - 2; i++)
        doubles = doubles && rml_resize_axis_is_same(attr, &p.axis[i]);
    rml_dtype_convert(RML_F64, &attr->extrapolation, args->out[0].dtype, &job.outside, 1);
    const size_t width = (size_t)p.axis[p.rank - 1].out, grain = width < 4096 ? 4096 / width : 1;
    if (doubles)
        rml_pool_run(args->pool, rows / 2, (grain + 1) / 2, double_rows, &job);
    else
        rml_pool_run(args->pool, rows, grain, nearest_rows, &job);
}

// ---- linear and cubic ---------------------------------------------------------------------------

// Elements of the largest tensor between two axes, whichever axes change.
static size_t most_elements(const rml_op_args *args)
{
    const rml_tensor *in = &args->in[0], *out = &args->out[0];
    size_t most = 0;
    for (int done = 1; done < in->rank; done++) {
        size_t count = 1;
        for (int i = 0; i < in->rank; i++)
            count = rml_sat_mul(count, (size_t)(i < done ? out->dim[i] : in->dim[i]));
        most = count > most ? count : most;
    }
    return most;
}

static size_t table_bytes(const rml_op_args *args)
{
    size_t most = 0;
    for (int i = 0; i < args->in[0].rank; i++) {
        const size_t out = (size_t)args->out[0].dim[i];
        const size_t taps =
            rml_resize_taps(&args->attr->resize, args->in[0].dim[i], args->out[0].dim[i]);
        const size_t bytes =
            rml_sat_mul(out, rml_sat_add(2 * sizeof(int64_t), rml_sat_mul(taps, sizeof(double))));
        most = bytes > most ? bytes : most;
    }
    return rml_round_up(most, RML_ALIGNMENT);
}

static size_t buffer_bytes(const rml_op_args *args)
{
    return rml_aligned_bytes(most_elements(args), rml_dtype_size(args->out[0].dtype));
}

size_t rml_resize_axes_scratch_bytes(const rml_op_args *args)
{
    return rml_sat_add(table_bytes(args), rml_sat_mul(2, buffer_bytes(args)));
}

typedef struct pass_job {
    const rml_resize_table *table;
    const void *src;
    void *dst;
    int64_t in, out;
    size_t inner;
    double outside;
    rml_dtype type;
} pass_job;

// One output of the axis: a run of `inner` elements from `count` runs.
#define WEIGH(type)                                                                                \
    do {                                                                                           \
        const type *src = (const type *)job->src + (outer * job->in + first) * inner;              \
        type *dst = (type *)job->dst + item * inner;                                               \
        for (int64_t i = 0; i < inner; i++)                                                        \
            dst[i] = count ? (type)weight[0] * src[i] : (type)job->outside;                        \
        for (int64_t t = 1; t < count; t++)                                                        \
            for (int64_t i = 0; i < inner; i++)                                                    \
                dst[i] += (type)weight[t] * src[t * inner + i];                                    \
    } while (0)

static void weigh_items(void *context, size_t begin, size_t end, int worker)
{
    const pass_job *job = context;
    const rml_resize_table *table = job->table;
    const int64_t inner = (int64_t)job->inner;
    (void)worker;
    for (int64_t item = (int64_t)begin; item < (int64_t)end; item++) {
        const int64_t outer = item / job->out, at = item % job->out;
        const int64_t first = table->first[at], count = table->count[at];
        const double *weight = table->weight + (size_t)at * table->taps;
        if (job->type == RML_F32)
            WEIGH(float);
        else
            WEIGH(double);
    }
}

void rml_resize_axes_run(const rml_op_args *args)
{
    const rml_resize_attr *attr = &args->attr->resize;
    const rml_resize_plan p = rml_resize_plan_of(args);
    const size_t bytes = rml_dtype_size(args->out[0].dtype);
    char *buffer[2] = {args->scratch + table_bytes(args),
                       args->scratch + table_bytes(args) + buffer_bytes(args)};
    int last = -1, turn = 0;
    for (int i = 0; i < p.rank; i++)
        if (!rml_resize_axis_is_same(attr, &p.axis[i]))
            last = i;
    pass_job job = {
        .src = args->in[0].raw, .outside = attr->extrapolation, .type = args->out[0].dtype};
    if (last < 0)
        memcpy(args->out[0].raw, args->in[0].raw, rml_tensor_count(&args->out[0]) * bytes);
    for (int i = 0; i <= last; i++) {
        const rml_resize_axis *axis = &p.axis[i];
        rml_resize_table table = {.taps = rml_resize_taps(attr, axis->in, axis->out)};
        size_t outer = 1;
        if (rml_resize_axis_is_same(attr, axis))
            continue;
        table.first = (int64_t *)(void *)args->scratch;
        table.count = table.first + axis->out;
        table.weight = (double *)(void *)(table.count + axis->out);
        rml_resize_weights(attr, axis, &table);
        job.inner = 1;
        for (int d = 0; d < p.rank; d++)
            *(d < i ? &outer : &job.inner) *= d < i   ? (size_t)p.axis[d].out
                                              : d > i ? (size_t)p.axis[d].in
                                                      : 1;
        job.table = &table;
        job.in = axis->in;
        job.out = axis->out;
        job.dst = i == last ? args->out[0].raw : buffer[turn];
        rml_pool_run(args->pool, outer * (size_t)axis->out, job.inner < 4096 ? 4096 / job.inner : 1,
                     weigh_items, &job);
        job.src = job.dst;
        turn = 1 - turn;
    }
}
