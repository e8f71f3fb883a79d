// A counting allocator that several threads call.
#ifndef RML_TESTS_SUPPORT_LOCKED_ALLOCATOR_H
#define RML_TESTS_SUPPORT_LOCKED_ALLOCATOR_H

#include "tests/support/counting_allocator.h"

#include <stdatomic.h>

typedef struct locked_counting {
    counting counter;
    atomic_flag busy;
} locked_counting;

static inline void *locked_alloc(void *user, size_t bytes)
{
    locked_counting *at = user;
    while (atomic_flag_test_and_set(&at->busy))
        continue;
    void *memory = counting_alloc(&at->counter, bytes);
    atomic_flag_clear(&at->busy);
    return memory;
}

static inline void locked_release(void *user, void *memory)
{
    locked_counting *at = user;
    while (atomic_flag_test_and_set(&at->busy))
        continue;
    counting_release(&at->counter, memory);
    atomic_flag_clear(&at->busy);
}

#endif
