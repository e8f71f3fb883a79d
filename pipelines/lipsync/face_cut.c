#include "pipelines/lipsync/face_cut.h"

#include "media/image/resample.h"
#include "pipelines/lipsync/face_spot.h"
#include "tensor/alloc.h"

// Planes R, G, B of 0..1 as pixels BGR.
static void join(const float *planes, uint8_t *bgr, size_t pixels)
{
    for (size_t i = 0; i < pixels; i++)
        for (size_t c = 0; c < RML_FACE_COLOURS; c++) {
            const float level = planes[c * pixels + i] * 255.0f + 0.5f;
            bgr[RML_FACE_COLOURS * i + 2 - c] = (uint8_t)(level < 0     ? 0
                                                          : level > 255 ? 255
                                                                        : level);
        }
}

struct rml_face_cutter {
    const rml_allocator *allocator;
    rml_image_resampler *down;
    rml_turn_filter filter;
    rml_face_room coded, upright, turned, small, pixels;
};

rml_status rml_face_cutter_create(rml_face_cutter **out, const rml_allocator *allocator,
                                  rml_error *err)
{
    *out = NULL;
    rml_face_cutter *c;
    RML_TRY(rml_make(allocator, &c, 1, sizeof *c, "a face", err));
    c->allocator = allocator;
    rml_turn_filter_init(&c->filter);
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
    rml_free(c->allocator, c->turned.data);
    rml_free(c->allocator, c->small.data);
    rml_free(c->allocator, c->pixels.data);
    rml_free(c->allocator, c);
}

rml_status rml_face_cut(rml_face_cutter *c, const rml_planes *picture, rml_box box, float angle,
                        int side, uint8_t *patch, rml_error *err)
{
    const rml_face_spot s = rml_face_spot_in(picture, box, angle);
    const rml_part part = s.part;
    const size_t pixels = rml_part_pixels(&part), count = (size_t)side * (size_t)side;
    RML_TRY(rml_face_reserve(&c->coded, RML_FACE_COLOURS * pixels + rml_part_scratch(&part),
                             c->allocator, err));
    RML_TRY(rml_face_reserve(&c->small, RML_FACE_COLOURS * count, c->allocator, err));
    float *coded = c->coded.data;
    rml_planes_read(picture, &part, coded, coded + RML_FACE_COLOURS * pixels);
    rml_colour_to_network(&picture->colour, coded, pixels, pixels);
    const float *upright = coded;
    if (picture->upright != RML_ORIENT_NORMAL) {
        RML_TRY(rml_face_reserve(&c->upright, RML_FACE_COLOURS * pixels, c->allocator, err));
        upright = c->upright.data;
        rml_orient_floats(c->upright.data, coded, part.width, part.height, RML_FACE_COLOURS,
                          picture->upright);
    }
    if (s.turned) {
        const size_t crop = rml_face_crop_pixels(&s);
        RML_TRY(rml_face_reserve(&c->turned, RML_FACE_COLOURS * crop, c->allocator, err));
        RML_TRY(rml_face_reserve(&c->pixels, RML_TURN_LANES * pixels, c->allocator, err));
        rml_turn_upright(&s.turn, &c->filter, upright, c->pixels.data, c->turned.data);
        upright = c->turned.data;
    }
    RML_TRY(rml_image_resample(c->down, upright, s.width, s.height, c->small.data, side, side,
                               RML_FACE_COLOURS, err));
    join(c->small.data, patch, count);
    return RML_OK;
}
