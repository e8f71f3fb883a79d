// Telling an observer what a node computed.
#ifndef RML_ENGINE_OBSERVE_H
#define RML_ENGINE_OBSERVE_H

#include "graph/graph.h"

typedef struct rml_observer {
    rml_observe_fn fn; // NULL: nobody listens
    void *user;
} rml_observer;

// `out` views the node's outputs.
rml_status rml_observe(const rml_observer *observer, const rml_graph *graph, const rml_node *node,
                       const rml_tensor *out, const rml_allocator *allocator, rml_error *err);

#endif
