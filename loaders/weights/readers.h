// What the readers of one file format each offer to the store, and the store to them.
#ifndef RML_LOADERS_WEIGHTS_READERS_H
#define RML_LOADERS_WEIGHTS_READERS_H

#include "tensor/names.h"
#include "loaders/formats/pickle.h"
#include "loaders/weights/weights.h"
#include "loaders/formats/zip.h"

// A tensor that repeats its storage (stride 0 after expand) may have this many elements more than
// the storage; without a limit, 100 bytes could ask for terabytes.
#define RML_MAX_REPEATED_ELEMENTS ((size_t)1 << 24)

#define RML_SAFETENSORS_MAX_HEADER_BYTES ((size_t)100 << 20)
// Containers may share their insides, so that few bytes could stand for endless tensors: entries
// looked at, and bytes of all names together, are bounded by the bytes of the pickle. Honest
// checkpoints stay far below both.
#define RML_STATE_DICT_BYTES_PER_VISIT 1
#define RML_STATE_DICT_NAME_BYTES_PER_BYTE 16
#define RML_STATE_DICT_MAX_DEPTH 128  // containers and objects inside one another
#define RML_STATE_DICT_MAX_CHOICES 16 // of an entry that holds the weights

// ---- the store, for readers -------------------------------------------------------------------

// Adds a tensor whose first element is at weight->stored.data, in a storage of which
// `available_bytes` follow. The name is copied, the type (NULL: that of its elements) is not.
// Checks the name, the counts and that every element lies inside the storage; of an unreadable
// one, which one of more than RML_MAX_RANK dimensions becomes, only the name. A tensor that a shard
// index gives to another file is left out silently. `beside`: it is no part of the weights.
rml_status rml_weights_add(rml_weights *weights, const char *name, size_t name_bytes,
                           const rml_weight *weight, size_t available_bytes, bool beside,
                           rml_error *err);

// The same of plain elements. `stride` NULL means C order.
rml_status rml_weights_add_mapped(rml_weights *weights, const char *name, size_t name_bytes,
                                  rml_dtype dtype, const rml_shape *shape, const int64_t *stride,
                                  const uint8_t *data, size_t available_bytes, rml_error *err);

// Keeps what a file says of itself. Texts are made fit to be printed; a name that is there already
// keeps its first text, and what exceeds RML_MAX_METADATA is left out silently.
rml_status rml_weights_add_metadata(rml_weights *weights, const char *name, size_t name_bytes,
                                    const char *text, size_t text_bytes, rml_error *err);

// ---- file formats -----------------------------------------------------------------------------

typedef enum rml_file_format {
    RML_FILE_TORCH_ZIP,
    RML_FILE_TORCH_LEGACY,
    RML_FILE_SAFETENSORS,
    RML_FILE_JSON,
    RML_FILE_ONNX,
    RML_FILE_COREML,
} rml_file_format;

// Tells a file's format from its contents. What we read nothing from (a web page, a Git LFS
// pointer, HDF5, ...) fails with a sentence that says what it is.
rml_status rml_file_sniff(const uint8_t *data, size_t size, rml_file_format *format,
                          rml_error *err);

// Each adds all tensors of the file, which stays mapped as long as the store. Messages come without
// the file's name.
rml_status rml_read_torch_zip(rml_weights *weights, const uint8_t *data, size_t size,
                              rml_error *err);
rml_status rml_read_torch_legacy(rml_weights *weights, const uint8_t *data, size_t size,
                                 rml_error *err);
rml_status rml_read_safetensors(rml_weights *weights, const uint8_t *data, size_t size,
                                rml_error *err);

// Whether all entries are arrays.
bool rml_zip_is_npz(const rml_zip *zip);

// Adds all arrays under their names without ".npy". Compressed ones are listed beside others and
// refused where all are.
rml_status rml_read_npz(rml_weights *weights, const rml_zip *zip, rml_error *err);

// Whether the archive was written by torch.export.save, and its entry that tells of the weights.
bool rml_zip_is_pt2(const rml_zip *zip, const rml_zip_entry **config);

// Adds the parameters and buffers of an exported program under the names of its state_dict().
rml_status rml_read_pt2(rml_weights *weights, const rml_zip *zip, const rml_zip_entry *config,
                        rml_error *err);

// Files named by a shard index ("weight_map"), and which tensor lies in which.
typedef struct rml_shard_index {
    rml_arena arena;   // owns all texts
    const char **file; // without folders
    size_t file_count, file_capacity;
    rml_names tensors; // name -> place in `file`
    const char **tensor;
    size_t tensor_count, tensor_capacity;
} rml_shard_index;

rml_status rml_shard_index_read(rml_shard_index *out, const uint8_t *data, size_t size,
                                const rml_allocator *allocator, rml_error *err);
void rml_shard_index_release(rml_shard_index *index);

// ---- PyTorch's objects ------------------------------------------------------------------------

// Finds a storage by its key: where its bytes lie and how many the file holds.
typedef struct rml_storage_source {
    rml_status (*find)(void *context, const char *key, size_t key_bytes, const uint8_t **data,
                       size_t *bytes, rml_error *err);
    void *context;
    bool swapped;   // elements are in big-endian byte order
    bool is_script; // of TorchScript: attributes of objects are what state_dict() has
} rml_storage_source;

// A storage as the pickle names it: ('storage', type, key, location, count[, view]).
typedef struct rml_storage_id {
    const rml_global *type;        // NULL: unknown
    const rml_pickle_value *named; // how its type is called
    const char *key;
    size_t key_bytes;
    uint64_t elements;                   // of the whole storage
    uint64_t view_offset, view_elements; // the part that is meant; the whole where there is no view
} rml_storage_id;

// False for a persistent id that names something else (a class, in whole models of old files).
bool rml_storage_id_is(const rml_pickle *pickle, rml_pickle_ref storage);

rml_status rml_storage_id_read(const rml_pickle *pickle, rml_pickle_ref storage,
                               rml_storage_id *out, rml_error *err);

// Adds the tensors in a checkpoint's object.
//
// Which part of a checkpoint holds the weights: while the top is a dictionary that has one of the
// entries "state_dict", "model_state_dict", "model", "params_ema", "params", "module", "net",
// "network" with a dictionary of tensors or a module in it, that entry is the top (the first of
// these names wins). What lies beside it, entries of the top that are named like an optimizer's
// state, and what state_dict() leaves out of a module, is beside the weights.
//
// Names are keys joined with ".". Of a module (an object of torch.nn.Module with all its
// attributes) they are those of its state_dict(). What stands in a list, under a key that is no
// text or in another object is loose; objects are looked at once. Entries that hold no tensors are
// left out.
rml_status rml_state_dict_add(rml_weights *weights, const rml_pickle *pickle,
                              const rml_storage_source *source, rml_error *err);

// Adds all tensors of an object as ones that lie beside the weights, under `name`; where they are
// damaged, what was found.
rml_status rml_state_dict_add_beside(rml_weights *weights, const rml_pickle *pickle,
                                     const rml_storage_source *source, const char *name,
                                     rml_error *err);

#endif
