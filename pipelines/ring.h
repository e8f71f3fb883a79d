// A bounded queue of pointers between two stages that run at the same time.
#ifndef RML_PIPELINES_RING_H
#define RML_PIPELINES_RING_H

#include "tensor/alloc.h"

typedef struct rml_ring rml_ring;

rml_status rml_ring_create(rml_ring **out, size_t capacity, const rml_allocator *allocator,
                           rml_error *err);
void rml_ring_destroy(rml_ring **ring);

// Waits while the ring is full. False when it is closed: the item was not taken.
bool rml_ring_push(rml_ring *ring, void *item);

// Waits while the ring is empty. NULL when it is empty and closed. In a build without threads there
// is nobody to wait for: an empty ring gives NULL, a full one refuses.
void *rml_ring_pop(rml_ring *ring);

// No more items are taken; what is inside can still be had. Wakes everybody who waits.
void rml_ring_close(rml_ring *ring);

// A stage with a thread of its own. Without threads rml_stage_start fails with RML_ERR_UNSUPPORTED.
typedef struct rml_stage rml_stage;
rml_status rml_stage_start(rml_stage **out, void (*run)(void *user), void *user,
                           const rml_allocator *allocator, rml_error *err);
void rml_stage_join(rml_stage **stage); // waits for its end; *stage may be NULL

#endif
