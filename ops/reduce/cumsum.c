// Running sums and products along an axis.
#include "ops/elementwise/widen.h"

#include "tensor/dtype.h"
#include "tensor/size.h"

#define CHUNK_ELEMENTS 16384 // read by a work item

// The axis, or -1 where there is none of this number.
static int axis_of(rml_dtype dtype, const void *data, int rank)
{
    int64_t axis = dtype == RML_I32 ? *(const int32_t *)data : *(const int64_t *)data;
    axis += axis < 0 ? rank : 0;
    return axis < 0 || axis >= rank ? -1 : (int)axis;
}

static rml_status infer_running(const rml_op_node *node, rml_shape *out, rml_error *err)
{
    const rml_shape *axis = &node->in[1].shape;
    char text[RML_SHAPE_TEXT_BYTES];
    size_t count = 1;
    if (axis->rank > 1 || (rml_shape_count(axis, &count) && count != 1))
        return rml_fail(err, RML_ERR_SHAPE, "the axis is %s, and one number is expected",
                        rml_shape_text(axis, text));
    if (node->in[1].data && node->in[0].shape.rank >= 0 &&
        axis_of(node->in[1].dtype, node->in[1].data, node->in[0].shape.rank) < 0)
        return rml_fail(err, RML_ERR_SHAPE, "the axis is not one of input %s",
                        rml_shape_text(&node->in[0].shape, text));
    *out = node->in[0].shape;
    return RML_OK;
}

typedef struct job {
    const rml_op_args *args;
    const rml_cumsum_attr *attr;
    size_t count, inner; // of the axis, and of the dimensions behind it
    rml_wide wide;
} job;

static void join(const job *at, rml_widen *into, size_t i, const rml_widen *from, size_t k)
{
    const bool product = at->attr->product;
    if (at->wide == RML_WIDE_F64)
        into->f64[i] = product ? into->f64[i] * from->f64[k] : into->f64[i] + from->f64[k];
    else
        into->u64[i] = product ? into->u64[i] * from->u64[k] : into->u64[i] + from->u64[k];
}

static void start(const job *at, rml_widen *sum, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (at->wide == RML_WIDE_F64)
            sum->f64[i] = at->attr->product;
        else
            sum->u64[i] = at->attr->product;
}

static void run_row(const job *at, size_t row)
{
    const size_t parts = (at->count + RML_WIDEN_COUNT - 1) / RML_WIDEN_COUNT;
    rml_widen sum, x, y;
    start(at, &sum, 1);
    for (size_t part = 0; part < parts; part++) {
        const size_t from = (at->attr->reverse ? parts - 1 - part : part) * RML_WIDEN_COUNT;
        const size_t count = rml_min_size(RML_WIDEN_COUNT, at->count - from);
        rml_widen_read(&at->args->in[0], row * at->count + from, count, at->wide, &x);
        for (size_t i = 0; i < count; i++) {
            const size_t k = at->attr->reverse ? count - 1 - i : i;
            if (at->attr->exclusive)
                y.u64[k] = sum.u64[0];
            join(at, &sum, 0, &x, k);
            if (!at->attr->exclusive)
                y.u64[k] = sum.u64[0];
        }
        rml_widen_write(&at->args->out[0], row * at->count + from, count, at->wide, &y);
    }
}

// `count` neighbours, each along its own row.
static void run_slices(const job *at, size_t first, size_t count)
{
    rml_widen sum, x;
    start(at, &sum, count);
    for (size_t k = 0; k < at->count; k++) {
        const size_t from = first + (at->attr->reverse ? at->count - 1 - k : k) * at->inner;
        rml_widen_read(&at->args->in[0], from, count, at->wide, &x);
        if (at->attr->exclusive)
            rml_widen_write(&at->args->out[0], from, count, at->wide, &sum);
        for (size_t i = 0; i < count; i++)
            join(at, &sum, i, &x, i);
        if (!at->attr->exclusive)
            rml_widen_write(&at->args->out[0], from, count, at->wide, &sum);
    }
}

static void running_part(void *context, size_t begin, size_t end, int worker)
{
    const job *at = context;
    (void)worker;
    for (size_t i = begin, n; i < end; i += n) {
        n = 1;
        if (at->inner == 1) {
            run_row(at, i);
            continue;
        }
        n = rml_min_size(rml_min_size(at->inner - i % at->inner, end - i), RML_WIDEN_COUNT);
        run_slices(at, i / at->inner * at->inner * at->count + i % at->inner, n);
    }
}

static void run_running(const rml_op_args *args)
{
    const rml_tensor *in = &args->in[0];
    const int axis = axis_of(args->in[1].dtype, args->in[1].raw, in->rank);
    job at = {args, &args->attr->running, 1, 1, rml_wide_of(in->dtype)};
    // An axis that only the run tells may be none: then every element stands alone.
    for (int i = 0; i < in->rank && axis >= 0; i++)
        if (i == axis)
            at.count = (size_t)in->dim[i];
        else if (i > axis)
            at.inner *= (size_t)in->dim[i];
    const size_t chunk = at.count && at.count < CHUNK_ELEMENTS ? CHUNK_ELEMENTS / at.count : 1;
    if (at.count)
        rml_pool_run(args->pool, rml_tensor_count(in) / at.count, chunk, running_part, &at);
}

const rml_op rml_op_cumsum = {.name = "running",
                              .inputs = {2, 2},
                              .signature = "ni>0",
                              .infer_values = infer_running,
                              .algorithms = RML_ONE_WAY("widened", run_running)};
