#include "media/image/picture.h"

#include "media/files/files.h"
#include "media/image/frame.h"
#include "media/image/picture_codecs.h"
#include "tensor/alloc.h"
#include "tensor/mapfile.h"
#include "tensor/status.h"

#include <stdio.h>
#include <string.h>

// ---- reading ----------------------------------------------------------------------------------

// Turns the picture as it says, and makes its EXIF say so.
static rml_status orient(rml_picture *picture, rml_error *err)
{
    const rml_orientation orientation = picture->orientation;
    picture->orientation = RML_ORIENT_NORMAL;
    if (orientation == 0 || orientation == RML_ORIENT_NORMAL)
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
    rml_picture_take_notes(&turned, picture);
    if (swap) {
        const double across = turned.across;
        turned.across = turned.down;
        turned.down = across;
    }
    rml_exif_set_upright(turned.exif.data, turned.exif.size);
    rml_picture_release(picture);
    *picture = turned;
    return RML_OK;
}

// A profile is of gray or of RGB, and one of inks says nothing about the RGB made of them.
static bool profile_fits(const rml_block *profile, int channels)
{
    enum { COLOURS_AT = 16, HEADER_BYTES = 128 };
    return profile->size >= HEADER_BYTES &&
           memcmp(profile->data + COLOURS_AT, channels >= 3 ? "RGB " : "GRAY", 4) == 0;
}

static void drop_profile(rml_picture *picture)
{
    rml_free(picture->allocator, picture->profile.data);
    picture->profile = (rml_block){0};
}

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

static rml_status load(rml_picture *out, const char *path, const rml_mapfile *file,
                       const rml_allocator *allocator, rml_error *err)
{
    if ((int64_t)file->size > RML_IMAGE_MAX_FILE_BYTES)
        return rml_fail(err, RML_ERR_LIMIT, "%zu bytes are more than the %lld of an image",
                        file->size, (long long)RML_IMAGE_MAX_FILE_BYTES);
    const rml_image_kind kind = rml_image_kind_of(path, file->data, file->size);
    const rml_picture_codec *codec = rml_picture_codec_of(kind);
    const char *name = rml_image_kind_name(kind, file->data, file->size);
    if (kind == RML_IMAGE_UNREAD)
        return rml_fail(err, RML_ERR_UNSUPPORTED, "a %s image, which is not read here", name);
    if (kind == RML_IMAGE_NONE)
        return rml_fail(err, RML_ERR_FORMAT, "not a PNG, JPEG, TIFF, WebP, BMP, PNM or TGA image");
    if (!codec)
        return rml_fail(err, RML_ERR_UNSUPPORTED, "this build does not read %s images", name);
    RML_TRY(codec->decode(out, file->data, file->size, allocator, err));
    if (kind == RML_IMAGE_PNG && is_animated_png(file->data, file->size))
        rml_picture_remark(out, "the PNG is animated, and its still image is taken");
    if (out->profile.data && !profile_fits(&out->profile, out->channels)) {
        drop_profile(out);
        rml_picture_remark(out, "its colour profile is not of %s and was left out",
                           out->channels >= 3 ? "RGB" : "gray");
    }
    return orient(out, err);
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

bool rml_image_kind_written(rml_image_kind kind)
{
    const rml_picture_codec *codec = rml_picture_codec_of(kind);
    return codec && codec->encode;
}

rml_status rml_picture_save_check(const char *path, rml_error *err)
{
    if (rml_image_kind_written(rml_image_kind_named(path)))
        return RML_OK;
    const char *dot = strrchr(path, '.'), *slash = strrchr(path, '/');
    return rml_fail(err, RML_ERR_UNSUPPORTED,
                    "%s: this build writes images as%s%s%s%s .bmp, not \".%s\"", path,
                    rml_image_kind_written(RML_IMAGE_PNG) ? " .png," : "",
                    rml_image_kind_written(RML_IMAGE_JPEG) ? " .jpg," : "",
                    rml_image_kind_written(RML_IMAGE_TIFF) ? " .tif," : "",
                    rml_image_kind_written(RML_IMAGE_WEBP) ? " .webp," : "",
                    dot && (!slash || dot > slash) ? dot + 1 : "");
}

static int channels_kept(const rml_picture_codec *codec, int channels)
{
    const bool alpha = channels % 2 == 0 && codec->alpha;
    const bool gray = channels < 3 && codec->gray && (!alpha || codec->gray_alpha);
    return (gray ? 1 : 3) + alpha;
}

void rml_picture_reduced(rml_picture *picture, rml_image_kind kind, int *channels, int *bits)
{
    const rml_picture_codec *codec = rml_picture_codec_of(kind);
    const char *name = rml_image_kind_name(kind, NULL, 0);
    *channels = channels_kept(codec, picture->channels);
    *bits = codec->wide ? picture->bits : 8;
    if (picture->channels % 2 == 0 && *channels % 2 == 1)
        rml_picture_remark(picture, "%s holds no alpha, which was left out", name);
    if (*bits < picture->bits)
        rml_picture_remark(picture, "%s holds 8 of the 16 bits", name);
    if (picture->profile.data && !codec->profile)
        rml_picture_remark(picture, "%s holds no colour profile, which was left out", name);
    else if (picture->profile.data && !profile_fits(&picture->profile, *channels))
        rml_picture_remark(picture, "%s holds no gray, and the profile of gray was left out", name);
    if (picture->exif.size > codec->most_exif)
        rml_picture_remark(picture, "EXIF is not written into %s and was left out", name);
    if (picture->lost_exif)
        rml_picture_remark(picture, "what the TIFF says of its camera or author was left out");
}

// As the codec takes it; the notes stay with the picture.
static rml_status encode(const rml_picture *picture, const rml_picture_codec *codec, FILE *file,
                         const rml_allocator *allocator, rml_error *err)
{
    const int channels = channels_kept(codec, picture->channels);
    rml_picture given = *picture, reduced = {0};
    if (channels != picture->channels || (picture->bits == 16 && !codec->wide)) {
        RML_TRY(rml_picture_create(&reduced, picture->width, picture->height, channels, 8,
                                   allocator, err));
        for (int y = 0; y < reduced.height; y++)
            rml_picture_row8(picture, y, channels, true,
                             (uint8_t *)reduced.data + (size_t)y * rml_picture_pitch(&reduced));
        given.data = reduced.data;
        given.channels = channels;
        given.bits = 8;
    }
    if (!profile_fits(&given.profile, channels))
        given.profile = (rml_block){0}; // a gray picture stored as RGB
    if (given.exif.size > codec->most_exif)
        given.exif = (rml_block){0};
    const rml_status status = codec->encode(file, &given, allocator, err);
    rml_picture_release(&reduced);
    return status;
}

rml_status rml_picture_save_as(const rml_picture *picture, const char *path, rml_image_kind kind,
                               const rml_allocator *allocator, rml_error *err)
{
    const rml_picture_codec *codec = rml_picture_codec_of(kind);
    if (!codec || !codec->encode)
        return rml_fail(err, RML_ERR_UNSUPPORTED, "%s: this build does not write %s images", path,
                        rml_image_kind_name(kind, NULL, 0));
    RML_TRY(rml_frame_check_size(picture->width, picture->height, path, err));
    RML_TRY(rml_check_writable(path, allocator, err));
    char *temporary;
    RML_TRY(rml_temporary_name(&temporary, path, allocator, err));
    FILE *file = fopen(temporary, "w+b"); // libtiff reads what it has written
    rml_status status = file ? encode(picture, codec, file, allocator, err) : RML_ERR_IO;
    if (file && (fflush(file) != 0 || ferror(file)) && status == RML_OK)
        status = RML_ERR_IO;
    if (file && fclose(file) != 0 && status == RML_OK)
        status = RML_ERR_IO;
    if (status == RML_ERR_IO)
        status = rml_fail(err, RML_ERR_IO, "%s: cannot be written", path);
    else if (status != RML_OK)
        rml_error_prefix(err, path);
    if (status == RML_OK)
        status = rml_replace_file(temporary, path, allocator, err);
    else
        remove(temporary);
    rml_free(allocator, temporary);
    return status;
}

rml_status rml_picture_save(const rml_picture *picture, const char *path,
                            const rml_allocator *allocator, rml_error *err)
{
    RML_TRY(rml_picture_save_check(path, err));
    return rml_picture_save_as(picture, path, rml_image_kind_named(path), allocator, err);
}

// ---- frames of a video -----------------------------------------------------------------------

static bool is_animated_webp(const uint8_t *data, size_t size)
{
    enum { FLAGS_AT = 20, ANIMATION = 2 };
    return size > FLAGS_AT && memcmp(data + 12, "VP8X", 4) == 0 && (data[FLAGS_AT] & ANIMATION);
}

static bool is_still(const char *path, const uint8_t *data, size_t size)
{
    const rml_image_kind kind = rml_image_kind_of(path, data, size);
    if (!rml_picture_codec_of(kind))
        return false;
    switch (kind) {
    case RML_IMAGE_PNG:
        return !is_animated_png(data, size);
    case RML_IMAGE_JPEG:
        return !rml_image_names_stream(path);
    case RML_IMAGE_WEBP:
        return !is_animated_webp(data, size);
    default:
        return kind == RML_IMAGE_BMP || kind == RML_IMAGE_TIFF;
    }
}

bool rml_image_is_still(const char *path)
{
    rml_mapfile file;
    if (rml_mapfile_open(&file, path, NULL) != RML_OK)
        return false;
    const bool still = is_still(path, file.data, file.size);
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

rml_status rml_frame_from_picture(rml_frame *frame, const rml_picture *picture,
                                  const rml_allocator *allocator, rml_error *err)
{
    RML_TRY(rml_frame_reserve(frame, picture->width, picture->height, allocator, err));
    convert(frame, picture);
    frame->pts = 0;
    frame->time_base = (rml_rational){1, 1};
    return RML_OK;
}

rml_status rml_image_load(rml_frame *frame, const char *path, const rml_allocator *allocator,
                          rml_error *err)
{
    rml_picture picture = {0};
    RML_TRY(rml_picture_load(&picture, path, allocator, err));
    const rml_status status = rml_frame_from_picture(frame, &picture, allocator, err);
    rml_picture_release(&picture);
    return status;
}
