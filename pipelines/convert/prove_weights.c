// Whether a file holds the numbers of a network.
#include "engine/model.h"
#include "pipelines/compare/weights.h"
#include "pipelines/convert/proving.h"
#include "writers/elements.h"
#include "writers/writing.h"

#include <stdio.h>
#include <string.h>

#define NOT_THERE SIZE_MAX

static size_t find(const rml_weights *weights, const char *name)
{
    for (size_t i = 0; i < rml_weights_count(weights); i++)
        if (strcmp(rml_weights_at(weights, i).name, name) == 0)
            return i;
    return NOT_THERE;
}

static rml_status compare(const rml_elements *own, const rml_weights *again, size_t index,
                          const rml_allocator *allocator, double *error, rml_error *err)
{
    rml_layer left = {.count = own->count, .data = (float *)own->data}, right = left;
    RML_TRY(rml_make(allocator, &right.data, own->count + 1, sizeof *right.data, "a tensor", err));
    const rml_status status = rml_weights_read_f32(again, index, right.data, right.count, err);
    if (status == RML_OK)
        *error = rml_layer_difference(&left, &right).error;
    rml_free(allocator, right.data);
    return status;
}

static rml_status compare_all(const rml_conversion *c, const rml_weights *again,
                              const char *const *names, rml_conversion_result *out, rml_error *err)
{
    const rml_graph *graph = &c->as_written->graph;
    const rml_allocator *allocator = c->as_written->allocator;
    size_t compared = 0;
    for (size_t i = 0; i < graph->value_count; i++) {
        rml_elements own;
        double error = 0;
        if (!names[i])
            continue;
        const size_t index = find(again, names[i]);
        if (index == NOT_THERE)
            return rml_fail(err, RML_ERR_FORMAT, "%s is not there", names[i]);
        RML_TRY(rml_elements_take(&own, &graph->values[i], RML_F32, allocator, err));
        const rml_status status = compare(&own, again, index, allocator, &error, err);
        rml_elements_release(&own);
        RML_TRY(status);
        if (compared++ == 0 || error > out->error) {
            out->error = error;
            snprintf(out->output, sizeof out->output, "%s", names[i]);
        }
    }
    if (compared == 0)
        return rml_fail(err, RML_ERR_FORMAT, "%s has no weights", c->from);
    return RML_OK;
}

rml_status rml_prove_weights(const rml_conversion *c, const rml_weights *again,
                             rml_conversion_result *out, rml_error *err)
{
    rml_arena arena;
    const char **names;
    rml_arena_init(&arena, c->as_written->allocator);
    rml_status status = rml_name_weights(&c->as_written->graph, &arena, &names, err);
    if (status == RML_OK)
        status = compare_all(c, again, names, out, err);
    rml_arena_release(&arena);
    if (status == RML_OK && !(out->error <= out->bound))
        status = rml_fail(err, RML_ERR_FORMAT,
                          "holds other numbers than %s: the error of %s is %.1e of the largest "
                          "value, above %.1e",
                          c->from, out->output, out->error, out->bound);
    return status;
}

// So that files that are read whole do not fill memory.
static void drop_pages(const rml_model *model)
{
    if (model->drop_pages)
        model->drop_pages(model->user);
}

rml_status rml_prove_same_weights(const rml_proving *p, rml_error *err)
{
    const rml_conversion *c = p->conversion;
    const rml_graph *graph = &c->source->graph;
    for (size_t i = 0; i < graph->node_count; i++) {
        const rml_node *node = &graph->nodes[i];
        bool weighted = false;
        double difference = 0;
        for (int k = 0; k < node->in_count && !node->dead; k++)
            weighted = weighted || (node->in[k] != RML_NO_VALUE &&
                                    graph->values[node->in[k]].kind == RML_VALUE_CONSTANT);
        if (weighted)
            RML_TRY(rml_weights_difference(c->source, node->name, p->again, node->name, &difference,
                                           err));
        if (weighted) {
            drop_pages(c->source);
            drop_pages(p->again);
        }
        if (difference > RML_SAME_WEIGHTS)
            return rml_fail(err, RML_ERR_FORMAT,
                            "holds other numbers than %s: the weights of %s differ by %.1e of "
                            "their squares",
                            c->from, node->name, difference);
    }
    return RML_OK;
}
