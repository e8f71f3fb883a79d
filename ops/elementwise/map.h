// The functions of ops/elementwise/map.c on widened elements.
#ifndef RML_OPS_ELEMENTWISE_MAP_H
#define RML_OPS_ELEMENTWISE_MAP_H

#include "ops/op.h"

const char *rml_map_name(rml_map kind);
const char *rml_zip_name(rml_zip kind);

double rml_map_f64(const rml_map_attr *map, double x);
int64_t rml_map_i64(const rml_map_attr *map, int64_t x, bool is_unsigned);

double rml_zip_f64(rml_zip kind, double a, double b);
// `bits` is the width of the elements: shifts by as much give 0. Division by zero gives 0.
int64_t rml_zip_i64(rml_zip kind, int64_t a, int64_t b, bool is_unsigned, int bits);

bool rml_compare_f64(rml_zip kind, double a, double b);
bool rml_compare_i64(rml_zip kind, int64_t a, int64_t b, bool is_unsigned);

#endif
