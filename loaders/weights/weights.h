// The weight store: name to dtype, shape, bytes and lifetime, the same for every file format.
//
// The public part (open, count, at, read, close) is in runmodel.h. A reader (pth_zip.c,
// pth_legacy.c, pt2.c, safetensors.c, npz.c) adds entries that point into mapped bytes; the store
// owns the mappings and names.
//
// Names: every occurrence of "module." is taken out, as loaders of DataParallel checkpoints do, and
// of "_forward_module." (Lightning around DeepSpeed) and "_orig_mod." (torch.compile). Where that
// would give two tensors one name, all names stay as they are stored. A name is UTF-8 without
// control characters; files with other names are refused.
//
// Memory: besides its mappings a store allocates at most RML_WEIGHTS_MIN_BYTES plus
// RML_WEIGHTS_BYTES_PER_BYTE for each byte of its files' tables (zip directory, pickles, JSON),
// while it is opened; a test holds it to that.
#ifndef RML_LOADERS_WEIGHTS_WEIGHTS_H
#define RML_LOADERS_WEIGHTS_WEIGHTS_H

#include "tensor/arena.h"
#include "tensor/mapfile.h"
#include "tensor/stored.h"

#define RML_MAX_WEIGHTS 131072  // tensors in one store, and beside the weights
#define RML_MAX_NAME_BYTES 1024 // one tensor's name
#define RML_MAX_SHARDS 1024     // files of one sharded model

#define RML_WEIGHTS_MIN_BYTES ((size_t)512 * 1024)
#define RML_WEIGHTS_BYTES_PER_BYTE ((size_t)512)

// One tensor as stored. `data` may have any alignment; strides are in elements and may be 0 or
// leave gaps, never negative; every element lies inside the file (checked when the entry is added).
typedef struct rml_weight {
    const char *name;
    const char *type;      // as it is listed; "f32", or what the file calls it
    uint32_t element_bits; // in the file; 0: no telling
    uint32_t same_as;      // 1 + the place of the first one with the same elements; 0: its own
    bool unreadable;       // `stored` holds its shape alone
    bool loose;            // stands in a list, under a number, in an object: nothing that a network
                           // must know
    rml_stored stored;
} rml_weight;

// RML_ERR_UNSUPPORTED, with the sentence that says why, for one that is unreadable.
rml_status rml_weight_check(const rml_weight *weight, rml_error *err);

// The tensor's record, or NULL past the end. Valid as long as the store.
const rml_weight *rml_weights_entry(const rml_weights *weights, size_t index);

// By name, after prefix removal; NULL when absent.
const rml_weight *rml_weights_find(const rml_weights *weights, const char *name);

// The file or folder that was opened, or "".
const char *rml_weights_path(const rml_weights *weights);

// True where what was opened is a graph file (ONNX, Core ML): a store without tensors. Its path
// tells where the whole network lies, or `data` and `size`, which may be NULL, where it was opened
// in memory.
bool rml_weights_is_graph(const rml_weights *weights, const void **data, size_t *size);

// The allocator the store was opened with (never NULL).
const rml_allocator *rml_weights_allocator(const rml_weights *weights);

// A store without files, to which rml_weights_add_f32 adds tensors: random weights for benchmarks.
rml_status rml_weights_create(rml_weights **out, const rml_allocator *allocator, rml_error *err);

// Adds a tensor whose data the store owns; *data is uninitialised and the caller's to fill.
rml_status rml_weights_add_f32(rml_weights *weights, const char *name, const rml_shape *shape,
                               float **data, rml_error *err);

// Tells the system that the mapped pages are not needed soon (after packing).
void rml_weights_drop_pages(const rml_weights *weights);

#endif
