// ModelDescription: FeatureDescription, Metadata.
#include "writers/coreml/description.h"

#include "loaders/coreml/file.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

// ---- what there is ------------------------------------------------------------------------------

// A node in front of each output that is an input, a constant, or another output as well.
static rml_status own_outputs(rml_graph *graph, rml_error *err)
{
    for (size_t i = 0; i < graph->output_count; i++) {
        const rml_value_id id = graph->outputs[i];
        bool own = graph->values[id].kind == RML_VALUE_ACTIVATION;
        for (size_t k = 0; k < i && own; k++)
            own = graph->outputs[k] != id;
        if (own)
            continue;
        const rml_op_attr same = {.cast = {.to = graph->values[id].dtype}};
        graph->outputs[i] =
            rml_graph_node(graph, RML_OP_CAST, &same, &id, 1, graph->output_names[i]);
        RML_TRY(rml_graph_finish(graph, err));
    }
    return RML_OK;
}

static const char *wanted_name(const rml_coreml_port *port, const char *own)
{
    return port->port && port->port->as ? port->port->as : own;
}

// A name that was asked for is that, or refused; others are made fit.
static rml_status check_name(const rml_coreml_description *d, const rml_coreml_port *port,
                             const char *given, rml_error *err)
{
    const char *wanted = wanted_name(port, given);
    const rml_write_settings *settings = &d->w->settings;
    char line[512];
    if (strcmp(given, wanted) == 0)
        return RML_OK;
    if (strcmp(port->port->as, port->port->name) != 0)
        return rml_fail(err, RML_ERR_ARG,
                        "\"%s\" cannot be the name of %s: it is taken, or no letters, digits and "
                        "_, or a word of the format",
                        port->port->as, port->port->name);
    snprintf(line, sizeof line, "%.200s is called %.200s in the file", wanted, given);
    if (settings->log)
        settings->log(settings->log_user, line);
    return RML_OK;
}

// Names of the file, for ports and graph alike.
static rml_status name_ports(rml_coreml_description *d, rml_graph *graph, rml_error *err)
{
    const char **names;
    for (size_t i = 0; i < d->input_count; i++) {
        rml_value *value = &graph->values[graph->inputs[i]];
        d->inputs[i].port = rml_writing_port(d->w, value->name);
        value->name = wanted_name(&d->inputs[i], value->name);
    }
    for (size_t i = 0; i < d->output_count; i++) {
        d->outputs[i].port = rml_writing_port(d->w, graph->output_names[i]);
        graph->output_names[i] = wanted_name(&d->outputs[i], graph->output_names[i]);
    }
    RML_TRY(rml_name_values(graph, &graph->arena, true, &names, err));
    for (size_t i = 0; i < d->input_count; i++) {
        rml_value *value = &graph->values[graph->inputs[i]];
        value->name = d->inputs[i].name = names[graph->inputs[i]];
        RML_TRY(check_name(d, &d->inputs[i], value->name, err));
    }
    for (size_t i = d->input_count; i < graph->input_count; i++)
        graph->values[graph->inputs[i]].name = d->inputs[i].name = names[graph->inputs[i]];
    for (size_t i = 0; i < d->output_count; i++) {
        graph->output_names[i] = d->outputs[i].name = names[graph->outputs[i]];
        RML_TRY(check_name(d, &d->outputs[i], d->outputs[i].name, err));
    }
    return rml_graph_ports_changed(graph, err);
}

static rml_status take_type(rml_coreml_port *port, const rml_value *value, rml_error *err)
{
    const rml_colours colours = rml_coreml_colours(port);
    port->dtype = rml_dtype_is_float(value->dtype) ? RML_F32 : RML_I32;
    port->shape = value->shape;
    if (value->shape.rank < 0)
        return rml_fail(err, RML_ERR_UNSUPPORTED,
                        "the number of dimensions of %s is not known before a run", port->name);
    if (colours == RML_COLOURS_NONE)
        return RML_OK;
    char text[RML_SHAPE_TEXT_BYTES];
    const int64_t channels = colours == RML_COLOURS_GRAY ? 1 : 3;
    if (value->shape.rank == 4 && rml_dims_agree(value->shape.dim[0], 1) &&
        rml_dims_agree(value->shape.dim[1], channels) && port->dtype == RML_F32)
        return RML_OK;
    return rml_fail(err, RML_ERR_SHAPE,
                    "%s is %s of %s, and cannot be an image of %d channels: that is (1,%d,H,W) of "
                    "f32",
                    port->name, rml_shape_text(&value->shape, text), rml_dtype_name(value->dtype),
                    (int)channels, (int)channels);
}

static rml_status take_state(rml_coreml_port *port, const rml_value *value, rml_error *err)
{
    port->dtype = RML_F16;
    port->shape = value->shape;
    if (rml_dtype_is_float(value->dtype) && value->shape.rank > 0)
        return RML_OK;
    return rml_fail(err, RML_ERR_UNSUPPORTED, "state %s is of %s, and states are arrays of halves",
                    port->name, rml_dtype_name(value->dtype));
}

// The name of an output of a classifier, made fit: it is no port that could be given another one.
static rml_status take_class_name(const rml_write_settings *settings, rml_naming *names,
                                  const char *wanted, const char **out, rml_error *err)
{
    char line[512];
    RML_TRY(rml_name_take(names, wanted, out, err));
    if (strcmp(*out, wanted) == 0 || !settings->log)
        return RML_OK;
    snprintf(line, sizeof line, "the output \"%.200s\" is called \"%.200s\" in the file", wanted,
             *out);
    settings->log(settings->log_user, line);
    return RML_OK;
}

// No names of other ports.
static rml_status name_classes(rml_coreml_description *d, rml_arena *arena, rml_error *err)
{
    const rml_write_settings *settings = &d->w->settings;
    const char *label = settings->label_name ? settings->label_name : "classLabel";
    const char *scores = settings->scores_name ? settings->scores_name : d->outputs[0].name;
    const char *other;
    rml_naming names;
    rml_status status = RML_OK;
    rml_naming_init(&names, arena, true);
    for (size_t i = 0; i < d->input_count && status == RML_OK; i++)
        status = rml_name_take(&names, d->inputs[i].name, &other, err);
    for (size_t i = 1; i < d->output_count && status == RML_OK; i++)
        status = rml_name_take(&names, d->outputs[i].name, &other, err);
    if (status == RML_OK)
        status = take_class_name(settings, &names, label, &d->label, err);
    if (status == RML_OK)
        status = take_class_name(settings, &names, scores, &d->scores, err);
    rml_naming_release(&names);
    return status;
}

static rml_status take_numbers(rml_coreml_description *d, rml_arena *arena, rml_error *err)
{
    const rml_write_settings *settings = &d->w->settings;
    int64_t *numbers = rml_arena_alloc(arena, settings->label_count + 1, sizeof *numbers);
    if (!numbers)
        return rml_fail_nomem(err, settings->label_count * sizeof *numbers, "labels");
    for (size_t i = 0; i < settings->label_count; i++) {
        char *end;
        errno = 0;
        numbers[i] = strtoll(settings->labels[i], &end, 10);
        if (errno || *end || end == settings->labels[i])
            return rml_fail(err, RML_ERR_ARG, "the label \"%s\" is no whole number of 64 bits",
                            settings->labels[i]);
    }
    d->numbers = numbers;
    return RML_OK;
}

static rml_status take_classes(rml_coreml_description *d, rml_arena *arena, rml_error *err)
{
    const rml_write_settings *settings = &d->w->settings;
    size_t count = 0;
    if (!settings->labels)
        return RML_OK;
    const rml_coreml_port *scores = &d->outputs[0];
    if (d->output_count == 0 || scores->dtype != RML_F32 ||
        !rml_shape_count(&scores->shape, &count) || count != settings->label_count) {
        char text[RML_SHAPE_TEXT_BYTES] = "nothing";
        if (d->output_count)
            rml_shape_text(&scores->shape, text);
        return rml_fail(err, RML_ERR_SHAPE, "there are %zu labels, and the first output is %s",
                        settings->label_count, text);
    }
    RML_TRY(name_classes(d, arena, err));
    return settings->numbered ? take_numbers(d, arena, err) : RML_OK;
}

void rml_coreml_need(const rml_writing *w, rml_coreml_port *input, const char *why)
{
    char line[256];
    input->optional = false;
    snprintf(line, sizeof line, "input %.80s may be left out in the source, and not here: %s",
             input->name, why);
    if (w->settings.log)
        w->settings.log(w->settings.log_user, line);
}

rml_status rml_coreml_describe_ports(rml_coreml_description *out, rml_writing *w, rml_error *err)
{
    rml_graph *graph = &w->graph;
    size_t optional = 0;
    *out = (rml_coreml_description){.w = w,
                                    .input_count = graph->input_count - graph->state_count,
                                    .output_count = graph->output_count - graph->state_count,
                                    .state_count = graph->state_count};
    out->inputs = rml_arena_alloc(&graph->arena, graph->input_count + 1, sizeof *out->inputs);
    out->outputs = rml_arena_alloc(&graph->arena, graph->output_count + 1, sizeof *out->outputs);
    if (!out->inputs || !out->outputs)
        return rml_fail_nomem(err, sizeof *out->inputs, "the description of a model");
    RML_TRY(own_outputs(graph, err));
    RML_TRY(name_ports(out, graph, err));
    for (size_t i = 0; i < out->input_count; i++) {
        const rml_value *value = &graph->values[graph->inputs[i]];
        RML_TRY(take_type(&out->inputs[i], value, err));
        out->inputs[i].limits = value->limits;
        out->inputs[i].optional = value->limits && value->limits->optional;
        optional += out->inputs[i].optional;
    }
    for (size_t i = 0; optional == out->input_count && i < out->input_count; i++)
        rml_coreml_need(w, &out->inputs[i], "one input must be needed");
    for (size_t i = out->input_count; i < graph->input_count; i++)
        RML_TRY(take_state(&out->inputs[i], &graph->values[graph->inputs[i]], err));
    for (size_t i = 0; i < out->output_count; i++)
        RML_TRY(take_type(&out->outputs[i], &graph->values[graph->outputs[i]], err));
    return take_classes(out, &graph->arena, err);
}

void rml_coreml_say_losses(const rml_writing *w, const rml_half_losses *losses)
{
    char line[256] = "in halves ", number[64];
    if (!w->settings.log || losses->infinite + losses->zero == 0)
        return;
    if (losses->infinite) {
        snprintf(number, sizeof number, "%zu %s", losses->infinite,
                 losses->infinite == 1 ? "constant becomes infinite" : "constants become infinite");
        strcat(line, number);
    }
    if (losses->zero) {
        snprintf(number, sizeof number, "%s%zu %s", losses->infinite ? ", and " : "", losses->zero,
                 losses->zero == 1 ? "constant becomes 0" : "constants become 0");
        strcat(line, number);
    }
    w->settings.log(w->settings.log_user, line);
}

// ---- messages -----------------------------------------------------------------------------------

static void write_port(rml_fields *m, const rml_coreml_port *port, bool is_input)
{
    rml_fields_begin(m, is_input ? 1 : 10);
    rml_fields_text(m, 1, port->name);
    rml_coreml_write_type(m, port, is_input);
    rml_fields_end(m);
}

static void write_classes(rml_fields *m, const rml_coreml_description *d)
{
    rml_fields_begin(m, 10);
    rml_fields_text(m, 1, d->label);
    rml_fields_begin(m, 3);
    rml_fields_begin(m, d->numbers ? RML_COREML_INT64 : RML_COREML_TEXT);
    rml_fields_end(m);
    rml_fields_end(m);
    rml_fields_end(m);
    rml_fields_begin(m, 10);
    rml_fields_text(m, 1, d->scores);
    rml_fields_begin(m, 3);
    rml_fields_begin(m, RML_COREML_DICTIONARY);
    rml_fields_begin(m, d->numbers ? 1 : 2); // the keys: numbers or texts
    rml_fields_end(m);
    rml_fields_end(m);
    rml_fields_end(m);
    rml_fields_end(m);
}

static void write_note(rml_fields *m, const char *key, const char *text)
{
    rml_fields_begin(m, 100);
    rml_fields_text(m, 1, key);
    rml_fields_text(m, 2, text);
    rml_fields_end(m);
}

static void write_metadata(rml_fields *m, const rml_write_settings *settings)
{
    const char *const own[] = {settings->description, settings->version, settings->author,
                               settings->license};
    rml_fields_begin(m, 100);
    for (uint32_t i = 0; i < sizeof own / sizeof *own; i++)
        if (own[i] && *own[i])
            rml_fields_text(m, i + 1, own[i]);
    if (settings->source && *settings->source)
        write_note(m, "run-model.source", settings->source);
    write_note(m, "run-model.version", rml_version());
    rml_fields_end(m);
}

void rml_coreml_write_description(rml_fields *m, const rml_coreml_description *d)
{
    rml_fields_begin(m, 2);
    for (size_t i = 0; i < d->input_count; i++)
        write_port(m, &d->inputs[i], true);
    if (d->label)
        write_classes(m, d);
    for (size_t i = d->label ? 1 : 0; i < d->output_count; i++)
        write_port(m, &d->outputs[i], false);
    for (size_t i = 0; i < d->state_count; i++) {
        const rml_coreml_port *state = &d->inputs[d->input_count + i];
        rml_fields_begin(m, 13);
        rml_fields_text(m, 1, state->name);
        rml_coreml_write_state_type(m, state);
        rml_fields_end(m);
    }
    if (d->label) {
        rml_fields_text(m, 11, d->label);
        rml_fields_text(m, 12, d->scores);
    }
    write_metadata(m, &d->w->settings);
    rml_fields_end(m);
}
