// Elements of one of two inputs as a condition says; all three are broadcast together.
#include "ops/elementwise/nd_iterator.h"

static rml_status infer_where(const rml_op_node *node, rml_shape *out, rml_error *err)
{
    return rml_broadcast_shape(node->shape, node->in_count, out, err);
}

#define CHOOSE(type)                                                                               \
    for (int64_t k = 0; k < (int64_t)count; k++)                                                   \
    ((type *)(void *)at[0])[k * stride[0]] =                                                       \
        condition[k * stride[1]] ? ((const type *)(const void *)at[2])[k * stride[2]]              \
                                 : ((const type *)(const void *)at[3])[k * stride[3]]

static void where_run(const void *context, float *const *at, const int64_t *stride, size_t count)
{
    const uint8_t *condition = (const uint8_t *)(const void *)at[1];
    RML_BY_SIZE(*(const size_t *)context, CHOOSE);
}

static void run_where(const rml_op_args *args)
{
    const rml_tensor *views[4] = {&args->out[0], &args->in[0], &args->in[1], &args->in[2]};
    const rml_nd_iterator walk = rml_nd_iterator_make(views, 4);
    rml_nd_iterator_run(&walk, args->pool, where_run, &walk.bytes[0]);
}

const rml_op rml_op_where = {.name = "where",
                             .inputs = {3, 3},
                             .signature = "b*1>1",
                             .infer = infer_where,
                             .algorithms = RML_ONE_WAY("elementwise", run_where)};
