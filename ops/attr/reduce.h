// Attributes of reductions and of what sorts or searches along an axis: ops/reduce/reduce.c,
// ops/reduce/arg.c, ops/reduce/cumsum.c, ops/reduce/topk.c, ops/norm/softmax.c.
#ifndef RML_OPS_ATTR_REDUCE_H
#define RML_OPS_ATTR_REDUCE_H

#include "tensor/tensor.h"

typedef enum rml_reduce_kind {
    RML_REDUCE_SUM,
    RML_REDUCE_MEAN,
    RML_REDUCE_MAX,
    RML_REDUCE_MIN,
    RML_REDUCE_PROD,
    RML_REDUCE_L1,         // sum of |x|
    RML_REDUCE_L2,         // root of the sum of x^2
    RML_REDUCE_SUM_SQUARE, // sum of x^2
    RML_REDUCE_LOG_SUM,    // logarithm of the sum
    RML_REDUCE_LOG_SUM_EXP // logarithm of the sum of e^x
} rml_reduce_kind;

// Negative axes count from the end. A second input (n) of i64 takes the place of `axes`.
typedef struct rml_reduce_attr {
    rml_reduce_kind kind;
    int axis_count;
    int axes[RML_MAX_RANK];
    bool keep;        // the dimensions stay, with size 1
    bool empty_is_no; // no axes are none, instead of all
} rml_reduce_attr;

typedef struct rml_arg_attr {
    int axis; // negative counts from the end
    bool smallest;
    bool keep; // the dimension stays, with size 1
    bool last; // of equal elements the last one, instead of the first
} rml_arg_attr;

// The axis is the second input, one i32 or i64.
typedef struct rml_cumsum_attr {
    bool product;   // instead of the sum
    bool exclusive; // an element is not in its own sum
    bool reverse;   // from the end
} rml_cumsum_attr;

// How many is the second input, one i64. Outputs: the elements and where they were.
typedef struct rml_topk_attr {
    int axis;
    bool smallest;
} rml_topk_attr;

// Outputs, see ops/reduce/unique.c. `axis` is ignored where `flat` is set.
typedef struct rml_unique_attr {
    int axis;
    bool flat;   // all elements, instead of slices along the axis
    bool sorted; // instead of in the order in which they first appear
} rml_unique_attr;

typedef enum rml_softmax_kind { RML_SOFTMAX, RML_SOFTMAX_LOG, RML_SOFTMAX_HARD } rml_softmax_kind;

typedef struct rml_softmax_attr {
    int axis; // negative counts from the end
    rml_softmax_kind kind;
    bool flat; // over all dimensions from the axis on
} rml_softmax_attr;

#endif
