// JPEG through libjpeg-turbo, with the settings of Pillow. Its errors leave by longjmp, no farther
// than the two functions here that call setjmp; what must survive that lies in their structs.
#include "media/image/picture_codecs.h"

#ifdef RML_WITH_JPEG

#include "tensor/alloc.h"
#include "tensor/names.h"
#include "tensor/size.h"
#include "tensor/status.h"

#include <stdio.h>
#include <jpeglib.h>
#include <jerror.h>
#include <setjmp.h>
#include <stdlib.h>
#include <string.h>

enum { QUALITY = 95, MOST_SCANS = 500, EXIF_HEAD = 6, MOST_SEGMENT = 65533 };
static const char exif_head[EXIF_HEAD] = "Exif\0";

typedef struct trouble {
    struct jpeg_error_mgr base; // first: libjpeg knows this part
    jmp_buf give_up;
    bool ended;                 // bytes were wanted behind the end
    bool starved;               // a scan ended before its pixels
    bool damaged;               // pixels are certainly wrong
    char text[RML_QUOTE_BYTES]; // libjpeg's words for the first fault, or ""
} trouble;

static void note(j_common_ptr info)
{
    trouble *t = (trouble *)info->err;
    char text[JMSG_LENGTH_MAX];
    if (t->text[0])
        return;
    info->err->format_message(info, text);
    rml_quote(t->text, text, strlen(text));
}

static void fail(j_common_ptr info)
{
    trouble *t = (trouble *)info->err;
    t->text[0] = 0;
    note(info);
    longjmp(t->give_up, 1);
}

static void warn(j_common_ptr info, int level)
{
    trouble *t = (trouble *)info->err;
    if (level >= 0)
        return;
    if (info->err->msg_code == JWRN_JPEG_EOF) {
        t->ended = true;
        return;
    }
    t->starved = t->starved || info->err->msg_code == JWRN_HIT_MARKER;
    t->damaged = t->damaged || info->err->msg_code == JWRN_HUFF_BAD_CODE ||
                 info->err->msg_code == JWRN_ARITH_BAD_CODE;
    note(info);
}

static void say_nothing(j_common_ptr info)
{
    (void)info;
}

static struct jpeg_error_mgr *errors(trouble *t)
{
    jpeg_std_error(&t->base);
    t->base.error_exit = fail;
    t->base.emit_message = warn;
    t->base.output_message = say_nothing;
    return &t->base;
}

// ---- reading ----------------------------------------------------------------------------------

typedef struct reader {
    trouble trouble;
    struct jpeg_decompress_struct info;
    struct jpeg_progress_mgr progress;
    const uint8_t *data;
    size_t size;
    rml_picture *out;
    const rml_allocator *allocator;
    rml_error *err;
    rml_status status; // where it is not OK, `err` says more than libjpeg
    JOCTET *profile;   // libjpeg's
    uint8_t *line;     // of four inks
    bool rows;         // all are there
} reader;

// A file of many empty scans would take hours.
static void watch(j_common_ptr info)
{
    j_decompress_ptr d = (j_decompress_ptr)info;
    if (d->input_scan_number > MOST_SCANS)
        ERREXIT(info, JERR_BAD_LENGTH);
}

// Pillow's arithmetic. Adobe's files, which nearly all are, store inks inverted.
static void inks_to_rgb(const uint8_t *from, uint8_t *to, size_t width)
{
    for (size_t x = 0; x < width; x++, from += 4, to += 3)
        for (int c = 0; c < 3; c++) {
            const int key = from[3], product = (255 - from[c]) * key + 128;
            const int value = key - (((product >> 8) + product) >> 8);
            to[c] = (uint8_t)(value < 0 ? 0 : value);
        }
}

static rml_status check(const reader *r)
{
    const struct jpeg_decompress_struct *d = &r->info;
    RML_TRY(rml_frame_check_size(d->image_width, d->image_height, "image", r->err));
    // A block of 8x8 takes a bit at least: no memory for a header that lies.
    const size_t pixels = (size_t)d->image_width * d->image_height;
    if (!d->arith_code && pixels / 512 > r->size)
        return rml_fail(r->err, RML_ERR_FORMAT, "the JPEG is cut short at byte %zu", r->size);
    return RML_OK;
}

static void keep_notes(reader *r)
{
    enum { INCH = 1, CENTIMETRE = 2 };
    const double unit = r->info.density_unit == INCH         ? 1
                        : r->info.density_unit == CENTIMETRE ? 2.54
                                                             : 0;
    if (r->info.saw_JFIF_marker) {
        r->out->across = r->info.X_density * unit;
        r->out->down = r->info.Y_density * unit;
    }
    unsigned bytes = 0;
    if (jpeg_read_icc_profile(&r->info, &r->profile, &bytes))
        r->status = rml_picture_keep(r->out, &r->out->profile, r->profile, bytes, r->err);
    for (jpeg_saved_marker_ptr m = r->info.marker_list; m && r->status == RML_OK; m = m->next)
        if (m->marker == JPEG_APP0 + 1 && m->data_length > EXIF_HEAD && !r->out->exif.data &&
            memcmp(m->data, exif_head, EXIF_HEAD) == 0)
            r->status = rml_picture_keep(r->out, &r->out->exif, m->data + EXIF_HEAD,
                                         m->data_length - EXIF_HEAD, r->err);
}

static void read_rows(reader *r)
{
    j_decompress_ptr d = &r->info;
    const size_t pitch = rml_picture_pitch(r->out);
    while (d->output_scanline < d->output_height) {
        uint8_t *row = (uint8_t *)r->out->data + d->output_scanline * pitch;
        JSAMPROW to = r->line ? r->line : row;
        jpeg_read_scanlines(d, &to, 1);
        if (r->line)
            inks_to_rgb(r->line, row, d->output_width);
    }
    r->rows = true;
    // On to the end marker; jpeg_finish_decompress would free what judge() looks at.
    while (!jpeg_input_complete(d) && jpeg_consume_input(d) != JPEG_SUSPENDED)
        ;
}

static void read_image(reader *r)
{
    j_decompress_ptr d = &r->info;
    jpeg_create_decompress(d);
    d->progress = &r->progress;
    jpeg_mem_src(d, r->data, r->size);
    jpeg_save_markers(d, JPEG_APP0 + 1, 0xFFFF);
    jpeg_save_markers(d, JPEG_APP0 + 2, 0xFFFF);
    jpeg_read_header(d, TRUE);
    r->status = check(r);
    if (r->status != RML_OK)
        return;
    const bool inks = d->jpeg_color_space == JCS_CMYK || d->jpeg_color_space == JCS_YCCK;
    const bool gray = d->jpeg_color_space == JCS_GRAYSCALE;
    d->out_color_space = inks ? JCS_CMYK : gray ? JCS_GRAYSCALE : JCS_RGB;
    jpeg_start_decompress(d);
    r->status = rml_picture_create(r->out, (int)d->output_width, (int)d->output_height,
                                   gray ? 1 : 3, 8, r->allocator, r->err);
    if (r->status == RML_OK && inks)
        r->status = rml_make(r->allocator, &r->line, d->output_width, 4, "a row of inks", r->err);
    if (r->status == RML_OK)
        keep_notes(r);
    if (r->status == RML_OK)
        read_rows(r);
}

// Every component was in a scan, and every coefficient of a progressive image came to its last bit.
static bool all_scans(const struct jpeg_decompress_struct *d)
{
    for (int c = 0; c < d->num_components; c++) {
        if (!d->comp_info[c].quant_table)
            return false;
        for (int k = 0; d->coef_bits && k < DCTSIZE2; k++)
            if (d->coef_bits[c][k] != 0)
                return false;
    }
    return true;
}

// What libjpeg found and went on after.
static rml_status judge(reader *r)
{
    const trouble *t = &r->trouble;
    if (t->ended && (t->starved || !r->rows || !all_scans(&r->info)))
        return rml_fail(r->err, RML_ERR_FORMAT, "the JPEG is cut short at byte %zu", r->size);
    if (t->damaged || !r->rows)
        return rml_fail(r->err, RML_ERR_FORMAT, "the JPEG is damaged or not for this reader (%s)",
                        t->text);
    if (t->ended)
        rml_picture_remark(r->out, "the JPEG has no end marker");
    if (t->text[0])
        rml_picture_remark(r->out, "the JPEG is damaged (%s)", t->text);
    return RML_OK;
}

static void read_all(reader *r)
{
    if (setjmp(r->trouble.give_up) == 0)
        read_image(r);
    if (r->status == RML_OK)
        r->status = judge(r);
}

static rml_status decode(rml_picture *out, const uint8_t *data, size_t size,
                         const rml_allocator *allocator, rml_error *err)
{
    const size_t start = rml_jpeg_start(data, size);
    const size_t from = start < size ? start : 0;
    reader r = {.data = data + from,
                .size = size - from,
                .out = out,
                .allocator = allocator,
                .err = err,
                .progress.progress_monitor = watch};
    r.info.err = errors(&r.trouble);
    read_all(&r);
    jpeg_destroy_decompress(&r.info);
    free(r.profile);
    rml_free(allocator, r.line);
    if (r.status == RML_OK && from > 0)
        rml_picture_remark(out, "%zu bytes before the JPEG were skipped", from);
    if (r.status == RML_OK && out->exif.data)
        out->orientation = rml_exif_orientation(out->exif.data, out->exif.size);
    return r.status;
}

// ---- writing ----------------------------------------------------------------------------------

typedef struct writer {
    trouble trouble;
    struct jpeg_compress_struct info;
    FILE *file;
    const rml_picture *picture;
    uint8_t *exif; // with its head
} writer;

static void write_image(writer *w)
{
    j_compress_ptr c = &w->info;
    const rml_picture *p = w->picture;
    jpeg_create_compress(c);
    jpeg_stdio_dest(c, w->file);
    c->image_width = (JDIMENSION)p->width;
    c->image_height = (JDIMENSION)p->height;
    c->input_components = p->channels;
    c->in_color_space = p->channels == 1 ? JCS_GRAYSCALE : JCS_RGB;
    jpeg_set_defaults(c);
    jpeg_set_quality(c, QUALITY, TRUE);
    c->optimize_coding = TRUE;
    c->comp_info[0].h_samp_factor = c->comp_info[0].v_samp_factor = 1; // colours as fine as light
    if (p->across >= 1 && p->down >= 1 && p->across < 65535 && p->down < 65535) {
        c->density_unit = 1; // inches
        c->X_density = (UINT16)(p->across + 0.5);
        c->Y_density = (UINT16)(p->down + 0.5);
    }
    jpeg_start_compress(c, TRUE);
    if (w->exif)
        jpeg_write_marker(c, JPEG_APP0 + 1, w->exif, (unsigned)(p->exif.size + EXIF_HEAD));
    if (p->profile.data)
        jpeg_write_icc_profile(c, p->profile.data, (unsigned)p->profile.size);
    const size_t pitch = rml_picture_pitch(p);
    while (c->next_scanline < c->image_height) {
        JSAMPROW row = (uint8_t *)p->data + c->next_scanline * pitch;
        jpeg_write_scanlines(c, &row, 1);
    }
    jpeg_finish_compress(c);
}

static bool write_all(writer *w)
{
    if (setjmp(w->trouble.give_up) != 0)
        return false;
    write_image(w);
    return true;
}

static rml_status encode(FILE *file, const rml_picture *picture, const rml_allocator *allocator,
                         rml_error *err)
{
    writer w = {.file = file, .picture = picture};
    if (picture->exif.data) {
        RML_TRY(rml_make(allocator, &w.exif, picture->exif.size + EXIF_HEAD, 1, "EXIF", err));
        memcpy(w.exif, exif_head, EXIF_HEAD);
        memcpy(w.exif + EXIF_HEAD, picture->exif.data, picture->exif.size);
    }
    w.info.err = errors(&w.trouble);
    const bool written = write_all(&w);
    jpeg_destroy_compress(&w.info);
    rml_free(allocator, w.exif);
    if (!written && !ferror(file))
        return rml_fail(err, RML_ERR_FORMAT, "the JPEG cannot be made (%s)", w.trouble.text);
    return RML_OK;
}

const rml_picture_codec rml_jpeg_codec = {.kind = RML_IMAGE_JPEG,
                                          .decode = decode,
                                          .encode = encode,
                                          .gray = true,
                                          .profile = true,
                                          .most_exif = MOST_SEGMENT - EXIF_HEAD};

#endif
