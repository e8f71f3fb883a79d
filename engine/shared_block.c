#include "engine/session.h"

#include "tensor/alloc.h"
#include "tensor/status.h"

rml_status rml_shared_block_create(rml_shared_block **out, const rml_allocator *allocator,
                                   rml_error *err)
{
    if (!allocator)
        allocator = rml_allocator_default();
    RML_TRY(rml_make(allocator, out, 1, sizeof **out, "a shared block", err));
    (*out)->allocator = allocator;
    return RML_OK;
}

void rml_shared_block_destroy(rml_shared_block **block)
{
    rml_shared_block *old = *block;
    *block = NULL;
    if (!old)
        return;
    rml_free(old->allocator, old->data);
    rml_free(old->allocator, old);
}

size_t rml_shared_block_bytes(const rml_shared_block *block)
{
    return block->bytes;
}

rml_status rml_shared_block_reserve(rml_shared_block *block, size_t bytes, rml_error *err)
{
    if (block->data && block->bytes >= bytes)
        return RML_OK;
    // The new one is not touched before the old one is gone, so that both take no more than one.
    char *data = rml_alloc(block->allocator, bytes);
    if (!data)
        return rml_fail_nomem(err, bytes, "activations and scratch");
    rml_free(block->allocator, block->data);
    block->data = data;
    block->bytes = bytes;
    return RML_OK;
}
