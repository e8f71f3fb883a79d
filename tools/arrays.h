// .npy files and numbers that become inputs of a network.
#ifndef RML_TOOLS_ARRAYS_H
#define RML_TOOLS_ARRAYS_H

#include "runmodel.h"

// A shape as people write it, "1x3x512x512": up to RML_MAX_RANK sizes of 1 and more; where `open`,
// "?x3" too, with -1 for what may change.
bool parse_shape(const char *text, bool open, rml_shape *shape);

// The shape of an array for input `index`. Where that has more dimensions, the first ones may be
// left out of the array if their size is 1, or any, which is then 1.
rml_shape array_shape(const rml_npy *array, const rml_model *model, size_t index);
rml_shape array_shape_of(const rml_shape *array, const rml_model *model, size_t index);

// Its elements, in the input's type, to where the prepared session has it. `path` is for messages.
rml_status array_read(const rml_npy *array, const char *path, rml_session *session,
                      const rml_model *model, size_t index, rml_error *err);

// A number of the command line as one element of an input: of integers, one that is there.
rml_status array_number(double value, const rml_port *port, void *element, rml_error *err);

#endif
