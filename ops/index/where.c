// Elements of one of two inputs as a condition says; all three are broadcast together.
#include "ops/elementwise/nd_iterator.h"

#include "tensor/size.h"

#include <string.h>

static rml_status infer_where(const rml_op_node *node, rml_shape *out, rml_error *err)
{
    return rml_broadcast_shape(node->shape, node->in_count, out, err);
}

enum { STEP = 512 }; // elements on the stack where an operand is not contiguous

static void where_run(const void *context, float *const *at, const int64_t *stride, size_t count)
{
    const rml_op_args *args = context;
    const size_t bytes = rml_dtype_size(args->out[0].dtype);
    const bool dense = stride[1] == 1 && stride[2] == 1 && stride[3] == 1;
    uint64_t buffer[4][STEP];
    const void *from[4] = {NULL};
    const size_t most = stride[0] == 1 && dense ? count : STEP;
    for (size_t first = 0, step; first < count; first += step) {
        step = rml_min_size(most, count - first);
        for (int v = 1; v < 4; v++)
            if (!from[v] || stride[v]) // one element is repeated once
                from[v] = rml_line_up(at[v], stride[v], first, step, v == 1 ? 1 : bytes, buffer[v]);
        char *out = (char *)at[0] + (int64_t)first * stride[0] * (int64_t)bytes;
        void *dst = stride[0] == 1 ? (void *)out : buffer[0];
        if (stride[1] == 0) // one condition
            memcpy(dst, *(const uint8_t *)from[1] ? from[2] : from[3], step * bytes);
        else
            RML_KERNEL(args->kernels, select)(bytes, from[1], from[2], from[3], dst, step);
        if (stride[0] != 1)
            rml_line_spread(dst, out, stride[0], step, bytes);
    }
}

static void run_where(const rml_op_args *args)
{
    const rml_tensor *views[4] = {&args->out[0], &args->in[0], &args->in[1], &args->in[2]};
    const rml_nd_iterator walk = rml_nd_iterator_make(views, 4);
    rml_nd_iterator_run(&walk, args->pool, where_run, args);
}

const rml_op rml_op_where = {.id = RML_OP_WHERE,
                             .name = "where",
                             .inputs = {3, 3},
                             .signature = "b*1>1",
                             .infer = infer_where,
                             .algorithms = RML_ONE_WAY("elementwise", run_where)};
