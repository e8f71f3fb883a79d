#include "tensor/arena.h"

#include <string.h>

#define BLOCK_BYTES ((size_t)64 * 1024)

struct rml_arena_block {
    struct rml_arena_block *older;
    size_t used, bytes; // both count from the start of the block, header included
};

void rml_arena_init(rml_arena *arena, const rml_allocator *allocator)
{
    arena->allocator = allocator;
    arena->newest = NULL;
}

void *rml_arena_alloc(rml_arena *arena, size_t count, size_t element_bytes)
{
    size_t bytes, with_header;
    const size_t header = rml_round_up(sizeof(struct rml_arena_block), RML_ALIGNMENT);
    if (!rml_size_mul(count, element_bytes, &bytes) || bytes > SIZE_MAX / 2)
        return NULL;
    bytes = rml_round_up(bytes ? bytes : 1, RML_ALIGNMENT);
    struct rml_arena_block *block = arena->newest;
    if (!block || block->bytes - block->used < bytes) {
        if (!rml_size_add(bytes, header, &with_header))
            return NULL;
        size_t block_bytes = with_header > BLOCK_BYTES ? with_header : BLOCK_BYTES;
        block = rml_alloc(arena->allocator, block_bytes);
        if (!block)
            return NULL;
        block->older = arena->newest;
        block->used = header;
        block->bytes = block_bytes;
        arena->newest = block;
    }
    void *memory = (char *)block + block->used;
    block->used += bytes;
    memset(memory, 0, bytes);
    return memory;
}

char *rml_arena_text(rml_arena *arena, const char *text)
{
    size_t bytes = strlen(text) + 1;
    char *copy = rml_arena_alloc(arena, bytes, 1);
    if (copy)
        memcpy(copy, text, bytes);
    return copy;
}

void rml_arena_release(rml_arena *arena)
{
    while (arena->newest) {
        struct rml_arena_block *block = arena->newest;
        arena->newest = block->older;
        rml_free(arena->allocator, block);
    }
}

rml_arena *rml_arena_create(const rml_allocator *allocator)
{
    rml_arena arena = {.allocator = allocator};
    rml_arena *self = rml_arena_alloc(&arena, 1, sizeof arena);
    if (self)
        *self = arena;
    return self;
}

void rml_arena_destroy(rml_arena **arena)
{
    rml_arena own = {NULL, NULL};
    if (*arena)
        own = **arena; // it goes with its block
    *arena = NULL;
    rml_arena_release(&own);
}
