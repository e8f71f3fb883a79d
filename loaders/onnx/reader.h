// Inside of the ONNX reader: what its files share while a file is read.
#ifndef RML_LOADERS_ONNX_READER_H
#define RML_LOADERS_ONNX_READER_H

#include "loaders/formats/message.h"
#include "loaders/onnx/file.h"

// Names of one graph, and the graph around it.
typedef struct rml_onnx_scope {
    const struct rml_onnx_scope *outer;
    rml_names names;      // name -> value
    uint32_t value_begin; // the graph's own values, without those of the graphs inside it
    uint32_t value_end;
    const rml_onnx_node *node; // all of the graph
    size_t node_count;
    int depth;
} rml_onnx_scope;

typedef struct rml_onnx_reader {
    rml_onnx *file;
    size_t node_count;           // so far, of all graphs
    rml_names functions;         // domain, name and overload -> place in file->function
    const rml_onnx_opset *opset; // those in force
    size_t opset_count;
    rml_message_reader fields; // into the file's arena
} rml_onnx_reader;

// All (domain, version) pairs in fields of this number.
rml_status rml_onnx_read_opsets(rml_onnx_reader *reader, const rml_protobuf *message,
                                uint32_t number, const rml_onnx_opset **out, size_t *count);

// ---- parts ------------------------------------------------------------------------------------

// `what` names the tensor in messages where it has no name itself.
rml_status rml_onnx_read_tensor(rml_onnx_reader *reader, const rml_protobuf *message,
                                const char *what, rml_onnx_tensor *out);

rml_status rml_onnx_read_type(rml_onnx_reader *reader, const rml_protobuf *message,
                              const char *what, rml_onnx_type *out);

rml_status rml_onnx_read_attribute(rml_onnx_reader *reader, const rml_onnx_scope *scope,
                                   const rml_protobuf *message, rml_onnx_attribute *out);

// Adds a value to a graph, which must have no other of its name.
rml_status rml_onnx_add_value(rml_onnx_reader *reader, rml_onnx_scope *scope,
                              const rml_onnx_value *value, uint32_t *id);

// The value of this name in the graph or one around it.
rml_status rml_onnx_find_value(rml_onnx_reader *reader, const rml_onnx_scope *scope,
                               const char *name, const char *what, uint32_t *id);

// ValueInfoProto; *type is NULL where it tells none.
rml_status rml_onnx_read_value_info(rml_onnx_reader *reader, const rml_protobuf *message,
                                    const rml_protobuf_field *info, const char **name,
                                    const rml_onnx_type **type);

#define RML_ONNX_LABEL_BYTES (2 * RML_QUOTE_BYTES + 64)

// node 3 "conv1" (Conv), to `out`.
const char *rml_onnx_node_label(const rml_onnx_node *nodes, size_t index, char *out);

// All nodes of a graph, in fields of this number.
rml_status rml_onnx_read_nodes(rml_onnx_reader *reader, rml_onnx_scope *scope,
                               const rml_protobuf *message, uint32_t number, rml_onnx_graph *out);

// Puts the nodes, once they are all read, in an order in which they can run; those that are stay as
// they are. Linear in what they read. A cycle is an error.
rml_status rml_onnx_sort_nodes(rml_onnx_reader *reader, rml_onnx_scope *scope, rml_onnx_graph *out);

// A graph inside `outer`, or the main graph where that is NULL.
rml_status rml_onnx_read_graph(rml_onnx_reader *reader, const rml_onnx_scope *outer,
                               const rml_protobuf *message, rml_onnx_graph *out);

// A function's inputs, nodes and outputs.
rml_status rml_onnx_read_body(rml_onnx_reader *reader, const rml_protobuf *message,
                              rml_onnx_graph *out);

// Counts the file's functions and reads their names, so that nodes can be tied to them.
rml_status rml_onnx_declare_functions(rml_onnx_reader *reader, const rml_protobuf *message);

// Their bodies; then looks for functions that call themselves.
rml_status rml_onnx_read_functions(rml_onnx_reader *reader, const rml_protobuf *message);

// Ties the node to the function of the file that it calls, if it does.
rml_status rml_onnx_find_function(rml_onnx_reader *reader, rml_onnx_node *node);

// Maps the file that the model names and finds byte `offset` of it, from where on *available bytes
// follow. Refuses what lies outside the model's folder.
rml_status rml_onnx_external(rml_onnx_reader *reader, const rml_text *location, uint64_t offset,
                             const uint8_t **data, size_t *available);

#endif
