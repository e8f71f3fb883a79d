// A model: an optimised graph and the packed weights that its sessions share.
#ifndef RML_ENGINE_MODEL_H
#define RML_ENGINE_MODEL_H

#include "graph/graph.h"
#include "tensor/lock.h"

typedef struct rml_kit rml_kit;         // see kit.h
extern const rml_kit rml_kit_whole;     // for any graph
extern const rml_kit rml_kit_images;    // of convolutions, batch norms and what is fused with them
extern const rml_kit rml_kit_sequences; // where no pass has anything to fuse

struct rml_model {
    const rml_allocator *allocator;
    const rml_kit *kit;
    rml_graph graph;
    uint64_t parameters;
    bool as_written;                // no pass has run: it can be written, and has no sessions
    bool rounded;                   // RML_PRECISION_F16_ROUNDED
    void (*drop_pages)(void *user); // tells the weights' owner that nothing reads them for now
    void (*release)(void *user);    // the model owns the weights; or NULL
    void *user;
    rml_lock lock; // guards what follows
    struct rml_pack *packs;
    size_t pack_count, pack_capacity;
};

// A model around an empty graph. `*out` is the caller's to fill and to rml_model_destroy.
rml_status rml_model_begin(rml_model **out, const rml_kit *kit, const rml_model_settings *settings,
                           rml_error *err);

// Checks the settings' precision and runs the passes on a graph that is built; destroys the model
// where that fails.
rml_status rml_model_improve(rml_model **model, const rml_model_settings *settings, rml_error *err);

// The weights of a node as `algorithm` wants them, packed on first use. `graph` is the model's or
// one inside it. `args` has kernels, pool, attributes and shapes; the result lives as long as the
// model.
rml_status rml_model_pack(rml_model *model, const rml_graph *graph, const rml_node *node,
                          const rml_algorithm *algorithm, const rml_op_args *args,
                          const void **packed, size_t *bytes, rml_error *err);

// A constant's elements in C order and in the type of its value, read on first use.
rml_status rml_model_constant(rml_model *model, const rml_value *value, const void **data,
                              size_t *bytes, rml_error *err);

#endif
