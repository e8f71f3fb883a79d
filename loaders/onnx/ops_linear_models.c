// Linear models of ai.onnx.ml.
#include "loaders/onnx/make.h"
#include "loaders/onnx/scores.h"

// x W^T + b, in f32: W [rows,F] and b [rows] in attributes. Without an attribute b there is none.
static rml_value_id linear(rml_onnx_call *call, int64_t rows, size_t *intercepts)
{
    size_t count;
    const float *weight = rml_onnx_floats(call, "coefficients", &count);
    const float *bias = rml_onnx_floats(call, "intercepts", intercepts);
    if (rows < 1 || count == 0 || count % (size_t)rows != 0 ||
        (*intercepts && *intercepts != (size_t)rows)) {
        rml_onnx_refuse(call, "%zu coefficients and %zu intercepts for %lld scores", count,
                        *intercepts, (long long)rows);
        return RML_NO_VALUE;
    }
    const rml_shape shape = {2, {rows, (int64_t)(count / (size_t)rows)}}, row = {1, {rows}};
    rml_value_id x = rml_onnx_cast(call, rml_onnx_in(call, 0), RML_F32);
    if (rml_onnx_fact(call, 0).shape.rank == 1) // one row
        x = rml_graph_reshape(call->graph, x, &(rml_shape){2, {1, -1}}, call->name);
    const rml_value_id w = rml_onnx_constant_of(call, RML_F32, &shape, RML_F32, weight, count);
    const rml_value_id y = rml_graph_matmul(call->graph, x, w, false, true, call->name);
    return *intercepts
               ? rml_onnx_add(call, y,
                              rml_onnx_constant_of(call, RML_F32, &row, RML_F32, bias, *intercepts))
               : y;
}

static void import_regressor(rml_onnx_call *call)
{
    size_t intercepts;
    const int64_t targets = rml_onnx_int(call, "targets", 1);
    const rml_onnx_post how = rml_onnx_post_transform(call);
    const rml_value_id y = linear(call, targets, &intercepts);
    // ONNX Runtime leaves a single number as it is, and files are made to fit that.
    if (!call->refused)
        call->out[0] = targets > 1 ? rml_onnx_transform(call, y, how) : y;
}

static void import_classifier(rml_onnx_call *call)
{
    size_t scores;
    const rml_onnx_post how = rml_onnx_post_transform(call);
    rml_onnx_labels labels = rml_onnx_read_labels(call, "classlabels_ints", "classlabels_strings");
    rml_onnx_floats(call, "intercepts", &scores);
    rml_onnx_ignore(call, "multi_class");
    const rml_value_id y = linear(call, (int64_t)scores, &scores);
    if (labels.count < 2 || (scores != labels.count && !(scores == 1 && labels.count == 2)))
        rml_onnx_refuse(call, "%zu scores for %zu classes", scores, labels.count);
    if (call->refused)
        return;
    if (scores == 1) { // of the second of two
        call->out[0] = rml_onnx_label_above(call, &labels, y, 0);
        call->out[1] = rml_onnx_both_scores(call, y, how, false);
        return;
    }
    call->out[0] = rml_onnx_label_of(call, &labels, rml_onnx_best(call, y));
    call->out[1] = rml_onnx_transform(call, y, how);
}

const rml_onnx_entry rml_onnx_linear_models[] = {
    {.op_type = "ai.onnx.ml.LinearClassifier", .import = import_classifier},
    {.op_type = "ai.onnx.ml.LinearRegressor", .import = import_regressor},
    {.op_type = NULL},
};
