// Reductions, and what searches, sorts or sums along an axis. Indices are floats, as all numbers
// are.
#include "loaders/coreml/nn_handler.h"

#include "tensor/tensor.h"

// ---- of the iOS 12 world ------------------------------------------------------------------------

static void import_reduce(rml_nn_call *call)
{
    enum { SUM, AVG, PROD, LOG_SUM, SUM_SQUARE, L1, L2, MAX, MIN, ARG_MAX };
    static const rml_reduce_kind kinds[] = {RML_REDUCE_SUM, RML_REDUCE_MEAN,       RML_REDUCE_PROD,
                                            RML_REDUCE_SUM, RML_REDUCE_SUM_SQUARE, RML_REDUCE_L1,
                                            RML_REDUCE_L2,  RML_REDUCE_MAX,        RML_REDUCE_MIN};
    static const struct {
        int axes[3], count;
    } places[] = {{{-3, -2, -1}, 3}, {{-2, -1}, 2}, {{-3}, 1}, {{-2}, 1}, {{-1}, 1}};
    const int64_t mode = rml_nn_int(call, 1), place = rml_nn_int(call, 3);
    const double epsilon = rml_nn_float(call, 2);
    rml_value_id x = rml_nn_in(call, 0);
    if (mode < SUM || mode > ARG_MAX || place < 0 || place > 4) {
        rml_coreml_refuse(&call->make, "mode %lld over axis %lld is not known", (long long)mode,
                          (long long)place);
        return;
    }
    if (mode == ARG_MAX) {
        const rml_op_attr attr = {.arg = {.axis = places[place].axes[0], .keep = true}};
        if (places[place].count > 1)
            rml_coreml_refuse(&call->make, "the place of the largest over %d dimensions",
                              places[place].count);
        call->out[0] = rml_coreml_cast(
            &call->make, rml_coreml_node(&call->make, RML_OP_ARG, &attr, &x, 1), RML_F32);
        return;
    }
    if (mode == LOG_SUM)
        x = rml_coreml_unary(
            &call->make, RML_UNARY_LOG,
            rml_coreml_binary(
                &call->make, RML_BINARY_ADD, x,
                rml_coreml_number(&call->make, epsilon != 0 ? epsilon : 1e-6, RML_F32)),
            0, 0);
    call->out[0] = rml_coreml_reduce(&call->make, kinds[mode], x, places[place].axes,
                                     places[place].count, true);
}

// ---- later --------------------------------------------------------------------------------------

// A result without dimensions is a vector of one.
static rml_value_id at_least_vector(rml_nn_call *call, rml_value_id x)
{
    return rml_coreml_rank(&call->make, x) == 0 && !call->make.refused
               ? rml_coreml_reshape(&call->make, x, &(rml_shape){1, {1}})
               : x;
}

static void import_reduce_nd(rml_nn_call *call)
{
    int64_t wide[RML_MAX_RANK];
    int axes[RML_MAX_RANK];
    const rml_value_id x = rml_nn_in(call, 0);
    const int rank = rml_coreml_rank(&call->make, x);
    int count = rml_nn_ints(call, 1, wide, RML_MAX_RANK);
    for (int i = 0; i < count; i++)
        axes[i] = rml_coreml_axis_of(&call->make, wide[i], rank);
    if (rml_nn_flag(call, 3))
        count = 0;
    call->out[0] =
        at_least_vector(call, rml_coreml_reduce(&call->make, (rml_reduce_kind)call->option, x, axes,
                                                count, rml_nn_flag(call, 2)));
}

static void import_arg(rml_nn_call *call)
{
    const rml_value_id x = rml_nn_in(call, 0);
    const int rank = rml_coreml_rank(&call->make, x);
    const rml_op_attr attr = {
        .arg = {.axis = rml_coreml_axis_of(&call->make, rml_nn_int(call, 1), rank),
                .smallest = call->option != 0,
                .keep = rank == 1 || !rml_nn_flag(call, 2)}};
    call->out[0] = rml_coreml_cast(&call->make,
                                   rml_coreml_node(&call->make, RML_OP_ARG, &attr, &x, 1), RML_F32);
}

// How many: a second input, or as the layer says, or all.
static rml_value_id how_many(rml_nn_call *call, rml_value_id x, int axis, int64_t given)
{
    if (call->layer->input_count > 1)
        return rml_coreml_reshape(&call->make, rml_nn_indices(call, call->in[1]),
                                  &(rml_shape){1, {1}});
    if (given >= 0)
        return rml_coreml_ints(&call->make, &given, 1);
    const rml_value_id sizes = rml_coreml_node(&call->make, RML_OP_SHAPE, NULL, &x, 1);
    return call->make.refused
               ? RML_NO_VALUE
               : rml_graph_slice(call->make.graph, sizes, 0, axis, axis + 1, 1, call->make.name);
}

// The elements and where they were; or, of an argSort, where all of them were.
static void import_topk(rml_nn_call *call)
{
    const bool sorts = call->option != 0;
    const rml_value_id x = rml_nn_in(call, 0);
    const int axis =
        rml_coreml_axis_of(&call->make, rml_nn_int(call, 1), rml_coreml_rank(&call->make, x));
    const rml_op_attr attr = {
        .topk = {.axis = axis, .smallest = sorts ? !rml_nn_flag(call, 2) : rml_nn_flag(call, 3)}};
    const rml_value_id in[] = {x, how_many(call, x, axis, sorts ? -1 : rml_nn_int(call, 2))};
    const rml_value_id first = rml_coreml_node(&call->make, RML_OP_TOPK, &attr, in, 2);
    if (first == RML_NO_VALUE)
        return;
    const rml_value_id places = rml_coreml_cast(&call->make, first + 1, RML_F32);
    call->out[0] = sorts ? places : first;
    if (!sorts && call->layer->output_count > 1)
        call->out[1] = places;
}

static void import_cumsum(rml_nn_call *call)
{
    const int64_t axis = rml_nn_int(call, 1);
    const rml_value_id in[] = {
        rml_nn_in(call, 0), call->layer->input_count > 1
                                ? rml_coreml_reshape(&call->make, rml_nn_indices(call, call->in[1]),
                                                     &(rml_shape){1, {1}})
                                : rml_coreml_ints(&call->make, &axis, 1)};
    const rml_op_attr attr = {
        .cumsum = {.exclusive = rml_nn_flag(call, 2), .reverse = rml_nn_flag(call, 3)}};
    call->out[0] = rml_coreml_node(&call->make, RML_OP_CUMSUM, &attr, in, 2);
}

#define REDUCE(number, name, which)                                                                \
    {                                                                                              \
        number, name, import_reduce_nd, RML_REDUCE_##which                                         \
    }

const rml_nn_entry rml_nn_reductions[] = {
    {280, "reduce", import_reduce, 0},
    REDUCE(1250, "reduceL1", L1),
    REDUCE(1255, "reduceL2", L2),
    REDUCE(1260, "reduceMax", MAX),
    REDUCE(1265, "reduceMin", MIN),
    REDUCE(1270, "reduceSum", SUM),
    REDUCE(1275, "reduceProd", PROD),
    REDUCE(1280, "reduceMean", MEAN),
    REDUCE(1285, "reduceLogSum", LOG_SUM),
    REDUCE(1290, "reduceSumSquare", SUM_SQUARE),
    REDUCE(1295, "reduceLogSumExp", LOG_SUM_EXP),
    {1025, "argMax", import_arg, 0},
    {1020, "argMin", import_arg, 1},
    {1015, "topK", import_topk, 0},
    {1461, "argSort", import_topk, 1},
    {1455, "cumSum", import_cumsum, 0},
    {0},
};
