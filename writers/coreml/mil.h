// From the lowered graph to the operations of an ML Program, MIL: each operator of the library has
// a row, which says what a target lacks for it and writes the operations it becomes.
//
// An operation is put together with its arguments, constants first, and then written:
//
//   rml_emit_op op = rml_emit_begin(e, "softmax", rml_emit_out(e, node, 0));
//   rml_emit_value(&op, "x", rml_emit_in(e, node, 0));
//   rml_emit_int(&op, "axis", axis);
//   rml_emit_end(&op);
//
// All floats of a node are of one type, e->real, whatever they are in the graph: that of the
// program, but for what stays f32 in a program of halves. Integers are i32. The first failure is
// kept, and nothing is written after it.
#ifndef RML_WRITERS_COREML_MIL_H
#define RML_WRITERS_COREML_MIL_H

#include "writers/coreml/blob.h"
#include "writers/coreml/description.h"
#include "writers/coreml/inputs.h"

#define RML_EMIT_ARGUMENTS 24
#define RML_EMIT_MAX_RANK 5        // of any tensor of Core ML
#define RML_EMIT_UNSHUFFLE_OPSET 6 // has torch's order of the channels of blocks

// The fields of the messages, as the format numbers them.
enum { RML_MIL_BLOCK_INPUT = 1, RML_MIL_BLOCK_OUTPUT = 2, RML_MIL_BLOCK_OPERATION = 3 };

// A value of the program.
typedef struct rml_operand {
    const char *name;
    rml_dtype dtype; // RML_F32, RML_F16, RML_I32, RML_BOOL
    rml_shape shape;
} rml_operand;

typedef struct rml_emitter {
    const rml_writing *w;
    const rml_graph *graph; // whose nodes are written
    rml_arena *arena;
    rml_fields *m; // the block is open
    rml_blobs *blobs;
    int opset;             // 5 to 8: what may be used
    int needs;             // ... and what was, so far
    bool trial;            // to find out what is needed: weights are left out
    rml_dtype real;        // RML_F32 or RML_F16: of the node in hand
    const bool *wide;      // values that stay f32, see rml_find_wide; NULL: none
    rml_operand *narrow;   // ... as halves; no name: not written yet
    rml_operand *operand;  // of the graph's values; no name: not written yet
    rml_operand *view;     // ... what has their elements in the same order and another shape; a
                           // value with a name here and none above is written when it is asked for
    rml_value_names names; // ... and what they are to be called
    rml_naming naming;     // of the whole program
    rml_half_losses losses;
    rml_status status;
    rml_error error;
} rml_emitter;

typedef struct rml_emit_argument {
    const char *key, *name;   // of one value
    const char *const *names; // ... or of a tuple of `count`
    int count;
} rml_emit_argument;

typedef struct rml_emit_op {
    rml_emitter *e;
    const char *type;
    rml_operand out[RML_MAX_OUTPUTS];
    int out_count;
    rml_emit_argument argument[RML_EMIT_ARGUMENTS];
    int argument_count;
} rml_emit_op;

// ---- rows ---------------------------------------------------------------------------------------

typedef struct rml_emit_row {
    rml_op_id op;
    // What the target of an opset lacks, see rml_target; NULL: nothing.
    const char *(*lacks)(int opset, const rml_graph *graph, const rml_node *node);
    void (*emit)(rml_emitter *e, const rml_node *node);
} rml_emit_row;

// Tables by family, mil_*.c; each ends with a row without `emit`.
extern const rml_emit_row rml_emit_choices[];
extern const rml_emit_row rml_emit_control[];
extern const rml_emit_row rml_emit_convolutions[];
extern const rml_emit_row rml_emit_elementwise[];
extern const rml_emit_row rml_emit_images[];
extern const rml_emit_row rml_emit_index[];
extern const rml_emit_row rml_emit_norms[];
extern const rml_emit_row rml_emit_recurrent[];
extern const rml_emit_row rml_emit_reductions[];
extern const rml_emit_row rml_emit_shapes[];
extern const rml_emit_row rml_emit_slices[];

// NULL where the operator has none.
const rml_emit_row *rml_emit_find(rml_op_id op);

// Of a target; `user` is its opset, an int.
const char *rml_emit_lacks(const void *user, const rml_graph *graph, const rml_node *node);

// ---- looking ------------------------------------------------------------------------------------

const rml_shape *rml_emit_shape(const rml_graph *graph, rml_value_id value);
bool rml_emit_constant(const rml_graph *graph, const rml_node *node, int index);

// Whether values of this type can be computed.
bool rml_emit_type_fits(rml_dtype dtype);

// An axis from the front.
static inline int rml_emit_axis(int64_t axis, int rank)
{
    return (int)(axis < 0 ? axis + rank : axis);
}

// ---- values -------------------------------------------------------------------------------------

// A type of the graph as the program has it.
rml_dtype rml_emit_type_of(const rml_emitter *e, rml_dtype dtype);
// Floats are of this type in the program, where they do not stay f32.
rml_dtype rml_emit_usual_real(const rml_emitter *e);
// e->real is that of a value from now on.
void rml_emit_as_value(rml_emitter *e, rml_value_id id);
// What the program has for a value; a constant is written now.
rml_operand rml_emit_operand(rml_emitter *e, rml_value_id id);
// ... for input `index` of a node.
rml_operand rml_emit_in(rml_emitter *e, const rml_node *node, int index);
// What output `index` is to be: name, type and shape.
rml_operand rml_emit_out(const rml_emitter *e, const rml_node *node, int index);
// A value in between: "<base>_<part>", or with a number behind it.
rml_operand rml_emit_part(rml_emitter *e, const rml_operand *base, const char *part,
                          const rml_shape *shape);
// "<base>_<part>" for a constant, whose function takes the name.
const char *rml_emit_joined(rml_emitter *e, const char *base, const char *part);

// The same in any shape: what input `index` is a view of, or itself.
rml_operand rml_emit_unshaped(rml_emitter *e, const rml_node *node, int index);
// Output `index` is x in another shape, of which one size may be unknown.
void rml_emit_view(rml_emitter *e, const rml_node *node, int index, rml_operand x);

// An input that is a large weight need not have all its bits: compressed as the settings want it,
// with scales along rml_weight_axis. Others are what they are.
rml_operand rml_emit_weight(rml_emitter *e, const rml_node *node, int index);

// A weight of new numbers, with scales along `axis`.
rml_operand rml_emit_weight_data(rml_emitter *e, const char *name, const float *data,
                                 const rml_shape *shape, int axis);

// A constant of the graph as a constant called `name`, of this type.
rml_operand rml_emit_constant_value(rml_emitter *e, rml_value_id id, rml_dtype dtype,
                                    const char *name);

// New constants, called `name` or with a number behind it.
rml_operand rml_emit_floats(rml_emitter *e, const char *name, const float *data,
                            const rml_shape *shape, rml_dtype dtype);
rml_operand rml_emit_list(rml_emitter *e, const char *name, const int64_t *data, int count);
rml_operand rml_emit_number(rml_emitter *e, const char *name, double number, rml_dtype dtype);

// A constant operation of its own name; the elements are the emitter's from now on.
void rml_emit_const(rml_emitter *e, const rml_operand *type, rml_elements elements);

// All elements of a constant input as f32, in the arena; NULL after a failure.
float *rml_emit_elements(rml_emitter *e, const rml_node *node, int index, size_t *count);
void *rml_emit_alloc(rml_emitter *e, size_t count, size_t element_bytes);

// ---- operations ---------------------------------------------------------------------------------

rml_emit_op rml_emit_begin(rml_emitter *e, const char *type, rml_operand out);
void rml_emit_also(rml_emit_op *op, rml_operand out); // a further output

// Arguments. Those of constants write the constants.
void rml_emit_value(rml_emit_op *op, const char *key, rml_operand value);
void rml_emit_tuple(rml_emit_op *op, const char *key, const rml_operand *values, int count);
void rml_emit_int(rml_emit_op *op, const char *key, int64_t value);
void rml_emit_ints(rml_emit_op *op, const char *key, const int64_t *values, int count);
void rml_emit_flag(rml_emit_op *op, const char *key, bool value);
void rml_emit_flags(rml_emit_op *op, const char *key, const bool *values, int count);
void rml_emit_text(rml_emit_op *op, const char *key, const char *value);
void rml_emit_natural(rml_emit_op *op, const char *key, uint32_t value);
void rml_emit_real(rml_emit_op *op, const char *key, double value); // of type e->real

// Writes it; the first output.
rml_operand rml_emit_end(rml_emit_op *op);
// The same in two steps, with its blocks between them.
void rml_emit_open(rml_emit_op *op);
void rml_emit_close(rml_emit_op *op);

// Notes that an opset is used that not all targets have; `opset` <= e->opset.
void rml_emit_need(rml_emitter *e, int opset);
void rml_emit_fail(rml_emitter *e, rml_status status, const char *format, ...) RML_PRINTF(3, 4);

// Often needed ones.
rml_operand rml_emit_unary(rml_emitter *e, const char *type, rml_operand x, rml_operand out);
rml_operand rml_emit_binary(rml_emitter *e, const char *type, rml_operand x, rml_operand y,
                            rml_operand out);
rml_operand rml_emit_with(rml_emitter *e, const char *type, rml_operand x, double number,
                          rml_operand out); // y is a number
rml_operand rml_emit_reshape(rml_emitter *e, rml_operand x, rml_operand out);
rml_operand rml_emit_transpose(rml_emitter *e, rml_operand x, const int *perm, rml_operand out);
rml_operand rml_emit_reduce(rml_emitter *e, const char *type, rml_operand x, const int64_t *axes,
                            int count, bool keep, rml_operand out);
rml_operand rml_emit_cast(rml_emitter *e, rml_operand x, rml_operand out); // to out's type
// x itself, or as another type, called "<out>_<part>".
rml_operand rml_emit_as_type(rml_emitter *e, rml_operand x, rml_dtype dtype, const rml_operand *out,
                             const char *part);
// Repeats x to the sizes of `out`, by the rules of numpy; both are known where they differ.
rml_operand rml_emit_spread(rml_emitter *e, rml_operand x, rml_operand out);

// ---- the program --------------------------------------------------------------------------------

// The messages of types and values, as field `field` (mil_value.c). RML_EMIT_TEXT is the type of
// texts, which tensors of the library do not have.
#define RML_EMIT_TEXT ((rml_dtype)-1)
void rml_emit_type(rml_fields *m, uint32_t field, rml_dtype dtype, const rml_shape *shape);
void rml_emit_named_type(rml_fields *m, uint32_t field, const rml_operand *value);
void rml_emit_text_value(rml_fields *m, uint32_t field, const char *text);
void rml_emit_long_value(rml_fields *m, uint32_t field, int64_t number);
// Large numbers lie in weight.bin. The elements are the emitter's from now on.
void rml_emit_numbers(rml_emitter *e, uint32_t field, const rml_operand *type,
                      rml_elements elements);
// As a new name of the program: `wanted`, or with a number behind it.
const char *rml_emit_name(rml_emitter *e, const char *wanted);

// The operations of all nodes.
void rml_emit_nodes(rml_emitter *e);

#endif
