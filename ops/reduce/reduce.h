// Reductions: how the elements lie, and those that kernels of the type join.
#ifndef RML_OPS_REDUCE_REDUCE_H
#define RML_OPS_REDUCE_REDUCE_H

#include "ops/elementwise/widen.h"
#include "tensor/size.h"

typedef struct rml_reduce_grid {
    int rank;
    int64_t dim[RML_MAX_RANK], stride[RML_MAX_RANK];
} rml_reduce_grid;

typedef struct rml_reduce_job {
    const rml_op_args *args;
    rml_reduce_kind kind;
    bool rows;                     // the last dimension is reduced
    size_t run;                    // its size, in both cases
    rml_reduce_grid kept, reduced; // the others
    size_t parts;                  // of `reduced`
    size_t count;                  // elements that make an output
    rml_wide wide;
} rml_reduce_job;

// Of the element with this index, in elements.
static inline int64_t rml_reduce_offset(const rml_reduce_grid *over, size_t index)
{
    int64_t offset = 0;
    for (int i = over->rank - 1; i >= 0 && index; i--) {
        offset += (int64_t)(index % (size_t)over->dim[i]) * over->stride[i];
        index /= (size_t)over->dim[i];
    }
    return offset;
}

// Outputs [at, end) begin a run of this many neighbours.
static inline size_t rml_reduce_neighbours(const rml_reduce_job *at, size_t index, size_t end,
                                           size_t most)
{
    const size_t left = rml_min_size(at->run - index % at->run, end - index);
    return rml_min_size(left, most);
}

// Sums, means, extremes and products for whose type there are kernels. Of the functions, which take
// a job and a range of outputs, one is for rows of at most RML_REDUCE_SHORT that follow each other.
#define RML_REDUCE_SHORT 32
bool rml_reduce_has_kernel(const rml_op_args *args);
void rml_reduce_slices(void *context, size_t begin, size_t end, int worker);
void rml_reduce_rows(void *context, size_t begin, size_t end, int worker);
void rml_reduce_short_rows(void *context, size_t begin, size_t end, int worker);

#endif
