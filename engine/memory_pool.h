// Memory that a run takes for what only it tells the size of: values of unknown shape, their
// scratch, and the blocks of graphs inside nodes. What is given back is kept for the next who takes
// as much, so that a run with the sizes of the last one allocates nothing.
#ifndef RML_ENGINE_MEMORY_POOL_H
#define RML_ENGINE_MEMORY_POOL_H

#include "tensor/alloc.h"
#include "tensor/status.h"

#include <stdint.h>

// Sizes are rounded up to one of 8 between powers of two; a list of kept blocks for each.
#define RML_MEMORY_POOL_SIZES 448

typedef struct rml_memory_pool {
    const rml_allocator *allocator;
    size_t limit;          // bytes of the pool and what is planned together; 0: none
    size_t planned;        // beside the pool
    size_t used, held;     // bytes; held: used and kept
    size_t peak;           // most that was held
    bool no_reuse;         // what is given back stays untouched until the run ends
    uint64_t run;          // from 1; blocks that a run did not take go after it
    struct rml_lent *lent; // taken and not given back
    struct rml_lent *kept[RML_MEMORY_POOL_SIZES];
} rml_memory_pool;

// 64-byte aligned, also for no bytes. RML_ERR_LIMIT where the limit would be passed.
rml_status rml_memory_pool_take(rml_memory_pool *pool, size_t bytes, void **memory, rml_error *err);

// `memory` may be NULL.
void rml_memory_pool_give(rml_memory_pool *pool, void *memory);

// Bytes that may still be taken, at least 1; 0: there is no limit.
size_t rml_memory_pool_room(const rml_memory_pool *pool);

// Between runs: everything is given back, whatever a failed run held, and what the last run did not
// take is freed.
void rml_memory_pool_reset(rml_memory_pool *pool);
void rml_memory_pool_release(rml_memory_pool *pool);

#endif
