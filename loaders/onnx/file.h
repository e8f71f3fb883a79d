// An ONNX file as plain structs: graphs, nodes, attributes, tensors and types, checked, not
// interpreted. What operators mean is the importer's matter.
//
// Values have numbers, which are unique in the whole file, so that nobody looks up a name once a
// file is read, not even for what a subgraph reads of the graphs around it. Everything is owned by
// the rml_onnx and lives as long; tensors point into the mapped file where they lie there as they
// are used.
//
// Checked while reading: every length and count; that a name is given once in its graph and every
// name that is read is given, there or in a graph around it; that nodes have an order in which they
// can run, in which they are put (so that there are no cycles); that tensors have the data their
// shape asks for and shapes can be addressed; that external data stay in the model's folder and
// inside their file; that functions do not call themselves.
//
// Memory: besides mappings at most RML_ONNX_MIN_BYTES plus RML_ONNX_BYTES_PER_BYTE for each byte
// of the file that is not data of a tensor; a test holds it to that.
#ifndef RML_LOADERS_ONNX_FILE_H
#define RML_LOADERS_ONNX_FILE_H

#include "loaders/formats/message.h"
#include "tensor/arena.h"
#include "tensor/mapfile.h"
#include "tensor/names.h"
#include "tensor/stored.h"

#define RML_ONNX_MAX_NODES ((size_t)1 << 20)  // of all graphs; also with all calls written out
#define RML_ONNX_MAX_VALUES ((size_t)1 << 22) // of all graphs
#define RML_ONNX_MAX_ATTRIBUTES 128           // of one node
#define RML_ONNX_MAX_OPSETS 128               // imported by the model or one function
#define RML_ONNX_MAX_NAME_BYTES RML_MESSAGE_MAX_NAME_BYTES
#define RML_ONNX_MAX_SUBGRAPH_DEPTH 16
#define RML_ONNX_MAX_CALL_DEPTH 64 // functions that call functions
#define RML_ONNX_MAX_EXTERNAL_FILES 1024

#define RML_ONNX_MIN_BYTES ((size_t)512 * 1024)
#define RML_ONNX_BYTES_PER_BYTE ((size_t)512)

#define RML_ONNX_NONE UINT32_MAX // an optional input or output that is left out

typedef enum rml_onnx_type_kind {
    RML_ONNX_TENSOR,
    RML_ONNX_SPARSE,
    RML_ONNX_SEQUENCE,
    RML_ONNX_OPTIONAL,
    RML_ONNX_MAP,
    RML_ONNX_OPAQUE,
} rml_onnx_type_kind;

// What a file says of a value. Trust it for graph inputs only: exporters write wrong ones.
typedef struct rml_onnx_type {
    rml_onnx_type_kind kind;
    int32_t element; // TENSOR, SPARSE: TensorProto.DataType, 0 where not told
    bool has_shape;
    rml_shape shape;                    // -1: not told, or named
    const char *dim_name[RML_MAX_RANK]; // "batch", or NULL
} rml_onnx_type;

typedef struct rml_onnx_tensor {
    const char *name;
    int32_t element; // TensorProto.DataType
    bool readable;   // false: elements of a type this library has not (text, complex, floats of 8
                     // bits and less); then there is no more than a shape
    rml_stored stored;
    int bits; // 4 or 2: integers of so many bits, which are not readable as they lie in `packed`;
              // `stored` has the shape, and the type that they are unpacked to. Else 0
    const uint8_t *packed;
} rml_onnx_tensor;

typedef enum rml_onnx_value_kind {
    RML_ONNX_INPUT,       // of the graph or function
    RML_ONNX_INITIALIZER, // also where the graph lists it as an input that has a default
    RML_ONNX_NODE_OUTPUT,
} rml_onnx_value_kind;

typedef struct rml_onnx_value {
    const char *name;
    rml_onnx_value_kind kind;
    uint32_t producer;             // NODE_OUTPUT: index of the node in its graph
    const rml_onnx_tensor *tensor; // INITIALIZER
    const rml_onnx_type *type;     // or NULL
} rml_onnx_value;

typedef enum rml_onnx_attribute_kind {
    RML_ONNX_FLOATS,
    RML_ONNX_INTS,
    RML_ONNX_TEXTS,
    RML_ONNX_TENSORS,
    RML_ONNX_GRAPHS,
    RML_ONNX_TYPES,
    RML_ONNX_SPARSE_TENSORS, // not read
} rml_onnx_attribute_kind;

typedef struct rml_onnx_attribute {
    const char *name;
    rml_onnx_attribute_kind kind;
    bool is_list;          // FLOATS and not FLOAT; otherwise count is 1
    const char *reference; // in a function: the attribute of the call to take, or NULL
    size_t count;          // 0 with a reference
    union {
        const float *number;
        const int64_t *integer;
        const rml_text *text;
        const rml_onnx_tensor *tensor;
        const struct rml_onnx_graph *graph;
        const rml_onnx_type *type;
    } u;
} rml_onnx_attribute;

typedef struct rml_onnx_node {
    const char *name;    // may be empty
    const char *op_type; // not empty
    const char *domain;  // "" for ONNX's own, also where the file says "ai.onnx"
    const char *overload;
    int64_t opset; // version of the domain's operator set that is imported; 0: it is not
    const uint32_t *input, *output; // values, or RML_ONNX_NONE
    size_t input_count, output_count;
    const rml_onnx_attribute *attribute;
    size_t attribute_count;
    const struct rml_onnx_function *function; // of this file, by name and domain; or NULL
} rml_onnx_node;

typedef struct rml_onnx_graph {
    const char *name;
    const uint32_t *input; // without those that have an initializer
    const uint32_t *output;
    const rml_onnx_node *node; // in an order in which they can run
    size_t input_count, output_count, node_count;
    uint32_t value_begin, value_end; // its values and those of the graphs inside it
} rml_onnx_graph;

typedef struct rml_onnx_opset {
    const char *domain;
    int64_t version;
} rml_onnx_opset;

typedef struct rml_onnx_function {
    const char *name, *domain, *overload;
    const rml_onnx_opset *opset;
    size_t opset_count;
    const char *const *attribute;                // names of those without a default
    const rml_onnx_attribute *attribute_default; // those with one
    size_t attribute_count, default_count;
    rml_onnx_graph body; // without initializers
} rml_onnx_function;

typedef struct rml_onnx_metadata {
    rml_text key, value;
} rml_onnx_metadata;

// What the whole file says.
typedef struct rml_onnx_header {
    int64_t ir_version, model_version;
    const char *producer_name, *producer_version, *domain; // "" where not told
    const rml_onnx_opset *opset;
    size_t opset_count;
    rml_text description; // doc_string
    const rml_onnx_metadata *metadata;
    size_t metadata_count;
} rml_onnx_header;

// Who wants to hear of all faults of a file while it is imported, and not of a list of what cannot
// be run.
typedef struct rml_onnx_watch {
    void *user;
    // A node before it is imported. `types` of its inputs: an rml_dtype, or -1 where it is not
    // known.
    void (*node)(void *user, const rml_onnx_node *node, const int *types);
    // A value that a node gave, and what it is.
    void (*result)(void *user, const rml_onnx_node *node, const rml_onnx_value *value,
                   rml_dtype dtype, const rml_shape *shape);
    // A node that cannot be run: `misfit`: here or elsewhere.
    void (*refused)(void *user, const rml_onnx_node *node, const char *why, bool misfit);
} rml_onnx_watch;

typedef struct rml_onnx {
    rml_onnx_header header;
    rml_onnx_graph graph;
    rml_onnx_function *function;
    size_t function_count;
    rml_onnx_value *value; // by number
    size_t value_count;
    const rml_onnx_watch *watch; // or NULL
    // The reader's own.
    size_t value_capacity;
    const rml_allocator *allocator;
    rml_allocator own_allocator; // a copy: only what it points to must outlive the file
    rml_arena arena;             // all structs, lists and names
    rml_mapfile map;
    bool is_memory; // `map` is the caller's, or `owned`
    void *owned;
    const char *path;   // while a file is read; NULL: contents in memory
    rml_names external; // location -> place in `external_file`
    rml_mapfile *external_file;
    size_t external_count, external_capacity;
} rml_onnx;

// Maps a file and reads it whole, but for the tensors' data. `allocator` may be NULL and must
// outlive the result otherwise.
rml_status rml_onnx_open(rml_onnx **out, const char *path, const rml_allocator *allocator,
                         rml_error *err);

// The same of a file that is mapped already: `map` is the result's, or gone.
rml_status rml_onnx_open_map(rml_onnx **out, const char *path, rml_mapfile *map,
                             const rml_allocator *allocator, rml_error *err);

// The same for a file's contents that lie in memory already and must stay there; without external
// data. Messages come without a file's name.
rml_status rml_onnx_open_memory(rml_onnx **out, const void *data, size_t size,
                                const rml_allocator *allocator, rml_error *err);

// The same for what a source gives.
rml_status rml_onnx_open_source(rml_onnx **out, const rml_source *source,
                                const rml_allocator *allocator, rml_error *err);

void rml_onnx_close(rml_onnx **file);

// Tells the system that the tensors' data will not be needed soon.
void rml_onnx_drop_pages(const rml_onnx *file);

// What a node is called: by its first output where it has no name.
const char *rml_onnx_node_name(const rml_onnx *file, const rml_onnx_node *node);

// The node's attribute, or NULL.
const rml_onnx_attribute *rml_onnx_find_attribute(const rml_onnx_node *node, const char *name);

// "FLOAT16"; "type 99" is not known and gives NULL.
const char *rml_onnx_element_name(int32_t element);

// 4 or 2 for integers of so many bits, and the type that they are unpacked to; 0 for all others.
int rml_onnx_element_bits(int32_t element, rml_dtype *dtype);

// False where this library has no such type.
bool rml_onnx_element_dtype(int32_t element, rml_dtype *dtype);

#endif
