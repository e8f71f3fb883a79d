// Which options of run-model convert go together.
#include "tools/convert/convert_options.h"

#include "pipelines/convert/convert.h"
#include "tools/find_weights.h"
#include "tools/report.h"

#include <stdlib.h>
#include <string.h>

#define COMMAND "convert"

enum { LEAST_IOS = 12, MOST_IOS = 18 };

static bool parse_target(const char *text, int *ios)
{
    char *end;
    const long version = strncmp(text, "ios", 3) == 0 ? strtol(text + 3, &end, 10) : 0;
    *ios = (int)version;
    return version >= LEAST_IOS && version <= MOST_IOS && !*end;
}

// What the kind of file has no room for.
static int check_kind(const convert_options *o, const rml_write_settings *write)
{
    const char *coreml_only = o->target                ? "target"
                              : o->labels              ? "labels"
                              : o->image_inputs.count  ? "image_input"
                              : o->image_outputs.count ? "image_output"
                              : o->flexible.count      ? "flexible"
                                                       : NULL;
    const char *told = write->author        ? "author"
                       : write->license     ? "license"
                       : write->description ? "description"
                       : write->version     ? "version_string"
                                            : NULL;
    const bool onnx = rml_ends_in(o->outfile, ".onnx");
    if (coreml_only && !o->coreml)
        return usage_error(COMMAND, "--%s is for Core ML files, and %s is none", coreml_only,
                           o->outfile);
    if (told && !o->coreml && !onnx)
        return usage_error(COMMAND, "--%s is for ONNX and Core ML files, and %s is none", told,
                           o->outfile);
    if (write->opset && !onnx)
        return usage_error(COMMAND, "--opset is for ONNX files, and %s is none", o->outfile);
    if (rml_ends_in(o->outfile, ".mlpackage") && o->target && write->ios < 15)
        return usage_error(COMMAND,
                           "--target %s: a package holds an ML Program, which needs ios15; an "
                           ".mlmodel does not",
                           o->target);
    return EXIT_DONE;
}

static int check_weights_type(const convert_options *o, rml_write_settings *write)
{
    const int kinds = o->fp16 + (o->quantize != NULL) + (o->palette_bits > 0);
    if (kinds > 1)
        return usage_error(COMMAND, "--fp16, --quantize and --palettize are one or the other");
    if (o->quantize && strcmp(o->quantize, "int8") != 0)
        return usage_error(COMMAND, "--quantize is int8, not '%s'", o->quantize);
    write->weights = o->fp16           ? RML_WRITE_F16
                     : o->quantize     ? RML_WRITE_INT8
                     : o->palette_bits ? RML_WRITE_PALETTE
                                       : RML_WRITE_F32;
    write->palette_bits = o->palette_bits;
    return EXIT_DONE;
}

static int check_images(convert_options *o)
{
    const bool scaled = o->image_scale.count || o->red_bias.count || o->green_bias.count ||
                        o->blue_bias.count || o->gray_bias.count || o->image_mean || o->image_std;
    const bool pictures = !o->is_file && strcmp(o->model, "mobilenetv2") == 0 && o->coreml;
    if (o->normalize && strcmp(o->normalize, "torchvision") != 0)
        return usage_error(COMMAND, "--normalize is torchvision, not '%s'", o->normalize);
    if (o->normalize && (scaled || o->no_normalize))
        return usage_error(COMMAND, "--normalize leaves no room for other scales and biases");
    if (pictures && o->labels && !o->image_inputs.count)
        o->image_inputs.items[o->image_inputs.count++].value = "image";
    if (pictures && o->image_inputs.count && !scaled && !o->no_normalize)
        o->normalize = "torchvision";
    if (o->no_normalize && !(pictures && o->image_inputs.count))
        return usage_error(COMMAND, "--no_normalize is for the image of mobilenetv2: say --labels "
                                    "or --image_input");
    if (o->normalize && !o->image_inputs.count)
        return usage_error(COMMAND, "--normalize is for an image: say --image_input");
    if (o->bgr && !o->image_inputs.count && !o->image_outputs.count)
        return usage_error(COMMAND, "--bgr is for images: say --image_input or --image_output");
    return EXIT_DONE;
}

static int check_classifier(const convert_options *o, const rml_write_settings *write)
{
    if (o->mode && strcmp(o->mode, "classifier") != 0)
        return usage_error(COMMAND, "--mode is classifier, not '%s'", o->mode);
    if (o->labels)
        return EXIT_DONE;
    if (o->mode)
        return usage_error(COMMAND, "a classifier has names of classes: give --labels FILE");
    if (write->label_name || o->unique_labels)
        return usage_error(COMMAND, "--%s is of a classifier: give --labels FILE",
                           write->label_name ? "predicted_feature_name" : "unique_labels");
    return EXIT_DONE;
}

int convert_options_check(convert_options *o, rml_write_settings *write)
{
    static const char *const endings[] = {".onnx", ".mlmodel", ".mlpackage", ".safetensors"};
    const network_names names = {o->model, o->weights, o->config, o->function};
    bool known = false;
    int code = network_check(COMMAND, &names, &o->is_file);
    if (code != EXIT_DONE)
        return code;
    if (!o->outfile)
        return usage_error(COMMAND, "no --outfile: where is the network to go?");
    for (size_t i = 0; i < sizeof endings / sizeof *endings; i++)
        known = known || rml_ends_in(o->outfile, endings[i]);
    if (!known)
        return usage_error(COMMAND,
                           "%s: what can be written ends in .onnx, .mlmodel, .mlpackage or "
                           ".safetensors",
                           o->outfile);
    if (o->target && !parse_target(o->target, &write->ios))
        return usage_error(COMMAND, "--target is ios%d to ios%d, not '%s'", LEAST_IOS, MOST_IOS,
                           o->target);
    o->coreml = rml_ends_in(o->outfile, ".mlmodel") || rml_ends_in(o->outfile, ".mlpackage");
    code = check_kind(o, write);
    code = code == EXIT_DONE ? check_weights_type(o, write) : code;
    code = code == EXIT_DONE ? check_classifier(o, write) : code;
    return code == EXIT_DONE ? check_images(o) : code;
}
