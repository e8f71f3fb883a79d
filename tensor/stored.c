#include "tensor/stored.h"

#include "tensor/dtype.h"

#include <string.h>

rml_stored rml_stored_f32(const float *data, const rml_shape *shape)
{
    rml_stored stored = {.dtype = RML_F32, .shape = *shape, .data = (const uint8_t *)data};
    int64_t stride = 1;
    for (int i = shape->rank - 1; i >= 0; i--) {
        stored.stride[i] = stride;
        stride *= shape->dim[i];
    }
    return stored;
}

void rml_stored_read(const rml_stored *stored, int axis, int64_t first, int64_t count, float *dst)
{
    const int rank = stored->shape.rank;
    const size_t element_bytes = rml_dtype_size(stored->dtype);
    if (rank == 0) {
        *dst = rml_dtype_load_f32(stored->dtype, stored->data);
        return;
    }
    int64_t dim[RML_MAX_RANK], index[RML_MAX_RANK] = {0};
    for (int i = 0; i < rank; i++) {
        dim[i] = i == axis ? count : stored->shape.dim[i];
        if (dim[i] == 0)
            return;
    }
    const uint8_t *base = stored->data + (size_t)(first * stored->stride[axis]) * element_bytes;

    // Inner dimensions that lie side by side are converted in one go.
    int64_t run = 1;
    int outer = rank;
    while (outer > 0 && (dim[outer - 1] == 1 || stored->stride[outer - 1] == run)) {
        run *= dim[outer - 1];
        outer--;
    }
    for (;;) {
        int64_t offset = 0;
        for (int i = 0; i < outer; i++)
            offset += index[i] * stored->stride[i];
        rml_dtype_to_f32(stored->dtype, base + (size_t)offset * element_bytes, dst, (size_t)run);
        dst += run;
        int i = outer - 1;
        while (i >= 0 && ++index[i] == dim[i])
            index[i--] = 0;
        if (i < 0)
            return;
    }
}

void rml_stored_read_all(const rml_stored *stored, float *dst)
{
    rml_stored_read(stored, 0, 0, stored->shape.rank ? stored->shape.dim[0] : 1, dst);
}
