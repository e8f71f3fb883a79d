// From a graph to an ONNX file: each of our operators has a row, which names one of ONNX's or a
// handler that writes nodes. The graph has been lowered, so whatever reaches a row or a handler can
// be written: what cannot was told by `lacks`.
//
// A handler names its inputs and makes its constants first, then opens a node, writes attributes,
// and closes it. Failures are kept in `m`.
#ifndef RML_WRITERS_ONNX_EMIT_H
#define RML_WRITERS_ONNX_EMIT_H

#include "writers/elements.h"
#include "writers/fields.h"
#include "writers/onnx/numbers.h"
#include "writers/writing.h"

#define RML_TO_ONNX_PAGE 4096 // tensors in a file of their own begin at multiples of it, in bytes

// A constant of the file, in the order in which they are written.
typedef struct rml_to_onnx_constant {
    struct rml_to_onnx_constant *next;
    const char *name;
    rml_dtype dtype;
    rml_shape shape;
    rml_elements elements;
    bool outside; // at byte `at` of the file of data
    uint64_t at;
} rml_to_onnx_constant;

// What is known of a value of the graph that is being written.
typedef struct rml_to_onnx_place {
    bool ready;     // a constant: it has been written
    bool is_weight; // of the outputs along `axis`: it may be stored in few bits
    int axis;
} rml_to_onnx_place;

typedef struct rml_to_onnx {
    rml_writing *w;
    int opset;
    rml_fields m;
    rml_naming naming, node_naming; // of values, and of nodes, whose names are theirs alone, too
    // The graph that is being written: the model's, or one inside.
    const rml_graph *graph;
    rml_value_names names;
    rml_to_onnx_place *place; // [value_count]
    // All constants, whose elements must stay until the file is written.
    rml_to_onnx_constant *first, **last;
    // Those of so many bytes or more lie in a file of their own, which is called so; 0: none.
    size_t outside;
    const char *data_name;
    uint64_t outside_bytes;
} rml_to_onnx;

// What becomes of a field of the attributes where one of our operators is one of ONNX's.
typedef enum rml_to_onnx_kind {
    RML_TO_ONNX_END,
    RML_TO_ONNX_INT,       // an int64_t
    RML_TO_ONNX_AXIS,      // an int
    RML_TO_ONNX_FLAG,      // a bool
    RML_TO_ONNX_UNLESS,    // a bool, the other way round
    RML_TO_ONNX_FLOAT,     // a float
    RML_TO_ONNX_DTYPE,     // an element type
    RML_TO_ONNX_WORD,      // an enum, the place of one of `words`
    RML_TO_ONNX_WORD_FLAG, // a bool, likewise
} rml_to_onnx_kind;

typedef struct rml_to_onnx_field {
    rml_to_onnx_kind kind;
    const char *name;
    size_t at; // in rml_op_attr
    const char *words;
    int since; // before this opset 0 is what it was
} rml_to_onnx_field;

#define RML_TO(what, title, member)                                                                \
    {                                                                                              \
        .kind = RML_TO_ONNX_##what, .name = title, .at = offsetof(rml_op_attr, member)             \
    }
#define RML_TO_WORD(what, title, member, list, opset)                                              \
    {                                                                                              \
        .kind = RML_TO_ONNX_##what, .name = title, .at = offsetof(rml_op_attr, member),            \
        .words = list, .since = opset                                                              \
    }

// What a target is asked.
typedef struct rml_to_onnx_ask {
    int opset;
    const rml_graph *graph;
    const rml_node *node;
} rml_to_onnx_ask;

typedef struct rml_to_onnx_entry {
    rml_op_id op;
    const char *op_type; // of a row: inputs and outputs stay as they are
    const rml_to_onnx_field *fields;
    int since;     // opset
    unsigned wide; // bits of inputs that are i64 there, and may be i32 here: of a row
    const char *(*lacks)(const rml_to_onnx_ask *ask);
    void (*write)(rml_to_onnx *w, const rml_node *node); // of a handler
} rml_to_onnx_entry;

// Tables by family, ops_*.c; each ends with an entry that has neither op_type nor handler.
extern const rml_to_onnx_entry rml_to_onnx_control[];
extern const rml_to_onnx_entry rml_to_onnx_convolution[];
extern const rml_to_onnx_entry rml_to_onnx_elementwise[];
extern const rml_to_onnx_entry rml_to_onnx_index[];
extern const rml_to_onnx_entry rml_to_onnx_norm[];
extern const rml_to_onnx_entry rml_to_onnx_pooling[];
extern const rml_to_onnx_entry rml_to_onnx_product[];
extern const rml_to_onnx_entry rml_to_onnx_quantize[];
extern const rml_to_onnx_entry rml_to_onnx_recurrent[];
extern const rml_to_onnx_entry rml_to_onnx_reduce[];
extern const rml_to_onnx_entry rml_to_onnx_resampling[];
extern const rml_to_onnx_entry rml_to_onnx_shape[];
extern const rml_to_onnx_entry rml_to_onnx_spectrum[];

// The entry of an operator; NULL: it has none.
const rml_to_onnx_entry *rml_to_onnx_find(rml_op_id op);

// Why an ONNX file cannot hold the node, or NULL; may write to `text`.
const char *rml_to_onnx_lacks(const rml_to_onnx_ask *ask, char *text, size_t bytes);

// ---- for handlers -------------------------------------------------------------------------------

// Keeps the first failure.
void rml_to_onnx_fail(rml_to_onnx *w, rml_status status, const char *what);

// What a value is called; "" for RML_NO_VALUE. No node may be open: a weight that is stored in few
// bits is a node of its own.
const char *rml_to_onnx_name(rml_to_onnx *w, rml_value_id id);

// The same of all of a node's inputs; NULL after a failure.
const char **rml_to_onnx_inputs(rml_to_onnx *w, const rml_node *node);

// A name for a value of a node of several.
const char *rml_to_onnx_part(rml_to_onnx *w, const rml_node *node, const char *part);

// Constants, which are copied; they return its name.
const char *rml_to_onnx_constant_of(rml_to_onnx *w, const rml_node *node, const char *part,
                                    rml_dtype dtype, const rml_shape *shape, const void *elements);
const char *rml_to_onnx_ints(rml_to_onnx *w, const rml_node *node, const char *part,
                             const int64_t *values, size_t count);
const char *rml_to_onnx_scalar(rml_to_onnx *w, const rml_node *node, const char *part,
                               rml_dtype dtype, double value);

// A node of `in`, of which those at the end that are "" are left out.
void rml_to_onnx_begin(rml_to_onnx *w, const char *op_type, const char *const *in, int in_count);
void rml_to_onnx_end(rml_to_onnx *w, const rml_node *node, const char *const *out, int out_count);

// The same for the node's own inputs and outputs.
void rml_to_onnx_open(rml_to_onnx *w, const rml_node *node, const char *op_type);
void rml_to_onnx_close(rml_to_onnx *w, const rml_node *node);

// A node without attributes and its output: the node's own, or with `part` another.
const char *rml_to_onnx_make(rml_to_onnx *w, const rml_node *node, const char *op_type,
                             const char *const *in, int in_count, const char *part);

// Attributes of the node that is open.
void rml_to_onnx_int(rml_to_onnx *w, const char *name, int64_t value);
void rml_to_onnx_float(rml_to_onnx *w, const char *name, double value);
void rml_to_onnx_text(rml_to_onnx *w, const char *name, const char *value);
void rml_to_onnx_int_list(rml_to_onnx *w, const char *name, const int64_t *values, size_t count);
void rml_to_onnx_float_list(rml_to_onnx *w, const char *name, const float *values, size_t count);
void rml_to_onnx_text_list(rml_to_onnx *w, const char *name, const char *const *texts,
                           size_t count);
void rml_to_onnx_axes(rml_to_onnx *w, const char *name, const int *axes, int count);
void rml_to_onnx_word(rml_to_onnx *w, const char *name, const char *words, int place);

// A graph inside as an attribute. Its first `own` inputs are its own; `captured` are the values of
// the graph around it that the others are.
void rml_to_onnx_body(rml_to_onnx *w, const char *name, const rml_graph *body, size_t own,
                      const char *const *captured);

// What the graph says of input `index`: rank -1 where it is left out.
rml_fact rml_to_onnx_fact(const rml_graph *graph, const rml_node *node, int index);

// ---- for emit.c, graph.c, ports.c and write.c ---------------------------------------------------

// The lowered graph as the message that is open.
void rml_to_onnx_graph(rml_to_onnx *w, rml_graph *graph);

// Its ports: those of the model, whose sizes have names, and those of a graph inside, of which the
// first `own` inputs are described.
void rml_to_onnx_named_ports(rml_to_onnx *w);
void rml_to_onnx_ports(rml_to_onnx *w, size_t own);

// Writes a constant, whose elements are then w's.
void rml_to_onnx_keep(rml_to_onnx *w, const rml_to_onnx_constant *kept);

// Opens an attribute and the graph in it.
void rml_to_onnx_begin_graph(rml_to_onnx *w, const char *name);

// The number of an element type.
int rml_to_onnx_element(rml_dtype dtype);

#endif
