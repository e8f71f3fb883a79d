// What the profile knows of one node, over all plans.
#ifndef RML_ENGINE_NODE_TIME_H
#define RML_ENGINE_NODE_TIME_H

#include "graph/graph.h"

typedef struct rml_node_time {
    uint64_t runs, macs;
    double total_ms;
} rml_node_time;

// Nodes of a graph and of all inside it.
size_t rml_node_times_count(const rml_graph *graph);

// Where those of `graph`, which is `root` or inside it, lie among those of `root`; NULL where there
// are none.
rml_node_time *rml_node_times_of(rml_node_time *times, const rml_graph *root,
                                 const rml_graph *graph);

// Milliseconds of a clock that never goes back.
double rml_clock_ms(void);

#endif
