// Graphs of f16 and bf16: what computes on such numbers does it in f32, from one end of the graph
// to the other, for the kernels are f32. An operator on its own would widen and round every value
// of its own; here a value is widened once, and rounded where half the bytes are what is wanted:
// for outputs, graphs inside nodes, and casts to whole numbers. Results lie nearer to what the same
// numbers give in f32.
#include "graph/passes/passes.h"

#include <string.h>

typedef enum kind {
    KEEPS,    // takes its inputs in the type they have in the file
    FOLLOWS,  // moves elements: half where its inputs are there so
    COMPUTES, // in f32
} kind;

static kind kind_of(const rml_node *node)
{
    switch (node->op) {
    case RML_OP_CAST:
    case RML_OP_BITCAST:
    case RML_OP_RANGE: // steps are rounded
    case RML_OP_EYE:
    case RML_OP_WINDOW_FUNCTION:
    case RML_OP_MEL_WEIGHTS:
    case RML_OP_QUANTIZE:
    case RML_OP_DEQUANTIZE:
    case RML_OP_REQUANTIZE:
    case RML_OP_DYNAMIC_QUANTIZE:
    case RML_OP_IF:
    case RML_OP_LOOP:
    case RML_OP_SCAN:
        return KEEPS;
    case RML_OP_RESIZE: // nearest: there is no other of half
    case RML_OP_CONCAT:
    case RML_OP_SLICE:
    case RML_OP_SPLIT:
    case RML_OP_RESHAPE:
    case RML_OP_TRANSPOSE:
    case RML_OP_EXPAND:
    case RML_OP_SPACE_TO_DEPTH:
    case RML_OP_DEPTH_TO_SPACE:
    case RML_OP_SHAPE:
    case RML_OP_SIZE:
    case RML_OP_NONZERO:
    case RML_OP_SQUEEZE:
    case RML_OP_UNSQUEEZE:
    case RML_OP_FLATTEN:
    case RML_OP_PAD:
    case RML_OP_TILE:
    case RML_OP_GATHER:
    case RML_OP_GATHER_ELEMENTS:
    case RML_OP_GATHER_ND:
    case RML_OP_SCATTER_ELEMENTS:
    case RML_OP_SCATTER_ND:
    case RML_OP_TENSOR_SCATTER:
    case RML_OP_WHERE:
    case RML_OP_COMPRESS:
    case RML_OP_TRILU:
    case RML_OP_REVERSE_SEQUENCE:
    case RML_OP_ONE_HOT:
    case RML_OP_CENTER_CROP_PAD:
        return FOLLOWS;
    default:
        return COMPUTES;
    }
}

// Of each value of the old graph: its id with the type it has in the file, and in f32; RML_NO_VALUE
// where there is none yet.
typedef struct rewrite {
    rml_graph *graph;
    rml_value_id *filed, *wide;
    size_t changed;
} rewrite;

static rml_value_id cast(rewrite *rw, rml_value_id id, rml_dtype to)
{
    const rml_op_attr attr = {.cast = {.to = to}};
    return rml_graph_add(rw->graph, &rml_op_cast, &attr, &id, 1, rw->graph->values[id].name);
}

static rml_value_id filed_of(rewrite *rw, rml_value_id id)
{
    if (rw->filed[id] == RML_NO_VALUE)
        rw->filed[id] = cast(rw, rw->wide[id], rw->graph->values[id].dtype);
    return rw->filed[id];
}

// Constants are f32 to operators, and stay as they are stored.
static rml_value_id wide_of(rewrite *rw, rml_value_id id)
{
    const rml_value *value = &rw->graph->values[id];
    if (!rml_dtype_is_half(value->dtype))
        return filed_of(rw, id);
    if (rw->wide[id] == RML_NO_VALUE)
        rw->wide[id] = value->kind == RML_VALUE_CONSTANT
                           ? rml_graph_constant(rw->graph, value->name, value->constant)
                           : cast(rw, rw->filed[id], RML_F32);
    return rw->wide[id];
}

static bool widens(const rewrite *rw, const rml_node *node)
{
    const kind takes = kind_of(node);
    bool half = false, only_wide = false;
    for (int k = 0; k < node->in_count; k++)
        if (node->in[k] != RML_NO_VALUE &&
            rml_dtype_is_half(rw->graph->values[node->in[k]].dtype)) {
            half = true;
            only_wide = only_wide || rw->filed[node->in[k]] == RML_NO_VALUE;
        }
    return half && (takes == COMPUTES || (takes == FOLLOWS && only_wide));
}

// The same node in f32.
static void widen(rewrite *rw, const rml_node *node, rml_value_id *in)
{
    rml_graph *graph = rw->graph;
    for (int k = 0; k < node->in_count; k++)
        in[k] = node->in[k] == RML_NO_VALUE ? RML_NO_VALUE : wide_of(rw, node->in[k]);
    const rml_value_id out =
        rml_graph_add(graph, node->def, &node->attr, in, node->in_count, node->name);
    for (int k = 0; k < node->out_count && out != RML_NO_VALUE; k++) {
        const rml_value_id old = node->out + (rml_value_id)k, now = out + (rml_value_id)k;
        graph->values[now].shape = graph->values[old].shape;
        *(graph->values[now].dtype == graph->values[old].dtype ? &rw->filed[old] : &rw->wide[old]) =
            now;
    }
    rw->changed++;
}

// A cast to f32 of what is there in f32 is that; and one from f32 that the file did not ask for is
// left to those who want half.
static bool is_there(rewrite *rw, const rml_node *node)
{
    const rml_value *values = rw->graph->values;
    const rml_value_id in = node->in[0], out = node->out;
    if (node->op != RML_OP_CAST || rml_graph_is_output(rw->graph, out))
        return false;
    if (node->attr.cast.to == RML_F32 && rml_dtype_is_half(values[in].dtype)) {
        rw->filed[out] = rw->wide[in];
        return rw->wide[in] != RML_NO_VALUE;
    }
    if (rml_dtype_is_half(node->attr.cast.to) && values[in].dtype == RML_F32 &&
        !node->attr.cast.asked) {
        rw->wide[out] = rw->filed[in];
        return true;
    }
    return false;
}

// The same node as it is.
static void keep(rewrite *rw, const rml_node *node, rml_value_id *in)
{
    rml_graph *graph = rw->graph;
    for (int k = 0; k < node->in_count; k++)
        in[k] = node->in[k] == RML_NO_VALUE ? RML_NO_VALUE : filed_of(rw, node->in[k]);
    rml_node *nodes = rml_grow(graph->arena.allocator, graph->nodes, &graph->node_capacity,
                               graph->node_count + 1, sizeof *nodes);
    if (!nodes) {
        rml_graph_fail(graph, RML_ERR_NOMEM, "out of memory while widening the graph");
        return;
    }
    graph->nodes = nodes;
    nodes[graph->node_count] = *node;
    if (!rml_graph_set_inputs(graph, &nodes[graph->node_count], in, node->in_count))
        rml_graph_fail(graph, RML_ERR_NOMEM, "out of memory while widening the graph");
    for (int k = 0; k < node->out_count; k++) {
        graph->values[node->out + (rml_value_id)k].producer = (rml_node_id)graph->node_count;
        rw->filed[node->out + (rml_value_id)k] = node->out + (rml_value_id)k;
    }
    graph->node_count++;
}

static bool has_half(const rml_graph *graph)
{
    for (size_t i = 0; i < graph->value_count; i++)
        if (rml_dtype_is_half(graph->values[i].dtype))
            return true;
    return false;
}

static int most_inputs(const rml_graph *graph)
{
    int most = 1;
    for (size_t i = 0; i < graph->node_count; i++)
        most = graph->nodes[i].in_count > most ? graph->nodes[i].in_count : most;
    return most;
}

rml_status rml_pass_widen(rml_graph *graph, size_t *changed, rml_error *err)
{
    if (!has_half(graph))
        return RML_OK;
    const rml_allocator *allocator = graph->arena.allocator;
    const size_t count = graph->value_count, old_count = graph->node_count;
    rml_node *old = graph->nodes;
    rml_value_id *ids = rml_alloc(allocator, 2 * count * sizeof *ids);
    rml_value_id *in = rml_alloc(allocator, (size_t)most_inputs(graph) * sizeof *in);
    if (!ids || !in) {
        rml_free(allocator, ids);
        rml_free(allocator, in);
        return rml_fail_nomem(err, 2 * count * sizeof *ids, "widening the graph");
    }
    rewrite rw = {.graph = graph, .filed = ids, .wide = ids + count};
    memset(ids, 0xFF, 2 * count * sizeof *ids);
    for (size_t i = 0; i < count; i++)
        if (graph->values[i].kind != RML_VALUE_ACTIVATION)
            rw.filed[i] = (rml_value_id)i;
    graph->nodes = NULL;
    graph->node_count = graph->node_capacity = 0;
    for (size_t i = 0; i < old_count && graph->error.status == RML_OK; i++) {
        if (old[i].dead || is_there(&rw, &old[i]))
            continue;
        if (widens(&rw, &old[i]))
            widen(&rw, &old[i], in);
        else
            keep(&rw, &old[i], in);
    }
    for (size_t i = 0; i < graph->output_count && graph->error.status == RML_OK; i++)
        graph->outputs[i] = filed_of(&rw, graph->outputs[i]);
    *changed += rw.changed;
    rml_free(allocator, old);
    rml_free(allocator, ids);
    rml_free(allocator, in);
    RML_TRY(rml_graph_finish(graph, err));
    return rml_graph_ports_changed(graph, err);
}
