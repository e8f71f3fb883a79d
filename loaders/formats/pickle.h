// Reader of Python pickles, protocols 2 to 5, that builds plain values and calls nothing.
//
// A pickle is a program for a small stack machine. Here its opcodes only build a table of values:
// "call this global with these arguments" becomes an OBJECT value that records both, and the
// attributes and items that it is given later. What a known
// global stands for (a tensor, a dictionary) is decided by those who read the values; everything
// else stays opaque.
#ifndef RML_LOADERS_FORMATS_PICKLE_H
#define RML_LOADERS_FORMATS_PICKLE_H

#include "tensor/coding.h"
#include "tensor/names.h"

#define RML_PICKLE_MAX_BYTES ((size_t)256 << 20) // one pickle, without the tensors' data
#define RML_PICKLE_MAX_VALUES ((size_t)16 << 20) // values of one pickle
#define RML_PICKLE_MAX_ITEMS ((size_t)64 << 20)  // items of all its containers, with growth room
#define RML_PICKLE_ITEMS_PER_BYTE 8            // and no more than this for each byte of the pickle
#define RML_PICKLE_MAX_MEMO ((size_t)16 << 20) // highest memo index
#define RML_PICKLE_MAX_DEPTH 1024              // containers open at one time
#define RML_PICKLE_MAX_INT_BYTES 8             // longer integers stay raw bytes
#define RML_PICKLE_MAX_STACK ((size_t)8 << 20) // values on the stack

typedef enum rml_pickle_kind {
    RML_PICKLE_NONE,
    RML_PICKLE_BOOL,
    RML_PICKLE_INT,
    RML_PICKLE_LONG, // more than 8 bytes: raw little-endian two's complement
    RML_PICKLE_FLOAT,
    RML_PICKLE_TEXT,
    RML_PICKLE_BYTES,
    RML_PICKLE_TUPLE,
    RML_PICKLE_LIST,
    RML_PICKLE_DICT, // items are key, value, key, value; dict, OrderedDict, defaultdict, Counter
    RML_PICKLE_SET,
    RML_PICKLE_GLOBAL,  // first: module, second: name
    RML_PICKLE_OBJECT,  // first: callable, second: arguments, state, items
    RML_PICKLE_STORAGE, // persistent id; first: what identifies it
} rml_pickle_kind;

// What the reader knows a global to be.
typedef enum rml_global_kind {
    RML_GLOBAL_UNKNOWN = 0,
    RML_GLOBAL_DICT,         // a call makes a dictionary
    RML_GLOBAL_PLAIN,        // known, neither a dictionary nor a tensor
    RML_GLOBAL_STORAGE,      // type of a storage
    RML_GLOBAL_DTYPE,        // element type
    RML_GLOBAL_PER_TENSOR,   // the quantizer with one scale
    RML_GLOBAL_TENSOR_V1,    // (storage, offset, size, stride)
    RML_GLOBAL_TENSOR_V2,    // (storage, offset, size, stride, requires_grad, hooks[, metadata])
    RML_GLOBAL_TENSOR_V3,    // (storage, offset, size, stride, requires_grad, hooks, dtype[,
                             // metadata])
    RML_GLOBAL_QUANTIZED,    // (storage, offset, size, stride, quantizer, requires_grad, hooks)
    RML_GLOBAL_SPARSE,       // (layout, (indices ..., values, size[, is_coalesced]))
    RML_GLOBAL_NESTED,       // (buffer, sizes, strides, offsets)
    RML_GLOBAL_META,         // (dtype, size, stride, requires_grad)
    RML_GLOBAL_WRAPPER,      // (type, dtype, size, ...)
    RML_GLOBAL_NUMPY_BACKED, // (array, dtype, device, requires_grad)
    RML_GLOBAL_PARAMETER,    // (tensor, ...): a tensor with something around it
    RML_GLOBAL_SUBCLASS,     // (function, type, arguments, state)
    RML_GLOBAL_ARRAY,        // NumPy's, whose state is (version, shape, dtype, is_fortran, bytes)
    RML_GLOBAL_BUFFER,       // the same: (bytes, dtype, shape, order)
} rml_global_kind;

typedef struct rml_global {
    const char *module, *name;
    rml_global_kind kind;
    int dtype;         // STORAGE and DTYPE: an rml_dtype, or -1 when this library has no such type
    int element_bytes; // STORAGE and DTYPE
    const char *label; // what it is called: "complex64", "nested"
    rml_coding_kind coding; // of elements of `dtype`; AFFINE: only with a quantizer
} rml_global;

// The known global, or NULL.
const rml_global *rml_global_find(const char *module, size_t module_bytes, const char *name,
                                  size_t name_bytes);

typedef uint32_t rml_pickle_ref; // a value's place in the table

typedef struct rml_pickle_value {
    uint8_t kind;      // rml_pickle_kind
    bool holds_tensor; // it is a storage or an array, or holds one at any depth
    uint32_t count;    // TEXT, BYTES, LONG: bytes. Containers: items (two for a DICT's pair)
    union {
        int64_t integer; // INT, BOOL
        double number;
        const char *text; // TEXT, BYTES, LONG; in the pickle
        struct {
            uint32_t start, capacity; // containers: their part of the table of items
        } items;
        struct {
            rml_pickle_ref first, second;
            // OBJECT: its attributes, as __setstate__ gets them, and what is put into it as into a
            // dictionary, list or set. 0, which is None, where there is nothing.
            rml_pickle_ref state, items;
        } pair; // GLOBAL, OBJECT, STORAGE
    } u;
} rml_pickle_value;

typedef struct rml_pickle {
    const rml_allocator *allocator;
    rml_pickle_value *value;
    size_t value_count, value_capacity;
    rml_pickle_ref *item;
    size_t item_count, item_capacity, item_limit;
    rml_pickle_ref *storage; // every STORAGE value, in order
    size_t storage_count, storage_capacity;
    rml_pickle_ref root;
    size_t used_bytes; // where the pickle ended
} rml_pickle;

// Reads one pickle from the start of [data, data + size), which must stay valid as long as *out.
// RML_ERR_FORMAT for what Python would refuse too, RML_ERR_UNSUPPORTED for opcodes outside the
// allowed set, RML_ERR_LIMIT. On failure *out needs no release.
rml_status rml_pickle_read(rml_pickle *out, const uint8_t *data, size_t size,
                           const rml_allocator *allocator, rml_error *err);
void rml_pickle_release(rml_pickle *pickle);

// Item `index` (below count) of a container.
rml_pickle_ref rml_pickle_item(const rml_pickle *pickle, const rml_pickle_value *container,
                               size_t index);

// The value of a text key in a DICT (the last one, as in Python); NULL when absent.
const rml_pickle_value *rml_pickle_get(const rml_pickle *pickle, const rml_pickle_value *dict,
                                       const char *key);

bool rml_pickle_text_is(const rml_pickle_value *value, const char *text);

// The known global that a GLOBAL value names, or that an OBJECT calls; NULL when it is none.
const rml_global *rml_pickle_global(const rml_pickle *pickle, const rml_pickle_value *value);

// "module.name" of what an OBJECT calls or a GLOBAL names, or the kind of another value ("a list"),
// fit for a message. Returns `out`, which holds RML_QUOTE_BYTES.
const char *rml_pickle_describe(const rml_pickle *pickle, const rml_pickle_value *value, char *out);

#endif
