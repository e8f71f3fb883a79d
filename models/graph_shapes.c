// A graph file that is one of our networks, with its numbers in other dimensions: files of iOS 12
// have a channel behind a list, and sequence and batch in front of an array.
#include "models/networks.h"

#include <string.h>

// The nodes from `first` on compute what others read that lie in front of them.
static void move_to_front(rml_graph *graph, size_t first)
{
    const size_t moved = graph->node_count - first;
    for (size_t i = first; i < graph->node_count; i++) {
        const rml_node node = graph->nodes[i];
        memmove(&graph->nodes[i - first + 1], &graph->nodes[i - first], first * sizeof node);
        graph->nodes[i - first] = node;
    }
    for (size_t i = 0; i < graph->value_count; i++) {
        rml_node_id *at = &graph->values[i].producer;
        if (*at != RML_NO_NODE)
            *at = (rml_node_id)(*at >= first ? *at - first : *at + moved);
    }
}

void rml_graph_read_instead(rml_graph *graph, rml_value_id input, rml_value_id x, size_t first)
{
    for (size_t i = 0; i < first && x != RML_NO_VALUE; i++)
        for (int k = 0; k < graph->nodes[i].in_count; k++)
            if (graph->nodes[i].in[k] == input) // inputs are owned by the graph's arena
                ((rml_value_id *)(uintptr_t)graph->nodes[i].in)[k] = x;
    move_to_front(graph, first);
}

// ---- dimensions ---------------------------------------------------------------------------------

static size_t count_rank(const rml_graph *graph, bool outputs, int rank)
{
    const rml_value_id *ports = outputs ? graph->outputs : graph->inputs;
    size_t count = 0;
    for (size_t i = 0; i < (outputs ? graph->output_count : graph->input_count); i++)
        count += graph->values[ports[i]].shape.rank == rank;
    return count;
}

// Whether `graph` has fewer ports of this rank than `like`.
static bool lacks(const rml_graph *graph, const rml_graph *like, bool outputs, int rank)
{
    return count_rank(graph, outputs, rank) < count_rank(like, outputs, rank);
}

static void choose(rml_shape *shape, const int *order, int rank)
{
    const rml_shape from = *shape;
    shape->rank = rank;
    for (int i = 0; i < rank; i++)
        shape->dim[i] = from.dim[order[i]];
}

// Of the dimensions that an input has it keeps order[0 .. rank), and so do those it may have.
static rml_status take_dims(rml_graph *graph, rml_value_id input, const int *order, int rank,
                            rml_error *err)
{
    rml_value *value = &graph->values[input];
    const char *names[RML_MAX_RANK] = {NULL};
    for (int i = 0; i < rank && value->dim_names; i++)
        names[i] = value->dim_names[order[i]];
    if (value->dim_names)
        rml_graph_name_dims(graph, input, names);
    if (value->limits) {
        rml_limits limits = *value->limits;
        rml_shape *shapes = rml_arena_alloc(&graph->arena, limits.shape_count + 1, sizeof *shapes);
        if (!shapes)
            return rml_fail_nomem(err, limits.shape_count * sizeof *shapes, "shapes");
        choose(&limits.usual, order, rank);
        if (limits.low.rank) {
            choose(&limits.low, order, rank);
            choose(&limits.high, order, rank);
        }
        for (size_t k = 0; k < limits.shape_count; k++) {
            shapes[k] = limits.shapes[k];
            choose(&shapes[k], order, rank);
        }
        limits.shapes = shapes;
        rml_graph_limit(graph, input, &limits);
    }
    choose(&value->shape, order, rank);
    return rml_graph_finish(graph, err);
}

// The shape of an output, known of the input sizes `of` (NULL: of what the graph says).
static rml_status output_shape(const rml_graph *graph, size_t output, const rml_shape *of,
                               rml_shape *out, rml_error *err)
{
    rml_arena arena;
    rml_fact *facts = rml_alloc_zero(graph->arena.allocator, graph->value_count, sizeof *facts);
    if (!facts)
        return rml_fail_nomem(err, graph->value_count * sizeof *facts, "shape inference");
    rml_arena_init(&arena, graph->arena.allocator);
    for (size_t i = 0; i < graph->input_count; i++) {
        facts[graph->inputs[i]] = rml_graph_fact(graph, graph->inputs[i]);
        if (of)
            facts[graph->inputs[i]].shape = *of;
    }
    const rml_status status = rml_graph_infer(graph, facts, &arena, err);
    *out = facts[graph->outputs[output]].shape;
    rml_arena_release(&arena);
    rml_free(graph->arena.allocator, facts);
    return status;
}

// ---- inputs -------------------------------------------------------------------------------------

// (N,1) as the list (N).
static rml_status take_list(rml_graph *graph, rml_value_id input, rml_error *err)
{
    const size_t first = graph->node_count;
    RML_TRY(take_dims(graph, input, (const int[]){0}, 1, err));
    rml_graph_read_instead(
        graph, input,
        rml_graph_reshape(graph, input, &(rml_shape){2, {-1, 1}}, graph->values[input].name),
        first);
    return rml_graph_finish(graph, err);
}

// Whether all dimensions but the last `rank` are 1, or may be, and one of these at most may change.
static bool leads_with_ones(const rml_shape *shape, int rank)
{
    size_t unknown = 0;
    for (int i = 0; i < shape->rank; i++) {
        if (i < shape->rank - rank && shape->dim[i] != 1 && shape->dim[i] >= 0)
            return false;
        unknown += i >= shape->rank - rank && shape->dim[i] < 0;
    }
    return shape->rank >= rank && unknown <= 1;
}

// (1,1,C,H,W) as (C,H,W).
static rml_status take_last(rml_graph *graph, rml_value_id input, int rank, rml_error *err)
{
    const size_t first = graph->node_count;
    rml_shape back = graph->values[input].shape;
    const int more = back.rank - rank;
    int order[RML_MAX_RANK];
    for (int i = 0; i < more; i++)
        back.dim[i] = 1;
    for (int i = 0; i < rank; i++)
        order[i] = more + i;
    RML_TRY(take_dims(graph, input, order, rank, err));
    rml_graph_read_instead(
        graph, input, rml_graph_reshape(graph, input, &back, graph->values[input].name), first);
    return rml_graph_finish(graph, err);
}

// Whether inputs (A,B,I) give a row for each B: then they are sequences (T,N,I).
static bool has_batch_behind(const rml_graph *graph)
{
    enum { STEPS = 7, ROWS = 5 }; // sizes to tell them apart by, where they may change
    rml_shape in = graph->values[graph->inputs[0]].shape, out;
    rml_error error;
    if (in.rank != 3 || in.dim[0] == 1 || in.dim[2] < 0)
        return false;
    in.dim[0] = in.dim[0] < 0 ? STEPS : in.dim[0];
    in.dim[1] = in.dim[1] < 0 ? ROWS : in.dim[1];
    return in.dim[0] != in.dim[1] && output_shape(graph, 0, &in, &out, &error) == RML_OK &&
           out.rank >= 2 && leads_with_ones(&out, 2) && out.dim[out.rank - 2] == in.dim[1];
}

static rml_status turn_sequence(rml_graph *graph, rml_error *err)
{
    static const int turned[] = {1, 0, 2};
    const rml_value_id input = graph->inputs[0];
    const size_t first = graph->node_count;
    if (!has_batch_behind(graph))
        return RML_OK;
    RML_TRY(take_dims(graph, input, turned, 3, err));
    rml_graph_read_instead(graph, input,
                           rml_graph_transpose(graph, input, turned, 3, graph->values[input].name),
                           first);
    return rml_graph_finish(graph, err);
}

static rml_status take_inputs(rml_graph *graph, const rml_graph *like, rml_error *err)
{
    for (size_t i = 0; i < like->input_count; i++) {
        const int rank = like->values[like->inputs[i]].shape.rank;
        for (size_t k = 0; k < graph->input_count && lacks(graph, like, false, rank); k++) {
            const rml_shape *shape = &graph->values[graph->inputs[k]].shape;
            if (count_rank(graph, false, shape->rank) <= count_rank(like, false, shape->rank))
                continue;
            if (rank == 1 && shape->rank == 2 && shape->dim[1] == 1)
                RML_TRY(take_list(graph, graph->inputs[k], err));
            else if (rank > 1 && shape->rank > rank && leads_with_ones(shape, rank))
                RML_TRY(take_last(graph, graph->inputs[k], rank, err));
        }
    }
    return RML_OK;
}

// ---- outputs ------------------------------------------------------------------------------------

// (1,N,C) as (N,C), where N may be what the first input has of them.
static rml_status take_rows(rml_graph *graph, size_t output, int rank, rml_error *err)
{
    const rml_shape *in = graph->input_count ? &graph->values[graph->inputs[0]].shape : NULL;
    rml_shape all, last = {.rank = rank};
    RML_TRY(output_shape(graph, output, NULL, &all, err));
    bool fits = leads_with_ones(&all, rank) && in && in->rank > 0;
    const int64_t rows_of = fits ? all.dim[all.rank - rank] : -1;
    fits = fits && (rows_of < 0 || in->dim[0] < 0 || rows_of == in->dim[0]);
    for (int i = 0; i < all.rank - rank && fits; i++)
        fits = all.dim[i] == 1;
    if (!fits)
        return RML_OK;
    for (int i = 0; i < rank; i++)
        last.dim[i] = all.dim[all.rank - rank + i];
    const rml_value_id rows =
        rml_graph_reshape(graph, graph->outputs[output], &last, graph->output_names[output]);
    RML_TRY(rml_graph_finish(graph, err));
    graph->outputs[output] = rows;
    return RML_OK;
}

static rml_status take_outputs(rml_graph *graph, const rml_graph *like, rml_error *err)
{
    for (size_t i = 0; i < like->output_count; i++) {
        const int rank = like->values[like->outputs[i]].shape.rank;
        for (size_t k = 0; k < graph->output_count && lacks(graph, like, true, rank); k++)
            if (rank > 1 && graph->values[graph->outputs[k]].shape.rank > rank)
                RML_TRY(take_rows(graph, k, rank, err));
    }
    return RML_OK;
}

rml_status rml_graph_take_shapes(rml_graph *graph, const rml_graph *like, rml_error *err)
{
    RML_TRY(take_inputs(graph, like, err));
    if (graph->input_count == 1 && like->input_count == 1 && graph->output_count > 0 &&
        like->values[like->inputs[0]].shape.rank == 3)
        RML_TRY(turn_sequence(graph, err));
    return take_outputs(graph, like, err);
}
