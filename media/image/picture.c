// Memory of pictures, and what goes along with the samples.
#include "media/image/picture.h"

#include "tensor/status.h"
#include "tensor/alloc.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

size_t rml_picture_pitch(const rml_picture *picture)
{
    return (size_t)picture->width * (size_t)picture->channels * (size_t)(picture->bits / 8);
}

rml_status rml_picture_create(rml_picture *out, int width, int height, int channels, int bits,
                              const rml_allocator *allocator, rml_error *err)
{
    rml_picture_release(out);
    rml_picture made = {.width = width,
                        .height = height,
                        .channels = channels,
                        .bits = bits,
                        .allocator = allocator};
    const size_t bytes = rml_picture_pitch(&made) * (size_t)height;
    made.data = rml_alloc(allocator, bytes);
    if (!made.data)
        return rml_fail_nomem(err, bytes, "a picture");
    *out = made;
    return RML_OK;
}

void rml_picture_release(rml_picture *picture)
{
    if (picture->data) {
        rml_free(picture->allocator, picture->data);
        rml_free(picture->allocator, picture->profile.data);
        rml_free(picture->allocator, picture->exif.data);
    }
    *picture = (rml_picture){0};
}

rml_status rml_picture_keep(const rml_picture *picture, rml_block *block, const uint8_t *data,
                            size_t size, rml_error *err)
{
    if (size == 0)
        return RML_OK;
    block->data = rml_alloc(picture->allocator, size);
    if (!block->data)
        return rml_fail_nomem(err, size, "a picture's profile or EXIF");
    memcpy(block->data, data, size);
    block->size = size;
    return RML_OK;
}

void rml_picture_take_notes(rml_picture *picture, rml_picture *from)
{
    picture->profile = from->profile;
    picture->exif = from->exif;
    picture->lost_exif = from->lost_exif;
    picture->across = from->across;
    picture->down = from->down;
    memcpy(picture->remark, from->remark, sizeof picture->remark);
    from->profile = from->exif = (rml_block){0};
    from->remark[0] = 0;
}

#define METRES_AN_INCH 0.0254

uint32_t rml_picture_per_metre(double per_inch)
{
    return per_inch > 0 && per_inch < 1e7 ? (uint32_t)(per_inch / METRES_AN_INCH + 0.5) : 0;
}

double rml_picture_per_inch(uint32_t per_metre)
{
    return per_metre <= INT32_MAX ? per_metre * METRES_AN_INCH : 0;
}

void rml_picture_remark(rml_picture *picture, const char *format, ...)
{
    size_t length = strlen(picture->remark);
    if (length > 0 && length + 3 < sizeof picture->remark) {
        memcpy(picture->remark + length, "; ", 3);
        length += 2;
    }
    va_list args;
    va_start(args, format);
    vsnprintf(picture->remark + length, sizeof picture->remark - length, format, args);
    va_end(args);
}

void rml_picture_row8(const rml_picture *picture, int y, int channels, bool round, uint8_t *out)
{
    const size_t from = (size_t)picture->channels, first = (size_t)y * (size_t)picture->width;
    const size_t alpha = from - 1; // where the last of an even number of channels is wanted
    for (size_t i = first; i < first + (size_t)picture->width; i++)
        for (size_t c = 0; c < (size_t)channels; c++) {
            const bool is_alpha = channels % 2 == 0 && c + 1 == (size_t)channels;
            const size_t at = i * from + (is_alpha ? alpha : from >= 3 ? c : 0);
            const uint32_t wide = picture->bits == 8 ? 0 : ((const uint16_t *)picture->data)[at];
            *out++ = picture->bits == 8 ? ((const uint8_t *)picture->data)[at]
                     : round            ? (uint8_t)((wide * 255 + 32767) / 65535)
                                        : (uint8_t)(wide >> 8);
        }
}
