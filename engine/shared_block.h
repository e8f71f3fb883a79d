// The memory of sessions that take turns.
#ifndef RML_ENGINE_SHARED_BLOCK_H
#define RML_ENGINE_SHARED_BLOCK_H

#include "runmodel.h"

struct rml_shared_block {
    const rml_allocator *allocator;
    char *data; // NULL: nothing has been planned yet
    size_t bytes;
};

// Makes the block at least so large. Then data moves and holds nothing; otherwise it stays, as it
// does on failure.
rml_status rml_shared_block_reserve(rml_shared_block *block, size_t bytes, rml_error *err);

#endif
