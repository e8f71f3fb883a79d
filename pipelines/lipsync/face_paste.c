#include "pipelines/lipsync/face_paste.h"

#include "media/image/picture.h"
#include "pipelines/lipsync/detail.h"
#include "pipelines/lipsync/enhance.h"
#include "pipelines/lipsync/face_reach.h"
#include "pipelines/lipsync/face_spot.h"
#include "pipelines/lipsync/occluder.h"
#include "pipelines/lipsync/seam.h"
#include "tensor/alloc.h"

#include <string.h>

// Pixels BGR as planes R, G, B of 0..1.
static void split(const uint8_t *bgr, float *planes, size_t pixels)
{
    for (size_t i = 0; i < pixels; i++)
        for (size_t c = 0; c < RML_FACE_COLOURS; c++)
            planes[c * pixels + i] = (float)bgr[RML_FACE_COLOURS * i + 2 - c] / 255.0f;
}

rml_part rml_face_paste_part(rml_box box, float angle, int width, int height)
{
    return rml_face_spot_of(box, angle, width, height).shown;
}

struct rml_face_paster {
    const rml_allocator *allocator;
    rml_paste_settings settings;
    rml_image_resampler *up;
    rml_detail *detail;
    rml_seam *seam;
    rml_occluder *occluder; // or NULL, as the next
    rml_enhancer *enhancer;
    rml_turn_filter filter;
    rml_face_room given, gen;        // at the network's size
    rml_face_room old, smooth, made; // upright
    // of a turned face: the film as the crop; in the picture the new face, and the masks that it is
    // blended and matched by
    rml_face_room film, back, spread, edge, pixels;
    rml_face_room coded, change, mask; // as coded: the film, and what changes
    rml_face_room whole;               // the mask of the crop
    rml_part looked;                   // of the crop: what anybody looks at
    rml_face_room shown_mask, free;    // there, upright, and of it what nothing is in front of
    rml_mask_settings drawn;           // what they are for
    int drawn_width, drawn_height;
    bool drawn_turned;
    float marks[RML_MASK_MARKS][2]; // that it was drawn by
    uint8_t *gray;                  // the mask as a picture, or NULL
    int gray_width, gray_height;
    rml_part gray_part; // outside which it is 0
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
    if (!p->gray)
        return rml_fail_nomem(err, (size_t)p->gray_width * (size_t)p->gray_height, "a mask");
    p->gray_part = rml_levels_bounds(p->gray, p->gray_width, p->gray_height);
    return p->gray_part.width
               ? RML_OK
               : rml_fail(err, RML_ERR_ARG,
                          "%s: the mask is black everywhere, so that nothing would change", path);
}

rml_status rml_face_paster_create(rml_face_paster **out, const rml_paste_settings *settings,
                                  const rml_allocator *allocator, rml_error *err)
{
    *out = NULL;
    rml_face_paster *p;
    RML_TRY(rml_make(allocator, &p, 1, sizeof *p, "a face", err));
    p->allocator = allocator;
    p->settings = *settings;
    rml_turn_filter_init(&p->filter);
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
    const rml_face_room rooms[] = {p->given,  p->gen,  p->old,   p->smooth,     p->made, p->coded,
                                   p->change, p->mask, p->film,  p->shown_mask, p->free, p->back,
                                   p->spread, p->edge, p->whole, p->pixels};
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

// Marks in the picture as those of the crop; false where there are none, and where the mask does
// not go by them.
static bool shift_marks(const rml_face_paster *p, const float (*marks)[2], const rml_face_spot *s,
                        float to[RML_MASK_MARKS][2])
{
    memset(to, 0, RML_MASK_MARKS * sizeof *to);
    if (!marks || p->gray || p->settings.mask != RML_MASK_MOUTH)
        return false;
    for (int i = 0; i < RML_MASK_MARKS; i++) {
        to[i][0] = marks[i][0] - (float)s->shown.x;
        to[i][1] = marks[i][1] - (float)s->shown.y;
        if (s->turned)
            rml_turn_point(&s->turn, marks[i], to[i]);
    }
    return true;
}

// Pixels beside the mask in the picture: the seam's edge, and what rounding may add.
#define EDGE 2

rml_part rml_face_paste_seen(const rml_face_paster *p, rml_box box, float angle,
                             const float (*marks)[2], int side)
{
    // Where it lies in the crop does not depend on where the picture ends.
    const rml_face_spot s = rml_face_spot_of(box, angle, RML_FRAME_MAX_SIDE, RML_FRAME_MAX_SIDE);
    const int beside = EDGE + (s.turned ? RML_TURN_REACH + 1 : 0);
    float at[RML_MASK_MARKS][2];
    rml_mask_settings mask = {.kind = p->settings.mask};
    if (shift_marks(p, marks, &s, at))
        mask.marks = (const float(*)[2])at;
    const rml_part part = p->gray ? rml_stretched_reach(p->gray_part, p->gray_width, p->gray_height,
                                                        s.width, s.height)
                                  : rml_mask_reach(s.width, s.height, &mask);
    return rml_network_reach(part, s.width, s.height, beside, side);
}

static rml_mask_border border_of(const rml_planes *picture, const rml_part *shown)
{
    return (rml_mask_border){.top = shown->y <= 0,
                             .bottom = shown->y + shown->height >= rml_planes_height(picture),
                             .left = shown->x <= 0,
                             .right = shown->x + shown->width >= rml_planes_width(picture)};
}

// The mask and the seam's edge around it, of a turned face also what the filter reaches from there;
// all of the crop where a network sees it.
static rml_part find_looked(const rml_face_paster *p, const rml_face_spot *s)
{
    const rml_part all = {0, 0, s->width, s->height};
    if (p->occluder || p->enhancer)
        return all;
    const rml_part part = rml_mask_surroundings(p->whole.data, s->width, s->height);
    if (!s->turned || !part.width)
        return part;
    const int beside = RML_TURN_REACH + 2;
    const int left = part.x > beside ? part.x - beside : 0;
    const int top = part.y > beside ? part.y - beside : 0;
    const int right = part.x + part.width + beside, bottom = part.y + part.height + beside;
    return (rml_part){left, top, (right < s->width ? right : s->width) - left,
                      (bottom < s->height ? bottom : s->height) - top};
}

static rml_status draw_mask(rml_face_paster *p, const rml_planes *picture, const rml_face_spot *s,
                            const float (*marks)[2], rml_error *err)
{
    float at[RML_MASK_MARKS][2];
    const bool by_marks = shift_marks(p, marks, s, at);
    const rml_mask_settings wanted = {.kind = p->settings.mask,
                                      .feather = p->settings.feather,
                                      // The sides of a turned crop are not the picture's.
                                      .border = s->turned ? (rml_mask_border){0}
                                                          : border_of(picture, &s->shown),
                                      .marks = by_marks ? (const float(*)[2])p->marks : NULL};
    if (p->drawn_width == s->width && p->drawn_height == s->height &&
        p->drawn_turned == s->turned && same_mask(&wanted, &p->drawn) &&
        memcmp(p->marks, at, sizeof at) == 0)
        return RML_OK;
    p->drawn_width = 0;
    memcpy(p->marks, at, sizeof at);
    RML_TRY(rml_face_reserve(&p->whole, rml_face_crop_pixels(s), p->allocator, err));
    RML_TRY(rml_face_reserve(&p->shown_mask, rml_face_crop_pixels(s), p->allocator, err));
    const rml_pixels gray = {p->gray, (size_t)p->gray_width, p->gray_width, p->gray_height};
    if (p->gray)
        RML_TRY(rml_mask_stretch(p->whole.data, s->width, s->height, gray, p->allocator, err));
    else
        RML_TRY(rml_mask_draw(p->whole.data, s->width, s->height, &wanted, err));
    p->looked = find_looked(p, s);
    const size_t width = (size_t)p->looked.width;
    for (size_t y = 0; y < (size_t)p->looked.height; y++)
        memcpy(p->shown_mask.data + y * width,
               p->whole.data + ((size_t)p->looked.y + y) * (size_t)s->width + (size_t)p->looked.x,
               width * sizeof *p->whole.data);
    p->drawn = wanted;
    p->drawn_width = s->width;
    p->drawn_height = s->height;
    p->drawn_turned = s->turned;
    return RML_OK;
}

static rml_status reserve_all(rml_face_paster *p, const rml_face_spot *s, size_t small,
                              bool as_coded, rml_error *err)
{
    const rml_part *part = &s->part;
    const size_t crop = rml_part_pixels(&p->looked), pixels = rml_part_pixels(part);
    const size_t count = RML_FACE_COLOURS * (pixels > crop ? pixels : crop);
    rml_face_room *large[] = {&p->smooth, &p->made, &p->coded, &p->old, &p->change};
    const size_t rooms = as_coded ? 3 : sizeof large / sizeof *large;
    RML_TRY(rml_face_reserve(&p->given, RML_FACE_COLOURS * small, p->allocator, err));
    RML_TRY(rml_face_reserve(&p->gen, RML_FACE_COLOURS * small, p->allocator, err));
    if (!as_coded)
        RML_TRY(rml_face_reserve(&p->mask, pixels, p->allocator, err));
    if (s->turned) {
        RML_TRY(rml_face_reserve(&p->film, RML_FACE_COLOURS * crop, p->allocator, err));
        RML_TRY(rml_face_reserve(&p->back, RML_FACE_COLOURS * pixels, p->allocator, err));
        RML_TRY(rml_face_reserve(&p->spread, pixels, p->allocator, err));
        RML_TRY(rml_face_reserve(&p->edge, pixels, p->allocator, err));
        RML_TRY(rml_face_reserve(&p->pixels, RML_TURN_LANES * (pixels > crop ? pixels : crop),
                                 p->allocator, err));
    }
    for (size_t i = 0; i < rooms; i++)
        RML_TRY(rml_face_reserve(large[i], count + rml_part_scratch(part), p->allocator, err));
    return RML_OK;
}

// The new face where it is looked at, at the size of the crop and upright, in p->made; `film` is
// what is there.
static rml_status make_face(rml_face_paster *p, const float *film, const rml_face_spot *s, int side,
                            rml_error *err)
{
    const rml_detail_net net = {p->given.data, p->gen.data, side, side};
    const int w = s->width, h = s->height;
    RML_TRY(rml_image_resample_part(p->up, net.gen, side, side, p->made.data, w, h, &p->looked,
                                    RML_FACE_COLOURS, err));
    RML_TRY(rml_image_resample_part(p->up, net.in, side, side, p->smooth.data, w, h, &p->looked,
                                    RML_FACE_COLOURS, err));
    return rml_detail_keep(p->detail, p->up, &net, p->made.data, film, p->smooth.data, w, h,
                           &p->looked, err);
}

// The weights that the face is blended by, upright. The seam goes by the mask's own edge: along
// that of a hand old and new face may differ.
static rml_status weigh(rml_face_paster *p, const float *old, const rml_face_spot *s, float **mask,
                        rml_error *err)
{
    *mask = p->shown_mask.data;
    if (!p->occluder)
        return RML_OK;
    RML_TRY(rml_face_reserve(&p->free, rml_face_crop_pixels(s), p->allocator, err));
    *mask = p->free.data;
    return rml_occlude(p->occluder, old, p->shown_mask.data, s->width, s->height, p->free.data,
                       err);
}

// From the crop to where it lies in the picture; `old` is the film there.
static void turn_back(rml_face_paster *p, const float *old, const rml_face_spot *s, float **face,
                      float **mask, float **edge)
{
    const size_t count = RML_FACE_COLOURS * rml_part_pixels(&p->looked);
    const bool same = *mask == *edge;
    for (size_t i = 0; i < count; i++)
        p->made.data[i] -= p->film.data[i];
    rml_turn_back(&s->turn, &p->filter, p->made.data, old, p->pixels.data, p->back.data);
    rml_turn_mask(&s->turn, *mask, p->spread.data);
    if (!same)
        rml_turn_mask(&s->turn, *edge, p->edge.data);
    *face = p->back.data;
    *mask = p->spread.data;
    *edge = same ? p->spread.data : p->edge.data;
}

// The new face and its mask as they lie upright in s->shown, of which `old` is the film.
static rml_status renew(rml_face_paster *p, const rml_planes *picture, const float *old,
                        const rml_face_spot *s, const float (*marks)[2], int side, float **face,
                        float **mask, float *step, rml_error *err)
{
    const float *film = old;
    float *edge = p->shown_mask.data;
    if (s->turned) {
        rml_turn_upright(&s->turn, &p->filter, old, p->pixels.data, p->film.data);
        film = p->film.data;
    }
    RML_TRY(weigh(p, film, s, mask, err));
    RML_TRY(make_face(p, film, s, side, err));
    *face = p->made.data;
    if (s->turned)
        turn_back(p, old, s, face, mask, &edge);
    if (p->enhancer)
        RML_TRY(rml_enhance(p->enhancer, picture, s->shown, marks, *face, err));
    *step = 0;
    if (p->settings.keep_colours)
        return RML_OK;
    return rml_seam_match(p->seam, *face, old, edge, s->shown.width, s->shown.height,
                          border_of(picture, &s->shown), step, err);
}

rml_status rml_face_paste(rml_face_paster *p, const rml_planes *picture, rml_box box, float angle,
                          const float (*marks)[2], const uint8_t *given, const uint8_t *made,
                          int side, float *step, rml_error *err)
{
    rml_face_spot s = rml_face_spot_in(picture, box, angle);
    *step = 0;
    RML_TRY(draw_mask(p, picture, &s, marks, err));
    if (!p->looked.width)
        return RML_OK;
    rml_face_spot_narrow(&s, picture, &p->looked);
    const rml_part part = s.part;
    const size_t pixels = rml_part_pixels(&part), small = (size_t)side * (size_t)side;
    // The network sees the picture as it is coded.
    const bool as_coded =
        picture->upright == RML_ORIENT_NORMAL && !rml_colour_is_hdr(picture->colour.transfer);
    RML_TRY(reserve_all(p, &s, small, as_coded, err));
    split(given, p->given.data, small);
    split(made, p->gen.data, small);
    float *coded = p->coded.data;
    rml_planes_read(picture, &part, coded, coded + RML_FACE_COLOURS * pixels);
    float *old = coded, *change = p->change.data, *face, *mask;
    if (!as_coded) {
        old = p->old.data;
        memcpy(change, coded, RML_FACE_COLOURS * pixels * sizeof *change);
        rml_colour_to_network(&picture->colour, change, pixels, pixels);
        rml_orient_floats(old, change, part.width, part.height, RML_FACE_COLOURS, picture->upright);
    }
    RML_TRY(renew(p, picture, old, &s, marks, side, &face, &mask, step, err));
    if (as_coded) {
        change = face;
    } else {
        const rml_orientation back = rml_orientation_inverse(picture->upright);
        rml_orient_floats(change, face, s.shown.width, s.shown.height, RML_FACE_COLOURS, back);
        rml_orient_floats(p->mask.data, mask, s.shown.width, s.shown.height, 1, back);
        mask = p->mask.data;
        rml_colour_from_network(&picture->colour, change, pixels, pixels);
    }
    for (size_t c = 0; c < RML_FACE_COLOURS; c++)
        for (size_t i = 0; i < pixels; i++)
            change[c * pixels + i] = mask[i] * (change[c * pixels + i] - coded[c * pixels + i]);
    rml_planes_add(picture, &part, change, mask, p->smooth.data);
    return RML_OK;
}
