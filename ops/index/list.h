// Short lists of whole numbers that come as an input: axes, sizes, starts.
#ifndef RML_OPS_INDEX_LIST_H
#define RML_OPS_INDEX_LIST_H

#include "ops/op.h"

#define RML_LIST_MAX (2 * RML_MAX_RANK) // elements: two for each dimension

typedef struct rml_list {
    bool given; // the input is there
    bool known; // and its elements are
    int count;  // -1: not even how many
    int64_t at[RML_LIST_MAX];
} rml_list;

// `in[index]` (the signature sees to i32 or i64), of rank 1, or of rank 0 as a list of one. `what`
// names it in messages.
rml_status rml_list_infer(const rml_op_node *node, int index, const char *what, rml_list *list,
                          rml_error *err);

// The same in a run, where all is known and was checked.
rml_list rml_list_read(const rml_op_args *args, int index);

// Resolves axes that count from the end; refuses those outside of `rank` and repeated ones. Does
// nothing where they are not known.
rml_status rml_list_axes(rml_list *list, int rank, rml_error *err);

// Resolves `axis` of a tensor of `rank` dimensions; -1 where there is no such axis.
int rml_axis_of(int64_t axis, int rank);
rml_status rml_axis_check(int64_t axis, const rml_shape *shape, int *out, rml_error *err);

// Element `index` of a tensor or fact of indices, i32 or i64.
static inline int64_t rml_index_at(const void *data, rml_dtype dtype, size_t index)
{
    return dtype == RML_I64 ? ((const int64_t *)data)[index] : ((const int32_t *)data)[index];
}

// Refuses indices, where they are known, that are outside of `data`: element i is one of dimension
// `first` + i % `depth`, and may be below 0, counted from the end, but for `from_front`.
rml_status rml_indices_check(const rml_fact *indices, const rml_shape *data, int first, int depth,
                             bool from_front, rml_error *err);

// The whole number in an input of one element of any type. False: not known.
bool rml_scalar_known(const rml_op_node *node, int index, int64_t *value);

// Refuses an input that has not one element, as far as that is known.
rml_status rml_scalar_check(const rml_op_node *node, int index, const char *what, rml_error *err);

// a * b and a + b of sizes, where -1 is unknown. Refuses what does not fit.
rml_status rml_dim_mul(int64_t a, int64_t b, int64_t *out, rml_error *err);
rml_status rml_dim_add(int64_t a, int64_t b, int64_t *out, rml_error *err);

#endif
