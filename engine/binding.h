// The caller's memory of an input or output, and copies between it and the session's.
#ifndef RML_ENGINE_BINDING_H
#define RML_ENGINE_BINDING_H

#include "tensor/tensor.h"
#include "tensor/threads.h"

typedef struct rml_binding {
    rml_tensor_view view;
    bool direct;     // the plan uses it as it is; otherwise it is copied by every run
    float factors[]; // the scale of each channel, then the bias of each
} rml_binding;

// Bytes of a view of a port of this shape, from its first element to the end of its last; SIZE_MAX
// where no memory has as many.
size_t rml_view_bytes(const rml_tensor_view *view, const rml_shape *shape);

// Whether a plan can use the caller's memory as it is.
bool rml_binding_is_direct(const rml_binding *bound, rml_dtype dtype, const rml_shape *shape);

// Copies `inside`, of which rows follow each other without gaps, to the view (`store`) or from it.
// The port has shape `shape`; `inside` begins there at `image` in the first dimension and at `row`
// in the third.
void rml_binding_copy(const rml_binding *bound, const rml_shape *shape, int64_t image, int64_t row,
                      const rml_tensor *inside, bool store, rml_pool *pool);

#endif
