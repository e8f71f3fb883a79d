// run-model info of an ONNX file: who wrote it, what goes in and out, and what is computed.
#include "tools/info_onnx.h"
#include "tools/options.h"
#include "tools/report.h"

#include "loaders/onnx/file.h"
#include "tensor/status.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct {
    const char *domain, *name;
    size_t count;
} operator_count;

typedef struct {
    const rml_onnx_node **node; // of all graphs
    size_t node_count;
    operator_count *operators; // the most frequent first
    size_t operator_count;
    size_t tensors; // initializers
    uint64_t numbers, bytes;
    bool runs; // here, or `why` says why not
    rml_error why;
    run_cost cost;
} contents;

// ---- counting ---------------------------------------------------------------------------------

// Appends the nodes of a graph and of the graphs inside it; counts only while `nodes` is NULL.
static size_t gather(const rml_onnx_graph *graph, const rml_onnx_node **nodes)
{
    size_t count = 0;
    for (size_t i = 0; i < graph->node_count; i++) {
        const rml_onnx_node *node = &graph->node[i];
        if (nodes)
            nodes[count] = node;
        count++;
        for (size_t k = 0; k < node->attribute_count; k++) {
            const rml_onnx_attribute *a = &node->attribute[k];
            for (size_t g = 0; a->kind == RML_ONNX_GRAPHS && g < a->count; g++)
                count += gather(&a->u.graph[g], nodes ? nodes + count : NULL);
        }
    }
    return count;
}

static size_t gather_all(const rml_onnx *file, const rml_onnx_node **nodes)
{
    size_t count = gather(rml_onnx_graph_of(file), nodes);
    for (size_t i = 0; i < rml_onnx_function_count(file); i++)
        count += gather(&rml_onnx_function_at(file, i)->body, nodes ? nodes + count : NULL);
    return count;
}

static int by_operator(const void *a, const void *b)
{
    const rml_onnx_node *x = *(const rml_onnx_node *const *)a;
    const rml_onnx_node *y = *(const rml_onnx_node *const *)b;
    const int order = strcmp(x->domain, y->domain);
    return order ? order : strcmp(x->op_type, y->op_type);
}

static int by_count(const void *a, const void *b)
{
    const operator_count *x = a, *y = b;
    if (x->count != y->count)
        return x->count < y->count ? 1 : -1;
    const int order = strcmp(x->domain, y->domain);
    return order ? order : strcmp(x->name, y->name);
}

static bool count_operators(contents *c, const rml_onnx *file)
{
    c->node_count = gather_all(file, NULL);
    c->node = malloc((c->node_count + 1) * sizeof *c->node);
    c->operators = malloc((c->node_count + 1) * sizeof *c->operators);
    if (!c->node || !c->operators)
        return false;
    gather_all(file, c->node);
    qsort(c->node, c->node_count, sizeof *c->node, by_operator);
    for (size_t i = 0; i < c->node_count; i++) {
        if (i == 0 || by_operator(&c->node[i - 1], &c->node[i]) != 0)
            c->operators[c->operator_count++] =
                (operator_count){c->node[i]->domain, c->node[i]->op_type, 0};
        c->operators[c->operator_count - 1].count++;
    }
    qsort(c->operators, c->operator_count, sizeof *c->operators, by_count);
    return true;
}

static void count_initializers(contents *c, const rml_onnx *file)
{
    for (uint32_t i = 0; i < rml_onnx_value_count(file); i++) {
        const rml_onnx_tensor *tensor = rml_onnx_value_at(file, i)->tensor;
        if (!tensor)
            continue;
        uint64_t count = 1;
        for (int k = 0; k < tensor->stored.shape.rank; k++)
            count *= (uint64_t)tensor->stored.shape.dim[k];
        c->tensors++;
        c->numbers += count;
        c->bytes += tensor->readable ? count * rml_dtype_size(tensor->stored.dtype) : 0;
    }
}

// ---- printing ---------------------------------------------------------------------------------

// "f32" where this library has the type, otherwise as ONNX calls it.
static const char *type_name(const rml_onnx_type *type)
{
    static const char *const kinds[] = {
        [RML_ONNX_TENSOR] = "?",          [RML_ONNX_SPARSE] = "sparse",
        [RML_ONNX_SEQUENCE] = "sequence", [RML_ONNX_OPTIONAL] = "optional",
        [RML_ONNX_MAP] = "map",           [RML_ONNX_OPAQUE] = "opaque",
    };
    rml_dtype dtype;
    if (!type || type->kind != RML_ONNX_TENSOR)
        return type ? kinds[type->kind] : "?";
    if (rml_onnx_element_dtype(type->element, &dtype))
        return rml_dtype_name(dtype);
    const char *name = rml_onnx_element_name(type->element);
    return name ? name : "?";
}

static void print_ports(const char *what, const rml_onnx *file, const uint32_t *value, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        const rml_onnx_value *v = rml_onnx_value_at(file, value[i]);
        printf("%-6s %-5s %s", what, type_name(v->type), v->name);
        if (v->type && v->type->has_shape) {
            printf(" (");
            for (int k = 0; k < v->type->shape.rank; k++) {
                printf("%s", k ? "," : "");
                if (v->type->dim_name[k])
                    printf("%s", v->type->dim_name[k]);
                else if (v->type->shape.dim[k] < 0)
                    printf("?");
                else
                    printf("%lld", (long long)v->type->shape.dim[k]);
            }
            printf(")");
        }
        printf("\n");
    }
}

static void print_text(const rml_onnx *file, const char *path, const contents *c)
{
    const rml_onnx_header *header = rml_onnx_header_of(file);
    const rml_onnx_graph *graph = rml_onnx_graph_of(file);
    print_ports("input", file, graph->input, graph->input_count);
    print_ports("output", file, graph->output, graph->output_count);
    for (size_t i = 0; i < c->operator_count; i++) {
        const operator_count *o = &c->operators[i];
        printf("%6zu %s%s%s\n", o->count, o->domain, *o->domain ? "." : "", o->name);
    }
    printf("%s: onnx, IR version %lld", path, (long long)header->ir_version);
    for (size_t i = 0; i < header->opset_count; i++)
        printf(", operator set %s%s%lld", header->opset[i].domain,
               *header->opset[i].domain ? " " : "", (long long)header->opset[i].version);
    if (*header->producer_name)
        printf(", by %s%s%s", header->producer_name, *header->producer_version ? " " : "",
               header->producer_version);
    printf("\n%zu nodes", c->node_count);
    if (rml_onnx_function_count(file) > 0)
        printf(", %zu functions", rml_onnx_function_count(file));
    printf("; %zu initializers, %llu numbers, %.1f MB\n", c->tensors,
           (unsigned long long)c->numbers, (double)c->bytes / 1e6);
    if (!c->runs)
        printf("does not run here: %s\n", c->why.message);
    else if (!c->cost.planned)
        printf("runs, partly planned on the way: sizes inside depend on what it computes\n");
    else
        print_run_cost(&c->cost);
}

static void json_ports(const char *what, const rml_onnx *file, const uint32_t *value, size_t count)
{
    printf(",\"%s\":[", what);
    for (size_t i = 0; i < count; i++) {
        const rml_onnx_value *v = rml_onnx_value_at(file, value[i]);
        printf("%s{\"name\":", i ? "," : "");
        json_text(stdout, v->name);
        printf(",\"dtype\":\"%s\",\"shape\":", type_name(v->type));
        if (v->type && v->type->has_shape) {
            json_shape(stdout, &v->type->shape);
            printf(",\"names\":[");
            for (int k = 0; k < v->type->shape.rank; k++) {
                printf("%s", k ? "," : "");
                if (v->type->dim_name[k])
                    json_text(stdout, v->type->dim_name[k]);
                else
                    printf("null");
            }
            printf("]");
        } else {
            printf("null");
        }
        printf("}");
    }
    printf("]");
}

static void print_json(const rml_onnx *file, const char *path, const contents *c)
{
    const rml_onnx_header *header = rml_onnx_header_of(file);
    const rml_onnx_graph *graph = rml_onnx_graph_of(file);
    printf("{\"file\":");
    json_text(stdout, path);
    printf(",\"format\":\"onnx\",\"ir_version\":%lld,\"producer\":", (long long)header->ir_version);
    json_text(stdout, header->producer_name);
    printf(",\"producer_version\":");
    json_text(stdout, header->producer_version);
    printf(",\"opsets\":[");
    for (size_t i = 0; i < header->opset_count; i++) {
        printf("%s{\"domain\":", i ? "," : "");
        json_text(stdout, header->opset[i].domain);
        printf(",\"version\":%lld}", (long long)header->opset[i].version);
    }
    printf("]");
    json_ports("inputs", file, graph->input, graph->input_count);
    json_ports("outputs", file, graph->output, graph->output_count);
    printf(",\"operators\":[");
    for (size_t i = 0; i < c->operator_count; i++) {
        printf("%s{\"domain\":", i ? "," : "");
        json_text(stdout, c->operators[i].domain);
        printf(",\"name\":");
        json_text(stdout, c->operators[i].name);
        printf(",\"count\":%zu}", c->operators[i].count);
    }
    printf("],\"nodes\":%zu,\"functions\":%zu,\"initializers\":%zu,\"numbers\":%llu,\"bytes\":%llu",
           c->node_count, rml_onnx_function_count(file), c->tensors, (unsigned long long)c->numbers,
           (unsigned long long)c->bytes);
    if (c->runs && c->cost.planned)
        printf(",\"runs\":true,\"macs\":%llu,\"planned_bytes\":%zu}\n",
               (unsigned long long)c->cost.macs, c->cost.planned_bytes);
    else if (c->runs)
        printf(",\"runs\":true,\"macs\":null,\"planned_bytes\":null}\n");
    else {
        printf(",\"runs\":false,\"reason\":");
        json_text(stdout, c->why.message);
        printf("}\n");
    }
}

static void try_to_run(contents *c, const char *path)
{
    rml_model *model = NULL;
    c->runs = rml_model_open(&model, path, NULL, &c->why) == RML_OK;
    if (c->runs)
        c->cost = run_cost_of(model);
    rml_model_destroy(&model);
}

bool info_onnx(const char *command, const char *path, bool json, int *code)
{
    rml_error err;
    rml_onnx *file = NULL;
    contents c = {.node = NULL};
    if (!rml_onnx_recognise(path))
        return false;
    *code = EXIT_DONE;
    if (rml_onnx_open(&file, path, NULL, &err) != RML_OK) {
        *code = failure(command, &err);
        return true;
    }
    if (!count_operators(&c, file)) {
        rml_fail_nomem(&err, c.node_count * sizeof *c.operators, "a list of operators");
        *code = failure(command, &err);
    } else {
        count_initializers(&c, file);
        try_to_run(&c, path);
        if (json)
            print_json(file, path, &c);
        else
            print_text(file, path, &c);
    }
    free(c.node);
    free(c.operators);
    rml_onnx_close(&file);
    return true;
}
