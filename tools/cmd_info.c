// run-model info: what a file of weights or a network (ONNX, Core ML) holds.
#include "tools/commands.h"
#include "tools/options.h"
#include "tools/report.h"

#include "pipelines/made.h"

#include <stdio.h>
#include <string.h>

#define COMMAND "info"
#define ALSO_MAX 8

typedef struct {
    const char *name;           // NULL: none of the built-in networks
    const char *also[ALSO_MAX]; // others that run on the same weights
    int also_count;
    uint64_t parameters;
    run_cost cost;
} network;

static network recognise(const rml_weights *weights)
{
    network n = {0};
    const rml_model_desc *desc;
    for (size_t i = 0; (desc = rml_model_list(i)) != NULL; i++) {
        rml_model *model = NULL;
        if (rml_model_create(&model, desc->name, weights, NULL, NULL) != RML_OK)
            continue;
        if (!n.name) {
            n.name = desc->name;
            n.parameters = rml_model_parameters(model);
            n.cost = run_cost_of(model);
        } else if (n.also_count < ALSO_MAX) {
            n.also[n.also_count++] = desc->name;
        }
        rml_model_destroy(&model);
    }
    return n;
}

typedef struct {
    uint64_t numbers, bytes;
} totals;

typedef rml_weight_info (*entry_fn)(const rml_weights *weights, size_t index);

static totals add_up(const rml_weights *weights, size_t entries, entry_fn at)
{
    totals t = {0};
    for (size_t i = 0; i < entries; i++) {
        const rml_weight_info info = at(weights, i);
        size_t count;
        if (!count_elements(&info.shape, &count)) // of what the file does not hold as such
            continue;
        t.numbers += count;
        t.bytes += info.element_bits % 8 ? ((uint64_t)count * info.element_bits + 7) / 8
                                         : (uint64_t)count * (info.element_bits / 8);
    }
    return t;
}

static void print_entry(const rml_weights *weights, const rml_weight_info *info, bool beside)
{
    printf("%-5s %s ", info->type, info->name);
    print_shape(stdout, &info->shape);
    if (info->same_as)
        printf(", the same as %s", rml_weights_at(weights, info->same_as - 1).name);
    printf("%s\n", beside ? ", beside the weights" : "");
}

static void print_text(const rml_weights *weights, const char *path, const network *n)
{
    const size_t count = rml_weights_count(weights), more = rml_weights_beside_count(weights);
    const totals t = add_up(weights, count, rml_weights_at);
    const totals beside = add_up(weights, more, rml_weights_beside_at);
    for (size_t i = 0; i < count; i++) {
        const rml_weight_info info = rml_weights_at(weights, i);
        print_entry(weights, &info, false);
    }
    for (size_t i = 0; i < more; i++) {
        const rml_weight_info info = rml_weights_beside_at(weights, i);
        print_entry(weights, &info, true);
    }
    for (size_t i = 0; i < rml_weights_metadata_count(weights); i++) {
        rml_metadata entry = rml_weights_metadata_at(weights, i);
        printf("metadata %s: %s\n", entry.name, entry.text);
    }
    printf("%s: %s, %zu tensors, %llu numbers, %.1f MB\n", path, rml_weights_format(weights), count,
           (unsigned long long)t.numbers, (double)t.bytes / 1e6);
    if (more)
        printf("beside the weights: %zu tensors, %llu numbers, %.1f MB\n", more,
               (unsigned long long)beside.numbers, (double)beside.bytes / 1e6);
    if (!n->name) {
        printf("network: none of the built-in ones\n");
        return;
    }
    printf("network: %s, %llu parameters", n->name, (unsigned long long)n->parameters);
    for (int i = 0; i < n->also_count; i++)
        printf("%s%s", i ? ", " : "; also ", n->also[i]);
    printf("\n");
    print_run_cost(&n->cost);
}

static void json_entries(const rml_weights *weights, size_t entries, entry_fn at)
{
    putchar('[');
    for (size_t i = 0; i < entries; i++) {
        const rml_weight_info info = at(weights, i);
        json_field(i ? ",{\"name\":" : "{\"name\":", info.name);
        json_field(",\"dtype\":", info.type);
        printf(",\"shape\":");
        json_shape(&info.shape);
        if (info.same_as)
            json_field(",\"same_as\":", rml_weights_at(weights, info.same_as - 1).name);
        if (info.unreadable)
            printf(",\"readable\":false");
        putchar('}');
    }
    putchar(']');
}

static void print_json(const rml_weights *weights, const char *path, const network *n)
{
    const size_t count = rml_weights_count(weights);
    const totals t = add_up(weights, count, rml_weights_at);
    json_field("{\"file\":", path);
    json_field(",\"format\":", rml_weights_format(weights));
    printf(",\"tensors\":");
    json_entries(weights, count, rml_weights_at);
    printf(",\"beside\":");
    json_entries(weights, rml_weights_beside_count(weights), rml_weights_beside_at);
    printf(",\"metadata\":{");
    for (size_t i = 0; i < rml_weights_metadata_count(weights); i++) {
        rml_metadata entry = rml_weights_metadata_at(weights, i);
        json_field(i ? "," : "", entry.name);
        json_field(":", entry.text);
    }
    printf("},\"numbers\":%llu,\"bytes\":%llu,\"network\":", (unsigned long long)t.numbers,
           (unsigned long long)t.bytes);
    if (n->name) {
        json_text(n->name);
        printf(",\"parameters\":%llu,\"macs\":%llu,\"planned_bytes\":%zu",
               (unsigned long long)n->parameters, (unsigned long long)n->cost.macs,
               n->cost.planned_bytes);
        printf(",\"also\":[");
        for (int i = 0; i < n->also_count; i++) {
            json_field(i ? "," : "", n->also[i]);
        }
        printf("]");
    } else {
        printf("null");
    }
    printf("}\n");
}

int cmd_info(int argc, char **argv)
{
    common_options common = {0};
    const char *path = NULL, *function = NULL;
    const option options[] = {
        {"function", 0, OPTION_TEXT, &function, "NAME", 0, 0,
         "which function of an ML Program to tell about; without:\nits default one"},
    };
    command_line line = {
        .command = COMMAND,
        .usage = "FILE|FOLDER [--function NAME]",
        .summary =
            "Lists the tensors of a weights file (.pth, .safetensors, a folder of shards). "
            "Nothing in\n"
            "the file is executed. For the weights of a built-in network, also its cost. Of "
            "an ONNX\n"
            "file or a Core ML model: inputs, outputs and operators. Of a video that a lip-sync "
            "command\n"
            "wrote: how it was made.",
        .options = options,
        .option_count = sizeof options / sizeof options[0],
        .positional = &path,
        .positional_max = 1,
        .common = &common,
        .unused = UNUSED_THREADS | UNUSED_CPU | UNUSED_PRECISION | UNUSED_PROFILE,
    };
    int code = options_parse(&line, argc, argv);
    if (code != EXIT_DONE || common.help)
        return code;
    if (!path)
        return usage_error(COMMAND, "no file is named");
    rml_error err;
    if (rml_made_is_video(path)) {
        bool is_video = true;
        const rml_status told = info_video(path, common.json, &is_video, &err);
        if (is_video)
            return exit_code(COMMAND, told, &err, 0);
    }
    rml_graph_file *file = NULL;
    rml_weights *weights = NULL;
    rml_status status = RML_ERR_FORMAT;
    if (is_graph_file(path))
        status = rml_graph_file_open_function(&file, path, function, NULL, &err);
    if (status != RML_OK) // or its name tells something else
        status = rml_weights_open(&weights, path, NULL, &err);
    if (status == RML_OK && weights && is_graph_format(rml_weights_format(weights)))
        status = rml_graph_file_open_function(&file, path, function, NULL, &err);
    if (status == RML_OK && file) {
        info_graph(file, path, function, common.json);
    } else if (status == RML_OK && function) {
        status = rml_fail(&err, RML_ERR_ARG,
                          "%s: --function is of ML Programs, and this holds weights", path);
    } else if (status == RML_OK) {
        const network n = recognise(weights);
        (common.json ? print_json : print_text)(weights, path, &n);
    }
    rml_weights_close(&weights);
    rml_graph_file_close(&file);
    return exit_code(COMMAND, status, &err, 0);
}
