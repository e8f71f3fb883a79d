// Results as a device with halves may give them: behind every value of f32 that an operator of the
// file gives stand two casts, to f16 and back, and trained numbers are stored as f16. To nearest
// even; what is too large becomes infinite.
//
// Left alone: values that are marked so (by importers: what an operator of the file is made of, and
// what the file itself types as f32 beside halves); integers, and floats on the
// way from integers to integers, which are sizes and indices; and all of f32 in a graph that has
// values of f16, which its operators round by themselves.
#include "graph/passes/passes.h"

#include "tensor/dtype.h"
#include "tensor/tensor.h"

#include <string.h>

typedef struct rounding {
    rml_graph *graph;
    bool *whole;       // [value_count] whether a value is made of integers alone
    bool *counts;      // ... and whether it only ever becomes integers
    rml_value_id *now; // [value_count] what stands for a value
    size_t changed;
} rounding;

// ---- integers in floats -------------------------------------------------------------------------

static bool is_float(const rml_graph *graph, rml_value_id id)
{
    return rml_dtype_is_float(graph->values[id].dtype);
}

// Whether a node makes floats of integers: a cast, or all that it reads, and not constants alone.
static bool comes_of_integers(const rounding *r, const rml_node *node)
{
    const rml_graph *graph = r->graph;
    bool any = false;
    for (int k = 0; k < node->in_count; k++) {
        const rml_value_id in = node->in[k];
        if (in == RML_NO_VALUE || graph->values[in].kind == RML_VALUE_CONSTANT)
            continue;
        if (is_float(graph, in) && !r->whole[in])
            return false;
        any = any || node->op == RML_OP_CAST || r->whole[in];
    }
    return any;
}

static void find_integers(rounding *r)
{
    const rml_graph *graph = r->graph;
    for (size_t i = 0; i < graph->node_count; i++) {
        const rml_node *node = &graph->nodes[i];
        for (int k = 0; k < node->out_count && !node->dead; k++)
            r->whole[node->out + (rml_value_id)k] = comes_of_integers(r, node);
    }
    for (size_t i = 0; i < graph->value_count; i++)
        r->counts[i] = !graph->values[i].output;
    for (size_t i = 0; i < graph->output_count; i++)
        r->counts[graph->outputs[i]] = false;
    for (size_t i = graph->node_count; i-- > 0;) {
        const rml_node *node = &graph->nodes[i];
        bool counts = true;
        for (int k = 0; k < node->out_count; k++) {
            const rml_value_id out = node->out + (rml_value_id)k;
            counts = counts && (!is_float(graph, out) || r->counts[out]);
        }
        for (int k = 0; k < node->in_count && !node->dead && !counts; k++)
            if (node->in[k] != RML_NO_VALUE)
                r->counts[node->in[k]] = false;
    }
}

// ---- rounding -----------------------------------------------------------------------------------

static bool is_rounded(const rounding *r, rml_value_id id)
{
    const rml_value *value = &r->graph->values[id];
    return value->dtype == RML_F32 && value->rounding != RML_ROUNDING_NONE &&
           !(r->whole[id] && r->counts[id]);
}

static rml_value_id rounded(rounding *r, rml_value_id id)
{
    rml_graph *graph = r->graph;
    const char *name = graph->values[id].name;
    const rml_op_attr down = {.cast = {.to = RML_F16, .asked = true}},
                      up = {.cast = {.to = RML_F32}};
    const rml_value_id half = rml_graph_add(graph, &rml_op_cast, &down, &id, 1, name);
    r->changed++;
    return rml_graph_add(graph, &rml_op_cast, &up, &half, 1, name);
}

// Trained numbers in f16, under the same name.
static void round_constant(rounding *r, rml_value *value)
{
    rml_graph *graph = r->graph;
    const rml_constant *old = value->constant;
    size_t count;
    if (old->stored.dtype == RML_F16 || !rml_shape_count(&value->shape, &count) || count == 0)
        return;
    float *wide = rml_alloc(graph->arena.allocator, count * sizeof *wide);
    uint16_t *half = rml_arena_alloc(&graph->arena, count, sizeof *half);
    rml_constant *now = rml_arena_alloc(&graph->arena, 1, sizeof *now);
    if (wide && half && now) {
        rml_constant_copy(old, RML_F32, wide);
        rml_dtype_convert(RML_F32, wide, RML_F16, half, count);
        *now = (rml_constant){.stored = rml_stored_plain(half, RML_F16, &value->shape)};
        value->constant = now;
        r->changed++;
    } else {
        rml_graph_fail(graph, RML_ERR_NOMEM, "out of memory while rounding %s", value->name);
    }
    rml_free(graph->arena.allocator, wide);
}

// What tells an operator how to work, and is no number that it computes with.
static bool is_setting(const rml_node *node, int input)
{
    return input > 0 && (node->op == RML_OP_RESIZE || node->op == RML_OP_RANGE ||
                         node->op == RML_OP_QUANTIZE || node->op == RML_OP_DEQUANTIZE);
}

static void keep_settings(rml_graph *graph)
{
    for (size_t i = 0; i < graph->node_count; i++)
        for (int k = 0; k < graph->nodes[i].in_count; k++)
            if (graph->nodes[i].in[k] != RML_NO_VALUE && is_setting(&graph->nodes[i], k))
                graph->values[graph->nodes[i].in[k]].rounding = RML_ROUNDING_NONE;
}

// The old nodes one after another, behind each the casts of what it gives.
static void append(rounding *r, const rml_node *old, rml_value_id *in)
{
    rml_graph *graph = r->graph;
    rml_node *nodes = rml_grow(graph->arena.allocator, graph->nodes, &graph->node_capacity,
                               graph->node_count + 1, sizeof *nodes);
    if (!nodes) {
        rml_graph_fail(graph, RML_ERR_NOMEM, "out of memory while rounding the graph");
        return;
    }
    graph->nodes = nodes;
    nodes[graph->node_count] = *old;
    for (int k = 0; k < old->in_count; k++)
        in[k] = old->in[k] == RML_NO_VALUE ? RML_NO_VALUE : r->now[old->in[k]];
    if (!rml_graph_set_inputs(graph, &nodes[graph->node_count], in, old->in_count))
        rml_graph_fail(graph, RML_ERR_NOMEM, "out of memory while rounding the graph");
    const rml_node_id at = (rml_node_id)graph->node_count++;
    for (int k = 0; k < old->out_count; k++) {
        const rml_value_id out = old->out + (rml_value_id)k;
        graph->values[out].producer = at;
        if (!old->dead && is_rounded(r, out))
            r->now[out] = rounded(r, out);
    }
}

// Inputs of graphs inside nodes are results of the graph around.
static void rewrite(rounding *r, bool is_inside, size_t count, const rml_node *old,
                    size_t old_count, rml_value_id *in)
{
    rml_graph *graph = r->graph;
    for (size_t i = 0; i < count; i++) {
        r->now[i] = (rml_value_id)i;
        if (graph->values[i].kind == RML_VALUE_CONSTANT && is_rounded(r, (rml_value_id)i))
            round_constant(r, &graph->values[i]);
    }
    for (size_t i = 0; i < count; i++)
        if (!is_inside && graph->values[i].kind == RML_VALUE_INPUT &&
            is_rounded(r, (rml_value_id)i))
            r->now[i] = rounded(r, (rml_value_id)i);
    for (size_t i = 0; i < old_count && graph->error.status == RML_OK; i++)
        append(r, &old[i], in);
    for (size_t i = 0; i < graph->output_count && graph->error.status == RML_OK; i++)
        graph->outputs[i] = r->now[graph->outputs[i]];
}

static bool has_f16(const rml_graph *graph)
{
    for (size_t i = 0; i < graph->value_count; i++)
        if (graph->values[i].dtype == RML_F16)
            return true;
    return false;
}

static rml_status round_graph(rml_graph *graph, bool is_inside, size_t *changed, rml_error *err)
{
    const rml_allocator *allocator = graph->arena.allocator;
    const size_t count = graph->value_count, old_count = graph->node_count;
    rml_node *old = graph->nodes;
    int most = 1;
    if (has_f16(graph))
        return RML_OK;
    for (size_t i = 0; i < old_count; i++)
        most = old[i].in_count > most ? old[i].in_count : most;
    bool *flags = rml_alloc_zero(allocator, 2 * count + 1, sizeof *flags);
    rml_value_id *ids = rml_alloc(allocator, (count + (size_t)most) * sizeof *ids);
    rounding r = {graph, flags, flags + count, ids, 0};
    rml_status status = RML_OK;
    if (flags && ids) {
        keep_settings(graph);
        find_integers(&r);
        graph->nodes = NULL;
        graph->node_count = graph->node_capacity = 0;
        rewrite(&r, is_inside, count, old, old_count, ids + count);
        rml_free(allocator, old);
        *changed += r.changed;
        status = rml_graph_finish(graph, err);
        if (status == RML_OK)
            status = rml_graph_ports_changed(graph, err);
    } else {
        status = rml_fail_nomem(err, count * sizeof *ids, "rounding the graph");
    }
    rml_free(allocator, flags);
    rml_free(allocator, ids);
    return status;
}

rml_status rml_pass_round_f16(rml_graph *graph, size_t *changed, rml_error *err)
{
    return round_graph(graph, false, changed, err);
}

rml_status rml_pass_round_f16_inside(rml_graph *graph, size_t *changed, rml_error *err)
{
    return round_graph(graph, true, changed, err);
}
