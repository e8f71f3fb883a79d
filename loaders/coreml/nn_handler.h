// From the layers of a Core ML neural network to a graph: each kind of layer has a row, whose
// handler makes builder calls.
//
// Blobs of the iOS 12 world have five dimensions (sequence, batch, channels, height, width), of
// which the sequence is left out here where no layer of the network looks at it: then they are
// images (N,C,H,W), and layers work on the last three dimensions either way. Later networks have
// the ranks that they say.
#ifndef RML_LOADERS_COREML_NN_HANDLER_H
#define RML_LOADERS_COREML_NN_HANDLER_H

#include "loaders/coreml/file.h"
#include "loaders/coreml/make.h"

#define RML_NN_MAX_LAYERS ((size_t)1 << 20)
#define RML_NN_MAX_PORTS 1024 // inputs, or outputs, of one layer
#define RML_NN_MAX_DEPTH 16   // networks inside layers

typedef struct rml_nn_layer {
    const char *name;
    size_t number;       // in its network
    int kind;            // number of NeuralNetworkLayer's field
    rml_protobuf params; // its message
    const rml_text *input, *output;
    size_t input_count, output_count;
    const struct rml_nn_network *inside; // two: of a branch; or condition and body of a loop
    bool leaves;                         // it may leave the turn of the loop that it is in
} rml_nn_layer;

enum { RML_NN_BRANCH = 605, RML_NN_LOOP = 615, RML_NN_BREAK = 620, RML_NN_CONTINUE = 625 };

// The network of a Core ML model, whichever of three messages holds it.
typedef struct rml_nn_network {
    rml_protobuf message;
    bool exact_arrays, exact_images; // the shapes of inputs are as declared
    bool has_sequence;               // some layer looks at the sequence
    bool leaves;                     // some layer does
    rml_nn_layer *layer;
    size_t layer_count;
} rml_nn_network;

typedef struct rml_nn_importer rml_nn_importer;

typedef struct rml_nn_call {
    rml_coreml_maker make;
    const rml_nn_layer *layer;
    int32_t option;    // of the row
    bool has_sequence; // blobs have the sequence in front
    rml_value_id *in;  // [layer->input_count]
    rml_value_id *out; // [layer->output_count], for the handler to set
    rml_nn_importer *importer;
} rml_nn_call;

typedef struct rml_nn_entry {
    int kind; // 0 ends a table
    const char *name;
    void (*import)(rml_nn_call *call);
    int32_t option; // for handlers that serve several layers
} rml_nn_entry;

// Tables by family, nn_layers_*.c.
extern const rml_nn_entry rml_nn_activations[];
extern const rml_nn_entry rml_nn_boxes[];
extern const rml_nn_entry rml_nn_control[];
extern const rml_nn_entry rml_nn_elementwise[];
extern const rml_nn_entry rml_nn_images[];
extern const rml_nn_entry rml_nn_index[];
extern const rml_nn_entry rml_nn_nd_shapes[];
extern const rml_nn_entry rml_nn_norms[];
extern const rml_nn_entry rml_nn_products[];
extern const rml_nn_entry rml_nn_recurrent[];
extern const rml_nn_entry rml_nn_reductions[];
extern const rml_nn_entry rml_nn_shapes[];

// ---- parameters: fields of the layer's message, or of one inside --------------------------------

// Integers are held, see rml_coreml_held; 0 where absent, as in the format.
int64_t rml_nn_int(rml_nn_call *call, uint32_t number);
double rml_nn_float(rml_nn_call *call, uint32_t number);
bool rml_nn_flag(rml_nn_call *call, uint32_t number);
int64_t rml_nn_int_in(rml_nn_call *call, const rml_protobuf *message, uint32_t number);
double rml_nn_float_in(rml_nn_call *call, const rml_protobuf *message, uint32_t number);
bool rml_nn_has(rml_nn_call *call, const rml_protobuf *message, uint32_t number);
// The message in a field; empty (data NULL) where absent.
rml_protobuf rml_nn_inside(rml_nn_call *call, const rml_protobuf *message, uint32_t number);
// A list, at most `capacity`; returns how many there are.
int rml_nn_ints(rml_nn_call *call, uint32_t number, int64_t *list, int capacity);
int rml_nn_ints_in(rml_nn_call *call, const rml_protobuf *message, uint32_t number, int64_t *list,
                   int capacity);
float *rml_nn_float_list(rml_nn_call *call, const rml_protobuf *message, uint32_t number,
                         size_t *count);

// ---- weights ------------------------------------------------------------------------------------

// WeightParams in field `number`: as many numbers as `shape` has, as a constant of f32. Scales of
// quantized ones go along `channel_axis`. RML_NO_VALUE where the field is absent.
rml_value_id rml_nn_weights(rml_nn_call *call, const rml_protobuf *message, uint32_t number,
                            const rml_shape *shape, int channel_axis);
// The same in memory that lives as long as the graph; NULL where absent.
float *rml_nn_weight_list(rml_nn_call *call, const rml_protobuf *message, uint32_t number,
                          size_t count);

// The same in field `number` for each of `count` channels, if field `flag` says that there are any;
// then it refuses a layer without.
rml_value_id rml_nn_bias(rml_nn_call *call, uint32_t flag, uint32_t number, int64_t count);

// ---- values -------------------------------------------------------------------------------------

// Input `index`; refuses a layer without it.
rml_value_id rml_nn_in(rml_nn_call *call, int index);

// Sizes of the last three dimensions; refuses fewer.
rml_shape rml_nn_image(rml_nn_call *call, rml_value_id value);

// All that is in front of the last three dimensions as one batch, and back.
rml_value_id rml_nn_as_images(rml_nn_call *call, rml_value_id x);
rml_value_id rml_nn_like(rml_nn_call *call, rml_value_id images, rml_value_id x);

// Integers of a blob, rounded, as i64.
rml_value_id rml_nn_indices(rml_nn_call *call, rml_value_id x);

// A vector as (C,1,1), for the last three dimensions.
rml_value_id rml_nn_channels(rml_nn_call *call, rml_value_id vector, int64_t channels);

#endif
