// Where the largest or smallest element along an axis is.
#include "ops/elementwise/widen.h"

#include "tensor/dtype.h"
#include "tensor/size.h"

#define CHUNK_ELEMENTS 16384 // read by a work item

static rml_status infer_arg(const rml_op_node *node, rml_shape *out, rml_error *err)
{
    char text[RML_SHAPE_TEXT_BYTES];
    const int axis = node->attr->arg.axis + (node->attr->arg.axis < 0 ? node->shape[0].rank : 0);
    if (axis < 0 || axis >= node->shape[0].rank)
        return rml_fail(err, RML_ERR_SHAPE, "axis %d is not one of input %s", node->attr->arg.axis,
                        rml_shape_text(&node->shape[0], text));
    if (node->shape[0].dim[axis] == 0)
        return rml_fail(err, RML_ERR_SHAPE, "nothing to search: axis %d has size 0", axis);
    *out = (rml_shape){.rank = 0};
    for (int i = 0; i < node->shape[0].rank; i++)
        if (i != axis)
            out->dim[out->rank++] = node->shape[0].dim[i];
        else if (node->attr->arg.keep)
            out->dim[out->rank++] = 1;
    return RML_OK;
}

typedef struct job {
    const rml_op_args *args;
    size_t count, inner; // of the axis, and of the dimensions behind it
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

static void search_row(const job *at, size_t row, int64_t *where)
{
    rml_widen keys;
    uint64_t best = 0;
    *where = 0;
    for (size_t k = 0; k < at->count; k += RML_WIDEN_COUNT) {
        const size_t count = rml_min_size(RML_WIDEN_COUNT, at->count - k);
        read_keys(at, row * at->count + k, count, &keys);
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
    for (size_t k = 1; k < at->count; k++) {
        read_keys(at, first + k * at->inner, count, &keys);
        for (size_t i = 0; i < count; i++)
            if (better(at, keys.u64[i], best.u64[i])) {
                best.u64[i] = keys.u64[i];
                where[i] = (int64_t)k;
            }
    }
}

static void arg_part(void *context, size_t begin, size_t end, int worker)
{
    const job *at = context;
    int64_t *where = at->args->out[0].raw;
    (void)worker;
    for (size_t i = begin, n; i < end; i += n) {
        n = 1;
        if (at->inner == 1) {
            search_row(at, i, &where[i]);
            continue;
        }
        n = rml_min_size(rml_min_size(at->inner - i % at->inner, end - i), RML_WIDEN_COUNT);
        search_slices(at, i / at->inner * at->inner * at->count + i % at->inner, n, &where[i]);
    }
}

static void run_arg(const rml_op_args *args)
{
    const rml_tensor *in = &args->in[0];
    const int axis = args->attr->arg.axis + (args->attr->arg.axis < 0 ? in->rank : 0);
    job at = {args, (size_t)in->dim[axis], 1, rml_wide_of(in->dtype)};
    for (int i = axis + 1; i < in->rank; i++)
        at.inner *= (size_t)in->dim[i];
    const size_t chunk = at.count < CHUNK_ELEMENTS ? CHUNK_ELEMENTS / at.count : 1;
    rml_pool_run(args->pool, rml_tensor_count(&args->out[0]), chunk, arg_part, &at);
}

const rml_op rml_op_arg = {.name = "arg",
                           .inputs = {1, 1},
                           .signature = "*>l",
                           .infer = infer_arg,
                           .algorithms = RML_ONE_WAY("search", run_arg)};
