// Operations of a program become nodes of a graph, one after another, by their handlers.
#include "loaders/coreml/mil_importer.h"

#include <stdio.h>
#include <string.h>

// ---- names --------------------------------------------------------------------------------------

rml_status rml_mil_define(rml_mil_importer *importer, const char *name, const rml_mil_place *place)
{
    size_t now = 0;
    RML_TRY(rml_reserve(importer->allocator, &importer->place, &importer->place_capacity,
                        importer->place_count + 1, sizeof *importer->place, "a table of values",
                        importer->err));
    RML_TRY(rml_names_add(&importer->scope->names, name, strlen(name), importer->place_count, &now,
                          importer->err));
    if (now != importer->place_count)
        return rml_fail(importer->err, RML_ERR_FORMAT,
                        "two values of one block are named \"%.80s\"", name);
    importer->place[importer->place_count++] = *place;
    return RML_OK;
}

rml_mil_place *rml_mil_find(const rml_mil_importer *importer, const char *name)
{
    size_t at = 0;
    for (const rml_mil_scope *scope = importer->scope; scope; scope = scope->outer)
        if (rml_names_find(&scope->names, name, strlen(name), &at))
            return &importer->place[at];
    return NULL;
}

// Whether a value stays f32 where results are rounded: that is what the file says, beside halves.
static bool stays_wide(const rml_mil_importer *importer, int element)
{
    return importer->has_halves && element != RML_MIL_F16;
}

static rml_status add_constant(rml_mil_importer *importer, const rml_mil_place *place,
                               rml_value_id *out)
{
    const rml_mil_value *constant = place->constant;
    const char *name = place->name ? place->name : "constant";
    rml_graph *graph = importer->scope->graph;
    rml_dtype dtype = RML_F32;
    static const uint8_t empty[8];
    if (constant->type.kind != RML_MIL_TENSOR || !rml_mil_dtype(constant->type.element, &dtype))
        return rml_fail(importer->err, RML_ERR_UNSUPPORTED,
                        "constant \"%.80s\" is of type %s, which is not supported here", name,
                        constant->type.kind == RML_MIL_TENSOR
                            ? rml_mil_element_name(constant->type.element)
                            : "list");
    const rml_constant trained = {.stored =
                                      rml_stored_plain(constant->data ? constant->data : empty,
                                                       dtype, &constant->type.shape)};
    *out = dtype == RML_F32 || dtype == RML_F16 || dtype == RML_BF16
               ? rml_graph_constant(graph, name, &trained)
               : rml_graph_typed_constant(graph, name, &trained.stored);
    if (*out < graph->value_count)
        graph->values[*out].rounding =
            stays_wide(importer, place->half ? RML_MIL_F16 : constant->type.element)
                ? RML_ROUNDING_NONE
                : RML_ROUNDING_TRAINED;
    return rml_graph_finish(graph, importer->err);
}

// The innermost scope of a graph around that of `scope`.
static rml_mil_scope *scope_around(const rml_mil_scope *scope)
{
    rml_mil_scope *around = scope->outer;
    while (around && around->graph == scope->graph)
        around = around->outer;
    return around;
}

// The outermost scope of its graph, which keeps the captures.
static rml_mil_scope *scope_of_graph(rml_mil_scope *scope)
{
    while (scope->outer && scope->outer->graph == scope->graph)
        scope = scope->outer;
    return scope;
}

static rml_status keep_place(rml_mil_importer *importer, rml_mil_scope *scope,
                             const rml_mil_place *place)
{
    RML_TRY(rml_reserve(importer->allocator, &scope->capture, &scope->capture_capacity,
                        scope->capture_count + 1, sizeof *scope->capture, "a list of values",
                        importer->err));
    scope->capture[scope->capture_count++] =
        (rml_mil_capture){(size_t)(place - importer->place), *place};
    return RML_OK;
}

rml_status rml_mil_materialise(rml_mil_importer *importer, rml_mil_place *place, rml_value_id *out)
{
    rml_graph *graph = importer->scope->graph;
    rml_mil_scope *scope = scope_of_graph(importer->scope);
    const bool is_named =
        place >= importer->place && place < importer->place + importer->place_count;
    *out = RML_NO_VALUE;
    if (place->graph == graph) {
        *out = place->value;
        return RML_OK;
    }
    if (place->constant) {
        RML_TRY(add_constant(importer, place, out));
        if (is_named && scope->outer)
            RML_TRY(keep_place(importer, scope, place));
    } else {
        rml_mil_scope *inner = importer->scope;
        importer->scope = scope_around(inner);
        rml_value_id outside;
        const rml_status status = importer->scope ? rml_mil_materialise(importer, place, &outside)
                                                  : rml_fail(importer->err, RML_ERR_INTERNAL,
                                                             "a value is read before it is there");
        importer->scope = inner;
        RML_TRY(status);
        const rml_value *value = &place->graph->values[outside];
        char name[64];
        snprintf(name, sizeof name, "outer %zu", scope->capture_count);
        RML_TRY(keep_place(importer, scope, place));
        *out = rml_graph_typed_input(graph, name, value->dtype, &value->shape);
        RML_TRY(rml_graph_finish(graph, importer->err));
    }
    place->graph = graph;
    place->value = *out;
    return RML_OK;
}

void rml_mil_enter(rml_mil_importer *importer, rml_mil_scope *scope, rml_graph *graph)
{
    *scope = (rml_mil_scope){.outer = importer->scope, .graph = graph};
    rml_names_init(&scope->names, importer->allocator);
    importer->scope = scope;
}

rml_status rml_mil_leave(rml_mil_importer *importer, const rml_value_id **captures, size_t *count)
{
    rml_mil_scope *scope = importer->scope;
    rml_value_id *list = NULL;
    size_t used = 0;
    importer->scope = scope->outer;
    if (captures)
        list =
            rml_arena_alloc(&importer->scope->graph->arena, scope->capture_count + 1, sizeof *list);
    for (size_t i = 0; i < scope->capture_count; i++) {
        const rml_mil_capture *capture = &scope->capture[i];
        importer->place[capture->place] = capture->before;
        if (list && !capture->before.constant)
            list[used++] = capture->before.value;
    }
    rml_free(importer->allocator, scope->capture);
    rml_names_release(&scope->names);
    if (!captures)
        return RML_OK;
    *captures = list;
    *count = used;
    return list ? RML_OK : rml_fail_nomem(importer->err, sizeof *list, "a list of values");
}

// ---- operations ---------------------------------------------------------------------------------

static const rml_mil_entry *find_entry(const char *type)
{
    static const rml_mil_entry *const families[] = {
        rml_mil_activations, rml_mil_convolutions, rml_mil_elementwise, rml_mil_index,
        rml_mil_norms,       rml_mil_reductions,   rml_mil_resampling,  rml_mil_recurrent,
        rml_mil_shapes,      rml_mil_slices,       rml_mil_weights,     rml_mil_control,
        rml_mil_lists,       rml_mil_states,       rml_mil_others,      rml_mil_boxes,
    };
    for (size_t f = 0; f < sizeof families / sizeof *families; f++)
        for (const rml_mil_entry *entry = families[f]; entry->type; entry++)
            if (strcmp(entry->type, type) == 0)
                return entry;
    return NULL;
}

// Whether an argument is a value whose operation was refused.
static bool reads_refused(const rml_mil_importer *importer, const rml_mil_operation *operation)
{
    for (size_t i = 0; i < operation->argument_count; i++) {
        const rml_mil_argument *argument = &operation->argument[i];
        for (size_t k = 0; k < argument->count; k++) {
            const rml_mil_place *place = argument->binding[k].name
                                             ? rml_mil_find(importer, argument->binding[k].name)
                                             : NULL;
            if (place && !place->constant && place->value == RML_MIL_REFUSED)
                return true;
        }
    }
    return false;
}

static void check_arguments(rml_mil_call *call)
{
    for (size_t i = 0; i < call->operation->argument_count && !call->make.refused; i++)
        if (!(call->asked >> i & 1))
            rml_coreml_refuse(&call->make, "argument \"%.64s\" is not known",
                              call->operation->argument[i].name);
}

// A cast to f16 is the value that it reads, which is rounded from then on.
static void mark_rounding(rml_mil_call *call, size_t first)
{
    rml_graph *graph = call->make.graph;
    const rml_mil_operation *operation = call->operation;
    rml_graph_mark_inner(graph, first, call->out, operation->output_count);
    for (size_t k = 0; k < operation->output_count; k++) {
        const rml_value_id out = call->out[k];
        if (out >= graph->value_count || operation->output[k].type.kind != RML_MIL_TENSOR)
            continue;
        if (!stays_wide(call->importer, operation->output[k].type.element))
            graph->values[out].rounding = RML_ROUNDING_ALL;
        else if (out >= first)
            graph->values[out].rounding = RML_ROUNDING_NONE;
    }
}

static rml_status run_handler(rml_mil_call *call, const rml_mil_entry *entry)
{
    const size_t before = call->make.graph->node_count, first = call->make.graph->value_count;
    entry->import(call);
    check_arguments(call);
    RML_TRY(rml_coreml_take_error(&call->make, call->importer->err));
    for (size_t k = 0; k < call->operation->output_count && !call->make.refused; k++)
        if (call->out[k] == RML_NO_VALUE && (k > 1 || !call->constant[k]))
            rml_coreml_refuse(&call->make, "output %zu is not supported", k);
    if (call->make.refused)
        return RML_OK;
    RML_TRY(rml_graph_fold_from(call->make.graph, before, NULL, call->importer->err));
    mark_rounding(call, first);
    return RML_OK;
}

static bool is_half(const rml_mil_port *port)
{
    return port->type.kind == RML_MIL_TENSOR && port->type.element == RML_MIL_F16;
}

static rml_status import_const(rml_mil_importer *importer, const rml_mil_operation *operation)
{
    for (size_t i = 0; i < operation->attribute_count && operation->output_count == 1; i++)
        if (strcmp(operation->attribute[i].name, "val") == 0) {
            const rml_mil_place place = {.constant = &operation->attribute[i].value,
                                         .value = RML_NO_VALUE,
                                         .half = is_half(&operation->output[0]),
                                         .name = operation->output[0].name};
            return rml_mil_define(importer, operation->output[0].name, &place);
        }
    return rml_fail(importer->err, RML_ERR_FORMAT, "constant \"%.80s\" has no value",
                    operation->name);
}

// Tells who wants to hear of it what has become of an operation.
static void tell(const rml_mil_importer *importer, const rml_mil_call *call)
{
    const rml_coreml_watch *watch = importer->file->watch;
    const rml_mil_operation *operation = call->operation;
    const char *name = operation->output_count ? operation->output[0].name : operation->name;
    if (watch && call->make.refused)
        watch->refused(watch->user, "operation", operation->type, name, importer->reason,
                       call->make.misfit);
    for (size_t k = 0; watch && k < operation->output_count && k < RML_MAX_OUTPUTS; k++)
        if (!call->make.refused && call->out[k] < call->make.graph->value_count &&
            operation->output[k].type.kind == RML_MIL_TENSOR)
            watch->result(watch->user, operation->type, operation->output[k].name,
                          &operation->output[k].type.shape,
                          &call->make.graph->values[call->out[k]].shape);
}

static rml_status import_operation(rml_mil_importer *importer, const rml_mil_operation *operation)
{
    const rml_mil_entry *entry = find_entry(operation->type);
    if (strcmp(operation->type, "const") == 0)
        return import_const(importer, operation);
    rml_mil_call call = {.make = {.graph = importer->scope->graph,
                                  .name = operation->name,
                                  .reason = importer->reason},
                         .operation = operation,
                         .opset = importer->opset,
                         .option = entry ? entry->option : 0,
                         .importer = importer};
    for (int k = 0; k < RML_MAX_OUTPUTS; k++)
        call.out[k] = RML_NO_VALUE;
    bool refused = reads_refused(importer, operation);
    if (!entry && !refused)
        rml_coreml_refuse(&call.make, "this operation is not supported");
    else if (operation->output_count > RML_MAX_OUTPUTS)
        rml_coreml_refuse(&call.make, "it has %zu outputs, at most %d are supported",
                          operation->output_count, RML_MAX_OUTPUTS);
    else if (!refused)
        RML_TRY(run_handler(&call, entry));
    if (call.make.refused) {
        char where[96];
        snprintf(where, sizeof where, "operation \"%.64s\"", operation->name);
        rml_coreml_add_refusal(&importer->refusals, operation->type, where, importer->reason);
    }
    if (!refused)
        tell(importer, &call);
    refused = refused || call.make.refused;
    for (size_t k = 0; k < operation->output_count; k++) {
        rml_mil_place place = {.graph = call.make.graph,
                               .value = refused ? RML_MIL_REFUSED : call.out[k]};
        if (k < 2 && !refused && call.constant[k])
            place = (rml_mil_place){.constant = call.constant[k],
                                    .value = RML_NO_VALUE,
                                    .half = is_half(&operation->output[k]),
                                    .name = operation->output[k].name};
        RML_TRY(rml_mil_define(importer, operation->output[k].name, &place));
    }
    return RML_OK;
}

rml_status rml_mil_import_block(rml_mil_importer *importer, const rml_mil_block *block)
{
    for (size_t i = 0; i < block->operation_count; i++)
        RML_TRY(import_operation(importer, &block->operation[i]));
    return RML_OK;
}
