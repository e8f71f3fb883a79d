#include "media/image/picture_codecs.h"

#include "tensor/names.h"
#include "media/image/frame.h"

#ifdef RML_WITH_STB

#include <limits.h>
#include <string.h>

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
// A damaged JPEG may use tables that it leaves out: they are zero then, and not what lay there.
#define STBI_MALLOC(bytes) calloc(1, bytes)
#define STBI_REALLOC(memory, bytes) realloc(memory, bytes)
#define STBI_FREE(memory) free(memory)
#include <stb/stb_image.h>

#define STB_IMAGE_WRITE_STATIC
#define STB_IMAGE_WRITE_IMPLEMENTATION
#define STBI_WRITE_NO_STDIO
#include <stb/stb_image_write.h>

enum { JPEG_QUALITY = 95, DEFLATE_QUALITY = 8 };

rml_status rml_stb_available(rml_error *err)
{
    (void)err;
    return RML_OK;
}

// What stb found wrong; it may quote bytes of the file.
static const char *reason(char text[RML_QUOTE_BYTES])
{
    const char *why = stbi_failure_reason();
    return why ? rml_quote(text, why, strlen(why)) : "no reason given";
}

rml_status rml_stb_decode(rml_picture *out, const uint8_t *data, size_t size,
                          const rml_allocator *allocator, rml_error *err)
{
    char text[RML_QUOTE_BYTES];
    int width, height, channels;
    // stb takes an int for the size, as the caller has checked.
    if (!stbi_info_from_memory(data, (int)size, &width, &height, &channels))
        return rml_fail(err, RML_ERR_FORMAT, "not an image that can be read (%s)", reason(text));
    RML_TRY(rml_frame_check_size(width, height, "image", err));
    const bool wide = stbi_is_16_bit_from_memory(data, (int)size);
    void *pixels =
        wide ? (void *)stbi_load_16_from_memory(data, (int)size, &width, &height, &channels, 0)
             : (void *)stbi_load_from_memory(data, (int)size, &width, &height, &channels, 0);
    if (!pixels)
        return rml_fail(err, RML_ERR_FORMAT, "the image is damaged or cut short (%s)",
                        reason(text));
    rml_status status =
        rml_picture_create(out, width, height, channels, wide ? 16 : 8, allocator, err);
    if (status == RML_OK)
        memcpy(out->data, pixels, rml_picture_pitch(out) * (size_t)height);
    stbi_image_free(pixels);
    return status;
}

static void put(void *context, void *data, int bytes)
{
    FILE *file = context;
    if (!ferror(file)) // fwrite leaves the mark that the caller looks for
        fwrite(data, 1, (size_t)bytes, file);
}

rml_status rml_stb_write(FILE *file, const rml_picture *picture, rml_image_kind kind,
                         rml_error *err)
{
    const int encoded = kind == RML_IMAGE_JPEG
                            ? stbi_write_jpg_to_func(put, file, picture->width, picture->height,
                                                     picture->channels, picture->data, JPEG_QUALITY)
                            : stbi_write_bmp_to_func(put, file, picture->width, picture->height,
                                                     picture->channels, picture->data);
    if (!encoded)
        return rml_fail(err, RML_ERR_NOMEM, "out of memory while encoding a %dx%d image",
                        picture->width, picture->height);
    return RML_OK;
}

rml_status rml_stb_deflate(const uint8_t *data, size_t size,
                           void (*take)(void *user, const uint8_t *data, size_t size), void *user,
                           rml_error *err)
{
    int bytes = 0;
    uint8_t *packed =
        stbi_zlib_compress((uint8_t *)(uintptr_t)data, (int)size, &bytes, DEFLATE_QUALITY);
    if (!packed)
        return rml_fail(err, RML_ERR_NOMEM, "out of memory while compressing %zu bytes", size);
    take(user, packed, (size_t)bytes);
    STBIW_FREE(packed);
    return RML_OK;
}

#else

rml_status rml_stb_available(rml_error *err)
{
    return rml_fail(err, RML_ERR_UNSUPPORTED, "this build has no image support (RML_STB is off)");
}

rml_status rml_stb_decode(rml_picture *out, const uint8_t *data, size_t size,
                          const rml_allocator *allocator, rml_error *err)
{
    (void)out, (void)data, (void)size, (void)allocator;
    return rml_stb_available(err);
}

rml_status rml_stb_write(FILE *file, const rml_picture *picture, rml_image_kind kind,
                         rml_error *err)
{
    (void)file, (void)picture, (void)kind;
    return rml_stb_available(err);
}

rml_status rml_stb_deflate(const uint8_t *data, size_t size,
                           void (*take)(void *user, const uint8_t *data, size_t size), void *user,
                           rml_error *err)
{
    (void)data, (void)size, (void)take, (void)user;
    return rml_stb_available(err);
}

#endif
