// Inside of the ONNX importer.
#ifndef RML_LOADERS_ONNX_IMPORTER_H
#define RML_LOADERS_ONNX_IMPORTER_H

#include "loaders/onnx/handler.h"

#define RML_ONNX_REFUSED (UINT32_MAX - 1) // a value whose node was refused

// The graph that nodes go to now: the model's, or one inside a node of another.
typedef struct rml_onnx_inside {
    rml_graph *graph;
    const struct rml_onnx_inside *outer;
} rml_onnx_inside;

// What a value of the file has become.
typedef struct rml_onnx_place {
    const rml_graph *graph; // that it is a value of; NULL: nothing yet
    rml_value_id value;     // RML_NO_VALUE: left out by the call of a function
    rml_onnx_stand_in stand_in;
} rml_onnx_place;

// A call of a function of the file, whose body is being written out.
typedef struct rml_onnx_frame {
    const rml_onnx_node *call;
    const rml_onnx_function *function;
    const struct rml_onnx_frame *caller; // NULL: the graph
} rml_onnx_frame;

// One kind of refusal, and the first node it was for.
typedef struct rml_onnx_refusal {
    const char *op_type, *domain;
    int64_t opset;
    char *node, *inputs, *reason;
    size_t count;
} rml_onnx_refusal;

struct rml_onnx_importer {
    const rml_onnx *file;
    const rml_allocator *allocator;
    rml_arena arena;       // of the import: gone when it is done
    rml_onnx_place *place; // of each value of the file
    bool *listed;          // each value: it is in the list that is being made
    const rml_onnx_inside *inside;
    const rml_onnx_frame *frame;
    const rml_onnx_entry *entry; // of the node in hand
    rml_onnx_refusal *refusal;
    size_t refusal_count, refusal_capacity;
    size_t refusals_more; // nodes of further kinds
    rml_error *err;
    // Once, and not in a frame for each graph inside another: read before anything else is written.
    rml_error inner;                         // of a graph inside a node
    char text[RML_ONNX_MAX_NAME_BYTES + 64]; // why a node is refused
};

// A value of the file in the graph that nodes go to now.
rml_status rml_onnx_look_up(rml_onnx_importer *importer, uint32_t value, rml_value_id *out);
void rml_onnx_set(rml_onnx_importer *importer, uint32_t value, rml_value_id to);

// The tensor as a constant: integers of 4 and 2 bits unpacked, strings in a list by their places in
// it. `*stand_in` says so. RML_NO_VALUE, without an error, for elements that are neither.
rml_value_id rml_onnx_add_tensor(rml_graph *graph, const char *name, const rml_onnx_tensor *tensor,
                                 rml_onnx_stand_in *stand_in);

// Makes the value an output of the graph that nodes go to now. What is no node's output gets a
// copy, which a graph can give away.
rml_status rml_onnx_add_output(rml_onnx_importer *importer, uint32_t number, const char *name,
                               bool *refused);

// All nodes of a graph (or of a function's body), in their order.
rml_status rml_onnx_import_nodes(rml_onnx_importer *importer, const rml_onnx_graph *graph);
// The same of a graph inside a node, which its nodes take the place of: values of its outputs.
// False after an error, which is the graph's, or a refusal, whose reason stands in the list.
bool rml_onnx_import_in_place(rml_onnx_call *call, const rml_onnx_graph *from, rml_value_id *out);

// A body graph around `from`: its inputs are `count` values of the given types and shapes and
// behind them what it reads from outside. `*captures` lists those, as values of the graph that
// nodes go to now; both live as long as it. `*out` is NULL where something in the body was refused.
rml_status rml_onnx_import_body(rml_onnx_importer *importer, const rml_onnx_graph *from,
                                const rml_fact *in, size_t count, rml_graph **out,
                                const rml_value_id **captures, size_t *capture_count);

// A node that cannot be run. `misfit`: it could be run nowhere.
rml_status rml_onnx_add_refusal(rml_onnx_importer *importer, const rml_onnx_node *node,
                                const rml_value_id *in, const char *reason, bool misfit);
// Fails with everything that was refused, in one message; kinds that find no place are counted.
rml_status rml_onnx_list_refusals(const rml_onnx_importer *importer);

// Types of a node's inputs, and then what it gave, to the file's watch, which is there.
rml_status rml_onnx_tell_node(const rml_onnx_importer *importer, const rml_onnx_node *node,
                              const rml_value_id *in);
void rml_onnx_tell_results(const rml_onnx_importer *importer, const rml_onnx_node *node,
                           const rml_value_id *out);

#endif
