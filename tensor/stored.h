// A tensor as a file stores it: any element type, strided, at any alignment.
#ifndef RML_TENSOR_STORED_H
#define RML_TENSOR_STORED_H

#include "tensor/coding.h"
#include "tensor/tensor.h"

// Every element lies inside memory that the owner keeps; strides are in elements and never
// negative.
typedef struct rml_stored {
    rml_dtype dtype;
    rml_shape shape;
    int64_t stride[RML_MAX_RANK];
    const uint8_t *data;
    rml_coding coding; // what reading as f32 takes off
} rml_stored;

// A view of plain memory.
rml_stored rml_stored_plain(const void *data, rml_dtype dtype, const rml_shape *shape);
rml_stored rml_stored_f32(const float *data, const rml_shape *shape);

// Makes a plain one of the other order, where the first index runs fastest (Fortran's).
void rml_stored_turn(rml_stored *stored);

// Converts the slice [first, first + count) of dimension `axis` to f32, in C order, at `dst`. A
// tensor of rank 0 has one element and is read with axis 0, first 0, count 1.
void rml_stored_read(const rml_stored *stored, int axis, int64_t first, int64_t count, float *dst);

// The whole tensor, converted to f32.
void rml_stored_read_all(const rml_stored *stored, float *dst);

// The whole tensor in C order, in the type it is stored in; what is coded stays so.
void rml_stored_copy(const rml_stored *stored, void *dst);

#endif
