// Thread pool: one parallel_for at a time, chunks taken from a shared counter.
#ifndef RML_TENSOR_THREADS_H
#define RML_TENSOR_THREADS_H

#include "tensor/alloc.h"
#include "tensor/status.h"

#define RML_MAX_THREADS 256

typedef struct rml_pool rml_pool;

// Works on items [begin, end). `worker` is below rml_pool_threads and unique among those running,
// so that it can choose a private scratch area.
typedef void (*rml_pool_fn)(void *context, size_t begin, size_t end, int worker);

// A pool with `threads` workers, the caller's thread among them: 1 starts no thread at all.
rml_status rml_pool_create(rml_pool **out, int threads, const rml_allocator *allocator,
                           rml_error *err);
void rml_pool_destroy(rml_pool **pool);
int rml_pool_threads(const rml_pool *pool);

// Calls `fn` for [0, count) in chunks of at most `chunk` items and returns when all are done. What
// a chunk computes must not depend on which worker takes it or on how the items are cut. Allocates
// nothing. Calls from inside `fn` are not allowed, but with `pool` NULL, which means this thread
// alone.
void rml_pool_run(rml_pool *pool, size_t count, size_t chunk, rml_pool_fn fn, void *context);

#endif
