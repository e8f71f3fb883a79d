// Writing a model, for all kinds of files. The graph of the model, whose operators are as they were
// imported or built, goes two steps:
//
//   specialise  sizes of the inputs as they are wanted in the file: every shape that follows is
//               known, and what is computed from shapes and constants alone is a constant; batch
//               norms go into the convolutions in front of them
//   lower       operators that the target lacks become others that it has
//
// A writer then turns each node that is left into what the target calls it.
#ifndef RML_WRITERS_WRITING_H
#define RML_WRITERS_WRITING_H

#include "engine/model.h"
#include "tensor/names.h"

// Targets of Core ML files, and the first that keeps states from run to run.
enum { RML_WRITE_LEAST_IOS = 12, RML_WRITE_MOST_IOS = 18, RML_WRITE_STATES_IOS = 18 };

typedef struct rml_writing {
    const rml_allocator *allocator;
    rml_write_settings settings; // with defaults filled in
    const char *path;
    const rml_model *model;
    // Whether the kind of file scales this input by itself; NULL: never. Otherwise scale and bias
    // become nodes.
    bool (*keeps_scale)(const rml_write_port *input);
    bool keeps_states; // the kind of file has them
    rml_graph graph;   // specialised, see above
} rml_writing;

// What is wanted of the port `name` of the model; NULL: nothing.
const rml_write_port *rml_writing_port(const rml_writing *w, const char *name);

// Fills w->graph, which is empty, from the model.
rml_status rml_writing_specialise(rml_writing *w, rml_error *err);

// ---- lowering -----------------------------------------------------------------------------------

typedef struct rml_target {
    const char *name; // as people know it: "ONNX opset 17"
    // Why the target cannot hold a node of these inputs and attributes, in a few words; NULL: it
    // can. `graph` holds the inputs; the node has no outputs yet.
    const char *(*lacks)(const void *user, const rml_graph *graph, const rml_node *node);
    const void *user;
    bool fixed_weights; // layers inside branches and loops want their weights there, as constants
    bool float_codes;   // there are no tensors of narrow integers
    bool whole_numbers; // there are those of 32 bits
    const struct rml_target *later; // of its kind, that holds more; NULL: there is none
} rml_target;

// A node that a target cannot hold.
typedef struct rml_refusal {
    const char *name, *op, *why; // of the graph's arena, or constants
    bool later;                  // target->later can
} rml_refusal;

typedef struct rml_refusals {
    rml_refusal *items; // in the arena of the graph
    size_t count, capacity;
} rml_refusals;

typedef struct rml_lowering {
    rml_graph *to;
    const rml_target *target;
    rml_refusals *refused; // of this graph and those around it
    int depth;             // of rewrites in rewrites
    bool as_codes;         // what the node in hand quantizes may be floats
    rml_dtype code;        // ... which the model has for it
    struct {
        rml_value_id of;
        double most;
    } sums; // the product of codes that was made last, and the largest that it can give
    struct {
        rml_value_id x, weight, conv;
    } wave; // the convolution that was made last for a wave_norm, which wave_conv reads, too
} rml_lowering;

// Makes `to`, an empty graph, of `from`: its ports, and its nodes, and those of graphs inside, as
// the target can hold them. All that it cannot are refused at once, by name.
rml_status rml_lower(const rml_graph *from, rml_graph *to, const rml_target *target,
                     rml_error *err);

// All that was refused, in one sentence: what has one reason together.
rml_status rml_refusals_fail(const rml_refusals *refused, const rml_target *target, rml_error *err);

// What rewrites make their nodes with: the node itself where the target can hold it, or what it is
// rewritten to. Inputs are values of l->to. Returns its first output, as rml_graph_node does.
rml_value_id rml_lower_node(rml_lowering *l, rml_op_id op, const rml_op_attr *attr,
                            const rml_value_id *in, int in_count, const char *name);

// The same of a node of several outputs, to out[RML_MAX_OUTPUTS].
void rml_lower_outputs(rml_lowering *l, rml_op_id op, const rml_op_attr *attr,
                       const rml_value_id *in, int in_count, const char *name, rml_value_id *out);

// ---- halves -------------------------------------------------------------------------------------

// The values, constants among them, that stay floats in a file of halves, in the arena of `graph`,
// and a line of the log for them; NULL: none.
rml_status rml_find_wide(const rml_writing *w, rml_graph *graph, bool **out, rml_error *err);

// ---- names --------------------------------------------------------------------------------------

// Names for all values of a graph, each once: outputs and inputs of the graph have theirs, others
// that of their node. With `identifiers`, made of letters, digits and _ as MIL wants them, and
// no word of it. `names` has value_count entries in the arena.
rml_status rml_name_values(const rml_graph *graph, rml_arena *arena, bool identifiers,
                           const char ***names, rml_error *err);

// The same for files that have names besides those of one graph's values.
typedef struct rml_naming {
    rml_arena *arena; // of the names
    bool identifiers;
    rml_names taken;
    const char *last; // the name wanted last, and the number it was given: many nodes may share one
    size_t number;
} rml_naming;

void rml_naming_init(rml_naming *n, rml_arena *arena, bool identifiers);
void rml_naming_release(rml_naming *n);

// Takes `wanted`, or the first of wanted_1, wanted_2, .. that is free.
rml_status rml_name_take(rml_naming *n, const char *wanted, const char **out, rml_error *err);

typedef struct rml_value_names {
    const char **value;  // [value_count]
    const char **output; // [output_count]: of what is an input, a constant or another output as
                         // well, a name besides that of the value
} rml_value_names;

// With `ports` (or NULL), inputs and outputs are called as that wants them to be called.
rml_status rml_name_graph(rml_naming *n, const rml_graph *graph, const rml_writing *ports,
                          rml_value_names *out, rml_error *err);

// Names for the weights of a graph, each once: what people train. NULL: the value is none. `names`
// has value_count entries in the arena.
rml_status rml_name_weights(const rml_graph *graph, rml_arena *arena, const char ***names,
                            rml_error *err);

// ---- kinds of files -----------------------------------------------------------------------------

rml_status rml_write_mlmodel(rml_writing *w, rml_error *err); // coreml/nn_model.c
rml_status rml_write_onnx(rml_writing *w, rml_error *err);
rml_status rml_write_mlpackage(rml_writing *w, rml_error *err); // coreml/mil_program.c
rml_status rml_write_safetensors(rml_writing *w, rml_error *err);

#endif
