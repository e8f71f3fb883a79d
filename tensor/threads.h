// Thread pool: one parallel_for at a time, chunks taken from a shared counter.
#ifndef RML_TENSOR_THREADS_H
#define RML_TENSOR_THREADS_H

#include "tensor/alloc.h"

#define RML_MAX_THREADS 256

// Works on items [begin, end). `worker` is below rml_pool_threads and unique among those running,
// so that it can choose a private scratch area.
typedef void (*rml_pool_fn)(void *context, size_t begin, size_t end, int worker);

// Waits for the pool, and lets others have it: around all that a session does with it.
void rml_pool_enter(rml_pool *pool);
void rml_pool_leave(rml_pool *pool);

// Calls `fn` for [0, count) in chunks of at most `chunk` items and returns when all are done. What
// a chunk computes must not depend on which worker takes it or on how the items are cut. Allocates
// nothing. Calls from inside `fn` are not allowed, but with `pool` NULL, which means this thread
// alone.
void rml_pool_run(rml_pool *pool, size_t count, size_t chunk, rml_pool_fn fn, void *context);

#endif
