// Decimal digits of floating-point numbers, exact.
#ifndef RML_TENSOR_FORMAT_NUMBER_H
#define RML_TENSOR_FORMAT_NUMBER_H

#include <stdbool.h>
#include <stddef.h>

#define RML_NUMBER_BYTES 512 // more than any double has with RML_NUMBER_PRECISION digits behind it
#define RML_NUMBER_PRECISION 120

// The finite number `value` >= 0 by the conversion e, f or g with `precision` digits, at most
// RML_NUMBER_PRECISION; `keep`: g keeps zeros at the end, and all keep the point (the flag #).
// Returns its length.
size_t rml_format_number(char out[RML_NUMBER_BYTES], double value, char conversion, int precision,
                         bool keep);

#endif
