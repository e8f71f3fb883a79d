// States, which a session keeps from run to run: inputs of the function that operations read and
// write. What a name of one stands for is what was written last. A graph inside a node has each
// that it writes as an input and as an output.
#include "loaders/coreml/mil_importer.h"

#include "tensor/tensor.h"

#include <string.h>

// The place of the state that argument "input" names; NULL where it names none.
static rml_mil_place *named_state(const rml_mil_importer *importer,
                                  const rml_mil_operation *operation)
{
    for (size_t i = 0; i < operation->argument_count; i++) {
        const rml_mil_argument *argument = &operation->argument[i];
        if (strcmp(argument->name, "input") != 0 || argument->count != 1 ||
            !argument->binding->name)
            continue;
        rml_mil_place *place = rml_mil_find(importer, argument->binding->name);
        if (place && place->state)
            return place;
    }
    return NULL;
}

static rml_mil_place *state_of(rml_mil_call *call)
{
    rml_mil_place *place = named_state(call->importer, call->operation);
    if (!place)
        rml_coreml_refuse(&call->make, "its argument \"input\" is no state");
    return place;
}

void rml_mil_add_written(rml_mil_call *call, const rml_mil_block *block, rml_mil_written *out)
{
    for (size_t i = 0; i < block->operation_count; i++) {
        const rml_mil_operation *operation = &block->operation[i];
        for (size_t k = 0; k < operation->block_count; k++)
            rml_mil_add_written(call, &operation->block[k], out);
        const rml_mil_place *place = strcmp(operation->type, "write_state") == 0
                                         ? named_state(call->importer, operation)
                                         : NULL;
        const size_t at = place ? (size_t)(place - call->importer->place) : 0;
        bool listed = !place;
        for (int k = 0; k < out->count; k++)
            listed = listed || out->place[k] == at;
        if (!listed && out->count == RML_MAX_OUTPUTS)
            rml_coreml_refuse(&call->make, "more than %d states are written", RML_MAX_OUTPUTS);
        else if (!listed)
            out->place[out->count++] = at;
    }
}

rml_value_id rml_mil_find_state(rml_mil_call *call, size_t place)
{
    rml_mil_importer *importer = call->importer;
    rml_value_id value;
    rml_error error = {0};
    rml_error *outer = importer->err;
    importer->err = &error;
    const rml_status status = rml_mil_materialise(importer, &importer->place[place], &value);
    importer->err = outer;
    rml_coreml_keep_error(&call->make, status, &error);
    return status == RML_OK ? value : RML_NO_VALUE;
}

void rml_mil_set_state(rml_mil_call *call, size_t place, rml_value_id value)
{
    rml_mil_place *state = &call->importer->place[place];
    rml_coreml_values *values = call->importer->values;
    // The graph has the state from here on, so that leaving the graph brings back what it was.
    if (rml_mil_find_state(call, place) == RML_NO_VALUE)
        return;
    state->value = value;
    if (state->graph == values->graph)
        values->state[state->state - 1].after = value;
}

static void import_read(rml_mil_call *call)
{
    if (state_of(call))
        call->out[0] = rml_mil_in(call, "input");
}

static void import_write(rml_mil_call *call)
{
    rml_mil_place *place = state_of(call);
    rml_value_id data = rml_mil_in(call, "data");
    rml_coreml_values *values = call->importer->values;
    char wanted[RML_SHAPE_TEXT_BYTES], given[RML_SHAPE_TEXT_BYTES];
    if (!place)
        return;
    rml_mil_in(call, "input"); // its argument is known
    const rml_coreml_state *state = &values->state[place->state - 1];
    const rml_value *kept = &values->graph->values[state->before];
    const rml_shape shape = rml_coreml_fact(&call->make, data).shape;
    bool fits = shape.rank < 0 || shape.rank == kept->shape.rank;
    for (int i = 0; i < shape.rank && fits; i++)
        fits = shape.dim[i] < 0 || shape.dim[i] == kept->shape.dim[i];
    if (!fits)
        rml_coreml_refuse(&call->make, "it writes %s to a state of %s",
                          rml_shape_text(&shape, given), rml_shape_text(&kept->shape, wanted));
    if (!rml_shape_known(&shape))
        data = rml_coreml_reshape(&call->make, data, &kept->shape);
    data = rml_coreml_cast(&call->make, data, kept->dtype);
    if (!call->make.refused)
        rml_mil_set_state(call, (size_t)(place - call->importer->place), data);
}

const rml_mil_entry rml_mil_states[] = {
    {"read_state", import_read, 0},
    {"write_state", import_write, 0},
    {0},
};
