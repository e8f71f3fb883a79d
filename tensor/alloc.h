// The only way to memory: every object takes the allocator it was created with.
#ifndef RML_TENSOR_ALLOC_H
#define RML_TENSOR_ALLOC_H

#include "tensor/size.h"
#include "tensor/status.h"

// 64-byte aligned, uninitialised; NULL on failure or for bytes == 0. `allocator` is not NULL.
void *rml_alloc(const rml_allocator *allocator, size_t bytes);

// The same for `count` elements, zero filled; NULL when the product does not fit.
void *rml_alloc_zero(const rml_allocator *allocator, size_t count, size_t element_bytes);

// A copy of a zero-terminated string.
char *rml_alloc_text(const rml_allocator *allocator, const char *text);

// Makes room for `need` elements in a growing array: returns the array, moved if it had to grow,
// and updates *capacity; NULL on failure, and the old array stays as it was.
void *rml_grow(const rml_allocator *allocator, void *array, size_t *capacity, size_t need,
               size_t element_bytes);

// rml_grow of the array whose address is at `array_at`, with the sentence for a failure.
rml_status rml_reserve(const rml_allocator *allocator, void *array_at, size_t *capacity,
                       size_t need, size_t element_bytes, const char *what, rml_error *err);

// rml_alloc_zero to the pointer at `memory_at`, with the sentence for a failure.
rml_status rml_make(const rml_allocator *allocator, void *memory_at, size_t count,
                    size_t element_bytes, const char *what, rml_error *err);

void rml_free(const rml_allocator *allocator, void *memory);

#endif
