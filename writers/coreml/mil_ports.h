// What an ML Program takes, gives and keeps: inputs, outputs, the classes of a classifier, states.
#ifndef RML_WRITERS_COREML_MIL_PORTS_H
#define RML_WRITERS_COREML_MIL_PORTS_H

#include "writers/coreml/mil.h"

#define RML_EMIT_STATES_OPSET (RML_WRITE_STATES_IOS - 10) // has states

// Whether the program scales this input by itself.
bool rml_emit_keeps_scale(const rml_write_port *input);

// Inputs as the nodes are to have them.
void rml_emit_take_inputs(rml_emitter *e, const rml_coreml_description *d);
void rml_emit_read_states(rml_emitter *e, const rml_coreml_description *d);

// Before the nodes are written: the values of outputs that are not given away as they are.
void rml_emit_rename_outputs(rml_emitter *e, const rml_coreml_description *d);

// After it.
void rml_emit_give_outputs(rml_emitter *e, const rml_coreml_description *d);
void rml_emit_write_states(rml_emitter *e, const rml_coreml_description *d);

// A state as field 1 of the function, its input.
void rml_emit_state_type(rml_fields *m, const rml_coreml_port *state);

#endif
