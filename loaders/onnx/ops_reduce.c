// Reductions, and what searches, sorts or sums along an axis.
#include "loaders/onnx/make.h"

static void import_topk(rml_onnx_call *call)
{
    const rml_topk_attr attr = {.axis = rml_onnx_axis(call, "axis", -1),
                                .smallest = rml_onnx_int(call, "largest", 1) == 0};
    rml_onnx_ignore(call, "sorted"); // any order will do otherwise, so also the sorted one
    rml_value_id in[2] = {rml_onnx_in(call, 0), rml_onnx_in(call, 1)};
    if (call->opset < 10) {
        const int64_t k = rml_onnx_int(call, "k", 1);
        in[1] = rml_onnx_ints_value(call, &k, 1);
    }
    rml_onnx_emit(call, RML_OP_TOPK, &(rml_op_attr){.topk = attr}, in, 2);
}

// The operator leaves room for as many kinds as there are elements; what has a count of 0 is cut
// off behind it.
static void import_unique(rml_onnx_call *call)
{
    const bool flat = !rml_onnx_has(call, "axis");
    const rml_unique_attr attr = {.axis = rml_onnx_axis(call, "axis", 0),
                                  .flat = flat,
                                  .sorted = rml_onnx_int(call, "sorted", 1) != 0};
    rml_graph *graph = call->graph;
    rml_value_id x = rml_onnx_in(call, 0);
    const rml_value_id found =
        rml_graph_node(graph, RML_OP_UNIQUE, &(rml_op_attr){.unique = attr}, &x, 1, call->name);
    if (found == RML_NO_VALUE)
        return;
    const rml_value_id place = found + 1, count = found + 2;
    const rml_value_id some = rml_onnx_cast(call, count, RML_BOOL);
    rml_value_id cut[2];
    for (int k = 0; k < 2; k++) {
        const rml_value_id in[2] = {k ? count : found, some};
        cut[k] = rml_graph_node(graph, RML_OP_COMPRESS, &(rml_op_attr){.compress = {.flat = true}},
                                in, 2, call->name);
    }
    if (flat)
        x = rml_graph_reshape(graph, x, &(rml_shape){1, {-1}}, call->name);
    const rml_value_id in[2] = {x, cut[0]};
    const rml_op_attr along = {.axis = {.axis = flat ? 0 : attr.axis}};
    const rml_value_id all[4] = {rml_graph_node(graph, RML_OP_GATHER, &along, in, 2, call->name),
                                 cut[0], place, cut[1]};
    for (int k = 0; k < call->out_count && k < 4; k++)
        call->out[k] = all[k];
}

// ---- softmax ------------------------------------------------------------------------------------

static rml_value_id softmax(rml_onnx_call *call, const rml_softmax_attr *attr)
{
    return rml_onnx_make(call, RML_OP_SOFTMAX, &(rml_op_attr){.softmax = *attr}, call->in, 1);
}

// Before opset 13 all dimensions from the axis on were one.
static void import_softmax(rml_onnx_call *call)
{
    const bool flat = call->opset < 13;
    const rml_softmax_attr attr = {.kind = (rml_softmax_kind)rml_onnx_option(call),
                                   .axis = rml_onnx_axis(call, "axis", flat ? 1 : -1),
                                   .flat = flat};
    call->out[0] = softmax(call, &attr);
}

// ---- losses -------------------------------------------------------------------------------------

static rml_value_id loss(rml_onnx_call *call, rml_value_id x)
{
    const rml_value_id in[3] = {x, rml_onnx_in(call, 1), rml_onnx_in(call, 2)};
    const rml_nll_attr attr = {
        .ignores = rml_onnx_has(call, "ignore_index"),
        .ignored = rml_onnx_int(call, "ignore_index", 0),
        .reduction = (rml_nll_reduction)rml_onnx_word(call, "reduction", "none sum mean", 2)};
    return rml_onnx_make(call, RML_OP_NLL_LOSS, &(rml_op_attr){.nll = attr}, in, 3);
}

static void import_nll(rml_onnx_call *call)
{
    call->out[0] = loss(call, rml_onnx_in(call, 0));
}

static void import_cross_entropy(rml_onnx_call *call)
{
    const rml_softmax_attr attr = {.kind = RML_SOFTMAX_LOG, .axis = 1};
    const rml_value_id logs = softmax(call, &attr);
    call->out[0] = loss(call, logs);
    if (call->out_count > 1)
        call->out[1] = logs;
}

// Axes are an input since opset 18, those of ReduceSum since 13.
static const rml_onnx_field reduce[] = {
    RML_FIELD(OPTION, NULL, reduce.kind, .absent = 0),
    RML_FIELD(FLAG, "keepdims", reduce.keep, .absent = 1),
    RML_FIELD(FLAG, "noop_with_empty_axes", reduce.empty_is_no, .absent = 0),
    {.kind = RML_FIELD_LIST, .name = "axes", .input = 1},
    {0}};
static const rml_onnx_field arg[] = {RML_FIELD(OPTION_FLAG, NULL, arg.smallest, .absent = 0),
                                     RML_FIELD(AXIS, "axis", arg.axis, .absent = 0),
                                     RML_FIELD(FLAG, "keepdims", arg.keep, .absent = 1),
                                     RML_FIELD(FLAG, "select_last_index", arg.last, .absent = 0),
                                     {0}};
static const rml_onnx_field cumsum[] = {RML_FIELD(OPTION_FLAG, NULL, cumsum.product, .absent = 0),
                                        RML_FIELD(FLAG, "exclusive", cumsum.exclusive, .absent = 0),
                                        RML_FIELD(FLAG, "reverse", cumsum.reverse, .absent = 0),
                                        {0}};

#define REDUCE(title, which)                                                                       \
    {                                                                                              \
        .op_type = title, .op = RML_OP_REDUCE, .fields = reduce, .option = RML_REDUCE_##which      \
    }

const rml_onnx_entry rml_onnx_reduce[] = {
    REDUCE("ReduceSum", SUM),
    REDUCE("ReduceMean", MEAN),
    REDUCE("ReduceMax", MAX),
    REDUCE("ReduceMin", MIN),
    REDUCE("ReduceProd", PROD),
    REDUCE("ReduceL1", L1),
    REDUCE("ReduceL2", L2),
    REDUCE("ReduceSumSquare", SUM_SQUARE),
    REDUCE("ReduceLogSum", LOG_SUM),
    REDUCE("ReduceLogSumExp", LOG_SUM_EXP),
    {.op_type = "ArgMax", .op = RML_OP_ARG, .fields = arg},
    {.op_type = "ArgMin", .op = RML_OP_ARG, .fields = arg, .option = 1},
    {.op_type = "CumSum", .op = RML_OP_CUMSUM, .fields = cumsum},
    {.op_type = "CumProd", .op = RML_OP_CUMSUM, .fields = cumsum, .option = 1},
    {.op_type = "TopK", .import = import_topk},
    {.op_type = "Unique", .import = import_unique},
    {.op_type = "Softmax", .import = import_softmax, .option = RML_SOFTMAX},
    {.op_type = "LogSoftmax", .import = import_softmax, .option = RML_SOFTMAX_LOG},
    {.op_type = "Hardmax", .import = import_softmax, .option = RML_SOFTMAX_HARD},
    {.op_type = "NegativeLogLikelihoodLoss", .import = import_nll},
    {.op_type = "SoftmaxCrossEntropyLoss", .import = import_cross_entropy},
    {.op_type = NULL},
};
