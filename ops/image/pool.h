// Pieces of pooling that lie in files of their own.
#ifndef RML_OPS_IMAGE_POOL_H
#define RML_OPS_IMAGE_POOL_H

#include "ops/conv/window.h"

rml_window rml_pool_window(const rml_op_args *args);

// Generic: any number of dimensions, any type, dilation, indices.
size_t rml_pool_generic_scratch_bytes(const rml_op_args *args);
void rml_pool_generic_run(const rml_op_args *args);

#endif
