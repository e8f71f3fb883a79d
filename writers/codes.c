// Which narrow integers may be whole floats where a target has no others: what nothing computes
// with but products, whose sums are wider.
#include "ops/matmul/quantize.h"
#include "writers/rewrite.h"

#include <string.h>

// Inputs of a node whose elements are those of its outputs: none, or from..to.
typedef struct span {
    int from, to;
} span;

static span moved(const rml_graph *graph, const rml_node *node)
{
    const span none = {0, 0}, first = {0, 1};
    switch (node->op) {
    case RML_OP_RESHAPE:
    case RML_OP_SQUEEZE:
    case RML_OP_UNSQUEEZE:
    case RML_OP_FLATTEN:
    case RML_OP_TRANSPOSE:
    case RML_OP_SLICE:
    case RML_OP_SPLIT:
    case RML_OP_EXPAND:
    case RML_OP_TILE:
    case RML_OP_SPACE_TO_DEPTH:
    case RML_OP_DEPTH_TO_SPACE:
    case RML_OP_GATHER:
    case RML_OP_GATHER_ELEMENTS:
    case RML_OP_GATHER_ND:
        return first;
    case RML_OP_CAST:
        return node->attr.cast.to == graph->values[node->in[0]].dtype ? first : none;
    case RML_OP_CONCAT:
        return (span){0, node->in_count};
    case RML_OP_WHERE:
        return (span){1, 3};
    default:
        return none;
    }
}

static bool is_row(const rml_graph *graph, const rml_node *node, int k)
{
    return k >= node->in_count || node->in[k] == RML_NO_VALUE ||
           (graph->values[node->in[k]].shape.rank >= 0 &&
            graph->values[node->in[k]].shape.rank <= 1);
}

// Whether codes and numbers go into each other by one scale, or one for each place or block of an
// axis: what rml_rewrite_quantize makes floats of.
static bool is_plain(const rml_graph *graph, const rml_node *node)
{
    const rml_quantize_attr *attr = &node->attr.quantize;
    const bool floats = graph->values[node->in[1]].dtype == RML_F32 &&
                        (node->op == RML_OP_QUANTIZE ? attr->precision : attr->to) == RML_F32;
    const rml_shape *x = &graph->values[node->in[0]].shape;
    const int axis = attr->axis + (attr->axis < 0 ? x->rank : 0);
    const bool fit = attr->block > 0 ? x->rank > 0 && x->dim[axis] > 0 &&
                                           graph->values[node->in[1]].shape.rank == x->rank
                                     : is_row(graph, node, 1) && is_row(graph, node, 2);
    return floats && fit && x->rank >= 0;
}

// By scales of the file, and one zero point: what rml_rewrite_requantize makes floats of.
static bool can_requantize(const rml_graph *graph, const rml_node *node)
{
    size_t counts[5] = {0};
    for (int k = 1; k < 5 && node->op == RML_OP_REQUANTIZE; k++)
        if (graph->values[node->in[k]].kind != RML_VALUE_CONSTANT ||
            !rml_shape_count(&graph->values[node->in[k]].shape, &counts[k]))
            return false;
    return node->op == RML_OP_REQUANTIZE && (counts[1] == 1 || counts[2] == 1) && counts[3] == 1 &&
           counts[4] == 1;
}

// Whether input `k`, which is not moved, is read as the number that it is.
static bool is_read(const rml_graph *graph, const rml_node *node, const bool *codes, int k)
{
    double low, high;
    switch (node->op) {
    case RML_OP_INTEGER_MATMUL:
    case RML_OP_INTEGER_CONV:
        return true;
    case RML_OP_REQUANTIZE:
        return k == 4 && codes[node->out] && can_requantize(graph, node);
    case RML_OP_QUANTIZE:
        return k == 2 && codes[node->out] && is_plain(graph, node);
    case RML_OP_DEQUANTIZE: // also of i32, which are no codes
        return k != 1 && (k == 0 || codes[node->in[0]]) && is_plain(graph, node);
    case RML_OP_CAST:
        return k == 0 && !rml_code_range(node->attr.cast.to, &low, &high) &&
               graph->values[node->in[0]].dtype != node->attr.cast.to;
    default:
        return false;
    }
}

static void drop(bool *codes, rml_value_id id, bool *changed)
{
    if (id == RML_NO_VALUE || !codes[id])
        return;
    codes[id] = false;
    *changed = true;
}

// What one node leaves of them.
static void look_at(const rml_graph *graph, const rml_node *node, bool *codes, bool *changed)
{
    const span data = moved(graph, node);
    bool all = data.to > 0;
    for (int k = data.from; k < data.to && k < node->in_count; k++)
        all = all && node->in[k] != RML_NO_VALUE && codes[node->in[k]];
    for (int k = 0; k < node->out_count; k++)
        all = all && codes[node->out + (rml_value_id)k];
    for (int k = 0; k < node->in_count; k++)
        if (!(all && k >= data.from && k < data.to) && !is_read(graph, node, codes, k))
            drop(codes, node->in[k], changed);
    const bool makes = node->op == RML_OP_DYNAMIC_QUANTIZE || can_requantize(graph, node) ||
                       (node->op == RML_OP_QUANTIZE && is_plain(graph, node));
    for (int k = 0; k < node->out_count; k++)
        if (!all && !makes)
            drop(codes, node->out + (rml_value_id)k, changed);
    if (node->op == RML_OP_INTEGER_MATMUL || node->op == RML_OP_INTEGER_CONV) {
        bool some = false; // are none
        for (int k = 0; k < node->in_count; k++)
            some = some || (node->in[k] != RML_NO_VALUE && !codes[node->in[k]]);
        for (int k = 0; k < node->in_count && some; k++)
            drop(codes, node->in[k], changed);
    }
    if (node->op == RML_OP_DYNAMIC_QUANTIZE && codes[node->out] != codes[node->out + 2]) {
        drop(codes, node->out, changed); // codes and zero point are floats, or neither is
        drop(codes, node->out + 2, changed);
    }
}

void rml_find_codes(const rml_graph *graph, bool inside, bool *codes)
{
    double low, high;
    for (size_t v = 0; v < graph->value_count; v++)
        codes[v] = rml_code_range(graph->values[v].dtype, &low, &high);
    for (size_t i = 0; inside && i < graph->input_count; i++)
        codes[graph->inputs[i]] = false;
    for (size_t i = 0; inside && i < graph->output_count; i++)
        codes[graph->outputs[i]] = false;
    for (bool changed = true; changed;) {
        changed = false;
        for (size_t i = 0; i < graph->node_count; i++)
            if (!graph->nodes[i].dead)
                look_at(graph, &graph->nodes[i], codes, &changed);
        for (size_t i = graph->node_count; i-- > 0;)
            if (!graph->nodes[i].dead)
                look_at(graph, &graph->nodes[i], codes, &changed);
    }
}
