// Elementwise functions on widened elements, see kernels/functions.inc.
#ifndef RML_OPS_ELEMENTWISE_FUNCTIONS_H
#define RML_OPS_ELEMENTWISE_FUNCTIONS_H

#include "ops/op.h"

const char *rml_unary_name(rml_unary kind);
const char *rml_binary_name(rml_binary kind);

// Whether the function is defined for elements of this type.
bool rml_unary_takes(rml_unary kind, rml_dtype dtype);
bool rml_binary_takes(rml_binary kind, rml_dtype dtype);

static inline bool rml_binary_compares(rml_binary kind)
{
    return kind >= RML_BINARY_EQUAL && kind <= RML_BINARY_XOR;
}

double rml_unary_f64(const rml_activation *function, double x);
int64_t rml_unary_i64(const rml_activation *function, int64_t x, bool is_unsigned);

double rml_binary_f64(rml_binary kind, double a, double b);
// `bits` is the width of the elements: shifts by as much give 0. Division by zero gives 0.
int64_t rml_binary_i64(rml_binary kind, int64_t a, int64_t b, bool is_unsigned, int bits);

bool rml_compare_f64(rml_binary kind, double a, double b);
bool rml_compare_i64(rml_binary kind, int64_t a, int64_t b, bool is_unsigned);

#endif
