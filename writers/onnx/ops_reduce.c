// Reductions, and what searches, sorts or sums along an axis.
#include "writers/onnx/emit.h"

#include <string.h>

static bool is_given(const rml_node *node, int index)
{
    return index < node->in_count && node->in[index] != RML_NO_VALUE;
}

// ---- reductions ---------------------------------------------------------------------------------

// Axes are an input since opset 18, those of ReduceSum always; before, they are known.
static bool has_axes_input(int opset, rml_reduce_kind kind)
{
    return opset >= 18 || kind == RML_REDUCE_SUM;
}

static const char *lacks_reduce(const rml_to_onnx_ask *ask)
{
    const rml_reduce_attr *attr = &ask->node->attr.reduce;
    const bool input = has_axes_input(ask->opset, attr->kind), given = is_given(ask->node, 1);
    if (!input && given && !rml_to_onnx_fact(ask->graph, ask->node, 1).data)
        return "its axes are no input before opset 18";
    if (!input && attr->empty_is_no)
        return "no axes are all before opset 18";
    return NULL;
}

static void write_reduce(rml_to_onnx *w, const rml_node *node)
{
    static const char *const names[] = {
        "ReduceSum", "ReduceMean", "ReduceMax",       "ReduceMin",    "ReduceProd",
        "ReduceL1",  "ReduceL2",   "ReduceSumSquare", "ReduceLogSum", "ReduceLogSumExp"};
    const rml_reduce_attr *attr = &node->attr.reduce;
    const rml_fact fact = rml_to_onnx_fact(w->graph, node, 1);
    const bool input = has_axes_input(w->opset, attr->kind);
    int64_t axes[RML_MAX_RANK];
    size_t count = (size_t)attr->axis_count;
    for (int i = 0; i < attr->axis_count; i++)
        axes[i] = attr->axes[i];
    const char *in[2] = {rml_to_onnx_name(w, node->in[0]), ""};
    if (is_given(node, 1) && input) {
        in[1] = rml_to_onnx_name(w, node->in[1]);
        count = 0;
    } else if (fact.data && rml_shape_count(&fact.shape, &count) && count <= RML_MAX_RANK) {
        memcpy(axes, fact.data, count * sizeof *axes);
    }
    if (input && count)
        in[1] = rml_to_onnx_ints(w, node, "axes", axes, count);
    rml_to_onnx_begin(w, names[attr->kind], in, 2);
    if (!input && count)
        rml_to_onnx_int_list(w, "axes", axes, count);
    rml_to_onnx_int(w, "keepdims", attr->keep);
    if (attr->empty_is_no)
        rml_to_onnx_int(w, "noop_with_empty_axes", 1);
    rml_to_onnx_close(w, node);
}

// ---- along an axis ------------------------------------------------------------------------------

static void write_arg(rml_to_onnx *w, const rml_node *node)
{
    const rml_arg_attr *attr = &node->attr.arg;
    rml_to_onnx_open(w, node, attr->smallest ? "ArgMin" : "ArgMax");
    rml_to_onnx_int(w, "axis", attr->axis);
    rml_to_onnx_int(w, "keepdims", attr->keep);
    if (attr->last)
        rml_to_onnx_int(w, "select_last_index", 1);
    rml_to_onnx_close(w, node);
}

static const char *lacks_cumsum(const rml_to_onnx_ask *ask)
{
    return ask->node->attr.cumsum.product ? "there are no products before opset 26" : NULL;
}

static void write_cumsum(rml_to_onnx *w, const rml_node *node)
{
    rml_to_onnx_open(w, node, "CumSum");
    rml_to_onnx_int(w, "exclusive", node->attr.cumsum.exclusive);
    rml_to_onnx_int(w, "reverse", node->attr.cumsum.reverse);
    rml_to_onnx_close(w, node);
}

static const rml_to_onnx_field topk[] = {
    RML_TO(AXIS, "axis", topk.axis), RML_TO(UNLESS, "largest", topk.smallest), {0}};

// ONNX's outputs are as long as there are kinds; ours have room for all elements, and are 0 behind.
static void write_unique(rml_to_onnx *w, const rml_node *node)
{
    const rml_unique_attr *attr = &node->attr.unique;
    const int64_t axis = attr->axis, zero = 0;
    const char *const x = rml_to_onnx_name(w, node->in[0]);
    const char *const *out = w->names.value + node->out;
    const char *found[4] = {rml_to_onnx_part(w, node, "values"), rml_to_onnx_part(w, node, "first"),
                            out[1], rml_to_onnx_part(w, node, "count")};
    rml_to_onnx_begin(w, "Unique", &x, 1);
    if (!attr->flat)
        rml_to_onnx_int(w, "axis", axis);
    rml_to_onnx_int(w, "sorted", attr->sorted);
    rml_to_onnx_end(w, node, found, 4);
    // All elements are as many as have a place.
    const char *in[2] = {rml_to_onnx_make(w, node, "Shape", &found[2], 1, "all"), NULL};
    in[1] = rml_to_onnx_make(w, node, "Shape", &found[1], 1, "kinds");
    const char *ends[2] = {rml_to_onnx_ints(w, node, "none", &zero, 1),
                           rml_to_onnx_make(w, node, "Sub", in, 2, "rest")};
    const char *const pads = rml_to_onnx_part(w, node, "pads");
    rml_to_onnx_begin(w, "Concat", ends, 2);
    rml_to_onnx_int(w, "axis", 0);
    rml_to_onnx_end(w, node, &pads, 1);
    const char *padded[2][2] = {{found[1], pads}, {found[3], pads}};
    for (int k = 0; k < 2; k++) {
        rml_to_onnx_begin(w, "Pad", padded[k], 2);
        rml_to_onnx_end(w, node, &out[2 * k], 1);
    }
}

// ---- softmax ------------------------------------------------------------------------------------

static const char *lacks_softmax(const rml_to_onnx_ask *ask)
{
    return ask->node->attr.softmax.flat ? "it is along one axis" : NULL;
}

static void write_softmax(rml_to_onnx *w, const rml_node *node)
{
    static const char *const names[] = {"Softmax", "LogSoftmax", "Hardmax"};
    rml_to_onnx_open(w, node, names[node->attr.softmax.kind]);
    rml_to_onnx_int(w, "axis", node->attr.softmax.axis);
    rml_to_onnx_close(w, node);
}

// ---- losses -------------------------------------------------------------------------------------

static void write_nll(rml_to_onnx *w, const rml_node *node)
{
    rml_to_onnx_open(w, node, "NegativeLogLikelihoodLoss");
    rml_to_onnx_word(w, "reduction", "none sum mean", (int)node->attr.nll.reduction);
    if (node->attr.nll.ignores)
        rml_to_onnx_int(w, "ignore_index", node->attr.nll.ignored);
    rml_to_onnx_close(w, node);
}

const rml_to_onnx_entry rml_to_onnx_reduce[] = {
    {.op = RML_OP_REDUCE, .lacks = lacks_reduce, .write = write_reduce},
    {.op = RML_OP_ARG, .write = write_arg},
    {.op = RML_OP_CUMSUM, .lacks = lacks_cumsum, .write = write_cumsum},
    {.op = RML_OP_TOPK, .op_type = "TopK", .fields = topk},
    {.op = RML_OP_UNIQUE, .write = write_unique},
    {.op = RML_OP_SOFTMAX, .lacks = lacks_softmax, .write = write_softmax},
    {.op = RML_OP_NLL_LOSS, .write = write_nll},
    {0},
};
