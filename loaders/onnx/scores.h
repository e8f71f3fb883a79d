// What operators of ai.onnx.ml share that give scores and labels.
#ifndef RML_LOADERS_ONNX_SCORES_H
#define RML_LOADERS_ONNX_SCORES_H

#include "loaders/onnx/handler.h"

// Memory that lives as long as the graph; NULL after an error, which is the graph's.
void *rml_onnx_room(rml_onnx_call *call, size_t count, size_t bytes);

// Numbers in an attribute, as doubles: of a tensor, or of a list of floats, in place of which there
// may be the tensor `doubles`. NULL and 0 without one.
const double *rml_onnx_tensor_numbers(rml_onnx_call *call, const char *name, size_t *count);
const double *rml_onnx_numbers(rml_onnx_call *call, const char *name, const char *doubles,
                               size_t *count);

rml_value_id rml_onnx_add_trees(rml_onnx_call *call, rml_value_id x,
                                const rml_tree_ensemble_attr *attr);

// The numbers of `post_transform`, as TreeEnsemble has them.
typedef enum rml_onnx_post {
    RML_POST_NONE,
    RML_POST_SOFTMAX,
    RML_POST_LOGISTIC,
    RML_POST_SOFTMAX_ZERO, // of those that are not 0
    RML_POST_PROBIT,       // refused
} rml_onnx_post;

// The attribute where it is a word.
rml_onnx_post rml_onnx_post_transform(rml_onnx_call *call);

// Scores [N,C] by it.
rml_value_id rml_onnx_transform(rml_onnx_call *call, rml_value_id scores, int64_t how);

// Labels of classes; those that are strings have no values, and their places in the list stand for
// them.
typedef struct rml_onnx_labels {
    size_t count;
    const int64_t *number; // NULL: strings
} rml_onnx_labels;

rml_onnx_labels rml_onnx_read_labels(rml_onnx_call *call, const char *numbers, const char *strings);

// Labels of classes [N], i64.
rml_value_id rml_onnx_label_of(rml_onnx_call *call, const rml_onnx_labels *labels,
                               rml_value_id classes);

// Of one score [N,1] for the second of two classes: the label is the second where the score is
// above `limit`.
rml_value_id rml_onnx_label_above(rml_onnx_call *call, const rml_onnx_labels *labels,
                                  rml_value_id score, double limit);

// Both scores [N,2] of it: those of the logistic function, or 1 - score (-score where `opposite`)
// and the score.
rml_value_id rml_onnx_both_scores(rml_onnx_call *call, rml_value_id score, rml_onnx_post how,
                                  bool opposite);

// The class with the largest score [N], i64.
rml_value_id rml_onnx_best(rml_onnx_call *call, rml_value_id scores);

#endif
