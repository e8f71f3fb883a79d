// Tensor views: where elements lie. A view never owns or allocates memory.
#ifndef RML_TENSOR_TENSOR_H
#define RML_TENSOR_TENSOR_H

#include "tensor/status.h"

// `dim` is in logical order (N,C,H,W for images), whatever the order in memory: a channels-last
// image has stride[1] == 1. Strides are in elements. Only plain views are of other types than f32.
typedef struct rml_tensor {
    union {
        float *data; // of RML_F32
        void *raw;   // of any type
    };
    rml_dtype dtype;
    int rank;
    int64_t dim[RML_MAX_RANK];
    int64_t stride[RML_MAX_RANK];
} rml_tensor;

// Order in memory of a value with four dimensions; other ranks are always PLAIN.
typedef enum rml_layout {
    RML_LAYOUT_PLAIN = 0,     // C order of the logical dimensions
    RML_LAYOUT_CHANNELS_LAST, // N,H,W,C in memory, or N,L,C
} rml_layout;

#define RML_SHAPE_TEXT_BYTES 200

bool rml_shape_equal(const rml_shape *a, const rml_shape *b);

// Whether two sizes may be the same: a negative one is not known.
static inline bool rml_dims_agree(int64_t a, int64_t b)
{
    return a == b || a < 0 || b < 0;
}

// Whether two shapes of known rank may be the same.
static inline bool rml_shapes_agree(const rml_shape *a, const rml_shape *b)
{
    bool agree = a->rank == b->rank;
    for (int i = 0; i < a->rank && agree; i++)
        agree = rml_dims_agree(a->dim[i], b->dim[i]);
    return agree;
}

// True when the rank and every dimension are known (not negative).
bool rml_shape_known(const rml_shape *shape);

// Number of elements; false when a dimension is negative, or when the product of those that are not
// 0 (times 8) does not fit: products of any dimensions of a shape that passes can be formed.
bool rml_shape_count(const rml_shape *shape, size_t *count);

// "(2,3,96,96)", with "?" for -1. Returns `text`, which holds RML_SHAPE_TEXT_BYTES.
const char *rml_shape_text(const rml_shape *shape, char *text);

// A view of contiguous f32 memory in the given order.
rml_tensor rml_tensor_make(float *data, const rml_shape *shape, rml_layout layout);

// A plain view of contiguous memory of any type.
rml_tensor rml_tensor_typed(void *data, rml_dtype dtype, const rml_shape *shape);
rml_shape rml_tensor_shape(const rml_tensor *tensor);
size_t rml_tensor_count(const rml_tensor *tensor);

// Bytes of its elements.
static inline size_t rml_tensor_bytes(const rml_tensor *tensor)
{
    return rml_tensor_count(tensor) * rml_dtype_size(tensor->dtype);
}

// Moves the view's first element by `elements` in memory.
void rml_tensor_advance(rml_tensor *tensor, int64_t elements);

// True when elements lie in C order without gaps.
bool rml_tensor_is_plain(const rml_tensor *tensor);

// The address of an element, counted in memory from the view's first.
static inline void *rml_tensor_at(const rml_tensor *tensor, int64_t element)
{
    return (char *)tensor->raw + element * (int64_t)rml_dtype_size(tensor->dtype);
}

// The product of dimensions [first, stop).
static inline size_t rml_tensor_span(const rml_tensor *tensor, int first, int stop)
{
    size_t count = 1;
    for (int i = first; i < stop; i++)
        count *= (size_t)tensor->dim[i];
    return count;
}

#endif
