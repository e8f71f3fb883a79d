// What an import tells: nodes that cannot be run, and all nodes to who watches.
#include "loaders/onnx/importer.h"

#include <stdio.h>
#include <string.h>

enum {
    INPUTS_TEXT = 192,
    REFUSALS = 256, // kinds that are told apart; a file may have a million
};

static void write_inputs(const rml_graph *graph, const rml_value_id *in, size_t count, char *text)
{
    size_t used = 0;
    text[0] = 0;
    for (size_t i = 0; i < count && in && used + 1 < INPUTS_TEXT; i++) {
        char shape[RML_SHAPE_TEXT_BYTES] = "";
        const bool there = in[i] < graph->value_count;
        const rml_value *value = there ? &graph->values[in[i]] : NULL;
        if (value && value->shape.rank >= 0)
            rml_shape_text(&value->shape, shape);
        used += (size_t)snprintf(text + used, INPUTS_TEXT - used, "%s%s%s", i ? ", " : "",
                                 value ? rml_dtype_name(value->dtype) : "-",
                                 value && value->shape.rank < 0 ? "(?)" : shape);
    }
}

rml_status rml_onnx_add_refusal(rml_onnx_importer *importer, const rml_onnx_node *node,
                                const rml_value_id *in, const char *reason, bool misfit)
{
    const rml_onnx_watch *watch = importer->file->watch;
    if (watch)
        watch->refused(watch->user, node, reason, misfit);
    for (size_t i = 0; i < importer->refusal_count; i++) {
        rml_onnx_refusal *at = &importer->refusal[i];
        if (strcmp(at->op_type, node->op_type) == 0 && strcmp(at->domain, node->domain) == 0 &&
            at->opset == node->opset && strcmp(at->reason, reason) == 0) {
            at->count++;
            return RML_OK;
        }
    }
    if (importer->refusal_count == REFUSALS) {
        importer->refusals_more++;
        return RML_OK;
    }
    rml_onnx_refusal *grown =
        rml_grow(importer->allocator, importer->refusal, &importer->refusal_capacity,
                 importer->refusal_count + 1, sizeof *grown);
    if (!grown)
        return rml_fail_nomem(importer->err, sizeof *grown, "a list of refusals");
    importer->refusal = grown;
    char inputs[INPUTS_TEXT];
    write_inputs(importer->inside->graph, in, node->input_count, inputs);
    const rml_onnx_refusal refusal = {
        .op_type = node->op_type,
        .domain = node->domain,
        .opset = node->opset,
        .node = rml_arena_text(&importer->arena, node->name),
        .inputs = rml_arena_text(&importer->arena, inputs),
        .reason = rml_arena_text(&importer->arena, reason),
        .count = 1,
    };
    if (!refusal.node || !refusal.inputs || !refusal.reason)
        return rml_fail_nomem(importer->err, sizeof *grown, "a list of refusals");
    grown[importer->refusal_count++] = refusal;
    return RML_OK;
}

rml_status rml_onnx_list_refusals(const rml_onnx_importer *importer)
{
    char text[RML_MESSAGE_BYTES - 256] = "";
    size_t used = 0, shown = 0;
    for (; shown < importer->refusal_count; shown++) {
        const rml_onnx_refusal *at = &importer->refusal[shown];
        char line[1024], more[48] = "";
        if (at->count > 1)
            snprintf(more, sizeof more, " and %zu more", at->count - 1);
        const int length = snprintf(
            line, sizeof line, "%s%s%s%.64s (opset %lld, node \"%.64s\"%s) on %s: %.400s",
            shown ? "; " : "", *at->domain ? at->domain : "", *at->domain ? "." : "", at->op_type,
            (long long)at->opset, at->node, more, *at->inputs ? at->inputs : "nothing", at->reason);
        const size_t bytes = strlen(line);
        if (length < 0 || used + bytes + 1 > sizeof text)
            break;
        memcpy(text + used, line, bytes + 1);
        used += bytes;
    }
    if (shown < importer->refusal_count)
        return rml_fail(importer->err, RML_ERR_UNSUPPORTED,
                        "%s%zu kinds of nodes cannot be run: %s; and %zu more kinds",
                        importer->refusals_more ? "more than " : "", importer->refusal_count, text,
                        importer->refusal_count - shown);
    return rml_fail(importer->err, RML_ERR_UNSUPPORTED, "%zu kind%s of nodes cannot be run: %s",
                    importer->refusal_count, importer->refusal_count == 1 ? "" : "s", text);
}

// ---- to who watches -----------------------------------------------------------------------------

rml_status rml_onnx_tell_node(const rml_onnx_importer *importer, const rml_onnx_node *node,
                              const rml_value_id *in)
{
    const rml_onnx_watch *watch = importer->file->watch;
    const rml_graph *graph = importer->inside->graph;
    int *types = rml_alloc(importer->allocator, (node->input_count + 1) * sizeof *types);
    if (!types)
        return rml_fail_nomem(importer->err, node->input_count * sizeof *types, "types");
    for (size_t i = 0; i < node->input_count; i++)
        types[i] = in[i] < graph->value_count &&
                           importer->place[node->input[i]].stand_in == RML_STANDS_FOR_ITSELF
                       ? (int)graph->values[in[i]].dtype
                       : -1;
    watch->node(watch->user, node, types);
    rml_free(importer->allocator, types);
    return RML_OK;
}

void rml_onnx_tell_results(const rml_onnx_importer *importer, const rml_onnx_node *node,
                           const rml_value_id *out)
{
    const rml_onnx_watch *watch = importer->file->watch;
    const rml_graph *graph = importer->inside->graph;
    for (size_t k = 0; k < node->output_count; k++)
        if (node->output[k] != RML_ONNX_NONE && out[k] < graph->value_count &&
            importer->place[node->output[k]].stand_in == RML_STANDS_FOR_ITSELF)
            watch->result(watch->user, node, &importer->file->value[node->output[k]],
                          graph->values[out[k]].dtype, &graph->values[out[k]].shape);
}
