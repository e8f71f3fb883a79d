// Operations of an ML Program: names, parameters, types.
#include "loaders/check/operations.h"
#include "loaders/check/signatures.h"
#include "loaders/coreml/mil_handler.h"

#include <stdio.h>
#include <string.h>

// ---- names --------------------------------------------------------------------------------------

const rml_check_value *rml_check_find(const rml_operation_check *w, const char *name)
{
    size_t at = 0;
    for (const rml_check_scope *s = w->scope; s; s = s->outer)
        if (rml_names_find(&s->defined, name, strlen(name), &at))
            return &w->values[at];
    return NULL;
}

static bool comes_later(const rml_operation_check *w, const char *name)
{
    size_t at = 0;
    for (const rml_check_scope *s = w->scope; s; s = s->outer)
        if (rml_names_find(&s->later, name, strlen(name), &at))
            return true;
    return false;
}

static rml_status define(rml_operation_check *w, const rml_mil_port *port, bool constant,
                         const rml_mil_value *number)
{
    size_t now = 0;
    RML_TRY(rml_reserve(w->allocator, &w->values, &w->capacity, w->count + 1, sizeof *w->values,
                        "a list of values", w->checker->err));
    RML_TRY(rml_names_add(&w->scope->defined, port->name, strlen(port->name), w->count, &now,
                          w->checker->err));
    if (now != w->count)
        rml_check_fault(w->checker, w->place, "another value is named \"%.80s\" already",
                        port->name);
    else
        w->values[w->count++] = (rml_check_value){port->type, constant, number};
    return RML_OK;
}

static void check_read(rml_operation_check *w, const char *what, const char *name)
{
    if (rml_check_find(w, name))
        return;
    if (comes_later(w, name))
        rml_check_fault(w->checker, w->place, "%s reads \"%.80s\", which is computed later", what,
                        name);
    else
        rml_check_fault(w->checker, w->place, "%s reads \"%.80s\", which nothing computes", what,
                        name);
}

// ---- results ------------------------------------------------------------------------------------

static void check_results(rml_operation_check *w)
{
    const rml_mil_operation *operation = w->operation;
    for (size_t k = 0; k < operation->output_count; k++) {
        const char *types = rml_signature_result(operation->type, k, w->opset);
        const rml_mil_port *port = &operation->output[k];
        rml_mil_type first;
        bool constant;
        if (!types || port->type.kind != RML_MIL_TENSOR)
            continue;
        if (strcmp(types, "x") == 0) {
            const rml_mil_argument *x = rml_check_argument(operation, "x", 1);
            if (x && x->count == 1 && rml_check_bound(w, x->binding, &first, &constant) &&
                first.kind == RML_MIL_TENSOR && first.element != port->type.element)
                rml_check_fault(w->checker, w->place, "its result is declared as %s, and is %s",
                                rml_mil_element_name(port->type.element),
                                rml_mil_element_name(first.element));
            continue;
        }
        const rml_parameter result = {.types = types, .types_bytes = strlen(types)};
        if (!rml_signature_takes(&result, port->type.element))
            rml_check_fault(w->checker, w->place, "its result is declared as %s, and is %s",
                            rml_mil_element_name(port->type.element),
                            strcmp(types, "b") == 0 ? "bool" : "int32");
    }
}

static bool same_type(const rml_mil_type *a, const rml_mil_type *b)
{
    return a->kind == b->kind && a->element == b->element &&
           (a->kind != RML_MIL_TENSOR || rml_shape_equal(&a->shape, &b->shape));
}

static void check_const(rml_operation_check *w)
{
    const rml_mil_operation *operation = w->operation;
    const rml_mil_attribute *val = rml_check_attribute(operation, "val", 3);
    if (operation->argument_count || operation->block_count)
        rml_check_fault(w->checker, w->place, "a constant has no inputs and no blocks");
    if (operation->output_count != 1)
        rml_check_fault(w->checker, w->place, "a constant has %zu results",
                        operation->output_count);
    if (!val)
        rml_check_fault(w->checker, w->place, "a constant without a value");
    else if (val->value.type.kind && operation->output_count == 1 &&
             !same_type(&val->value.type, &operation->output[0].type))
        rml_check_fault(w->checker, w->place, "its value and its result have different types");
}

static void check_attributes(rml_operation_check *w)
{
    const rml_mil_operation *operation = w->operation;
    const bool is_const = strcmp(operation->type, "const") == 0;
    for (size_t i = 0; i < operation->attribute_count; i++) {
        const char *name = operation->attribute[i].name;
        const bool old_operand =
            rml_check_is_compressed(operation->type) && w->opset <= 7 &&
            rml_signature_find(operation->type, w->opset, name, strlen(name)).need;
        if (operation->attribute[i].value.has_doc)
            rml_check_fault(w->checker, w->place, "it has a docString, which loaders refuse");
        if (strcmp(name, "name") != 0 && !(is_const && strcmp(name, "val") == 0) && !old_operand)
            rml_check_fault(w->checker, w->place, "attribute \"%.80s\" is none that it has", name);
    }
}

// ---- classes ------------------------------------------------------------------------------------

static rml_status check_classes(rml_operation_check *w)
{
    const rml_mil_argument *classes = rml_check_argument(w->operation, "classes", 7);
    const rml_mil_argument *scores = rml_check_argument(w->operation, "probabilities", 13);
    const rml_mil_value *list = classes && classes->count == 1 ? classes->binding[0].value : NULL;
    const rml_message_reader reader = rml_coreml_messages(w->file, w->checker->err);
    rml_text *texts = NULL;
    int64_t *numbers = NULL;
    size_t text_count = 0, number_count = 0, count = 0;
    rml_mil_type type;
    bool constant;
    if (!list)
        return RML_OK;
    RML_TRY(rml_message_array(&reader, list->item_count, sizeof *texts, &texts));
    RML_TRY(rml_message_array(&reader, list->item_count, sizeof *numbers, &numbers));
    for (size_t i = 0; i < list->item_count; i++) {
        const rml_mil_value *item = &list->item[i];
        if (item->text && item->count == 1)
            texts[text_count++] = *item->text;
        else if (item->count == 1)
            numbers[number_count++] = rml_mil_integer(item, 0);
    }
    RML_TRY(rml_check_labels(w->checker, texts, text_count, numbers, number_count));
    if (scores && scores->count == 1 && rml_check_bound(w, scores->binding, &type, &constant) &&
        type.kind == RML_MIL_TENSOR && rml_shape_count(&type.shape, &count) &&
        count != list->item_count)
        rml_check_fault(w->checker, w->place, "%zu probabilities and %zu labels", count,
                        list->item_count);
    if (w->ports)
        rml_check_classifier(w->checker, w->ports, text_count, number_count);
    return RML_OK;
}

// ---- operations ---------------------------------------------------------------------------------

static rml_status check_block(rml_operation_check *w, const rml_mil_block *block);

static void check_known(rml_operation_check *w)
{
    const char *type = w->operation->type;
    const int since = rml_signature_since(type);
    if (strcmp(type, "custom_layer") == 0)
        return;
    if (!since)
        rml_check_fault(w->checker, w->place, "Core ML has no operation \"%.80s\"", type);
    else if (since > w->opset)
        rml_check_fault(w->checker, w->place,
                        "it came with CoreML%d, and the function's set is CoreML%d", since,
                        w->opset);
    else
        rml_check_parameters(w);
}

// Epsilons that make a file another function than the network it came from.
static void check_epsilon(rml_operation_check *w)
{
    const rml_mil_argument *epsilon = rml_check_argument(w->operation, "epsilon", 7);
    const rml_mil_binding *binding = epsilon && epsilon->count == 1 ? epsilon->binding : NULL;
    const rml_check_value *found =
        binding && binding->name ? rml_check_find(w, binding->name) : NULL;
    const rml_mil_value *number = found ? found->number : binding ? binding->value : NULL;
    if (!number || number->type.kind != RML_MIL_TENSOR || number->count != 1 || number->text)
        return;
    const double value = rml_mil_number(number, 0);
    if (strcmp(w->operation->type, "inverse") == 0 && value != 0)
        rml_check_warning(w->checker, w->place,
                          "it is 1 / (x + %g), which coremltools writes where a network has 1 / x",
                          value);
    else if (value == 0 && number->type.element == RML_MIL_F16)
        rml_check_warning(w->checker, w->place, "its epsilon is 0: it is too small for fp16");
}

static rml_status check_operation(rml_operation_check *w, const rml_mil_operation *operation)
{
    const bool is_const = strcmp(operation->type, "const") == 0;
    w->operation = operation;
    rml_check_place(w->place, "operation",
                    operation->output_count ? operation->output[0].name : operation->name,
                    operation->type);
    for (size_t i = 0; i < operation->argument_count; i++)
        for (size_t k = 0; k < operation->argument[i].count; k++)
            if (operation->argument[i].binding[k].name)
                check_read(w, operation->argument[i].name, operation->argument[i].binding[k].name);
    if (is_const)
        check_const(w);
    else
        check_known(w);
    check_attributes(w);
    check_epsilon(w);
    check_results(w);
    if (strcmp(operation->type, "classify") == 0)
        RML_TRY(check_classes(w));
    for (size_t k = 0; k < operation->block_count; k++)
        RML_TRY(check_block(w, &operation->block[k]));
    rml_check_place(w->place, "operation",
                    operation->output_count ? operation->output[0].name : operation->name,
                    operation->type);
    const rml_mil_attribute *val = is_const ? rml_check_attribute(operation, "val", 3) : NULL;
    for (size_t k = 0; k < operation->output_count; k++)
        RML_TRY(define(w, &operation->output[k],
                       is_const || rml_check_is_compressed(operation->type),
                       val && val->value.type.kind ? &val->value : NULL));
    return RML_OK;
}

static rml_status check_contents(rml_operation_check *w, const rml_mil_block *block)
{
    size_t now;
    for (size_t i = 0; i < block->operation_count; i++)
        for (size_t k = 0; k < block->operation[i].output_count; k++) {
            const char *name = block->operation[i].output[k].name;
            RML_TRY(rml_names_add(&w->scope->later, name, strlen(name), i, &now, w->checker->err));
        }
    for (size_t i = 0; i < block->input_count; i++)
        RML_TRY(define(w, &block->input[i], false, NULL));
    for (size_t i = 0; i < block->operation_count; i++)
        RML_TRY(check_operation(w, &block->operation[i]));
    snprintf(w->place, sizeof w->place, "block");
    for (size_t i = 0; i < block->output_count; i++)
        check_read(w, "its result", block->output[i].text);
    return RML_OK;
}

static void enter(rml_operation_check *w, rml_check_scope *s)
{
    *s = (rml_check_scope){.outer = w->scope};
    rml_names_init(&s->defined, w->allocator);
    rml_names_init(&s->later, w->allocator);
    w->scope = s;
}

static void leave(rml_operation_check *w)
{
    rml_names_release(&w->scope->defined);
    rml_names_release(&w->scope->later);
    w->scope = w->scope->outer;
}

static rml_status check_block(rml_operation_check *w, const rml_mil_block *block)
{
    rml_check_scope inside;
    enter(w, &inside);
    const rml_status status = check_contents(w, block);
    leave(w);
    return status;
}

static const rml_mil_type *type_of(void *user, const char *name)
{
    const rml_check_value *found = rml_check_find(user, name);
    return found ? &found->type : NULL;
}

rml_status rml_check_operations(rml_checker *checker, rml_coreml *file,
                                const rml_mil_function *function, const rml_coreml_ports *ports)
{
    rml_operation_check w = {.checker = checker,
                             .file = file,
                             .allocator = file->allocator,
                             .ports = ports,
                             .opset = function->opset};
    rml_check_scope top;
    enter(&w, &top);
    rml_check_place(w.place, "function", function->name, "");
    rml_status status = RML_OK;
    for (size_t i = 0; i < function->input_count && status == RML_OK; i++)
        status = define(&w, &function->input[i], false, NULL);
    if (status == RML_OK)
        status = check_contents(&w, &function->block);
    if (status == RML_OK && ports)
        rml_check_interface(checker, function, ports, type_of, &w);
    leave(&w);
    rml_free(w.allocator, w.values);
    return status;
}
