// Lowering the graphs inside nodes.
#ifndef RML_WRITERS_LOWER_INSIDE_H
#define RML_WRITERS_LOWER_INSIDE_H

#include "writers/writing.h"

// What is known of an input of a graph inside a node.
typedef struct rml_given {
    const rml_value *constant; // of the graph around, which takes its place; NULL: it is an input
    rml_shape shape;           // where the graph itself tells less
} rml_given;

// The nodes of `from` to l->to. `given` is of its inputs, or NULL.
rml_status rml_lower_graph(rml_lowering *l, const rml_graph *from, const rml_given *given,
                           rml_error *err);

// Graphs inside a node become others, inside the graph that is made. `in` are the node's inputs,
// less afterwards where constants go into the graphs.
rml_status rml_lower_inside(rml_lowering *l, rml_node *node, rml_value_id *in, rml_error *err);

#endif
