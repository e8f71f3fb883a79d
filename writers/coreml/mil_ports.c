// What an ML Program takes, gives and keeps.
#include "writers/coreml/mil_ports.h"

#include <string.h>

// ---- ports --------------------------------------------------------------------------------------

static rml_operand port_operand(const rml_coreml_port *port)
{
    return (rml_operand){port->name, port->dtype, port->shape};
}

// The levels of images are scaled in floats, as they come, whatever the program computes in: halves
// would round the scale and every level.
bool rml_emit_keeps_scale(const rml_write_port *input)
{
    return input->colours != RML_COLOURS_NONE;
}

// A number for all levels, or for each of the channels.
static rml_operand per_channel(rml_emitter *e, const char *name, const float *numbers, size_t count)
{
    const rml_shape one = {0}, all = {4, {1, (int64_t)count, 1, 1}};
    return rml_emit_floats(e, rml_emit_joined(e, name, "y_0"), numbers, count == 1 ? &one : &all,
                           RML_F32);
}

static rml_operand scaled(rml_emitter *e, rml_operand input, const rml_write_port *port)
{
    rml_operand x = input;
    if (port->scale) {
        const rml_operand out = rml_emit_part(e, &input, "_scaled__", &x.shape);
        x = rml_emit_binary(e, "mul", x, per_channel(e, out.name, port->scale, port->scale_count),
                            out);
    }
    if (port->bias) {
        const rml_operand out = rml_emit_part(e, &input, "_biased__", &x.shape);
        x = rml_emit_binary(e, "add", x, per_channel(e, out.name, port->bias, port->bias_count),
                            out);
    }
    return x;
}

// Inputs come in the type of their description.
void rml_emit_take_inputs(rml_emitter *e, const rml_coreml_description *d)
{
    for (size_t i = 0; i < d->input_count; i++) {
        const rml_value_id id = e->graph->inputs[i];
        const rml_write_port *port = d->inputs[i].port;
        rml_operand given = port_operand(&d->inputs[i]);
        rml_operand *own = &e->operand[id];
        if (port && rml_emit_keeps_scale(port))
            given = scaled(e, given, port);
        *own = given;
        rml_emit_as_value(e, id);
        own->dtype = rml_emit_type_of(e, e->graph->values[id].dtype);
        if (own->dtype == given.dtype)
            continue;
        *own = rml_emit_part(e, own, "cast", &own->shape);
        rml_emit_cast(e, given, *own);
    }
}

// ---- states -------------------------------------------------------------------------------------

void rml_emit_state_type(rml_fields *m, const rml_coreml_port *state)
{
    rml_fields_begin(m, 1);
    rml_fields_text(m, 1, state->name);
    rml_fields_begin(m, 2);
    rml_fields_begin(m, 5);
    rml_emit_type(m, 1, state->dtype, &state->shape);
    for (int i = 0; i < 3; i++)
        rml_fields_end(m);
}

void rml_emit_read_states(rml_emitter *e, const rml_coreml_description *d)
{
    for (size_t i = d->input_count; i < e->graph->input_count; i++) {
        const rml_operand state = port_operand(&d->inputs[i]);
        rml_emit_op op =
            rml_emit_begin(e, "read_state", rml_emit_part(e, &state, "read", &state.shape));
        rml_emit_need(e, RML_EMIT_STATES_OPSET);
        rml_emit_value(&op, "input", state);
        rml_operand x = rml_emit_end(&op);
        rml_emit_as_value(e, e->graph->inputs[i]);
        if (x.dtype != e->real) {
            rml_operand wide = rml_emit_part(e, &state, "wide", &state.shape);
            wide.dtype = e->real;
            x = rml_emit_cast(e, x, wide);
        }
        e->operand[e->graph->inputs[i]] = x;
    }
}

void rml_emit_write_states(rml_emitter *e, const rml_coreml_description *d)
{
    for (size_t i = 0; i < d->state_count; i++) {
        const rml_operand state = port_operand(&d->inputs[d->input_count + i]);
        const rml_value_id id = e->graph->outputs[d->output_count + i];
        rml_emit_as_value(e, id);
        rml_operand data = rml_emit_operand(e, id);
        if (data.dtype != state.dtype)
            data = rml_emit_cast(e, data, rml_emit_part(e, &state, "data", &state.shape));
        rml_emit_op op = {.e = e, .type = "write_state"};
        op.out[0].name = rml_emit_part(e, &state, "write", &state.shape).name; // its own name
        rml_emit_value(&op, "input", state);
        rml_emit_value(&op, "data", data);
        rml_emit_end(&op);
    }
}

// A value that is not given away as it is gets another name than the output.
void rml_emit_rename_outputs(rml_emitter *e, const rml_coreml_description *d)
{
    for (size_t i = 0; i < d->output_count; i++) {
        const rml_value_id id = e->graph->outputs[i];
        const rml_value *value = &e->graph->values[id];
        const char **name = &e->names.value[id];
        rml_emit_as_value(e, id);
        const bool cast = rml_emit_type_of(e, value->dtype) != d->outputs[i].dtype;
        if (*name == e->names.output[i] && (cast || (d->label && i == 0)))
            *name = rml_emit_name(e, *name);
    }
    for (size_t v = 0; v < e->graph->value_count && d->label; v++)
        if (strcmp(e->names.value[v], d->label) == 0 || strcmp(e->names.value[v], d->scores) == 0)
            e->names.value[v] = rml_emit_name(e, e->names.value[v]);
}

static rml_dtype label_type(const rml_coreml_description *d)
{
    return d->numbers ? RML_I64 : RML_EMIT_TEXT;
}

// A list as the argument itself, the way of this operation.
static void write_labels(rml_emitter *e, const rml_coreml_description *d)
{
    const rml_write_settings *settings = &d->w->settings;
    rml_fields *m = e->m;
    rml_fields_begin(m, 2); // an input
    rml_fields_text(m, 1, "classes");
    rml_fields_begin(m, 2);
    rml_fields_begin(m, 1);
    rml_fields_begin(m, 2); // a Value
    rml_fields_begin(m, 2);
    rml_fields_begin(m, 2); // a list
    rml_emit_type(m, 1, label_type(d), &(rml_shape){0});
    rml_fields_begin(m, 2);
    rml_fields_begin(m, 1);
    rml_fields_int(m, 1, (int64_t)settings->label_count);
    rml_fields_end(m);
    rml_fields_end(m);
    rml_fields_end(m);
    rml_fields_end(m);
    rml_fields_begin(m, 3);
    rml_fields_begin(m, 3);
    for (size_t i = 0; i < settings->label_count; i++)
        if (d->numbers)
            rml_emit_long_value(m, 1, d->numbers[i]);
        else
            rml_emit_text_value(m, 1, settings->labels[i]);
    for (int i = 0; i < 6; i++)
        rml_fields_end(m);
}

static void write_classify(rml_emitter *e, const rml_coreml_description *d, rml_operand scores)
{
    rml_fields *m = e->m;
    const rml_shape scalar = {0};
    rml_fields_begin(m, RML_MIL_BLOCK_OPERATION);
    rml_fields_text(m, 1, "classify");
    write_labels(e, d);
    rml_fields_begin(m, 2);
    rml_fields_text(m, 1, "probabilities");
    rml_fields_begin(m, 2);
    rml_fields_begin(m, 1);
    rml_fields_text(m, 1, scores.name);
    rml_fields_end(m);
    rml_fields_end(m);
    rml_fields_end(m);
    rml_emit_named_type(m, 3, &(rml_operand){d->label, label_type(d), scalar});
    rml_fields_begin(m, 3);
    rml_fields_text(m, 1, d->scores);
    rml_fields_begin(m, 2);
    rml_fields_begin(m, 4); // a dictionary
    rml_emit_type(m, 1, label_type(d), &scalar);
    rml_emit_type(m, 2, RML_F64, &scalar);
    rml_fields_end(m);
    rml_fields_end(m);
    rml_fields_end(m);
    rml_fields_begin(m, 5);
    rml_fields_text(m, 1, "name");
    rml_emit_text_value(m, 2, d->label);
    rml_fields_end(m);
    rml_fields_end(m);
}

// Outputs go in the type of their description.
void rml_emit_give_outputs(rml_emitter *e, const rml_coreml_description *d)
{
    for (size_t i = 0; i < d->output_count; i++) {
        const rml_value_id id = e->graph->outputs[i];
        rml_operand given = port_operand(&d->outputs[i]);
        rml_emit_as_value(e, id);
        rml_operand own = rml_emit_operand(e, id);
        const bool classified = d->label && i == 0;
        if (e->status != RML_OK)
            return; // it may have no name
        if (classified)
            given.name = own.dtype == given.dtype ? own.name : rml_emit_name(e, own.name);
        if (own.dtype != given.dtype)
            own = rml_emit_cast(e, own, given);
        else if (strcmp(own.name, given.name) != 0)
            own = rml_emit_unary(e, "identity", own, given);
        if (classified)
            write_classify(e, d, own);
    }
}
