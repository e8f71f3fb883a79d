// run-model info of a network in a file: who wrote it, what goes in and out, and what is computed.
#include "tools/commands.h"
#include "tools/report.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

typedef struct {
    const rml_graph_file *file;
    rml_graph_summary summary;
    const rml_model *model; // NULL: it does not run here, and `why` says why
    rml_error why;
    run_cost cost;
} contents;

typedef enum port_kind { INPUT, OUTPUT, STATE } port_kind;

static size_t port_count(const contents *c, port_kind kind)
{
    return kind == INPUT    ? c->summary.inputs
           : kind == OUTPUT ? c->summary.outputs
                            : (size_t)c->summary.states;
}

static rml_graph_port port_at(const contents *c, port_kind kind, size_t index)
{
    return kind == INPUT    ? rml_graph_file_input(c->file, index)
           : kind == OUTPUT ? rml_graph_file_output(c->file, index)
                            : rml_graph_file_state(c->file, index);
}

static const rml_meaning *meaning_of(const contents *c, port_kind kind, const char *name)
{
    const bool input = kind == INPUT;
    if (!c->model || kind == STATE)
        return NULL;
    const size_t at =
        input ? rml_model_find_input(c->model, name) : rml_model_find_output(c->model, name);
    return input ? rml_model_input(c->model, at).meaning : rml_model_output(c->model, at).meaning;
}

static const rml_limits *limits_of(const contents *c, port_kind kind, const char *name)
{
    return c->model && kind == INPUT
               ? rml_model_input(c->model, rml_model_find_input(c->model, name)).limits
               : NULL;
}

// What is allowed, and what is taken where nobody says another.
static void print_limits(const rml_limits *limits)
{
    if (*limits->text) {
        printf("       allowed: %s; without saying ", limits->text);
        print_shape(stdout, &limits->usual);
        printf("\n");
    }
    if (limits->optional)
        printf("       may be left out: %g then\n", limits->fill);
}

// Of a classifier's labels how many there are and the first three; of pictures what is odd.
static void print_meaning(const char *name, const rml_meaning *meaning)
{
    if (meaning->kind == RML_MEANS_IMAGE && meaning->dark)
        printf("warning: %s is an image of levels 0 to 255, and the network ends in what gives at "
               "most 1: black pictures\n",
               name);
    if (meaning->kind != RML_MEANS_LABEL || meaning->label_count == 0)
        return;
    printf("       %zu labels: ", meaning->label_count);
    for (size_t i = 0; i < meaning->label_count && i < 3; i++)
        printf("%s%s", i ? ", " : "", meaning->label[i]);
    printf(meaning->label_count > 3 ? ", ...\n" : "\n");
}

static void print_ports(const contents *c, port_kind kind)
{
    static const char *const names[] = {"input", "output", "state"};
    for (size_t i = 0; i < port_count(c, kind); i++) {
        const rml_graph_port port = port_at(c, kind, i);
        printf("%-6s %-5s %s", names[kind], port.type, port.name);
        for (int k = 0; k < port.shape.rank; k++) {
            printf(k ? "," : " (");
            if (port.dim_name[k])
                printf("%s", port.dim_name[k]);
            else if (port.shape.dim[k] < 0)
                printf("?");
            else
                printf("%lld", (long long)port.shape.dim[k]);
        }
        printf(port.shape.rank > 0 ? ")\n" : port.shape.rank == 0 ? " ()\n" : "\n");
        const rml_limits *limits = limits_of(c, kind, port.name);
        if (limits)
            print_limits(limits);
        const rml_meaning *meaning = meaning_of(c, kind, port.name);
        if (meaning)
            print_meaning(port.name, meaning);
    }
}

static void print_text(const char *path, const contents *c)
{
    const rml_graph_summary *s = &c->summary;
    for (size_t i = 0; rml_graph_file_function(c->file, i); i++)
        printf("function %s%s\n", rml_graph_file_function(c->file, i),
               i == s->function ? ", this one" : "");
    print_ports(c, INPUT);
    print_ports(c, OUTPUT);
    print_ports(c, STATE);
    for (size_t i = 0; i < s->operators; i++) {
        const rml_graph_operator o = rml_graph_file_operator(c->file, i);
        printf("%6zu %s%s%s\n", o.count, o.domain, *o.domain ? "." : "", o.name);
    }
    for (size_t i = 0; i < s->metadata; i++) {
        const rml_metadata entry = rml_graph_file_metadata(c->file, i);
        printf("metadata %s: %s\n", entry.name, entry.text);
    }
    const bool onnx = strcmp(s->format, "onnx") == 0;
    printf("%s: %s, %s version %lld", path, s->format, onnx ? "IR" : "specification",
           (long long)s->format_version);
    for (size_t i = 0; i < s->opsets; i++) {
        const rml_graph_opset opset = rml_graph_file_opset(c->file, i);
        printf(", operator set %s%s%lld", opset.domain, *opset.domain ? " " : "",
               (long long)opset.version);
    }
    if (*s->producer)
        printf(", by %s%s%s", s->producer, *s->producer_version ? " " : "", s->producer_version);
    printf("\n%zu nodes", s->nodes);
    if (s->functions > 0)
        printf(", %zu functions", s->functions);
    printf("; %zu %s, %llu numbers, %.1f MB\n", s->constants, onnx ? "initializers" : "constants",
           (unsigned long long)s->numbers, (double)s->bytes / 1e6);
    if (!c->model)
        printf("does not run here: %s\n", c->why.message);
    else if (!c->cost.planned)
        printf("runs, partly planned on the way: sizes inside depend on what it computes\n");
    else
        print_run_cost(&c->cost);
}

static void json_ports(const contents *c, port_kind kind)
{
    static const char *const names[] = {"inputs", "outputs", "states"};
    printf(",\"%s\":[", names[kind]);
    for (size_t i = 0; i < port_count(c, kind); i++) {
        const rml_graph_port port = port_at(c, kind, i);
        json_field(i ? ",{\"name\":" : "{\"name\":", port.name);
        const rml_meaning *meaning = meaning_of(c, kind, port.name);
        if (meaning && meaning->label_count) {
            printf(",\"labels\":%zu,\"first_labels\":[", meaning->label_count);
            for (size_t k = 0; k < meaning->label_count && k < 3; k++)
                json_field(k ? "," : "", meaning->label[k]);
            printf("]");
        }
        if (meaning && meaning->dark)
            printf(",\"black\":true");
        const rml_limits *limits = limits_of(c, kind, port.name);
        if (limits && *limits->text) {
            json_field(",\"allowed\":", limits->text);
            printf(",\"usual\":");
            json_shape(&limits->usual);
        }
        if (limits && limits->optional)
            printf(isfinite(limits->fill) ? ",\"optional\":true,\"default\":%.9g"
                                          : ",\"optional\":true,\"default\":\"%g\"",
                   limits->fill);
        printf(",\"dtype\":\"%s\",\"shape\":", port.type);
        if (port.shape.rank < 0) {
            printf("null}");
            continue;
        }
        json_shape(&port.shape);
        printf(",\"names\":[");
        for (int k = 0; k < port.shape.rank; k++) {
            printf(k ? "," : "");
            if (port.dim_name[k])
                json_text(port.dim_name[k]);
            else
                printf("null");
        }
        printf("]}");
    }
    printf("]");
}

static void print_json(const char *path, const contents *c)
{
    const rml_graph_summary *s = &c->summary;
    json_field("{\"file\":", path);
    printf(",\"format\":\"%s\",\"ir_version\":%lld,\"producer\":", s->format,
           (long long)s->format_version);
    json_text(s->producer);
    json_field(",\"producer_version\":", s->producer_version);
    printf(",\"opsets\":[");
    for (size_t i = 0; i < s->opsets; i++) {
        const rml_graph_opset opset = rml_graph_file_opset(c->file, i);
        json_field(i ? ",{\"domain\":" : "{\"domain\":", opset.domain);
        printf(",\"version\":%lld}", (long long)opset.version);
    }
    printf("],\"metadata\":{");
    for (size_t i = 0; i < s->metadata; i++) {
        const rml_metadata entry = rml_graph_file_metadata(c->file, i);
        json_field(i ? "," : "", entry.name);
        json_field(":", entry.text);
    }
    printf("}");
    json_ports(c, INPUT);
    json_ports(c, OUTPUT);
    if (s->states)
        json_ports(c, STATE);
    printf(",\"operators\":[");
    for (size_t i = 0; i < s->operators; i++) {
        const rml_graph_operator o = rml_graph_file_operator(c->file, i);
        json_field(i ? ",{\"domain\":" : "{\"domain\":", o.domain);
        json_field(",\"name\":", o.name);
        printf(",\"count\":%zu}", o.count);
    }
    printf("]");
    if (rml_graph_file_function(c->file, 0)) {
        json_field(",\"function\":", rml_graph_file_function(c->file, (size_t)s->function));
        printf(",\"function_names\":[");
        for (size_t i = 0; rml_graph_file_function(c->file, i); i++)
            json_field(i ? "," : "", rml_graph_file_function(c->file, i));
        printf("]");
    }
    printf(",\"nodes\":%zu,\"functions\":%zu,\"initializers\":%zu,\"numbers\":%llu,\"bytes\":%llu",
           s->nodes, s->functions, s->constants, (unsigned long long)s->numbers,
           (unsigned long long)s->bytes);
    if (c->model && c->cost.planned)
        printf(",\"runs\":true,\"macs\":%llu,\"planned_bytes\":%zu}\n",
               (unsigned long long)c->cost.macs, c->cost.planned_bytes);
    else if (c->model)
        printf(",\"runs\":true,\"macs\":null,\"planned_bytes\":null}\n");
    else {
        json_field(",\"runs\":false,\"reason\":", c->why.message);
        printf("}\n");
    }
}

void info_graph(rml_graph_file *file, const char *path, const char *function, bool json)
{
    rml_model *model = NULL;
    contents c = {0};
    rml_model_settings settings = rml_model_settings_default();
    settings.function = function;
    c.file = file;
    c.summary = rml_graph_file_summary(file);
    if (rml_graph_file_model(&model, file, &settings, &c.why) == RML_OK)
        c.cost = run_cost_of(model);
    c.model = model;
    (json ? print_json : print_text)(path, &c);
    rml_model_destroy(&model);
}
