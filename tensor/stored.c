#include "tensor/stored.h"

#include "tensor/dtype.h"
#include "tensor/size.h"

rml_stored rml_stored_plain(const void *data, rml_dtype dtype, const rml_shape *shape)
{
    rml_stored stored = {.dtype = dtype, .shape = *shape, .data = data};
    int64_t stride = 1;
    for (int i = shape->rank - 1; i >= 0; i--) {
        stored.stride[i] = stride;
        if (!rml_i64_mul(stride, shape->dim[i], &stride)) // then rml_shape_count refuses it
            stride = 0;
    }
    return stored;
}

rml_stored rml_stored_f32(const float *data, const rml_shape *shape)
{
    return rml_stored_plain(data, RML_F32, shape);
}

void rml_stored_turn(rml_stored *stored)
{
    int64_t stride = 1;
    for (int i = 0; i < stored->shape.rank && i < RML_MAX_RANK; i++) {
        stored->stride[i] = stride;
        if (!rml_i64_mul(stride, stored->shape.dim[i], &stride)) // the same
            stride = 0;
    }
}

// Takes `count` elements that lie side by side.
typedef void (*take_fn)(const rml_stored *stored, const void *src, void *dst, size_t count);

static void take_f32(const rml_stored *stored, const void *src, void *dst, size_t count)
{
    if (rml_coding_is_none(&stored->coding))
        rml_dtype_to_f32(stored->dtype, src, dst, count);
    else
        rml_coding_to_f32(&stored->coding, stored->dtype, src, dst, count);
}

static void take_same(const rml_stored *stored, const void *src, void *dst, size_t count)
{
    rml_coding_copy(&stored->coding, stored->dtype, src, dst, count);
}

// `dst` gets elements of dst_bytes each.
static void read_slice(const rml_stored *stored, int axis, int64_t first, int64_t count,
                       take_fn take, char *dst, size_t dst_bytes)
{
    const int rank = stored->shape.rank;
    const size_t element_bytes = rml_dtype_size(stored->dtype);
    if (rank == 0) {
        take(stored, stored->data, dst, 1);
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
        take(stored, base + (size_t)offset * element_bytes, dst, (size_t)run);
        dst += (size_t)run * dst_bytes;
        int i = outer - 1;
        while (i >= 0 && ++index[i] == dim[i])
            index[i--] = 0;
        if (i < 0)
            return;
    }
}

void rml_stored_read(const rml_stored *stored, int axis, int64_t first, int64_t count, float *dst)
{
    read_slice(stored, axis, first, count, take_f32, (char *)dst, sizeof *dst);
}

void rml_stored_copy(const rml_stored *stored, void *dst)
{
    read_slice(stored, 0, 0, stored->shape.rank ? stored->shape.dim[0] : 1, take_same, dst,
               rml_dtype_size(stored->dtype));
}

void rml_stored_read_all(const rml_stored *stored, float *dst)
{
    rml_stored_read(stored, 0, 0, stored->shape.rank ? stored->shape.dim[0] : 1, dst);
}
