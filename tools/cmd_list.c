// run-model list: networks, their inputs and outputs, and what this build can do.
#include "tools/commands.h"
#include "tools/options.h"
#include "tools/report.h"

#include <stdio.h>

#define COMMAND "list"

#ifdef RML_WITH_LIBAV
#define HAS_LIBAV true
#else
#define HAS_LIBAV false
#endif
// What reads and writes the images that need a library.
#ifdef RML_WITH_PNG
#define HAS_PNG "libpng"
#elif defined(RML_WITH_STB)
#define HAS_PNG "stb"
#else
#define HAS_PNG "no"
#endif
#ifdef RML_WITH_JPEG
#define HAS_JPEG "libjpeg-turbo"
#elif defined(RML_WITH_STB)
#define HAS_JPEG "stb"
#else
#define HAS_JPEG "no"
#endif
#ifdef RML_WITH_TIFF
#define HAS_TIFF "libtiff"
#else
#define HAS_TIFF "no"
#endif
#ifdef RML_WITH_WEBP
#define HAS_WEBP "libwebp"
#else
#define HAS_WEBP "no"
#endif

static void print_ports(const rml_model *model, bool input, bool json)
{
    size_t count = input ? rml_model_input_count(model) : rml_model_output_count(model);
    if (json)
        printf(",\"%s\":[", input ? "inputs" : "outputs");
    for (size_t i = 0; i < count; i++) {
        rml_port port = input ? rml_model_input(model, i) : rml_model_output(model, i);
        if (json) {
            json_field(i ? ",{\"name\":" : "{\"name\":", port.name);
            printf(",\"dtype\":\"%s\",\"shape\":", rml_dtype_name(port.dtype));
            json_shape(&port.shape);
            printf("}");
        } else {
            printf("    %-6s %s ", input ? "input" : "output", port.name);
            print_shape(stdout, &port.shape);
            printf("\n");
        }
    }
    if (json)
        printf("]");
}

int cmd_list(int argc, char **argv)
{
    common_options common = {0};
    command_line line = {
        .command = COMMAND,
        .usage = "",
        .summary = "Shows the built-in networks with their inputs and outputs (? where a size may\n"
                   "change), the CPU level in use, precisions and build options.",
        .common = &common,
        .unused = UNUSED_THREADS | UNUSED_PRECISION | UNUSED_PROFILE,
    };
    int code = options_parse(&line, argc, argv);
    if (code != EXIT_DONE || common.help)
        return code;
    printf(common.json ? "{\"networks\":[" : "Networks:\n");
    const rml_model_desc *desc;
    for (size_t i = 0; (desc = rml_model_list(i)) != NULL; i++) {
        rml_model *model = NULL;
        rml_error err;
        if (rml_model_create(&model, desc->name, NULL, NULL, &err) != RML_OK)
            return failure(COMMAND, &err);
        if (common.json) {
            json_field(i ? ",{\"name\":" : "{\"name\":", desc->name);
            json_field(",\"summary\":", desc->summary);
        } else {
            printf("  %s: %s\n", desc->name, desc->summary);
        }
        print_ports(model, true, common.json);
        print_ports(model, false, common.json);
        uint64_t parameters = rml_model_parameters(model);
        if (common.json)
            printf(",\"parameters\":%llu}", (unsigned long long)parameters);
        else
            printf("    %.1f million parameters at the published size\n", (double)parameters / 1e6);
        rml_model_destroy(&model);
    }
    const char *quote = common.json ? "\"" : "", *yes = common.json ? "true" : "yes";
    const char *no = common.json ? "false" : "no", *between = "";
    printf(common.json ? "],\"cpu\":\"%s\",\"threads\":%d,\"precisions\":["
                       : "CPU level: %s\nThreads: %d\nPrecisions: ",
           rml_cpu_level_name(rml_cpu_level_best()), rml_threads_default());
    rml_feature feature;
    rml_precision precision;
    bool threads = false;
    for (size_t i = 0; (feature = rml_feature_at(i)).name; i++) {
        threads = threads || (feature.kind == RML_FEATURE_BUILD && feature.built);
        if (feature.kind != RML_FEATURE_PRECISION ||
            !rml_precision_parse(feature.name, &precision) ||
            !rml_precision_available(precision, common.cpu))
            continue;
        printf("%s%s%s%s", between, quote, feature.name, quote);
        between = common.json ? "," : ", ";
    }
    printf(
        common.json
            ? "],\"build\":{\"threads\":%s,\"libav\":%s,\"png\":\"%s\",\"jpeg\":\"%s\","
              "\"tiff\":\"%s\",\"webp\":\"%s\"}}\n"
            : "\nBuilt with: threads %s, video and audio %s, PNG %s, JPEG %s, TIFF %s, WebP %s\n",
        threads ? yes : no, HAS_LIBAV ? yes : no, HAS_PNG, HAS_JPEG, HAS_TIFF, HAS_WEBP);
    return EXIT_DONE;
}
