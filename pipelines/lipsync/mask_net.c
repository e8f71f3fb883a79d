#include "pipelines/lipsync/mask_net.h"

#include "pipelines/batches.h"
#include "tensor/alloc.h"
#include "tensor/status.h"
#include "tensor/tensor.h"

#include <string.h>

// Luma of R'G'B', for networks of one channel.
static const float luma[3] = {0.299f, 0.587f, 0.114f};

struct rml_mask_net {
    rml_mask_net_settings settings;
    const rml_allocator *allocator;
    rml_session *session;
    const char *input, *output;
    int width, height, channels; // of the input
    bool last;                   // channels behind the columns
};

bool rml_picture_levels_parse(const char *text, rml_picture_levels *levels)
{
    static const struct {
        const char *name;
        float mean, deviation;
    } ranges[] = {{"unit", 0, 1}, {"signed", 0.5f, 0.5f}, {"raw", 0, 1 / 255.0f}};
    const size_t length = strcspn(text, ",");
    const char *range = text + length + 1;
    if (length == 3 && (strncmp(text, "rgb", 3) == 0 || strncmp(text, "bgr", 3) == 0))
        levels->bgr = text[0] == 'b';
    else
        range = text;
    if (range == text + length + 1 && !text[length])
        return true;
    for (size_t i = 0; i < sizeof ranges / sizeof *ranges; i++)
        if (strcmp(range, ranges[i].name) == 0) {
            levels->mean = ranges[i].mean;
            levels->deviation = ranges[i].deviation;
            return true;
        }
    return false;
}

// ---- opening ----------------------------------------------------------------------------------

static bool one_or(int64_t size, int64_t wanted)
{
    return size == 1 || size == wanted;
}

// Where the channels of a picture lie; false where it is none.
static bool find_channels(const rml_shape *shape, bool *last, int *channels)
{
    if (shape->rank != 4 || shape->dim[0] > 1 || shape->dim[0] == 0)
        return false;
    *last = !one_or(shape->dim[1], 3) && one_or(shape->dim[3], 3);
    *channels = (int)shape->dim[*last ? 3 : 1];
    return one_or(*channels, 3);
}

static rml_status refuse(const rml_mask_net *net, rml_error *err)
{
    return rml_fail(err, RML_ERR_UNSUPPORTED,
                    "%s would have to have an input f32 of (1,3,height,width) or "
                    "(1,height,width,3), or with 1 for 3, and no other",
                    net->settings.what);
}

static rml_status find_input(rml_mask_net *net, const rml_model *model, rml_error *err)
{
    for (size_t i = 0; i < rml_model_input_count(model); i++) {
        const rml_port port = rml_model_input(model, i);
        const bool fits = !net->input && port.dtype == RML_F32 && port.shape.rank == 4 &&
                          find_channels(&port.shape, &net->last, &net->channels);
        if (!fits)
            return refuse(net, err);
        const int64_t *size = port.shape.dim + (net->last ? 1 : 2);
        if (size[0] == 0 || size[1] == 0 || size[0] > RML_FRAME_MAX_SIDE ||
            size[1] > RML_FRAME_MAX_SIDE)
            return rml_fail(err, RML_ERR_LIMIT, "%s takes pictures of %lldx%lld",
                            net->settings.what, (long long)size[1], (long long)size[0]);
        net->input = port.name;
        net->height = size[0] > 0 ? (int)size[0] : net->settings.side;
        net->width = size[1] > 0 ? (int)size[1] : net->settings.side;
    }
    return net->input ? RML_OK : refuse(net, err);
}

// Of what the plan makes of the input's size.
static rml_status find_output(rml_mask_net *net, const rml_model *model, rml_error *err)
{
    const int height = net->height, width = net->width;
    char text[RML_SHAPE_TEXT_BYTES] = "nothing";
    for (size_t i = 0; i < rml_model_output_count(model); i++) {
        const rml_port port = rml_model_output(model, i);
        rml_shape shape = {0};
        if (port.dtype != RML_F32 || !rml_session_output(net->session, port.name, &shape))
            continue;
        const int64_t *d = shape.dim;
        const bool planes = d[1] == 1 && d[2] == height && d[3] == width;
        const bool pixels = d[1] == height && d[2] == width && d[3] == 1;
        net->output = port.name;
        if (shape.rank == 4 && d[0] == 1 && (planes || pixels))
            return RML_OK;
        rml_shape_text(&shape, text);
    }
    return rml_fail(err, RML_ERR_UNSUPPORTED,
                    "%s gives %s for a picture of %dx%d, not a mask of that size with one channel "
                    "(several classes are none)",
                    net->settings.what, text, width, height);
}

static rml_status open(rml_mask_net *net, rml_model *model, rml_error *err)
{
    RML_TRY(find_input(net, model, err));
    RML_TRY(rml_session_create(&net->session, model, &net->settings.session, err));
    rml_shape shape = {4, {1, net->channels, net->height, net->width}};
    if (net->last)
        shape = (rml_shape){4, {1, net->height, net->width, net->channels}};
    RML_TRY(rml_session_resize(net->session, net->input, shape, err));
    RML_TRY(rml_named(rml_session_prepare(net->session, err), err, net->settings.what));
    return find_output(net, model, err);
}

rml_status rml_mask_net_create(rml_mask_net **out, rml_model *model,
                               const rml_mask_net_settings *settings, rml_error *err)
{
    const rml_allocator *allocator =
        settings->session.allocator ? settings->session.allocator : rml_allocator_default();
    rml_mask_net *net;
    *out = NULL;
    RML_TRY(rml_make(allocator, &net, 1, sizeof *net, settings->what, err));
    net->settings = *settings;
    net->allocator = allocator;
    const rml_status status = open(net, model, err);
    if (status != RML_OK)
        rml_mask_net_destroy(&net);
    *out = net;
    return status;
}

void rml_mask_net_destroy(rml_mask_net **at)
{
    rml_mask_net *net = *at;
    *at = NULL;
    if (!net)
        return;
    rml_session_destroy(&net->session);
    rml_free(net->allocator, net);
}

int rml_mask_net_width(const rml_mask_net *net)
{
    return net->width;
}

int rml_mask_net_height(const rml_mask_net *net)
{
    return net->height;
}

// ---- running ----------------------------------------------------------------------------------

static size_t place(const rml_mask_net *net, int channel, size_t pixel)
{
    const size_t plane = (size_t)net->width * (size_t)net->height;
    return net->last ? pixel * (size_t)net->channels + (size_t)channel
                     : (size_t)channel * plane + pixel;
}

rml_status rml_mask_net_run(rml_mask_net *net, const float *planes, float *mask, rml_error *err)
{
    const rml_picture_levels *levels = &net->settings.levels;
    const size_t plane = (size_t)net->width * (size_t)net->height;
    float *in = rml_session_input(net->session, net->input, NULL);
    for (int c = 0; c < net->channels; c++) {
        const size_t colour = (size_t)(levels->bgr ? 2 - c : c);
        for (size_t i = 0; i < plane; i++) {
            const float *at = planes + i;
            const float level = net->channels == 3 ? at[colour * plane]
                                                   : luma[0] * at[0] + luma[1] * at[plane] +
                                                         luma[2] * at[2 * plane];
            in[place(net, c, i)] = (level - levels->mean) / levels->deviation;
        }
    }
    RML_TRY(rml_named(rml_session_run(net->session, err), err, net->settings.what));
    const float *made = rml_session_output(net->session, net->output, NULL);
    RML_TRY(rml_named(rml_check_finite(made, plane, err), err, net->settings.what));
    for (size_t i = 0; i < plane; i++)
        mask[i] = made[i] < 0 ? 0 : made[i] > 1 ? 1 : made[i];
    return RML_OK;
}
