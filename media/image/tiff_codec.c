// TIFF through libtiff: 8 and 16 bits, gray and RGB, as they are; what else there is as libtiff
// turns it into RGB of 8 bits.
#include "media/image/picture_codecs.h"

#ifdef RML_WITH_TIFF
#include "media/image/tiff_stream.h"

#include "tensor/alloc.h"
#include "tensor/names.h"
#include "tensor/size.h"
#include "tensor/status.h"

#include <string.h>

enum { MOST_DIRECTORIES = 64, MOST_SAMPLES = 16 };

// ---- what the file says -----------------------------------------------------------------------

typedef struct layout {
    uint32_t width, height;
    uint16_t bits, samples, photometric, planar, format, extras, orientation;
    bool alpha, premultiplied;
} layout;

static int colours_of(const layout *l)
{
    return l->photometric == PHOTOMETRIC_MINISWHITE || l->photometric == PHOTOMETRIC_MINISBLACK ? 1
                                                                                                : 3;
}

// The first directory that is no thumbnail.
static rml_status choose_directory(const rml_tiff_stream *s, rml_error *err)
{
    for (int i = 0; i < MOST_DIRECTORIES; i++) {
        uint32_t kind = 0;
        s->lib->TIFFGetFieldDefaulted(s->tiff, TIFFTAG_SUBFILETYPE, &kind);
        if (!(kind & FILETYPE_REDUCEDIMAGE))
            return RML_OK;
        if (s->lib->TIFFLastDirectory(s->tiff) || !s->lib->TIFFReadDirectory(s->tiff))
            break;
    }
    return rml_fail(err, RML_ERR_UNSUPPORTED,
                    "the TIFF holds only a thumbnail that can be read (a camera's raw file?)");
}

static rml_status read_layout(const rml_tiff_stream *s, layout *l, rml_error *err)
{
    uint16_t *extra = NULL;
    const rml_tiff_library *lib = s->lib;
    TIFF *t = s->tiff;
    *l = (layout){0};
    lib->TIFFGetField(t, TIFFTAG_IMAGEWIDTH, &l->width);
    lib->TIFFGetField(t, TIFFTAG_IMAGELENGTH, &l->height);
    lib->TIFFGetFieldDefaulted(t, TIFFTAG_BITSPERSAMPLE, &l->bits);
    lib->TIFFGetFieldDefaulted(t, TIFFTAG_SAMPLESPERPIXEL, &l->samples);
    lib->TIFFGetFieldDefaulted(t, TIFFTAG_PLANARCONFIG, &l->planar);
    lib->TIFFGetFieldDefaulted(t, TIFFTAG_SAMPLEFORMAT, &l->format);
    lib->TIFFGetFieldDefaulted(t, TIFFTAG_ORIENTATION, &l->orientation);
    lib->TIFFGetFieldDefaulted(t, TIFFTAG_EXTRASAMPLES, &l->extras, &extra);
    if (!lib->TIFFGetField(t, TIFFTAG_PHOTOMETRIC, &l->photometric))
        l->photometric = l->samples >= 3 ? PHOTOMETRIC_RGB : PHOTOMETRIC_MINISBLACK;
    RML_TRY(rml_frame_check_size(l->width, l->height, "image", err));
    if (l->samples < 1 || l->samples > MOST_SAMPLES)
        return rml_fail(err, RML_ERR_UNSUPPORTED, "a TIFF of %d samples a pixel", l->samples);
    if (l->format != SAMPLEFORMAT_UINT && l->format != SAMPLEFORMAT_VOID)
        return rml_fail(err, RML_ERR_UNSUPPORTED,
                        "a TIFF of %d-bit %s samples; unsigned ones of up to 16 bits are read",
                        l->bits, l->format == SAMPLEFORMAT_INT ? "signed" : "floating-point");
    if (l->extras > 0 && extra && l->samples > colours_of(l)) {
        l->premultiplied = extra[0] == EXTRASAMPLE_ASSOCALPHA;
        l->alpha = l->premultiplied || extra[0] == EXTRASAMPLE_UNASSALPHA;
    }
    return RML_OK;
}

// ---- samples as they are ----------------------------------------------------------------------

static bool is_plain(const layout *l)
{
    return (l->photometric == PHOTOMETRIC_MINISWHITE || l->photometric == PHOTOMETRIC_MINISBLACK ||
            l->photometric == PHOTOMETRIC_RGB) &&
           (l->bits == 8 || l->bits == 16) && l->samples >= colours_of(l);
}

// A strip or a tile of one plane, or of all samples of each pixel.
typedef struct block {
    int left, top, width, height; // of the picture's pixels in it
    int pitch, samples;           // pixels from row to row; samples of each
    int first;                    // channel of the picture
} block;

static void copy_block(rml_picture *out, const block *b, const void *from)
{
    const int channels = b->samples > out->channels ? out->channels : b->samples;
    for (int y = 0; y < b->height; y++)
        for (int x = 0; x < b->width; x++)
            for (int c = 0; c < channels; c++) {
                const size_t at =
                    ((size_t)y * (size_t)b->pitch + (size_t)x) * (size_t)b->samples + (size_t)c;
                const size_t to =
                    ((size_t)(b->top + y) * (size_t)out->width + (size_t)(b->left + x)) *
                        (size_t)out->channels +
                    (size_t)(b->first + c);
                if (out->bits == 16)
                    ((uint16_t *)out->data)[to] = ((const uint16_t *)from)[at];
                else
                    ((uint8_t *)out->data)[to] = ((const uint8_t *)from)[at];
            }
}

static rml_status read_blocks(const rml_tiff_stream *s, const layout *l, rml_picture *out,
                              void *buffer, uint32_t block_width, uint32_t block_height,
                              rml_error *err)
{
    const rml_tiff_library *lib = s->lib;
    const bool tiled = lib->TIFFIsTiled(s->tiff), apart = l->planar == PLANARCONFIG_SEPARATE;
    for (int plane = 0; plane < (apart ? out->channels : 1); plane++)
        for (uint32_t y = 0; y < l->height; y += block_height)
            for (uint32_t x = 0; x < l->width; x += block_width) {
                const uint32_t wide = l->width - x < block_width ? l->width - x : block_width;
                const uint32_t high = l->height - y < block_height ? l->height - y : block_height;
                const block b = {(int)x,    (int)y,           (int)wide,
                                 (int)high, (int)block_width, apart ? 1 : l->samples,
                                 plane};
                const uint16_t sample = (uint16_t)plane;
                const tmsize_t got =
                    tiled ? lib->TIFFReadEncodedTile(
                                s->tiff, lib->TIFFComputeTile(s->tiff, x, y, 0, sample), buffer, -1)
                          : lib->TIFFReadEncodedStrip(
                                s->tiff, lib->TIFFComputeStrip(s->tiff, y, sample), buffer, -1);
                const size_t row = (size_t)b.pitch * (size_t)b.samples * (l->bits / 8u);
                if (got < 0 || (size_t)got < row * high)
                    return rml_fail(err, RML_ERR_FORMAT, "the TIFF is damaged or cut short (%s)",
                                    s->text[0] ? s->text : "pixels are missing");
                copy_block(out, &b, buffer);
            }
    return RML_OK;
}

static rml_status read_plain(const rml_tiff_stream *s, const layout *l, rml_picture *out,
                             const rml_allocator *allocator, rml_error *err)
{
    const rml_tiff_library *lib = s->lib;
    const bool tiled = lib->TIFFIsTiled(s->tiff);
    uint32_t width = l->width, height = l->height;
    lib->TIFFGetFieldDefaulted(s->tiff, tiled ? TIFFTAG_TILELENGTH : TIFFTAG_ROWSPERSTRIP, &height);
    if (tiled)
        lib->TIFFGetField(s->tiff, TIFFTAG_TILEWIDTH, &width);
    else if (height > l->height)
        height = l->height;
    const uint64_t bytes = tiled ? lib->TIFFTileSize64(s->tiff) : lib->TIFFStripSize64(s->tiff);
    const uint64_t samples = l->planar == PLANARCONFIG_SEPARATE ? 1 : l->samples;
    if (width == 0 || height == 0 || width > RML_FRAME_MAX_SIDE || height > RML_FRAME_MAX_SIDE ||
        bytes > RML_TIFF_MOST_BLOCK_BYTES ||
        bytes < width * (uint64_t)height * samples * (l->bits / 8u))
        return rml_fail(err, RML_ERR_LIMIT, "the TIFF is stored in blocks of %ux%u pixels", width,
                        height);
    RML_TRY(rml_picture_create(out, (int)l->width, (int)l->height, colours_of(l) + l->alpha,
                               l->bits, allocator, err));
    void *buffer = rml_alloc(allocator, (size_t)bytes);
    if (!buffer)
        return rml_fail_nomem(err, (size_t)bytes, "a block of a TIFF");
    const rml_status status = read_blocks(s, l, out, buffer, width, height, err);
    rml_free(allocator, buffer);
    return status;
}

static void set(rml_picture *p, size_t at, uint32_t value)
{
    if (p->bits == 16)
        ((uint16_t *)p->data)[at] = (uint16_t)value;
    else
        ((uint8_t *)p->data)[at] = (uint8_t)value;
}

static uint32_t get(const rml_picture *p, size_t at)
{
    return p->bits == 16 ? ((const uint16_t *)p->data)[at] : ((const uint8_t *)p->data)[at];
}

// Black and white change places, and colours that were multiplied by alpha are divided again.
static void normalize(const layout *l, rml_picture *p)
{
    const size_t count = (size_t)p->width * (size_t)p->height, channels = (size_t)p->channels;
    const uint32_t full = p->bits == 16 ? 65535 : 255;
    const bool white = l->photometric == PHOTOMETRIC_MINISWHITE;
    if (!white && !l->premultiplied)
        return;
    for (size_t i = 0; i < count; i++) {
        const uint32_t alpha = l->premultiplied ? get(p, i * channels + channels - 1) : full;
        for (size_t c = 0; c < channels - l->alpha; c++) {
            uint32_t value = get(p, i * channels + c);
            if (alpha > 0 && alpha < full) {
                value = (uint32_t)((uint64_t)value * full / alpha);
                value = value < full ? value : full;
            }
            set(p, i * channels + c, white ? full - value : value);
        }
    }
}

// ---- everything else, by libtiff --------------------------------------------------------------

static rml_status read_converted(const rml_tiff_stream *s, const layout *l, rml_picture *out,
                                 const rml_allocator *allocator, rml_error *err)
{
    const size_t pixels = (size_t)l->width * l->height, colours = (size_t)colours_of(l);
    TIFFRGBAImage image;
    char text[1024] = "";
    if (!s->lib->TIFFRGBAImageBegin(&image, s->tiff, 1, text))
        return rml_fail(err, RML_ERR_UNSUPPORTED,
                        "a TIFF of %d samples of %d bits that cannot be read (%s)", l->samples,
                        l->bits, text);
    image.req_orientation = image.orientation; // turned later, as other images
    uint32_t *raster = NULL;
    rml_status status = rml_make(allocator, &raster, pixels, sizeof *raster, "a TIFF", err);
    if (status == RML_OK && !s->lib->TIFFRGBAImageGet(&image, raster, l->width, l->height))
        status = rml_fail(err, RML_ERR_FORMAT, "the TIFF is damaged or cut short (%s)", s->text);
    if (status == RML_OK)
        status =
            rml_picture_create(out, (int)l->width, (int)l->height, (int)colours, 8, allocator, err);
    for (size_t i = 0; status == RML_OK && i < pixels; i++)
        for (size_t c = 0; c < colours; c++)
            ((uint8_t *)out->data)[i * colours + c] = (uint8_t)(raster[i] >> 8 * c);
    rml_free(allocator, raster);
    s->lib->TIFFRGBAImageEnd(&image);
    return status;
}

// Whether there is what EXIF says elsewhere, but for orientation and pixels an inch.
static bool has_exif(const rml_tiff_stream *s)
{
    static const uint32_t texts[] = {TIFFTAG_IMAGEDESCRIPTION, TIFFTAG_MAKE,   TIFFTAG_MODEL,
                                     TIFFTAG_DATETIME,         TIFFTAG_ARTIST, TIFFTAG_COPYRIGHT};
    static const uint32_t directories[] = {TIFFTAG_EXIFIFD, TIFFTAG_GPSIFD};
    const char *text = NULL;
    uint64_t at = 0;
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
        if (s->lib->TIFFGetField(s->tiff, texts[i], &text) && text && *text)
            return true;
    for (size_t i = 0; i < sizeof directories / sizeof *directories; i++)
        if (s->lib->TIFFGetField(s->tiff, directories[i], &at))
            return true;
    return false;
}

static rml_status read_image(rml_tiff_stream *s, rml_picture *out, const rml_allocator *allocator,
                             rml_error *err)
{
    layout l;
    RML_TRY(choose_directory(s, err));
    RML_TRY(read_layout(s, &l, err));
    if (s->lost_colours)
        return rml_fail(err, RML_ERR_FORMAT, "the TIFF is damaged or cut short (its colours)");
    if (is_plain(&l)) {
        RML_TRY(read_plain(s, &l, out, allocator, err));
        normalize(&l, out);
    } else {
        RML_TRY(read_converted(s, &l, out, allocator, err));
    }
    if (l.orientation >= RML_ORIENT_NORMAL && l.orientation <= RML_ORIENT_ROTATE_270)
        out->orientation = (rml_orientation)l.orientation;
    float across = 0, down = 0;
    uint16_t unit = 0;
    s->lib->TIFFGetFieldDefaulted(s->tiff, TIFFTAG_RESOLUTIONUNIT, &unit);
    if (unit != RESUNIT_NONE && s->lib->TIFFGetField(s->tiff, TIFFTAG_XRESOLUTION, &across) &&
        s->lib->TIFFGetField(s->tiff, TIFFTAG_YRESOLUTION, &down)) {
        out->across = across * (unit == RESUNIT_CENTIMETER ? 2.54 : 1);
        out->down = down * (unit == RESUNIT_CENTIMETER ? 2.54 : 1);
    }
    uint32_t bytes = 0;
    void *profile = NULL;
    if (s->lib->TIFFGetField(s->tiff, TIFFTAG_ICCPROFILE, &bytes, &profile) && profile)
        RML_TRY(rml_picture_keep(out, &out->profile, profile, bytes, err));
    out->lost_exif = has_exif(s);
    if (s->lost_profile)
        rml_picture_remark(out, "the TIFF's colour profile is damaged and was left out");
    if (!s->lib->TIFFLastDirectory(s->tiff))
        rml_picture_remark(out, "the TIFF holds more images, of which the first is taken");
    return RML_OK;
}

static rml_status decode(rml_picture *out, const uint8_t *data, size_t size,
                         const rml_allocator *allocator, rml_error *err)
{
    rml_tiff_library library;
    RML_TRY(rml_tiff_library_load(&library, err));
    rml_tiff_stream s = {.lib = &library, .data = data, .size = size};
    RML_TRY(rml_tiff_stream_open(&s, "rm", err)); // m: the file is memory already
    const rml_status status = read_image(&s, out, allocator, err);
    library.TIFFClose(s.tiff);
    return status;
}

// ---- writing ----------------------------------------------------------------------------------

static bool write_image(rml_tiff_stream *s, const rml_picture *p, uint8_t *line)
{
    const rml_tiff_library *lib = s->lib;
    const size_t pitch = rml_picture_pitch(p);
    TIFF *t = s->tiff;
    bool good = lib->TIFFSetField(t, TIFFTAG_IMAGEWIDTH, (uint32_t)p->width) &&
                lib->TIFFSetField(t, TIFFTAG_IMAGELENGTH, (uint32_t)p->height) &&
                lib->TIFFSetField(t, TIFFTAG_BITSPERSAMPLE, p->bits) &&
                lib->TIFFSetField(t, TIFFTAG_SAMPLESPERPIXEL, p->channels) &&
                lib->TIFFSetField(t, TIFFTAG_PHOTOMETRIC,
                                  p->channels < 3 ? PHOTOMETRIC_MINISBLACK : PHOTOMETRIC_RGB) &&
                lib->TIFFSetField(t, TIFFTAG_PLANARCONFIG, PLANARCONFIG_CONTIG) &&
                lib->TIFFSetField(t, TIFFTAG_ORIENTATION, ORIENTATION_TOPLEFT) &&
                lib->TIFFSetField(t, TIFFTAG_COMPRESSION, COMPRESSION_LZW) && // all can read it
                lib->TIFFSetField(t, TIFFTAG_PREDICTOR, PREDICTOR_HORIZONTAL) &&
                lib->TIFFSetField(t, TIFFTAG_ROWSPERSTRIP, lib->TIFFDefaultStripSize(t, 0));
    if (good && p->channels % 2 == 0)
        good = lib->TIFFSetField(t, TIFFTAG_EXTRASAMPLES, 1, &(uint16_t){EXTRASAMPLE_UNASSALPHA});
    if (good && rml_picture_per_metre(p->across) && rml_picture_per_metre(p->down))
        good = lib->TIFFSetField(t, TIFFTAG_RESOLUTIONUNIT, RESUNIT_INCH) &&
               lib->TIFFSetField(t, TIFFTAG_XRESOLUTION, p->across) &&
               lib->TIFFSetField(t, TIFFTAG_YRESOLUTION, p->down);
    if (good && p->profile.data)
        good = lib->TIFFSetField(t, TIFFTAG_ICCPROFILE, (uint32_t)p->profile.size, p->profile.data);
    for (int y = 0; good && y < p->height; y++) {
        memcpy(line, (const uint8_t *)p->data + (size_t)y * pitch, pitch); // which is written over
        good = lib->TIFFWriteScanline(t, line, (uint32_t)y, 0) == 1;
    }
    return good;
}

static rml_status encode(FILE *file, const rml_picture *picture, const rml_allocator *allocator,
                         rml_error *err)
{
    rml_tiff_library library;
    RML_TRY(rml_tiff_library_load(&library, err));
    rml_tiff_stream s = {.lib = &library, .file = file};
    uint8_t *line;
    RML_TRY(rml_make(allocator, &line, 1, rml_picture_pitch(picture), "a row of a TIFF", err));
    rml_status status = rml_tiff_stream_open(&s, "w", err);
    if (status == RML_OK) {
        const bool good = write_image(&s, picture, line);
        library.TIFFClose(s.tiff); // writes the directory
        if (!good || s.text[0])
            status = ferror(file)
                         ? RML_ERR_IO
                         : rml_fail(err, RML_ERR_FORMAT, "the TIFF cannot be made (%s)", s.text);
    }
    rml_free(allocator, line);
    return status;
}

const rml_picture_codec rml_tiff_codec = {.kind = RML_IMAGE_TIFF,
                                          .decode = decode,
                                          .encode = encode,
                                          .gray = true,
                                          .gray_alpha = true,
                                          .alpha = true,
                                          .wide = true,
                                          .profile = true};

#endif
