// What inputs and outputs stand for: images with the order of their colours, classes with labels.
#include "loaders/coreml/model.h"

#include "tensor/tensor.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

// ---- labels -------------------------------------------------------------------------------------

void rml_coreml_set_labels(rml_coreml_values *values, const rml_text *text, const int64_t *number,
                           size_t count)
{
    char clean[RML_METADATA_TEXT_BYTES];
    rml_arena *arena = &values->graph->arena;
    const char **label = rml_arena_alloc(arena, count + 1, sizeof *label);
    bool memory = label != NULL;
    for (size_t i = 0; i < count && memory; i++) {
        if (text)
            rml_text_clean(clean, sizeof clean, text[i].text, text[i].bytes);
        else
            snprintf(clean, sizeof clean, "%" PRId64, number[i]);
        memory = (label[i] = rml_arena_text(arena, clean)) != NULL;
    }
    if (!memory)
        rml_graph_fail(values->graph, RML_ERR_NOMEM, "out of memory for %zu labels", count);
    else
        values->classes = (rml_meaning){.label_count = count, .label = label, .numbered = !text};
}

// ---- images -------------------------------------------------------------------------------------

static bool is_shape_of_images(const rml_shape *shape, int64_t channels)
{
    if (shape->rank < 0)
        return true;
    if (shape->rank < (channels == 1 ? 2 : 3))
        return false;
    const int64_t planes = shape->rank < 3 ? 1 : shape->dim[shape->rank - 3];
    return planes < 0 || planes == channels;
}

// Whether the last thing that computes a value gives no more than 1: levels that nobody can see.
static bool is_dark(const rml_graph *graph, rml_value_id id)
{
    while (graph->values[id].kind == RML_VALUE_ACTIVATION) {
        const rml_node *node = &graph->nodes[graph->values[id].producer];
        const rml_activation *act = &node->attr.unary;
        if (node->op == RML_OP_UNARY)
            return act->kind == RML_UNARY_SIGMOID || act->kind == RML_UNARY_HARD_SIGMOID ||
                   act->kind == RML_UNARY_TANH ||
                   (act->kind == RML_UNARY_CLAMP && act->param[1] <= 1);
        if (node->op != RML_OP_RESHAPE && node->op != RML_OP_CAST && node->op != RML_OP_TRANSPOSE)
            return node->op == RML_OP_SOFTMAX;
        id = node->in[0];
    }
    return false;
}

// ---- ports --------------------------------------------------------------------------------------

rml_status rml_coreml_mean(rml_coreml_values *values, const rml_coreml_ports *ports, bool output,
                           size_t port, const rml_coreml_feature *feature, rml_error *err)
{
    rml_graph *graph = values->graph;
    const rml_value_id id = output ? graph->outputs[port] : graph->inputs[port];
    const rml_shape *shape = &graph->values[id].shape;
    const bool is_rgb = feature->color == RML_COREML_RGB, is_bgr = feature->color == RML_COREML_BGR;
    const int64_t channels = is_rgb || is_bgr ? 3 : 1;
    rml_meaning meaning = {.kind = RML_MEANS_IMAGE,
                           .colours = is_rgb   ? RML_COLOURS_RGB
                                      : is_bgr ? RML_COLOURS_BGR
                                               : RML_COLOURS_GRAY,
                           .deviation = {1, 1, 1},
                           .declared = true,
                           .dark = output && is_dark(graph, id)};
    if (feature->kind == RML_COREML_IMAGE) {
        char text[RML_SHAPE_TEXT_BYTES];
        if (!is_shape_of_images(shape, channels))
            return rml_fail(
                err, RML_ERR_FORMAT, "%s \"%s\" is an image of %d plane%s, and the network %s %s",
                output ? "output" : "input", feature->name, (int)channels, channels == 1 ? "" : "s",
                output ? "gives" : "takes", rml_shape_text(shape, text));
    } else {
        const bool is_scores = feature->kind == RML_COREML_DICTIONARY;
        if (!output || !values->classes.label ||
            (!is_scores && strcmp(feature->name, ports->predicted) != 0))
            return RML_OK;
        meaning = values->classes;
        meaning.kind = is_scores ? RML_MEANS_SCORES : RML_MEANS_LABEL;
        meaning.declared = true;
    }
    rml_graph_mean(graph, output, port, &meaning);
    return rml_graph_finish(graph, err);
}
