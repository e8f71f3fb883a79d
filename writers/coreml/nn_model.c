// A Core ML neural network as a file.
#include "tensor/outfile.h"
#include "writers/coreml/blocks.h"
#include "writers/coreml/nn.h"

#include <string.h>

enum { OLD_SPEC = 1, LAYERS_SPEC = 4, DEFAULTS_SPEC = 5, NETWORK = 500, CLASSIFIER = 403 };

// ---- images -------------------------------------------------------------------------------------

// The format has one scale, and a bias for each colour.
static bool keeps_scale(const rml_write_port *input)
{
    return input->colours != RML_COLOURS_NONE && input->scale_count <= 1;
}

static void write_scaler(rml_net_emitter *e, const rml_coreml_port *input)
{
    enum { SCALER = 10, SCALE = 10, BLUE = 20, GREEN = 21, RED = 22, GRAY = 30 };
    static const uint32_t planes[][3] = {[RML_COLOURS_GRAY] = {GRAY},
                                         [RML_COLOURS_RGB] = {RED, GREEN, BLUE},
                                         [RML_COLOURS_BGR] = {BLUE, GREEN, RED}};
    const rml_write_port *port = input->port;
    float bias[GRAY + 1] = {0};
    if (!port || !keeps_scale(port) || (!port->scale && !port->bias))
        return;
    const size_t colours = port->colours == RML_COLOURS_GRAY ? 1 : 3;
    for (size_t i = 0; i < colours && port->bias; i++)
        bias[planes[port->colours][i]] = port->bias[port->bias_count > 1 ? i : 0];
    rml_fields_begin(&e->m, 2);
    rml_fields_text(&e->m, 1, input->name);
    rml_fields_begin(&e->m, SCALER);
    rml_fields_float(&e->m, SCALE, port->scale ? port->scale[0] : 1);
    for (uint32_t field = BLUE; field <= GRAY; field++)
        rml_net_float(e, field, bias[field]);
    rml_fields_end(&e->m);
    rml_fields_end(&e->m);
}

// ---- the model ----------------------------------------------------------------------------------

static void write_labels(rml_net_emitter *e, const rml_coreml_description *d)
{
    const rml_write_settings *settings = &e->w->settings;
    rml_fields_begin(&e->m, d->numbers ? 101 : 100);
    if (d->numbers)
        rml_fields_ints(&e->m, 1, d->numbers, settings->label_count);
    for (size_t i = 0; i < settings->label_count && !d->numbers; i++)
        rml_fields_text(&e->m, 1, settings->labels[i]);
    rml_fields_end(&e->m);
    rml_fields_text(&e->m, 200, d->outputs[0].name);
}

static void write_network(rml_net_emitter *e, const rml_coreml_description *d)
{
    rml_fields_begin(&e->m, d->label ? CLASSIFIER : NETWORK);
    rml_net_emit_nodes(e);
    for (size_t i = 0; i < d->input_count; i++)
        write_scaler(e, &d->inputs[i]);
    rml_net_int(e, 5, !e->old); // arrays and images of the dimensions that they have
    rml_net_int(e, 6, !e->old);
    if (d->label)
        write_labels(e, d);
    rml_fields_end(&e->m);
}

// Of an input that is left out; there are none but 0 before specification 5.
static bool has_default(const rml_coreml_port *input)
{
    return input->optional && input->limits->fill != 0;
}

// Constants get theirs when a layer loads them.
static rml_status name_blobs(rml_net_emitter *e, rml_error *err)
{
    size_t there;
    RML_TRY(rml_name_values(e->graph, &e->w->graph.arena, true, &e->blob, err));
    for (size_t i = 0; i < e->graph->value_count; i++) {
        if (e->graph->values[i].kind == RML_VALUE_CONSTANT)
            e->blob[i] = NULL;
        else
            RML_TRY(rml_names_add(&e->blobs, e->blob[i], strlen(e->blob[i]), 0, &there, err));
    }
    return RML_OK;
}

static rml_status write_model(rml_net_emitter *e, const rml_coreml_description *d, rml_error *err)
{
    rml_outfile file;
    RML_TRY(name_blobs(e, err));
    for (size_t i = 0; i < d->input_count; i++)
        if (has_default(&d->inputs[i]))
            e->spec = DEFAULTS_SPEC;
    rml_fields_int(&e->m, 1, e->spec);
    rml_coreml_write_description(&e->m, d);
    write_network(e, d);
    RML_TRY(e->status);
    if (e->m.status == RML_OK)
        e->m.bytes[1] = (uint8_t)e->spec; // what the layers were found to need
    if (rml_fields_size(&e->m) > RML_FIELDS_MAX_BYTES)
        return rml_fail(err, RML_ERR_UNSUPPORTED,
                        "%llu bytes, and a neural network is one message of %llu at most: --fp16 "
                        "halves them, and a package has its weights in a file of their own",
                        (unsigned long long)rml_fields_size(&e->m),
                        (unsigned long long)RML_FIELDS_MAX_BYTES);
    RML_TRY(rml_outfile_open(&file, e->w->path, e->w->allocator, err));
    RML_TRY(rml_outfile_finish(&file, rml_fields_write(&e->m, &file, err), err));
    rml_coreml_say_losses(e->w, &e->losses);
    return RML_OK;
}

static rml_status write_lowered(rml_writing *w, const rml_coreml_description *d, rml_graph *graph,
                                rml_error *err)
{
    const bool old = w->settings.ios == 12;
    RML_TRY(rml_lower(&w->graph, graph, rml_net_target(old), err));
    rml_graph_count_uses(graph);
    rml_net_emitter e = {
        .w = w, .graph = graph, .old = old, .spec = old ? OLD_SPEC : LAYERS_SPEC, .err = err};
    if (w->settings.weights == RML_WRITE_F16) {
        bool *wide;
        RML_TRY(rml_find_wide(w, graph, &wide, err));
        e.wide = wide;
    }
    rml_fields_init(&e.m, w->allocator);
    rml_names_init(&e.blobs, w->allocator);
    rml_names_init(&e.layers, w->allocator);
    const rml_status status = write_model(&e, d, err);
    rml_names_release(&e.layers);
    rml_names_release(&e.blobs);
    rml_fields_release(&e.m);
    return status;
}

static rml_status take_target(rml_writing *w, rml_error *err)
{
    const int ios = w->settings.ios;
    if (ios != 0 && (ios < RML_WRITE_LEAST_IOS || ios > RML_WRITE_MOST_IOS))
        return rml_fail(err, RML_ERR_ARG, "a target of iOS %d, expected %d to %d", ios,
                        RML_WRITE_LEAST_IOS, RML_WRITE_MOST_IOS);
    if (ios >= 15 && w->settings.log)
        w->settings.log(w->settings.log_user,
                        "a .mlmodel holds a neural network of iOS 13, which later systems run; "
                        "a program of iOS 15 and later is a .mlpackage");
    return RML_OK;
}

// iOS 12 describes arrays as channels, height and width, or as channels alone.
static rml_status make_planes(rml_coreml_port *ports, size_t count, rml_error *err)
{
    for (size_t i = 0; i < count; i++) {
        const rml_shape shape = ports[i].shape;
        if (!rml_shape_known(&shape))
            return rml_fail(err, RML_ERR_UNSUPPORTED,
                            "%s has sizes that may change, which a neural network of iOS 12 cannot "
                            "hold; iOS 13 can",
                            ports[i].name);
        if (shape.rank > 4)
            return rml_fail(err, RML_ERR_UNSUPPORTED,
                            "%s has %d dimensions, and a neural network of iOS 12 holds 4 at most; "
                            "iOS 13 can",
                            ports[i].name, shape.rank);
        ports[i].shape = rml_net_planes(&shape);
        if (shape.rank < 3)
            ports[i].shape.rank = 1;
    }
    return RML_OK;
}

rml_status rml_write_mlmodel(rml_writing *w, rml_error *err)
{
    rml_coreml_description description;
    rml_graph lowered;
    w->keeps_scale = keeps_scale;
    RML_TRY(take_target(w, err));
    RML_TRY(rml_writing_specialise(w, err));
    RML_TRY(rml_coreml_order_blocks(&w->graph, err));
    RML_TRY(rml_coreml_describe_ports(&description, w, err));
    if (description.input_count == 0)
        return rml_fail(err, RML_ERR_UNSUPPORTED,
                        "the network has no inputs, which a neural network must have");
    for (size_t i = 0; i < description.input_count && w->settings.ios == 12; i++)
        if (has_default(&description.inputs[i]))
            rml_coreml_need(w, &description.inputs[i], "its default value is of iOS 14");
    if (w->settings.ios == 12) {
        RML_TRY(make_planes(description.inputs, description.input_count, err));
        RML_TRY(make_planes(description.outputs, description.output_count, err));
    }
    rml_graph_init(&lowered, w->allocator);
    const rml_status status = write_lowered(w, &description, &lowered, err);
    rml_graph_release(&lowered);
    return status;
}
