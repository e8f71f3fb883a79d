#define _POSIX_C_SOURCE 200809L
#include "media/image.h"

#include "media/jpeg_scan.h"
#include "media/replace_file.h"
#include "media/stb_codec.h"
#include "tensor/mapfile.h"
#include "tensor/size.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

// ---- what a file is ---------------------------------------------------------------------------

static const uint8_t png_signature[8] = {0x89, 'P', 'N', 'G', '\r', '\n', 0x1A, '\n'};

static rml_image_kind kind_of(const uint8_t *data, size_t size)
{
    if (size >= 8 && memcmp(data, png_signature, 8) == 0)
        return RML_IMAGE_PNG;
    if (size >= 3 && data[0] == 0xFF && data[1] == 0xD8 && data[2] == 0xFF)
        return RML_IMAGE_JPEG;
    if (size >= 26 && data[0] == 'B' && data[1] == 'M')
        return RML_IMAGE_BMP;
    return RML_IMAGE_NONE;
}

static const char *extension_of(const char *path)
{
    const char *dot = strrchr(path, '.'), *slash = strrchr(path, '/');
    return dot && (!slash || dot > slash) ? dot + 1 : "";
}

static bool is_animated_png(const uint8_t *data, size_t size)
{
    size_t at = sizeof png_signature;
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

bool rml_image_is_still(const char *path)
{
    rml_mapfile file;
    if (rml_mapfile_open(&file, path, NULL) != RML_OK)
        return false;
    rml_image_kind kind = kind_of(file.data, file.size);
    bool still = kind != RML_IMAGE_NONE;
    if (kind == RML_IMAGE_PNG)
        still = !is_animated_png(file.data, file.size);
    const char *extension = extension_of(path);
    if (kind == RML_IMAGE_JPEG &&
        (!strcasecmp(extension, "mjpg") || !strcasecmp(extension, "mjpeg")))
        still = false;
    rml_mapfile_close(&file);
    return still;
}

#ifdef RML_WITH_STB

// ---- reading ----------------------------------------------------------------------------------

static uint32_t little_u32(const uint8_t *p)
{
    return (uint32_t)p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 | (uint32_t)p[3] << 24;
}

// stb reads zeros past the end of a BMP and calls it a picture.
static bool bmp_is_whole(const uint8_t *data, size_t size, int width, int height)
{
    enum { PIXELS_AT = 10, HEADER_BYTES_AT = 14, BITS_AT_OLD = 24, BITS_AT = 28, OLD_HEADER = 12 };
    if (size <= BITS_AT + 1)
        return false;
    size_t at = little_u32(data + HEADER_BYTES_AT) == OLD_HEADER ? BITS_AT_OLD : BITS_AT;
    size_t bits = data[at] | (size_t)data[at + 1] << 8;
    size_t row = ((size_t)width * bits + 31) / 32 * 4;
    return rml_range_inside(little_u32(data + PIXELS_AT), row * (size_t)height, size);
}

static rml_status load(rml_frame *frame, const char *path, const rml_mapfile *file,
                       const rml_allocator *allocator, rml_error *err)
{
    if ((int64_t)file->size > RML_IMAGE_MAX_FILE_BYTES)
        return rml_fail(err, RML_ERR_LIMIT, "%s: %zu bytes are more than the %lld of an image",
                        path, file->size, (long long)RML_IMAGE_MAX_FILE_BYTES);
    rml_image_kind kind = kind_of(file->data, file->size);
    if (kind == RML_IMAGE_NONE)
        return rml_fail(err, RML_ERR_FORMAT, "%s: not a PNG, JPEG or BMP image", path);
    if (kind == RML_IMAGE_BMP) {
        RML_TRY(rml_stb_decode(frame, path, file->data, file->size, allocator, err));
        if (!bmp_is_whole(file->data, file->size, frame->width, frame->height))
            return rml_fail(err, RML_ERR_FORMAT, "%s: the BMP is cut short at byte %zu", path,
                            file->size);
        return RML_OK;
    }
    if (kind == RML_IMAGE_PNG)
        return rml_stb_decode(frame, path, file->data, file->size, allocator, err);

    rml_jpeg_facts facts = rml_jpeg_scan(file->data, file->size);
    if (!facts.complete)
        return rml_fail(err, RML_ERR_FORMAT, "%s: the JPEG is cut short at byte %zu", path,
                        file->size);
    if (!facts.tables_valid)
        return rml_fail(err, RML_ERR_FORMAT, "%s: the JPEG is damaged (Huffman tables)", path);
    if (facts.orientation == RML_ORIENT_NORMAL)
        return rml_stb_decode(frame, path, file->data, file->size, allocator, err);
    rml_frame coded = {0};
    rml_status status = rml_stb_decode(&coded, path, file->data, file->size, allocator, err);
    if (status == RML_OK)
        status = rml_frame_orient(frame, &coded, facts.orientation, allocator, err);
    rml_frame_release(&coded);
    return status;
}

rml_status rml_image_load(rml_frame *frame, const char *path, const rml_allocator *allocator,
                          rml_error *err)
{
    rml_mapfile file;
    RML_TRY(rml_mapfile_open(&file, path, err));
    rml_status status = load(frame, path, &file, allocator, err);
    rml_mapfile_close(&file);
    return status;
}

// ---- writing ----------------------------------------------------------------------------------

static rml_image_kind kind_to_write(const char *path)
{
    const char *extension = extension_of(path);
    if (!strcasecmp(extension, "png"))
        return RML_IMAGE_PNG;
    if (!strcasecmp(extension, "jpg") || !strcasecmp(extension, "jpeg"))
        return RML_IMAGE_JPEG;
    return !strcasecmp(extension, "bmp") ? RML_IMAGE_BMP : RML_IMAGE_NONE;
}

rml_status rml_image_save_check(const char *path, rml_error *err)
{
    if (kind_to_write(path) == RML_IMAGE_NONE)
        return rml_fail(err, RML_ERR_UNSUPPORTED,
                        "%s: images are written as .png, .jpg or .bmp, not \".%s\"", path,
                        extension_of(path));
    return RML_OK;
}

rml_status rml_image_save(const rml_frame *frame, const char *path, const rml_allocator *allocator,
                          rml_error *err)
{
    RML_TRY(rml_image_save_check(path, err));
    RML_TRY(rml_frame_check_size(frame->width, frame->height, path, err));
    RML_TRY(rml_check_writable(path, allocator, err));
    char *temporary;
    RML_TRY(rml_temporary_name(&temporary, path, allocator, err));
    rml_status status = rml_stb_encode(frame, kind_to_write(path), temporary, path, allocator, err);
    if (status == RML_OK)
        status = rml_replace_file(temporary, path, err);
    else
        remove(temporary);
    rml_free(allocator, temporary);
    return status;
}

#else

static rml_status unsupported(const char *path, rml_error *err)
{
    return rml_fail(err, RML_ERR_UNSUPPORTED,
                    "%s: this build has no image support (RML_STB is off)", path);
}

rml_status rml_image_load(rml_frame *frame, const char *path, const rml_allocator *allocator,
                          rml_error *err)
{
    (void)frame;
    (void)allocator;
    return unsupported(path, err);
}

rml_status rml_image_save_check(const char *path, rml_error *err)
{
    return unsupported(path, err);
}

rml_status rml_image_save(const rml_frame *frame, const char *path, const rml_allocator *allocator,
                          rml_error *err)
{
    (void)frame;
    (void)allocator;
    return unsupported(path, err);
}

#endif
