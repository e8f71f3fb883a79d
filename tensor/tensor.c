#include "tensor/tensor.h"

#include "tensor/format.h"
#include "tensor/size.h"

#include <string.h>

bool rml_shape_equal(const rml_shape *a, const rml_shape *b)
{
    if (a->rank != b->rank)
        return false;
    for (int i = 0; i < a->rank; i++)
        if (a->dim[i] != b->dim[i])
            return false;
    return true;
}

bool rml_shape_known(const rml_shape *shape)
{
    if (shape->rank < 0)
        return false;
    for (int i = 0; i < shape->rank; i++)
        if (shape->dim[i] < 0)
            return false;
    return true;
}

bool rml_shape_count(const rml_shape *shape, size_t *count)
{
    int64_t product = 1;
    bool empty = false;
    for (int i = 0; i < shape->rank; i++) {
        empty = empty || shape->dim[i] == 0;
        if (!rml_i64_mul(product, shape->dim[i] ? shape->dim[i] : 1, &product))
            return false;
    }
    if ((uint64_t)product > SIZE_MAX / 8 || product > INT64_MAX / 8)
        return false;
    *count = empty ? 0 : (size_t)product;
    return true;
}

const char *rml_shape_text(const rml_shape *shape, char *text)
{
    size_t at = 0;
    text[at++] = '(';
    for (int i = 0; i < shape->rank; i++) {
        const char *comma = i ? "," : "";
        int wrote = shape->dim[i] < 0
                        ? rml_format(text + at, RML_SHAPE_TEXT_BYTES - at, "%s?", comma)
                        : rml_format(text + at, RML_SHAPE_TEXT_BYTES - at, "%s%lld", comma,
                                     (long long)shape->dim[i]);
        at += (size_t)wrote; // 8 dimensions of at most 21 characters always fit
    }
    text[at++] = ')';
    text[at] = 0;
    return text;
}

rml_tensor rml_tensor_make(float *data, const rml_shape *shape, rml_layout layout)
{
    rml_tensor tensor = {.data = data, .rank = shape->rank};
    memcpy(tensor.dim, shape->dim, sizeof tensor.dim);
    static const int plain[RML_MAX_RANK] = {0, 1, 2, 3, 4, 5, 6, 7};
    static const int channels_last[2][4] = {{0, 2, 1}, {0, 2, 3, 1}};
    const bool images =
        layout == RML_LAYOUT_CHANNELS_LAST && (shape->rank == 3 || shape->rank == 4);
    const int *order = images ? channels_last[shape->rank - 3] : plain;
    uint64_t stride = 1; // beside a dimension of 0 the others may be of any size
    for (int i = shape->rank - 1; i >= 0; i--) {
        tensor.stride[order[i]] = (int64_t)stride;
        stride *= (uint64_t)shape->dim[order[i]];
    }
    return tensor;
}

rml_tensor rml_tensor_typed(void *data, rml_dtype dtype, const rml_shape *shape)
{
    rml_tensor tensor = rml_tensor_make(data, shape, RML_LAYOUT_PLAIN);
    tensor.dtype = dtype;
    return tensor;
}

rml_shape rml_tensor_shape(const rml_tensor *tensor)
{
    rml_shape shape = {.rank = tensor->rank};
    memcpy(shape.dim, tensor->dim, sizeof shape.dim);
    return shape;
}

size_t rml_tensor_count(const rml_tensor *tensor)
{
    size_t count = 1;
    for (int i = 0; i < tensor->rank; i++)
        count *= (size_t)tensor->dim[i];
    return count;
}

void rml_tensor_advance(rml_tensor *tensor, int64_t elements)
{
    tensor->raw = (char *)tensor->raw + elements * (int64_t)rml_dtype_size(tensor->dtype);
}

bool rml_tensor_is_plain(const rml_tensor *tensor)
{
    uint64_t stride = 1;
    for (int i = tensor->rank - 1; i >= 0; i--) {
        if (tensor->dim[i] != 1 && tensor->stride[i] != (int64_t)stride)
            return false;
        stride *= (uint64_t)tensor->dim[i];
    }
    return true;
}
