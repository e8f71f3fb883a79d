// The definition of turning rows of elements of any size into columns.
#include "kernels/kernels_internal.h"

#include <string.h>

// A line of the cache holds neighbours of one kind only, so that a square of SIDE x SIDE elements
// goes through a buffer, rows of dst: each line of src is read once, each of dst written once.
enum { SIDE = 16 };

#define SQUARE(type, height, width)                                                                \
    do {                                                                                           \
        type square[SIDE][SIDE];                                                                   \
        for (size_t r = 0; r < (height); r++)                                                      \
            for (size_t c = 0; c < (width); c++)                                                   \
                square[c][r] = ((const type *)(const void *)(src + (int64_t)r * src_step))[c];     \
        for (size_t c = 0; c < (width); c++)                                                       \
            memcpy(dst + (int64_t)c * dst_step, square[c], (height) * sizeof(type));               \
    } while (0)
#define SQUARES(type)                                                                              \
    do {                                                                                           \
        if (rows == SIDE && cols == SIDE)                                                          \
            SQUARE(type, SIDE, SIDE);                                                              \
        else                                                                                       \
            SQUARE(type, rows, cols);                                                              \
    } while (0)

static void turn_square(size_t bytes, const char *src, int64_t src_step, char *dst,
                        int64_t dst_step, size_t rows, size_t cols)
{
    if (bytes == 4)
        SQUARES(uint32_t);
    else if (bytes == 8)
        SQUARES(uint64_t);
    else if (bytes == 2)
        SQUARES(uint16_t);
    else
        SQUARES(uint8_t);
}

void rml_turn_portable(size_t bytes, const void *src, int64_t src_step, void *dst, int64_t dst_step,
                       size_t rows, size_t cols)
{
    for (size_t c = 0; c < cols; c += SIDE)
        for (size_t r = 0; r < rows; r += SIDE)
            turn_square(bytes, (const char *)src + (int64_t)r * src_step + c * bytes, src_step,
                        (char *)dst + (int64_t)c * dst_step + r * bytes, dst_step,
                        rows - r < SIDE ? rows - r : SIDE, cols - c < SIDE ? cols - c : SIDE);
}
