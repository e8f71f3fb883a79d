// Nodes of a file become nodes of a graph, one after another, by the handlers of their operators.
#include "loaders/onnx/importer.h"

#include <stdio.h>
#include <string.h>

// ---- values -------------------------------------------------------------------------------------

void rml_onnx_set(rml_onnx_importer *importer, uint32_t value, rml_value_id to)
{
    if (value != RML_ONNX_NONE)
        importer->place[value] =
            (rml_onnx_place){importer->inside->graph, to, RML_STANDS_FOR_ITSELF};
}

static rml_status add_initializer(rml_onnx_importer *importer, uint32_t number, rml_value_id *out)
{
    const rml_onnx_value *value = &importer->file->value[number];
    rml_graph *graph = importer->inside->graph;
    rml_onnx_stand_in stand_in;
    *out = rml_onnx_add_tensor(graph, value->name, value->tensor, &stand_in);
    RML_TRY(rml_graph_finish(graph, importer->err));
    if (*out == RML_NO_VALUE)
        return rml_fail(importer->err, RML_ERR_UNSUPPORTED,
                        "tensor \"%s\" has elements of type %s, which are not supported",
                        value->name, rml_onnx_element_name(value->tensor->element));
    importer->place[number] = (rml_onnx_place){graph, *out, stand_in};
    return RML_OK;
}

rml_status rml_onnx_look_up(rml_onnx_importer *importer, uint32_t number, rml_value_id *out)
{
    *out = RML_NO_VALUE;
    if (number == RML_ONNX_NONE)
        return RML_OK;
    const rml_onnx_place place = importer->place[number];
    const rml_onnx_value *value = &importer->file->value[number];
    if (place.graph == importer->inside->graph) {
        *out = place.value;
        return RML_OK;
    }
    if (value->kind == RML_ONNX_INITIALIZER)
        return add_initializer(importer, number, out);
    return rml_fail(importer->err, RML_ERR_INTERNAL, "value \"%s\" is read before it is there",
                    value->name);
}

rml_status rml_onnx_add_output(rml_onnx_importer *importer, uint32_t number, const char *name,
                               bool *refused)
{
    rml_graph *graph = importer->inside->graph;
    rml_value_id value;
    RML_TRY(rml_onnx_look_up(importer, number, &value));
    *refused = value == RML_NO_VALUE || value == RML_ONNX_REFUSED;
    if (*refused)
        return RML_OK;
    if (importer->place[number].stand_in == RML_STANDS_FOR_FEW_BITS)
        return rml_fail(importer->err, RML_ERR_UNSUPPORTED,
                        "output \"%s\" has elements of fewer than 8 bits, which are not supported",
                        name);
    if (graph->values[value].kind != RML_VALUE_ACTIVATION) {
        const rml_op_attr same = {.cast = {.to = graph->values[value].dtype}};
        value = rml_graph_node(graph, RML_OP_CAST, &same, &value, 1, name);
    }
    rml_graph_output(graph, name, value);
    return RML_OK;
}

// ---- nodes --------------------------------------------------------------------------------------

static rml_status cast_inputs(rml_onnx_call *call, rml_value_id *in, rml_dtype *back)
{
    *back = RML_F32;
    for (int i = 0; i < call->in_count; i++) {
        if (in[i] == RML_NO_VALUE)
            continue;
        const rml_dtype dtype = call->graph->values[in[i]].dtype;
        if (dtype != RML_F16 && dtype != RML_BF16 && dtype != RML_F64)
            continue;
        *back = *back == RML_F32 ? dtype : *back;
        in[i] = rml_onnx_cast(call, in[i], RML_F32);
    }
    return rml_graph_finish(call->graph, call->importer->err);
}

static void check_attributes(rml_onnx_call *call)
{
    for (size_t i = 0; i < call->node->attribute_count && !call->refused; i++)
        if (!(call->asked[i / 64] >> (i % 64) & 1) &&
            strncmp(call->node->attribute[i].name, "__", 2) != 0) // a tool's own notes
            rml_onnx_refuse(call, "attribute \"%s\" is not known", call->node->attribute[i].name);
}

// Errors of builder calls become refusals, but for those that nothing can go on after.
static rml_status check_graph(rml_onnx_call *call)
{
    rml_graph *graph = call->graph;
    const rml_status status = graph->error.status;
    if (status == RML_OK)
        return RML_OK;
    if (rml_status_is_final(status))
        return rml_graph_finish(graph, call->importer->err);
    const rml_error error = graph->error;
    graph->error.status = RML_OK;
    (status == RML_ERR_SHAPE ? rml_onnx_misfit : rml_onnx_refuse)(call, "%s", error.message);
    return RML_OK;
}

static rml_status handle(rml_onnx_call *call, rml_value_id *in)
{
    const rml_onnx_entry *entry = call->importer->entry;
    rml_graph *graph = call->graph;
    const size_t before = graph->node_count, first = graph->value_count;
    rml_dtype back = RML_F32;
    if (entry->f32)
        RML_TRY(cast_inputs(call, in, &back));
    if (entry->import)
        entry->import(call);
    else
        rml_onnx_import_plain(call, entry->op, entry->fields);
    for (int k = 0; k < call->out_count && back != RML_F32; k++)
        if (call->out[k] < graph->value_count && graph->values[call->out[k]].dtype == RML_F32)
            call->out[k] = rml_onnx_cast(call, call->out[k], back);
    check_attributes(call);
    RML_TRY(check_graph(call));
    for (int k = 0; k < call->out_count && !call->refused; k++)
        if (rml_onnx_wants(call, k) && call->out[k] == RML_NO_VALUE)
            rml_onnx_refuse(call, "output %d is not supported", k);
    if (call->refused)
        return RML_OK;
    RML_TRY(rml_graph_fold_from(graph, before, NULL, call->importer->err));
    rml_graph_mark_inner(graph, first, call->out, (size_t)call->out_count);
    return RML_OK;
}

// In the tables of all families.
static const rml_onnx_entry *find_entry(const char *op_type)
{
    static const rml_onnx_entry *const families[] = {
        rml_onnx_convolution,  rml_onnx_core,          rml_onnx_elementwise, rml_onnx_index,
        rml_onnx_pooling,      rml_onnx_product,       rml_onnx_quantize,    rml_onnx_recurrent,
        rml_onnx_resampling,   rml_onnx_shape,         rml_onnx_spectrum,    rml_onnx_norm,
        rml_onnx_reduce,       rml_onnx_attention,     rml_onnx_ngrams,      rml_onnx_trees,
        rml_onnx_old_trees,    rml_onnx_linear_models, rml_onnx_features,    rml_onnx_svm,
        rml_onnx_transformers, rml_onnx_qlinear,       rml_onnx_blocks,
    };
    for (size_t f = 0; f < sizeof families / sizeof *families; f++)
        for (const rml_onnx_entry *entry = families[f]; entry->op_type; entry++)
            if (strcmp(entry->op_type, op_type) == 0)
                return entry;
    return NULL;
}

// Operators of other domains than ONNX's own have entries with the domain in front.
static const rml_onnx_entry *entry_of(const rml_onnx_node *node)
{
    char name[128];
    if (!*node->domain)
        return find_entry(node->op_type);
    const int length = snprintf(name, sizeof name, "%s.%s", node->domain, node->op_type);
    return length < (int)sizeof name ? find_entry(name) : NULL;
}

static bool is_known(const char *domain)
{
    return !*domain || strcmp(domain, "ai.onnx.ml") == 0 || strcmp(domain, "com.microsoft") == 0;
}

// Why no handler can be asked, or NULL.
static const char *why_not(const rml_onnx_importer *importer, const rml_onnx_node *node, char *text,
                           size_t capacity)
{
    const rml_onnx_entry *entry = importer->entry;
    if (!entry && !is_known(node->domain))
        snprintf(text, capacity, "operators of domain \"%s\" are not supported", node->domain);
    else if (!entry)
        return "this operator is not supported";
    else if (node->opset > RML_ONNX_MAX_OPSET)
        snprintf(text, capacity, "opset %lld is newer than this program, which knows %d",
                 (long long)node->opset, RML_ONNX_MAX_OPSET);
    else if (node->opset < entry->since)
        snprintf(text, capacity, "its meaning before opset %lld is not supported",
                 (long long)entry->since);
    else
        return NULL;
    return text;
}

// What the outputs stand for by the inputs; the operator is refused where it takes none such.
static rml_onnx_stand_in stands_for(rml_onnx_call *call)
{
    const rml_onnx_stand_ins takes = call->importer->entry->stand_ins;
    rml_onnx_stand_in first = RML_STANDS_FOR_ITSELF;
    for (size_t i = 0; i < call->node->input_count; i++) {
        const uint32_t value = call->node->input[i];
        const rml_onnx_stand_in now =
            value == RML_ONNX_NONE ? RML_STANDS_FOR_ITSELF : call->importer->place[value].stand_in;
        if (now == RML_STANDS_FOR_FEW_BITS && takes == RML_STAND_INS_REFUSED)
            rml_onnx_refuse(call, "input %zu has elements of fewer than 8 bits", i);
        // Two lists of strings have places of their own.
        if (now == RML_STANDS_FOR_STRINGS && (takes != RML_STAND_INS_KEPT || i > 0))
            rml_onnx_refuse(call, "input %zu has strings", i);
        first = i == 0 ? now : first;
    }
    return takes == RML_STAND_INS_KEPT ? first : RML_STANDS_FOR_ITSELF;
}

static rml_status translate(rml_onnx_importer *importer, const rml_onnx_node *node,
                            rml_value_id *in, rml_value_id *out)
{
    bool refused = false;
    rml_onnx_stand_in stand_in = RML_STANDS_FOR_ITSELF;
    if (strcmp(node->domain, "com.microsoft.nchwc") == 0)
        return rml_fail(importer->err, RML_ERR_UNSUPPORTED,
                        "ONNX Runtime has laid this file out for the machine that wrote it; have "
                        "it write the file anew with ORT_ENABLE_EXTENDED in place of "
                        "ORT_ENABLE_ALL");
    for (size_t k = 0; k < node->output_count; k++)
        out[k] = RML_NO_VALUE;
    for (size_t i = 0; i < node->input_count; i++) {
        RML_TRY(rml_onnx_look_up(importer, node->input[i], &in[i]));
        refused = refused || in[i] == RML_ONNX_REFUSED;
    }
    if (importer->file->watch)
        RML_TRY(rml_onnx_tell_node(importer, node, in));
    importer->entry = entry_of(node);
    const char *reason = why_not(importer, node, importer->text, sizeof importer->text);
    if (reason) {
        RML_TRY(rml_onnx_add_refusal(importer, node, in, reason, false));
        refused = true;
    }
    if (!refused) {
        rml_onnx_call call = {.graph = importer->inside->graph,
                              .node = node,
                              .name = rml_onnx_node_name(importer->file, node),
                              .opset = node->opset,
                              .in = in,
                              .in_count = (int)node->input_count,
                              .out = out,
                              .out_count = (int)node->output_count,
                              .importer = importer};
        call.stand_in = stands_for(&call);
        if (!call.refused)
            RML_TRY(handle(&call, in));
        stand_in = call.stand_in;
        refused = call.refused;
    }
    for (size_t k = 0; k < node->output_count; k++) {
        rml_onnx_set(importer, node->output[k], refused ? RML_ONNX_REFUSED : out[k]);
        if (node->output[k] != RML_ONNX_NONE)
            importer->place[node->output[k]].stand_in = stand_in;
    }
    if (importer->file->watch && !refused)
        rml_onnx_tell_results(importer, node, out);
    return RML_OK;
}

// A value of a function stands for what that of its call does, and the other way round.
static void take_stand_in(rml_onnx_importer *importer, uint32_t to, uint32_t from)
{
    if (to != RML_ONNX_NONE && from != RML_ONNX_NONE)
        importer->place[to].stand_in = importer->place[from].stand_in;
}

// The body of a function takes the place of its call.
static rml_status write_out(rml_onnx_importer *importer, const rml_onnx_node *node,
                            rml_value_id *in, rml_value_id *out)
{
    const rml_onnx_function *function = node->function;
    const rml_onnx_frame frame = {node, function, importer->frame};
    for (size_t i = 0; i < node->input_count; i++)
        RML_TRY(rml_onnx_look_up(importer, node->input[i], &in[i]));
    for (size_t i = 0; i < function->body.input_count; i++) {
        rml_onnx_set(importer, function->body.input[i],
                     i < node->input_count ? in[i] : RML_NO_VALUE);
        take_stand_in(importer, function->body.input[i],
                      i < node->input_count ? node->input[i] : RML_ONNX_NONE);
    }
    importer->frame = &frame;
    rml_status status = rml_onnx_import_nodes(importer, &function->body);
    importer->frame = frame.caller;
    RML_TRY(status);
    for (size_t k = 0; k < node->output_count; k++) {
        if (k >= function->body.output_count)
            return rml_fail(importer->err, RML_ERR_FORMAT,
                            "node \"%s\" has more outputs than its function %s", node->name,
                            function->name);
        RML_TRY(rml_onnx_look_up(importer, function->body.output[k], &out[k]));
    }
    for (size_t k = 0; k < node->output_count; k++) {
        rml_onnx_set(importer, node->output[k], out[k]);
        take_stand_in(importer, node->output[k], function->body.output[k]);
    }
    return RML_OK;
}

rml_status rml_onnx_import_nodes(rml_onnx_importer *importer, const rml_onnx_graph *graph)
{
    for (size_t i = 0; i < graph->node_count; i++) {
        const rml_onnx_node *node = &graph->node[i];
        const size_t count = node->input_count + node->output_count + 1;
        rml_value_id *values = rml_alloc(importer->allocator, count * sizeof *values);
        if (!values)
            return rml_fail_nomem(importer->err, count * sizeof *values, "a node");
        rml_value_id *out = values + node->input_count;
        const rml_status status = node->function ? write_out(importer, node, values, out)
                                                 : translate(importer, node, values, out);
        rml_free(importer->allocator, values);
        RML_TRY(status);
    }
    return RML_OK;
}

bool rml_onnx_import_in_place(rml_onnx_call *call, const rml_onnx_graph *from, rml_value_id *out)
{
    rml_onnx_importer *importer = call->importer;
    const rml_onnx_entry *entry = importer->entry;
    rml_error *outer = importer->err;
    importer->err = &importer->inner;
    rml_status status = rml_onnx_import_nodes(importer, from);
    for (size_t k = 0; k < from->output_count && status == RML_OK; k++) {
        status = rml_onnx_look_up(importer, from->output[k], &out[k]);
        call->refused = call->refused || out[k] == RML_ONNX_REFUSED;
    }
    importer->err = outer;
    importer->entry = entry;
    if (status != RML_OK)
        rml_graph_fail(call->graph, status, "%s", importer->inner.message);
    return status == RML_OK && !call->refused;
}
