// Running sums and products along an axis.
#include "ops/elementwise/widen.h"
#include "ops/index/list.h"

#include "tensor/dtype.h"
#include "tensor/size.h"

static rml_status infer_running(const rml_op_node *node, rml_shape *out, rml_error *err)
{
    const rml_fact *axis = &node->in[1];
    int unused;
    *out = node->in[0].shape;
    RML_TRY(rml_scalar_check(node, 1, "axis", err));
    return axis->data && out->rank >= 0
               ? rml_axis_check(rml_index_at(axis->data, axis->dtype, 0), out, &unused, err)
               : RML_OK;
}

typedef struct job {
    const rml_op_args *args;
    const rml_cumsum_attr *attr;
    rml_lines lines;
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

static void run_row(const job *at, size_t first)
{
    const size_t parts = (at->lines.count + RML_WIDEN_COUNT - 1) / RML_WIDEN_COUNT;
    rml_widen sum, x, y;
    start(at, &sum, 1);
    for (size_t part = 0; part < parts; part++) {
        const size_t from = (at->attr->reverse ? parts - 1 - part : part) * RML_WIDEN_COUNT;
        const size_t count = rml_min_size(RML_WIDEN_COUNT, at->lines.count - from);
        rml_widen_read(&at->args->in[0], first + from, count, at->wide, &x);
        for (size_t i = 0; i < count; i++) {
            const size_t k = at->attr->reverse ? count - 1 - i : i;
            if (at->attr->exclusive)
                y.u64[k] = sum.u64[0];
            join(at, &sum, 0, &x, k);
            if (!at->attr->exclusive)
                y.u64[k] = sum.u64[0];
        }
        rml_widen_write(&at->args->out[0], first + from, count, at->wide, &y);
    }
}

// `count` neighbours, each along its own row.
static void run_slices(const job *at, size_t first, size_t count)
{
    const rml_tensor *in = &at->args->in[0], *out = &at->args->out[0];
    const size_t bytes = rml_dtype_size(in->dtype);
    const bool reverse = at->attr->reverse;
    const size_t begin = first + (reverse ? (at->lines.count - 1) * at->lines.inner : 0);
    const int64_t step = reverse ? -(int64_t)at->lines.inner : (int64_t)at->lines.inner;
    rml_widen sum, x;
    start(at, &sum, count);
    if (RML_KERNEL(at->args->kernels, running)(
            in->dtype, (const char *)in->raw + begin * bytes, step, at->lines.count,
            (char *)out->raw + begin * bytes, &sum, count, at->attr->product, at->attr->exclusive))
        return;
    for (size_t k = 0; k < at->lines.count; k++) {
        const size_t from = first + (reverse ? at->lines.count - 1 - k : k) * at->lines.inner;
        rml_widen_read(in, from, count, at->wide, &x);
        if (at->attr->exclusive)
            rml_widen_write(&at->args->out[0], from, count, at->wide, &sum);
        for (size_t i = 0; i < count; i++)
            join(at, &sum, i, &x, i);
        if (!at->attr->exclusive)
            rml_widen_write(&at->args->out[0], from, count, at->wide, &sum);
    }
}

static void run_lines(const void *context, size_t line, size_t first, size_t count)
{
    const job *at = context;
    (void)line;
    if (at->lines.inner == 1)
        run_row(at, first);
    else
        run_slices(at, first, count);
}

static void run_running(const rml_op_args *args)
{
    const rml_tensor *in = &args->in[0];
    const int axis = rml_axis_of(rml_index_at(args->in[1].raw, args->in[1].dtype, 0), in->rank);
    // An axis that is none, which inference refuses: every element stands alone.
    const job at = {args, &args->attr->cumsum,
                    axis < 0 ? (rml_lines){rml_tensor_count(in), 1, 1} : rml_lines_along(in, axis),
                    rml_wide_of(in->dtype)};
    rml_lines_run(&at.lines, args->pool, run_lines, &at);
}

const rml_op rml_op_cumsum = {.id = RML_OP_CUMSUM,
                              .name = "cumsum",
                              .inputs = {2, 2},
                              .checks_elements = true,
                              .signature = "ni>0",
                              .infer_values = infer_running,
                              .algorithms = RML_ONE_WAY("widened", run_running)};
