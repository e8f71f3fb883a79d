// An allocator that counts, and that can be told to fail.
#ifndef RML_TESTS_SUPPORT_COUNTING_ALLOCATOR_H
#define RML_TESTS_SUPPORT_COUNTING_ALLOCATOR_H

#include "runmodel.h"

#include <stdlib.h>

// Room before each block for its size, which keeps the block aligned to 64 bytes.
#define COUNTING_HEAD_BYTES 64

typedef struct counting {
    size_t live_bytes, peak_bytes, calls;
    size_t fail_at; // the call that fails, from 1; 0: none
} counting;

static inline void *counting_alloc(void *user, size_t bytes)
{
    counting *c = user;
    if (++c->calls == c->fail_at || bytes > SIZE_MAX / 2)
        return NULL;
    size_t whole = (bytes + COUNTING_HEAD_BYTES + 63) / 64 * 64;
    unsigned char *block = aligned_alloc(64, whole);
    if (!block)
        return NULL;
    *(size_t *)(void *)block = bytes;
    c->live_bytes += bytes;
    if (c->live_bytes > c->peak_bytes)
        c->peak_bytes = c->live_bytes;
    return block + COUNTING_HEAD_BYTES;
}

static inline void counting_release(void *user, void *memory)
{
    counting *c = user;
    unsigned char *block = (unsigned char *)memory - COUNTING_HEAD_BYTES;
    c->live_bytes -= *(size_t *)(void *)block;
    free(block);
}

static inline rml_allocator counting_allocator(counting *c)
{
    *c = (counting){.fail_at = 0};
    return (rml_allocator){counting_alloc, counting_release, c};
}

#endif
