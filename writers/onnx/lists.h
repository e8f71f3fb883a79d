// Lists of whole numbers that are inputs: of i32 or i64 with us, of i64 and one dimension there.
#ifndef RML_WRITERS_ONNX_LISTS_H
#define RML_WRITERS_ONNX_LISTS_H

#include "writers/onnx/emit.h"

// Input `index` as i64; a cast where it is none.
const char *rml_to_onnx_wide(rml_to_onnx *w, const rml_node *node, int index);

// Input `index` as such a list; a cast or a reshape where it is none.
const char *rml_to_onnx_list(rml_to_onnx *w, const rml_node *node, int index);

// A list of sizes, of which those of -1 are those that `like` has at this place when it runs.
const char *rml_to_onnx_sizes(rml_to_onnx *w, const rml_node *node, const char *like,
                              const int64_t *sizes, int count);

typedef struct rml_to_onnx_known {
    int count;
    int64_t at[2 * RML_MAX_RANK];
} rml_to_onnx_known;

// The elements of a list where they are known.
bool rml_to_onnx_known_list(const rml_fact *fact, rml_to_onnx_known *list);

#endif
