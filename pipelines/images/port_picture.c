#include "pipelines/images/port_picture.h"

#include "media/image/resize_pillow.h"
#include "tensor/mapfile.h"
#include "tensor/tensor.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

rml_status rml_is_picture(const char *path, bool *out, rml_error *err)
{
    rml_mapfile map;
    RML_TRY(rml_mapfile_open(&map, path, err));
    const size_t head = map.size < RML_IMAGE_HEAD_BYTES ? map.size : RML_IMAGE_HEAD_BYTES;
    *out = rml_image_kind_of(path, map.data, head) != RML_IMAGE_NONE;
    rml_mapfile_close(&map);
    return RML_OK;
}

bool rml_names_picture(const char *path)
{
    return rml_image_kind_named(path) != RML_IMAGE_NONE;
}

// ---- what levels become -------------------------------------------------------------------------

// "128" or "123.7,116.3,103.5" to three numbers; returns what comes behind, or NULL.
static const char *parse_three(const char *text, float out[3])
{
    int count = 0;
    for (; count < 3; count++) {
        char *end;
        out[count] = strtof(text, &end);
        if (end == text || !isfinite(out[count]))
            return NULL;
        text = end;
        if (*text != ',')
            break;
        text++;
    }
    if (count == 0)
        out[1] = out[2] = out[0];
    return count == 0 || count == 2 ? text : NULL;
}

bool rml_values_parse(const char *text, float mean[3], float deviation[3])
{
    static const struct {
        const char *name, *numbers;
    } known[] = {{"imagenet", "123.675,116.28,103.53/58.395,57.12,57.375"},
                 {"unit", "0/255"},
                 {"signed", "128/128"},
                 {"raw", "0/1"}};
    for (size_t i = 0; i < sizeof known / sizeof *known; i++)
        if (strcmp(text, known[i].name) == 0)
            text = known[i].numbers;
    text = parse_three(text, mean);
    if (!text || *text != '/')
        return false;
    text = parse_three(text + 1, deviation);
    return text && !*text && deviation[0] != 0 && deviation[1] != 0 && deviation[2] != 0;
}

rml_meaning rml_values_meaning(int64_t channels, const float mean[3], const float deviation[3])
{
    rml_meaning meaning = {.kind = RML_MEANS_IMAGE,
                           .colours = channels == 1 ? RML_COLOURS_GRAY : RML_COLOURS_RGB};
    memcpy(meaning.mean, mean, sizeof meaning.mean);
    memcpy(meaning.deviation, deviation, sizeof meaning.deviation);
    return meaning;
}

int rml_port_planes(const rml_shape *shape)
{
    const int rank = shape->rank;
    if (rank < 3)
        return 0;
    for (int i = 0; i < rank - 3; i++)
        if (shape->dim[i] > 1 || shape->dim[i] == 0)
            return 0;
    const int64_t planes = shape->dim[rank - 3];
    return planes == 1 || planes == 3 ? (int)planes : 0;
}

static int planes_of(const rml_meaning *meaning)
{
    return meaning->colours == RML_COLOURS_GRAY ? 1 : 3;
}

// ---- inputs -------------------------------------------------------------------------------------

// 8 bits, gray or RGB.
static rml_status plain(rml_picture *out, const rml_picture *in, int channels,
                        const rml_allocator *allocator, rml_error *err)
{
    uint8_t *row = NULL;
    const size_t width = (size_t)in->width;
    RML_TRY(rml_picture_create(out, in->width, in->height, channels, 8, allocator, err));
    rml_status status = rml_make(allocator, &row, width, 3, "a row of pixels", err);
    const bool to_gray = channels == 1 && rml_picture_colours(in) == 3;
    for (int y = 0; y < in->height && status == RML_OK; y++) {
        uint8_t *to = (uint8_t *)out->data + (size_t)y * rml_picture_pitch(out);
        rml_picture_row8(in, y, to_gray ? 3 : channels, false, to_gray ? row : to);
        // Weights in 65536ths, as Pillow has them.
        for (size_t x = 0; x < width && to_gray; x++)
            to[x] = (uint8_t)((19595u * row[3 * x] + 38470u * row[3 * x + 1] +
                               7471u * row[3 * x + 2] + 0x8000u) >>
                              16);
    }
    rml_free(allocator, row);
    if (status != RML_OK)
        rml_picture_release(out);
    return status;
}

static rml_status resized(rml_picture *picture, int width, int height,
                          const rml_allocator *allocator, rml_error *err)
{
    rml_picture out = {0};
    const rml_resize_pillow_part part = {width, height, 0, 0};
    RML_TRY(rml_picture_create(&out, width, height, picture->channels, 8, allocator, err));
    const rml_status status = rml_resize_pillow(
        (rml_pixels){picture->data, rml_picture_pitch(picture), picture->width, picture->height},
        (rml_pixels_out){out.data, rml_picture_pitch(&out), width, height}, &part,
        picture->channels, allocator, err);
    rml_picture_release(status == RML_OK ? picture : &out);
    if (status == RML_OK)
        *picture = out;
    return status;
}

rml_status rml_port_picture_load(rml_picture *out, const char *path, const char *name,
                                 const rml_shape *shape, const rml_meaning *meaning, bool resize,
                                 const rml_allocator *allocator, rml_error *err)
{
    rml_picture loaded = {0};
    const int64_t *size = shape->dim + shape->rank - 2; // height and width
    if (rml_port_planes(shape) != planes_of(meaning))
        return rml_fail(err, RML_ERR_SHAPE, "input %s does not take one picture at a time: %s",
                        name, path);
    RML_TRY(rml_picture_load(&loaded, path, allocator, err));
    const int64_t height = size[0] < 0 ? loaded.height : size[0];
    const int64_t width = size[1] < 0 ? loaded.width : size[1];
    const bool fits = width == loaded.width && height == loaded.height;
    rml_status status = RML_OK;
    if (!fits && !resize)
        status =
            rml_fail(err, RML_ERR_SHAPE,
                     "input %s is an image of %lldx%lld; %s is %dx%d; --resize scales it", name,
                     (long long)width, (long long)height, path, loaded.width, loaded.height);
    else if (!fits)
        status = rml_frame_check_size(width, height, name, err);
    if (status == RML_OK)
        status = plain(out, &loaded, planes_of(meaning), allocator, err);
    if (status == RML_OK && !fits)
        status = resized(out, (int)width, (int)height, allocator, err);
    rml_picture_release(&loaded);
    if (status != RML_OK)
        rml_picture_release(out);
    return status;
}

// The channel of a pixel that lies in plane c.
static int channel_of(const rml_meaning *meaning, int c)
{
    return meaning->colours == RML_COLOURS_BGR ? 2 - c : c;
}

void rml_port_picture_planes(const rml_picture *picture, const rml_meaning *meaning, float *planes)
{
    const size_t count = (size_t)picture->width * (size_t)picture->height;
    for (int c = 0; c < picture->channels; c++) {
        float value[256];
        for (int v = 0; v < 256; v++)
            value[v] = ((float)v - meaning->mean[c]) / meaning->deviation[c];
        const uint8_t *from = (const uint8_t *)picture->data + channel_of(meaning, c);
        for (size_t i = 0; i < count; i++)
            *planes++ = value[from[i * (size_t)picture->channels]];
    }
}

// ---- outputs ------------------------------------------------------------------------------------

static uint8_t level_of(float value, float mean, float deviation)
{
    const float level = nearbyintf(value * deviation + mean);
    return level >= 255 ? 255 : level > 0 ? (uint8_t)level : 0;
}

static rml_status check_output(const char *name, const rml_shape *shape, const rml_meaning *meaning,
                               rml_error *err)
{
    char text[RML_SHAPE_TEXT_BYTES];
    rml_shape image = *shape;
    if (image.rank == 2 && planes_of(meaning) == 1)
        image = (rml_shape){3, {1, shape->dim[0], shape->dim[1]}};
    if (rml_port_planes(&image) != planes_of(meaning))
        return rml_fail(err, RML_ERR_SHAPE, "output %s is %s, and a picture of it has %d plane%s",
                        name, rml_shape_text(shape, text), planes_of(meaning),
                        planes_of(meaning) == 1 ? "" : "s");
    return rml_frame_check_size(image.dim[image.rank - 1], image.dim[image.rank - 2], name, err);
}

rml_status rml_port_picture_save(const char *path, const char *name, const float *planes,
                                 const rml_shape *shape, const rml_meaning *meaning,
                                 const rml_allocator *allocator, rml_error *err)
{
    rml_picture picture = {0};
    const int channels = planes_of(meaning);
    RML_TRY(check_output(name, shape, meaning, err));
    const int height = (int)shape->dim[shape->rank - 2], width = (int)shape->dim[shape->rank - 1];
    RML_TRY(rml_picture_create(&picture, width, height, channels, 8, allocator, err));
    const size_t count = (size_t)width * (size_t)height;
    for (int c = 0; c < channels; c++) {
        uint8_t *to = (uint8_t *)picture.data + channel_of(meaning, c);
        for (size_t i = 0; i < count; i++)
            to[i * (size_t)channels] = level_of(*planes++, meaning->mean[c], meaning->deviation[c]);
    }
    const rml_status status = rml_picture_save(&picture, path, allocator, err);
    rml_picture_release(&picture);
    return status;
}
