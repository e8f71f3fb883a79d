// Memory planner: buffers with lifetimes to offsets in one block.
#ifndef RML_ENGINE_MEMORY_H
#define RML_ENGINE_MEMORY_H

#include "tensor/alloc.h"
#include "tensor/status.h"

typedef struct rml_buffer {
    size_t bytes;       // 0: takes no room
    size_t first, last; // steps during which it holds something, both included; below SIZE_MAX
    size_t offset;      // result, a multiple of RML_ALIGNMENT
} rml_buffer;

// Largest first, each into the smallest gap that fits between buffers alive at the same time. Takes
// time n log n and what NEIGHBOURS allows; beyond that gaps are not looked for.
rml_status rml_memory_plan(rml_buffer *buffers, size_t count, size_t *total,
                           const rml_allocator *allocator, rml_error *err);

// OK when no two buffers that live at the same time overlap and all lie within `total`, else
// RML_ERR_INTERNAL.
rml_status rml_memory_verify(const rml_buffer *buffers, size_t count, size_t total,
                             const rml_allocator *allocator, rml_error *err);

#endif
