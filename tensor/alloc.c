#include "tensor/alloc.h"

#include <string.h>

void *rml_alloc(const rml_allocator *allocator, size_t bytes)
{
    return bytes && bytes <= SIZE_MAX / 2 ? allocator->alloc(allocator->user, bytes) : NULL;
}

void *rml_alloc_zero(const rml_allocator *allocator, size_t count, size_t element_bytes)
{
    size_t bytes;
    if (!rml_size_mul(count, element_bytes, &bytes))
        return NULL;
    void *memory = rml_alloc(allocator, bytes);
    if (memory)
        memset(memory, 0, bytes);
    return memory;
}

char *rml_alloc_text(const rml_allocator *allocator, const char *text)
{
    size_t bytes = strlen(text) + 1;
    char *copy = rml_alloc(allocator, bytes);
    if (copy)
        memcpy(copy, text, bytes);
    return copy;
}

void *rml_grow(const rml_allocator *allocator, void *array, size_t *capacity, size_t need,
               size_t element_bytes)
{
    if (need <= *capacity)
        return array;
    size_t wanted = *capacity ? *capacity : 8;
    while (wanted < need)
        if (!rml_size_mul(wanted, 2, &wanted))
            return NULL;
    size_t bytes;
    if (!rml_size_mul(wanted, element_bytes, &bytes))
        return NULL;
    void *grown = rml_alloc(allocator, bytes);
    if (!grown)
        return NULL;
    if (array) {
        memcpy(grown, array, *capacity * element_bytes);
        rml_free(allocator, array);
    }
    *capacity = wanted;
    return grown;
}

// Pointers to objects have one representation on all systems this is built for.
rml_status rml_reserve(const rml_allocator *allocator, void *array_at, size_t *capacity,
                       size_t need, size_t element_bytes, const char *what, rml_error *err)
{
    void *array;
    memcpy(&array, array_at, sizeof array);
    array = rml_grow(allocator, array, capacity, need, element_bytes);
    if (!array)
        return rml_fail_nomem(err, rml_sat_mul(need, element_bytes), what);
    memcpy(array_at, &array, sizeof array);
    return RML_OK;
}

rml_status rml_make(const rml_allocator *allocator, void *memory_at, size_t count,
                    size_t element_bytes, const char *what, rml_error *err)
{
    void *memory = rml_alloc_zero(allocator, count, element_bytes);
    memcpy(memory_at, &memory, sizeof memory);
    return memory ? RML_OK : rml_fail_nomem(err, rml_sat_mul(count, element_bytes), what);
}

void rml_free(const rml_allocator *allocator, void *memory)
{
    if (memory)
        allocator->release(allocator->user, memory);
}
