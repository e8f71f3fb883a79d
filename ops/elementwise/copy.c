// Copies between views: runs where the inner dimension of one is that of the other, fields of
// elements that are turned on the way where it is not.
#include "ops/elementwise/nd_iterator.h"

#include "tensor/size.h"

#include <string.h>

// ---- runs ---------------------------------------------------------------------------------------

#define COPY(type)                                                                                 \
    for (size_t i = 0; i < count; i++)                                                             \
    ((type *)(void *)at[0])[(int64_t)i * stride[0]] =                                              \
        ((const type *)(const void *)at[1])[(int64_t)i * stride[1]]

// What is longer is copied run by run.
enum { SHORT_BYTES = 512 };

// Two copies of a fixed size, one from the front and one to the end, take less than a call.
#define COPY_ENDS(size)                                                                            \
    do {                                                                                           \
        memcpy(to, from, size);                                                                    \
        memcpy(to + bytes - (size), from + bytes - (size), size);                                  \
    } while (0)

static inline void copy_short(char *to, const char *from, size_t bytes)
{
    if (bytes > 64)
        memcpy(to, from, bytes);
    else if (bytes >= 32)
        COPY_ENDS(32);
    else if (bytes >= 16)
        COPY_ENDS(16);
    else if (bytes >= 8)
        COPY_ENDS(8);
    else if (bytes >= 4)
        COPY_ENDS(4);
    else
        for (size_t i = 0; i < bytes; i++)
            to[i] = from[i];
}

// Short runs, as many as there are along the dimension in front of them: elements of a walk over
// bytes.
static void copy_runs(const void *context, float *const *at, const int64_t *stride, size_t count)
{
    const size_t bytes = *(const size_t *)context;
    char *to = (char *)at[0];
    const char *from = (const char *)at[1];
    for (size_t i = 0; i < count; i++, to += stride[0], from += stride[1])
        copy_short(to, from, bytes);
}

static bool has_short_runs(const rml_nd_iterator *walk)
{
    const int inner = walk->rank - 1;
    return inner > 0 && walk->stride[0][inner] == 1 && walk->stride[1][inner] == 1 &&
           walk->dim[inner] > 0 && (size_t)walk->dim[inner] <= SHORT_BYTES / walk->bytes[0];
}

static void copy_short_runs(rml_nd_iterator *walk, rml_pool *pool)
{
    const int64_t bytes = (int64_t)walk->bytes[0];
    const size_t run = (size_t)(walk->dim[--walk->rank] * bytes);
    walk->grain = run;
    for (int v = 0; v < walk->views; v++) {
        walk->bytes[v] = 1;
        for (int i = 0; i < walk->rank; i++)
            walk->stride[v][i] *= bytes;
    }
    rml_nd_iterator_run(walk, pool, copy_runs, &run);
}

static void copy_run(const void *context, float *const *at, const int64_t *stride, size_t count)
{
    const size_t bytes = *(const size_t *)context;
    if (stride[0] == 1 && stride[1] == 1)
        memcpy(at[0], at[1], count * bytes);
    else if (stride[0] == 1 && (stride[1] == 0 || stride[1] == 2))
        rml_line_up(at[1], stride[1], 0, count, bytes, at[0]);
    else
        RML_BY_SIZE(bytes, COPY);
}

// ---- fields -------------------------------------------------------------------------------------

// The inner dimension `down` of dst is strided in src, whose own inner dimension is `along`.
// A work item is a field of ROWS x COLUMNS elements of src: pages are few, and lines next to each
// other are used together.
enum { NARROW = 8, ROWS = 64, COLUMNS = 256 };

typedef struct turn {
    const rml_nd_iterator *walk;
    const rml_kernels *kernels;
    int along, down;
    size_t across, downward; // fields
} turn;

static void turn_items(void *context, size_t begin, size_t end, int worker)
{
    const turn *at = context;
    const rml_nd_iterator *walk = at->walk;
    const int64_t bytes = (int64_t)walk->bytes[0];
    const int64_t src_step = walk->stride[1][at->down] * bytes;
    const int64_t dst_step = walk->stride[0][at->along] * bytes;
    (void)worker;
    for (size_t item = begin; item < end; item++) {
        const size_t row = item % at->downward * ROWS;
        const size_t column = item / at->downward % at->across * COLUMNS;
        size_t rest = item / at->downward / at->across;
        const char *src = (const char *)walk->data[1] + (int64_t)column * bytes;
        char *dst = (char *)walk->data[0] + (int64_t)row * bytes;
        for (int i = walk->rank - 1; i >= 0; i--) {
            if (i == at->along || i == at->down)
                continue;
            const int64_t index = (int64_t)(rest % (size_t)walk->dim[i]);
            rest /= (size_t)walk->dim[i];
            src += index * walk->stride[1][i] * bytes;
            dst += index * walk->stride[0][i] * bytes;
        }
        const size_t rows = rml_min_size(ROWS, (size_t)walk->dim[at->down] - row);
        const size_t columns = rml_min_size(COLUMNS, (size_t)walk->dim[at->along] - column);
        src += (int64_t)row * src_step;
        dst += (int64_t)column * dst_step;
        if (bytes == sizeof(float) && src_step > 0 && dst_step > 0)
            RML_KERNEL(at->kernels, transpose)
        ((const float *)(const void *)src, (size_t)(src_step / bytes), (float *)(void *)dst,
         (size_t)(dst_step / bytes), rows, columns);
        else RML_KERNEL(at->kernels, turn)((size_t)bytes, src, src_step, dst, dst_step, rows,
                                           columns);
    }
}

// The dimension along which src has neighbours, where it is not dst's and turning pays; or -1.
static int dimension_along(const rml_nd_iterator *walk)
{
    const int down = walk->rank - 1;
    if (walk->stride[0][down] != 1 || walk->stride[1][down] == 1 || walk->stride[1][down] == 0)
        return -1;
    for (int i = 0; i < down; i++)
        if (walk->stride[1][i] == 1 && walk->dim[i] >= 4)
            return i;
    return -1;
}

// Makes `along` the inner dimension and `down` one of the outer ones.
static void swap_inner(rml_nd_iterator *walk, int along, int down)
{
    const int64_t dim = walk->dim[along];
    walk->dim[along] = walk->dim[down];
    walk->dim[down] = dim;
    for (int v = 0; v < walk->views; v++) {
        const int64_t stride = walk->stride[v][along];
        walk->stride[v][along] = walk->stride[v][down];
        walk->stride[v][down] = stride;
    }
}

void rml_copy_view(const rml_op_args *args, const rml_tensor *src, const rml_tensor *dst)
{
    const rml_tensor *views[2] = {dst, src};
    rml_nd_iterator walk = rml_nd_iterator_make(views, 2);
    turn at = {.walk = &walk,
               .kernels = args->kernels,
               .along = dimension_along(&walk),
               .down = walk.rank - 1};
    // Fields would be narrow: long runs are better, though they leave gaps in dst.
    const bool narrow =
        at.along >= 0 && walk.dim[at.down] < NARROW && walk.dim[at.along] > walk.dim[at.down];
    if (narrow)
        swap_inner(&walk, at.along, at.down);
    if (at.along < 0 || narrow) {
        if (has_short_runs(&walk))
            copy_short_runs(&walk, args->pool);
        else
            rml_nd_iterator_run(&walk, args->pool, copy_run, &walk.bytes[0]);
        return;
    }
    size_t outer = 1;
    for (int i = 0; i < walk.rank; i++)
        outer *= i == at.along || i == at.down ? 1 : (size_t)walk.dim[i];
    at.across = ((size_t)walk.dim[at.along] + COLUMNS - 1) / COLUMNS;
    at.downward = ((size_t)walk.dim[at.down] + ROWS - 1) / ROWS;
    rml_pool_run(args->pool, outer * at.across * at.downward, 4, turn_items, &at);
}
