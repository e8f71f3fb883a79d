// Resizing of tensors of any number of dimensions.
//   x of any type (nearest) or f32 and f64   roi [2*axes] of a float type, optional: where the part
//   begins on each axis, then where it ends   scales [axes] of a float type, or sizes [axes] of
//   i64: one of both; a list without elements is none
// Source: ONNX Resize. Linear and cubic go one axis after the other.
#include "ops/image/resize_axis.h"

#include "tensor/convert.h"
#include "tensor/size.h"

#include <math.h>
#include <string.h>

enum { X, ROI, SCALES, SIZES };

static bool is_float(rml_dtype type)
{
    return type == RML_F32 || type == RML_F64 || type == RML_F16 || type == RML_BF16;
}

static rml_status types(const rml_op_attr *attr, const rml_fact *in, int in_count, rml_dtype *out,
                        rml_error *err)
{
    const bool moves = attr->resize_nd.mode == RML_INTERPOLATION_NEAREST;
    for (int i = 0; i < in_count; i++) {
        const rml_dtype type = in[i].dtype;
        const bool fits = i == X       ? moves || type == RML_F32 || type == RML_F64
                          : i == SIZES ? type == RML_I64
                                       : is_float(type);
        if (in[i].shape.rank != -1 && !fits)
            return rml_fail(err, RML_ERR_UNSUPPORTED, "input %d is %s", i, rml_dtype_name(type));
    }
    out[0] = in[X].dtype;
    return RML_OK;
}

// ---- sizes --------------------------------------------------------------------------------------

typedef struct plan {
    int rank;
    rml_resize_axis axis[RML_MAX_RANK];
} plan;

static bool is_there(const rml_fact *in, int in_count, int index)
{
    return in_count > index && in[index].shape.rank != -1 &&
           !(in[index].shape.rank == 1 && in[index].shape.dim[0] == 0);
}

// The list at input `index` as doubles, `count` long. False: not known yet.
static rml_status read_list(const rml_fact *in, int index, int64_t count, double *list, bool *known,
                            rml_error *err)
{
    const rml_shape *shape = &in[index].shape;
    char text[RML_SHAPE_TEXT_BYTES];
    *known = in[index].data != NULL;
    if (shape->rank >= 0 && (shape->rank != 1 || (shape->dim[0] >= 0 && shape->dim[0] != count)))
        return rml_fail(err, RML_ERR_SHAPE, "input %d is %s, expected (%lld)", index,
                        rml_shape_text(shape, text), (long long)count);
    if (*known)
        rml_dtype_convert(in[index].dtype, in[index].data, RML_F64, list, (size_t)count);
    return RML_OK;
}

static rml_status find_axes(const rml_resize_nd_attr *attr, int rank, int *axis, int *count,
                            rml_error *err)
{
    *count = attr->axis_count ? attr->axis_count : rank;
    for (int i = 0; i < *count; i++) {
        axis[i] = !attr->axis_count ? i : attr->axis[i] < 0 ? attr->axis[i] + rank : attr->axis[i];
        if (axis[i] < 0 || axis[i] >= rank)
            return rml_fail(err, RML_ERR_SHAPE, "axis %d is not one of %d", attr->axis[i], rank);
    }
    return RML_OK;
}

static rml_status by_scales(plan *p, const int *axis, int count, const double *scales,
                            rml_error *err)
{
    for (int i = 0; i < count; i++) {
        rml_resize_axis *a = &p->axis[axis[i]];
        if (!(scales[i] > 0) || scales[i] > 1e12)
            return rml_fail(err, RML_ERR_ARG, "scale %g is not in range", scales[i]);
        a->scale = scales[i];
        const double size = floor(scales[i] * (double)a->in);
        if (size > 0x1p52)
            return rml_fail(err, RML_ERR_LIMIT, "the output is too large");
        a->out = a->in < 0 ? -1 : (int64_t)size;
    }
    return RML_OK;
}

static rml_status by_sizes(const rml_resize_nd_attr *attr, plan *p, const int *axis, int count,
                           const double *sizes, rml_error *err)
{
    double least = INFINITY, most = 0;
    bool known = true;
    for (int i = 0; i < count; i++) {
        rml_resize_axis *a = &p->axis[axis[i]];
        if (!(sizes[i] >= 0) || sizes[i] > 0x1p52 || (a->in == 0 && sizes[i] > 0))
            return rml_fail(err, RML_ERR_SHAPE, "axis %d: size %lld cannot become %g", axis[i],
                            (long long)a->in, sizes[i]);
        a->out = (int64_t)sizes[i];
        known = known && a->in >= 0;
        a->scale = a->in > 0 ? sizes[i] / (double)a->in : 1;
        least = a->scale < least ? a->scale : least;
        most = a->scale > most ? a->scale : most;
    }
    for (int i = 0; i < count && attr->aspect != RML_ASPECT_STRETCH; i++) {
        rml_resize_axis *a = &p->axis[axis[i]];
        a->scale = attr->aspect == RML_ASPECT_NOT_LARGER ? least : most;
        a->out = known ? (int64_t)floor(a->scale * (double)a->in + 0.5) : -1;
    }
    return RML_OK;
}

// Everything that shapes and the elements of the lists tell. Sizes not known are -1.
static rml_status make_plan(const rml_resize_nd_attr *attr, const rml_fact *in, int in_count,
                            plan *p, rml_error *err)
{
    const rml_shape *x = &in[X].shape;
    double list[2 * RML_MAX_RANK];
    int axis[RML_MAX_RANK], count;
    bool known = false;
    p->rank = x->rank;
    for (int i = 0; i < x->rank; i++)
        p->axis[i] = (rml_resize_axis){x->dim[i], x->dim[i], 1, 0, 1};
    RML_TRY(find_axes(attr, x->rank, axis, &count, err));
    const bool sized = is_there(in, in_count, SIZES);
    if (sized == is_there(in, in_count, SCALES))
        return rml_fail(err, RML_ERR_SHAPE, "expected either scales or sizes");
    RML_TRY(read_list(in, sized ? SIZES : SCALES, count, list, &known, err));
    if (known)
        RML_TRY(sized ? by_sizes(attr, p, axis, count, list, err)
                      : by_scales(p, axis, count, list, err));
    for (int i = 0; i < count && !known; i++)
        p->axis[axis[i]].out = -1;
    if (attr->coordinates != RML_COORDINATES_CROP || !is_there(in, in_count, ROI))
        return RML_OK;
    RML_TRY(read_list(in, ROI, 2 * (int64_t)count, list, &known, err));
    for (int i = 0; i < count && known; i++) {
        p->axis[axis[i]].begin = list[i];
        p->axis[axis[i]].end = list[count + i];
    }
    return RML_OK;
}

static rml_status infer(const rml_op_attr *attr, const rml_fact *in, int in_count, rml_shape *out,
                        rml_error *err)
{
    plan p;
    *out = (rml_shape){.rank = RML_RANK_UNKNOWN};
    if (in[X].shape.rank < 0)
        return RML_OK;
    // A list whose length is not known may be none.
    for (int i = SCALES; i <= SIZES && i < in_count; i++)
        if (in[i].shape.rank == RML_RANK_UNKNOWN ||
            (in[i].shape.rank == 1 && in[i].shape.dim[0] < 0)) {
            *out = in[X].shape;
            for (int d = 0; d < out->rank; d++)
                out->dim[d] = -1;
            return RML_OK;
        }
    RML_TRY(make_plan(&attr->resize_nd, in, in_count, &p, err));
    *out = in[X].shape;
    for (int i = 0; i < p.rank; i++) {
        size_t count;
        out->dim[i] = p.axis[i].out;
        // Axes are resized one after the other: what is there between two must be addressable too.
        if (rml_shape_known(&in[X].shape) && rml_shape_known(out) && !rml_shape_count(out, &count))
            return rml_fail(err, RML_ERR_LIMIT,
                            "the tensor is too large with its first %d axes "
                            "resized",
                            i + 1);
    }
    return RML_OK;
}

static plan plan_of(const rml_op_args *args)
{
    rml_fact facts[SIZES + 1];
    plan p;
    for (int i = 0; i < args->in_count; i++)
        facts[i] = (rml_fact){.dtype = args->in[i].dtype,
                              .shape = rml_tensor_shape(&args->in[i]),
                              .data = args->in[i].raw};
    make_plan(&args->attr->resize_nd, facts, args->in_count, &p, NULL); // infer: it fits
    for (int i = 0; i < p.rank; i++)
        p.axis[i].out = args->out[0].dim[i];
    return p;
}

// ---- nearest ------------------------------------------------------------------------------------

static size_t nearest_scratch(const rml_op_args *args)
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
} nearest_job;

#define TAKE(type)                                                                                 \
    for (int64_t i = 0; i < width; i++)                                                            \
    ((type *)dst)[i] = where[i] < 0 ? *(const type *)outside : ((const type *)src)[where[i]]

static void take_row(const void *src, const int64_t *where, const void *outside, int64_t width,
                     size_t bytes, void *dst)
{
    if (bytes == 4)
        TAKE(uint32_t);
    else if (bytes == 8)
        TAKE(uint64_t);
    else if (bytes == 2)
        TAKE(uint16_t);
    else
        TAKE(uint8_t);
}

static void nearest_rows(void *context, size_t begin, size_t end, int worker)
{
    const nearest_job *job = context;
    const rml_tensor *in = &job->args->in[X], *out = &job->args->out[0];
    const size_t bytes = rml_dtype_size(in->dtype);
    const int last = out->rank - 1;
    const int64_t width = out->dim[last];
    (void)worker;
    for (size_t row = begin; row < end; row++) {
        char *dst = (char *)out->raw + row * (size_t)width * bytes;
        int64_t at[RML_MAX_RANK], from = 0;
        bool inside = true;
        rml_shape sizes = rml_tensor_shape(out);
        for (size_t rest = row, i = (size_t)last; i-- > 0; rest /= (size_t)sizes.dim[i])
            at[i] = (int64_t)(rest % (size_t)sizes.dim[i]);
        for (int i = 0; i < last; i++) {
            inside = inside && job->where[i][at[i]] >= 0;
            from = from * in->dim[i] + job->where[i][at[i]];
        }
        const char *src = (const char *)in->raw + from * in->dim[last] * (int64_t)bytes;
        if (!inside)
            for (int64_t i = 0; i < width; i++)
                memcpy(dst + (size_t)i * bytes, &job->outside, bytes);
        else if (job->whole_rows)
            memcpy(dst, src, (size_t)width * bytes);
        else
            take_row(src, job->where[last], &job->outside, width, bytes, dst);
    }
}

static void run_nearest(const rml_op_args *args)
{
    const rml_resize_nd_attr *attr = &args->attr->resize_nd;
    const plan p = plan_of(args);
    nearest_job job = {.args = args};
    int64_t *where = (int64_t *)(void *)args->scratch;
    size_t rows = 1;
    if (p.rank == 0) {
        memcpy(args->out[0].raw, args->in[X].raw, rml_dtype_size(args->out[0].dtype));
        return;
    }
    for (int i = 0; i < p.rank; i++) {
        job.where[i] = where;
        rml_resize_nearest(attr, &p.axis[i], where);
        where += p.axis[i].out;
        rows *= i < p.rank - 1 ? (size_t)p.axis[i].out : 1;
    }
    job.whole_rows = rml_resize_axis_is_same(attr, &p.axis[p.rank - 1]);
    rml_dtype_convert(RML_F64, &attr->extrapolation, args->out[0].dtype, &job.outside, 1);
    const size_t width = (size_t)p.axis[p.rank - 1].out;
    rml_pool_run(args->pool, rows, width < 4096 ? 4096 / width : 1, nearest_rows, &job);
}

// ---- linear and cubic ---------------------------------------------------------------------------

static bool is_nearest(const rml_op_args *args)
{
    return args->attr->resize_nd.mode == RML_INTERPOLATION_NEAREST;
}

// Elements of the largest tensor between two axes, whichever axes change.
static size_t most_elements(const rml_op_args *args)
{
    const rml_tensor *in = &args->in[X], *out = &args->out[0];
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
    for (int i = 0; i < args->in[X].rank; i++) {
        const size_t out = (size_t)args->out[0].dim[i];
        const size_t taps =
            rml_resize_taps(&args->attr->resize_nd, args->in[X].dim[i], args->out[0].dim[i]);
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

static size_t weighted_scratch(const rml_op_args *args)
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

static void run_weighted(const rml_op_args *args)
{
    const rml_resize_nd_attr *attr = &args->attr->resize_nd;
    const plan p = plan_of(args);
    const size_t bytes = rml_dtype_size(args->out[0].dtype);
    char *buffer[2] = {args->scratch + table_bytes(args),
                       args->scratch + table_bytes(args) + buffer_bytes(args)};
    int last = -1, turn = 0;
    for (int i = 0; i < p.rank; i++)
        if (!rml_resize_axis_is_same(attr, &p.axis[i]))
            last = i;
    pass_job job = {
        .src = args->in[X].raw, .outside = attr->extrapolation, .type = args->out[0].dtype};
    if (last < 0)
        memcpy(args->out[0].raw, args->in[X].raw, rml_tensor_count(&args->out[0]) * bytes);
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

static const rml_algorithm algorithms[] = {
    {.name = "nearest",
     .accepts = is_nearest,
     .scratch_bytes = nearest_scratch,
     .run = run_nearest},
    {.name = "axes", .scratch_bytes = weighted_scratch, .run = run_weighted}};

const rml_op rml_op_resize_nd = {.name = "resize_nd",
                                 .min_inputs = 1,
                                 .max_inputs = 4,
                                 .packed_input = -1,
                                 .types = types,
                                 .infer_values = infer,
                                 .algorithms = algorithms};
