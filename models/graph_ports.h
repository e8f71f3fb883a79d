// A graph file that is one of our networks, under names and in an order of its own.
#ifndef RML_MODELS_GRAPH_PORTS_H
#define RML_MODELS_GRAPH_PORTS_H

#include "graph/graph.h"

// Gives the inputs and outputs of `graph` the names and the order of those of `like`, to which they
// are matched by name, or else by rank and sizes. Further outputs of `graph` are dropped. Other
// element types than those of `like` are refused unless they may stay (`keep_types`).
rml_status rml_graph_take_ports(rml_graph *graph, const rml_graph *like, bool keep_types,
                                rml_error *err);

// Puts a softmax behind the first output, (N, classes), where there is none: files that classify
// often end in logits.
rml_status rml_graph_end_in_softmax(rml_graph *graph, rml_error *err);

#endif
