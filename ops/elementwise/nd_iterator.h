// Walking views: the innermost runs of elementwise work, split over threads.
#ifndef RML_OPS_ELEMENTWISE_ND_ITERATOR_H
#define RML_OPS_ELEMENTWISE_ND_ITERATOR_H

#include "ops/op.h"

#define RML_ND_ITERATOR_MAX 4 // views walked together

// Several views of one shape, reduced to as few dimensions as possible, the last one innermost. A
// broadcast dimension has stride 0.
typedef struct rml_nd_iterator {
    int views, rank;
    size_t grain;                      // elements behind each other that are walked as one
    size_t bytes[RML_ND_ITERATOR_MAX]; // of an element
    int64_t dim[RML_MAX_RANK];
    int64_t stride[RML_ND_ITERATOR_MAX][RML_MAX_RANK];
    float *data[RML_ND_ITERATOR_MAX];
} rml_nd_iterator;

// The shape that all of `in` are broadcast to, by the rules of numpy. A dimension of -1 fits any.
rml_status rml_broadcast_shape(const rml_shape *in, int in_count, rml_shape *out, rml_error *err);

// Dimensions in the order of memory, outermost first, but for those of size `without`. How many.
int rml_order_by_stride(const rml_tensor *view, int64_t without, int *order);

// Views are broadcast to the shape of views[0] by the rules of numpy (they fit: infer checked). The
// dimensions are ordered by views[0]'s strides, so that its memory is walked in order.
rml_nd_iterator rml_nd_iterator_make(const rml_tensor *const *views, int count);

// Calls `fn` once for every innermost run: `at` are the views' first elements, `stride` their
// steps in elements. What is not f32 is for `fn` to cast.
typedef void (*rml_nd_iterator_fn)(const void *context, float *const *at, const int64_t *stride,
                                   size_t count);
void rml_nd_iterator_run(const rml_nd_iterator *walk, rml_pool *pool, rml_nd_iterator_fn fn,
                         const void *context);

// Elements [first, first + count) of a run, side by side: where they lie, or where they are
// `stride` apart, copied to `dst`. And back, to elements `stride` apart.
const void *rml_line_up(const void *at, int64_t stride, size_t first, size_t count, size_t bytes,
                        void *dst);
void rml_line_spread(const void *src, void *dst, int64_t stride, size_t count, size_t bytes);

// dst = src, element by element, for views of one shape and type, or a `src` that is broadcast.
void rml_copy_view(const rml_op_args *args, const rml_tensor *src, const rml_tensor *dst);

#endif
