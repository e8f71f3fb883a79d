// From an ONNX file to a graph: each operator has a row, which names one of ours or a handler that
// makes builder calls.
//
// A handler gets one node with its inputs as values of the graph and sets its outputs. It refuses
// what it cannot do with rml_onnx_refuse, in words that need not name the node; the importer goes
// on, so that everything a file asks for in vain is listed at once. Errors of builder calls inside
// a handler become such a refusal too. An attribute that the handler never asked for is refused by
// name: nothing is overlooked.
//
// Element types are always known here; ranks and sizes where the file tells them. What ONNX passes
// as an input (axes, sizes, scales) stays an input of our operators, and shape inference looks at
// its elements when they are known, at the latest during the run.
#ifndef RML_LOADERS_ONNX_HANDLER_H
#define RML_LOADERS_ONNX_HANDLER_H

#include "graph/graph.h"
#include "loaders/onnx/file.h"

#define RML_ONNX_MAX_OPSET 28 // of the domain "": later versions may mean something else

typedef struct rml_onnx_importer rml_onnx_importer;

// Values of types that we have not are others here, which few operators take for them.
typedef enum rml_onnx_stand_in {
    RML_STANDS_FOR_ITSELF,
    RML_STANDS_FOR_FEW_BITS, // of a u8 or an i8
    RML_STANDS_FOR_STRINGS,  // the places of strings in a list, i64
} rml_onnx_stand_in;

typedef struct rml_onnx_call {
    rml_graph *graph;
    const rml_onnx_node *node;
    const char *name; // for the nodes made: the node's own, or its first output's
    int64_t opset;
    const rml_value_id *in; // [in_count]; RML_NO_VALUE: left out. See rml_onnx_in
    int in_count;
    rml_value_id *out; // [out_count] for the handler to set, but for those nobody wants
    int out_count;
    rml_onnx_importer *importer;
    rml_onnx_stand_in stand_in;                          // for which the outputs are
    uint64_t asked[(RML_ONNX_MAX_ATTRIBUTES + 63) / 64]; // attributes, by index
    bool refused, misfit;                                // `misfit`: it could be run nowhere
} rml_onnx_call;

// What becomes of an attribute of an operator that is one of ours by another name.
typedef enum rml_field_kind {
    RML_FIELD_END,
    RML_FIELD_IGNORE,       // changes nothing here
    RML_FIELD_INT,          // to an int64_t, `absent` where the node has none of this name
    RML_FIELD_AXIS,         // to an int
    RML_FIELD_FLAG,         // to a bool: it is not 0
    RML_FIELD_UNLESS,       // it is 0
    RML_FIELD_ABSENT,       // it is not there
    RML_FIELD_FLOAT,        // to a float, `number` where absent
    RML_FIELD_INT_AS_FLOAT, // an integer to a float
    RML_FIELD_NUMBER,       // `number` to a float; there is no attribute
    RML_FIELD_DTYPE,        // an element type; f32 where absent, or (absent -1) that of the input
    RML_FIELD_WORD,         // one of `words`, to an enum of the same order
    RML_FIELD_WORD_FLAG,    // ... to a bool: not the first
    RML_FIELD_OPTION,       // the entry's option, to an enum
    RML_FIELD_OPTION_FLAG,  // ... to a bool
    RML_FIELD_AXES,         // a list to a count and as many ints behind it, RML_MAX_RANK at most
    RML_FIELD_LIST,         // `input`, which older opsets have as this attribute
    RML_FIELD_I64,          // `input` as i64; there is no attribute
} rml_field_kind;

typedef struct rml_onnx_field {
    rml_field_kind kind;
    const char *name;
    size_t at; // of the field in rml_op_attr
    int32_t absent;
    int input;
    double number;
    const char *words; // with blanks between them
} rml_onnx_field;

#define RML_FIELD(what, title, member, ...)                                                        \
    {                                                                                              \
        .kind = RML_FIELD_##what, .name = title, .at = offsetof(rml_op_attr, member), __VA_ARGS__  \
    }

// What an operator does with values that stand in for others.
typedef enum rml_onnx_stand_ins {
    RML_STAND_INS_REFUSED, // it would compute with what stands in
    RML_STAND_INS_READ,    // with integers of few bits nothing else than with others
    RML_STAND_INS_KEPT,    // it moves the elements of input 0: an output is as its input
} rml_onnx_stand_ins;

// A row names a handler, or else one of our operators and the fields that its attributes go to, to
// the first RML_FIELD_END; inputs and outputs stay as they are.
typedef struct rml_onnx_entry {
    const char *op_type; // with the domain and a dot in front where that is not ONNX's own
    void (*import)(rml_onnx_call *call);
    rml_op_id op;
    const rml_onnx_field *fields; // or NULL
    int64_t since;                // first opset whose meaning is known
    int32_t option;               // for handlers and fields that serve several operators
    bool f32; // computed in f32 alone: other floats are cast before, and back behind
    rml_onnx_stand_ins stand_ins;
} rml_onnx_entry;

// Tables by family, ops_*.c; each ends with an entry whose op_type is NULL.
extern const rml_onnx_entry rml_onnx_attention[];
extern const rml_onnx_entry rml_onnx_blocks[];
extern const rml_onnx_entry rml_onnx_convolution[];
extern const rml_onnx_entry rml_onnx_core[];
extern const rml_onnx_entry rml_onnx_elementwise[];
extern const rml_onnx_entry rml_onnx_index[];
extern const rml_onnx_entry rml_onnx_pooling[];
extern const rml_onnx_entry rml_onnx_product[];
extern const rml_onnx_entry rml_onnx_qlinear[];
extern const rml_onnx_entry rml_onnx_quantize[];
extern const rml_onnx_entry rml_onnx_recurrent[];
extern const rml_onnx_entry rml_onnx_resampling[];
extern const rml_onnx_entry rml_onnx_shape[];
extern const rml_onnx_entry rml_onnx_spectrum[];
extern const rml_onnx_entry rml_onnx_features[];
extern const rml_onnx_entry rml_onnx_linear_models[];
extern const rml_onnx_entry rml_onnx_ngrams[];
extern const rml_onnx_entry rml_onnx_old_trees[];
extern const rml_onnx_entry rml_onnx_svm[];
extern const rml_onnx_entry rml_onnx_transformers[];
extern const rml_onnx_entry rml_onnx_trees[];
extern const rml_onnx_entry rml_onnx_norm[];
extern const rml_onnx_entry rml_onnx_reduce[];

// ---- for handlers -------------------------------------------------------------------------------

// `option` of the entry that the call came by.
int32_t rml_onnx_option(const rml_onnx_call *call);

void rml_onnx_refuse(rml_onnx_call *call, const char *format, ...) RML_PRINTF(2, 3);
// The same of a node that contradicts itself or the standard: it could be run nowhere.
void rml_onnx_misfit(rml_onnx_call *call, const char *format, ...) RML_PRINTF(2, 3);

// Input `index`, RML_NO_VALUE where it is left out.
rml_value_id rml_onnx_in(const rml_onnx_call *call, int index);

// Whether somebody may read output `index`.
bool rml_onnx_wants(const rml_onnx_call *call, int index);

// What the graph knows of input `index`: type, shape (rank -1: left out; RML_RANK_UNKNOWN), and the
// elements of small constants.
rml_fact rml_onnx_fact(const rml_onnx_call *call, int index);

// Attributes; `absent` where the node has none of this name. One of another kind is refused.
int64_t rml_onnx_int(rml_onnx_call *call, const char *name, int64_t absent);
double rml_onnx_float(rml_onnx_call *call, const char *name, double absent);
const char *rml_onnx_text_of(rml_onnx_call *call, const char *name, const char *absent);
// NULL and count 0 where absent. Lives as long as the file.
const int64_t *rml_onnx_ints(rml_onnx_call *call, const char *name, size_t *count);
const float *rml_onnx_floats(rml_onnx_call *call, const char *name, size_t *count);
const rml_text *rml_onnx_texts(rml_onnx_call *call, const char *name, size_t *count);
const rml_onnx_tensor *rml_onnx_tensor_of(rml_onnx_call *call, const char *name);
// The same of any tensor, for who asks whether it is readable or has `bits`.
const rml_onnx_tensor *rml_onnx_any_tensor_of(rml_onnx_call *call, const char *name);
const rml_onnx_graph *rml_onnx_graph_attribute(rml_onnx_call *call, const char *name);
bool rml_onnx_has(const rml_onnx_call *call, const char *name); // does not count as asking
// For attributes that change nothing here.
void rml_onnx_ignore(rml_onnx_call *call, const char *name);

// Which of `words`, which have blanks between them; refuses any other.
int rml_onnx_word(rml_onnx_call *call, const char *name, const char *words, int absent);

// An axis as our attributes hold it; refuses what is none of any value.
int rml_onnx_axis(rml_onnx_call *call, const char *name, int64_t absent);

// A list of them, RML_MAX_RANK at most; returns how many. What is none of any value stays so.
int rml_onnx_axes(rml_onnx_call *call, const char *name, int *axes);

// What a row without a handler stands for.
void rml_onnx_import_plain(rml_onnx_call *call, rml_op_id op, const rml_onnx_field *fields);

// An element type from an attribute that holds a TensorProto.DataType; refuses what we have not.
rml_dtype rml_onnx_dtype_of(rml_onnx_call *call, const char *name, rml_dtype absent);

// Constants made on the way: of `count` elements of the type `from`, lists (n) and numbers ().
rml_value_id rml_onnx_constant_of(rml_onnx_call *call, rml_dtype dtype, const rml_shape *shape,
                                  rml_dtype from, const void *elements, size_t count);
rml_value_id rml_onnx_ints_value(rml_onnx_call *call, const int64_t *values, size_t count); // (n)
rml_value_id rml_onnx_scalar(rml_onnx_call *call, rml_dtype dtype, double value);           // ()

// What newer opsets pass as input `index` and older ones as the attribute `name`: a value of i64
// either way, or RML_NO_VALUE.
rml_value_id rml_onnx_list(rml_onnx_call *call, int index, const char *name);

// The elements of an i64 input where they are known now: count, or -1 (also beyond `capacity`).
int rml_onnx_known_ints(const rml_onnx_call *call, int index, int64_t *values, int capacity);

// Integers of 4 or 2 bits, in bytes whose lowest bits hold the first one, to bytes (i8 or u8).
void rml_onnx_unpack(const uint8_t *packed, int bits, bool is_signed, size_t count, uint8_t *out);

// A cast node, or the value itself where the type is right already.
rml_value_id rml_onnx_cast(rml_onnx_call *call, rml_value_id value, rml_dtype to);

// ---- what several families share ----------------------------------------------------------------

// The function of this name in ONNX, with as many of its parameters as are given, in their order.
// Without a name (NULL or "") it is x itself.
rml_value_id rml_onnx_activate(rml_onnx_call *call, rml_value_id x, const char *name,
                               const float *param, size_t count);

// kernel_shape, strides, dilations, pads and auto_pad. What is not right is refused.
rml_window_attr rml_onnx_window(rml_onnx_call *call);

// A list of one integer for each axis, at most `capacity`; entries that are not given keep theirs.
// Returns the number given.
int rml_onnx_axes_list(rml_onnx_call *call, const char *name, int64_t *list, int capacity);

#endif
