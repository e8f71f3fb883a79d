#include "pipelines/denoise/denoise.h"

#include "engine/model.h"
#include "loaders/weights/weights.h"
#include "tensor/alloc.h"

#include <math.h>

#define NETWORK "ffdnet-map"
#define NETWORK_OF_ONE_LEVEL "ffdnet" // what graph files mostly are
// Sizes at which the memory of a run is measured, to tell that of others.
#define SMALL_SIDE 128
#define LARGE_SIDE 256

// Memory of a run: grows evenly with the pixels.
typedef struct memory_model {
    bool known;
    double fixed, each_pixel;
} memory_model;

struct rml_denoiser {
    rml_denoiser_settings settings;
    const rml_allocator *allocator;
    rml_model *model;
    rml_session *session;
    rml_shape image, level; // that the network takes, with -1 for sizes that are free
    int colours;
    int halo;
    bool even;              // a graph file may take sides of even length only
    memory_model memory[2]; // one picture, or three at once
};

// What a tile's edge may spoil, in pixels. A convolution spreads it by one value of the half size;
// Winograd's rounds blocks of 4 together, so that a whole block is spoilt. The first and the last
// one have too few channels for Winograd and share a block.
static rml_status find_halo(rml_denoiser *d, rml_error *err)
{
    const rml_graph *graph = &d->model->graph;
    int layers = 0;
    for (size_t i = 0; i < graph->node_count; i++) {
        const rml_node *node = &graph->nodes[i];
        if (node->dead || (node->op != RML_OP_CONV && node->op != RML_OP_CONV_TRANSPOSE))
            continue;
        const rml_window_attr *window = &node->attr.conv.window;
        const int64_t *kernel = &graph->values[node->in[1]].shape.dim[2];
        for (int k = 0; k < 2; k++)
            if (node->op != RML_OP_CONV || kernel[k] != 3 || window->stride[k] != 1 ||
                window->dilation[k] != 1)
                return rml_fail(err, RML_ERR_UNSUPPORTED,
                                "not FFDNet, whose convolutions are 3x3: %s is another one",
                                node->name);
        layers++;
    }
    d->halo = RML_TILE_STEP * (layers > 1 ? layers - 1 : 1);
    return RML_OK;
}

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
    return find_halo(d, err);
}

rml_status rml_denoiser_create(rml_denoiser **out, const rml_weights *weights,
                               const rml_denoiser_settings *settings, rml_error *err)
{
    const rml_allocator *allocator =
        settings->session.allocator ? settings->session.allocator : rml_allocator_default();
    *out = NULL;
    rml_denoiser *d = rml_alloc_zero(allocator, 1, sizeof *d);
    if (!d)
        return rml_fail_nomem(err, sizeof *d, "a denoiser");
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

int rml_denoiser_colours(const rml_denoiser *denoiser)
{
    return denoiser->colours;
}

const rml_session *rml_denoiser_session(const rml_denoiser *denoiser)
{
    return denoiser->session;
}

// ---- memory -----------------------------------------------------------------------------------

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

static rml_status prepare(rml_denoiser *d, int batch, int width, int height, rml_error *err)
{
    width = side_of(d, 3, width);
    height = side_of(d, 2, height);
    const rml_shape image = {4, {batch, d->colours, height, width}};
    rml_shape level = {4, {1, 1, (height + 1) / 2, (width + 1) / 2}};
    if (!takes_map(d)) {
        level = d->level;
        if (level.rank < 0)
            level = (rml_shape){1, {-1}};
        if (level.rank > 0 && level.dim[0] < 0)
            level.dim[0] = batch;
    }
    RML_TRY(rml_session_resize(d->session, "image", image, err));
    RML_TRY(rml_session_resize(d->session, "sigma", level, err));
    return rml_session_prepare(d->session, err);
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

static rml_status learn_memory(rml_denoiser *d, memory_model *m, int batch, rml_error *err)
{
    if (m->known)
        return RML_OK;
    RML_TRY(prepare(d, batch, SMALL_SIDE, SMALL_SIDE, err));
    const double small = (double)rml_session_planned_bytes(d->session);
    RML_TRY(prepare(d, batch, LARGE_SIDE, LARGE_SIDE, err));
    const double large = (double)rml_session_planned_bytes(d->session);
    m->each_pixel =
        (large - small) / ((double)LARGE_SIDE * LARGE_SIDE - (double)SMALL_SIDE * SMALL_SIDE);
    m->fixed = small - m->each_pixel * SMALL_SIDE * SMALL_SIDE;
    m->known = m->each_pixel > 0;
    return RML_OK;
}

static rml_status too_small(rml_denoiser *d, int batch, int width, int height, rml_error *err)
{
    rml_tiling least = {0};
    rml_tiling_choose(&least, width, height, d->halo,
                      rml_tiling_least_pixels(width, height, d->halo));
    RML_TRY(prepare(d, batch, least.extent_x, least.extent_y, err));
    return rml_fail(err, RML_ERR_LIMIT,
                    "%dx%d pixels need %.1f MB in the smallest tiles, and the limit is %.1f MB",
                    width, height, (double)rml_session_planned_bytes(d->session) / 1e6,
                    (double)d->settings.memory_bytes / 1e6);
}

// Memory is known for certain only when it is planned, so the guess is corrected until it fits.
static rml_status choose_tiling(rml_denoiser *d, rml_tiling *tiling, int batch, int width,
                                int height, rml_error *err)
{
    const double limit = (double)d->settings.memory_bytes;
    const bool fixed = d->image.dim[2] >= 0 || d->image.dim[3] >= 0;
    RML_TRY(check_size(d, batch, width, height, err));
    if (limit == 0 || fixed) {
        rml_tiling_choose(tiling, width, height, d->halo, INT64_MAX);
        RML_TRY(prepare(d, batch, width, height, err));
        const double planned = (double)rml_session_planned_bytes(d->session);
        return limit == 0 || planned <= limit
                   ? RML_OK
                   : rml_fail(err, RML_ERR_LIMIT,
                              "%dx%d pixels need %.1f MB, and the limit is %.1f MB; the network's "
                              "file fixes the size, so that they cannot be cut",
                              width, height, planned / 1e6, limit / 1e6);
    }
    memory_model *m = &d->memory[batch > 1];
    RML_TRY(learn_memory(d, m, batch, err));
    double room = (limit - m->fixed) / m->each_pixel;
    const double least = (double)rml_tiling_least_pixels(width, height, d->halo);
    room = room < least ? least : room < INT32_MAX ? room : INT32_MAX;
    while (rml_tiling_choose(tiling, width, height, d->halo, (int64_t)room)) {
        RML_TRY(prepare(d, batch, tiling->extent_x, tiling->extent_y, err));
        const double planned = (double)rml_session_planned_bytes(d->session);
        if (planned <= limit)
            return RML_OK;
        if (room <= least)
            break;
        const double pixels = (double)tiling->extent_x * tiling->extent_y;
        room = pixels * fmin(0.95, limit / planned);
        room = room < least ? least : room;
    }
    return too_small(d, batch, width, height, err);
}

// ---- pixels -----------------------------------------------------------------------------------

typedef struct region {
    rml_tile_span x, y;
    int width, height; // as they are computed; the last row and column may be repeated
} region;

static double sample(const rml_picture *p, size_t index)
{
    return p->bits == 16 ? ((const uint16_t *)p->data)[index] / 65535.0
                         : ((const uint8_t *)p->data)[index] / 255.0;
}

static size_t index_of(const rml_picture *p, int x, int y)
{
    return ((size_t)y * (size_t)p->width + (size_t)x) * (size_t)p->channels;
}

static int colours_of(const rml_picture *p)
{
    return p->channels >= 3 ? 3 : 1;
}

// One plane a network input and colour; a gray picture fills all three of a colour network.
static void read_tile(const rml_picture *in, const region *at, int planes, float *to)
{
    const int colours = colours_of(in);
    for (int plane = 0; plane < planes; plane++)
        for (int j = 0; j < at->height; j++)
            for (int i = 0; i < at->width; i++) {
                const int x = at->x.start + i, y = at->y.start + j;
                const size_t from = index_of(in, x < at->x.end ? x : at->x.end - 1,
                                             y < at->y.end ? y : at->y.end - 1);
                *to++ = (float)sample(in, from + (size_t)(plane % colours));
            }
}

// The level of a block of 2x2 pixels: the root of the mean square, so that equal levels stay what
// they are. Blocks over the edge hold fewer.
static void read_levels(const rml_noise *noise, const region *at, float *to)
{
    for (int y = at->y.start; y < at->y.end; y += 2)
        for (int x = at->x.start; x < at->x.end; x += 2) {
            double sum = 0;
            int count = 0;
            for (int j = y; j < y + 2 && j < at->y.end && noise->map; j++)
                for (int i = x; i < x + 2 && i < at->x.end; i++, count++) {
                    const double level = (float)sample(noise->map, index_of(noise->map, i, j));
                    sum += level * level;
                }
            *to++ = (float)(noise->map ? sqrt(sum / count) : noise->sigma);
        }
}

static int to_level(float value, float full, bool truncate)
{
    const float bounded = value > 0 ? (value < 1 ? value : 1) : 0; // not a number: 0
    const float scaled = bounded * full;
    return (int)(truncate ? scaled : rintf(scaled)); // halves to even, as numpy and PyTorch round
}

static void write_tile(const rml_denoiser *d, rml_picture *out, const region *at, int planes,
                       const float *from)
{
    const int colours = colours_of(out);
    const float full = out->bits == 16 ? 65535 : 255;
    const size_t row = (size_t)at->width, plane = row * (size_t)at->height;
    for (int y = at->y.from; y < at->y.to; y++)
        for (int x = at->x.from; x < at->x.to; x++)
            for (int c = 0; c < colours; c++) {
                const float *value = from + (size_t)c * plane + (size_t)(y - at->y.start) * row +
                                     (size_t)(x - at->x.start);
                float mean = 0;
                for (int k = c; k < planes; k += colours, value += plane)
                    mean += *value;
                if (planes > colours)
                    mean /= (float)(planes / colours);
                const int level = to_level(mean, full, d->settings.truncate);
                const size_t index = index_of(out, x, y) + (size_t)c;
                if (out->bits == 16)
                    ((uint16_t *)out->data)[index] = (uint16_t)level;
                else
                    ((uint8_t *)out->data)[index] = (uint8_t)level;
            }
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

// ---- the whole --------------------------------------------------------------------------------

static int64_t count_of(const rml_shape *shape)
{
    int64_t count = 1;
    for (int k = 0; k < shape->rank; k++)
        count *= shape->dim[k];
    return count;
}

static rml_status run_tile(rml_denoiser *d, rml_picture *out, const rml_picture *in,
                           const rml_noise *noise, const region *at, int batch, rml_error *err)
{
    const int planes = batch * d->colours;
    char text[RML_SHAPE_TEXT_BYTES];
    rml_shape shape;
    RML_TRY(prepare(d, batch, at->x.end - at->x.start, at->y.end - at->y.start, err));
    read_tile(in, at, planes, rml_session_input(d->session, "image", NULL));
    float *levels = rml_session_input(d->session, "sigma", &shape);
    if (takes_map(d))
        read_levels(noise, at, levels);
    for (int64_t i = 0; !takes_map(d) && i < count_of(&shape); i++)
        levels[i] = (float)noise->sigma;
    RML_TRY(rml_session_run(d->session, err));
    const float *result = rml_session_output(d->session, "denoised", &shape);
    if (!result || count_of(&shape) != (int64_t)planes * at->width * at->height)
        return rml_fail(err, RML_ERR_SHAPE, "the network gives %s for %d planes of %dx%d pixels",
                        rml_shape_text(&shape, text), planes, at->width, at->height);
    write_tile(d, out, at, planes, result);
    return RML_OK;
}

rml_status rml_denoise(rml_denoiser *d, rml_picture *out, const rml_picture *in,
                       const rml_noise *noise, rml_tiling *tiling, rml_error *err)
{
    const int batch = colours_of(in) > d->colours ? colours_of(in) : 1;
    const rml_picture *map = noise->map;
    if (map && (map->width != in->width || map->height != in->height || map->channels != 1))
        return rml_fail(err, RML_ERR_SHAPE,
                        "the map of noise is %dx%d with %d channels, and the picture %dx%d; a map "
                        "is gray and of the same size",
                        map->width, map->height, map->channels, in->width, in->height);
    if (map && !takes_map(d))
        return rml_fail(err, RML_ERR_UNSUPPORTED,
                        "the network's file takes one level of noise for all pixels, not a map");
    rml_tiling chosen = {0};
    RML_TRY(choose_tiling(d, &chosen, batch, in->width, in->height, err));
    if (tiling)
        *tiling = chosen;
    RML_TRY(
        rml_picture_create(out, in->width, in->height, in->channels, in->bits, d->allocator, err));
    for (int j = 0; j < chosen.count_y; j++)
        for (int i = 0; i < chosen.count_x; i++) {
            const rml_tile_span x = rml_tile_column(&chosen, i), y = rml_tile_row(&chosen, j);
            const region at = {x, y, side_of(d, 3, x.end - x.start),
                               side_of(d, 2, y.end - y.start)};
            RML_TRY(run_tile(d, out, in, noise, &at, batch, err));
        }
    copy_alpha(out, in);
    return RML_OK;
}
