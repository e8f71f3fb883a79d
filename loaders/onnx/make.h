// Builder calls that several families of handlers share.
#ifndef RML_LOADERS_ONNX_MAKE_H
#define RML_LOADERS_ONNX_MAKE_H

#include "loaders/onnx/handler.h"

// A node of these inputs whose outputs are the call's; none where the call is refused already.
void rml_onnx_emit(rml_onnx_call *call, rml_op_id op, const rml_op_attr *attr,
                   const rml_value_id *in, int in_count);
// The same of the call's own first inputs: one node becomes one.
void rml_onnx_translate(rml_onnx_call *call, rml_op_id op, const rml_op_attr *attr, int in_count);

// A node with the call's name, whose first output is given.
rml_value_id rml_onnx_make(rml_onnx_call *call, rml_op_id op, const rml_op_attr *attr,
                           const rml_value_id *in, int in_count);

// Functions without parameters; and of two of one type, broadcast.
rml_value_id rml_onnx_unary(rml_onnx_call *call, rml_unary kind, rml_value_id x);
rml_value_id rml_onnx_binary(rml_onnx_call *call, rml_binary kind, rml_value_id a, rml_value_id b);
rml_value_id rml_onnx_add(rml_onnx_call *call, rml_value_id a, rml_value_id b);
rml_value_id rml_onnx_multiply(rml_onnx_call *call, rml_value_id a, rml_value_id b);

// Elements of `a` where `which` holds, else of `b`.
rml_value_id rml_onnx_choose(rml_onnx_call *call, rml_value_id which, rml_value_id a,
                             rml_value_id b);

// What a table has at these indices of its first dimension.
rml_value_id rml_onnx_rows(rml_onnx_call *call, rml_value_id table, rml_value_id indices);

// A number () of the type of `x`.
rml_value_id rml_onnx_number_like(rml_onnx_call *call, rml_value_id x, double number);

// `x` with a new dimension of size 1 in front of dimension `axis` of its `rank` ones. Sizes need
// not be known.
rml_value_id rml_onnx_insert_dim(rml_onnx_call *call, rml_value_id x, int rank, int axis);

// A dimension that has size `count` as two, of sizes `parts` and count / parts; and two dimensions
// side by side as one, the reverse.
rml_value_id rml_onnx_split_dim(rml_onnx_call *call, rml_value_id x, int rank, int axis,
                                int64_t parts);
rml_value_id rml_onnx_join_dims(rml_onnx_call *call, rml_value_id x, int rank, int axis);

// [B,L,H*D] to [B,H,L,D].
rml_value_id rml_onnx_split_heads(rml_onnx_call *call, rml_value_id x, int64_t heads);

// Keys or values [B,H,L,D], or where `heads` is not 0 [B,L,H*D], behind those of the past
// [B,H,P,D], which may be left out: [B,H,P+L,D]. With no past they stay as they are unless that is
// `wanted`.
rml_value_id rml_onnx_with_past(rml_onnx_call *call, rml_value_id x, int64_t heads,
                                rml_value_id past, bool wanted);

// Images of `rank` dimensions: their channels, dimension 1, become the last one, or come from
// there.
rml_value_id rml_onnx_channels_to_end(rml_onnx_call *call, rml_value_id x, int rank);
rml_value_id rml_onnx_channels_from_end(rml_onnx_call *call, rml_value_id x, int rank);

#endif
