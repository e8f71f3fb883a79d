// From an ML Program to a graph: each operation has a row, whose handler makes builder calls.
//
// A handler gets one operation with its arguments by name and sets its outputs. It refuses what it
// cannot do with rml_coreml_refuse, in words that need not name the operation; the importer goes
// on, so that everything a file asks for in vain is listed at once. Errors of builder calls inside
// a handler become such a refusal too. An argument that the handler never asked for is refused by
// name: nothing is overlooked.
//
// Floats are computed in f32 whatever the file says; constants of fewer bits are widened.
#ifndef RML_LOADERS_COREML_MIL_HANDLER_H
#define RML_LOADERS_COREML_MIL_HANDLER_H

#include "loaders/coreml/make.h"
#include "loaders/coreml/mil.h"

#define RML_MIL_MAX_TUPLE 1024 // values of one argument

typedef struct rml_mil_importer rml_mil_importer;

typedef struct rml_mil_call {
    rml_coreml_maker make;
    const rml_mil_operation *operation;
    int opset;      // 5 to 9, see rml_mil_function
    int32_t option; // of the row
    rml_value_id out[RML_MAX_OUTPUTS];
    const rml_mil_value *constant[2]; // outputs that are constants, instead
    rml_mil_importer *importer;
    uint64_t asked; // arguments, by index
} rml_mil_call;

typedef struct rml_mil_entry {
    const char *type;
    void (*import)(rml_mil_call *call);
    int32_t option; // for handlers that serve several operations
} rml_mil_entry;

// Tables by family, mil_ops_*.c; each ends with an entry whose type is NULL.
extern const rml_mil_entry rml_mil_activations[];
extern const rml_mil_entry rml_mil_boxes[];
extern const rml_mil_entry rml_mil_control[];
extern const rml_mil_entry rml_mil_convolutions[];
extern const rml_mil_entry rml_mil_elementwise[];
extern const rml_mil_entry rml_mil_index[];
extern const rml_mil_entry rml_mil_lists[];
extern const rml_mil_entry rml_mil_norms[];
extern const rml_mil_entry rml_mil_others[];
extern const rml_mil_entry rml_mil_reductions[];
extern const rml_mil_entry rml_mil_resampling[];
extern const rml_mil_entry rml_mil_recurrent[];
extern const rml_mil_entry rml_mil_shapes[];
extern const rml_mil_entry rml_mil_slices[];
extern const rml_mil_entry rml_mil_states[];
extern const rml_mil_entry rml_mil_weights[];

// ---- for handlers -------------------------------------------------------------------------------

// Whether the operation has the argument; does not count as asking.
bool rml_mil_has(const rml_mil_call *call, const char *name);

// A value of the graph. The first refuses an operation without it, the second gives RML_NO_VALUE.
rml_value_id rml_mil_in(rml_mil_call *call, const char *name);
rml_value_id rml_mil_optional(rml_mil_call *call, const char *name);

// The values of a tuple, at most `capacity`; refuses an operation without any.
int rml_mil_tuple(rml_mil_call *call, const char *name, rml_value_id *values, int capacity);

// A constant, or NULL where it is left out. Refuses an argument that only a run tells.
const rml_mil_value *rml_mil_constant(rml_mil_call *call, const char *name);
const rml_mil_value *rml_mil_required(rml_mil_call *call, const char *name);

// Numbers in constants, integers held (rml_coreml_held); `absent` where the argument is left out.
int64_t rml_mil_int(rml_mil_call *call, const char *name, int64_t absent);
double rml_mil_float(rml_mil_call *call, const char *name, double absent);
bool rml_mil_flag(rml_mil_call *call, const char *name, bool absent);
// Lists: returns how many, at most `capacity`; -1 where the argument is left out.
int rml_mil_ints(rml_mil_call *call, const char *name, int64_t *list, int capacity);
int rml_mil_axes(rml_mil_call *call, const char *name, int *list, int capacity);
// Constants that are a tuple: returns how many, more than `capacity` where not all fit.
int rml_mil_tuple_of_ints(rml_mil_call *call, const char *name, int64_t *list, int capacity);

// Which of `words`, which have blanks between them; refuses any other. In any case of letters.
int rml_mil_word(rml_mil_call *call, const char *name, const char *words, int absent);

// Element `index` of a constant of numbers.
double rml_mil_number(const rml_mil_value *value, size_t index);
int64_t rml_mil_integer(const rml_mil_value *value, size_t index);

// sampling_mode, of what resizes.
rml_coreml_sampling rml_mil_sampling(rml_mil_call *call);

// pad_type, pad and strides, of convolutions and poolings of `spatial` axes.
rml_window_attr rml_mil_window(rml_mil_call *call, int spatial);

#endif
