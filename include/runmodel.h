// runmodel.h - public interface of librunmodel.
//
// A tensor runtime that loads trained weights as people have them and runs whole networks on CPUs.
//
//   weights file or folder -> rml_weights -> rml_model -> rml_session -> run
//
// Every function that can fail returns a status and, where `err` is not NULL, writes one plain
// sentence. The library never prints, exits or aborts, and holds no global state: objects made with
// different settings live side by side in one process. Opaque objects are destroyed with a pointer
// to the pointer, which is set to NULL.
//
// What may be called from where:
// - Different objects may be used on different threads at the same time, and any one of them on one
//   thread now and on another later.
// - Opened weights, arrays and graph files, and models, only tell: any number of threads may ask
//   one at the same time, and make, prepare and run sessions of one model.
// - A session is used by one thread at a time, but for rml_session_cancel; so are the sessions of
//   one shared block together. Runs on one pool take turns by themselves.
// - An allocator is called from any thread. Other callbacks come on the thread whose call they are
//   part of, and may call what only tells, and rml_session_cancel, but nothing else of that object.
//
// How structs grow without breaking programs that were built against an older header:
// - Structs that a caller fills (settings, views) begin with `size`, the bytes that the caller
//   knows: sizeof, which the function that gives the defaults sets. A smaller one is that of an
//   older header, and what it lacks is zero, which means the default everywhere. In a larger one,
//   of a newer header, members that this library does not know must be zero: otherwise it is
//   refused with RML_ERR_UNSUPPORTED. A size that is none (0 above all) is RML_ERR_ARG.
// - Structs that come back by value end in reserved room, which is zero; what is added is taken
//   from there. Structs that are handed out by pointer may grow at their end.
// - rml_error, rml_shape, rml_allocator, rml_source, rml_metadata, rml_graph_operator and
//   rml_graph_opset never change. Enumerations grow at their ends. A member that is there never
//   changes its place or its meaning.
#ifndef RUNMODEL_H
#define RUNMODEL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define RML_VERSION_MAJOR 0
#define RML_VERSION_MINOR 1
#define RML_VERSION_PATCH 0

#if defined(_WIN32) && defined(RML_SHARED)
#ifdef RML_BUILDING
#define RML_API __declspec(dllexport)
#else
#define RML_API __declspec(dllimport)
#endif
#elif defined(__GNUC__)
#define RML_API __attribute__((visibility("default")))
#else
#define RML_API
#endif

#if defined(__GNUC__)
#define RML_PRINTF(format_at, args_at) __attribute__((format(printf, format_at, args_at)))
#else
#define RML_PRINTF(format_at, args_at)
#endif

// ---- status and errors ------------------------------------------------------------------------

typedef enum rml_status {
    RML_OK = 0,
    RML_ERR_ARG,         // the caller's argument is wrong
    RML_ERR_NOMEM,       // the allocator said no
    RML_ERR_IO,          // the operating system said no
    RML_ERR_FORMAT,      // the file is damaged or not what it claims to be
    RML_ERR_UNSUPPORTED, // the file is well formed, and asks for what this build cannot do
    RML_ERR_SHAPE,       // shapes do not fit together
    RML_ERR_LIMIT,       // a named limit of this library is exceeded
    RML_ERR_INTERNAL,    // a bug of ours
    RML_ERR_CANCELLED    // the caller wanted the run to stop
} rml_status;

#define RML_MESSAGE_BYTES 4096

typedef struct rml_error {
    rml_status status;
    char message[RML_MESSAGE_BYTES]; // UTF-8, zero terminated, cut on a character boundary
} rml_error;

// Static English name of a status ("bad argument").
RML_API const char *rml_status_name(rml_status status);

// Writes a message as printf does (not %a, %n or wide text), cut to its room, and returns `status`:
// for programs that report in the library's way. `err` may be NULL; arguments may point into it.
RML_API rml_status rml_fail(rml_error *err, rml_status status, const char *format, ...)
    RML_PRINTF(3, 4);

// Puts "context: " in front of the message that is there.
RML_API void rml_error_prefix(rml_error *err, const char *context);

// "0.1.0", of the library that is linked.
RML_API const char *rml_version(void);

// ---- memory and logging hooks -----------------------------------------------------------------

// `alloc` returns memory aligned to 64 bytes, or NULL. `release` takes what `alloc` gave, or NULL.
// Both may be called from any thread.
typedef struct rml_allocator {
    void *(*alloc)(void *user, size_t bytes);
    void (*release)(void *user, void *memory);
    void *user;
} rml_allocator;

// A file that is neither a path nor memory: an archive's entry, flash behind a driver, a network.
// While it is opened all of it is read, once, in order and in pieces of at most 1 MB, into memory
// of the allocator; afterwards it is not asked again.
typedef struct rml_source {
    uint64_t size; // bytes of the file
    // Copies bytes [offset, offset + bytes), which lie inside the file, to `out`. False: they
    // cannot be read, and opening fails with RML_ERR_IO.
    bool (*read_at)(void *user, uint64_t offset, void *out, size_t bytes);
    void *user;
} rml_source;

// The C library's, which NULL stands for.
RML_API const rml_allocator *rml_allocator_default(void);

// Called with one line, without a line end, for what a caller may want to show. Never during run.
typedef void (*rml_log_fn)(void *user, const char *line);

// ---- tensors ----------------------------------------------------------------------------------

#define RML_MAX_RANK 8
#define RML_RANK_UNKNOWN (-2) // of a port whose file does not tell how many dimensions it has

typedef enum rml_dtype {
    RML_F32 = 0,
    RML_F16,
    RML_BF16,
    RML_F64,
    RML_I8,
    RML_U8,
    RML_I16,
    RML_I32,
    RML_I64,
    RML_BOOL,
    RML_U16,
    RML_U32,
    RML_U64
} rml_dtype;

// A size in each dimension. A dimension of -1 in a model's description may change between runs.
typedef struct rml_shape {
    int rank;
    int64_t dim[RML_MAX_RANK];
} rml_shape;

RML_API size_t rml_dtype_size(rml_dtype dtype);      // bytes of one element
RML_API const char *rml_dtype_name(rml_dtype dtype); // "f32"

// Converts `count` consecutive elements; `src` and `dst` are aligned to their types and do not
// overlap. To fewer bits integers wrap; floats are rounded to nearest even where a float is wanted,
// and cut towards zero where an integer is (out of its range: the nearest value of 64 bits, then
// wrapped; not a number: 0). To bool everything but zero is true.
RML_API void rml_dtype_convert(rml_dtype from, const void *src, rml_dtype to, void *dst,
                               size_t count);

typedef enum rml_normalize {
    RML_NORMALIZE_NONE = 0,
    RML_NORMALIZE_ROUND,   // outputs to the nearest integer, halves to even
    RML_NORMALIZE_TRUNCATE // outputs down
} rml_normalize;

// Elements in the caller's memory, in whatever order they lie there. With the channels of pixels
// together and `pitch` bytes from row to row, an image is bound to a port (N,C,H,W) by
//   rank 4, stride {H * pitch, element, pitch, C * element}
typedef struct rml_tensor_view {
    size_t size;     // sizeof(rml_tensor_view)
    void *data;      // the first element, with any alignment
    size_t bytes;    // from `data` on; nothing else is touched
    rml_dtype dtype; // of the elements
    int rank;        // of the strides; 0: C order without gaps
    // Bytes to the next element in each dimension of the port, not negative; of inputs also 0,
    // which repeats elements.
    int64_t stride[RML_MAX_RANK];
    // Inputs only: each element becomes element * scale + bias, computed in f32. `channels` is how
    // many numbers there are of either: 0: none; 1: the same for all; otherwise as many as the port
    // has in dimension `channel_axis`. NULL: scale 1, or bias 0. They are copied when bound.
    int channels, channel_axis;
    const float *scale, *bias;
    // Of views of u8 or u16 at ports of f32: whether the largest integer stands for 1. Inputs are
    // divided by it, before any scale; outputs are cut to [0,1] (what is no number to 0) and
    // multiplied by it.
    rml_normalize normalize;
    uint32_t reserved;
} rml_tensor_view;

RML_API rml_tensor_view rml_tensor_view_default(void);

// ---- weights ----------------------------------------------------------------------------------

typedef struct rml_weights rml_weights;

typedef struct rml_weight_info {
    const char
        *name; // as stored, after what DataParallel and its kin put in ("module.") is taken out
    rml_dtype dtype;       // that it is read as: f32 where the file has a type that is none of ours
    uint32_t element_bits; // in the file; 0 where that is not to be told
    rml_shape shape;       // rank RML_RANK_UNKNOWN where it has more than RML_MAX_RANK dimensions
    const char *type;      // in the file: "f32", "float8_e4m3fn", "complex64", "sparse_coo:f32"
    uint32_t same_as;      // 1 + the index of the first one with the same elements, as in tied
                           // weights; 0: its own
    bool unreadable;       // rml_weights_read_f32 and networks that need it refuse it
    uint8_t reserved[3];
} rml_weight_info;

// What lies at `path`: "onnx", "coreml" (a file, a package or its manifest, also in an archive), or
// "weights". Told from the first bytes, or an archive's directory, alone. A static text.
RML_API rml_status rml_file_kind(const char **out, const char *path, rml_error *err);

// Opens a file (PyTorch zip or legacy stream, safetensors, a shard index) or a folder laid out as
// on a model hub. Files are mapped, and only their tables are read. Nothing in them is executed.
// Tensors of every type are listed; one that cannot be read is refused when it is needed. An ONNX
// file or Core ML model opens too, as a store without tensors: rml_model_create then takes the
// network in it in place of the built-in one, whose inputs and outputs it must have, under whatever
// names. Images that it declares take and give other numbers than those of the built-in one: they
// are converted. `allocator` may be NULL and must outlive the weights otherwise.
RML_API rml_status rml_weights_open(rml_weights **out, const char *path,
                                    const rml_allocator *allocator, rml_error *err);

// The same of one file's contents, without shard index or folder. Those in memory must stay there,
// unchanged, until the weights are closed. `allocator` as above.
RML_API rml_status rml_weights_open_memory(rml_weights **out, const void *data, size_t size,
                                           const rml_allocator *allocator, rml_error *err);
RML_API rml_status rml_weights_open_source(rml_weights **out, const rml_source *source,
                                           const rml_allocator *allocator, rml_error *err);

RML_API size_t rml_weights_count(const rml_weights *weights);
RML_API rml_weight_info rml_weights_at(const rml_weights *weights, size_t index);

// Tensors of the file that are no part of the weights: the state of an optimizer, another copy of
// the model. Names are paths in the file's object: "optimizer.state.0.exp_avg"; same_as is an index
// of rml_weights_at. They are only told about.
RML_API size_t rml_weights_beside_count(const rml_weights *weights);
RML_API rml_weight_info rml_weights_beside_at(const rml_weights *weights, size_t index);

// Static name of the format: "pytorch zip", "pytorch legacy", "safetensors", ...
RML_API const char *rml_weights_format(const rml_weights *weights);

#define RML_MAX_METADATA 32         // entries kept; more are left out
#define RML_METADATA_TEXT_BYTES 512 // a name or text with its terminator; longer ones end in "..."

// What the maker of a safetensors file wrote into it beside the tensors ("__metadata__"). Fit to be
// printed: UTF-8, control characters replaced by "?".
typedef struct rml_metadata {
    const char *name;
    const char *text;
} rml_metadata;

RML_API size_t rml_weights_metadata_count(const rml_weights *weights);

// Names differ from each other. Both texts are NULL past the end.
RML_API rml_metadata rml_weights_metadata_at(const rml_weights *weights, size_t index);

// Copies tensor `index`, converted to f32, C order, to `dst` of `count` elements.
RML_API rml_status rml_weights_read_f32(const rml_weights *weights, size_t index, float *dst,
                                        size_t count, rml_error *err);

RML_API void rml_weights_close(rml_weights **weights);

// ---- arrays in .npy files -----------------------------------------------------------------------

typedef struct rml_npy rml_npy;

// Maps a file of versions 1 to 3 that holds f2, f4, f8, integers or booleans, in C or Fortran order
// and either byte order. `allocator` may be NULL and must outlive the array otherwise.
RML_API rml_status rml_npy_open(rml_npy **out, const char *path, const rml_allocator *allocator,
                                rml_error *err);
RML_API rml_shape rml_npy_shape(const rml_npy *npy);
RML_API rml_dtype rml_npy_dtype(const rml_npy *npy); // as stored

// Converts the whole array to `dtype` in C order, to `dst` of `dst_bytes` bytes. To floats
// everything converts; an integer must fit, and a fraction is no integer: both are RML_ERR_ARG.
RML_API rml_status rml_npy_read(const rml_npy *npy, rml_dtype dtype, void *dst, size_t dst_bytes,
                                rml_error *err);
RML_API void rml_npy_close(rml_npy **npy);

// Writes an array in C order (bf16 as f32), through a file beside it that is renamed when whole.
RML_API rml_status rml_npy_write(const char *path, rml_dtype dtype, const void *data,
                                 const rml_shape *shape, rml_error *err);

// ---- CPU --------------------------------------------------------------------------------------

typedef enum rml_cpu_level {
    RML_CPU_BEST =
        0, // the best that is both built in and detected; RML_CPU in the environment lowers it
    RML_CPU_PORTABLE,
    RML_CPU_NEON,
    RML_CPU_AVX2,  // AVX2 and FMA
    RML_CPU_AVX512 // AVX-512 F, BW, DQ and VL
} rml_cpu_level;

RML_API const char *rml_cpu_level_name(rml_cpu_level level);
RML_API bool rml_cpu_level_parse(const char *name, rml_cpu_level *level);
RML_API bool rml_cpu_level_available(rml_cpu_level level); // built in, and this CPU and OS run it
RML_API rml_cpu_level rml_cpu_level_best(void);            // what RML_CPU_BEST means here and now

// RML_ERR_ARG where RML_CPU or RML_CPU_MASK hold an unknown word, as every new session says.
RML_API rml_status rml_cpu_check(rml_error *err);

// min(affinity mask, cgroup quota), at least 1.
RML_API int rml_threads_default(void);

// Threads for the sessions that name them in their settings, in place of threads of their own. Any
// number of sessions, of any models and on any threads of the program, may share a pool: runs and
// preparations take turns on it, each with all of its threads, and those that come meanwhile wait.
// A callback must not run or prepare another session of the pool.
typedef struct rml_pool rml_pool;

// `threads`: workers, the thread that calls run among them: 1 starts none; 0: rml_threads_default.
// `allocator` may be NULL and must outlive the pool otherwise.
RML_API rml_status rml_pool_create(rml_pool **out, int threads, const rml_allocator *allocator,
                                   rml_error *err);
RML_API int rml_pool_threads(const rml_pool *pool);
// Must come after all its sessions are destroyed.
RML_API void rml_pool_destroy(rml_pool **pool);

// What this build holds, and what of it this machine and RML_CPU_MASK leave. RML_CPU_MASK in the
// environment, and rml_session_settings.cpu_mask, take features of RML_FEATURE_CPU away by name,
// with commas between them: "amx-bf16,avx512-bf16".
typedef enum rml_feature_kind {
    RML_FEATURE_LEVEL = 0, // an rml_cpu_level, by its name
    RML_FEATURE_PRECISION, // an rml_precision, by its name
    RML_FEATURE_BUILD,     // an option of the build: "threads"
    RML_FEATURE_CPU        // an instruction set extension that kernels may use
} rml_feature_kind;

typedef struct rml_feature {
    const char *name; // NULL past the end
    rml_feature_kind kind;
    bool built, available;
    uint64_t reserved[2];
} rml_feature;

RML_API rml_feature rml_feature_at(size_t index);

// ---- models -----------------------------------------------------------------------------------

typedef struct rml_model rml_model;

typedef struct rml_model_desc {
    const char *name;
    const char *summary;
} rml_model_desc;

// The built-in networks, in a fixed order; NULL past the end.
RML_API const rml_model_desc *rml_model_list(size_t index);

// What a network is computed in. Never lowered silently: what this build or CPU cannot do is an
// error. In bf16 the operands of linear layers, convolutions and attention are rounded to bf16 and
// their products summed in f32; everything else stays f32, and a profile says what each node ran
// in. F16_ROUNDED is what a device with halves may give: in f32, but the results of every operator
// and all trained numbers are rounded to f16. It is chosen when a model is made (see
// rml_model_settings); its sessions have this precision or f32, which is the same for them.
typedef enum rml_precision {
    RML_PRECISION_F32 = 0,
    RML_PRECISION_BF16 = 2,
    RML_PRECISION_F16_ROUNDED = 3
} rml_precision;

typedef struct rml_model_settings {
    size_t size;                    // sizeof(rml_model_settings)
    const rml_allocator *allocator; // NULL: the C library
    const char *disabled_passes;    // comma separated names of graph passes to leave out, or NULL
    // For networks whose weights do not tell everything: the path of a config.json or of its
    // folder, or the JSON itself where it begins with "{". NULL: the config.json that lies with the
    // weights, if there is one.
    const char *config;
    // Leave the inputs and outputs of a graph file that is taken for a network the element types
    // they have there, as rml_model_input tells them. Otherwise types that are not the network's
    // are refused, so that who knows the network may count on them.
    bool keep_types;
    // Leave the operators as the network or the file has them, for rml_model_write. Such a model
    // has no sessions.
    bool as_written;
    rml_log_fn log; // may be NULL
    void *log_user;
    // Which of an ML Program's functions to run. NULL: its default one, else "main", else the only
    // one. Other files have no functions to choose from.
    const char *function;
    // RML_PRECISION_F16_ROUNDED, or 0: every other precision is chosen for each session.
    rml_precision precision;
    uint32_t reserved;
} rml_model_settings;

RML_API rml_model_settings rml_model_settings_default(void);

// Builds network `name` with the widths found in `weights`. Missing and unexpected tensors and
// wrong shapes are listed all at once in `err`. The model keeps using `weights`, which must outlive
// it. `weights` NULL gives the network at its published size with all parameters zero.
RML_API rml_status rml_model_create(rml_model **out, const char *name, const rml_weights *weights,
                                    const rml_model_settings *settings, rml_error *err);

// Imports a graph file (ONNX, or a Core ML file or package), which holds its own weights and stays
// mapped. What cannot be run is listed all at once in `err`: node, operator, types and shapes.
RML_API rml_status rml_model_open(rml_model **out, const char *path,
                                  const rml_model_settings *settings, rml_error *err);

// The same of contents in memory, which must stay there, unchanged, until the model is destroyed,
// or from a source (ONNX alone). Data in files beside the graph are refused.
RML_API rml_status rml_model_open_memory(rml_model **out, const void *data, size_t size,
                                         const rml_model_settings *settings, rml_error *err);
RML_API rml_status rml_model_open_source(rml_model **out, const rml_source *source,
                                         const rml_model_settings *settings, rml_error *err);

// What a graph file (ONNX or Core ML) says of itself, whether it can be run here or not. Texts live
// as long as what they came from; they are UTF-8 without control characters.
typedef struct rml_graph_file rml_graph_file;

typedef struct rml_graph_summary {
    const char *format;                                  // "onnx", "coreml"
    int64_t format_version;                              // IR version, or of the specification
    const char *producer, *producer_version;             // "" where it is not told
    size_t inputs, outputs, opsets, operators, metadata; // how many the functions below give
    size_t nodes, functions; // of all graphs, or of the function told about; functions of the file
    size_t constants;        // tensors in the file, or that it names
    uint64_t numbers, bytes; // of them; bytes of types that are read here
    uint64_t function;       // index of the function that is told about, where there are several
    uint64_t states;         // that a session keeps from run to run
    uint64_t reserved[2];
} rml_graph_summary;

typedef struct rml_graph_port {
    const char *name;                   // NULL past the end
    const char *type;                   // "f32"; types that this library lacks as the file has them
    rml_shape shape;                    // rank RML_RANK_UNKNOWN: not told; -1: any size
    const char *dim_name[RML_MAX_RANK]; // what the file calls a size, or NULL
    uint64_t reserved[2];
} rml_graph_port;

typedef struct rml_graph_operator {
    const char *domain, *name; // domain "": ONNX's own
    size_t count;              // nodes
} rml_graph_operator;

typedef struct rml_graph_opset {
    const char *domain;
    int64_t version;
} rml_graph_opset;

// Maps and checks the whole file. `allocator` as in rml_weights_open.
RML_API rml_status rml_graph_file_open(rml_graph_file **out, const char *path,
                                       const rml_allocator *allocator, rml_error *err);
// The same of one function of an ML Program; NULL: its default one.
RML_API rml_status rml_graph_file_open_function(rml_graph_file **out, const char *path,
                                                const char *function,
                                                const rml_allocator *allocator, rml_error *err);
RML_API rml_graph_summary rml_graph_file_summary(const rml_graph_file *file);
RML_API rml_graph_port rml_graph_file_input(const rml_graph_file *file, size_t index);
RML_API rml_graph_port rml_graph_file_output(const rml_graph_file *file, size_t index);
RML_API rml_graph_port rml_graph_file_state(const rml_graph_file *file, size_t index);
// The most frequent first.
RML_API rml_graph_operator rml_graph_file_operator(const rml_graph_file *file, size_t index);
RML_API rml_graph_opset rml_graph_file_opset(const rml_graph_file *file, size_t index);
// Names of an ML Program's functions; NULL past the end, and of files of other kinds.
RML_API const char *rml_graph_file_function(const rml_graph_file *file, size_t index);
// As of weights: at most RML_MAX_METADATA, cut to RML_METADATA_TEXT_BYTES.
RML_API rml_metadata rml_graph_file_metadata(const rml_graph_file *file, size_t index);
// As rml_model_open, of a file that is open, which must outlive the model; one thread at a time.
RML_API rml_status rml_graph_file_model(rml_model **out, rml_graph_file *file,
                                        const rml_model_settings *settings, rml_error *err);
RML_API void rml_graph_file_close(rml_graph_file **file);

// What the tools of a file's format would stumble over, as rml_model_check finds it.
typedef enum rml_check_kind {
    RML_CHECK_FAULT = 0, // against the rules of the format
    RML_CHECK_WARNING,   // legal, and seldom what is meant
    RML_CHECK_NOTE       // what was looked at, and what cannot be told here
} rml_check_kind;

// Rules that a program may pass over: that an output tells how many dimensions it has.
typedef enum rml_check_rule { RML_CHECK_OTHER_RULE = 0, RML_CHECK_OUTPUT_SHAPE } rml_check_rule;

typedef struct rml_check_finding {
    rml_check_kind kind;
    const char *place;   // "operation \"x_1\" (conv)"; "" for the whole file
    const char *text;    // one sentence, without a full stop; both live as long as the call
    rml_check_rule rule; // of a fault: what it breaks
    uint32_t reserved[3];
} rml_check_finding;

typedef void (*rml_check_fn)(void *user, const rml_check_finding *finding);

// Looks at a whole file (Core ML, ONNX; of other files what reading them checks) and reports all
// that it finds, of which `*faults` are faults: one, if it cannot be read. The status is that of
// what keeps it from being looked at, such as memory. `allocator` as in rml_weights_open.
RML_API rml_status rml_model_check(const char *path, const rml_allocator *allocator,
                                   rml_check_fn report, void *user, size_t *faults, rml_error *err);

// Random weights of network `name` at its published size, or that of the settings' config.
RML_API rml_status rml_weights_create_random(rml_weights **out, const char *name, uint64_t seed,
                                             const rml_model_settings *settings, rml_error *err);

typedef enum rml_meaning_kind {
    RML_MEANS_IMAGE = 1, // (N,C,H,W)
    RML_MEANS_SCORES,    // a number for each class, in the order of the labels
    RML_MEANS_LABEL      // the class with the largest of them
} rml_meaning_kind;

typedef enum rml_colours {
    RML_COLOURS_NONE, // an array
    RML_COLOURS_GRAY,
    RML_COLOURS_RGB,
    RML_COLOURS_BGR
} rml_colours;

// What the numbers of an input or output stand for, where anything says so. Lives as the model.
typedef struct rml_meaning {
    rml_meaning_kind kind;
    // Images: the order of the planes, in which a level v of 0..255 is (v - mean) / deviation.
    rml_colours colours;
    float mean[3], deviation[3]; // of the planes, in their order
    bool declared; // by the file, which takes or gives pictures, and not by custom of the network
    bool dark;     // an output that ends in what gives at most 1: as levels 0..255 it is black
    // Classes: their labels, texts without control characters. A label's port holds its place among
    // them, or, with `numbered`, the number that it is.
    bool numbered;
    size_t label_count;
    const char *const *label;
} rml_meaning;

typedef struct rml_limits {  // of an input, beyond its `shape`; lives as long as the model
    rml_shape usual;         // with all sizes: sessions begin with it
    rml_shape low, high;     // of each dimension, where low.rank is not 0; -1 in high: any
    const rml_shape *shapes; // all that are allowed, where they are listed; -1: any size
    size_t shape_count;
    const char *text; // for people: "1x3x(64..512)x(64..512)"; "": no more than `shape` says
    bool optional;    // the file does without: each element is to be `fill` then
    double fill;
} rml_limits;

typedef struct rml_port {
    const char *name;
    rml_dtype dtype;
    rml_shape shape; // -1 where the size may change between runs; rank RML_RANK_UNKNOWN: any
    const rml_meaning *meaning; // NULL: not told
    const rml_limits *limits;   // of an input; NULL: it has the shape above, and is needed
} rml_port;

RML_API size_t rml_model_input_count(const rml_model *model);
RML_API size_t rml_model_output_count(const rml_model *model);
RML_API rml_port rml_model_input(const rml_model *model, size_t index);
RML_API rml_port rml_model_output(const rml_model *model, size_t index);

// The index of an input or output, or RML_NO_PORT where there is none of this name. The functions
// of sessions that take names look them up so, and their sisters that take indices do not.
#define RML_NO_PORT ((size_t)-1)
RML_API size_t rml_model_find_input(const rml_model *model, const char *name);
RML_API size_t rml_model_find_output(const rml_model *model, const char *name);

// What sessions keep from run to run: an ML Program's states, no ports. Zeroed past the end.
RML_API rml_port rml_model_state(const rml_model *model, size_t index);

RML_API uint64_t rml_model_parameters(const rml_model *model); // trainable numbers in use

// Must come after all sessions of the model are destroyed.
RML_API void rml_model_destroy(rml_model **model);

// ---- writing ----------------------------------------------------------------------------------

// How an input or output of a model is to be written.
typedef struct rml_write_port {
    const char *name; // of the model
    const char *as;   // in the file; NULL: `name`, made fit for the format
    // Of an input: its sizes in the file, -1 where they may change between runs (from low to high,
    // where those are given; of such a dimension `usual` is what it is unless told otherwise).
    // NULL: as in the model.
    const rml_shape *shape, *low, *high, *usual;
    rml_colours colours; // Core ML: pixels of 0 to 255
    // Of each channel (one number: of all), NULL: 1 and 0. The network gets an input times scale
    // plus bias; the file gives an output times scale plus bias.
    const float *scale, *bias;
    size_t scale_count, bias_count;
    uint64_t reserved[2];
} rml_write_port;

typedef enum rml_write_weights {
    RML_WRITE_F32,
    RML_WRITE_F16,    // and everything is computed in halves
    RML_WRITE_INT8,   // large weights, by a scale for each output channel
    RML_WRITE_PALETTE // large weights, as places in a table of 2^palette_bits numbers
} rml_write_weights;

typedef struct rml_write_settings {
    size_t size; // sizeof(rml_write_settings)
    int opset;   // of an ONNX file, 13 to 21; 0: 17
    int ios; // target of a Core ML file, 12 to 18; 0: 13 of a .mlmodel, the least of a .mlpackage
    rml_write_weights weights;
    int palette_bits; // 1 to 8
    const rml_write_port *ports;
    size_t port_count;
    // A classifier (Core ML): names of the classes, as many as the first output has elements; NULL:
    // none. What the outputs are called; NULL: "classLabel" and the output's name.
    const char *const *labels;
    size_t label_count;
    const char *label_name, *scores_name; // made fit for the format
    // NULL or "": left out.
    const char *author, *license, *description, *version;
    const char *source; // what is noted as the file the network comes from; NULL: nothing
    rml_log_fn log;     // hears what a reader of the file should know; may be NULL
    void *log_user;
    bool numbered; // the labels are whole numbers, and are written as these
    uint64_t reserved[3];
} rml_write_settings;

RML_API rml_write_settings rml_write_settings_default(void);

// Writes the network to a file of the kind that `path` ends in: .onnx, .mlmodel, .mlpackage (a
// folder) or .safetensors (the weights alone). `model` was made with as_written. What the kind
// cannot hold is rewritten where that is exact; the rest is refused, all at once. The same call
// gives the same bytes. Nothing lies under the name until the file is whole.
RML_API rml_status rml_model_write(const rml_model *model, const char *path,
                                   const rml_write_settings *settings, rml_error *err);

// ---- sessions ---------------------------------------------------------------------------------

// A session is a model planned for concrete shapes, with its own memory and threads. Several
// sessions of one model may run at the same time on several threads; one session is used by one at
// a time.
typedef struct rml_session rml_session;

RML_API const char *rml_precision_name(rml_precision precision);
RML_API bool rml_precision_parse(const char *name, rml_precision *precision);
RML_API bool rml_precision_available(rml_precision precision, rml_cpu_level cpu); // here and now

// One output of a node, just computed: contiguous, C order, valid during the call.
typedef struct rml_observed {
    const char *node;   // name in the weights or file it came from
    const char *weight; // name of the weight that the node packs, or NULL
    const char *op;
    rml_dtype dtype;
    rml_shape shape;
    const void *data;
} rml_observed;

typedef void (*rml_observe_fn)(void *user, const rml_observed *value);

// Called on the thread that runs, after each part of a run: a node, or a band of rows where images
// are computed so. `done` goes from 1 to `total`; parts are not equally long.
typedef void (*rml_progress_fn)(void *user, size_t done, size_t total);

// Memory for sessions that take turns, of one model or of several: as large as the largest plan of
// them, and not as all together. A turn is to prepare, to fill the inputs, to run and to read the
// outputs; what a session had in inputs and outputs is lost when another takes its turn, and so are
// the pointers to them. A session whose memory has moved must be prepared again before it runs.
// Used by one thread at a time.
typedef struct rml_shared_block rml_shared_block;

RML_API rml_status rml_shared_block_create(rml_shared_block **out, const rml_allocator *allocator,
                                           rml_error *err); // NULL: the default one
RML_API size_t rml_shared_block_bytes(const rml_shared_block *block);
// Must come after all its sessions are destroyed.
RML_API void rml_shared_block_destroy(rml_shared_block **block);

typedef struct rml_session_settings {
    size_t size;                    // sizeof(rml_session_settings)
    const rml_allocator *allocator; // NULL: the model's
    int threads;                    // of its own; 0: rml_threads_default(), or those of `pool`
    rml_pool *pool;                 // threads that it shares, or NULL
    rml_cpu_level cpu;
    const char *cpu_mask; // features to do without, as in RML_CPU_MASK, or NULL
    rml_precision precision;
    void *memory;        // caller's block for activations and scratch, 64-byte aligned, or NULL
    size_t memory_bytes; // its size; planning fails with RML_ERR_LIMIT when it is too small
    rml_shared_block *shared; // activations and scratch lie there, or NULL
    // At most so many bytes of activations and scratch, or 0. Where a plan would take more, large
    // images are computed in bands of rows: the same bits, some of them computed more than once.
    // Where that does not suffice, preparing fails with RML_ERR_LIMIT. What runs take beside the
    // block (see rml_session_grows) counts as well; a run that would pass the limit fails with
    // RML_ERR_LIMIT.
    size_t memory_limit;
    bool profile;  // measure every node
    bool no_reuse; // give every value its own memory (to tell planner faults from others)
    bool in_order; // convolutions sum as they are defined, without Winograd's algorithm and its kin
    // Hears of every value but those only computed in bands; runs then allocate. May be NULL.
    rml_observe_fn observe;
    void *observe_user;
    rml_log_fn log;
    void *log_user;
    rml_progress_fn progress; // may be NULL
    void *progress_user;
} rml_session_settings;

RML_API rml_session_settings rml_session_settings_default(void);

RML_API rml_status rml_session_create(rml_session **out, rml_model *model,
                                      const rml_session_settings *settings, rml_error *err);

// Sets the shape of one input, if its file allows it, from the next rml_session_prepare on.
RML_API rml_status rml_session_resize(rml_session *session, const char *input, rml_shape shape,
                                      rml_error *err);
RML_API rml_status rml_session_resize_at(rml_session *session, size_t input, rml_shape shape,
                                         rml_error *err);

// Plans for the shapes set, packs weights not packed yet, and makes all memory ready. Cheap when
// nothing changed. On failure the session keeps its former plan and shapes. Pointers from
// rml_session_input and rml_session_output are valid until the next prepare that changes shapes,
// and where the session shares its memory until another one of the block is prepared.
RML_API rml_status rml_session_prepare(rml_session *session, rml_error *err);

// Where to write an input and read an output: contiguous, C order, of the port's element type, in
// the session's memory, or what was bound and is used as it is. NULL when there is no such port,
// nothing is prepared, the memory that is shared has moved since, what is bound is too small, or
// each run copies the input from what is bound to it. An output that each run copies is here, too,
// but not an image that a run in bands copies band by band (see rml_session_bind_input): NULL.
// An output whose shape only a run tells is NULL before the first run, and has a shape and a place
// of its own after each, in memory of the session until the next run. `shape` may be NULL.
RML_API void *rml_session_input(rml_session *session, const char *name, rml_shape *shape);
RML_API const void *rml_session_output(rml_session *session, const char *name, rml_shape *shape);
RML_API void *rml_session_input_at(rml_session *session, size_t input, rml_shape *shape);
RML_API const void *rml_session_output_at(rml_session *session, size_t output, rml_shape *shape);

// Makes the session read an input from, or write an output to, the caller's memory from now on. It
// is used by every later run, and stays the caller's. A view, or its data, that is NULL undoes it.
//
// Memory that holds the elements as the network computes with them (the port's type, C order, no
// gaps, aligned to the type, no scale) is used as it is. Everything else is copied, converted and
// scaled by each run, between the view and the session's memory; that allocates nothing. Inputs are
// converted from any type, as rml_dtype_convert does; outputs keep theirs, but for `normalize`.
// Inputs and outputs do not overlap, nor do elements of an output.
//
// With a memory limit, bind before preparing: where the plan has to compute images in bands, images
// that are bound then are converted band by band and take no room in the session's memory. They are
// to be bound, to whatever memory, in every run of that plan.
//
// RML_ERR_LIMIT, with both sizes, where the tensor does not fit into the view's bytes, and
// RML_ERR_SHAPE where rank or channels are other ones: at once when it is planned, and otherwise by
// every run that finds it so, also where only a run tells the size of an output.
RML_API rml_status rml_session_bind_input(rml_session *session, size_t input,
                                          const rml_tensor_view *view, rml_error *err);
RML_API rml_status rml_session_bind_output(rml_session *session, size_t output,
                                           const rml_tensor_view *view, rml_error *err);

// The same by name for elements in C order, of the port's type: the input of this name, or else the
// output.
RML_API rml_status rml_session_bind(rml_session *session, const char *name, void *data,
                                    size_t bytes, rml_error *err);

// Runs the network. Prints nothing and starts nothing; allocates nothing either, unless the shapes
// inside depend on what is computed, and then not for sizes that the last run had. Fails where the
// network picks something by an index, given or computed, that is out of range.
RML_API rml_status rml_session_run(rml_session *session, rml_error *err);

// States of the model are zeros in a new session, and each run of a session goes on from what its
// last one left; one that fails or is cancelled leaves them as they were. They lie in memory of the
// session beside the block, whatever is prepared. This makes them zeros again.
RML_API void rml_session_reset_state(rml_session *session);

// Asks the run at hand, or else the next one, to stop: before its next part it returns
// RML_ERR_CANCELLED, and the request is met. Outputs then hold anything; the session may run again
// at once. `false` takes back a request that no run has met. The only function of a session that
// other threads, and signal handlers, may call while it runs.
RML_API void rml_session_cancel(rml_session *session, bool cancel);

RML_API size_t
rml_session_planned_bytes(const rml_session *session); // the block: activations + scratch
RML_API size_t rml_session_packed_bytes(const rml_session *session); // packed weights it uses

// Whether parts of the network are planned only while it runs: what follows from elements that are
// computed, and graphs inside nodes. A run takes memory for them beside the block, outputs of such
// sizes included, and keeps it for the next one; with a memory limit, never more than what the
// block leaves of it.
RML_API bool rml_session_grows(const rml_session *session);

// The block and the most that runs have taken beside it so far.
RML_API size_t rml_session_peak_bytes(const rml_session *session);
RML_API uint64_t rml_session_macs(const rml_session *session); // multiply-adds of one run
RML_API int rml_session_threads(const rml_session *session);
RML_API rml_cpu_level rml_session_cpu(const rml_session *session);

typedef struct rml_profile_entry {
    const char *node;      // name in the weights or file it came from
    const char *op;        // "conv"
    const char *algorithm; // "winograd-4x4-3x3"
    const char *precision; // "f32"
    rml_shape shape;       // of the output, as planned now
    uint64_t macs;         // of all runs together, whatever the shapes
    uint64_t runs;
    double total_ms;
    uint64_t reserved[4];
} rml_profile_entry;

// Nodes in order of execution, when the session was made with `profile`.
RML_API size_t rml_session_profile_count(const rml_session *session);
RML_API rml_profile_entry rml_session_profile(const rml_session *session, size_t index);

RML_API void rml_session_destroy(rml_session **session);

#ifdef __cplusplus
}
#endif
#endif
