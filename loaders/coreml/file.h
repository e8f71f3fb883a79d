// A Core ML model as plain structs: what it says of itself, and where its network lies. Everything
// is owned by the rml_coreml and lives as long.
//
// Checked while reading: every length and count, names (not empty, each once among the inputs and
// among the outputs), types, sizes above 0, the default shape against the shapes that are allowed.
#ifndef RML_LOADERS_COREML_FILE_H
#define RML_LOADERS_COREML_FILE_H

#include "loaders/formats/message.h"
#include "loaders/formats/zip.h"
#include "tensor/mapfile.h"
#include "tensor/names.h"
#include "tensor/stored.h"

#define RML_COREML_MAX_VERSION 10
#define RML_COREML_MAX_SIZE INT32_MAX // of a dimension: products of two fit int64_t
#define RML_COREML_MAX_FEATURES 4096
#define RML_COREML_MAX_SHAPES 4096 // that an input enumerates
#define RML_COREML_MAX_STAGES 64   // of a pipeline
#define RML_COREML_MAX_DEPTH 8     // pipelines in pipelines
#define RML_COREML_MAX_BLOB_FILES 1024

// Numbers of Model's fields that hold a network this library runs.
typedef enum rml_coreml_type {
    RML_COREML_PIPELINE_CLASSIFIER = 200,
    RML_COREML_PIPELINE_REGRESSOR = 201,
    RML_COREML_PIPELINE = 202,
    RML_COREML_NETWORK_REGRESSOR = 303,
    RML_COREML_NETWORK_CLASSIFIER = 403,
    RML_COREML_NETWORK = 500,
    RML_COREML_PROGRAM = 502,
    RML_COREML_NMS = 610,
} rml_coreml_type;

typedef enum rml_coreml_kind { // numbers of FeatureType's fields
    RML_COREML_INT64 = 1,
    RML_COREML_DOUBLE = 2,
    RML_COREML_TEXT = 3,
    RML_COREML_IMAGE = 4,
    RML_COREML_ARRAY = 5,
    RML_COREML_DICTIONARY = 6,
    RML_COREML_SEQUENCE = 7,
    RML_COREML_STATE = 8,
} rml_coreml_kind;

typedef enum rml_coreml_element { // ArrayFeatureType.ArrayDataType
    RML_COREML_F16 = 65552,
    RML_COREML_F32 = 65568,
    RML_COREML_F64 = 65600,
    RML_COREML_I8 = 131080,
    RML_COREML_I32 = 131104,
} rml_coreml_element;

typedef enum rml_coreml_color { // ImageFeatureType.ColorSpace
    RML_COREML_GRAY = 10,
    RML_COREML_RGB = 20,
    RML_COREML_BGR = 30,
    RML_COREML_GRAY_F16 = 40,
} rml_coreml_color;

// Sizes that a dimension may have, both ends included. A `high` below 0: no upper end.
typedef struct rml_coreml_range {
    int64_t low, high;
} rml_coreml_range;

typedef struct rml_coreml_feature {
    const char *name, *about;
    rml_coreml_kind kind;
    bool optional;     // an input that may be left out
    int64_t element;   // ARRAY, and STATE, which is an array: rml_coreml_element
    int64_t color;     // IMAGE: rml_coreml_color
    bool text_keys;    // DICTIONARY: keys are texts, not integers
    size_t rank;       // 0: not told
    int64_t *size;     // [rank]; IMAGE: height and width
    rml_shape *shapes; // ... and all that are allowed, where they are enumerated
    size_t shape_count;
    rml_coreml_range *range; // ... or those that each dimension may have
    size_t range_count;
    double fill; // what takes its place when it is left out
} rml_coreml_feature;

typedef struct rml_coreml_ports {
    const char *function; // "" for the model's own
    rml_coreml_feature *input, *output, *state;
    size_t input_count, output_count, state_count;
    const char *predicted, *probabilities; // outputs of a classifier; "" where there is none
} rml_coreml_ports;

typedef struct rml_coreml_note {
    rml_text key, value;
} rml_coreml_note;

typedef struct rml_coreml_model {
    int64_t version; // of the specification
    int type;        // number of the field that holds the network
    rml_protobuf body;
    rml_coreml_ports ports;
    rml_coreml_ports *function; // where there are several
    size_t function_count;
    const char *default_function;
    const char *about, *author, *license, *own_version; // "" where not told
    const rml_coreml_note *note;
    size_t note_count;
} rml_coreml_model;

// Who wants to hear of all faults of a file, and not of the first one alone.
typedef struct rml_coreml_watch {
    void *user;
    // A value of operation `name` of `type` that cannot be read, which has kind 0 then.
    void (*unread)(void *user, const char *type, const char *name, const char *why);
    // A result of an operation, as the file and as inference has it.
    void (*result)(void *user, const char *type, const char *name, const rml_shape *declared,
                   const rml_shape *inferred);
    // An "operation" or "layer" that cannot be computed: `misfit` where it is damaged, or types or
    // shapes do not go together.
    void (*refused)(void *user, const char *what, const char *type, const char *name,
                    const char *why, bool misfit);
} rml_coreml_watch;

// Bytes of a file of weights, and where what lies there is described.
typedef struct rml_coreml_bytes {
    size_t file;
    uint64_t begin, bytes, offset;
} rml_coreml_bytes;

typedef struct rml_coreml {
    rml_coreml_model model;
    rml_arena arena;
    const rml_allocator *allocator;
    rml_allocator own_allocator; // a copy: only what it points to must outlive the file
    rml_mapfile map;             // of the message, or of the archive that holds it
    bool is_memory;              // ... which is the caller's
    rml_zip zip;                 // no entries: there is no archive
    rml_mapfile message;         // as bytes of the map, or unpacked in the arena
    char *path;                  // of the message, in its archive; NULL in memory
    rml_names blobs;             // location -> place in `blob_file`
    rml_mapfile *blob_file;
    size_t blob_count, blob_capacity;
    struct rml_coreml *first; // whose map and files of weights are shared; NULL: its own
    rml_coreml_bytes *range;  // of all values that were read
    size_t range_count, range_capacity;
    size_t bodies;                 // graphs inside nodes that importing it has begun
    const rml_coreml_watch *watch; // NULL: the first fault ends reading
} rml_coreml;

// Opens a model file, a package (its folder, or one in a zip archive), its manifest, or the model
// inside it. `allocator` may be NULL and must outlive the result otherwise.
rml_status rml_coreml_open(rml_coreml **out, const char *path, const rml_allocator *allocator,
                           rml_error *err);

// The same of what rml_graph_map has mapped: `map` is the result's, or gone; empty: a package.
rml_status rml_coreml_open_map(rml_coreml **out, const char *path, rml_mapfile *map,
                               const rml_allocator *allocator, rml_error *err);

// The same of a file that is open, whose mappings it shares and which must outlive it.
rml_status rml_coreml_open_again(rml_coreml **out, rml_coreml *from, rml_error *err);

// The same for contents of a model, or of an archive, that lie in memory already and must stay
// there; weights in other files are not found then. Messages come without a file's name.
rml_status rml_coreml_open_memory(rml_coreml **out, const void *data, size_t size,
                                  const rml_allocator *allocator, rml_error *err);

void rml_coreml_close(rml_coreml **file);

// Tells the system that the weights' pages will not be needed soon.
void rml_coreml_drop_pages(const rml_coreml *file);

// Whether the bytes are those of a Core ML model, and not of another protobuf file, or of an
// archive with a package in it.
bool rml_coreml_is_model(const uint8_t *data, size_t size);

// Whether `path` is a folder, as packages are, or called as a manifest is.
bool rml_coreml_is_package(const char *path);

#endif
