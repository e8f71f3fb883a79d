#include "writers/coreml/blob.h"

#include <string.h>

#define ALIGNMENT 64 // also the bytes of header and metadata
#define VERSION 2
#define SENTINEL 0xDEADBEEFu

static uint32_t type_number(rml_dtype dtype)
{
    switch (dtype) {
    case RML_F16:
        return 1;
    case RML_F32:
        return 2;
    case RML_U8:
        return 3;
    case RML_I8:
        return 4;
    default:
        return 0;
    }
}

bool rml_blobs_take(rml_dtype dtype)
{
    return type_number(dtype) != 0;
}

void rml_blobs_init(rml_blobs *blobs, const rml_allocator *allocator)
{
    *blobs = (rml_blobs){.allocator = allocator, .end = ALIGNMENT};
}

void rml_blobs_release(rml_blobs *blobs)
{
    for (size_t i = 0; i < blobs->count; i++)
        rml_elements_release(&blobs->blob[i].elements);
    rml_free(blobs->allocator, blobs->blob);
    *blobs = (rml_blobs){0};
}

// How far it is to the next multiple.
static size_t gap(uint64_t at)
{
    return (size_t)((ALIGNMENT - at % ALIGNMENT) % ALIGNMENT);
}

rml_status rml_blobs_add(rml_blobs *blobs, rml_elements elements, rml_dtype dtype, uint64_t *offset,
                         rml_error *err)
{
    const rml_status status =
        rml_reserve(blobs->allocator, &blobs->blob, &blobs->capacity, blobs->count + 1,
                    sizeof *blobs->blob, "the weights of a file", err);
    if (status != RML_OK) {
        rml_elements_release(&elements);
        return status;
    }
    blobs->blob[blobs->count++] = (rml_blob){elements, type_number(dtype)};
    *offset = blobs->end + gap(blobs->end);
    blobs->end = *offset + ALIGNMENT + elements.bytes;
    return RML_OK;
}

static void put(uint8_t *to, uint64_t value, int bytes)
{
    for (int i = 0; i < bytes; i++)
        to[i] = (uint8_t)(value >> 8 * i);
}

void rml_blobs_write(const rml_blobs *blobs, rml_outfile *file)
{
    uint8_t head[ALIGNMENT] = {0};
    put(head, blobs->count, 4);
    put(head + 4, VERSION, 4);
    rml_outfile_write(file, head, sizeof head);
    for (size_t i = 0; i < blobs->count; i++) {
        const rml_blob *blob = &blobs->blob[i];
        rml_outfile_zeros(file, gap(file->bytes));
        memset(head, 0, sizeof head);
        put(head, SENTINEL, 4);
        put(head + 4, blob->type, 4);
        put(head + 8, blob->elements.bytes, 8);
        put(head + 16, file->bytes + ALIGNMENT, 8);
        rml_outfile_write(file, head, sizeof head);
        rml_outfile_write(file, blob->elements.data, blob->elements.bytes);
    }
}
