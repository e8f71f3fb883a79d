// Inside of the weight store, for the files that open it and look things up.
#ifndef RML_LOADERS_WEIGHTS_WEIGHTS_STORE_H
#define RML_LOADERS_WEIGHTS_WEIGHTS_STORE_H

#include "loaders/weights/readers.h"

struct rml_weights {
    const rml_allocator *allocator;
    rml_allocator own_allocator; // a copy: only what it points to must outlive the store
    const char *format;
    const char *path;  // as given, or "" for a store without files
    const void *graph; // the contents of a graph file in memory
    size_t graph_bytes;
    rml_arena arena; // names, metadata
    rml_weight *weight;
    const char **stored_name; // as in the file
    size_t count, capacity, name_capacity;
    rml_weight *beside; // tensors of the file that are no part of the weights
    size_t beside_count, beside_capacity;
    rml_names names;
    rml_mapfile *file;
    size_t file_count, file_capacity;
    void (*close_files)(rml_weights *weights); // NULL, both: there are none
    void (*drop_pages)(const rml_weights *weights);
    rml_metadata *metadata;
    size_t metadata_count, metadata_capacity;
    void **owned; // data of rml_weights_add_f32, contents of rml_weights_open_source
    size_t owned_count, owned_capacity;
    const rml_shard_index *index; // while shards are read
    size_t shard;
};

// Maps a file, which then lives as long as the store. *file is valid until the next one.
rml_status rml_weights_map(rml_weights *weights, const char *path, const rml_mapfile **file,
                           rml_error *err);

// Frees `memory` with the store, or at once where that cannot be noted.
rml_status rml_weights_own(rml_weights *weights, void *memory, rml_error *err);

// Takes "module." and its kin out of the names, makes them findable and notes tied tensors; after
// all tensors are added.
rml_status rml_weights_finish(rml_weights *weights, rml_error *err);

#endif
