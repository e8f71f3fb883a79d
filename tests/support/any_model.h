// Models whose inputs a test does not know, such as those of files.
#ifndef RML_TESTS_SUPPORT_ANY_MODEL_H
#define RML_TESTS_SUPPORT_ANY_MODEL_H

#include "tensor/tensor.h"

// Sizes that may change become 2, and of a shape that is not known there are two.
static inline rml_shape any_model_shape(rml_shape shape)
{
    if (shape.rank < 0)
        return (rml_shape){2, {2, 3}};
    for (int k = 0; k < shape.rank; k++)
        if (shape.dim[k] < 0)
            shape.dim[k] = 2;
    return shape;
}

// Fills every input of a prepared session with ones, and those of a single i64, which may be how
// often a loop turns, with `turns`.
static inline void any_model_fill(rml_session *session, const rml_model *model, int64_t turns)
{
    for (size_t i = 0; i < rml_model_input_count(model); i++) {
        const rml_port port = rml_model_input(model, i);
        rml_shape shape = {0};
        size_t count = 0;
        char *data = rml_session_input(session, port.name, &shape);
        rml_shape_count(&shape, &count);
        const int64_t value = shape.rank == 0 && port.dtype == RML_I64 ? turns : 1;
        for (size_t k = 0; data && k < count; k++)
            rml_dtype_convert(RML_I64, &value, port.dtype, data + k * rml_dtype_size(port.dtype),
                              1);
    }
}

#endif
