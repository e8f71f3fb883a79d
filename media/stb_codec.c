#include "media/stb_codec.h"

#ifdef RML_WITH_STB

#include <errno.h>
#include <stdio.h>

#if defined(__GNUC__)
// stb declares functions that the settings below leave out; compilers say so at the end of the
// file.
#pragma GCC diagnostic ignored "-Wunused-function"
#endif
#define STB_IMAGE_STATIC
#define STB_IMAGE_IMPLEMENTATION
#define STBI_ONLY_PNG
#define STBI_ONLY_JPEG
#define STBI_ONLY_BMP
#define STBI_NO_STDIO
#define STBI_NO_HDR
#define STBI_NO_LINEAR
#define STBI_MAX_DIMENSIONS RML_FRAME_MAX_SIDE
#include <stb/stb_image.h>

#define STB_IMAGE_WRITE_STATIC
#define STB_IMAGE_WRITE_IMPLEMENTATION
#define STBI_WRITE_NO_STDIO
#include <stb/stb_image_write.h>

enum { JPEG_QUALITY = 95 };

static void swap_red_blue(uint8_t *dst, const uint8_t *src, size_t pixels)
{
    for (size_t i = 0; i < pixels; i++, dst += 3, src += 3) {
        uint8_t first = src[0];
        dst[0] = src[2];
        dst[1] = src[1];
        dst[2] = first;
    }
}

rml_status rml_stb_decode(rml_frame *frame, const char *path, const uint8_t *data, size_t size,
                          const rml_allocator *allocator, rml_error *err)
{
    int width, height, channels;
    // stb takes an int for the size, as the caller has checked.
    if (!stbi_info_from_memory(data, (int)size, &width, &height, &channels))
        return rml_fail(err, RML_ERR_FORMAT, "%s: not an image that can be read (%s)", path,
                        stbi_failure_reason());
    RML_TRY(rml_frame_check_size(width, height, path, err));
    uint8_t *rgb =
        stbi_load_from_memory(data, (int)size, &width, &height, &channels, RML_FRAME_CHANNELS);
    if (!rgb)
        return rml_fail(err, RML_ERR_FORMAT, "%s: the image is damaged or cut short (%s)", path,
                        stbi_failure_reason());
    rml_status status = rml_frame_reserve(frame, width, height, allocator, err);
    if (status == RML_OK)
        for (int y = 0; y < height; y++)
            swap_red_blue(frame->data + (size_t)y * frame->pitch,
                          rgb + (size_t)y * (size_t)width * RML_FRAME_CHANNELS, (size_t)width);
    stbi_image_free(rgb);
    frame->pts = 0;
    frame->time_base = (rml_rational){1, 1};
    return status;
}

// ---- writing ----------------------------------------------------------------------------------

typedef struct sink {
    FILE *file;
    int reason; // errno of the first failure
} sink;

static void sink_write(void *context, void *data, int bytes)
{
    sink *s = context;
    if (s->reason == 0 && fwrite(data, 1, (size_t)bytes, s->file) != (size_t)bytes)
        s->reason = errno ? errno : EIO;
}

static rml_status write_file(const char *temporary, const char *path, rml_image_kind kind,
                             const uint8_t *rgb, int width, int height, rml_error *err)
{
    sink s = {fopen(temporary, "wb"), 0};
    if (!s.file)
        return rml_fail(err, RML_ERR_IO, "%s: cannot be created: %s", path, strerror(errno));
    int encoded = 0;
    if (kind == RML_IMAGE_PNG)
        encoded = stbi_write_png_to_func(sink_write, &s, width, height, RML_FRAME_CHANNELS, rgb,
                                         width * RML_FRAME_CHANNELS);
    else if (kind == RML_IMAGE_JPEG)
        encoded = stbi_write_jpg_to_func(sink_write, &s, width, height, RML_FRAME_CHANNELS, rgb,
                                         JPEG_QUALITY);
    else
        encoded = stbi_write_bmp_to_func(sink_write, &s, width, height, RML_FRAME_CHANNELS, rgb);
    if (fclose(s.file) != 0 && s.reason == 0)
        s.reason = errno ? errno : EIO;
    if (s.reason)
        return rml_fail(err, RML_ERR_IO, "%s: cannot be written: %s", path, strerror(s.reason));
    if (!encoded)
        return rml_fail(err, RML_ERR_NOMEM, "%s: out of memory while encoding a %dx%d image", path,
                        width, height);
    return RML_OK;
}

rml_status rml_stb_encode(const rml_frame *frame, rml_image_kind kind, const char *temporary,
                          const char *path, const rml_allocator *allocator, rml_error *err)
{
    size_t row = (size_t)frame->width * RML_FRAME_CHANNELS;
    uint8_t *rgb = rml_alloc(allocator, row * (size_t)frame->height);
    if (!rgb)
        return rml_fail_nomem(err, row * (size_t)frame->height, "an image");
    for (int y = 0; y < frame->height; y++)
        swap_red_blue(rgb + (size_t)y * row, frame->data + (size_t)y * frame->pitch,
                      (size_t)frame->width);
    rml_status status = write_file(temporary, path, kind, rgb, frame->width, frame->height, err);
    rml_free(allocator, rgb);
    return status;
}

#endif
