#include "pipelines/ring.h"

#include "tensor/alloc.h"
#include "tensor/lock.h"

struct rml_ring {
    const rml_allocator *allocator;
    size_t capacity, first, count;
    bool closed;
    rml_lock lock;
#ifdef RML_WITH_THREADS
    pthread_cond_t changed;
#endif
    void *items[];
};

static void unlock(rml_ring *ring)
{
#ifdef RML_WITH_THREADS
    pthread_cond_broadcast(&ring->changed);
#endif
    rml_lock_give(&ring->lock);
}

// False where there is nobody who could change anything.
static bool wait_for_change(rml_ring *ring)
{
#ifdef RML_WITH_THREADS
    pthread_cond_wait(&ring->changed, &ring->lock);
    return true;
#else
    (void)ring;
    return false;
#endif
}

rml_status rml_ring_create(rml_ring **out, size_t capacity, const rml_allocator *allocator,
                           rml_error *err)
{
    *out = NULL;
    size_t bytes = sizeof(rml_ring) + capacity * sizeof(void *);
    rml_ring *ring;
    RML_TRY(rml_make(allocator, &ring, 1, bytes, "a queue", err));
    ring->allocator = allocator;
    ring->capacity = capacity;
    rml_lock_init(&ring->lock);
#ifdef RML_WITH_THREADS
    if (pthread_cond_init(&ring->changed, NULL) != 0) {
        rml_lock_release(&ring->lock);
        rml_free(allocator, ring);
        return rml_fail(err, RML_ERR_NOMEM, "a condition variable cannot be made");
    }
#endif
    *out = ring;
    return RML_OK;
}

void rml_ring_destroy(rml_ring **ring)
{
    if (!*ring)
        return;
#ifdef RML_WITH_THREADS
    pthread_cond_destroy(&(*ring)->changed);
#endif
    rml_lock_release(&(*ring)->lock);
    rml_free((*ring)->allocator, *ring);
    *ring = NULL;
}

bool rml_ring_push(rml_ring *ring, void *item)
{
    rml_lock_take(&ring->lock);
    while (ring->count == ring->capacity && !ring->closed && wait_for_change(ring))
        continue;
    bool taken = ring->count < ring->capacity && !ring->closed;
    if (taken) {
        ring->items[(ring->first + ring->count) % ring->capacity] = item;
        ring->count++;
    }
    unlock(ring);
    return taken;
}

void *rml_ring_pop(rml_ring *ring)
{
    rml_lock_take(&ring->lock);
    while (ring->count == 0 && !ring->closed && wait_for_change(ring))
        continue;
    void *item = NULL;
    if (ring->count > 0) {
        item = ring->items[ring->first];
        ring->first = (ring->first + 1) % ring->capacity;
        ring->count--;
    }
    unlock(ring);
    return item;
}

void rml_ring_close(rml_ring *ring)
{
    rml_lock_take(&ring->lock);
    ring->closed = true;
    unlock(ring);
}

struct rml_stage {
    const rml_allocator *allocator;
    void (*run)(void *user);
    void *user;
#ifdef RML_WITH_THREADS
    pthread_t thread;
#endif
};

#ifdef RML_WITH_THREADS
static void *stage_main(void *argument)
{
    rml_stage *stage = argument;
    stage->run(stage->user);
    return NULL;
}
#endif

rml_status rml_stage_start(rml_stage **out, void (*run)(void *user), void *user,
                           const rml_allocator *allocator, rml_error *err)
{
    *out = NULL;
#ifdef RML_WITH_THREADS
    rml_stage *stage;
    RML_TRY(rml_make(allocator, &stage, 1, sizeof *stage, "a thread", err));
    stage->allocator = allocator;
    stage->run = run;
    stage->user = user;
    if (pthread_create(&stage->thread, NULL, stage_main, stage) != 0) {
        rml_free(allocator, stage);
        return rml_fail(err, RML_ERR_NOMEM, "the system gives no further thread");
    }
    *out = stage;
    return RML_OK;
#else
    (void)run;
    (void)user;
    (void)allocator;
    return rml_fail(err, RML_ERR_UNSUPPORTED, "this build has no threads");
#endif
}

void rml_stage_join(rml_stage **stage)
{
    if (!*stage)
        return;
#ifdef RML_WITH_THREADS
    pthread_join((*stage)->thread, NULL);
#endif
    rml_free((*stage)->allocator, *stage);
    *stage = NULL;
}
