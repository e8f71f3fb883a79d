#define _POSIX_C_SOURCE 200809L
#include "media/image/picture.h"

#include "media/image/frame.h"
#include "media/image/picture_codecs.h"
#include "media/files/files.h"
#include "tensor/mapfile.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

// ---- what a file is ---------------------------------------------------------------------------

static const char *extension_of(const char *path)
{
    const char *dot = strrchr(path, '.'), *slash = strrchr(path, '/');
    return dot && (!slash || dot > slash) ? dot + 1 : "";
}

rml_image_kind rml_image_kind_named(const char *path)
{
    static const struct {
        const char *extension;
        rml_image_kind kind;
    } known[] = {{"png", RML_IMAGE_PNG}, {"jpg", RML_IMAGE_JPEG}, {"jpeg", RML_IMAGE_JPEG},
                 {"bmp", RML_IMAGE_BMP}, {"pnm", RML_IMAGE_PNM},  {"pbm", RML_IMAGE_PNM},
                 {"pgm", RML_IMAGE_PNM}, {"ppm", RML_IMAGE_PNM},  {"tga", RML_IMAGE_TGA}};
    const char *extension = extension_of(path);
    for (size_t i = 0; i < sizeof known / sizeof *known; i++)
        if (strcasecmp(extension, known[i].extension) == 0)
            return known[i].kind;
    return RML_IMAGE_NONE;
}

rml_image_kind rml_image_kind_of(const char *path, const uint8_t *data, size_t size)
{
    static const uint8_t png[8] = {0x89, 'P', 'N', 'G', '\r', '\n', 0x1A, '\n'};
    if (size >= sizeof png && memcmp(data, png, sizeof png) == 0)
        return RML_IMAGE_PNG;
    if (size >= 3 && data[0] == 0xFF && data[1] == 0xD8 && data[2] == 0xFF)
        return RML_IMAGE_JPEG;
    if (size >= 26 && data[0] == 'B' && data[1] == 'M')
        return RML_IMAGE_BMP;
    if (size >= 3 && data[0] == 'P' && data[1] && strchr("123456", data[1]) &&
        strchr(" \t\r\n#", data[2]) && data[2])
        return RML_IMAGE_PNM;
    return rml_image_kind_named(path) == RML_IMAGE_TGA ? RML_IMAGE_TGA : RML_IMAGE_NONE;
}

// ---- memory -----------------------------------------------------------------------------------

size_t rml_picture_pitch(const rml_picture *picture)
{
    return (size_t)picture->width * (size_t)picture->channels * (size_t)(picture->bits / 8);
}

rml_status rml_picture_create(rml_picture *out, int width, int height, int channels, int bits,
                              const rml_allocator *allocator, rml_error *err)
{
    rml_picture_release(out);
    rml_picture made = {NULL, width, height, channels, bits, allocator};
    const size_t bytes = rml_picture_pitch(&made) * (size_t)height;
    made.data = rml_alloc(allocator, bytes);
    if (!made.data)
        return rml_fail_nomem(err, bytes, "a picture");
    *out = made;
    return RML_OK;
}

void rml_picture_release(rml_picture *picture)
{
    if (picture->data)
        rml_free(picture->allocator, picture->data);
    *picture = (rml_picture){0};
}

void rml_picture_row8(const rml_picture *picture, int y, int channels, bool round, uint8_t *out)
{
    const size_t from = (size_t)picture->channels, first = (size_t)y * (size_t)picture->width;
    for (size_t i = first; i < first + (size_t)picture->width; i++)
        for (size_t c = 0; c < (size_t)channels; c++) {
            const size_t at = i * from + (from >= 3 ? c : c == 3);
            const uint32_t wide = picture->bits == 8 ? 0 : ((const uint16_t *)picture->data)[at];
            *out++ = picture->bits == 8 ? ((const uint8_t *)picture->data)[at]
                     : round            ? (uint8_t)((wide * 255 + 32767) / 65535)
                                        : (uint8_t)(wide >> 8);
        }
}

// ---- reading ----------------------------------------------------------------------------------

static uint32_t little_u32(const uint8_t *p)
{
    return (uint32_t)p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 | (uint32_t)p[3] << 24;
}

// Bits of a pixel; 0 when the file is too short to say.
static size_t bmp_bits(const uint8_t *data, size_t size)
{
    enum { HEADER_BYTES_AT = 14, BITS_AT_OLD = 24, BITS_AT = 28, OLD_HEADER = 12 };
    if (size <= BITS_AT + 1)
        return 0;
    const size_t at = little_u32(data + HEADER_BYTES_AT) == OLD_HEADER ? BITS_AT_OLD : BITS_AT;
    return data[at] | (size_t)data[at + 1] << 8;
}

// stb reads zeros past the end of a BMP and calls it a picture.
static bool bmp_is_whole(const uint8_t *data, size_t size, int width, int height)
{
    enum { PIXELS_AT = 10 };
    const size_t bits = bmp_bits(data, size), row = ((size_t)width * bits + 31) / 32 * 4;
    return bits && rml_range_inside(little_u32(data + PIXELS_AT), row * (size_t)height, size);
}

// BMP has gray as a palette of grays only, which stb makes three colours of.
static void bmp_to_gray(rml_picture *picture)
{
    const size_t pixels = (size_t)picture->width * (size_t)picture->height;
    uint8_t *data = picture->data;
    if (picture->channels != 3 || picture->bits != 8)
        return;
    for (size_t i = 0; i < pixels; i++)
        if (data[3 * i] != data[3 * i + 1] || data[3 * i] != data[3 * i + 2])
            return;
    for (size_t i = 0; i < pixels; i++)
        data[i] = data[3 * i];
    picture->channels = 1;
}

static rml_status orient(rml_picture *picture, rml_orientation orientation, rml_error *err)
{
    if (orientation == RML_ORIENT_NORMAL)
        return RML_OK;
    const bool swap = rml_orientation_swaps(orientation);
    rml_picture turned = {0};
    RML_TRY(rml_picture_create(&turned, swap ? picture->height : picture->width,
                               swap ? picture->width : picture->height, picture->channels,
                               picture->bits, picture->allocator, err));
    const size_t pixel = (size_t)picture->channels * (size_t)(picture->bits / 8);
    rml_orient_pixels(&(rml_pixel_rows){turned.data, turned.width, turned.height,
                                        rml_picture_pitch(&turned), pixel},
                      &(rml_pixel_rows){picture->data, picture->width, picture->height,
                                        rml_picture_pitch(picture), pixel},
                      orientation);
    rml_picture_release(picture);
    *picture = turned;
    return RML_OK;
}

static rml_status load_jpeg(rml_picture *out, const rml_mapfile *file,
                            const rml_allocator *allocator, rml_error *err)
{
    const rml_jpeg_facts facts = rml_jpeg_scan(file->data, file->size);
    if (!facts.complete)
        return rml_fail(err, RML_ERR_FORMAT, "the JPEG is cut short at byte %zu", file->size);
    if (!facts.tables_valid)
        return rml_fail(err, RML_ERR_FORMAT, "the JPEG is damaged (Huffman tables)");
    RML_TRY(rml_stb_decode(out, file->data, file->size, allocator, err));
    return orient(out, facts.orientation, err);
}

static rml_status load(rml_picture *out, const char *path, const rml_mapfile *file,
                       const rml_allocator *allocator, rml_error *err)
{
    if ((int64_t)file->size > RML_IMAGE_MAX_FILE_BYTES)
        return rml_fail(err, RML_ERR_LIMIT, "%zu bytes are more than the %lld of an image",
                        file->size, (long long)RML_IMAGE_MAX_FILE_BYTES);
    switch (rml_image_kind_of(path, file->data, file->size)) {
    case RML_IMAGE_PNG:
        return rml_stb_decode(out, file->data, file->size, allocator, err);
    case RML_IMAGE_JPEG:
        return load_jpeg(out, file, allocator, err);
    case RML_IMAGE_BMP:
        RML_TRY(rml_stb_decode(out, file->data, file->size, allocator, err));
        if (!bmp_is_whole(file->data, file->size, out->width, out->height))
            return rml_fail(err, RML_ERR_FORMAT, "the BMP is cut short at byte %zu", file->size);
        if (bmp_bits(file->data, file->size) <= 8)
            bmp_to_gray(out);
        return RML_OK;
    case RML_IMAGE_PNM:
        return rml_pnm_decode(out, file->data, file->size, allocator, err);
    case RML_IMAGE_TGA:
        return rml_tga_decode(out, file->data, file->size, allocator, err);
    case RML_IMAGE_NONE:
        break;
    }
    return rml_fail(err, RML_ERR_FORMAT, "not a PNG, JPEG, BMP, TGA or PNM image");
}

rml_status rml_picture_load(rml_picture *out, const char *path, const rml_allocator *allocator,
                            rml_error *err)
{
    rml_mapfile file;
    RML_TRY(rml_mapfile_open(&file, path, err));
    rml_status status = load(out, path, &file, allocator, err);
    rml_mapfile_close(&file);
    if (status != RML_OK) {
        rml_error_prefix(err, path);
        rml_picture_release(out);
    }
    return status;
}

// ---- writing ----------------------------------------------------------------------------------

rml_status rml_picture_save_check(const char *path, rml_error *err)
{
    const rml_image_kind kind = rml_image_kind_named(path);
    if (kind != RML_IMAGE_PNG && kind != RML_IMAGE_JPEG && kind != RML_IMAGE_BMP)
        return rml_fail(err, RML_ERR_UNSUPPORTED,
                        "%s: images are written as .png, .jpg or .bmp, not \".%s\"", path,
                        extension_of(path));
    rml_status status = rml_stb_available(err);
    return rml_named(status, err, path);
}

// 8 bits for the formats that hold no more, and gray with alpha as RGB with alpha.
static rml_status reduce(rml_picture *out, const rml_picture *picture,
                         const rml_allocator *allocator, rml_error *err)
{
    const int from = picture->channels, to = from == 2 ? 4 : from;
    RML_TRY(rml_picture_create(out, picture->width, picture->height, to, 8, allocator, err));
    for (int y = 0; y < out->height; y++)
        rml_picture_row8(picture, y, to, true,
                         (uint8_t *)out->data + (size_t)y * rml_picture_pitch(out));
    return RML_OK;
}

static rml_status encode(const rml_picture *picture, rml_image_kind kind, FILE *file,
                         const rml_allocator *allocator, rml_error *err)
{
    if (kind == RML_IMAGE_PNG)
        return rml_png_write(file, picture, allocator, err);
    rml_picture reduced = {0};
    rml_status status = reduce(&reduced, picture, allocator, err);
    if (status == RML_OK)
        status = rml_stb_write(file, &reduced, kind, err);
    rml_picture_release(&reduced);
    return status;
}

rml_status rml_picture_save(const rml_picture *picture, const char *path,
                            const rml_allocator *allocator, rml_error *err)
{
    RML_TRY(rml_picture_save_check(path, err));
    RML_TRY(rml_frame_check_size(picture->width, picture->height, path, err));
    RML_TRY(rml_check_writable(path, allocator, err));
    char *temporary;
    RML_TRY(rml_temporary_name(&temporary, path, allocator, err));
    FILE *file = fopen(temporary, "wb");
    rml_status status =
        file ? encode(picture, rml_image_kind_named(path), file, allocator, err) : RML_ERR_IO;
    if (file && (fflush(file) != 0 || ferror(file)) && status == RML_OK)
        status = RML_ERR_IO;
    if (file && fclose(file) != 0 && status == RML_OK)
        status = RML_ERR_IO;
    if (status == RML_ERR_IO)
        status = rml_fail(err, RML_ERR_IO, "%s: cannot be written", path);
    else if (status != RML_OK)
        rml_error_prefix(err, path);
    if (status == RML_OK)
        status = rml_replace_file(temporary, path, err);
    else
        remove(temporary);
    rml_free(allocator, temporary);
    return status;
}

// ---- frames of a video -----------------------------------------------------------------------

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

// Red and blue change places.
static void convert(const rml_frame *frame, const rml_picture *picture)
{
    for (int y = 0; y < frame->height; y++) {
        uint8_t *row = frame->data + (size_t)y * frame->pitch;
        rml_picture_row8(picture, y, RML_FRAME_CHANNELS, false, row);
        for (uint8_t *at = row; at < row + 3 * frame->width; at += 3) {
            const uint8_t red = at[0];
            at[0] = at[2];
            at[2] = red;
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
