#include "tensor/arena.h"

#include <string.h>

// A block is a quarter of what the arena has, so that less than a fifth of it lies idle.
#define LEAST_BYTES ((size_t)1024)
#define MOST_BYTES ((size_t)64 * 1024)
#define HEADER_BYTES RML_ALIGNMENT
#define SMALL_ALIGNMENT ((size_t)16)

struct rml_arena_block {
    struct rml_arena_block *older;
    size_t used, bytes; // both count from the start of the block, header included
};

_Static_assert(sizeof(struct rml_arena_block) <= HEADER_BYTES, "the header keeps blocks aligned");

void rml_arena_init(rml_arena *arena, const rml_allocator *allocator)
{
    *arena = (rml_arena){.allocator = allocator};
}

// Something large has a block to itself and leaves the room in the newest to what comes after.
static struct rml_arena_block *add_block(rml_arena *arena, size_t bytes)
{
    size_t usual = arena->bytes / 4;
    usual = usual < LEAST_BYTES ? LEAST_BYTES : rml_min_size(usual, MOST_BYTES);
    const bool large = bytes > (usual - HEADER_BYTES) / 2;
    const size_t block_bytes = large ? bytes + HEADER_BYTES : usual;
    struct rml_arena_block *block = rml_alloc(arena->allocator, block_bytes);
    if (!block)
        return NULL;
    struct rml_arena_block **at = large && arena->newest ? &arena->newest->older : &arena->newest;
    *block = (struct rml_arena_block){*at, HEADER_BYTES, block_bytes};
    *at = block;
    arena->bytes += block_bytes;
    return block;
}

void *rml_arena_alloc(rml_arena *arena, size_t count, size_t element_bytes)
{
    size_t bytes;
    if (!rml_size_mul(count, element_bytes, &bytes) || bytes > SIZE_MAX / 4)
        return NULL;
    const size_t alignment = bytes < RML_ALIGNMENT ? SMALL_ALIGNMENT : RML_ALIGNMENT;
    bytes = rml_round_up(bytes ? bytes : 1, SMALL_ALIGNMENT);
    struct rml_arena_block *block = arena->newest;
    size_t start = block ? rml_round_up(block->used, alignment) : 0;
    if (!block || start > block->bytes || block->bytes - start < bytes) {
        block = add_block(arena, bytes);
        if (!block)
            return NULL;
        start = HEADER_BYTES;
    }
    void *memory = (char *)block + start;
    block->used = start + bytes;
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
    rml_arena own = {.newest = NULL};
    if (*arena)
        own = **arena; // it goes with its block
    *arena = NULL;
    rml_arena_release(&own);
}
