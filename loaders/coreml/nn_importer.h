// Inside of the importer of neural networks.
#ifndef RML_LOADERS_COREML_NN_IMPORTER_H
#define RML_LOADERS_COREML_NN_IMPORTER_H

#include "loaders/coreml/nn_handler.h"
#include "loaders/coreml/refusals.h"

#define RML_NN_REFUSED (UINT32_MAX - 1) // a blob whose layer was refused

// What a blob is: a value of a graph.
typedef struct rml_nn_blob {
    const rml_graph *graph;
    rml_value_id value;
} rml_nn_blob;

// A network inside a layer, in a graph of its own. What it reads of blobs around becomes inputs of
// it, and what it writes is undone behind it.
typedef struct rml_nn_scope {
    struct rml_nn_scope *outer;
    rml_graph *graph;
    size_t *changed; // places of blobs, and what they were before
    rml_nn_blob *before;
    size_t changed_count, changed_capacity, before_capacity;
    rml_value_id *capture; // values of the graph around, in the order of the inputs
    size_t capture_count, capture_capacity;
} rml_nn_scope;

// The network of a Core ML model, whichever of three messages holds it.
typedef struct rml_nn_network {
    rml_protobuf message;
    bool exact_arrays, exact_images; // the shapes of inputs are as declared
    bool has_sequence;               // some layer looks at the sequence
    rml_nn_layer *layer;
    size_t layer_count;
} rml_nn_network;

struct rml_nn_importer {
    rml_coreml *file;
    const rml_allocator *allocator;
    rml_nn_scope *scope; // the innermost; its graph is where nodes go
    rml_names names;     // blob -> place
    rml_nn_blob *blob;
    size_t blob_count, blob_capacity;
    uint64_t parameters;
    bool has_sequence;
    rml_error *err;
    rml_coreml_refusals refusals;
    char reason[RML_MESSAGE_BYTES]; // of the layer in hand
};

// A network's layers, without their parameters.
rml_status rml_nn_read(rml_coreml *file, const rml_protobuf *message, rml_nn_network *out,
                       rml_error *err);

// One of them; out->number is the caller's to set.
rml_status rml_nn_read_layer(rml_coreml *file, const rml_protobuf *message, rml_nn_layer *out,
                             rml_error *err);

// "convolution"; "unknown" for a number that is no kind of layer.
const char *rml_nn_kind_name(int kind);

// All layers of a network, in their order.
rml_status rml_nn_import_layers(rml_nn_importer *importer, const rml_nn_network *network);

// Gives a blob its value; `copy` alone may give one twice.
rml_status rml_nn_define(rml_nn_importer *importer, const char *name, rml_value_id value,
                         bool again);
// The blob's value in the graph that nodes go to now; RML_NO_VALUE where nothing has written it.
rml_status rml_nn_find(rml_nn_importer *importer, const char *name, rml_value_id *out);
bool rml_nn_is_written(const rml_nn_importer *importer, const char *name);

// Enters a network inside a layer, and leaves it: its captures are values of the graph around,
// whose memory lives as long as that.
void rml_nn_enter(rml_nn_importer *importer, rml_nn_scope *scope, rml_graph *graph);
rml_status rml_nn_leave(rml_nn_importer *importer, const rml_value_id **captures, size_t *count);

#endif
