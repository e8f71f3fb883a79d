#define _POSIX_C_SOURCE 200809L
#include "media/image/image.h"

#include "media/image/picture.h"
#include "tensor/mapfile.h"
#include "tensor/status.h"

#include <string.h>
#include <strings.h>

#define PNG_SIGNATURE_BYTES ((size_t)8)

static bool is_animated_png(const uint8_t *data, size_t size)
{
    size_t at = PNG_SIGNATURE_BYTES;
    while (size - at >= 12) { // length, name, checksum
        uint32_t length = (uint32_t)data[at] << 24 | (uint32_t)data[at + 1] << 16 |
                          (uint32_t)data[at + 2] << 8 | data[at + 3];
        if (memcmp(data + at + 4, "acTL", 4) == 0)
            return true;
        if (memcmp(data + at + 4, "IDAT", 4) == 0 || length > size - at - 12)
            return false;
        at += (size_t)length + 12;
    }
    return false;
}

static bool names_a_stream(const char *path)
{
    const char *dot = strrchr(path, '.');
    return dot && (strcasecmp(dot, ".mjpg") == 0 || strcasecmp(dot, ".mjpeg") == 0);
}

bool rml_image_is_still(const char *path)
{
    rml_mapfile file;
    if (rml_mapfile_open(&file, path, NULL) != RML_OK)
        return false;
    const rml_image_kind kind = rml_image_kind_of(path, file.data, file.size);
    const bool still = (kind == RML_IMAGE_PNG && !is_animated_png(file.data, file.size)) ||
                       (kind == RML_IMAGE_JPEG && !names_a_stream(path)) || kind == RML_IMAGE_BMP;
    rml_mapfile_close(&file);
    return still;
}

static void convert(const rml_frame *frame, const rml_picture *picture)
{
    const size_t channels = (size_t)picture->channels;
    const size_t red_to_blue = channels >= 3 ? 2 : 0;
    for (int y = 0; y < frame->height; y++) {
        uint8_t *to = frame->data + (size_t)y * frame->pitch;
        size_t from = (size_t)y * (size_t)picture->width * channels;
        for (int x = 0; x < frame->width; x++, from += channels)
            for (size_t c = 0; c < RML_FRAME_CHANNELS; c++) {
                const size_t at = from + (red_to_blue ? red_to_blue - c : 0);
                *to++ = picture->bits == 8 ? ((const uint8_t *)picture->data)[at]
                                           : (uint8_t)(((const uint16_t *)picture->data)[at] >> 8);
            }
    }
}

rml_status rml_image_load(rml_frame *frame, const char *path, const rml_allocator *allocator,
                          rml_error *err)
{
    rml_picture picture = {0};
    RML_TRY(rml_picture_load(&picture, path, allocator, err));
    rml_status status = rml_frame_reserve(frame, picture.width, picture.height, allocator, err);
    if (status == RML_OK)
        convert(frame, &picture);
    rml_picture_release(&picture);
    frame->pts = 0;
    frame->time_base = (rml_rational){1, 1};
    return status;
}
