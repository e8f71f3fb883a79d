// PNG through libpng. Its errors leave by longjmp, no farther than the two functions here that
// call setjmp; what must survive that lies in their callers' structs.
#include "media/image/picture_codecs.h"

#ifdef RML_WITH_PNG

#include "tensor/alloc.h"
#include "tensor/names.h"
#include "tensor/size.h"
#include "tensor/status.h"

#include <png.h>
#include <setjmp.h>
#include <string.h>

enum { MOST_DEFLATE_RATIO = 1032, COMPRESSION = 4 };

typedef struct trouble {
    jmp_buf give_up;
    char text[RML_QUOTE_BYTES]; // libpng's words
} trouble;

static void fail(png_structp png, png_const_charp message)
{
    trouble *t = png_get_error_ptr(png);
    rml_quote(t->text, message, strlen(message));
    longjmp(t->give_up, 1);
}

static void ignore(png_structp png, png_const_charp message)
{
    (void)png, (void)message; // of chunks that change no pixel
}

// ---- reading ----------------------------------------------------------------------------------

typedef struct reader {
    trouble trouble;
    const uint8_t *data;
    size_t size, at;
    png_structp png;
    png_infop info;
    rml_picture *out;
    const rml_allocator *allocator;
    rml_error *err;
    rml_status status; // where it is not OK, `err` says more than libpng
    int rows;          // 1 when all pixels are there
    bool ended;        // bytes were wanted behind the end
} reader;

static void take(png_structp png, png_bytep out, size_t bytes)
{
    reader *r = png_get_io_ptr(png);
    if (r->size - r->at < bytes) {
        r->ended = true;
        png_error(png, "end of file");
    }
    memcpy(out, r->data + r->at, bytes);
    r->at += bytes;
}

static rml_status check(const reader *r, png_uint_32 width, png_uint_32 height, int bits, int type)
{
    static const size_t channels[] = {1, 0, 3, 1, 2, 0, 4}; // by colour type
    RML_TRY(rml_frame_check_size(width, height, "image", r->err));
    const size_t row = ((size_t)width * (size_t)bits * channels[type] + 7) / 8;
    if (row * height / MOST_DEFLATE_RATIO > r->size)
        return rml_fail(r->err, RML_ERR_FORMAT, "the PNG is cut short at byte %zu", r->size);
    return RML_OK;
}

// Palettes and fewer than 8 bits become colours and 8 bits, a transparent colour alpha.
static int set_up(reader *r, png_uint_32 *width, png_uint_32 *height, int *bits)
{
    int type;
    png_get_IHDR(r->png, r->info, width, height, bits, &type, NULL, NULL, NULL);
    r->status = check(r, *width, *height, *bits, type);
    if (r->status != RML_OK)
        return 0;
    png_set_expand(r->png);
    const uint16_t one = 1;
    if (*bits == 16 && *(const uint8_t *)&one == 1)
        png_set_swap(r->png);
    const int passes = png_set_interlace_handling(r->png);
    png_read_update_info(r->png, r->info);
    *bits = png_get_bit_depth(r->png, r->info);
    return passes;
}

static void keep_notes(reader *r)
{
    png_charp name;
    int method;
    png_bytep profile, exif;
    png_uint_32 size, across, down;
    int unit;
    if (png_get_pHYs(r->png, r->info, &across, &down, &unit) && unit == PNG_RESOLUTION_METER) {
        r->out->across = rml_picture_per_inch(across);
        r->out->down = rml_picture_per_inch(down);
    }
    if (png_get_iCCP(r->png, r->info, &name, &method, &profile, &size))
        r->status = rml_picture_keep(r->out, &r->out->profile, profile, size, r->err);
    if (r->status == RML_OK && png_get_eXIf_1(r->png, r->info, &size, &exif))
        r->status = rml_picture_keep(r->out, &r->out->exif, exif, size, r->err);
}

static void read_pixels(reader *r)
{
    png_uint_32 width, height;
    int bits;
    png_read_info(r->png, r->info);
    const int passes = set_up(r, &width, &height, &bits);
    if (r->status != RML_OK)
        return;
    r->status = rml_picture_create(r->out, (int)width, (int)height,
                                   png_get_channels(r->png, r->info), bits, r->allocator, r->err);
    if (r->status != RML_OK)
        return;
    const size_t pitch = rml_picture_pitch(r->out);
    for (int pass = 0; pass < passes; pass++)
        for (png_uint_32 y = 0; y < height; y++)
            png_read_row(r->png, (png_bytep)r->out->data + y * pitch, NULL);
    r->rows = 1;
    png_read_end(r->png, r->info); // EXIF may lie behind the pixels
}

static void read_all(reader *r)
{
    if (setjmp(r->trouble.give_up) == 0)
        read_pixels(r);
    else if (r->rows == 0)
        r->status = r->ended ? rml_fail(r->err, RML_ERR_FORMAT,
                                        "the image is damaged or cut short at byte %zu", r->size)
                             : rml_fail(r->err, RML_ERR_FORMAT, "the image is damaged (%s)",
                                        r->trouble.text);
    else if (r->ended)
        rml_picture_remark(r->out, "the PNG has no end marker");
    else
        rml_picture_remark(r->out, "the PNG is damaged behind its pixels (%s)", r->trouble.text);
}

static rml_status decode(rml_picture *out, const uint8_t *data, size_t size,
                         const rml_allocator *allocator, rml_error *err)
{
    reader r = {.data = data, .size = size, .out = out, .allocator = allocator, .err = err};
    r.png = png_create_read_struct(PNG_LIBPNG_VER_STRING, &r.trouble, fail, ignore);
    r.info = r.png ? png_create_info_struct(r.png) : NULL;
    if (r.info) {
        png_set_read_fn(r.png, &r, take);
        // Sizes within libpng's limits; ours have sentences.
        png_set_user_limits(r.png, PNG_UINT_31_MAX, PNG_UINT_31_MAX);
        read_all(&r);
    } else {
        r.status = rml_fail(err, RML_ERR_NOMEM, "out of memory for libpng");
    }
    if (r.status == RML_OK) // outside of setjmp: nothing here is libpng's to fail
        keep_notes(&r);
    png_destroy_read_struct(&r.png, &r.info, NULL);
    if (r.status == RML_OK && out->exif.data)
        out->orientation = rml_exif_orientation(out->exif.data, out->exif.size);
    return r.status;
}

// ---- writing ----------------------------------------------------------------------------------

typedef struct writer {
    trouble trouble;
    FILE *file;
    png_structp png;
    png_infop info;
    const rml_picture *picture;
} writer;

static void give(png_structp png, png_bytep data, size_t bytes)
{
    writer *w = png_get_io_ptr(png);
    if (fwrite(data, 1, bytes, w->file) != bytes)
        png_error(png, "cannot be written");
}

static void flush(png_structp png)
{
    (void)png; // the caller flushes the file
}

static void write_pixels(writer *w)
{
    static const int types[] = {0, PNG_COLOR_TYPE_GRAY, PNG_COLOR_TYPE_GRAY_ALPHA,
                                PNG_COLOR_TYPE_RGB, PNG_COLOR_TYPE_RGB_ALPHA}; // by channels
    const rml_picture *p = w->picture;
    png_set_IHDR(w->png, w->info, (png_uint_32)p->width, (png_uint_32)p->height, p->bits,
                 types[p->channels], PNG_INTERLACE_NONE, PNG_COMPRESSION_TYPE_DEFAULT,
                 PNG_FILTER_TYPE_DEFAULT);
    if (p->profile.data)
        png_set_iCCP(w->png, w->info, "ICC", PNG_COMPRESSION_TYPE_BASE, p->profile.data,
                     (png_uint_32)p->profile.size);
    if (p->exif.data)
        png_set_eXIf_1(w->png, w->info, (png_uint_32)p->exif.size, p->exif.data);
    const png_uint_32 across = rml_picture_per_metre(p->across);
    const png_uint_32 down = rml_picture_per_metre(p->down);
    if (across && down)
        png_set_pHYs(w->png, w->info, across, down, PNG_RESOLUTION_METER);
    png_set_compression_level(w->png, COMPRESSION);
    png_write_info(w->png, w->info);
    const uint16_t one = 1;
    if (p->bits == 16 && *(const uint8_t *)&one == 1)
        png_set_swap(w->png);
    const size_t pitch = rml_picture_pitch(p);
    for (int y = 0; y < p->height; y++)
        png_write_row(w->png, (png_const_bytep)p->data + (size_t)y * pitch);
    png_write_end(w->png, NULL); // which would write EXIF once more
}

static bool write_all(writer *w)
{
    if (setjmp(w->trouble.give_up) != 0)
        return false;
    write_pixels(w);
    return true;
}

static rml_status encode(FILE *file, const rml_picture *picture, const rml_allocator *allocator,
                         rml_error *err)
{
    (void)allocator; // libpng takes what it needs from the C library
    writer w = {.file = file, .picture = picture};
    w.png = png_create_write_struct(PNG_LIBPNG_VER_STRING, &w.trouble, fail, ignore);
    w.info = w.png ? png_create_info_struct(w.png) : NULL;
    rml_status status = RML_OK;
    if (!w.info) {
        status = rml_fail(err, RML_ERR_NOMEM, "out of memory for libpng");
    } else {
        png_set_write_fn(w.png, &w, give, flush);
        png_set_benign_errors(w.png, 1); // a profile that libpng does not like is left out
        if (!write_all(&w) && !ferror(file))
            status = rml_fail(err, RML_ERR_FORMAT, "the PNG cannot be made (%s)", w.trouble.text);
    }
    png_destroy_write_struct(&w.png, &w.info);
    return status;
}

const rml_picture_codec rml_png_codec = {.kind = RML_IMAGE_PNG,
                                         .decode = decode,
                                         .encode = encode,
                                         .gray = true,
                                         .gray_alpha = true,
                                         .alpha = true,
                                         .wide = true,
                                         .profile = true,
                                         .most_exif = PNG_UINT_31_MAX};

#endif
