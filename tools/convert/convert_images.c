// Inputs and outputs that are images: colours, and how pixels become a network's numbers.
#include "tools/convert/convert_options.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

// What the published networks of ImageNet were trained with, on pixels of 0 to 1.
static const float torchvision_mean[3] = {0.485f, 0.456f, 0.406f};
static const float torchvision_std[3] = {0.229f, 0.224f, 0.225f};

// A number, or a fraction as guides write it: "1/255".
static bool parse_number(const char *text, float *out)
{
    char *end;
    double number = strtod(text, &end);
    if (end != text && *end == '/') {
        const char *below = end + 1;
        const double divisor = strtod(below, &end);
        number = end != below ? number / divisor : NAN;
    }
    *out = (float)number;
    return end != text && !*end && isfinite(number);
}

static bool parse_three(const char *text, float out[3])
{
    char part[64];
    for (int i = 0; i < 3; i++) {
        const size_t bytes = strcspn(text, ",");
        if (bytes >= sizeof part || (text[bytes] == ',') != (i < 2))
            return false;
        snprintf(part, sizeof part, "%.*s", (int)bytes, text);
        if (!parse_number(part, &out[i]))
            return false;
        text += bytes + 1;
    }
    return true;
}

static bool is_image(const port_plans *p, const port_plan *plan)
{
    return p->ports[plan - p->plans].colours != RML_COLOURS_NONE;
}

static rml_status make_image(port_plans *p, const convert_options *o, port_plan *plan,
                             rml_error *err)
{
    rml_write_port *port = &p->ports[plan - p->plans];
    const int64_t channels = plan->shape.rank == 4 ? plan->shape.dim[1] : 0;
    if (channels != 3 && channels != 1)
        return rml_fail(err, RML_ERR_ARG,
                        "%s is no image, which has 4 dimensions, of which the second is 1 or 3",
                        port->as);
    port->colours = channels == 1 ? RML_COLOURS_GRAY : o->bgr ? RML_COLOURS_BGR : RML_COLOURS_RGB;
    return RML_OK;
}

static rml_status find_images(port_plans *p, const convert_options *o, const char *asked,
                              const option_list *names, bool outputs, rml_error *err)
{
    for (int i = 0; i < names->count; i++) {
        port_plan *plan = port_plans_find(p, names->items[i].value);
        if (!plan || plan->is_output != outputs || names->items[i].name)
            return port_plans_missing(p, asked, names->items[i].value, err);
        TRY(make_image(p, o, plan, err));
    }
    return RML_OK;
}

// ---- numbers ------------------------------------------------------------------------------------

static int channels_of(const port_plan *plan)
{
    return (int)plan->shape.dim[1];
}

static void set_all(float *numbers, float value)
{
    for (int i = 0; i < PORT_CHANNELS; i++)
        numbers[i] = value;
}

// The channel of red, green, blue or gray ('r', 'g', 'b', 'y'); below 0: the image has no such.
static int find_channel(rml_colours colours, char colour)
{
    const char *order = colours == RML_COLOURS_GRAY  ? "y"
                        : colours == RML_COLOURS_BGR ? "bgr"
                                                     : "rgb";
    const char *at = strchr(order, colour);
    return at ? (int)(at - order) : -1;
}

// [NAME=]NUMBER: of that port, or of all inputs that are images: the bias of a colour, or with
// `colour` 0 the scale of all.
static rml_status set_numbers(port_plans *p, const char *asked, const option_list *given,
                              char colour, rml_error *err)
{
    for (int i = 0; i < given->count; i++) {
        const char *name = given->items[i].name, *text = given->items[i].value;
        const port_plan *only = name ? port_plans_find(p, name) : NULL;
        float number;
        size_t set = 0;
        if (!parse_number(text, &number))
            return rml_fail(err, RML_ERR_ARG, "--%s is a number, not '%s'", asked, text);
        if (!colour && number == 0)
            return rml_fail(err, RML_ERR_ARG, "--%s %s leaves nothing of the pixels", asked, text);
        if (name && !only)
            return port_plans_missing(p, asked, name, err);
        for (size_t k = 0; k < p->count; k++) {
            port_plan *plan = &p->plans[k];
            if (!is_image(p, plan) || (only ? plan != only : plan->is_output))
                continue;
            const int channel = colour ? find_channel(p->ports[k].colours, colour) : 0;
            if (!colour)
                set_all(plan->scale, number);
            else if (channel >= 0)
                plan->bias[channel] = number;
            set += channel >= 0;
        }
        if (set == 0)
            return rml_fail(err, RML_ERR_ARG,
                            "--%s: no image %sis there for it; say --image_input or --image_output",
                            asked,
                            !colour         ? ""
                            : colour == 'y' ? "in gray "
                                            : "in colours ");
    }
    return RML_OK;
}

static rml_status set_biases(port_plans *p, const convert_options *o, rml_error *err)
{
    TRY(set_numbers(p, "red_bias", &o->red_bias, 'r', err));
    TRY(set_numbers(p, "green_bias", &o->green_bias, 'g', err));
    TRY(set_numbers(p, "blue_bias", &o->blue_bias, 'b', err));
    return set_numbers(p, "gray_bias", &o->gray_bias, 'y', err);
}

// (pixel * scale - mean) / deviation, where the scale is 1/255 unless another one is given.
static rml_status normalise(port_plans *p, const convert_options *o, const float mean[3],
                            const float deviation[3], rml_error *err)
{
    for (size_t k = 0; k < p->count; k++) {
        port_plan *plan = &p->plans[k];
        if (!is_image(p, plan) || plan->is_output)
            continue;
        for (int i = 0; i < channels_of(plan); i++) {
            const int colour = p->ports[k].colours == RML_COLOURS_BGR ? 2 - i : i;
            const float scale = o->image_scale.count ? plan->scale[i] : 1.0f / 255;
            if (deviation[colour] == 0)
                return rml_fail(err, RML_ERR_ARG, "a deviation of 0 cannot be divided by");
            plan->scale[i] = scale / deviation[colour];
            plan->bias[i] = -mean[colour] / deviation[colour];
        }
    }
    return RML_OK;
}

static rml_status set_normalisation(port_plans *p, const convert_options *o, rml_error *err)
{
    float mean[3] = {0, 0, 0}, deviation[3] = {1, 1, 1};
    if (o->normalize) // or what a network was trained with
        return normalise(p, o, torchvision_mean, torchvision_std, err);
    if (o->image_mean && !parse_three(o->image_mean, mean))
        return rml_fail(err, RML_ERR_ARG, "--image_mean is three numbers, 0.485,0.456,0.406");
    if (o->image_std && !parse_three(o->image_std, deviation))
        return rml_fail(err, RML_ERR_ARG, "--image_std is three numbers, 0.229,0.224,0.225");
    return o->image_mean || o->image_std ? normalise(p, o, mean, deviation, err) : RML_OK;
}

// Numbers for each channel, or one where they are the same; none where they change nothing.
static void give_numbers(port_plans *p)
{
    for (size_t k = 0; k < p->count; k++) {
        port_plan *plan = &p->plans[k];
        rml_write_port *port = &p->ports[k];
        if (!is_image(p, plan))
            continue;
        bool scale_same = true, bias_same = true;
        const int channels = channels_of(plan);
        for (int i = 1; i < channels; i++) {
            scale_same = scale_same && plan->scale[i] == plan->scale[0];
            bias_same = bias_same && plan->bias[i] == plan->bias[0];
        }
        if (!scale_same || plan->scale[0] != 1)
            port->scale = plan->scale;
        if (!bias_same || plan->bias[0] != 0)
            port->bias = plan->bias;
        port->scale_count = port->scale ? (size_t)(scale_same ? 1 : channels) : 0;
        port->bias_count = port->bias ? (size_t)(bias_same ? 1 : channels) : 0;
    }
}

// The networks whose images have values of 0 to 1, in the guide as well; outputs say it themselves.
static bool is_of_ones(const convert_options *o)
{
    return !o->is_file && (strcmp(o->model, "ffdnet") == 0 || strcmp(o->model, "wav2lip") == 0);
}

// What a Core ML file takes or gives as an image stays one.
static void keep_images(port_plans *p, const convert_options *o)
{
    for (size_t k = 0; k < p->count && o->is_file && o->coreml; k++) {
        const rml_meaning *meaning = p->plans[k].port.meaning;
        if (meaning && meaning->kind == RML_MEANS_IMAGE && meaning->declared)
            p->ports[k].colours = meaning->colours;
    }
}

rml_status port_plans_make_images(port_plans *p, const convert_options *o, rml_error *err)
{
    keep_images(p, o);
    TRY(find_images(p, o, "image_input", &o->image_inputs, false, err));
    TRY(find_images(p, o, "image_output", &o->image_outputs, true, err));
    for (size_t k = 0; k < p->count; k++) {
        const rml_meaning *meaning = p->plans[k].port.meaning;
        const bool told = p->plans[k].is_output && meaning && meaning->kind == RML_MEANS_IMAGE;
        set_all(p->plans[k].bias, is_of_ones(o) && told ? meaning->mean[0] : 0);
        set_all(p->plans[k].scale, !is_of_ones(o) ? 1.0f
                                   : told         ? meaning->deviation[0]
                                                  : 1.0f / 255);
    }
    TRY(set_numbers(p, "image_scale", &o->image_scale, 0, err));
    TRY(set_biases(p, o, err));
    TRY(set_normalisation(p, o, err));
    give_numbers(p);
    return RML_OK;
}
