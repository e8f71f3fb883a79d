// Sizes that are not known before the run, by name: which of them are the same in every run.
#ifndef RML_GRAPH_SYMBOLS_H
#define RML_GRAPH_SYMBOLS_H

#include "graph/graph.h"

// Gives every dimension that is not known a number below -1, a symbol, in facts[value_count]: the
// inputs' by name, the others by the operators' own rules, which copy what they copy. Two
// dimensions with one symbol are equal in every run; two with different ones may be.
rml_status rml_graph_symbols(const rml_graph *graph, rml_fact *facts, rml_arena *arena,
                             rml_error *err);

#endif
