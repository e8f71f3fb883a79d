#include "pipelines/faces/face_looks.h"

#include <math.h>
#include <string.h>

#define SAMPLES 4 // along each side of a field of the thumbnail

static int within(int64_t value, int low, int high)
{
    return value < low ? low : value > high ? high : (int)value;
}

void rml_face_looks_make(rml_face_looks *looks, const rml_planes *picture, rml_box box)
{
    const int fields = RML_LOOKS_SIDE * RML_LOOKS_SIDE, grid = RML_LOOKS_SIDE * SAMPLES;
    const int width = rml_planes_width(picture), height = rml_planes_height(picture);
    // What is behind the head, at the box's edge, does not belong to its looks.
    const int64_t w = ((int64_t)box.x2 - box.x1) * 4 / 5, h = ((int64_t)box.y2 - box.y1) * 4 / 5;
    const int64_t left = box.x1 + w / 8, top = box.y1 + h / 8;
    float *luma = looks->value, *red = luma + fields, *blue = red + fields;
    memset(looks, 0, sizeof *looks);
    for (int i = 0; i < grid * grid; i++) {
        const int row = i / grid, column = i % grid;
        const rml_part at = {within(left + w * (2 * column + 1) / (2 * grid), 0, width - 1),
                             within(top + h * (2 * row + 1) / (2 * grid), 0, height - 1), 1, 1};
        const rml_part coded = rml_planes_coded(picture, &at);
        const int field = row / SAMPLES * RML_LOOKS_SIDE + column / SAMPLES;
        float rgb[3], scratch[12];
        rml_planes_read(picture, &coded, rgb, scratch);
        const float y = 0.3f * rgb[0] + 0.6f * rgb[1] + 0.1f * rgb[2];
        luma[field] += y;
        red[field] += rgb[0] - y;
        blue[field] += rgb[2] - y;
    }
    float mean = 0, square = 0;
    for (int i = 0; i < fields; i++)
        mean += luma[i] / (float)fields;
    for (int i = 0; i < fields; i++)
        luma[i] -= mean;
    for (int i = 0; i < RML_LOOKS_COUNT; i++)
        square += looks->value[i] * looks->value[i];
    const float scale = square > 0 && isfinite(square) ? 1.0f / sqrtf(square) : 0.0f;
    for (int i = 0; i < RML_LOOKS_COUNT; i++)
        looks->value[i] = scale > 0 ? looks->value[i] * scale : 0.0f;
}

float rml_face_likeness(const rml_face_looks *a, const rml_face_looks *b)
{
    float sum = 0;
    for (int i = 0; i < RML_LOOKS_COUNT; i++)
        sum += a->value[i] * b->value[i];
    return sum;
}

void rml_face_looks_mix(rml_face_looks *known, const rml_face_looks *seen, float share)
{
    float square = 0;
    for (int i = 0; i < RML_LOOKS_COUNT; i++) {
        known->value[i] += share * (seen->value[i] - known->value[i]);
        square += known->value[i] * known->value[i];
    }
    const float scale = square > 0 ? 1.0f / sqrtf(square) : 0.0f;
    for (int i = 0; i < RML_LOOKS_COUNT; i++)
        known->value[i] *= scale;
}
