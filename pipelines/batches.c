#include "pipelines/batches.h"

#include "tensor/status.h"

#include <math.h>

int rml_fixed_batch(const rml_model *model, int most)
{
    int64_t fixed = 0;
    for (size_t i = 0; i < rml_model_input_count(model); i++) {
        const rml_shape shape = rml_model_input(model, i).shape;
        if (shape.rank == 4 && shape.dim[0] > fixed && shape.dim[0] <= most)
            fixed = shape.dim[0];
    }
    return (int)fixed;
}

rml_status rml_check_finite(const float *values, size_t count, rml_error *err)
{
    for (size_t i = 0; i < count; i++)
        if (!isfinite(values[i]))
            return rml_fail(
                err, RML_ERR_FORMAT,
                "the network gives numbers that are not finite: its weights are damaged");
    return RML_OK;
}
