// What both families ask of a node's inputs: which are given, and the numbers of those that are the
// same in every run.
#ifndef RML_WRITERS_COREML_INPUTS_H
#define RML_WRITERS_COREML_INPUTS_H

#include "graph/graph.h"

static inline bool rml_input_given(const rml_node *node, int index)
{
    return index < node->in_count && node->in[index] != RML_NO_VALUE;
}

// The numbers of a small constant of integers, at most `capacity`: how many; -1 where input `index`
// is not one. Absent: 0.
int rml_input_list(const rml_graph *graph, const rml_node *node, int index, int64_t *list,
                   int capacity);
// The one number of a constant input; false where there is none, or more.
bool rml_input_number(const rml_graph *graph, const rml_node *node, int index, double *number);

// What a slice takes of some axes, which count from the front.
typedef struct rml_cuts {
    int count;
    int64_t start[RML_MAX_RANK], stop[RML_MAX_RANK], axis[RML_MAX_RANK], step[RML_MAX_RANK];
} rml_cuts;

// Both false where only a run tells. Pads: before and behind each axis.
bool rml_cuts_of(const rml_graph *graph, const rml_node *node, rml_cuts *out);
bool rml_pads_of(const rml_graph *graph, const rml_node *node, int64_t pads[][2]);

#endif
