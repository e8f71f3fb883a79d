#include "pipelines/lipsync/face_paste.h"

#include "media/image/picture.h"
#include "pipelines/lipsync/detail.h"
#include "pipelines/lipsync/enhance.h"
#include "pipelines/lipsync/occluder.h"
#include "pipelines/lipsync/seam.h"
#include "tensor/alloc.h"

#include <string.h>

#define COLOURS 3

// A block of floats that grows.
typedef struct room {
    float *data;
    size_t capacity;
} room;

static rml_status reserve(room *r, size_t count, const rml_allocator *allocator, rml_error *err)
{
    if (count <= r->capacity)
        return RML_OK;
    rml_free(allocator, r->data);
    r->data = rml_alloc_zero(allocator, count, sizeof *r->data);
    r->capacity = r->data ? count : 0;
    return r->data ? RML_OK : rml_fail_nomem(err, count * sizeof *r->data, "a face");
}

static rml_part part_of(rml_box box)
{
    return (rml_part){box.x1, box.y1, box.x2 - box.x1, box.y2 - box.y1};
}

static size_t pixels_of(const rml_part *part)
{
    return (size_t)part->width * (size_t)part->height;
}

// Room for rml_planes_read.
static size_t scratch_of(const rml_part *part)
{
    return 4 * ((size_t)part->width + 2);
}

// Pixels BGR as planes R, G, B of 0..1, and back.
static void split(const uint8_t *bgr, float *planes, size_t pixels)
{
    for (size_t i = 0; i < pixels; i++)
        for (size_t c = 0; c < COLOURS; c++)
            planes[c * pixels + i] = (float)bgr[COLOURS * i + 2 - c] / 255.0f;
}

static void join(const float *planes, uint8_t *bgr, size_t pixels)
{
    for (size_t i = 0; i < pixels; i++)
        for (size_t c = 0; c < COLOURS; c++) {
            const float level = planes[c * pixels + i] * 255.0f + 0.5f;
            bgr[COLOURS * i + 2 - c] = (uint8_t)(level < 0 ? 0 : level > 255 ? 255 : level);
        }
}

// ---- cut ---------------------------------------------------------------------------------------

struct rml_face_cutter {
    const rml_allocator *allocator;
    rml_image_resampler *down;
    room coded, upright, small;
};

rml_status rml_face_cutter_create(rml_face_cutter **out, const rml_allocator *allocator,
                                  rml_error *err)
{
    *out = NULL;
    rml_face_cutter *c;
    RML_TRY(rml_make(allocator, &c, 1, sizeof *c, "a face", err));
    c->allocator = allocator;
    const rml_status status = rml_image_resampler_create(&c->down, allocator, err);
    if (status != RML_OK)
        rml_face_cutter_destroy(&c);
    *out = c;
    return status;
}

void rml_face_cutter_destroy(rml_face_cutter **cutter)
{
    rml_face_cutter *c = *cutter;
    *cutter = NULL;
    if (!c)
        return;
    rml_image_resampler_destroy(&c->down);
    rml_free(c->allocator, c->coded.data);
    rml_free(c->allocator, c->upright.data);
    rml_free(c->allocator, c->small.data);
    rml_free(c->allocator, c);
}

rml_status rml_face_cut(rml_face_cutter *c, const rml_planes *picture, rml_box box, int side,
                        uint8_t *patch, rml_error *err)
{
    const rml_part shown = part_of(box), part = rml_planes_coded(picture, &shown);
    const size_t pixels = pixels_of(&part), count = (size_t)side * (size_t)side;
    RML_TRY(reserve(&c->coded, COLOURS * pixels + scratch_of(&part), c->allocator, err));
    RML_TRY(reserve(&c->small, COLOURS * count, c->allocator, err));
    float *coded = c->coded.data;
    rml_planes_read(picture, &part, coded, coded + COLOURS * pixels);
    rml_colour_to_network(&picture->colour, coded, pixels, pixels);
    const float *upright = coded;
    if (picture->upright != RML_ORIENT_NORMAL) {
        RML_TRY(reserve(&c->upright, COLOURS * pixels, c->allocator, err));
        upright = c->upright.data;
        rml_orient_floats(c->upright.data, coded, part.width, part.height, COLOURS,
                          picture->upright);
    }
    RML_TRY(rml_image_resample(c->down, upright, shown.width, shown.height, c->small.data, side,
                               side, COLOURS, err));
    join(c->small.data, patch, count);
    return RML_OK;
}

// ---- paste -------------------------------------------------------------------------------------

struct rml_face_paster {
    const rml_allocator *allocator;
    rml_paste_settings settings;
    rml_image_resampler *up;
    rml_detail *detail;
    rml_seam *seam;
    rml_occluder *occluder; // or NULL, as the next
    rml_enhancer *enhancer;
    room given, gen;          // at the network's size
    room old, smooth, made;   // upright
    room coded, change, mask; // as coded: the film, and what changes
    room shown_mask, free;    // upright: the mask, and of it what nothing is in front of
    rml_mask_settings drawn;  // what shown_mask is for
    int drawn_width, drawn_height;
    float marks[RML_MASK_MARKS][2];        // that it was drawn by
    uint8_t *gray;                         // the mask as a picture, or NULL
    int gray_width, gray_height, gray_top; // the first row with anything
};

// The mask that the user drew; of colours their luma.
static rml_status load_mask(rml_face_paster *p, const char *path, rml_error *err)
{
    rml_frame frame = {0};
    RML_TRY(rml_image_load(&frame, path, p->allocator, err));
    p->gray_width = frame.width;
    p->gray_height = frame.height;
    p->gray = rml_alloc(p->allocator, (size_t)frame.width * (size_t)frame.height);
    for (int y = 0; p->gray && y < frame.height; y++) {
        const uint8_t *bgr = frame.data + (size_t)y * frame.pitch;
        uint8_t *to = p->gray + (size_t)y * (size_t)frame.width;
        for (int x = 0; x < frame.width; x++, bgr += RML_FRAME_CHANNELS)
            to[x] = (uint8_t)((bgr[0] * 29 + bgr[1] * 150 + bgr[2] * 77 + 128) >> 8);
    }
    rml_frame_release(&frame);
    const size_t width = (size_t)p->gray_width, count = width * (size_t)p->gray_height;
    size_t first = 0;
    while (p->gray && first < count && p->gray[first] == 0)
        first++;
    p->gray_top = (int)(first / width);
    return p->gray ? RML_OK
                   : rml_fail_nomem(err, (size_t)p->gray_width * (size_t)p->gray_height, "a mask");
}

rml_status rml_face_paster_create(rml_face_paster **out, const rml_paste_settings *settings,
                                  const rml_allocator *allocator, rml_error *err)
{
    *out = NULL;
    rml_face_paster *p;
    RML_TRY(rml_make(allocator, &p, 1, sizeof *p, "a face", err));
    p->allocator = allocator;
    p->settings = *settings;
    rml_status status = rml_image_resampler_create(&p->up, allocator, err);
    if (status == RML_OK)
        status = rml_detail_create(&p->detail, allocator, err);
    if (status == RML_OK)
        status = rml_seam_create(&p->seam, allocator, err);
    if (status == RML_OK && settings->occluder)
        status = rml_occluder_create(&p->occluder, settings->occluder, allocator, err);
    if (status == RML_OK && settings->restorer)
        status = rml_enhancer_create(&p->enhancer, settings->restorer, allocator, err);
    if (status == RML_OK && settings->picture)
        status = load_mask(p, settings->picture, err);
    if (status != RML_OK)
        rml_face_paster_destroy(&p);
    *out = p;
    return status;
}

void rml_face_paster_destroy(rml_face_paster **paster)
{
    rml_face_paster *p = *paster;
    *paster = NULL;
    if (!p)
        return;
    rml_image_resampler_destroy(&p->up);
    rml_detail_destroy(&p->detail);
    rml_seam_destroy(&p->seam);
    rml_occluder_destroy(&p->occluder);
    rml_enhancer_destroy(&p->enhancer);
    const room rooms[] = {p->given, p->gen,    p->old,  p->smooth,     p->made,
                          p->coded, p->change, p->mask, p->shown_mask, p->free};
    for (size_t i = 0; i < sizeof rooms / sizeof *rooms; i++)
        rml_free(p->allocator, rooms[i].data);
    rml_free(p->allocator, p->gray);
    rml_free(p->allocator, p);
}

static bool same_mask(const rml_mask_settings *a, const rml_mask_settings *b)
{
    return a->kind == b->kind && a->feather == b->feather && !a->marks == !b->marks &&
           a->border.top == b->border.top && a->border.bottom == b->border.bottom &&
           a->border.left == b->border.left && a->border.right == b->border.right;
}

// Marks in the picture as those of the part that is shown; false where there are none, and where
// the mask does not go by them.
static bool shift_marks(const rml_face_paster *p, const float (*marks)[2], const rml_part *shown,
                        float to[RML_MASK_MARKS][2])
{
    memset(to, 0, RML_MASK_MARKS * sizeof *to);
    if (!marks || p->gray || p->settings.mask != RML_MASK_MOUTH)
        return false;
    for (int i = 0; i < RML_MASK_MARKS; i++) {
        to[i][0] = marks[i][0] - (float)shown->x;
        to[i][1] = marks[i][1] - (float)shown->y;
    }
    return true;
}

// Rows beside the mask in the picture: the seam's edge, and what rounding may add.
#define EDGE_ROWS 2

int rml_face_paste_top(const rml_face_paster *p, rml_box box, const float (*marks)[2], int side)
{
    const rml_part shown = part_of(box);
    float at[RML_MASK_MARKS][2];
    rml_mask_settings mask = {.kind = p->settings.mask};
    if (shift_marks(p, marks, &shown, at))
        mask.marks = (const float(*)[2])at;
    // A drawn mask is stretched by a filter that reaches three pixels of the coarser of both.
    const int drawn = p->gray_top - 4;
    const int64_t top = p->gray
                            ? (int64_t)(drawn < 0 ? 0 : drawn) * shown.height / p->gray_height - 4
                            : rml_mask_top(shown.width, shown.height, &mask);
    const int64_t reach = RML_IMAGE_RESAMPLE_REACH * (side > shown.height ? side : shown.height);
    const int64_t first = (top - EDGE_ROWS) * side - reach;
    const int64_t row = first / shown.height - rml_detail_reach(side) - 2;
    return first < 0 || row < 0 ? 0 : (int)row;
}

static rml_status draw_mask(rml_face_paster *p, const rml_planes *picture, const rml_part *shown,
                            const float (*marks)[2], rml_mask_settings *wanted, rml_error *err)
{
    float at[RML_MASK_MARKS][2];
    const bool by_marks = shift_marks(p, marks, shown, at);
    *wanted = (rml_mask_settings){
        .kind = p->settings.mask,
        .feather = p->settings.feather,
        .border = {.top = shown->y <= 0,
                   .bottom = shown->y + shown->height >= rml_planes_height(picture),
                   .left = shown->x <= 0,
                   .right = shown->x + shown->width >= rml_planes_width(picture)},
        .marks = by_marks ? (const float(*)[2])p->marks : NULL};
    if (p->drawn_width == shown->width && p->drawn_height == shown->height &&
        same_mask(wanted, &p->drawn) && memcmp(p->marks, at, sizeof at) == 0)
        return RML_OK;
    p->drawn_width = 0;
    memcpy(p->marks, at, sizeof at);
    RML_TRY(reserve(&p->shown_mask, pixels_of(shown), p->allocator, err));
    const rml_pixels gray = {p->gray, (size_t)p->gray_width, p->gray_width, p->gray_height};
    if (p->gray)
        RML_TRY(rml_mask_stretch(p->shown_mask.data, shown->width, shown->height, gray,
                                 p->allocator, err));
    else
        RML_TRY(rml_mask_draw(p->shown_mask.data, shown->width, shown->height, wanted, err));
    p->drawn = *wanted;
    p->drawn_width = shown->width;
    p->drawn_height = shown->height;
    return RML_OK;
}

static rml_status reserve_all(rml_face_paster *p, const rml_part *part, size_t small, bool as_coded,
                              rml_error *err)
{
    const size_t count = COLOURS * pixels_of(part);
    room *large[] = {&p->smooth, &p->made, &p->coded, &p->old, &p->change};
    const size_t rooms = as_coded ? 3 : sizeof large / sizeof *large;
    RML_TRY(reserve(&p->given, COLOURS * small, p->allocator, err));
    RML_TRY(reserve(&p->gen, COLOURS * small, p->allocator, err));
    if (!as_coded)
        RML_TRY(reserve(&p->mask, pixels_of(part), p->allocator, err));
    for (size_t i = 0; i < rooms; i++)
        RML_TRY(reserve(large[i], count + scratch_of(part), p->allocator, err));
    return RML_OK;
}

// The new face at the size of the box, upright, in p->made; `old` is the film.
static rml_status make_face(rml_face_paster *p, const rml_planes *picture, const float *old,
                            const rml_part *shown, const float (*marks)[2], int side,
                            const rml_mask_settings *mask, float *step, rml_error *err)
{
    const rml_detail_net net = {p->given.data, p->gen.data, side, side};
    const int w = shown->width, h = shown->height;
    RML_TRY(rml_image_resample(p->up, net.gen, side, side, p->made.data, w, h, COLOURS, err));
    RML_TRY(rml_image_resample(p->up, net.in, side, side, p->smooth.data, w, h, COLOURS, err));
    RML_TRY(rml_detail_keep(p->detail, p->up, &net, p->made.data, old, p->smooth.data, w, h, err));
    if (p->enhancer)
        RML_TRY(rml_enhance(p->enhancer, picture, *shown, marks, p->made.data, err));
    *step = 0;
    if (p->settings.keep_colours)
        return RML_OK;
    return rml_seam_match(p->seam, p->made.data, old, p->shown_mask.data, w, h, mask->border, step,
                          err);
}

// The weights that the face is blended by, upright. The seam goes by the mask's own edge: along
// that of a hand old and new face may differ.
static rml_status weigh(rml_face_paster *p, const float *old, const rml_part *shown, float **mask,
                        rml_error *err)
{
    *mask = p->shown_mask.data;
    if (!p->occluder)
        return RML_OK;
    RML_TRY(reserve(&p->free, pixels_of(shown), p->allocator, err));
    *mask = p->free.data;
    return rml_occlude(p->occluder, old, p->shown_mask.data, shown->width, shown->height,
                       p->free.data, err);
}

rml_status rml_face_paste(rml_face_paster *p, const rml_planes *picture, rml_box box,
                          const float (*marks)[2], const uint8_t *given, const uint8_t *made,
                          int side, float *step, rml_error *err)
{
    const rml_part shown = part_of(box), part = rml_planes_coded(picture, &shown);
    const size_t pixels = pixels_of(&part), small = (size_t)side * (size_t)side;
    // The network sees the picture as it is coded.
    const bool as_coded =
        picture->upright == RML_ORIENT_NORMAL && !rml_colour_is_hdr(picture->colour.transfer);
    rml_mask_settings drawn;
    RML_TRY(reserve_all(p, &part, small, as_coded, err));
    RML_TRY(draw_mask(p, picture, &shown, marks, &drawn, err));
    split(given, p->given.data, small);
    split(made, p->gen.data, small);
    float *coded = p->coded.data;
    rml_planes_read(picture, &part, coded, coded + COLOURS * pixels);
    float *old = coded, *change = p->made.data, *mask, *upright_mask;
    if (!as_coded) {
        old = p->old.data;
        change = p->change.data;
        memcpy(change, coded, COLOURS * pixels * sizeof *change);
        rml_colour_to_network(&picture->colour, change, pixels, pixels);
        rml_orient_floats(old, change, part.width, part.height, COLOURS, picture->upright);
    }
    RML_TRY(weigh(p, old, &shown, &upright_mask, err));
    RML_TRY(make_face(p, picture, old, &shown, marks, side, &drawn, step, err));
    mask = upright_mask;
    if (!as_coded) {
        mask = p->mask.data;
        const rml_orientation back = rml_orientation_inverse(picture->upright);
        rml_orient_floats(change, p->made.data, shown.width, shown.height, COLOURS, back);
        rml_orient_floats(mask, upright_mask, shown.width, shown.height, 1, back);
        rml_colour_from_network(&picture->colour, change, pixels, pixels);
    }
    for (size_t c = 0; c < COLOURS; c++)
        for (size_t i = 0; i < pixels; i++)
            change[c * pixels + i] = mask[i] * (change[c * pixels + i] - coded[c * pixels + i]);
    rml_planes_add(picture, &part, change, mask, p->smooth.data);
    return RML_OK;
}
