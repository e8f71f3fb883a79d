// Memory of the C library. A program without an operating system gives its own in place of it.
#define _POSIX_C_SOURCE 200809L
#include "tensor/alloc.h"

#include <stdlib.h>

static void *default_alloc(void *user, size_t bytes)
{
    (void)user;
#ifdef _WIN32
    return _aligned_malloc(bytes, RML_ALIGNMENT);
#else
    void *memory = NULL;
    return posix_memalign(&memory, RML_ALIGNMENT, bytes) == 0 ? memory : NULL;
#endif
}

static void default_release(void *user, void *memory)
{
    (void)user;
#ifdef _WIN32
    _aligned_free(memory);
#else
    free(memory);
#endif
}

const rml_allocator *rml_allocator_default(void)
{
    static const rml_allocator allocator = {default_alloc, default_release, NULL};
    return &allocator;
}
