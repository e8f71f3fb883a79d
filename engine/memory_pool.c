#include "engine/memory_pool.h"

#include "tensor/sanitizer.h"
#include "tensor/size.h"

#define HEAD_BYTES RML_ALIGNMENT

// Stands before each block.
struct rml_lent {
    struct rml_lent *next, *former;
    size_t bytes; // this head included
    size_t size;  // index of its list
    uint64_t run; // that took it last
};

_Static_assert(sizeof(struct rml_lent) <= HEAD_BYTES, "the head keeps blocks aligned");

static void link_to(struct rml_lent **list, struct rml_lent *block)
{
    block->former = NULL;
    block->next = *list;
    if (*list)
        (*list)->former = block;
    *list = block;
}

static void unlink_from(struct rml_lent **list, struct rml_lent *block)
{
    *(block->former ? &block->former->next : list) = block->next;
    if (block->next)
        block->next->former = block->former;
}

// The bytes of a block that holds so many, and the list it is kept in.
static bool round_size(size_t bytes, size_t *whole, size_t *size)
{
    size_t shift = 0;
    if (!rml_size_add(bytes, 2 * (size_t)HEAD_BYTES - 1, &bytes) || bytes > SIZE_MAX / 4)
        return false;
    size_t units = bytes / HEAD_BYTES;
    while ((units >> shift) > 15)
        shift++;
    units = (units + ((size_t)1 << shift) - 1) >> shift; // up to 16, which is 8 of the next shift
    *whole = (units << shift) * HEAD_BYTES;
    *size = shift * 8 + units;
    return *size < RML_MEMORY_POOL_SIZES;
}

static void drop(rml_memory_pool *pool, struct rml_lent *block)
{
    RML_UNPOISON((char *)block + HEAD_BYTES, block->bytes - HEAD_BYTES);
    pool->held -= block->bytes;
    rml_free(pool->allocator, block);
}

// Frees kept blocks that the run of this number did not take; 0: all of them.
static void drop_kept(rml_memory_pool *pool, uint64_t run)
{
    for (size_t i = 0; i < RML_MEMORY_POOL_SIZES; i++)
        for (struct rml_lent *block = pool->kept[i], *next; block; block = next) {
            next = block->next;
            if (run && block->run == run)
                continue;
            unlink_from(&pool->kept[i], block);
            drop(pool, block);
        }
}

static bool passes_limit(const rml_memory_pool *pool, size_t more)
{
    const size_t room = pool->limit > pool->planned ? pool->limit - pool->planned : 0;
    return pool->limit && (pool->held > room || more > room - pool->held);
}

static rml_status allocate(rml_memory_pool *pool, size_t bytes, size_t size, struct rml_lent **out,
                           rml_error *err)
{
    if (passes_limit(pool, bytes))
        drop_kept(pool, 0);
    if (passes_limit(pool, bytes))
        return rml_fail(err, RML_ERR_LIMIT,
                        "a run takes %zu bytes beside the %zu that are planned, and the limit is "
                        "%zu",
                        pool->held + bytes, pool->planned, pool->limit);
    struct rml_lent *block = rml_alloc(pool->allocator, bytes);
    if (!block)
        return rml_fail_nomem(err, bytes, "what a run computes");
    *block = (struct rml_lent){.bytes = bytes, .size = size};
    pool->held += bytes;
    if (pool->held > pool->peak)
        pool->peak = pool->held;
    *out = block;
    return RML_OK;
}

rml_status rml_memory_pool_take(rml_memory_pool *pool, size_t bytes, void **memory, rml_error *err)
{
    size_t whole, size;
    *memory = NULL;
    if (!round_size(bytes, &whole, &size))
        return rml_fail(err, RML_ERR_LIMIT, "%zu bytes are more than there can be", bytes);
    struct rml_lent *block = pool->kept[size];
    if (block) {
        unlink_from(&pool->kept[size], block);
        RML_UNPOISON((char *)block + HEAD_BYTES, block->bytes - HEAD_BYTES);
    } else {
        RML_TRY(allocate(pool, whole, size, &block, err));
    }
    block->run = pool->run;
    link_to(&pool->lent, block);
    pool->used += block->bytes;
    *memory = (char *)block + HEAD_BYTES;
    return RML_OK;
}

static void keep(rml_memory_pool *pool, struct rml_lent *block)
{
    unlink_from(&pool->lent, block);
    link_to(&pool->kept[block->size], block);
    pool->used -= block->bytes;
    RML_POISON((char *)block + HEAD_BYTES, block->bytes - HEAD_BYTES);
}

void rml_memory_pool_give(rml_memory_pool *pool, void *memory)
{
    if (memory && !pool->no_reuse)
        keep(pool, (struct rml_lent *)(void *)((char *)memory - HEAD_BYTES));
}

size_t rml_memory_pool_room(const rml_memory_pool *pool)
{
    if (!pool->limit)
        return 0;
    return pool->limit > pool->planned + pool->used ? pool->limit - pool->planned - pool->used : 1;
}

void rml_memory_pool_reset(rml_memory_pool *pool)
{
    drop_kept(pool, pool->run);
    while (pool->lent)
        keep(pool, pool->lent);
    pool->run++;
}

void rml_memory_pool_release(rml_memory_pool *pool)
{
    while (pool->lent)
        keep(pool, pool->lent);
    drop_kept(pool, 0);
}
