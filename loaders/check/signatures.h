// What operations of ML Programs take, by operator set.
#ifndef RML_LOADERS_CHECK_SIGNATURES_H
#define RML_LOADERS_CHECK_SIGNATURES_H

#include <stdbool.h>
#include <stddef.h>

typedef enum rml_parameter_need {
    RML_PARAMETER_NONE,     // the operation has no parameter of this name
    RML_PARAMETER_VALUE,    // wanted, and may be computed
    RML_PARAMETER_CONSTANT, // wanted, and a constant
    RML_PARAMETER_MAY,      // may be left out, and may be computed
    RML_PARAMETER_OPTION,   // may be left out, and is a constant
} rml_parameter_need;

typedef struct rml_parameter {
    const char *name, *types; // where they lie in the table; "x", "F" or "i32/u16"
    size_t name_bytes, types_bytes;
    rml_parameter_need need;
} rml_parameter;

// Whether a word is one of a list with blanks between them.
bool rml_signature_lists(const char *list, const char *word, size_t bytes);

// The operator set, 5 to 9, that has the operation first; 0 where none has.
int rml_signature_since(const char *operation);

// The parameter of this name of an operation in an operator set.
rml_parameter rml_signature_find(const char *operation, int opset, const char *name, size_t bytes);

// Calls `each` for all parameters of the operation, once or more often.
void rml_signature_each(const char *operation, int opset,
                        void (*each)(void *user, const rml_parameter *parameter), void *user);

// Whether elements of a type (rml_mil_element) are among `types`.
bool rml_signature_takes(const rml_parameter *parameter, int element);

// A letter for types that all parameters with it share, or 0.
char rml_signature_letter(const rml_parameter *parameter);

// How many dimensions a constant of this name has, -1 where the name does not tell.
int rml_signature_rank(const char *operation, const char *parameter);

// The types that results have: a letter for those of the first parameter, else as in `types` above;
// NULL where the name does not tell.
const char *rml_signature_result(const char *operation, size_t index, int opset);

#endif
