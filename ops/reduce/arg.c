// Where the largest or smallest element along an axis is.
#include "ops/elementwise/widen.h"
#include "ops/index/list.h"

#include "tensor/dtype.h"
#include "tensor/size.h"

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
    rml_wide wide;
} job;

// Keys, the better ones the larger.
static void read_keys(const job *at, size_t first, size_t count, rml_widen *keys)
{
    rml_widen_read(&at->args->in[0], first, count, at->wide, keys);
    rml_widen_keys(at->wide, count, keys);
    for (size_t i = 0; i < count && at->args->attr->arg.smallest; i++)
        keys->u64[i] = ~keys->u64[i];
}

static bool better(const job *at, uint64_t key, uint64_t best)
{
    return key > best || (at->args->attr->arg.last && key == best);
}

static void search_row(const job *at, size_t first, int64_t *where)
{
    rml_widen keys;
    uint64_t best = 0;
    *where = 0;
    for (size_t k = 0; k < at->lines.count; k += RML_WIDEN_COUNT) {
        const size_t count = rml_min_size(RML_WIDEN_COUNT, at->lines.count - k);
        read_keys(at, first + k, count, &keys);
        for (size_t i = 0; i < count; i++)
            if (better(at, keys.u64[i], best)) {
                best = keys.u64[i];
                *where = (int64_t)(k + i);
            }
    }
}

// `count` neighbours, each along its own row.
static void search_slices(const job *at, size_t first, size_t count, int64_t *where)
{
    rml_widen keys, best;
    read_keys(at, first, count, &best);
    for (size_t i = 0; i < count; i++)
        where[i] = 0;
    for (size_t k = 1; k < at->lines.count; k++) {
        read_keys(at, first + k * at->lines.inner, count, &keys);
        for (size_t i = 0; i < count; i++)
            if (better(at, keys.u64[i], best.u64[i])) {
                best.u64[i] = keys.u64[i];
                where[i] = (int64_t)k;
            }
    }
}

static void search(const void *context, size_t line, size_t first, size_t count)
{
    const job *at = context;
    int64_t *where = (int64_t *)at->args->out[0].raw + line;
    if (at->lines.inner == 1)
        search_row(at, first, where);
    else
        search_slices(at, first, count, where);
}

static void run_arg(const rml_op_args *args)
{
    const rml_tensor *in = &args->in[0];
    const int axis = rml_axis_of(args->attr->arg.axis, in->rank);
    const job at = {args, rml_lines_along(in, axis), rml_wide_of(in->dtype)};
    rml_lines_run(&at.lines, args->pool, search, &at);
}

const rml_op rml_op_arg = {.name = "arg",
                           .inputs = {1, 1},
                           .signature = "*>l",
                           .infer = infer_arg,
                           .algorithms = RML_ONE_WAY("search", run_arg)};
