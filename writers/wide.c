// Which values of a network in halves stay floats: what a logarithm is made of that is told apart
// down to less than halves have.
#include "writers/writing.h"

#include "tensor/tensor.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#define LEAST_HALF 0x1p-14 // with all its bits
#define LEAST_MEANT 1e-37  // below it a number only keeps zero out

// The one number of a constant; 0: there is none, or there are several.
static float number_of(const rml_value *value)
{
    float number;
    size_t count;
    if (value->kind != RML_VALUE_CONSTANT || value->dtype != RML_F32 ||
        !rml_shape_count(&value->shape, &count) || count != 1)
        return 0;
    rml_constant_copy(value->constant, RML_F32, &number);
    return number;
}

// The least number that a value is kept above, by sums with a constant and by limits; 0: none.
static float least_of(const rml_graph *graph, rml_value_id id)
{
    float least = 0;
    while (graph->values[id].kind == RML_VALUE_ACTIVATION) {
        const rml_node *node = &graph->nodes[graph->values[id].producer];
        if (node->op != RML_OP_BINARY ||
            (node->attr.binary.kind != RML_BINARY_ADD && node->attr.binary.kind != RML_BINARY_MAX))
            break;
        const float a = number_of(&graph->values[node->in[0]]),
                    b = number_of(&graph->values[node->in[1]]), number = a != 0 ? a : b;
        if (number == 0)
            break;
        least = fmaxf(least, fabsf(number));
        id = node->in[a != 0];
    }
    return least;
}

// Adds the inputs of all nodes that compute one; false where there is a graph inside a node.
static bool add_causes(const rml_graph *graph, bool *wide)
{
    for (size_t i = graph->node_count; i-- > 0;) {
        const rml_node *node = &graph->nodes[i];
        bool own = false;
        for (int k = 0; k < node->out_count && !node->dead; k++)
            own = own || wide[node->out + (rml_value_id)k];
        if (own && node->def->control)
            return false;
        for (int k = 0; own && k < node->out_count; k++)
            wide[node->out + (rml_value_id)k] = true;
        for (int k = 0; own && k < node->in_count; k++)
            if (node->in[k] != RML_NO_VALUE)
                wide[node->in[k]] = true;
    }
    return true;
}

static void say(const rml_writing *w, const rml_graph *graph, const char *name, float least,
                const bool *wide)
{
    char line[512];
    size_t count = 0;
    for (size_t v = 0; v < graph->value_count; v++)
        count += wide[v] && graph->values[v].kind == RML_VALUE_ACTIVATION;
    snprintf(line, sizeof line,
             "%s (log) and the %zu values that it is computed from stay floats: it tells numbers "
             "down to %.2g apart, and halves do not",
             name, count - 1, (double)least);
    if (w->settings.log)
        w->settings.log(w->settings.log_user, line);
}

rml_status rml_find_wide(const rml_writing *w, rml_graph *graph, bool **out, rml_error *err)
{
    const char *name = NULL;
    float least = 0;
    bool *wide = rml_arena_alloc(&graph->arena, graph->value_count + 1, sizeof *wide);
    *out = NULL;
    if (!wide)
        return rml_fail_nomem(err, graph->value_count, "the values of a graph");
    memset(wide, 0, graph->value_count * sizeof *wide);
    for (size_t i = 0; i < graph->node_count; i++) {
        const rml_node *node = &graph->nodes[i];
        if (node->dead || node->op != RML_OP_UNARY || node->attr.unary.kind != RML_UNARY_LOG)
            continue;
        const float own = least_of(graph, node->in[0]);
        if (own < (float)LEAST_MEANT || own >= (float)LEAST_HALF)
            continue;
        wide[node->out] = true;
        name = name ? name : node->name;
        least = least > 0 ? fminf(least, own) : own;
    }
    if (!name || !add_causes(graph, wide))
        return RML_OK;
    say(w, graph, name, least, wide);
    *out = wide;
    return RML_OK;
}
