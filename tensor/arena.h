// Bump arena: many small objects with one lifetime (graph, names, attributes).
#ifndef RML_TENSOR_ARENA_H
#define RML_TENSOR_ARENA_H

#include "tensor/alloc.h"

typedef struct rml_arena {
    const rml_allocator *allocator;
    struct rml_arena_block *newest; // blocks form a list; a full one stays until the arena goes
    size_t bytes;                   // of all blocks
} rml_arena;

void rml_arena_init(rml_arena *arena, const rml_allocator *allocator);

// Zero filled; 64-byte aligned, or 16 below 64 bytes. NULL when the allocator says no.
void *rml_arena_alloc(rml_arena *arena, size_t count, size_t element_bytes);
char *rml_arena_text(rml_arena *arena, const char *text);

// An arena that lies in its own first block; NULL when the allocator says no.
rml_arena *rml_arena_create(const rml_allocator *allocator);
void rml_arena_destroy(rml_arena **arena);

// Frees everything at once.
void rml_arena_release(rml_arena *arena);

#endif
