// Which shapes an input may have, beyond those that its dimensions allow.
#include "graph/graph.h"

#include "tensor/format.h"
#include "tensor/tensor.h"

#define SHAPES_TOLD 8   // of a list
#define TEXT_BYTES 4096 // of so many shapes of RML_MAX_RANK sizes, whatever they are

static bool is_listed(const rml_limits *limits, const rml_shape *shape)
{
    bool listed = limits->shape_count == 0;
    for (size_t k = 0; k < limits->shape_count && !listed; k++)
        listed = rml_shapes_agree(&limits->shapes[k], shape);
    return listed;
}

static bool is_in_range(const rml_limits *limits, const rml_shape *shape)
{
    const rml_shape *low = &limits->low, *high = &limits->high;
    bool inside = low->rank == 0 || low->rank == shape->rank;
    for (int i = 0; i < low->rank && inside; i++)
        inside =
            shape->dim[i] >= low->dim[i] && (high->dim[i] < 0 || shape->dim[i] <= high->dim[i]);
    return inside;
}

// "1x3x(64..512)x(64..)", "?" for any size. Returns how many bytes it has.
static size_t tell_range(char *text, size_t room, const rml_shape *low, const rml_shape *high)
{
    size_t used = low->rank ? 0 : (size_t)rml_format(text, room, "()");
    for (int i = 0; i < low->rank && used < room; i++) {
        const int64_t from = low->dim[i], to = high->dim[i];
        const char *x = i ? "x" : "";
        char *at = text + used;
        const size_t left = room - used;
        int wrote;
        if (from == to && from >= 0)
            wrote = rml_format(at, left, "%s%lld", x, (long long)from);
        else if (from <= 1 && to < 0)
            wrote = rml_format(at, left, "%s?", x);
        else if (to < 0)
            wrote = rml_format(at, left, "%s(%lld..)", x, (long long)from);
        else
            wrote = rml_format(at, left, "%s(%lld..%lld)", x, (long long)from, (long long)to);
        used += (size_t)wrote;
    }
    return used;
}

static void tell(char *text, const rml_limits *limits)
{
    size_t used = 0;
    *text = 0;
    if (limits->low.rank)
        tell_range(text, TEXT_BYTES, &limits->low, &limits->high);
    for (size_t k = 0; k < limits->shape_count && k < SHAPES_TOLD; k++) {
        used += (size_t)rml_format(text + used, TEXT_BYTES - used, k ? ", " : "");
        used += tell_range(text + used, TEXT_BYTES - used, &limits->shapes[k], &limits->shapes[k]);
    }
    if (limits->shape_count > SHAPES_TOLD)
        rml_format(text + used, TEXT_BYTES - used, ", and %zu more",
                   limits->shape_count - SHAPES_TOLD);
}

void rml_graph_limit(rml_graph *graph, rml_value_id input, const rml_limits *limits)
{
    char text[TEXT_BYTES];
    if (graph->error.status != RML_OK)
        return;
    tell(text, limits);
    rml_limits *copy = rml_arena_alloc(&graph->arena, 1, sizeof *copy);
    rml_shape *shapes =
        rml_arena_alloc(&graph->arena, limits->shape_count + 1, sizeof *limits->shapes);
    const char *words = rml_arena_text(&graph->arena, text);
    if (!copy || !shapes || !words) {
        rml_graph_fail(graph, RML_ERR_NOMEM, "out of memory for the shapes of an input");
        return;
    }
    *copy = *limits;
    for (size_t k = 0; k < limits->shape_count; k++)
        shapes[k] = limits->shapes[k];
    copy->shapes = shapes;
    copy->text = words;
    graph->values[input].limits = copy;
}

rml_status rml_value_check_limits(const rml_value *input, const rml_shape *shape, rml_error *err)
{
    const rml_limits *limits = input->limits;
    char got[RML_SHAPE_TEXT_BYTES];
    if (!limits || (is_listed(limits, shape) && is_in_range(limits, shape)))
        return RML_OK;
    tell_range(got, sizeof got, shape, shape);
    return rml_fail(err, RML_ERR_SHAPE, "input %s: shape %s is not allowed; allowed: %s",
                    input->name, got, limits->text);
}
