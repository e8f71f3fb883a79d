#include "ops/elementwise/nd_iterator.h"

#include "tensor/size.h"

#define RUN_ITEMS 8192 // elements of a work item: enough to outweigh taking it

rml_status rml_broadcast_shape(const rml_shape *in, int in_count, rml_shape *out, rml_error *err)
{
    rml_shape all = {0};
    for (int k = 0; k < in_count; k++)
        all.rank = in[k].rank > all.rank ? in[k].rank : all.rank;
    for (int i = 0; i < all.rank; i++) {
        all.dim[i] = 1;
        for (int k = 0; k < in_count; k++) {
            const int at = i - (all.rank - in[k].rank);
            const int64_t have = all.dim[i], dim = at < 0 ? 1 : in[k].dim[at];
            if (have == 1 || (have < 0 && dim > 1))
                all.dim[i] = dim;
            else if (dim < 0 && have < 0 && dim != have) // either may be 1
                all.dim[i] = -1;
            else if (dim != have && dim != 1 && dim >= 0 && have >= 0) {
                char a[RML_SHAPE_TEXT_BYTES], b[RML_SHAPE_TEXT_BYTES];
                return rml_fail(err, RML_ERR_SHAPE,
                                "operands %s and %s cannot be broadcast together",
                                rml_shape_text(&in[0], a), rml_shape_text(&in[k], b));
            }
        }
    }
    *out = all;
    return RML_OK;
}

int rml_order_by_stride(const rml_tensor *view, int64_t without, int *order)
{
    int kept = 0;
    for (int i = 0; i < view->rank; i++) {
        if (view->dim[i] == without)
            continue;
        // insertion by falling stride keeps equal strides in logical order
        int at = kept++;
        while (at > 0 && view->stride[order[at - 1]] < view->stride[i]) {
            order[at] = order[at - 1];
            at--;
        }
        order[at] = i;
    }
    return kept;
}

rml_nd_iterator rml_nd_iterator_make(const rml_tensor *const *views, int count)
{
    const rml_tensor *out = views[0];
    rml_nd_iterator walk = {.views = count, .grain = 1};
    int order[RML_MAX_RANK];
    const int kept = rml_order_by_stride(out, 1, order);
    for (int v = 0; v < count; v++) {
        walk.data[v] = views[v]->data;
        walk.bytes[v] = rml_dtype_size(views[v]->dtype);
    }
    for (int i = 0; i < kept; i++) {
        int64_t stride[RML_ND_ITERATOR_MAX];
        bool joins = walk.rank > 0;
        for (int v = 0; v < count; v++) {
            const int axis = order[i] - (out->rank - views[v]->rank);
            stride[v] = axis < 0 || views[v]->dim[axis] == 1 ? 0 : views[v]->stride[axis];
            joins = joins && walk.stride[v][walk.rank - 1] == stride[v] * out->dim[order[i]];
        }
        if (joins)
            walk.dim[walk.rank - 1] *= out->dim[order[i]];
        else
            walk.dim[walk.rank++] = out->dim[order[i]];
        for (int v = 0; v < count; v++)
            walk.stride[v][walk.rank - 1] = stride[v];
    }
    if (walk.rank == 0)
        walk.dim[walk.rank++] = 1;
    return walk;
}

typedef struct walk_job {
    const rml_nd_iterator *walk;
    rml_nd_iterator_fn fn;
    const void *context;
    size_t inner, pieces, piece; // runs are cut into `pieces` of at most `piece` elements
    // Of each dimension and view, in bytes: to the next place, and from the last to the first.
    int64_t forth[RML_MAX_RANK][RML_ND_ITERATOR_MAX], back[RML_MAX_RANK][RML_ND_ITERATOR_MAX];
} walk_job;

static float *moved(float *from, int64_t bytes)
{
    return (float *)(void *)((char *)from + bytes);
}

// The first item's place by division, the others' by counting on.
static void run_items(void *context, size_t begin, size_t end, int worker)
{
    const walk_job *job = context;
    const rml_nd_iterator *walk = job->walk;
    const int inner = walk->rank - 1, views = walk->views;
    int64_t stride[RML_ND_ITERATOR_MAX] = {0}, index[RML_MAX_RANK];
    float *row[RML_ND_ITERATOR_MAX] = {0}, *at[RML_ND_ITERATOR_MAX];
    size_t rest = begin / job->pieces, piece = begin % job->pieces;
    (void)worker;
    for (int v = 0; v < views; v++) {
        stride[v] = walk->stride[v][inner];
        row[v] = walk->data[v];
    }
    for (int i = inner - 1; i >= 0; i--) {
        index[i] = (int64_t)(rest % (size_t)walk->dim[i]);
        rest /= (size_t)walk->dim[i];
        for (int v = 0; v < views; v++)
            row[v] = moved(row[v], index[i] * job->forth[i][v]);
    }
    for (size_t item = begin; item < end; item++) {
        if (job->pieces == 1) {
            job->fn(job->context, row, stride, job->inner);
        } else {
            const size_t start = piece * job->piece;
            for (int v = 0; v < views; v++)
                at[v] = moved(row[v], (int64_t)start * job->forth[inner][v]);
            job->fn(job->context, at, stride, rml_min_size(job->piece, job->inner - start));
            if (++piece < job->pieces)
                continue;
            piece = 0;
        }
        int i = inner - 1;
        for (; i >= 0 && ++index[i] == walk->dim[i]; i--) {
            index[i] = 0;
            for (int v = 0; v < views; v++)
                row[v] = moved(row[v], job->back[i][v]);
        }
        for (int v = 0; i >= 0 && v < views; v++)
            row[v] = moved(row[v], job->forth[i][v]);
    }
}

#define REPEAT(type)                                                                               \
    do {                                                                                           \
        const type one = *(const type *)src;                                                       \
        for (size_t i = 0; i < count; i++)                                                         \
            ((type *)dst)[i] = one;                                                                \
    } while (0)
#define GATHER(type)                                                                               \
    for (size_t i = 0; i < count; i++)                                                             \
    ((type *)dst)[i] = ((const type *)src)[(int64_t)i * stride]
#define EVERY_OTHER(type)                                                                          \
    for (size_t i = 0; i < count; i++)                                                             \
    ((type *)dst)[i] = ((const type *)src)[2 * i]
#define SPREAD(type)                                                                               \
    for (size_t i = 0; i < count; i++)                                                             \
    ((type *)dst)[(int64_t)i * stride] = ((const type *)src)[i]

const void *rml_line_up(const void *at, int64_t stride, size_t first, size_t count, size_t bytes,
                        void *dst)
{
    const void *src = (const char *)at + (int64_t)first * stride * (int64_t)bytes;
    if (stride == 1)
        return src;
    if (stride == 0)
        RML_BY_SIZE(bytes, REPEAT);
    else if (stride == 2)
        RML_BY_SIZE(bytes, EVERY_OTHER);
    else
        RML_BY_SIZE(bytes, GATHER);
    return dst;
}

void rml_line_spread(const void *src, void *dst, int64_t stride, size_t count, size_t bytes)
{
    RML_BY_SIZE(bytes, SPREAD);
}

void rml_nd_iterator_run(const rml_nd_iterator *walk, rml_pool *pool, rml_nd_iterator_fn fn,
                         const void *context)
{
    walk_job job = {.walk = walk, .fn = fn, .context = context};
    job.inner = (size_t)walk->dim[walk->rank - 1];
    size_t outer = 1;
    for (int i = 0; i < walk->rank - 1; i++)
        outer *= (size_t)walk->dim[i];
    if (!job.inner || !outer)
        return;
    const size_t items = walk->grain < RUN_ITEMS ? RUN_ITEMS / walk->grain : 1;
    job.pieces = (job.inner + items - 1) / items;
    job.piece = rml_min_size(job.inner, items);
    for (int i = 0; i < walk->rank; i++)
        for (int v = 0; v < walk->views; v++) {
            job.forth[i][v] = walk->stride[v][i] * (int64_t)walk->bytes[v];
            job.back[i][v] = (1 - walk->dim[i]) * job.forth[i][v];
        }
    const size_t chunk = job.inner < items ? items / job.inner : 1;
    rml_pool_run(pool, outer * job.pieces, chunk, run_items, &job);
}
