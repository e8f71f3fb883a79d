// An ML Program as plain structs: functions, blocks, operations, values. Checked, not interpreted:
// what operations mean is the importer's matter.
#ifndef RML_LOADERS_COREML_MIL_H
#define RML_LOADERS_COREML_MIL_H

#include "loaders/coreml/file.h"

#define RML_MIL_MAX_OPERATIONS ((size_t)1 << 20) // of all blocks of a function
#define RML_MIL_MAX_FUNCTIONS 1024
#define RML_MIL_MAX_ARGUMENTS 64 // of an operation
#define RML_MIL_MAX_DEPTH 16     // blocks in blocks

typedef enum rml_mil_element { // DataType
    RML_MIL_NONE = 0,
    RML_MIL_BOOL = 1,
    RML_MIL_STRING = 2,
    RML_MIL_F16 = 10,
    RML_MIL_F32 = 11,
    RML_MIL_F64 = 12,
    RML_MIL_BF16 = 13,
    RML_MIL_I8 = 21,
    RML_MIL_I16 = 22,
    RML_MIL_I32 = 23,
    RML_MIL_I64 = 24,
    RML_MIL_I4 = 25,
    RML_MIL_U8 = 31,
    RML_MIL_U16 = 32,
    RML_MIL_U32 = 33,
    RML_MIL_U64 = 34,
    RML_MIL_U4 = 35,
    RML_MIL_U2 = 36,
    RML_MIL_U1 = 37,
    RML_MIL_U6 = 38,
    RML_MIL_U3 = 39,
    RML_MIL_F8E4M3FN = 40,
    RML_MIL_F8E5M2 = 41,
} rml_mil_element;

typedef enum rml_mil_kind { // numbers of ValueType's fields
    RML_MIL_TENSOR = 1,
    RML_MIL_LIST = 2,
    RML_MIL_TUPLE = 3,
    RML_MIL_DICTIONARY = 4,
    RML_MIL_STATE = 5,
} rml_mil_kind;

typedef struct rml_mil_type {
    rml_mil_kind kind;
    int element;     // TENSOR; of a list's tensors, and of a state's: rml_mil_element
    rml_shape shape; // of the same; -1: not known, or RML_RANK_UNKNOWN
} rml_mil_type;

typedef struct rml_mil_value {
    rml_mil_type type;
    size_t count;         // of elements
    const uint8_t *data;  // little-endian, at any alignment; those of less than 8 bits packed, the
                          // first in the lowest bits
    size_t bytes;         // of them
    const rml_text *text; // [count], where they are texts
    const struct rml_mil_value *item; // of LIST and TUPLE
    size_t item_count;
    bool has_doc; // a docString, which says nothing here
} rml_mil_value;

// A name, or a value in its place.
typedef struct rml_mil_binding {
    const char *name; // NULL: the value
    const rml_mil_value *value;
} rml_mil_binding;

typedef struct rml_mil_argument {
    const char *name;
    const rml_mil_binding *binding;
    size_t count;
} rml_mil_argument;

typedef struct rml_mil_attribute {
    const char *name;
    rml_mil_value value;
} rml_mil_attribute;

typedef struct rml_mil_port {
    const char *name;
    rml_mil_type type;
} rml_mil_port;

typedef struct rml_mil_operation {
    const char *type, *name; // "conv"; its name, or its first output's
    const rml_mil_argument *argument;
    const rml_mil_attribute *attribute;
    const rml_mil_port *output;
    const struct rml_mil_block *block;
    size_t argument_count, attribute_count, output_count, block_count;
} rml_mil_operation;

typedef struct rml_mil_block {
    const rml_mil_port *input;
    const rml_mil_operation *operation;
    const rml_text *output; // names
    size_t input_count, operation_count, output_count;
} rml_mil_block;

typedef struct rml_mil_function {
    const char *name;
    int opset; // 5 to 9: CoreML5 to CoreML9
    const rml_mil_port *input;
    size_t input_count;
    rml_mil_block block;
} rml_mil_function;

typedef struct rml_mil_named {
    const char *name; // of a function
    rml_protobuf body;
} rml_mil_named;

// All functions of a program, each name once.
rml_status rml_mil_functions(rml_coreml *file, const rml_coreml_model *model, rml_mil_named **out,
                             size_t *count, rml_error *err);

// The function `wanted`; "" for the default: that of the description, "main", or the only one there
// is. Where there is none, the message names all. And what is in it.
rml_status rml_mil_choose(rml_coreml *file, const rml_coreml_model *model, const char *wanted,
                          rml_mil_named *out, rml_error *err);
rml_status rml_mil_read(rml_coreml *file, const rml_mil_named *from, rml_mil_function *out,
                        rml_error *err);

// Parts of it: the block in `message`, and the named types in its fields of a number. Values that
// cannot be read are told to file->watch where there is one.
rml_status rml_mil_read_block(rml_coreml *file, const rml_protobuf *message, rml_mil_block *out,
                              rml_error *err);
rml_status rml_mil_read_ports(rml_coreml *file, const rml_protobuf *message, uint32_t number,
                              const rml_mil_port **out, size_t *count, rml_error *err);

// Bits of an element, 0 for those that are no numbers; and our type for it, false where there is
// none.
int rml_mil_bits(int element);
bool rml_mil_dtype(int element, rml_dtype *dtype);
const char *rml_mil_element_name(int element); // "fp16"

// Bytes that `count` elements fill; false where they cannot be addressed.
bool rml_mil_bytes(int element, size_t count, size_t *bytes);

// ---- inside of the reader -----------------------------------------------------------------------

rml_status rml_mil_read_type(const rml_message_reader *reader, const rml_protobuf *message,
                             rml_mil_type *out);
rml_status rml_mil_read_value(rml_coreml *file, const rml_protobuf *message, rml_mil_value *out,
                              rml_error *err);

// The data of a value that lies in the file `location`, where its description is at `offset`.
rml_status rml_mil_read_blob(rml_coreml *file, const rml_text *location, uint64_t offset,
                             rml_mil_value *out, rml_error *err);

// Tells of blobs that share bytes, among those that were read. Values may share a whole one.
void rml_mil_overlaps(rml_coreml *file, void (*tell)(void *user, const rml_error *fault),
                      void *user);

#endif
