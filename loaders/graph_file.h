// What a graph file says of itself, whatever its format: filled by the reader of the format.
#ifndef RML_LOADERS_GRAPH_FILE_H
#define RML_LOADERS_GRAPH_FILE_H

#include "runmodel.h"
#include "tensor/arena.h"
#include "tensor/mapfile.h"

struct rml_graph_file {
    const rml_allocator *allocator;
    rml_allocator own_allocator; // a copy
    rml_arena arena;             // of the lists
    rml_graph_summary summary;   // with how many there are of each:
    rml_graph_port *input, *output, *state;
    rml_graph_operator *operators; // the most frequent first
    rml_graph_opset *opset;
    rml_metadata *metadata;
    const char **function; // NULL: they have no names here
    const char *path;      // for messages
    void *file;            // the reader's own
    void (*release)(void *file);
};

// Memory that lives as long as the description; `count` may be 0. `out` is a pointer to a pointer.
rml_status rml_graph_file_array(rml_graph_file *file, size_t count, size_t element_bytes, void *out,
                                rml_error *err);

// Sorts a list of operators, one for each node, in place: each once, with its count.
void rml_graph_file_count(rml_graph_file *file, rml_graph_operator *nodes, size_t count);

// A text of metadata, made fit to be printed.
rml_status rml_graph_file_text(rml_graph_file *file, const char *text, size_t bytes,
                               const char **out, rml_error *err);

// ONNX and Core ML: fill a description that is empty.
// `map`, of rml_graph_map, is taken.
rml_status rml_onnx_describe(rml_graph_file *file, const char *path, rml_mapfile *map,
                             rml_error *err);
// `function` "": the default one.
rml_status rml_coreml_describe(rml_graph_file *file, const char *path, rml_mapfile *map,
                               const char *function, rml_error *err);

// That a function is wanted of an ONNX file. `path` may be NULL.
rml_status rml_no_functions(const char *path, const char *function, rml_error *err);

// Maps the file at `path`, and says whether it is a Core ML model. Of a folder or a manifest, which
// are, nothing is mapped.
rml_status rml_graph_map(rml_mapfile *out, bool *coreml, const char *path, rml_error *err);

#endif
