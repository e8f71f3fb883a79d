#include "pipelines/lipsync/enhance.h"

#include "media/image/resample.h"
#include "pipelines/faces/face_shape.h"
#include "tensor/alloc.h"

#include <math.h>

enum { COLOURS = 3, MARKS = 5 };

// Where FFHQ has the marks, as shares of the square's side.
static const float template_marks[MARKS][2] = {{0.37691f, 0.46864f},
                                               {0.62286f, 0.46912f},
                                               {0.50124f, 0.61331f},
                                               {0.39309f, 0.72541f},
                                               {0.61150f, 0.72490f}};
// The same of the mouth's middle, and how far eyes and mouth are apart.
#define TEMPLATE_MOUTH_X 0.501f
#define TEMPLATE_MOUTH_Y 0.725f
#define TEMPLATE_DISTANCE 0.256f
// Of the side: over this width along the edges what is added fades.
#define FADE 0.03125f
// A square by marks has at least so many pixels, and at most so many times the sides of the box.
#define LEAST_SIDE 8
#define MOST_BOXES 4

struct rml_enhancer {
    const rml_allocator *allocator;
    rml_picture_net *net;
    rml_image_resampler *down, *up;
    // The film as coded, upright, and at the scale of the network; what the network is given and
    // what it makes.
    float *coded, *film, *scaled, *seen;
    size_t coded_capacity, film_capacity, scaled_capacity, seen_capacity;
};

// From shares of the square to pixels of the picture: (a u - b v + x, b u + a v + y).
typedef struct similarity {
    float a, b, x, y;
} similarity;

rml_status rml_enhancer_create(rml_enhancer **out, rml_picture_net *net,
                               const rml_allocator *allocator, rml_error *err)
{
    rml_enhancer *e;
    *out = NULL;
    RML_TRY(rml_make(allocator, &e, 1, sizeof *e, "the restorer", err));
    e->allocator = allocator;
    e->net = net;
    rml_status status = rml_image_resampler_create(&e->down, allocator, err);
    if (status == RML_OK)
        status = rml_image_resampler_create(&e->up, allocator, err);
    if (status != RML_OK)
        rml_enhancer_destroy(&e);
    *out = e;
    return status;
}

void rml_enhancer_destroy(rml_enhancer **at)
{
    rml_enhancer *e = *at;
    *at = NULL;
    if (!e)
        return;
    rml_image_resampler_destroy(&e->down);
    rml_image_resampler_destroy(&e->up);
    rml_free(e->allocator, e->coded);
    rml_free(e->allocator, e->film);
    rml_free(e->allocator, e->scaled);
    rml_free(e->allocator, e->seen);
    rml_free(e->allocator, e);
}

// ---- the square --------------------------------------------------------------------------------

// On whole pixels, so that what keeps its scale keeps its samples.
static similarity by_box(const rml_part *face)
{
    const float height = (float)face->height;
    const float side = rintf(height * RML_BOX_DISTANCE / TEMPLATE_DISTANCE);
    const float left = (float)face->width / 2 - TEMPLATE_MOUTH_X * side;
    return (similarity){.a = side,
                        .x = (float)face->x + rintf(left),
                        .y = (float)face->y +
                             rintf(RML_BOX_MOUTH_Y * height - TEMPLATE_MOUTH_Y * side)};
}

// Nearest to all five marks: the mean of what turns and scales each of them, weighed by its
// distance from the middle. False where that is the square of no face.
static bool by_marks(const float (*marks)[2], const rml_part *face, similarity *s)
{
    float from_x = 0, from_y = 0, to_x = 0, to_y = 0, a = 0, b = 0, size = 0;
    for (int i = 0; i < MARKS; i++) {
        from_x += template_marks[i][0] / MARKS;
        from_y += template_marks[i][1] / MARKS;
        to_x += marks[i][0] / MARKS;
        to_y += marks[i][1] / MARKS;
    }
    for (int i = 0; i < MARKS; i++) {
        const float u = template_marks[i][0] - from_x, v = template_marks[i][1] - from_y;
        const float x = marks[i][0] - to_x, y = marks[i][1] - to_y;
        a += u * x + v * y;
        b += u * y - v * x;
        size += u * u + v * v;
    }
    s->a = a / size;
    s->b = b / size;
    s->x = to_x - s->a * from_x + s->b * from_y;
    s->y = to_y - s->b * from_x - s->a * from_y;
    const float side = hypotf(s->a, s->b);
    const float box = (float)(face->width > face->height ? face->width : face->height);
    const bool near = fabsf(to_x - (float)face->x - (float)face->width / 2) < box &&
                      fabsf(to_y - (float)face->y - (float)face->height / 2) < box;
    return near && side >= LEAST_SIDE && side <= MOST_BOXES * box;
}

static int clamp(int value, int count)
{
    return value < 0 ? 0 : value < count ? value : count - 1;
}

// What of the square, and a filter's width around it, lies inside the picture.
static rml_part bounds(const similarity *s, const rml_planes *picture, float margin)
{
    const float left = s->x + fminf(s->a, 0) - fmaxf(s->b, 0);
    const float top = s->y + fminf(s->a, 0) + fminf(s->b, 0);
    const float right = s->x + fmaxf(s->a, 0) - fminf(s->b, 0);
    const float bottom = s->y + fmaxf(s->a, 0) + fmaxf(s->b, 0);
    const int width = rml_planes_width(picture), height = rml_planes_height(picture);
    const int x1 = clamp((int)floorf(left - margin), width);
    const int y1 = clamp((int)floorf(top - margin), height);
    const int x2 = clamp((int)ceilf(right + margin) - 1, width);
    const int y2 = clamp((int)ceilf(bottom + margin) - 1, height);
    return (rml_part){x1, y1, x2 - x1 + 1, y2 - y1 + 1};
}

// ---- pictures ----------------------------------------------------------------------------------

// The film in `shown`, upright, as networks know it.
static rml_status read_film(rml_enhancer *e, const rml_planes *picture, const rml_part *shown,
                            rml_error *err)
{
    const rml_part part = rml_planes_coded(picture, shown);
    const size_t pixels = (size_t)part.width * (size_t)part.height;
    RML_TRY(rml_reserve(e->allocator, &e->coded, &e->coded_capacity,
                        COLOURS * pixels + 4 * ((size_t)part.width + 2), sizeof *e->coded,
                        "the restorer's picture", err));
    RML_TRY(rml_reserve(e->allocator, &e->film, &e->film_capacity, COLOURS * pixels,
                        sizeof *e->film, "the restorer's picture", err));
    rml_planes_read(picture, &part, e->coded, e->coded + COLOURS * pixels);
    rml_colour_to_network(&picture->colour, e->coded, pixels, pixels);
    rml_orient_floats(e->film, e->coded, part.width, part.height, COLOURS, picture->upright);
    return RML_OK;
}

// The face at `shown` into the film in `part`, or what changes of it back.
static void exchange(float *film, const rml_part *part, float *made, const rml_part *shown,
                     bool back)
{
    for (int y = 0; y < shown->height; y++)
        for (int x = 0; x < shown->width; x++) {
            const int column = x + shown->x - part->x, row = y + shown->y - part->y;
            if (column < 0 || row < 0 || column >= part->width || row >= part->height)
                continue;
            float *to = film + (size_t)row * (size_t)part->width + (size_t)column;
            float *face = made + (size_t)y * (size_t)shown->width + (size_t)x;
            if (back)
                *face += *to;
            else
                *to = *face;
        }
}

// Weights of the four samples around a place, `t` behind the second: Catmull-Rom.
static void cubic(float t, float weights[4])
{
    weights[0] = t * (-0.5f + t * (1.0f - 0.5f * t));
    weights[1] = 1.0f + t * t * (-2.5f + 1.5f * t);
    weights[2] = t * (0.5f + t * (2.0f - 1.5f * t));
    weights[3] = t * t * (-0.5f + 0.5f * t);
}

typedef struct grid {
    float *data; // three planes
    int width, height;
} grid;

// The colours at (x, y), whole numbers being the middles of pixels; beyond the edges the last
// pixels, or nothing.
static void look(const grid *from, float x, float y, bool nothing, float colour[COLOURS])
{
    const float left = floorf(x), top = floorf(y);
    const size_t plane = (size_t)from->width * (size_t)from->height;
    float across[4], down[4];
    colour[0] = colour[1] = colour[2] = 0;
    if (nothing && (x < -2 || y < -2 || x > (float)from->width + 1 || y > (float)from->height + 1))
        return;
    cubic(x - left, across);
    cubic(y - top, down);
    for (int j = 0; j < 4; j++) {
        const int row = clamp((int)top + j - 1, from->height);
        for (int i = 0; i < 4; i++) {
            const int column = clamp((int)left + i - 1, from->width);
            const float *at = from->data + (size_t)row * (size_t)from->width + (size_t)column;
            for (int c = 0; c < COLOURS; c++)
                colour[c] += down[j] * across[i] * at[(size_t)c * plane];
        }
    }
}

// Between the square and the film in `part`, scaled: where a pixel of one lies on the other.
typedef struct turn {
    float xx, xy, x, yx, yy, y;
} turn;

static turn from_square(const similarity *s, const grid *square, const rml_part *part,
                        const grid *film)
{
    const float across = (float)film->width / (float)part->width;
    const float down = (float)film->height / (float)part->height;
    const float u = 1 / (float)square->width, v = 1 / (float)square->height;
    turn t = {.xx = s->a * u * across,
              .xy = -s->b * v * across,
              .yx = s->b * u * down,
              .yy = s->a * v * down};
    t.x = (s->x - (float)part->x) * across - 0.5f + 0.5f * (t.xx + t.xy);
    t.y = (s->y - (float)part->y) * down - 0.5f + 0.5f * (t.yx + t.yy);
    return t;
}

static turn inverse(const turn *t)
{
    const float d = t->xx * t->yy - t->xy * t->yx;
    turn i = {.xx = t->yy / d, .xy = -t->xy / d, .yx = -t->yx / d, .yy = t->xx / d};
    i.x = -(i.xx * t->x + i.xy * t->y);
    i.y = -(i.yx * t->x + i.yy * t->y);
    return i;
}

static void turn_into(const grid *to, const grid *from, const turn *t, bool nothing)
{
    const size_t plane = (size_t)to->width * (size_t)to->height;
    float *at = to->data, colour[COLOURS];
    for (int y = 0; y < to->height; y++)
        for (int x = 0; x < to->width; x++, at++) {
            look(from, t->xx * (float)x + t->xy * (float)y + t->x,
                 t->yx * (float)x + t->yy * (float)y + t->y, nothing, colour);
            for (int c = 0; c < COLOURS; c++)
                at[(size_t)c * plane] = colour[c];
        }
}

static float share_of(int index, int count)
{
    const int from_edge = index < count - 1 - index ? index : count - 1 - index;
    const float share = (float)from_edge / (FADE * (float)count);
    return share > 1 ? 1 : share;
}

// restored = (restored - seen), towards the edges less and on them nothing.
static void keep_change(const grid *restored, const float *seen)
{
    size_t at = 0;
    for (int c = 0; c < COLOURS; c++)
        for (int y = 0; y < restored->height; y++)
            for (int x = 0; x < restored->width; x++, at++)
                restored->data[at] = (restored->data[at] - seen[at]) *
                                     share_of(x, restored->width) * share_of(y, restored->height);
}

// ---- the whole ---------------------------------------------------------------------------------

static int scaled_side(int side, float scale)
{
    const float scaled = rintf((float)side * scale);
    return scaled < 1 ? 1 : scaled > RML_FRAME_MAX_SIDE ? RML_FRAME_MAX_SIDE : (int)scaled;
}

rml_status rml_enhance(rml_enhancer *e, const rml_planes *picture, rml_part shown,
                       const float (*marks)[2], float *made, rml_error *err)
{
    similarity place;
    if (!marks || !by_marks(marks, &shown, &place))
        place = by_box(&shown);
    const float side = hypotf(place.a, place.b);
    if (side < 1)
        return RML_OK; // a face of a pixel or two
    grid square = {NULL, rml_picture_net_width(e->net), rml_picture_net_height(e->net)};
    const float across = (float)square.width / side, down = (float)square.height / side;
    const float margin = place.b == 0 ? 0 : 2 + 2 / fminf(across, down);
    const rml_part part = bounds(&place, picture, margin);
    grid film = {NULL, scaled_side(part.width, across), scaled_side(part.height, down)};
    const size_t small = (size_t)square.width * (size_t)square.height;
    const size_t scaled = (size_t)film.width * (size_t)film.height;
    const size_t plane = (size_t)part.width * (size_t)part.height;
    const size_t face = (size_t)shown.width * (size_t)shown.height;
    RML_TRY(read_film(e, picture, &part, err));
    RML_TRY(rml_reserve(e->allocator, &e->scaled, &e->scaled_capacity, COLOURS * scaled,
                        sizeof *e->scaled, "the restorer's picture", err));
    RML_TRY(rml_reserve(e->allocator, &e->seen, &e->seen_capacity, 2 * COLOURS * small,
                        sizeof *e->seen, "the restorer's picture", err));
    for (int c = 0; c < COLOURS; c++)
        exchange(e->film + (size_t)c * plane, &part, made + (size_t)c * face, &shown, false);
    film.data = e->scaled;
    square.data = e->seen;
    const turn there = from_square(&place, &square, &part, &film), back = inverse(&there);
    RML_TRY(rml_image_resample(e->down, e->film, part.width, part.height, film.data, film.width,
                               film.height, COLOURS, err));
    turn_into(&square, &film, &there, false);
    for (size_t i = 0; i < COLOURS * small; i++)
        e->seen[i] = e->seen[i] < 0 ? 0 : e->seen[i] > 1 ? 1 : e->seen[i];
    square.data += COLOURS * small;
    RML_TRY(rml_picture_net_run(e->net, e->seen, square.data, err));
    keep_change(&square, e->seen);
    turn_into(&film, &square, &back, true);
    RML_TRY(rml_image_resample(e->up, film.data, film.width, film.height, e->film, part.width,
                               part.height, COLOURS, err));
    for (int c = 0; c < COLOURS; c++)
        exchange(e->film + (size_t)c * plane, &part, made + (size_t)c * face, &shown, true);
    return RML_OK;
}
