#include "media/image/frame.h"

#include "tensor/alloc.h"

#include <inttypes.h>
#include <string.h>

rml_status rml_frame_check_size(int64_t width, int64_t height, const char *name, rml_error *err)
{
    if (width < 1 || height < 1)
        return rml_fail(err, RML_ERR_FORMAT, "%s: the picture is empty (%" PRId64 "x%" PRId64 ")",
                        name, width, height);
    if (width > RML_FRAME_MAX_SIDE || height > RML_FRAME_MAX_SIDE ||
        width * height > RML_FRAME_MAX_PIXELS)
        return rml_fail(err, RML_ERR_LIMIT,
                        "%s: the picture is %" PRId64 "x%" PRId64
                        "; the limit is %d on a side and %" PRId64 " pixels",
                        name, width, height, RML_FRAME_MAX_SIDE, RML_FRAME_MAX_PIXELS);
    return RML_OK;
}

rml_status rml_frame_reserve(rml_frame *frame, int width, int height,
                             const rml_allocator *allocator, rml_error *err)
{
    RML_TRY(rml_frame_check_size(width, height, "frame", err));
    // Rows begin on a cache line; the limits keep the product far below SIZE_MAX. Colour converters
    // of libswscale store whole vectors and may write past the end of the last row.
    size_t pitch = rml_round_up((size_t)width * RML_FRAME_CHANNELS, RML_ALIGNMENT);
    size_t bytes = pitch * (size_t)height + RML_ALIGNMENT;
    if (bytes > frame->capacity_bytes) {
        uint8_t *data = rml_alloc(allocator, bytes);
        if (!data)
            return rml_fail_nomem(err, bytes, "a frame");
        rml_free(frame->allocator, frame->data);
        frame->data = data;
        frame->capacity_bytes = bytes;
        frame->allocator = allocator;
    }
    frame->width = width;
    frame->height = height;
    frame->pitch = pitch;
    return RML_OK;
}

void rml_frame_release(rml_frame *frame)
{
    if (frame->data)
        rml_free(frame->allocator, frame->data);
    *frame = (rml_frame){0};
}

rml_status rml_frame_copy(rml_frame *dst, const rml_frame *src, const rml_allocator *allocator,
                          rml_error *err)
{
    RML_TRY(rml_frame_reserve(dst, src->width, src->height, allocator, err));
    for (int y = 0; y < src->height; y++)
        memcpy(dst->data + (size_t)y * dst->pitch, src->data + (size_t)y * src->pitch,
               (size_t)src->width * RML_FRAME_CHANNELS);
    dst->pts = src->pts;
    dst->time_base = src->time_base;
    return RML_OK;
}

double rml_rational_value(rml_rational rational)
{
    return rational.den ? (double)rational.num / (double)rational.den : 0.0;
}

double rml_frame_seconds(const rml_frame *frame)
{
    return (double)frame->pts * rml_rational_value(frame->time_base);
}
