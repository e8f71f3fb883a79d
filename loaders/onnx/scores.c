// Scores and labels of classic learners.
#include "loaders/onnx/scores.h"
#include "loaders/onnx/make.h"

#include "tensor/dtype.h"

#include <math.h>

void *rml_onnx_room(rml_onnx_call *call, size_t count, size_t bytes)
{
    void *memory = rml_arena_alloc(&call->graph->arena, count ? count : 1, bytes);
    if (!memory)
        rml_graph_fail(call->graph, RML_ERR_NOMEM, "out of memory for the lists of a node");
    return memory;
}

const double *rml_onnx_tensor_numbers(rml_onnx_call *call, const char *name, size_t *count)
{
    const rml_onnx_tensor *tensor = rml_onnx_tensor_of(call, name);
    *count = 0;
    if (!tensor)
        return NULL;
    if (!rml_shape_count(&tensor->stored.shape, count)) {
        rml_onnx_refuse(call, "%s is no list of numbers", name);
        return NULL;
    }
    void *stored = rml_onnx_room(call, *count, sizeof(double));
    double *wide = rml_onnx_room(call, *count, sizeof *wide);
    if (!stored || !wide)
        return NULL;
    rml_stored_copy(&tensor->stored, stored);
    rml_dtype_convert(tensor->stored.dtype, stored, RML_F64, wide, *count);
    return wide;
}

const double *rml_onnx_numbers(rml_onnx_call *call, const char *name, const char *doubles,
                               size_t *count)
{
    const float *given = rml_onnx_floats(call, name, count);
    if (!given)
        return rml_onnx_tensor_numbers(call, doubles, count);
    double *wide = rml_onnx_room(call, *count, sizeof *wide);
    if (wide)
        rml_dtype_convert(RML_F32, given, RML_F64, wide, *count);
    return wide;
}

rml_value_id rml_onnx_add_trees(rml_onnx_call *call, rml_value_id x,
                                const rml_tree_ensemble_attr *attr)
{
    return rml_onnx_make(call, RML_OP_TREE_ENSEMBLE, &(rml_op_attr){.tree_ensemble = *attr}, &x, 1);
}

// ---- transforms ---------------------------------------------------------------------------------

rml_onnx_post rml_onnx_post_transform(rml_onnx_call *call)
{
    return (rml_onnx_post)rml_onnx_word(call, "post_transform",
                                        "NONE SOFTMAX LOGISTIC SOFTMAX_ZERO PROBIT", RML_POST_NONE);
}

static rml_value_id logistic(rml_onnx_call *call, rml_value_id x)
{
    return rml_graph_unary(call->graph, x, (rml_activation){.kind = RML_UNARY_SIGMOID}, call->name);
}

rml_value_id rml_onnx_transform(rml_onnx_call *call, rml_value_id scores, int64_t how)
{
    const rml_activation absolute = {.kind = RML_UNARY_ABS};
    switch (how) {
    case RML_POST_NONE:
        return scores;
    case RML_POST_SOFTMAX:
        return rml_graph_softmax(call->graph, scores, -1, call->name);
    case RML_POST_LOGISTIC:
        return logistic(call, scores);
    case RML_POST_SOFTMAX_ZERO: {
        const rml_value_id there = rml_onnx_binary(
            call, RML_BINARY_GREATER, rml_graph_unary(call->graph, scores, absolute, call->name),
            rml_onnx_number_like(call, scores, 1e-7));
        const rml_value_id some = rml_onnx_choose(
            call, there, scores, rml_onnx_number_like(call, scores, -(double)INFINITY));
        return rml_onnx_choose(call, there, rml_graph_softmax(call->graph, some, -1, call->name),
                               rml_onnx_number_like(call, scores, 0));
    }
    default:
        rml_onnx_refuse(call, "post_transform PROBIT, or %lld, is not supported", (long long)how);
        return scores;
    }
}

rml_value_id rml_onnx_both_scores(rml_onnx_call *call, rml_value_id score, rml_onnx_post how,
                                  bool opposite)
{
    const rml_value_id first = rml_onnx_binary(
        call, RML_BINARY_SUB,
        rml_onnx_number_like(call, score, opposite || how == RML_POST_LOGISTIC ? 0 : 1), score);
    const rml_value_id both[] = {first, score};
    if (how == RML_POST_PROBIT)
        rml_onnx_refuse(call, "post_transform PROBIT is not supported");
    const rml_value_id scores = rml_graph_concat(call->graph, both, 2, 1, call->name);
    return how == RML_POST_LOGISTIC ? logistic(call, scores) : scores;
}

// ---- labels -------------------------------------------------------------------------------------

rml_onnx_labels rml_onnx_read_labels(rml_onnx_call *call, const char *numbers, const char *strings)
{
    size_t texts;
    rml_onnx_labels labels;
    labels.number = rml_onnx_ints(call, numbers, &labels.count);
    rml_onnx_texts(call, strings, &texts);
    if (texts > 0 && labels.count > 0)
        rml_onnx_refuse(call, "it has labels that are numbers and labels that are strings");
    if (texts > 0)
        labels = (rml_onnx_labels){.count = texts};
    return labels;
}

rml_value_id rml_onnx_label_of(rml_onnx_call *call, const rml_onnx_labels *labels,
                               rml_value_id classes)
{
    if (!labels->number)
        return classes;
    return rml_onnx_rows(call, rml_onnx_ints_value(call, labels->number, labels->count), classes);
}

rml_value_id rml_onnx_label_above(rml_onnx_call *call, const rml_onnx_labels *labels,
                                  rml_value_id score, double limit)
{
    const rml_value_id flat =
        rml_graph_reshape(call->graph, score, &(rml_shape){1, {-1}}, call->name);
    const rml_value_id above =
        rml_onnx_binary(call, RML_BINARY_GREATER, flat, rml_onnx_number_like(call, score, limit));
    return rml_onnx_label_of(call, labels, rml_onnx_cast(call, above, RML_I64));
}

rml_value_id rml_onnx_best(rml_onnx_call *call, rml_value_id scores)
{
    return rml_onnx_make(call, RML_OP_ARG, &(rml_op_attr){.arg = {.axis = 1}}, &scores, 1);
}
