// Which shapes an input may have: what the description lists, or its ranges, in the dimensions of
// the graph's input.
#include "loaders/coreml/model.h"

#include "tensor/tensor.h"

// A shape of the feature as the last dimensions of the input's. Those in front are the input's own,
// and `unknown` where these may change.
static rml_shape spread(const rml_value *value, const rml_shape *shape, int64_t unknown)
{
    const int rank = value->shape.rank > shape->rank ? value->shape.rank : shape->rank;
    const int before = rank - shape->rank;
    rml_shape out = {.rank = rank};
    for (int i = 0; i < rank; i++)
        out.dim[i] = i >= before                ? shape->dim[i - before]
                     : value->shape.dim[i] >= 0 ? value->shape.dim[i]
                                                : unknown;
    return out;
}

// The default: what is told, else the first that is listed, else the least of each range.
static rml_shape usual_of(const rml_value *value, const rml_coreml_feature *feature)
{
    rml_shape shape = {.rank = (int)feature->rank};
    for (int i = 0; i < shape.rank; i++)
        shape.dim[i] = feature->size[i];
    if (shape.rank == 0 && feature->shape_count)
        shape = feature->shapes[0];
    if (shape.rank == 0)
        for (size_t i = 0; i < feature->range_count; i++)
            shape.dim[shape.rank++] = feature->range[i].low > 0 ? feature->range[i].low : 1;
    shape = spread(value, &shape, 1);
    for (int i = 0; i < value->shape.rank; i++)
        if (value->shape.dim[i] >= 0)
            shape.dim[i] = value->shape.dim[i];
    return shape;
}

static bool has_room(const rml_value *value, size_t rank)
{
    return value->shape.rank < 0 || rank <= (size_t)value->shape.rank;
}

rml_status rml_coreml_limit(rml_graph *graph, size_t port, const rml_coreml_feature *feature,
                            rml_error *err)
{
    const rml_value *value = &graph->values[graph->inputs[port]];
    bool fits = has_room(value, feature->rank) && has_room(value, feature->range_count);
    if (feature->shape_count == 0 && feature->range_count == 0 && !feature->optional)
        return RML_OK;
    for (size_t k = 0; k < feature->shape_count; k++)
        fits = fits && has_room(value, (size_t)feature->shapes[k].rank);
    // A description of another input than the network has: the network's counts.
    const rml_coreml_feature none = {.optional = feature->optional, .fill = feature->fill};
    const rml_coreml_feature *from = fits ? feature : &none;
    rml_shape *shapes = rml_arena_alloc(&graph->arena, from->shape_count + 1, sizeof *shapes);
    if (!shapes)
        return rml_fail_nomem(err, from->shape_count * sizeof *shapes, "the shapes of an input");
    rml_limits limits = {.usual = usual_of(value, from),
                         .shapes = shapes,
                         .shape_count = from->shape_count,
                         .optional = from->optional,
                         .fill = from->fill};
    for (size_t k = 0; k < from->shape_count; k++)
        shapes[k] = spread(value, &from->shapes[k], -1);
    rml_shape low = {.rank = (int)from->range_count}, high = low;
    for (int i = 0; i < low.rank; i++) {
        low.dim[i] = from->range[i].low;
        high.dim[i] = from->range[i].high < 0 ? -1 : from->range[i].high;
    }
    if (low.rank) {
        limits.low = spread(value, &low, 0);
        limits.high = spread(value, &high, -1);
    }
    rml_graph_limit(graph, graph->inputs[port], &limits);
    return rml_graph_finish(graph, err);
}
