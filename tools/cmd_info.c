// run-model info: what a weights file or an ONNX file holds.
#include "tools/commands.h"
#include "tools/options.h"
#include "tools/report.h"

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

static totals add_up(const rml_weights *weights)
{
    totals t = {0};
    for (size_t i = 0; i < rml_weights_count(weights); i++) {
        rml_weight_info info = rml_weights_at(weights, i);
        uint64_t count = 1;
        for (int k = 0; k < info.shape.rank; k++)
            count *= (uint64_t)info.shape.dim[k];
        t.numbers += count;
        t.bytes += count * rml_dtype_size(info.dtype);
    }
    return t;
}

static void print_text(const rml_weights *weights, const char *path, const totals *t,
                       const network *n)
{
    for (size_t i = 0; i < rml_weights_count(weights); i++) {
        rml_weight_info info = rml_weights_at(weights, i);
        printf("%-5s %s ", rml_dtype_name(info.dtype), info.name);
        print_shape(stdout, &info.shape);
        printf("\n");
    }
    for (size_t i = 0; i < rml_weights_metadata_count(weights); i++) {
        rml_metadata entry = rml_weights_metadata_at(weights, i);
        printf("metadata %s: %s\n", entry.name, entry.text);
    }
    printf("%s: %s, %zu tensors, %llu numbers, %.1f MB\n", path, rml_weights_format(weights),
           rml_weights_count(weights), (unsigned long long)t->numbers, (double)t->bytes / 1e6);
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

static void print_json(const rml_weights *weights, const char *path, const totals *t,
                       const network *n)
{
    json_field("{\"file\":", path);
    json_field(",\"format\":", rml_weights_format(weights));
    printf(",\"tensors\":[");
    for (size_t i = 0; i < rml_weights_count(weights); i++) {
        rml_weight_info info = rml_weights_at(weights, i);
        json_field(i ? ",{\"name\":" : "{\"name\":", info.name);
        printf(",\"dtype\":\"%s\",\"shape\":", rml_dtype_name(info.dtype));
        json_shape(&info.shape);
        printf("}");
    }
    printf("],\"metadata\":{");
    for (size_t i = 0; i < rml_weights_metadata_count(weights); i++) {
        rml_metadata entry = rml_weights_metadata_at(weights, i);
        json_field(i ? "," : "", entry.name);
        json_field(":", entry.text);
    }
    printf("},\"numbers\":%llu,\"bytes\":%llu,\"network\":", (unsigned long long)t->numbers,
           (unsigned long long)t->bytes);
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
    const char *path = NULL;
    command_line line = {
        .command = COMMAND,
        .usage = "FILE|FOLDER",
        .summary = "Lists the tensors of a weights file (.pth, .safetensors, a folder of shards). "
                   "Nothing in\n"
                   "the file is executed. For the weights of a built-in network, also its cost. Of "
                   "an ONNX\n"
                   "file: inputs, outputs and operators.",
        .positional = &path,
        .positional_max = 1,
        .common = &common,
    };
    int code = options_parse(&line, argc, argv);
    if (code != EXIT_DONE || common.help)
        return code;
    if (!path)
        return usage_error(COMMAND, "no file is named");
    rml_error err;
    rml_weights *weights = NULL;
    rml_status status = rml_weights_open(&weights, path, NULL, &err);
    if (status == RML_OK && strcmp(rml_weights_format(weights), "onnx") == 0) {
        status = info_graph(path, common.json, &err);
    } else if (status == RML_OK) {
        const totals t = add_up(weights);
        const network n = recognise(weights);
        (common.json ? print_json : print_text)(weights, path, &t, &n);
    }
    rml_weights_close(&weights);
    return exit_code(COMMAND, status, &err, 0);
}
