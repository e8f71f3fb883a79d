// run-model convert: a network as a file of another format, which is run before it has its name.
#include "pipelines/classify/labels.h"
#include "tools/commands.h"
#include "tools/convert/convert_options.h"
#include "tools/find_weights.h"
#include "tools/report.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define COMMAND "convert"

typedef struct settings {
    common_options common;
    convert_options o;
    rml_write_settings write;
    network network;
    rml_model *as_written;
    port_plans plans;
    rml_labels labels;
} settings;

static void note(void *user, const char *line)
{
    const settings *s = user;
    if (!s->common.quiet)
        fprintf(stderr, "note: %s\n", line);
}

static const char *last_part(const char *path)
{
    const char *slash = strrchr(path, '/');
    return slash && slash[1] ? slash + 1 : path;
}

// Twice: to be run, and to be written.
static rml_status open_network(settings *s, rml_error *err)
{
    const char *name = s->o.is_file ? NULL : s->o.model;
    rml_model_settings built = rml_model_settings_default();
    built.config = s->o.config;
    built.function = s->o.function;
    built.keep_types = true;
    TRY(network_open(&s->network, name, &built, s->common.quiet, err));
    built.as_written = true;
    if (!name)
        return rml_model_open(&s->as_written, s->network.source.path, &built, err);
    return rml_model_create(&s->as_written, name, s->network.weights, &built, err);
}

// Sizes that nobody has told.
static void tell_assumed(settings *s)
{
    for (size_t i = 0; i < s->plans.count; i++) {
        char sizes[256] = "", line[512];
        const port_plan *plan = &s->plans.plans[i];
        for (int k = 0; k < plan->shape.rank; k++)
            snprintf(sizes + strlen(sizes), sizeof sizes - strlen(sizes),
                     plan->shape.dim[k] < 0 ? "%s?" : "%s%lld", k ? "x" : "",
                     (long long)plan->shape.dim[k]);
        snprintf(line, sizeof line,
                 "the file leaves sizes of the input %s open: it is written for %s; --shape says "
                 "other ones, and --flexible a range",
                 s->plans.ports[i].as, sizes);
        if (plan->assumed)
            note(s, line);
    }
}

// A classifier that is converted to another stays one, with its words or numbers.
static void keep_labels(settings *s)
{
    const rml_model *model = s->network.model;
    for (size_t i = 0; i < rml_model_output_count(model) && s->o.coreml; i++) {
        const rml_port port = rml_model_output(model, i);
        const rml_meaning *meaning = port.meaning;
        if (meaning && meaning->kind == RML_MEANS_LABEL && !s->write.label_name)
            s->write.label_name = port.name;
        if (!meaning || meaning->kind != RML_MEANS_SCORES || meaning->label_count == 0)
            continue;
        s->write.labels = meaning->label;
        s->write.label_count = meaning->label_count;
        s->write.numbered = meaning->numbered;
    }
}

static rml_status take_labels(settings *s, rml_error *err)
{
    const rml_port scores = rml_model_output(s->network.model, 0);
    const int64_t classes = scores.shape.rank > 0 ? scores.shape.dim[scores.shape.rank - 1] : -1;
    rml_label_twins twins;
    char line[RML_LABEL_BYTES + 256];
    if (!s->o.labels) {
        keep_labels(s);
        return RML_OK;
    }
    TRY(rml_labels_load(&s->labels, s->o.labels, rml_allocator_default(), err));
    if (classes >= 0)
        TRY(rml_labels_check(&s->labels, s->o.labels, (int)classes, err));
    TRY(named(rml_labels_find_twins(&s->labels, s->o.unique_labels, &twins, err), err,
              s->o.labels));
    s->write.labels = s->labels.names;
    s->write.label_count = (size_t)s->labels.count;
    snprintf(line, sizeof line,
             "%zu classes have the name of another, \"%s\" (%d and %d) among them, of which the "
             "probabilities keep one each: --unique_labels gives them numbers",
             twins.count, twins.name, twins.first[0], twins.first[1]);
    if (twins.count && !s->o.unique_labels)
        note(s, line);
    return RML_OK;
}

// ---- the answer ---------------------------------------------------------------------------------

// "ML Program for iOS 15"
static void describe(const settings *s, const rml_conversion_result *r, char *text, size_t bytes)
{
    static const char *const ios[] = {"11", "11.2", "12", "13", "14", "15", "16", "17", "18"};
    const char *path = s->o.outfile;
    const size_t version = r->version > 0 && r->version < 10 ? (size_t)r->version : 1;
    if (rml_ends_in(path, ".onnx"))
        snprintf(text, bytes, "ONNX opset %lld", (long long)r->version);
    else if (rml_ends_in(path, ".safetensors"))
        snprintf(text, bytes, "%zu tensors", r->tensors);
    else
        snprintf(text, bytes, "%s for iOS %s",
                 rml_ends_in(path, ".mlpackage") ? "ML Program" : "neural network",
                 ios[version - 1]);
}

static void report(const settings *s, const rml_conversion_result *r, const char *from)
{
    char kind[64];
    describe(s, r, kind, sizeof kind);
    if (s->common.json) {
        json_field("{\"file\":", s->o.outfile);
        json_field(",\"kind\":", kind);
        printf(",\"bytes\":%llu,\"error\":%.6g,\"bound\":%.6g", (unsigned long long)r->bytes,
               r->error, r->bound);
        json_field(",\"where\":", r->output);
        json_field(",\"source\":", from);
        printf("}\n");
    } else if (!s->common.quiet) {
        const bool large = r->bytes >= 100000;
        printf("wrote %s: %s, %.1f %s; largest error %.1e of the largest value against %s\n",
               s->o.outfile, kind, (double)r->bytes / (large ? 1e6 : 1e3), large ? "MB" : "kB",
               r->error, from);
    }
}

static rml_status run(settings *s, rml_error *err)
{
    const rml_session_settings session = session_settings(&s->common);
    rml_conversion_result result;
    TRY(open_network(s, err));
    TRY(port_plans_make(&s->plans, &s->o, s->network.model, err));
    tell_assumed(s);
    TRY(take_labels(s, err));
    const char *from = last_part(s->network.source.path);
    s->write.ports = s->plans.ports;
    s->write.port_count = s->plans.count;
    s->write.source = from;
    s->write.log = note;
    s->write.log_user = s;
    const bool named_as_ours =
        s->network.weights && !is_graph_format(rml_weights_format(s->network.weights));
    const rml_conversion conversion = {
        .path = s->o.outfile,
        .as_written = s->as_written,
        .source = s->network.model,
        .network = named_as_ours ? s->o.model : NULL,
        .weights = s->network.source.path,
        .config = s->o.config,
        .from = from,
        .write = &s->write,
        .session = &session,
        .inputs = s->plans.checks,
        .input_count = s->plans.inputs,
        .log = note,
        .log_user = s,
    };
    TRY(rml_convert(&conversion, &result, err));
    if (s->o.coreml)
        note(s, "it was run here, in floats; a device may compute in halves, and Xcode has not "
                "opened it");
    report(s, &result, from);
    return RML_OK;
}

static void release(settings *s)
{
    port_plans_release(&s->plans);
    rml_labels_release(&s->labels);
    rml_model_destroy(&s->as_written);
    network_close(&s->network);
}

// As folders come from a shell: "net.mlpackage/".
static void drop_slashes(char *path)
{
    size_t length = strlen(path);
    while (length > 1 && path[length - 1] == '/')
        path[--length] = 0;
}

int cmd_convert(int argc, char **argv)
{
    settings s = {.write = rml_write_settings_default()};
    convert_options *o = &s.o;
    const option options[] = {
        {"outfile", 'o', OPTION_TEXT, &o->outfile, "FILE", 0, 0,
         "what to write: .onnx, .mlmodel, .mlpackage or\n.safetensors (the weights alone)"},
        {"weights", 'w', OPTION_TEXT, &o->weights, "FILE|FOLDER", 0, 0,
         "trained weights of a built-in network; without: those\nthat are found"},
        {"config", 0, OPTION_TEXT, &o->config, "FILE.json|FOLDER", 0, 0,
         "settings of a network whose weights do not tell them"},
        {"function", 0, OPTION_TEXT, &o->function, "NAME", 0, 0,
         "which function of an ML Program to convert; without:\nits default one"},
        {"target", 0, OPTION_TEXT, &o->target, "IOS", 0, 0,
         "ios12 or ios13 of a .mlmodel (ios13), ios15 to ios18\nof a .mlpackage (ios15)"},
        {"opset", 0, OPTION_INT, &s.write.opset, "N", 13, 21, "of an ONNX file (17)"},
        {"shape", 0, OPTION_LIST, &o->shapes, "NAME=1x3x512x512", 0, 0,
         "sizes of an input; ? where they may change between\nruns (ONNX)"},
        {"flexible", 0, OPTION_LIST, &o->flexible, "NAME=LO..HI", 0, 0,
         "sizes of the first dimension of an input (Core ML);\nNAME.2=LO..HI: of the dimension 2; "
         "without: what the\nsource allows"},
        {"input_name", 0, OPTION_VALUES, &o->input_names, "[OLD=]NEW", 0, 0,
         "what an input is called in the file: of the first\ninput, then the second; or of OLD"},
        {"output_name", 0, OPTION_VALUES, &o->output_names, "[OLD=]NEW", 0, 0,
         "the same of outputs"},
        {"fp16", 0, OPTION_FLAG, &o->fp16, NULL, 0, 0, "weights and values in halves"},
        {"quantize", 0, OPTION_TEXT, &o->quantize, "int8", 0, 0,
         "large weights in 8 bits, with a scale for each\noutput channel"},
        {"palettize", 0, OPTION_INT, &o->palette_bits, "N", 1, 8,
         "large weights in N bits, as places in a table"},
        {"image_input", 0, OPTION_VALUES, &o->image_inputs, "NAME", 0, 0,
         "an input that is an image (Core ML); may be repeated"},
        {"image_output", 0, OPTION_VALUES, &o->image_outputs, "NAME", 0, 0,
         "the same of an output"},
        {"image_scale", 0, OPTION_VALUES, &o->image_scale, "[NAME=]S", 0, 0,
         "pixels are multiplied by S, say 1/255, on their way to\nthe network; values of the "
         "output NAME, on their way out"},
        {"red_bias", 0, OPTION_VALUES, &o->red_bias, "[NAME=]B", 0, 0, "what is then added to red"},
        {"green_bias", 0, OPTION_VALUES, &o->green_bias, "[NAME=]B", 0, 0, "to green"},
        {"blue_bias", 0, OPTION_VALUES, &o->blue_bias, "[NAME=]B", 0, 0, "to blue"},
        {"gray_bias", 0, OPTION_VALUES, &o->gray_bias, "[NAME=]B", 0, 0, "to gray"},
        {"image_mean", 0, OPTION_TEXT, &o->image_mean, "R,G,B", 0, 0,
         "what is taken from pixels of 0 to 1 (0,0,0)"},
        {"image_std", 0, OPTION_TEXT, &o->image_std, "R,G,B", 0, 0,
         "and what they are then divided by (1,1,1)"},
        {"normalize", 0, OPTION_TEXT, &o->normalize, "torchvision", 0, 0,
         "mean and deviation of ImageNet's pictures; mobilenetv2\nhas them unless told otherwise"},
        {"no_normalize", 0, OPTION_FLAG, &o->no_normalize, NULL, 0, 0,
         "give mobilenetv2 pixels as they are, as the guide does"},
        {"bgr", 0, OPTION_FLAG, &o->bgr, NULL, 0, 0, "images are blue, green, red"},
        {"mode", 0, OPTION_TEXT, &o->mode, "classifier", 0, 0, "what --labels alone means, too"},
        {"labels", 0, OPTION_TEXT, &o->labels, "FILE", 0, 0,
         "names of the classes: a line each, or JSON as\nimagenet_class_index.json"},
        {"unique_labels", 0, OPTION_FLAG, &o->unique_labels, NULL, 0, 0,
         "where two classes have one name, call the second\n\"name (2)\""},
        {"predicted_feature_name", 0, OPTION_TEXT, &s.write.label_name, "NAME", 0, 0,
         "what the likeliest class is called (classLabel)"},
        {"author", 0, OPTION_TEXT, &s.write.author, "TEXT", 0, 0, "what the file tells of itself"},
        {"license", 0, OPTION_TEXT, &s.write.license, "TEXT", 0, 0, "the same"},
        {"description", 0, OPTION_TEXT, &s.write.description, "TEXT", 0, 0, "the same"},
        {"version_string", 0, OPTION_TEXT, &s.write.version, "TEXT", 0, 0, "the same"},
        {"check_input", 0, OPTION_LIST, &o->checks, "NAME=FILE.npy", 0, 0,
         "an input to try the file on, pixels of 0 to 255 where\nit is an image; without: made-up "
         "numbers"},
    };
    command_line line = {
        .command = COMMAND,
        .usage = "MODEL|FILE [--weights W] -o OUT [options]",
        .summary = "Writes a built-in network, an ONNX file or a Core ML model as a file of "
                   "another format.\n"
                   "The file is read again and run on the same inputs as its source. Where an "
                   "output differs\n"
                   "by more than rounding explains, nothing is left of it.",
        .options = options,
        .option_count = sizeof options / sizeof options[0],
        .positional = &o->model,
        .positional_max = 1,
        .common = &s.common,
        .unused = UNUSED_PROFILE,
    };
    int code = options_parse(&line, argc, argv);
    if (code != EXIT_DONE || s.common.help)
        return code;
    if (o->outfile)
        drop_slashes((char *)o->outfile);
    code = convert_options_check(o, &s.write);
    if (code != EXIT_DONE)
        return code;
    if (!weights_choose(&s.network.source, o->model, o->is_file ? o->model : o->weights))
        return weights_missing(COMMAND, o->model, "weights");
    rml_error err;
    const rml_status status = run(&s, &err);
    release(&s);
    return exit_code(COMMAND, status, &err, 0);
}
