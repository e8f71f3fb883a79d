#include "media/image/orient.h"

#include "tensor/status.h"

#include <stdlib.h>
#include <string.h>

bool rml_orientation_swaps(rml_orientation orientation)
{
    return orientation >= RML_ORIENT_TRANSPOSE;
}

rml_orientation rml_orientation_from_matrix(const int32_t matrix[9])
{
    // x' = a x + c y, y' = b x + d y, with y down.
    int64_t a = matrix[0], b = matrix[1], c = matrix[3], d = matrix[4];
    if (llabs(a) + llabs(d) >= llabs(b) + llabs(c)) {
        if (a >= 0)
            return d >= 0 ? RML_ORIENT_NORMAL : RML_ORIENT_MIRROR_Y;
        return d >= 0 ? RML_ORIENT_MIRROR_X : RML_ORIENT_ROTATE_180;
    }
    if (b >= 0)
        return c >= 0 ? RML_ORIENT_TRANSPOSE : RML_ORIENT_ROTATE_90;
    return c >= 0 ? RML_ORIENT_ROTATE_270 : RML_ORIENT_TRANSVERSE;
}

void rml_orientation_to_matrix(rml_orientation orientation, int32_t matrix[9])
{
    enum { ONE = 1 << 16, ONE_OF_30 = 1 << 30 };
    static const int8_t turns[][4] = {
        [RML_ORIENT_NORMAL] = {1, 0, 0, 1},       [RML_ORIENT_MIRROR_X] = {-1, 0, 0, 1},
        [RML_ORIENT_ROTATE_180] = {-1, 0, 0, -1}, [RML_ORIENT_MIRROR_Y] = {1, 0, 0, -1},
        [RML_ORIENT_TRANSPOSE] = {0, 1, 1, 0},    [RML_ORIENT_ROTATE_90] = {0, 1, -1, 0},
        [RML_ORIENT_TRANSVERSE] = {0, -1, -1, 0}, [RML_ORIENT_ROTATE_270] = {0, -1, 1, 0}};
    const int8_t *t = turns[orientation];
    const int32_t made[9] = {t[0] * ONE, t[1] * ONE, 0, t[2] * ONE, t[3] * ONE, 0, 0, 0, ONE_OF_30};
    memcpy(matrix, made, sizeof made);
}

// Steps through the source that visit it in the order of the destination's rows.
typedef struct walk {
    const uint8_t *first; // source pixel of the destination's corner
    ptrdiff_t right, down;
} walk;

static walk walk_of(const rml_pixel_rows *src, rml_orientation orientation)
{
    ptrdiff_t pixel = (ptrdiff_t)src->bytes, row = (ptrdiff_t)src->pitch;
    ptrdiff_t last_x = pixel * (src->width - 1), last_y = row * (src->height - 1);
    switch (orientation) {
    case RML_ORIENT_NORMAL:
        break;
    case RML_ORIENT_MIRROR_X:
        return (walk){src->data + last_x, -pixel, row};
    case RML_ORIENT_ROTATE_180:
        return (walk){src->data + last_x + last_y, -pixel, -row};
    case RML_ORIENT_MIRROR_Y:
        return (walk){src->data + last_y, pixel, -row};
    case RML_ORIENT_TRANSPOSE:
        return (walk){src->data, row, pixel};
    case RML_ORIENT_ROTATE_90:
        return (walk){src->data + last_y, -row, pixel};
    case RML_ORIENT_TRANSVERSE:
        return (walk){src->data + last_x + last_y, -row, -pixel};
    case RML_ORIENT_ROTATE_270:
        return (walk){src->data + last_x, row, -pixel};
    }
    return (walk){src->data, pixel, row};
}

// `bytes` is dst->bytes; where it is a constant, so is the copy.
static inline void turn(const rml_pixel_rows *dst, walk way, size_t bytes)
{
    // A column of the source lies in as many cache lines as it has rows: go in square tiles, so
    // that the lines fetched for one row of a tile still serve the next ones.
    enum { TILE = 32 };
    for (int tile_y = 0; tile_y < dst->height; tile_y += TILE) {
        int end_y = tile_y + TILE < dst->height ? tile_y + TILE : dst->height;
        for (int tile_x = 0; tile_x < dst->width; tile_x += TILE) {
            int end_x = tile_x + TILE < dst->width ? tile_x + TILE : dst->width;
            for (int y = tile_y; y < end_y; y++) {
                const uint8_t *from = way.first + way.down * y + way.right * tile_x;
                uint8_t *to = dst->data + (size_t)y * dst->pitch + (size_t)tile_x * bytes;
                for (int x = tile_x; x < end_x; x++, from += way.right, to += bytes)
                    memcpy(to, from, bytes);
            }
        }
    }
}

void rml_orient_pixels(const rml_pixel_rows *dst, const rml_pixel_rows *src,
                       rml_orientation orientation)
{
    const walk way = walk_of(src, orientation);
    if (src->bytes == RML_FRAME_CHANNELS)
        turn(dst, way, RML_FRAME_CHANNELS);
    else
        turn(dst, way, src->bytes);
}

static rml_pixel_rows pixels_of(const rml_frame *frame)
{
    return (rml_pixel_rows){frame->data, frame->width, frame->height, frame->pitch,
                            RML_FRAME_CHANNELS};
}

rml_status rml_frame_orient(rml_frame *dst, const rml_frame *src, rml_orientation orientation,
                            const rml_allocator *allocator, rml_error *err)
{
    if (orientation == RML_ORIENT_NORMAL)
        return rml_frame_copy(dst, src, allocator, err);
    bool swap = rml_orientation_swaps(orientation);
    RML_TRY(rml_frame_reserve(dst, swap ? src->height : src->width, swap ? src->width : src->height,
                              allocator, err));
    const rml_pixel_rows to = pixels_of(dst), from = pixels_of(src);
    rml_orient_pixels(&to, &from, orientation);
    dst->pts = src->pts;
    dst->time_base = src->time_base;
    return RML_OK;
}
