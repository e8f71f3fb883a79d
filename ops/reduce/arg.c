// Where the largest or smallest element along an axis is.
#include "ops/elementwise/widen.h"
#include "ops/index/list.h"

#include "tensor/dtype.h"
#include "tensor/size.h"

#include <string.h>

static rml_status infer_arg(const rml_op_node *node, rml_shape *out, rml_error *err)
{
    const rml_shape *x = &node->shape[0];
    int axis;
    RML_TRY(rml_axis_check(node->attr->arg.axis, x, &axis, err));
    if (x->dim[axis] == 0)
        return rml_fail(err, RML_ERR_SHAPE, "nothing to search: axis %d has size 0", axis);
    *out = (rml_shape){.rank = 0};
    for (int i = 0; i < x->rank; i++)
        if (i != axis)
            out->dim[out->rank++] = x->dim[i];
        else if (node->attr->arg.keep)
            out->dim[out->rank++] = 1;
    return RML_OK;
}

typedef struct job {
    const rml_op_args *args;
    rml_lines lines;
} job;

// Halves, which have no kernels of their own, are widened; so are the results then.
static bool widens(const job *at)
{
    const rml_dtype dtype = at->args->in[0].dtype;
    return dtype == RML_F16 || dtype == RML_BF16;
}

static const void *line(const job *at, size_t first, size_t count, float *wide)
{
    const rml_tensor *in = &at->args->in[0];
    const char *src = (const char *)in->raw + first * rml_dtype_size(in->dtype);
    if (!widens(at))
        return src;
    RML_KERNEL(at->args->kernels, convert)(in->dtype, src, RML_F32, wide, count);
    return wide;
}

// `count` neighbours, each along its own row.
static void search_slices(const job *at, size_t first, size_t count, int64_t *where)
{
    const rml_arg_attr *arg = &at->args->attr->arg;
    const rml_dtype dtype = widens(at) ? RML_F32 : at->args->in[0].dtype;
    float wide[RML_WIDEN_COUNT];
    uint64_t best[RML_WIDEN_COUNT];
    uint32_t found[RML_WIDEN_COUNT] = {0};
    memcpy(best, line(at, first, count, wide), count * rml_dtype_size(dtype));
    for (size_t k = 1; k < at->lines.count; k++)
        RML_KERNEL(at->args->kernels, search_lines)
    (dtype, line(at, first + k * at->lines.inner, count, wide), best, found, (uint32_t)k, count,
     arg->smallest, arg->last);
    for (size_t i = 0; i < count; i++)
        where[i] = found[i];
}

static void search_row(const job *at, size_t first, int64_t *where)
{
    const rml_arg_attr *arg = &at->args->attr->arg;
    const rml_tensor *in = &at->args->in[0];
    const char *src = (const char *)in->raw + first * rml_dtype_size(in->dtype);
    RML_KERNEL(at->args->kernels, search_row)
    (in->dtype, src, at->lines.count, arg->smallest, arg->last, where);
}

static void search(const void *context, size_t index, size_t first, size_t count)
{
    const job *at = context;
    int64_t *where = (int64_t *)at->args->out[0].raw + index;
    // A long row of halves is a line of one.
    if (at->lines.inner == 1 && !widens(at))
        search_row(at, first, where);
    else
        search_slices(at, first, count, where);
}

static void run_arg(const rml_op_args *args)
{
    const rml_tensor *in = &args->in[0];
    const int axis = rml_axis_of(args->attr->arg.axis, in->rank);
    const job at = {args, rml_lines_along(in, axis)};
    rml_lines_run(&at.lines, args->pool, search, &at);
}

const rml_op rml_op_arg = {.id = RML_OP_ARG,
                           .name = "arg",
                           .inputs = {1, 1},
                           .signature = "*>l",
                           .infer = infer_arg,
                           .algorithms = RML_ONE_WAY("search", run_arg)};
