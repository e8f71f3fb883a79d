// A mutex that is nothing in builds without threads.
#ifndef RML_TENSOR_LOCK_H
#define RML_TENSOR_LOCK_H

#ifdef RML_WITH_THREADS
#include <pthread.h>

typedef pthread_mutex_t rml_lock;

static inline void rml_lock_init(rml_lock *lock)
{
    pthread_mutex_init(lock,
                       NULL); // with default attributes it cannot fail on the systems we build for
}
static inline void rml_lock_take(rml_lock *lock)
{
    pthread_mutex_lock(lock);
}
static inline void rml_lock_give(rml_lock *lock)
{
    pthread_mutex_unlock(lock);
}
static inline void rml_lock_release(rml_lock *lock)
{
    pthread_mutex_destroy(lock);
}
#else
typedef int rml_lock;

static inline void rml_lock_init(rml_lock *lock)
{
    *lock = 0;
}
static inline void rml_lock_take(rml_lock *lock)
{
    (void)lock;
}
static inline void rml_lock_give(rml_lock *lock)
{
    (void)lock;
}
static inline void rml_lock_release(rml_lock *lock)
{
    (void)lock;
}
#endif

#endif
