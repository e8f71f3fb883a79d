// Pieces that several networks are made of. A prefix is the state-dict path of a layer.
#ifndef RML_MODELS_BLOCKS_H
#define RML_MODELS_BLOCKS_H

#include "models/params.h"

#define RML_KEY_BYTES 160

// A name made of parts, cut where it is too long: then it is nobody's.
void rml_key(char key[RML_KEY_BYTES], const char *format, ...) RML_PRINTF(2, 3);

// Size of a dimension; of the channels (dimension 1) of an image; of the last dimension.
int64_t rml_dim(rml_params *params, rml_value_id x, int axis);
int64_t rml_channels(rml_params *params, rml_value_id x);
int64_t rml_width(rml_params *params, rml_value_id x);

// "<prefix>.<name>", as rml_params_get; "<prefix>.<name>" [count].
rml_value_id rml_parameter(rml_params *params, const char *prefix, const char *name,
                           const rml_shape *shape, unsigned free, rml_init init);
rml_value_id rml_vector(rml_params *params, const char *prefix, const char *name, int64_t count,
                        rml_init init);

// Convolution with bias: "<prefix>.weight" [out, C, Kh, Kw] and "<prefix>.bias". `out` is the
// published number of output channels, or with `out_fixed` the only one allowed.
rml_value_id rml_conv(rml_params *params, rml_value_id x, const char *prefix,
                      const rml_conv_attr *attr, int64_t out, bool out_fixed);

// The same without bias, by `op`: rml_op_conv or rml_op_conv_alone.
rml_value_id rml_conv_no_bias(rml_params *params, const rml_op *op, rml_value_id x,
                              const char *prefix, const rml_conv_attr *attr, int64_t out,
                              bool out_fixed);

// The same for a transposed convolution, weight [C, out, Kh, Kw].
rml_value_id rml_conv_transpose(rml_params *params, rml_value_id x, const char *prefix,
                                const rml_conv_attr *attr, int64_t out);

// Batch norm, eps 1e-5: weight, bias, running_mean, running_var.
rml_value_id rml_batch_norm(rml_params *params, rml_value_id x, const char *prefix);

// Group norm: weight and bias, one number a channel.
rml_value_id rml_group_norm(rml_params *params, rml_value_id x, const char *prefix, int64_t groups,
                            float eps);
// The same of x + offset, [N or 1,C] (RML_NO_VALUE: nothing).
rml_value_id rml_group_norm_offset(rml_params *params, rml_value_id x, const char *prefix,
                                   rml_value_id offset, int64_t groups, float eps);

// Fully connected along the last dimension: weight [out, C] and, with `bias`, bias [out].
rml_value_id rml_linear(rml_params *params, rml_value_id x, const char *prefix, int64_t out,
                        bool out_fixed, bool bias);

rml_value_id rml_relu(rml_params *params, rml_value_id x, const char *prefix);

#endif
