// One node computed by itself, outside of any plan.
#ifndef RML_GRAPH_EVALUATE_H
#define RML_GRAPH_EVALUATE_H

#include "graph/graph.h"

// Runs the node on plain views with the portable kernels and one thread: for folding constants and
// for sizes, where speed is nothing and the same bits on every machine are much. Memory of `out`
// is the caller's. Constants that the operator packs are read from the graph.
rml_status rml_evaluate(const rml_graph *graph, const rml_node *node, const rml_tensor *in,
                        const rml_tensor *out, rml_error *err);

// Whether the node can be computed now: from the elements of all its inputs, or, where the operator
// asks for no more, from their shapes.
bool rml_node_computable(const rml_node *node, const rml_fact *in, const rml_fact *out);

// Computes it: out[].data, in `arena`.
rml_status rml_node_compute(const rml_graph *graph, const rml_node *node, const rml_fact *in,
                            rml_fact *out, rml_arena *arena, rml_error *err);

#endif
