// Memory asked for ahead of its use.
#ifndef RML_TENSOR_PREFETCH_H
#define RML_TENSOR_PREFETCH_H

#include <stddef.h>

#define RML_CACHE_LINE 64

// Brings `bytes` bytes at `memory` into the second-level cache. A hint: the address may be any.
static inline void rml_prefetch(const void *memory, size_t bytes)
{
    const char *at = memory;
    for (size_t i = 0; i < bytes; i += RML_CACHE_LINE) {
        __builtin_prefetch(at + i, 0, 2);
        // GCC takes a function that only prefetches for one without effect, and drops its calls.
        __asm__ volatile("" : : "r"(at));
    }
}

#endif
