#include "graph/passes/passes.h"

#include <string.h>

// Rebuilds the node list with reorders put in front of the nodes that need them.
typedef struct rewrite {
    rml_graph *graph;
    rml_node *nodes; // the new list
    size_t count, capacity;
    rml_value_id *twin; // of each old value: the same in the other layout, or RML_NO_VALUE
    bool *wanted;       // of each old value: an operator that wants images reads it
    size_t values;      // length of both
    size_t changed;
} rewrite;

static bool append(rewrite *rw, const rml_node *node)
{
    rml_node *grown = rml_grow(rw->graph->arena.allocator, rw->nodes, &rw->capacity, rw->count + 1,
                               sizeof *grown);
    if (!grown)
        return false;
    rw->nodes = grown;
    grown[rw->count] = *node;
    for (int k = 0; k < node->out_count; k++)
        rw->graph->values[node->out + (rml_value_id)k].producer = (rml_node_id)rw->count;
    rw->count++;
    return true;
}

// Only operators that want images make values channels-last whose rank is not known: should they
// turn out to have another one, the layout says nothing.
static bool is_image(const rml_graph *graph, rml_value_id id)
{
    if (id == RML_NO_VALUE)
        return false;
    const rml_value *value = &graph->values[id];
    return (value->shape.rank == 4 || value->layout == RML_LAYOUT_CHANNELS_LAST) &&
           value->dtype == RML_F32 && value->kind != RML_VALUE_CONSTANT;
}

// Convolutions of one dimension take images of one row, and so do their transposes.
static bool may_be_image(const rml_node *node, const rml_value *value)
{
    const int rank = value->shape.rank;
    const bool conv = node->op == RML_OP_CONV || node->op == RML_OP_CONV_TRANSPOSE;
    return (rank == 4 || rank == RML_RANK_UNKNOWN || (rank == 3 && conv)) &&
           value->dtype == RML_F32;
}

// Only convolutions know images of one row.
static bool is_row(const rml_value *value)
{
    return value->shape.rank == 3;
}

// The value in the wanted layout: itself, its twin, or a new reorder's output. RML_NO_VALUE when
// memory is out.
static rml_value_id in_layout(rewrite *rw, rml_value_id id, rml_layout layout)
{
    rml_graph *graph = rw->graph;
    if (graph->values[id].layout == layout)
        return id;
    if (rw->twin[id] != RML_NO_VALUE)
        return rw->twin[id];
    const rml_op_attr attr = {.layout_transform = {layout}};
    const rml_value_id out =
        rml_graph_add(graph, &rml_op_layout_transform, &attr, &id, 1, graph->values[id].name);
    if (out == RML_NO_VALUE)
        return out;
    // the builder put it at the end of the old list: take it over into the new one
    const rml_node node = graph->nodes[--graph->node_count];
    graph->values[out].layout = layout;
    rw->twin[id] = out;
    rw->changed++;
    return append(rw, &node) ? out : RML_NO_VALUE;
}

static rml_layout layout_for(const rml_graph *graph, const rml_node *node)
{
    switch (rml_node_layout(node)) {
    case RML_OP_CHANNELS_LAST:
        return RML_LAYOUT_CHANNELS_LAST;
    case RML_OP_FOLLOW:
        if (graph->values[node->out].dtype != RML_F32) // what is no image is plain
            return RML_LAYOUT_PLAIN;
        // What may turn out to be an image or not stays plain, and so does all that is beside it.
        for (int k = 0; k < node->in_count; k++)
            if (node->in[k] != RML_NO_VALUE &&
                graph->values[node->in[k]].shape.rank == RML_RANK_UNKNOWN)
                return RML_LAYOUT_PLAIN;
        // channels-last as soon as one image is: its neighbours are most likely convolutions
        for (int k = 0; k < node->in_count; k++)
            if (is_image(graph, node->in[k]) && !is_row(&graph->values[node->in[k]]) &&
                graph->values[node->in[k]].layout == RML_LAYOUT_CHANNELS_LAST)
                return RML_LAYOUT_CHANNELS_LAST;
        return RML_LAYOUT_PLAIN;
    default:
        return RML_LAYOUT_PLAIN;
    }
}

// Whether a node would have its image turned for nothing: repeating pixels is as easy in a plain
// image, unless a channels-last one is wanted, and others say themselves that they are as fast.
static bool stays_plain(const rewrite *rw, const rml_node *node)
{
    const bool repeats = node->op == RML_OP_RESIZE &&
                         node->attr.resize.mode == RML_INTERPOLATION_NEAREST &&
                         !rw->wanted[node->out];
    // Behind a convolution that a channels-last image is wanted of there may be more to turn.
    if (!repeats && (!rml_graph_plain_as_well(rw->graph, node) ||
                     (node->op == RML_OP_CONV && rw->wanted[node->out])))
        return false;
    const rml_value_id in = node->in[0];
    return rw->graph->values[in].layout == RML_LAYOUT_PLAIN &&
           (repeats || rw->twin[in] == RML_NO_VALUE);
}

// Whether the node reads a plain image that nobody has turned yet, and turns it on the way.
static bool stays_planes(const rewrite *rw, const rml_node *node)
{
    const rml_value_id in = node->in[0];
    return rw->graph->values[in].layout == RML_LAYOUT_PLAIN && rw->twin[in] == RML_NO_VALUE &&
           rml_graph_takes_planes(rw->graph, node);
}

static rml_status rewrite_node(rewrite *rw, size_t index, rml_error *err)
{
    rml_graph *graph = rw->graph;
    rml_node node = graph->nodes[index];
    rml_graph_classify(graph, &node); // more may be constant by now
    node.generic = node.generic || stays_plain(rw, &node);
    const rml_op_layout takes = rml_node_layout(&node);
    const rml_layout layout =
        takes == RML_OP_ANY ? node.attr.layout_transform.layout : layout_for(graph, &node);
    rml_value_id *in = rml_arena_alloc(&graph->arena, (size_t)node.in_count, sizeof *in);
    if (!in)
        return rml_fail_nomem(err, (size_t)node.in_count * sizeof *in, "the layout pass");
    for (int k = 0; k < node.in_count; k++) {
        in[k] = node.in[k];
        const bool is_constant =
            in[k] != RML_NO_VALUE && graph->values[in[k]].kind == RML_VALUE_CONSTANT;
        if (takes == RML_OP_ANY || (is_constant && rml_op_packs(node.def, k)))
            continue;
        // A constant is plain. Operators that follow take it so beside images of any layout.
        const bool wanted = takes == RML_OP_CHANNELS_LAST && in[k] != RML_NO_VALUE &&
                            may_be_image(&node, &graph->values[in[k]]);
        if (!is_image(graph, in[k]) && !wanted)
            continue;
        const bool plain = (takes == RML_OP_FOLLOW && is_row(&graph->values[in[k]])) ||
                           (takes == RML_OP_CHANNELS_LAST && k == 0 && stays_planes(rw, &node));
        in[k] = in_layout(rw, in[k], plain ? RML_LAYOUT_PLAIN : layout);
        if (in[k] == RML_NO_VALUE)
            return rml_fail_nomem(err, sizeof node, "the layout pass");
    }
    node.in = in;
    for (int k = 0; k < node.out_count; k++) {
        rml_value *out = &graph->values[node.out + (rml_value_id)k];
        const bool is_told = out->shape.rank == 4 || takes == RML_OP_CHANNELS_LAST;
        if (is_told && may_be_image(&node, out))
            out->layout = layout;
    }
    return append(rw, &node) ? RML_OK : rml_fail_nomem(err, sizeof node, "the layout pass");
}

static void find_wanted(const rewrite *rw)
{
    memset(rw->wanted, 0, rw->values + 1);
    for (size_t i = 0; i < rw->graph->node_count; i++) {
        const rml_node *node = &rw->graph->nodes[i];
        for (int k = 0; k < node->in_count && !node->dead; k++)
            if (node->in[k] != RML_NO_VALUE && rml_node_layout(node) == RML_OP_CHANNELS_LAST)
                rw->wanted[node->in[k]] = true;
    }
}

rml_status rml_pass_layout(rml_graph *graph, size_t *changed, rml_error *err)
{
    const rml_allocator *allocator = graph->arena.allocator;
    rewrite rw = {.graph = graph, .values = graph->value_count};
    rml_status status = RML_OK;
    // Reorders read old values only, so twins of old values are all there can be.
    rw.twin = rml_alloc(allocator, (rw.values + 1) * sizeof *rw.twin);
    rw.wanted = rml_alloc(allocator, rw.values + 1);
    if (!rw.twin || !rw.wanted) {
        rml_free(allocator, rw.twin);
        rml_free(allocator, rw.wanted);
        return rml_fail_nomem(err, rw.values * sizeof *rw.twin, "the layout pass");
    }
    memset(rw.twin, 0xFF, (rw.values + 1) * sizeof *rw.twin);
    find_wanted(&rw);
    const size_t old_count = graph->node_count;
    for (size_t i = 0; i < old_count && status == RML_OK; i++)
        if (!graph->nodes[i].dead)
            status = rewrite_node(&rw, i, err);
    for (size_t i = 0; i < graph->output_count && status == RML_OK; i++) {
        if (!is_image(graph, graph->outputs[i]))
            continue;
        graph->outputs[i] = in_layout(&rw, graph->outputs[i], RML_LAYOUT_PLAIN);
        if (graph->outputs[i] == RML_NO_VALUE)
            status = rml_fail_nomem(err, sizeof(rml_node), "the layout pass");
    }
    rml_free(allocator, rw.twin);
    rml_free(allocator, rw.wanted);
    if (status != RML_OK) {
        rml_free(allocator, rw.nodes);
        return status;
    }
    rml_free(allocator, graph->nodes);
    graph->nodes = rw.nodes;
    graph->node_count = rw.count;
    graph->node_capacity = rw.capacity;
    *changed += rw.changed;
    return rml_graph_ports_changed(graph, err);
}
