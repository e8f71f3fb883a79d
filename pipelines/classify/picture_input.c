#include "pipelines/classify/picture_input.h"

#include "media/image/resize_pillow.h"
#include "tensor/status.h"

#define SIDE 224
#define SHORTER 256

rml_view rml_view_default(int side)
{
    return (rml_view){.side = side,
                      .shorter = (side * SHORTER + SIDE / 2) / SIDE,
                      .full = 255,
                      .mean = {0.485f, 0.456f, 0.406f},
                      .deviation = {0.229f, 0.224f, 0.225f}};
}

rml_status rml_view_check(const rml_view *view, rml_error *err)
{
    if (view->side < RML_VIEW_MIN_SIDE || view->side > RML_VIEW_MAX_SIDE)
        return rml_fail(err, RML_ERR_ARG, "the network's square has %d to %d pixels a side, not %d",
                        RML_VIEW_MIN_SIDE, RML_VIEW_MAX_SIDE, view->side);
    if (!view->stretch && (view->shorter < view->side || view->shorter > RML_FRAME_MAX_SIDE))
        return rml_fail(err, RML_ERR_ARG,
                        "a square of %d pixels cannot be cut out of a picture whose shorter side "
                        "is scaled to %d",
                        view->side, view->shorter);
    return RML_OK;
}

// ---- geometry ---------------------------------------------------------------------------------

// Half of what is left over, halves to even, as Python rounds.
static int middle(int whole, int part)
{
    const int over = whole - part, half = over / 2;
    return over % 2 == 0 || half % 2 == 0 ? half : half + 1;
}

static rml_status place(const rml_view *view, int width, int height, rml_resize_pillow_part *out,
                        rml_error *err)
{
    if (view->stretch) {
        *out = (rml_resize_pillow_part){view->side, view->side, 0, 0};
        return RML_OK;
    }
    const int shorter = width < height ? width : height, longer = width < height ? height : width;
    const int64_t scaled = (int64_t)view->shorter * longer / shorter; // cut, as torchvision does
    if (scaled > RML_FRAME_MAX_SIDE)
        return rml_fail(err, RML_ERR_LIMIT,
                        "%dx%d pixels are too long and thin: with the shorter side scaled to %d "
                        "the other one would be %lld, and the limit is %d",
                        width, height, view->shorter, (long long)scaled, RML_FRAME_MAX_SIDE);
    out->width = width < height ? view->shorter : (int)scaled;
    out->height = width < height ? (int)scaled : view->shorter;
    out->left = middle(out->width, view->side);
    out->top = middle(out->height, view->side);
    return RML_OK;
}

// ---- pixels -----------------------------------------------------------------------------------

// 8 bits, gray or RGB; the same memory where nothing has to change.
static rml_status plain(rml_picture *made, const rml_picture *in, const rml_picture **out,
                        const rml_allocator *allocator, rml_error *err)
{
    const int colours = rml_picture_colours(in);
    *out = in;
    if (in->bits == 8 && in->channels == colours)
        return RML_OK;
    RML_TRY(rml_picture_create(made, in->width, in->height, colours, 8, allocator, err));
    *out = made;
    for (int y = 0; y < in->height; y++)
        rml_picture_row8(in, y, colours, false,
                         (uint8_t *)made->data + (size_t)y * rml_picture_pitch(made));
    return RML_OK;
}

static void write_planes(const rml_view *view, const uint8_t *pixels, int colours, float *planes)
{
    const size_t count = (size_t)view->side * (size_t)view->side;
    for (int c = 0; c < 3; c++) {
        float value[256];
        for (int v = 0; v < 256; v++)
            value[v] = ((float)v / view->full - view->mean[c]) / view->deviation[c];
        const uint8_t *from = pixels + (colours == 3 ? c : 0);
        for (size_t i = 0; i < count; i++)
            *planes++ = value[from[i * (size_t)colours]];
    }
}

rml_status rml_view_picture(const rml_view *view, const rml_picture *picture, float *planes,
                            const rml_allocator *allocator, rml_error *err)
{
    rml_picture made = {0}, square = {0};
    const rml_picture *in = picture;
    rml_resize_pillow_part part;
    RML_TRY(rml_view_check(view, err));
    RML_TRY(place(view, picture->width, picture->height, &part, err));
    rml_status status = plain(&made, picture, &in, allocator, err);
    const int colours = in->channels;
    if (status == RML_OK)
        status = rml_picture_create(&square, view->side, view->side, colours, 8, allocator, err);
    if (status == RML_OK)
        status = rml_resize_pillow(
            (rml_pixels){in->data, rml_picture_pitch(in), in->width, in->height},
            (rml_pixels_out){square.data, rml_picture_pitch(&square), view->side, view->side},
            &part, colours, allocator, err);
    if (status == RML_OK)
        write_planes(view, square.data, colours, planes);
    rml_picture_release(&square);
    rml_picture_release(&made);
    return status;
}
