#include "pipelines/denoise/denoise.h"

#include "engine/session.h"
#include "loaders/weights/weights.h"

#include <math.h>
#include <string.h>

#define NETWORK "ffdnet-map"
#define NETWORK_OF_ONE_LEVEL "ffdnet" // what graph files mostly are

struct rml_denoiser {
    rml_denoiser_settings settings;
    const rml_allocator *allocator;
    rml_model *model;
    rml_session *session;
    rml_shape image, level; // that the network takes, with -1 for sizes that are free
    int colours;
    bool even; // a graph file may take sides of even length only
};

static rml_status open_model(rml_denoiser *d, const rml_weights *weights, rml_error *err)
{
    rml_model_settings model = rml_model_settings_default();
    model.allocator = d->allocator;
    d->even = rml_weights_is_graph(weights, NULL, NULL);
    rml_status status = rml_model_create(&d->model, NETWORK, weights, &model, err);
    if (status == RML_ERR_SHAPE && d->even)
        status = rml_model_create(&d->model, NETWORK_OF_ONE_LEVEL, weights, &model, err);
    RML_TRY(status);
    const rml_port image = rml_model_input(d->model, 0), level = rml_model_input(d->model, 1);
    if (image.shape.rank != 4 || (image.shape.dim[1] != 1 && image.shape.dim[1] != 3))
        return rml_fail(err, RML_ERR_UNSUPPORTED,
                        "a network for %lld colours; pictures have 1 or 3",
                        (long long)(image.shape.rank == 4 ? image.shape.dim[1] : 0));
    d->image = image.shape;
    d->level = level.shape;
    d->colours = (int)image.shape.dim[1];
    return RML_OK;
}

rml_status rml_denoiser_create(rml_denoiser **out, const rml_weights *weights,
                               const rml_denoiser_settings *settings, rml_error *err)
{
    const rml_allocator *allocator =
        settings->session.allocator ? settings->session.allocator : rml_allocator_default();
    *out = NULL;
    rml_denoiser *d;
    RML_TRY(rml_make(allocator, &d, 1, sizeof *d, "a denoiser", err));
    d->settings = *settings;
    d->allocator = allocator;
    rml_status status = open_model(d, weights, err);
    if (status != RML_OK && d->model && *rml_weights_path(weights))
        rml_error_prefix(err, rml_weights_path(weights));
    if (status == RML_OK)
        status = rml_session_create(&d->session, d->model, &settings->session, err);
    if (status != RML_OK)
        rml_denoiser_destroy(&d);
    *out = d;
    return status;
}

void rml_denoiser_destroy(rml_denoiser **at)
{
    rml_denoiser *d = *at;
    if (!d)
        return;
    rml_session_destroy(&d->session);
    rml_model_destroy(&d->model);
    rml_free(d->allocator, d);
    *at = NULL;
}

const rml_session *rml_denoiser_session(const rml_denoiser *denoiser)
{
    return denoiser->session;
}

// ---- sizes --------------------------------------------------------------------------------------

// Whether the network takes a level for each block of 2x2 pixels.
static bool takes_map(const rml_denoiser *d)
{
    return d->level.rank == 4 && d->level.dim[2] != 1;
}

// How many values there are along a side of which `count` are given: the last one is repeated.
static int side_of(const rml_denoiser *d, int axis, int count)
{
    return d->even && d->image.dim[axis] != count ? (count + 1) / 2 * 2 : count;
}

static bool fits(int64_t size, int64_t wanted)
{
    return wanted < 0 || size == wanted;
}

// A file that fixes the size takes pictures of that size, or one short of an even one.
static rml_status check_size(const rml_denoiser *d, int batch, int width, int height,
                             rml_error *err)
{
    const int64_t *wanted = d->image.dim;
    char text[RML_SHAPE_TEXT_BYTES];
    if (!fits(batch, wanted[0]))
        return rml_fail(err, RML_ERR_SHAPE,
                        "the network's file takes images of shape %s, and not the %d colours of "
                        "this one at once",
                        rml_shape_text(&d->image, text), batch * d->colours);
    if (!fits(side_of(d, 2, height), wanted[2]) || !fits(side_of(d, 3, width), wanted[3]))
        return rml_fail(err, RML_ERR_SHAPE,
                        "the network's file takes images of shape %s only, and this one has %d "
                        "rows and %d columns",
                        rml_shape_text(&d->image, text), height, width);
    return RML_OK;
}

// ---- pixels -------------------------------------------------------------------------------------

// The level of each block of 2x2 pixels: the root of the mean square, so that equal levels stay
// what they are. Blocks over the edge hold fewer.
static void read_levels(const rml_picture *map, float *to)
{
    const double full = rml_picture_full(map);
    for (int y = 0; y < map->height; y += 2)
        for (int x = 0; x < map->width; x += 2) {
            double sum = 0;
            int count = 0;
            for (int j = y; j < y + 2 && j < map->height; j++)
                for (int i = x; i < x + 2 && i < map->width; i++, count++) {
                    const double level = (float)(rml_picture_sample(map, i, j, 0) / full);
                    sum += level * level;
                }
            *to++ = (float)sqrt(sum / count);
        }
}

// As planes of the network's: each colour of the picture in turn, or one colour for all.
static rml_tensor_view view_of(const rml_denoiser *d, const rml_picture *p)
{
    rml_tensor_view view = rml_tensor_view_default();
    const int64_t element = p->bits / 8, pixel = p->channels * element;
    const int64_t stride[4] = {element, rml_picture_colours(p) < d->colours ? 0 : element,
                               (int64_t)rml_picture_pitch(p), pixel};
    view.data = p->data;
    view.bytes = rml_picture_pitch(p) * (size_t)p->height;
    view.dtype = p->bits == 16 ? RML_U16 : RML_U8;
    view.rank = 4;
    memcpy(view.stride, stride, sizeof stride);
    view.normalize = d->settings.truncate ? RML_NORMALIZE_TRUNCATE : RML_NORMALIZE_ROUND;
    return view;
}

// Copies pixels, of which those behind the last row and column repeat them.
static void copy_pixels(rml_picture *out, const rml_picture *in)
{
    const size_t pixel = (size_t)in->channels * (size_t)in->bits / 8;
    for (int y = 0; y < out->height; y++)
        for (int x = 0; x < out->width; x++)
            memcpy((char *)out->data + ((size_t)y * (size_t)out->width + (size_t)x) * pixel,
                   (const char *)in->data +
                       ((size_t)(y < in->height ? y : in->height - 1) * (size_t)in->width +
                        (size_t)(x < in->width ? x : in->width - 1)) *
                           pixel,
                   pixel);
}

// The mean of a colour network's three planes, for a gray picture.
static void store_mean(const rml_denoiser *d, rml_picture *out)
{
    const rml_shape shape = {4, {1, 1, out->height, out->width}};
    float *mean = (float *)(uintptr_t)rml_session_output_at(d->session, 0, NULL); // ours till then
    const size_t plane = (size_t)out->height * (size_t)out->width;
    const rml_tensor inside = rml_tensor_make(mean, &shape, RML_LAYOUT_PLAIN);
    const rml_binding bound = {.view = view_of(d, out)};
    for (size_t i = 0; i < plane; i++) {
        for (int k = 1; k < d->colours; k++)
            mean[i] += mean[(size_t)k * plane + i];
        mean[i] /= (float)d->colours;
    }
    rml_binding_copy(&bound, &shape, 0, 0, &inside, true, NULL);
}

static void copy_alpha(rml_picture *out, const rml_picture *in)
{
    const size_t pixels = (size_t)in->width * (size_t)in->height, channels = (size_t)in->channels;
    for (size_t at = channels - 1; channels % 2 == 0 && at < pixels * channels; at += channels)
        if (in->bits == 16)
            ((uint16_t *)out->data)[at] = ((const uint16_t *)in->data)[at];
        else
            ((uint8_t *)out->data)[at] = ((const uint8_t *)in->data)[at];
}

// ---- the whole ----------------------------------------------------------------------------------

static rml_status prepare(rml_denoiser *d, rml_picture *out, const rml_picture *in, int batch,
                          const rml_tensor_view *level, rml_error *err)
{
    const rml_shape image = {4, {batch, d->colours, in->height, in->width}};
    rml_shape levels = {4, {1, 1, (in->height + 1) / 2, (in->width + 1) / 2}};
    if (!takes_map(d)) {
        levels = d->level;
        if (levels.rank < 0)
            levels = (rml_shape){1, {-1}};
        if (levels.rank > 0 && levels.dim[0] < 0)
            levels.dim[0] = batch;
    }
    rml_tensor_view views[2] = {view_of(d, in), view_of(d, out)}, sigma = *level;
    sigma.rank = sigma.bytes > sizeof(float) ? 0 : levels.rank; // one number has no strides
    RML_TRY(rml_session_resize_at(d->session, 0, image, err));
    RML_TRY(rml_session_resize_at(d->session, 1, levels, err));
    RML_TRY(rml_session_bind_input(d->session, 0, &views[0], err));
    RML_TRY(rml_session_bind_input(d->session, 1, &sigma, err));
    RML_TRY(rml_session_bind_output(d->session, 0,
                                    rml_picture_colours(in) < d->colours ? NULL : &views[1], err));
    return rml_session_prepare(d->session, err);
}

// A file may hold anything; what it gives may be known only once it has run.
static rml_status check_result(const rml_denoiser *d, const rml_picture *in, int batch,
                               rml_error *err)
{
    const rml_shape want = {4, {batch, d->colours, in->height, in->width}};
    rml_shape shape = want;
    char text[RML_SHAPE_TEXT_BYTES];
    rml_session_output_at(d->session, 0, &shape);
    if (rml_shape_equal(&shape, &want))
        return RML_OK;
    return rml_fail(err, RML_ERR_SHAPE, "the network gives %s for %d planes of %dx%d pixels",
                    rml_shape_text(&shape, text), batch * d->colours, in->width, in->height);
}

// Pictures of a size that the network takes.
static rml_status run(rml_denoiser *d, rml_picture *out, const rml_picture *in, int batch,
                      const rml_tensor_view *level, rml_error *err)
{
    const rml_status status = prepare(d, out, in, batch, level, err);
    if (status == RML_ERR_LIMIT && d->settings.session.memory_limit)
        return rml_fail(err, RML_ERR_LIMIT,
                        "%dx%d pixels need %.1f MB, computed in bands too, and the limit is "
                        "%.1f MB",
                        in->width, in->height, (double)rml_session_wanted_bytes(d->session) / 1e6,
                        (double)d->settings.session.memory_limit / 1e6);
    RML_TRY(status);
    RML_TRY(check_result(d, in, batch, err));
    RML_TRY(rml_session_run(d->session, err));
    RML_TRY(check_result(d, in, batch, err));
    if (rml_picture_colours(in) < d->colours)
        store_mean(d, out);
    copy_alpha(out, in);
    return RML_OK;
}

// Sides that the network does not take are lengthened by one, and cut again.
static rml_status run_any(rml_denoiser *d, rml_picture *out, const rml_picture *in, int batch,
                          const rml_tensor_view *level, rml_error *err)
{
    const int width = side_of(d, 3, in->width), height = side_of(d, 2, in->height);
    rml_picture longer[2] = {{0}};
    if (width == in->width && height == in->height)
        return run(d, out, in, batch, level, err);
    rml_status status = RML_OK;
    for (int i = 0; i < 2 && status == RML_OK; i++)
        status = rml_picture_create(&longer[i], width, height, in->channels, in->bits, d->allocator,
                                    err);
    if (status == RML_OK) {
        copy_pixels(&longer[0], in);
        status = run(d, &longer[1], &longer[0], batch, level, err);
    }
    if (status == RML_OK)
        copy_pixels(out, &longer[1]);
    for (int i = 0; i < 2; i++)
        rml_picture_release(&longer[i]);
    return status;
}

rml_status rml_denoise(rml_denoiser *d, rml_picture *out, const rml_picture *in,
                       const rml_noise *noise, int *bands, rml_error *err)
{
    const int batch = rml_picture_colours(in) > d->colours ? rml_picture_colours(in) : 1;
    const rml_picture *map = noise->map;
    if (map && (map->width != in->width || map->height != in->height || map->channels != 1))
        return rml_fail(err, RML_ERR_SHAPE,
                        "the map of noise is %dx%d with %d channels, and the picture %dx%d; a map "
                        "is gray and of the same size",
                        map->width, map->height, map->channels, in->width, in->height);
    if (map && !takes_map(d))
        return rml_fail(err, RML_ERR_UNSUPPORTED,
                        "the network's file takes one level of noise for all pixels, not a map");
    RML_TRY(check_size(d, batch, in->width, in->height, err));
    const size_t blocks = (size_t)((in->width + 1) / 2) * (size_t)((in->height + 1) / 2);
    rml_tensor_view level = rml_tensor_view_default();
    level.bytes = (map ? blocks : 1) * sizeof(float);
    level.data = rml_alloc(d->allocator, level.bytes);
    if (!level.data)
        return rml_fail_nomem(err, level.bytes, "the levels of noise");
    if (map)
        read_levels(map, level.data);
    else
        *(float *)level.data = (float)noise->sigma;
    rml_status status =
        rml_picture_create(out, in->width, in->height, in->channels, in->bits, d->allocator, err);
    if (status == RML_OK)
        status = run_any(d, out, in, batch, &level, err);
    if (status == RML_OK && bands)
        *bands = (int)rml_session_bands(d->session);
    rml_free(d->allocator, level.data);
    return status;
}
