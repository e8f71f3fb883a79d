// What the rules of single layers share: fields, and weights that they must have.
#ifndef RML_LOADERS_CHECK_LAYER_WEIGHTS_H
#define RML_LOADERS_CHECK_LAYER_WEIGHTS_H

#include "loaders/check/check.h"

typedef struct rml_layer_check {
    rml_checker *checker;
    rml_coreml *file;
    int64_t version; // of the model
    const rml_nn_layer *layer;
    const char *place;
    bool wide, half;   // floats of 4 and of 2 bytes among its weights
    rml_status status; // RML_ERR_NOMEM, or fine
} rml_layer_check;

// Fields of a message; 0 where absent, as in the format.
int64_t rml_layer_int(rml_layer_check *check, const rml_protobuf *message, uint32_t number);
bool rml_layer_has(rml_layer_check *check, const rml_protobuf *message, uint32_t number);
rml_protobuf rml_layer_inside(rml_layer_check *check, const rml_protobuf *message, uint32_t number);
// The product of a list of sizes; 0 for an empty one.
uint64_t rml_layer_product(rml_layer_check *check, const rml_protobuf *message, uint32_t number);
// Number `index` of a list, or `absent`.
uint64_t rml_layer_item(rml_layer_check *check, const rml_protobuf *message, uint32_t number,
                        size_t index, uint64_t absent);
uint64_t rml_layer_times(uint64_t a, uint64_t b); // UINT64_MAX where it is more

// That the WeightParams in a field are there and hold `count` numbers.
void rml_layer_weights(rml_layer_check *check, const rml_protobuf *message, uint32_t number,
                       const char *what, uint64_t count);

// That the model's version has what the layer asks for.
void rml_layer_needs(rml_layer_check *check, int64_t version, const char *what);

#endif
