// The graph of an ML Program: inputs, operations, outputs.
#include "loaders/coreml/mil_importer.h"
#include "loaders/coreml/model.h"
#include "tensor/dtype.h"

#include <string.h>

// What is computed on: floats are f32, whatever they are in the file.
static rml_dtype computed_type(rml_dtype dtype)
{
    return rml_dtype_is_float(dtype) ? RML_F32 : dtype;
}

// Begins with zeros, and has one size for ever.
static rml_status add_state(rml_mil_importer *importer, const rml_mil_port *port,
                            rml_coreml_values *values)
{
    rml_graph *graph = importer->scope->graph;
    rml_dtype dtype;
    if (!rml_mil_dtype(port->type.element, &dtype) || !rml_shape_known(&port->type.shape))
        return rml_fail(importer->err, RML_ERR_UNSUPPORTED,
                        "state \"%s\" is not a plain tensor of known size", port->name);
    const rml_value_id value =
        rml_graph_typed_input(graph, port->name, computed_type(dtype), &port->type.shape);
    RML_TRY(rml_graph_finish(graph, importer->err));
    RML_TRY(rml_reserve(importer->allocator, &values->state, &values->state_capacity,
                        values->state_count + 1, sizeof *values->state, "a list of states",
                        importer->err));
    values->state[values->state_count++] = (rml_coreml_state){port->name, value, value};
    const rml_mil_place place = {.graph = graph, .value = value, .state = values->state_count};
    return rml_mil_define(importer, port->name, &place);
}

static rml_status add_inputs(rml_mil_importer *importer, const rml_mil_function *function,
                             rml_coreml_values *values)
{
    rml_graph *graph = importer->scope->graph;
    for (size_t i = 0; i < function->input_count; i++) {
        const rml_mil_port *port = &function->input[i];
        rml_dtype dtype;
        if (port->type.kind == RML_MIL_STATE) {
            RML_TRY(add_state(importer, port, values));
            continue;
        }
        if (port->type.kind != RML_MIL_TENSOR || !rml_mil_dtype(port->type.element, &dtype))
            return rml_fail(importer->err, RML_ERR_UNSUPPORTED,
                            "input \"%s\" is not a plain tensor", port->name);
        rml_value_id value = rml_coreml_get(values, port->name);
        if (value == RML_NO_VALUE)
            value =
                rml_graph_typed_input(graph, port->name, computed_type(dtype), &port->type.shape);
        const rml_mil_place place = {.graph = graph, .value = value};
        RML_TRY(rml_graph_finish(graph, importer->err));
        if (importer->has_halves && dtype == RML_F32)
            graph->values[value].rounding = RML_ROUNDING_NONE;
        RML_TRY(rml_mil_define(importer, port->name, &place));
    }
    return RML_OK;
}

static rml_status give_output(rml_mil_importer *importer, const char *name,
                              rml_coreml_values *values)
{
    rml_mil_place *place = rml_mil_find(importer, name);
    rml_value_id value;
    if (!place)
        return rml_fail(importer->err, RML_ERR_FORMAT, "output \"%.80s\" is computed nowhere",
                        name);
    RML_TRY(rml_mil_materialise(importer, place, &value));
    return rml_coreml_set(values, name, value, importer->err);
}

static bool has_halves(const rml_mil_block *block)
{
    for (size_t i = 0; i < block->operation_count; i++) {
        const rml_mil_operation *operation = &block->operation[i];
        for (size_t k = 0; k < operation->output_count; k++)
            if (operation->output[k].type.element == RML_MIL_F16)
                return true;
        for (size_t k = 0; k < operation->block_count; k++)
            if (has_halves(&operation->block[k]))
                return true;
    }
    return false;
}

static rml_status import(rml_mil_importer *importer, const rml_mil_function *function,
                         rml_coreml_values *values)
{
    RML_TRY(add_inputs(importer, function, values));
    RML_TRY(rml_mil_import_block(importer, &function->block));
    if (importer->refusals.count)
        return rml_coreml_list_refusals(&importer->refusals, "operation", importer->err);
    for (size_t k = 0; k < function->block.output_count; k++)
        RML_TRY(give_output(importer, function->block.output[k].text, values));
    return RML_OK;
}

// Numbers in floating constants: what was trained.
static uint64_t count_parameters(const rml_mil_importer *importer)
{
    uint64_t total = 0;
    for (size_t i = 0; i < importer->place_count; i++) {
        const rml_mil_value *value = importer->place[i].constant;
        rml_dtype dtype;
        if (value && value->count > 1 && rml_mil_dtype(value->type.element, &dtype) &&
            rml_dtype_is_float(dtype))
            total += value->count;
    }
    return total;
}

rml_status rml_mil_import(rml_coreml_values *values, rml_coreml *file,
                          const rml_coreml_model *model, rml_error *err)
{
    rml_mil_named named;
    rml_mil_function function;
    rml_mil_scope scope = {.graph = values->graph};
    RML_TRY(rml_mil_choose(file, model, values->function, &named, err));
    RML_TRY(rml_mil_read(file, &named, &function, err));
    rml_mil_importer *importer = NULL;
    RML_TRY(rml_make(file->allocator, &importer, 1, sizeof *importer, "an import", err));
    importer->file = file;
    importer->values = values;
    importer->allocator = file->allocator;
    importer->scope = &scope;
    importer->opset = function.opset;
    importer->has_halves = has_halves(&function.block);
    importer->err = err;
    rml_names_init(&scope.names, file->allocator);
    const rml_status status = import(importer, &function, values);
    values->parameters += count_parameters(importer);
    rml_names_release(&scope.names);
    rml_free(file->allocator, importer->place);
    rml_free(file->allocator, importer);
    return status;
}
