// Planes as frames of BGR and the other way round, and how they are turned.
#include "media/image/planes.h"

#include "tensor/alloc.h"

#include <string.h>

int rml_planes_width(const rml_planes *p)
{
    return rml_orientation_swaps(p->upright) ? p->height : p->width;
}

int rml_planes_height(const rml_planes *p)
{
    return rml_orientation_swaps(p->upright) ? p->width : p->height;
}

int64_t rml_planes_bytes(const rml_planes *p)
{
    const rml_plane_layout *l = &p->layout;
    int64_t samples = 0;
    for (int i = 0; i < l->components; i++) {
        const bool chroma = !l->rgb && l->components >= 3 && (i == 1 || i == 2);
        samples += ((int64_t)p->width * p->height) >> (chroma ? l->chroma_x + l->chroma_y : 0);
    }
    return samples * (l->wide ? 2 : 1);
}

rml_part rml_planes_coded(const rml_planes *p, const rml_part *part)
{
    const int right = rml_planes_width(p) - part->x - part->width;
    const int below = rml_planes_height(p) - part->y - part->height;
    const int w = part->width, h = part->height;
    switch (p->upright) {
    case RML_ORIENT_NORMAL:
        break;
    case RML_ORIENT_MIRROR_X:
        return (rml_part){right, part->y, w, h};
    case RML_ORIENT_ROTATE_180:
        return (rml_part){right, below, w, h};
    case RML_ORIENT_MIRROR_Y:
        return (rml_part){part->x, below, w, h};
    case RML_ORIENT_TRANSPOSE:
        return (rml_part){part->y, part->x, h, w};
    case RML_ORIENT_ROTATE_90:
        return (rml_part){part->y, right, h, w};
    case RML_ORIENT_TRANSVERSE:
        return (rml_part){below, right, h, w};
    case RML_ORIENT_ROTATE_270:
        return (rml_part){below, part->x, h, w};
    }
    return *part;
}

rml_orientation rml_orientation_inverse(rml_orientation orientation)
{
    return orientation == RML_ORIENT_ROTATE_90    ? RML_ORIENT_ROTATE_270
           : orientation == RML_ORIENT_ROTATE_270 ? RML_ORIENT_ROTATE_90
                                                  : orientation;
}

void rml_orient_floats(float *dst, const float *src, int width, int height, int count,
                       rml_orientation orientation)
{
    const bool swap = rml_orientation_swaps(orientation);
    const int across = swap ? height : width, down = swap ? width : height;
    const size_t pixels = (size_t)width * (size_t)height;
    for (int i = 0; i < count; i++, dst += pixels, src += pixels) {
        const rml_pixel_rows from = {(uint8_t *)(uintptr_t)src, width, height,
                                     (size_t)width * sizeof *src, sizeof *src};
        const rml_pixel_rows to = {(uint8_t *)dst, across, down, (size_t)across * sizeof *dst,
                                   sizeof *dst};
        rml_orient_pixels(&to, &from, orientation);
    }
}

rml_planes rml_planes_of_frame(const rml_frame *frame)
{
    rml_planes p = {.data = {frame->data},
                    .stride = {(ptrdiff_t)frame->pitch},
                    .width = frame->width,
                    .height = frame->height,
                    .layout = {.components = 3, .rgb = true},
                    .upright = RML_ORIENT_NORMAL};
    for (int c = 0; c < 3; c++)
        p.layout.component[c] = (rml_component){0, RML_FRAME_CHANNELS, (uint8_t)(2 - c), 0, 8};
    return p;
}

static uint8_t byte_of(float value)
{
    const float level = value * 255 + 0.5f;
    return (uint8_t)(level < 0 ? 0 : level > 255 ? 255 : level);
}

static bool is_bgr(const rml_planes *p)
{
    const rml_component *c = p->layout.component;
    return p->layout.rgb && !p->layout.wide && !p->layout.alpha && c[0].plane == c[2].plane &&
           c[0].step == RML_FRAME_CHANNELS && c[0].offset == 2 && c[1].offset == 1 &&
           c[2].offset == 0;
}

static rml_status convert(const rml_planes *p, const rml_part *part, rml_frame *frame,
                          const rml_allocator *allocator, rml_error *err)
{
    const size_t count = (size_t)part->width;
    RML_TRY(rml_frame_reserve(frame, part->width, part->height, allocator, err));
    if (is_bgr(p) && !rml_colour_is_hdr(p->colour.transfer)) {
        for (int y = 0; y < part->height; y++)
            memcpy(frame->data + (size_t)y * frame->pitch,
                   p->data[0] + (part->y + y) * p->stride[0] +
                       (ptrdiff_t)part->x * RML_FRAME_CHANNELS,
                   count * RML_FRAME_CHANNELS);
        return RML_OK;
    }
    float *row = rml_alloc_zero(allocator, 3 * count + 4 * (count + 2), sizeof *row);
    if (!row)
        return rml_fail_nomem(err, 7 * count * sizeof *row, "a row of colours");
    for (int y = 0; y < part->height; y++) {
        const rml_part line = {part->x, part->y + y, part->width, 1};
        rml_planes_read(p, &line, row, row + 3 * count);
        rml_colour_to_network(&p->colour, row, count, count);
        uint8_t *to = frame->data + (size_t)y * frame->pitch;
        for (size_t c = 0; c < 3; c++)
            for (size_t x = 0; x < count; x++)
                to[RML_FRAME_CHANNELS * x + c] = byte_of(row[(2 - c) * count + x]);
    }
    rml_free(allocator, row);
    return RML_OK;
}

rml_status rml_planes_to_frame(const rml_planes *p, const rml_part *part, rml_frame *frame,
                               const rml_allocator *allocator, rml_error *err)
{
    const rml_part all = {0, 0, rml_planes_width(p), rml_planes_height(p)};
    const rml_part coded = rml_planes_coded(p, part ? part : &all);
    if (p->upright == RML_ORIENT_NORMAL)
        return convert(p, &coded, frame, allocator, err);
    rml_frame lying = {0};
    rml_status status = convert(p, &coded, &lying, allocator, err);
    if (status == RML_OK)
        status = rml_frame_orient(frame, &lying, p->upright, allocator, err);
    rml_frame_release(&lying);
    return status;
}
