// Inside of the importer of neural networks.
#ifndef RML_LOADERS_COREML_NN_IMPORTER_H
#define RML_LOADERS_COREML_NN_IMPORTER_H

#include "loaders/coreml/nn_handler.h"

#define RML_NN_REFUSED (UINT32_MAX - 1) // a blob whose layer was refused

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
    rml_graph *graph;
    rml_names names;    // blob -> place
    rml_value_id *blob; // values
    size_t blob_count, blob_capacity;
    uint64_t parameters;
    bool has_sequence;
    rml_error *err;
    char refusals[RML_MESSAGE_BYTES - 256];
    size_t refused, refused_more;
    char reason[RML_MESSAGE_BYTES]; // of the layer in hand
};

// A network's layers, without their parameters.
rml_status rml_nn_read(rml_coreml *file, const rml_protobuf *message, rml_nn_network *out,
                       rml_error *err);

// All layers of a network, in their order.
rml_status rml_nn_import_layers(rml_nn_importer *importer, const rml_nn_network *network);

// Gives a blob its value; `copy` alone may give one twice.
rml_status rml_nn_define(rml_nn_importer *importer, const char *name, rml_value_id value,
                         bool again);
// The blob's value; false where nothing has written it.
bool rml_nn_find(const rml_nn_importer *importer, const char *name, rml_value_id *out);

#endif
