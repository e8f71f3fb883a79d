// Inside of the check of operations of ML Programs.
#ifndef RML_LOADERS_CHECK_OPERATIONS_H
#define RML_LOADERS_CHECK_OPERATIONS_H

#include "loaders/check/check.h"

typedef struct rml_check_value {
    rml_mil_type type;
    bool constant;
    const rml_mil_value *number; // of a `const`, or NULL
} rml_check_value;

typedef struct rml_check_scope {
    struct rml_check_scope *outer;
    rml_names defined, later; // name -> place among the values; all that the block will define
} rml_check_scope;

typedef struct rml_operation_check {
    rml_checker *checker;
    rml_coreml *file;
    const rml_allocator *allocator;
    const rml_coreml_ports *ports;
    int opset;
    rml_check_scope *scope;
    rml_check_value *values;
    size_t count, capacity;
    // of the operation in hand
    const rml_mil_operation *operation;
    char place[RML_PLACE_BYTES];
} rml_operation_check;

// A value that is there already; NULL where there is none of this name.
const rml_check_value *rml_check_find(const rml_operation_check *w, const char *name);

// Parts of an operation, by name; NULL where it has none.
const rml_mil_argument *rml_check_argument(const rml_mil_operation *operation, const char *name,
                                           size_t bytes);
const rml_mil_attribute *rml_check_attribute(const rml_mil_operation *operation, const char *name,
                                             size_t bytes);

// The type of what an argument is bound to; false where that is not known.
bool rml_check_bound(const rml_operation_check *w, const rml_mil_binding *binding,
                     rml_mil_type *out, bool *constant);

// Whether an operation is one of those that hold compressed weights.
bool rml_check_is_compressed(const char *type);

// All parameters of the operation in hand: known, there, of their types and ranks.
void rml_check_parameters(rml_operation_check *w);

#endif
