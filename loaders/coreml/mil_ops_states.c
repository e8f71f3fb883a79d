// States, which a session keeps from run to run: inputs of the function that operations read and
// write. What a name of one stands for is what was written last.
#include "loaders/coreml/mil_importer.h"

#include "tensor/tensor.h"

#include <string.h>

// The place of the state that argument "input" names.
static rml_mil_place *state_of(rml_mil_call *call)
{
    const rml_mil_operation *operation = call->operation;
    for (size_t i = 0; i < operation->argument_count; i++) {
        const rml_mil_argument *argument = &operation->argument[i];
        if (strcmp(argument->name, "input") != 0 || argument->count != 1 ||
            !argument->binding->name)
            continue;
        rml_mil_place *place = rml_mil_find(call->importer, argument->binding->name);
        if (place && place->state)
            return place;
    }
    rml_coreml_refuse(&call->make, "its argument \"input\" is no state");
    return NULL;
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
    if (call->make.graph != values->graph) {
        rml_coreml_refuse(&call->make, "it writes a state inside a branch or loop, which is not "
                                       "supported");
        return;
    }
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
    values->state[place->state - 1].after = place->value = data;
    place->graph = call->make.graph;
}

const rml_mil_entry rml_mil_states[] = {
    {"read_state", import_read, 0},
    {"write_state", import_write, 0},
    {0},
};
