#include "ops/conv/plain_rows.h"

#include <string.h>

#define BLOCK ((size_t)RML_CONV_PLAIN_PAD)

// Copies and zeros of blocks whose size compilers know: a row is shorter than what pays for a call,
// and longer ones are copied by an instruction that is slow where source and target lie differently
// in their lines of the cache. The last block lies over the one in front of it.
static inline void copy_row(const float *restrict src, size_t count, float *restrict dst)
{
    if (count < BLOCK) {
        memcpy(dst, src, count * sizeof *dst);
        return;
    }
    for (size_t i = 0; i + BLOCK <= count; i += BLOCK)
        memcpy(dst + i, src + i, BLOCK * sizeof *dst);
    memcpy(dst + count - BLOCK, src + count - BLOCK, BLOCK * sizeof *dst);
}

// At least a block.
static inline void clear_row(size_t count, float *dst)
{
    for (size_t i = 0; i + BLOCK <= count; i += BLOCK)
        memset(dst + i, 0, BLOCK * sizeof *dst);
    memset(dst + count - BLOCK, 0, BLOCK * sizeof *dst);
}

void rml_plain_copy_rows(const rml_plain_copy *copy, const float *plane, int64_t top, int64_t begin,
                         size_t rows, float *dst)
{
    const int64_t stride = copy->stride, width = copy->width;
    const int64_t room = (int64_t)(copy->pitch - RML_CONV_PLAIN_PAD);
    for (float *end = dst + copy->row_floats; dst < end; dst += copy->pitch, begin++) {
        int64_t first = begin < 0 ? (stride - 1 - begin) / stride : 0;
        int64_t stop = begin < width ? (width - 1 - begin) / stride + 1 : 0;
        first = first < room ? first : room;
        stop = stop < first ? first : stop < room ? stop : room;
        float *row = dst;
        for (int64_t y = top; y < top + (int64_t)rows; y++, row += copy->row_floats) {
            if (!plane || y < 0 || y >= copy->height) {
                clear_row(copy->pitch, row);
                continue;
            }
            const float *src = plane + y * width + begin;
            if (first > 0)
                clear_row((size_t)first + BLOCK, row); // and where the rest is written
            if (stride == 1)
                copy_row(src + first, (size_t)(stop - first), row + first);
            else if (stride == 2) // known to the compiler, several at once
                for (int64_t i = first; i < stop; i++)
                    row[i] = src[i * 2];
            else
                for (int64_t i = first; i < stop; i++)
                    row[i] = src[i * stride];
            clear_row(copy->pitch - (size_t)stop, row + stop);
        }
    }
}

void rml_plain_copy_dense(const rml_kernels *kernels, const rml_plain_copy *copy,
                          const float *plane, int64_t top, int64_t before, size_t rows, float *dst)
{
    const int64_t all = (int64_t)rows, height = plane ? copy->height : 0;
    const int64_t above = top >= 0 ? 0 : -top < all ? -top : all;
    const int64_t room = height - top < all ? height - top : all,
                  stop = room > above ? room : above;
    const int64_t most = (int64_t)copy->pitch - before;
    const size_t count = (size_t)(copy->width < most ? copy->width : most);
    rml_pad_rows_f32_fn *const pad = RML_KERNEL(kernels, pad_rows);
    float *first = dst + before, *end = first + (size_t)stop * copy->pitch;
    memset(dst, 0, (size_t)before * sizeof *dst);
    memset(first, 0, (size_t)above * copy->pitch * sizeof *dst);
    if (stop > above)
        pad(plane + (top + above) * copy->width, (size_t)copy->width, count, 0.0f,
            (size_t)(stop - above), first + (size_t)above * copy->pitch, copy->pitch);
    memset(end, 0, (size_t)(all - stop) * copy->pitch * sizeof *dst);
}

void rml_plain_run_rows(const rml_kernels *kernels, rml_conv_plain_rows *rows, size_t together)
{
    const size_t all = rows->rows, width = rows->dst_step, step = rows->src_step;
    size_t done = 0;
    for (size_t count = together; count > 0; count /= 2) {
        rows->outs = count;
        rows->first = done / count;
        rows->rows = all / count;
        rows->src_step = step * count;
        rows->dst_step = width * count;
        for (size_t o = 1; o < count; o++) {
            rows->weight[o] = rows->weight[0];
            rows->bias[o] = rows->bias[0];
            rows->dst[o] = rows->dst[0] + o * width;
        }
        RML_KERNEL(kernels, conv_plain)(rows);
        done = rows->rows * count;
    }
}
