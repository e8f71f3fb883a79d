// The rules of ONNX: nodes by the signatures of their operators, then types and shapes, which
// importing tells.
#include "loaders/check/check.h"
#include "loaders/check/onnx_signatures.h"

#include "loaders/onnx/file.h"
#include "loaders/onnx/model.h"
#include "tensor/dtype.h"

#include <stdio.h>
#include <string.h>

typedef struct watcher {
    rml_checker *checker;
    const rml_onnx *file;
    const rml_onnx_node *faulty; // whose refusal would be told twice
} watcher;

static const char *place_of(char out[RML_PLACE_BYTES], const rml_onnx *file,
                            const rml_onnx_node *node)
{
    return rml_check_place(out, "node", rml_onnx_node_name(file, node), node->op_type);
}

// Other domains and functions of the file have none in the table.
static bool has_signature(const rml_onnx_node *node)
{
    return !node->function && (!*node->domain || strncmp(node->domain, "ai.onnx.", 8) == 0);
}

// ---- nodes alone --------------------------------------------------------------------------------

// "input" or "output": how many there are, and whether those that are wanted have a name.
static void check_side(rml_checker *checker, const char *place, const char *what, rml_text side,
                       const uint32_t *value, size_t count, int64_t opset)
{
    size_t least, most;
    rml_onnx_formal formal;
    rml_onnx_signature_count(side, &least, &most);
    if (count < least || count > most) {
        rml_check_fault(checker, place, "%zu %ss, and operator set %lld has %s%zu", count, what,
                        (long long)opset,
                        least == most   ? ""
                        : count < least ? "at least "
                                        : "at most ",
                        count < least ? least : most);
        return;
    }
    for (size_t i = 0; i < count; i++)
        if (value[i] == RML_ONNX_NONE && rml_onnx_signature_formal(side, i, &formal) &&
            !formal.may_be_missing)
            rml_check_fault(checker, place, "%s %zu is left out, and may not be", what, i);
}

static char kind_of(const rml_onnx_attribute *attribute)
{
    static const char kinds[] = {
        [RML_ONNX_FLOATS] = 'f',         [RML_ONNX_INTS] = 'i',   [RML_ONNX_TEXTS] = 's',
        [RML_ONNX_TENSORS] = 't',        [RML_ONNX_GRAPHS] = 'g', [RML_ONNX_TYPES] = 'p',
        [RML_ONNX_SPARSE_TENSORS] = 'x',
    };
    const char kind = kinds[attribute->kind];
    return attribute->is_list ? (char)(kind - 'a' + 'A') : kind;
}

static const char *kind_name(char kind)
{
    static const char *const names[] = {
        "fa number", "Fnumbers",  "ian integer",      "Iintegers",       "sa text",
        "Stexts",    "ta tensor", "Ttensors",         "ga graph",        "Ggraphs",
        "pa type",   "Ptypes",    "xa sparse tensor", "Xsparse tensors",
    };
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (*names[i] == kind)
            return names[i] + 1;
    return "nothing known";
}

static void check_attributes(rml_checker *checker, const char *place,
                             const rml_onnx_signature *signature, const rml_onnx_node *node)
{
    char quoted[RML_QUOTE_BYTES];
    rml_text name;
    size_t at = 0;
    bool wanted;
    for (size_t i = 0; i < node->attribute_count; i++) {
        const rml_onnx_attribute *attribute = &node->attribute[i];
        const char want = rml_onnx_signature_attribute(signature, attribute->name);
        rml_quote(quoted, attribute->name, strlen(attribute->name));
        if (!want && strncmp(attribute->name, "__", 2) != 0) // a tool's own notes
            rml_check_fault(checker, place, "operator set %lld has no attribute \"%s\"",
                            (long long)node->opset, quoted);
        else if (want && !attribute->reference && kind_of(attribute) != want)
            rml_check_fault(checker, place, "attribute \"%s\" is %s, and has to be %s", quoted,
                            kind_name(kind_of(attribute)), kind_name(want));
    }
    while (rml_onnx_signature_next(signature, &at, &name, &wanted)) {
        if (!wanted)
            continue;
        bool there = false;
        for (size_t i = 0; i < node->attribute_count; i++)
            there = there || (strlen(node->attribute[i].name) == name.bytes &&
                              memcmp(node->attribute[i].name, name.text, name.bytes) == 0);
        if (!there)
            rml_check_fault(checker, place, "attribute \"%s\" is missing",
                            rml_quote(quoted, name.text, name.bytes));
    }
}

static void check_node(rml_checker *checker, const rml_onnx *file, const rml_onnx_node *node)
{
    char place[RML_PLACE_BYTES];
    rml_onnx_signature signature;
    place_of(place, file, node);
    if (!node->function && node->opset == 0) {
        rml_check_fault(checker, place, "the file does not tell which operator set of \"%s\" it is",
                        *node->domain ? node->domain : "ai.onnx");
        return;
    }
    if (!has_signature(node))
        return;
    const rml_onnx_found found =
        rml_onnx_signature_find(node->domain, node->op_type, node->opset, &signature);
    if (found == RML_ONNX_NO_OPERATOR) {
        rml_check_fault(checker, place, "ONNX has no such operator");
    } else if (found == RML_ONNX_LATER) {
        rml_check_fault(checker, place,
                        "the operator is there from operator set %lld on, not in %lld",
                        (long long)signature.since, (long long)node->opset);
    } else if (signature.removed) {
        rml_check_fault(checker, place, "the operator is gone from operator set %lld on",
                        (long long)signature.since);
    } else {
        check_side(checker, place, "input", signature.input, node->input, node->input_count,
                   node->opset);
        check_side(checker, place, "output", signature.output, node->output, node->output_count,
                   node->opset);
        check_attributes(checker, place, &signature, node);
    }
}

// Depth is limited by the reader.
static void check_graph(rml_checker *checker, const rml_onnx *file, const rml_onnx_graph *graph)
{
    for (size_t i = 0; i < graph->node_count; i++) {
        const rml_onnx_node *node = &graph->node[i];
        check_node(checker, file, node);
        for (size_t k = 0; k < node->attribute_count; k++)
            if (node->attribute[k].kind == RML_ONNX_GRAPHS)
                for (size_t g = 0; g < node->attribute[k].count; g++)
                    check_graph(checker, file, &node->attribute[k].u.graph[g]);
    }
}

// ---- types and shapes ---------------------------------------------------------------------------

static const char *list_types(rml_text allowed, char *list, size_t capacity)
{
    size_t used = 0;
    if (!allowed.bytes)
        return "no tensors of numbers";
    for (int type = RML_F32; type <= RML_U64; type++)
        if (memchr(allowed.text, rml_onnx_type_letter((rml_dtype)type), allowed.bytes) &&
            used < capacity)
            used += (size_t)snprintf(list + used, capacity - used, "%s%s", used ? ", " : "",
                                     rml_dtype_name((rml_dtype)type));
    return list;
}

static void check_type(watcher *w, const char *place, const rml_onnx_signature *signature,
                       size_t index, const rml_onnx_formal *formal, const int *types)
{
    rml_onnx_formal other;
    const rml_text allowed = rml_onnx_signature_types(signature, formal->letter);
    const char letter = rml_onnx_type_letter((rml_dtype)types[index]);
    const char *name = rml_dtype_name((rml_dtype)types[index]);
    if (!allowed.bytes || !memchr(allowed.text, letter, allowed.bytes)) {
        char list[128];
        rml_check_fault(w->checker, place, "input %zu is %s; operator set %lld takes %s", index,
                        name, (long long)signature->since, list_types(allowed, list, sizeof list));
        return;
    }
    for (size_t k = 0; k < index && formal->alike; k++)
        if (types[k] >= 0 && types[k] != types[index] &&
            rml_onnx_signature_formal(signature->input, k, &other) &&
            other.letter == formal->letter) {
            rml_check_fault(w->checker, place, "input %zu is %s, and input %zu is %s", index, name,
                            k, rml_dtype_name((rml_dtype)types[k]));
            return;
        }
}

static void on_node(void *user, const rml_onnx_node *node, const int *types)
{
    watcher *w = user;
    const size_t before = w->checker->faults;
    char place[RML_PLACE_BYTES];
    rml_onnx_signature signature;
    rml_onnx_formal formal;
    if (!has_signature(node) || rml_onnx_signature_find(node->domain, node->op_type, node->opset,
                                                        &signature) != RML_ONNX_FOUND)
        return;
    place_of(place, w->file, node);
    for (size_t i = 0; i < node->input_count; i++)
        if (types[i] >= 0 && rml_onnx_signature_formal(signature.input, i, &formal))
            check_type(w, place, &signature, i, &formal, types);
    if (w->checker->faults > before)
        w->faulty = node;
}

static void on_result(void *user, const rml_onnx_node *node, const rml_onnx_value *value,
                      rml_dtype dtype, const rml_shape *shape)
{
    watcher *w = user;
    const rml_onnx_type *type = value->type;
    char place[RML_PLACE_BYTES], quoted[RML_QUOTE_BYTES];
    char said[RML_SHAPE_TEXT_BYTES], is[RML_SHAPE_TEXT_BYTES];
    rml_dtype declared = RML_F32;
    if (!type || type->kind != RML_ONNX_TENSOR)
        return;
    place_of(place, w->file, node);
    rml_quote(quoted, value->name, strlen(value->name));
    const bool known = rml_onnx_element_dtype(type->element, &declared);
    const char *other = rml_onnx_element_name(type->element);
    if (type->element && (!known || declared != dtype))
        rml_check_fault(w->checker, place, "output \"%s\" is declared as %s, and is %s", quoted,
                        known   ? rml_dtype_name(declared)
                        : other ? other
                                : "of no type",
                        rml_dtype_name(dtype));
    if (type->has_shape && !rml_check_sizes_agree(&type->shape, shape))
        rml_check_fault(w->checker, place, "output \"%s\" is declared as %s, and is %s", quoted,
                        rml_shape_text(&type->shape, said), rml_shape_text(shape, is));
}

static void on_refused(void *user, const rml_onnx_node *node, const char *why, bool misfit)
{
    watcher *w = user;
    char place[RML_PLACE_BYTES];
    if (misfit && w->faulty != node)
        rml_check_fault(w->checker, place_of(place, w->file, node), "%s", why);
}

// Imports the file, which closes it.
static rml_status infer(rml_checker *checker, rml_onnx *file)
{
    watcher w = {.checker = checker, .file = file};
    const rml_onnx_watch watch = {&w, on_node, on_result, on_refused};
    rml_model_settings settings = rml_model_settings_default();
    rml_model *model = NULL;
    rml_error why;
    const size_t before = checker->faults;
    settings.allocator = checker->allocator;
    file->watch = &watch;
    const rml_status status = rml_onnx_model_from(&model, file, &settings, &why);
    rml_model_destroy(&model);
    if (status == RML_ERR_NOMEM ||
        (status != RML_OK && status != RML_ERR_UNSUPPORTED && checker->faults == before))
        return rml_check_read(checker, "", status, &why);
    if (status == RML_ERR_UNSUPPORTED && checker->faults == before)
        rml_check_note(checker, "not all types and shapes are looked at: %s", why.message);
    return RML_OK;
}

// ---- the file -----------------------------------------------------------------------------------

// Inputs and outputs of the model, which have to tell what they are.
static void check_ports(rml_checker *checker, const rml_onnx *file, bool output,
                        const uint32_t *value, size_t count)
{
    const rml_check_rule rule = output ? RML_CHECK_OUTPUT_SHAPE : RML_CHECK_OTHER_RULE;
    char place[RML_PLACE_BYTES];
    for (size_t i = 0; i < count; i++) {
        const rml_onnx_value *port = &file->value[value[i]];
        rml_check_place(place, output ? "output" : "input", port->name, "");
        if (!port->type || (port->type->kind == RML_ONNX_TENSOR && port->type->element == 0))
            rml_check_fault(checker, place, "the file does not tell its type");
        else if (port->type->kind == RML_ONNX_TENSOR && !port->type->has_shape)
            rml_check_fault_of(checker, rule, place,
                               "the file does not tell its shape, not even how many dimensions");
    }
}

rml_status rml_check_onnx(rml_checker *checker, rml_onnx *file)
{
    const rml_onnx_header *header = &file->header;
    for (size_t i = 0; i < header->opset_count; i++)
        rml_check_note(checker, "ONNX, IR version %lld, operator set %s%s%lld",
                       (long long)header->ir_version, header->opset[i].domain,
                       *header->opset[i].domain ? " " : "", (long long)header->opset[i].version);
    if (header->ir_version == 0)
        rml_check_fault(checker, "", "the file does not tell its IR version");
    if (!*file->graph.name)
        rml_check_fault(checker, "", "its graph has no name");
    check_ports(checker, file, false, file->graph.input, file->graph.input_count);
    check_ports(checker, file, true, file->graph.output, file->graph.output_count);
    check_graph(checker, file, &file->graph);
    for (size_t i = 0; i < file->function_count; i++)
        check_graph(checker, file, &file->function[i].body);
    if (checker->faults) { // else one fault would be told twice
        rml_onnx_close(&file);
        return RML_OK;
    }
    RML_TRY(infer(checker, file));
    rml_check_note(checker,
                   "%zu fault%s in names, the order of nodes, operators, inputs, outputs, "
                   "attributes, types and shapes",
                   checker->faults, checker->faults == 1 ? "" : "s");
    return RML_OK;
}
