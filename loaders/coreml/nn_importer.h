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

// ---- networks inside layers (nn_inside.c) -------------------------------------------------------

// In a loop whose turns layers leave in their middle, the blob of this name says how the turn goes
// on: 0, RML_NN_NEXT_TURN or RML_NN_END. Blobs of files have names of some letters.
#define RML_NN_LEAVES ""
enum { RML_NN_NEXT_TURN = 1, RML_NN_END = 2 };

// Names of blobs, each once.
typedef struct rml_nn_written {
    rml_names names;
    const char **name;
    size_t count, capacity;
} rml_nn_written;

void rml_nn_begin_written(const rml_nn_call *call, rml_nn_written *out);
void rml_nn_end_written(const rml_nn_call *call, rml_nn_written *written);
bool rml_nn_has_written(const rml_nn_written *written, const char *name);

// Adds all that the network, and those inside its layers, may write; or what a branch writes on
// either way.
void rml_nn_add_written(rml_nn_call *call, const rml_nn_network *network, rml_nn_written *out);
void rml_nn_add_surely_written(rml_nn_call *call, const rml_nn_layer *branch, rml_nn_written *out);

#endif
