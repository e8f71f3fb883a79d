#include "pipelines/lipsync/picture_net.h"

#include "pipelines/batches.h"
#include "tensor/alloc.h"
#include "tensor/status.h"
#include "tensor/tensor.h"

#include <string.h>

// Luma of R'G'B', for networks of one channel.
static const float luma[3] = {0.299f, 0.587f, 0.114f};

struct rml_picture_net {
    rml_picture_net_settings settings;
    const rml_allocator *allocator;
    rml_session *session;
    const rml_model *model;
    const char *input, *output;
    int width, height, channels; // of the input
    bool last;                   // channels behind the columns
    bool result_last;            // the same of the output
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

static bool is_number(const rml_port *port)
{
    size_t count = 1;
    for (int i = 0; i < port->shape.rank; i++)
        count *= port->shape.dim[i] == 1 || port->shape.dim[i] == -1;
    return (port->dtype == RML_F32 || port->dtype == RML_F64) && port->shape.rank >= 0 &&
           count == 1;
}

static rml_status set_number(const rml_picture_net *net, const rml_port *port, rml_error *err)
{
    rml_shape one = port->shape;
    for (int i = 0; i < one.rank; i++)
        one.dim[i] = 1;
    return rml_session_resize(net->session, port->name, one, err);
}

static rml_status refuse(const rml_picture_net *net, rml_error *err)
{
    return rml_fail(err, RML_ERR_UNSUPPORTED,
                    "%s would have to have an input f32 of (1,3,height,width) or "
                    "(1,height,width,3), or with 1 for 3, and beside it at most single numbers",
                    net->settings.what);
}

static rml_status find_input(rml_picture_net *net, const rml_model *model, rml_error *err)
{
    for (size_t i = 0; i < rml_model_input_count(model); i++) {
        const rml_port port = rml_model_input(model, i);
        const bool fits = !net->input && port.dtype == RML_F32 && port.shape.rank == 4 &&
                          find_channels(&port.shape, &net->last, &net->channels);
        if (!fits && !is_number(&port))
            return refuse(net, err);
        if (!fits)
            continue;
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
static rml_status find_output(rml_picture_net *net, const rml_model *model, rml_error *err)
{
    const int wanted = net->settings.channels, height = net->height, width = net->width;
    char text[RML_SHAPE_TEXT_BYTES] = "nothing";
    for (size_t i = 0; i < rml_model_output_count(model); i++) {
        const rml_port port = rml_model_output(model, i);
        rml_shape shape = {0};
        if (port.dtype != RML_F32 || !rml_session_output(net->session, port.name, &shape))
            continue;
        const int64_t *d = shape.dim;
        const bool planes =
            shape.rank == 4 && d[0] == 1 && d[1] == wanted && d[2] == height && d[3] == width;
        const bool pixels =
            shape.rank == 4 && d[0] == 1 && d[1] == height && d[2] == width && d[3] == wanted;
        net->result_last = !planes;
        net->output = port.name;
        if (planes || pixels)
            return RML_OK;
        rml_shape_text(&shape, text);
    }
    return rml_fail(err, RML_ERR_UNSUPPORTED,
                    "%s gives %s for a picture of %dx%d, not one of that size with %d channel%s%s",
                    net->settings.what, text, width, height, wanted, wanted > 1 ? "s" : "",
                    wanted > 1 ? "" : " (a mask; several classes are not one)");
}

static rml_status open(rml_picture_net *net, rml_model *model, rml_error *err)
{
    RML_TRY(find_input(net, model, err));
    RML_TRY(rml_session_create(&net->session, model, &net->settings.session, err));
    rml_shape shape = {4, {1, net->channels, net->height, net->width}};
    if (net->last)
        shape = (rml_shape){4, {1, net->height, net->width, net->channels}};
    RML_TRY(rml_session_resize(net->session, net->input, shape, err));
    for (size_t i = 0; i < rml_model_input_count(model); i++) {
        const rml_port port = rml_model_input(model, i);
        if (port.name != net->input)
            RML_TRY(set_number(net, &port, err));
    }
    RML_TRY(rml_named(rml_session_prepare(net->session, err), err, net->settings.what));
    return find_output(net, model, err);
}

rml_status rml_picture_net_create(rml_picture_net **out, rml_model *model,
                                  const rml_picture_net_settings *settings, rml_error *err)
{
    const rml_allocator *allocator =
        settings->session.allocator ? settings->session.allocator : rml_allocator_default();
    rml_picture_net *net;
    *out = NULL;
    RML_TRY(rml_make(allocator, &net, 1, sizeof *net, settings->what, err));
    net->settings = *settings;
    net->allocator = allocator;
    net->model = model;
    const rml_status status = open(net, model, err);
    if (status != RML_OK)
        rml_picture_net_destroy(&net);
    *out = net;
    return status;
}

void rml_picture_net_destroy(rml_picture_net **at)
{
    rml_picture_net *net = *at;
    *at = NULL;
    if (!net)
        return;
    rml_session_destroy(&net->session);
    rml_free(net->allocator, net);
}

int rml_picture_net_width(const rml_picture_net *net)
{
    return net->width;
}

int rml_picture_net_height(const rml_picture_net *net)
{
    return net->height;
}

// ---- running ----------------------------------------------------------------------------------

static size_t place(const rml_picture_net *net, bool last, int channels, int channel, size_t pixel)
{
    const size_t plane = (size_t)net->width * (size_t)net->height;
    return last ? pixel * (size_t)channels + (size_t)channel : (size_t)channel * plane + pixel;
}

static int colour_of(const rml_picture_net *net, int channel)
{
    return net->settings.levels.bgr ? 2 - channel : channel;
}

static void fill_numbers(const rml_picture_net *net)
{
    for (size_t i = 0; i < rml_model_input_count(net->model); i++) {
        const rml_port port = rml_model_input(net->model, i);
        if (port.name != net->input)
            rml_dtype_convert(RML_F64, &net->settings.more, port.dtype,
                              rml_session_input(net->session, port.name, NULL), 1);
    }
}

rml_status rml_picture_net_run(rml_picture_net *net, const float *planes, float *result,
                               rml_error *err)
{
    const rml_picture_levels *levels = &net->settings.levels;
    const size_t plane = (size_t)net->width * (size_t)net->height;
    const int wanted = net->settings.channels;
    float *in = rml_session_input(net->session, net->input, NULL);
    for (int c = 0; c < net->channels; c++)
        for (size_t i = 0; i < plane; i++) {
            const float *at = planes + i;
            const float level = net->channels == 3 ? at[(size_t)colour_of(net, c) * plane]
                                                   : luma[0] * at[0] + luma[1] * at[plane] +
                                                         luma[2] * at[2 * plane];
            in[place(net, net->last, net->channels, c, i)] =
                (level - levels->mean) / levels->deviation;
        }
    fill_numbers(net);
    RML_TRY(rml_named(rml_session_run(net->session, err), err, net->settings.what));
    const float *made = rml_session_output(net->session, net->output, NULL);
    RML_TRY(
        rml_named(rml_check_finite(made, (size_t)wanted * plane, err), err, net->settings.what));
    for (int c = 0; c < wanted; c++)
        for (size_t i = 0; i < plane; i++) {
            float level = made[place(net, net->result_last, wanted, c, i)];
            if (wanted == 3)
                level = level * levels->deviation + levels->mean;
            result[(size_t)(wanted == 3 ? colour_of(net, c) : c) * plane + i] = level < 0   ? 0
                                                                                : level > 1 ? 1
                                                                                            : level;
        }
    return RML_OK;
}
