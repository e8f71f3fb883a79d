// WebP through libwebp. It is written without loss.
#include "media/image/picture_codecs.h"

#ifdef RML_WITH_WEBP

#include "tensor/alloc.h"
#include "tensor/status.h"

#include <string.h>
#include <webp/decode.h>
#include <webp/demux.h>
#include <webp/encode.h>
#include <webp/mux.h>

enum { EFFORT = 2 }; // 0 to 9: fast to small

// ---- reading ----------------------------------------------------------------------------------

static rml_status keep(rml_picture *out, rml_block *block, const WebPDemuxer *file,
                       const char *name, rml_error *err)
{
    static const char head[6] = "Exif\0"; // that some writers put before EXIF, as in a JPEG
    WebPChunkIterator chunk;
    rml_status status = RML_OK;
    if (!WebPDemuxGetChunk(file, name, 1, &chunk))
        return RML_OK;
    const uint8_t *data = chunk.chunk.bytes;
    size_t size = chunk.chunk.size;
    if (size >= sizeof head && memcmp(data, head, sizeof head) == 0) {
        data += sizeof head;
        size -= sizeof head;
    }
    status = rml_picture_keep(out, block, data, size, err);
    WebPDemuxReleaseChunkIterator(&chunk);
    return status;
}

static rml_status keep_notes(rml_picture *out, const WebPData *data, rml_error *err)
{
    WebPDemuxer *file = WebPDemux(data);
    if (!file) // the pixels were fine
        return RML_OK;
    rml_status status = keep(out, &out->profile, file, "ICCP", err);
    if (status == RML_OK)
        status = keep(out, &out->exif, file, "EXIF", err);
    WebPDemuxDelete(file);
    if (out->exif.data)
        out->orientation = rml_exif_orientation(out->exif.data, out->exif.size);
    return status;
}

static rml_status decode(rml_picture *out, const uint8_t *data, size_t size,
                         const rml_allocator *allocator, rml_error *err)
{
    WebPBitstreamFeatures features;
    if (WebPGetFeatures(data, size, &features) != VP8_STATUS_OK)
        return rml_fail(err, RML_ERR_FORMAT, "the WebP is damaged or cut short at byte %zu", size);
    if (features.has_animation)
        return rml_fail(err, RML_ERR_UNSUPPORTED,
                        "an animated WebP, which is not one image and not read here");
    RML_TRY(rml_frame_check_size(features.width, features.height, "image", err));
    RML_TRY(rml_picture_create(out, features.width, features.height, features.has_alpha ? 4 : 3, 8,
                               allocator, err));
    const size_t pitch = rml_picture_pitch(out), bytes = pitch * (size_t)out->height;
    const uint8_t *pixels = features.has_alpha
                                ? WebPDecodeRGBAInto(data, size, out->data, bytes, (int)pitch)
                                : WebPDecodeRGBInto(data, size, out->data, bytes, (int)pitch);
    if (!pixels)
        return rml_fail(err, RML_ERR_FORMAT, "the WebP is damaged or cut short at byte %zu", size);
    return keep_notes(out, &(WebPData){data, size}, err);
}

// ---- writing ----------------------------------------------------------------------------------

static bool compress(const rml_picture *p, WebPMemoryWriter *to)
{
    WebPConfig config;
    WebPPicture picture;
    if (!WebPConfigInit(&config) || !WebPConfigLosslessPreset(&config, EFFORT) ||
        !WebPPictureInit(&picture))
        return false;
    config.exact = 1; // colours below alpha 0 too
    picture.use_argb = 1;
    picture.width = p->width;
    picture.height = p->height;
    picture.writer = WebPMemoryWrite;
    picture.custom_ptr = to;
    const int pitch = (int)rml_picture_pitch(p);
    const bool good = (p->channels == 4 ? WebPPictureImportRGBA(&picture, p->data, pitch)
                                        : WebPPictureImportRGB(&picture, p->data, pitch)) &&
                      WebPEncode(&config, &picture);
    WebPPictureFree(&picture);
    return good;
}

// The image in a container with what it has beside it.
static bool wrap(const rml_picture *p, const WebPData *image, WebPData *out)
{
    const WebPData profile = {p->profile.data, p->profile.size},
                   exif = {p->exif.data, p->exif.size};
    WebPMux *mux = WebPMuxNew();
    const bool good = mux && WebPMuxSetImage(mux, image, 0) == WEBP_MUX_OK &&
                      (!profile.size || WebPMuxSetChunk(mux, "ICCP", &profile, 0) == WEBP_MUX_OK) &&
                      (!exif.size || WebPMuxSetChunk(mux, "EXIF", &exif, 0) == WEBP_MUX_OK) &&
                      WebPMuxAssemble(mux, out) == WEBP_MUX_OK;
    WebPMuxDelete(mux);
    return good;
}

static rml_status encode(FILE *file, const rml_picture *picture, const rml_allocator *allocator,
                         rml_error *err)
{
    (void)allocator; // libwebp takes what it needs from the C library
    if (picture->width > WEBP_MAX_DIMENSION || picture->height > WEBP_MAX_DIMENSION)
        return rml_fail(err, RML_ERR_LIMIT, "%dx%d pixels, and a WebP has at most %d a side",
                        picture->width, picture->height, WEBP_MAX_DIMENSION);
    WebPMemoryWriter image;
    WebPData whole;
    WebPMemoryWriterInit(&image);
    WebPDataInit(&whole);
    const bool good =
        compress(picture, &image) && wrap(picture, &(WebPData){image.mem, image.size}, &whole);
    if (good)
        fwrite(whole.bytes, 1, whole.size, file);
    WebPDataClear(&whole);
    WebPMemoryWriterClear(&image);
    return good ? RML_OK
                : rml_fail(err, RML_ERR_NOMEM, "out of memory while encoding a %dx%d WebP",
                           picture->width, picture->height);
}

const rml_picture_codec rml_webp_codec = {.kind = RML_IMAGE_WEBP,
                                          .decode = decode,
                                          .encode = encode,
                                          .alpha = true,
                                          .profile = true,
                                          .most_exif = RML_IMAGE_MAX_FILE_BYTES};

#endif
