#include "pipelines/lipsync/face_reach.h"

#include "media/image/resample.h"
#include "pipelines/lipsync/detail.h"

// Pixels of the coarser of both that a drawn mask is stretched by, and one for rounding.
#define STRETCH_REACH 4
#define ROUNDING 2 // pixels of the network

rml_part rml_levels_bounds(const uint8_t *levels, int width, int height)
{
    int left = width, right = 0, top = height, bottom = 0;
    for (int y = 0; y < height; y++)
        for (int x = 0; x < width; x++) {
            if (!levels[(size_t)y * (size_t)width + (size_t)x])
                continue;
            left = x < left ? x : left;
            right = x >= right ? x + 1 : right;
            top = y < top ? y : top;
            bottom = y + 1;
        }
    return bottom ? (rml_part){left, top, right - left, bottom - top} : (rml_part){0};
}

// Along one side.
static void stretch(int drawn, int size, int *first, int *count)
{
    const int begin = *first - STRETCH_REACH, end = *first + *count + STRETCH_REACH;
    *first = (int)((int64_t)(begin < 0 ? 0 : begin) * size / drawn) - STRETCH_REACH;
    *count = (int)((int64_t)end * size / drawn) + 1 + STRETCH_REACH - *first;
}

rml_part rml_stretched_reach(rml_part part, int from_width, int from_height, int width, int height)
{
    if (part.width == 0)
        return part;
    stretch(from_width, width, &part.x, &part.width);
    stretch(from_height, height, &part.y, &part.height);
    return part;
}

static void filter(int side, int size, int beside, int *first, int *count)
{
    const int64_t reach = RML_IMAGE_RESAMPLE_REACH * (side > size ? side : size);
    const int more = rml_detail_reach(side) + ROUNDING;
    const int64_t low = ((int64_t)*first - beside) * side - reach;
    const int64_t high = ((int64_t)*first + *count + beside) * side + reach;
    const int64_t begin = low < 0 ? 0 : low / size - more, end = high / size + 1 + more;
    *first = begin < 0 ? 0 : begin < side ? (int)begin : side - 1;
    *count = (int)(end < side ? end : side) - *first;
    *count = *count > 0 ? *count : 1;
}

rml_part rml_network_reach(rml_part part, int width, int height, int beside, int side)
{
    filter(side, width, beside, &part.x, &part.width);
    filter(side, height, beside, &part.y, &part.height);
    return part;
}
