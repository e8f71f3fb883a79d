// PNG and JPEG of builds without libpng and libjpeg-turbo, the only file that sees stb. Profiles
// and EXIF are lost, but for the orientation of a JPEG.
#include "media/image/picture_codecs.h"

#ifdef RML_WITH_STB

#include "media/image/frame.h"
#include "tensor/names.h"
#include "tensor/status.h"

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

// What stb found wrong; it may quote bytes of the file.
static const char *reason(char text[RML_QUOTE_BYTES])
{
    const char *why = stbi_failure_reason();
    return why ? rml_quote(text, why, strlen(why)) : "no reason given";
}

static rml_status decode(rml_picture *out, const uint8_t *data, size_t size,
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

static rml_status decode_jpeg(rml_picture *out, const uint8_t *data, size_t size,
                              const rml_allocator *allocator, rml_error *err)
{
    const size_t start = rml_jpeg_start(data, size);
    const size_t from = start < size ? start : 0;
    const rml_jpeg_facts facts = rml_jpeg_scan(data + from, size - from);
    if (!facts.complete)
        return rml_fail(err, RML_ERR_FORMAT, "the JPEG is cut short at byte %zu", size);
    if (!facts.tables_valid)
        return rml_fail(err, RML_ERR_FORMAT, "the JPEG is damaged (Huffman tables)");
    RML_TRY(decode(out, data + from, size - from, allocator, err));
    out->orientation = facts.orientation;
    if (from > 0)
        rml_picture_remark(out, "%zu bytes before the JPEG were skipped", from);
    return RML_OK;
}

static void put(void *context, void *data, int bytes)
{
    FILE *file = context;
    if (!ferror(file)) // fwrite leaves the mark that the caller looks for
        fwrite(data, 1, (size_t)bytes, file);
}

static rml_status encode_jpeg(FILE *file, const rml_picture *picture,
                              const rml_allocator *allocator, rml_error *err)
{
    (void)allocator; // stb takes what it needs from the C library
    if (!stbi_write_jpg_to_func(put, file, picture->width, picture->height, picture->channels,
                                picture->data, JPEG_QUALITY))
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

const rml_picture_codec rml_stb_png_codec = {.kind = RML_IMAGE_PNG,
                                             .decode = decode,
                                             .encode = rml_png_write,
                                             .gray = true,
                                             .gray_alpha = true,
                                             .alpha = true,
                                             .wide = true};

const rml_picture_codec rml_stb_jpeg_codec = {
    .kind = RML_IMAGE_JPEG, .decode = decode_jpeg, .encode = encode_jpeg};

#endif
