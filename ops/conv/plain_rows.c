#include "ops/conv/plain_rows.h"

#include <string.h>

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
                memset(row, 0, copy->pitch * sizeof *row);
                continue;
            }
            const float *src = plane + y * width + begin;
            if (first > 0)
                memset(row, 0, (size_t)first * sizeof *row);
            if (stride == 1)
                memcpy(row + first, src + first, (size_t)(stop - first) * sizeof *row);
            else if (stride == 2) // known to the compiler, several at once
                for (int64_t i = first; i < stop; i++)
                    row[i] = src[i * 2];
            else
                for (int64_t i = first; i < stop; i++)
                    row[i] = src[i * stride];
            if (stop < room)
                memset(row + stop, 0, (size_t)(room - stop) * sizeof *row);
            memset(row + room, 0, RML_CONV_PLAIN_PAD * sizeof *row);
        }
    }
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
        kernels->conv_plain(rows);
        done = rows->rows * count;
    }
}
