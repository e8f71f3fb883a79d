// Parameters of an operation, against its signature.
#include "loaders/check/operations.h"
#include "loaders/check/signatures.h"

#include <string.h>

const rml_mil_argument *rml_check_argument(const rml_mil_operation *operation, const char *name,
                                           size_t bytes)
{
    for (size_t i = 0; i < operation->argument_count; i++)
        if (strncmp(operation->argument[i].name, name, bytes) == 0 &&
            operation->argument[i].name[bytes] == 0)
            return &operation->argument[i];
    return NULL;
}

const rml_mil_attribute *rml_check_attribute(const rml_mil_operation *operation, const char *name,
                                             size_t bytes)
{
    for (size_t i = 0; i < operation->attribute_count; i++)
        if (strncmp(operation->attribute[i].name, name, bytes) == 0 &&
            operation->attribute[i].name[bytes] == 0)
            return &operation->attribute[i];
    return NULL;
}

bool rml_check_is_compressed(const char *type)
{
    return strncmp(type, "constexpr_", 10) == 0;
}

static void check_wanted(void *user, const rml_parameter *parameter)
{
    rml_operation_check *w = user;
    const rml_mil_operation *operation = w->operation;
    const rml_parameter last =
        rml_signature_find(operation->type, w->opset, parameter->name, parameter->name_bytes);
    if (last.name != parameter->name ||
        (last.need != RML_PARAMETER_VALUE && last.need != RML_PARAMETER_CONSTANT) ||
        rml_check_argument(operation, parameter->name, parameter->name_bytes) ||
        (rml_check_is_compressed(operation->type) &&
         rml_check_attribute(operation, parameter->name, parameter->name_bytes)))
        return;
    rml_check_fault(w->checker, w->place, "parameter %.*s is missing", (int)parameter->name_bytes,
                    parameter->name);
}

// The type of what an argument is bound to; false where it is a tuple or not known.
bool rml_check_bound(const rml_operation_check *w, const rml_mil_binding *binding,
                     rml_mil_type *out, bool *constant)
{
    const rml_check_value *found = binding->name ? rml_check_find(w, binding->name) : NULL;
    if (binding->name && !found)
        return false;
    *out = binding->name ? found->type : binding->value->type;
    *constant = binding->name ? found->constant : true;
    return out->kind != 0;
}

static void check_type(rml_operation_check *w, const rml_parameter *parameter, const char *name,
                       const rml_mil_type *type, bool constant, int shared[128])
{
    const char letter = rml_signature_letter(parameter);
    const int rank = rml_signature_rank(w->operation->type, name);
    if ((parameter->need == RML_PARAMETER_CONSTANT || parameter->need == RML_PARAMETER_OPTION) &&
        !constant)
        rml_check_fault(w->checker, w->place, "parameter %s must be a constant, and is computed",
                        name);
    if (type->kind != RML_MIL_TENSOR)
        return;
    if (!rml_signature_takes(parameter, type->element)) {
        rml_check_fault(w->checker, w->place, "parameter %s is of type %s, which it cannot be",
                        name, rml_mil_element_name(type->element));
        return;
    }
    if (letter && w->opset < 7) {
        if (!shared[(int)letter])
            shared[(int)letter] = type->element;
        else if (shared[(int)letter] != type->element)
            rml_check_fault(w->checker, w->place,
                            "parameter %s is of type %s, and another one, which must be of the "
                            "same, of %s",
                            name, rml_mil_element_name(type->element),
                            rml_mil_element_name(shared[(int)letter]));
    }
    if (rank >= 0 && type->shape.rank >= 0 && type->shape.rank != rank)
        rml_check_fault(w->checker, w->place, "parameter %s has %d dimensions, %d are right", name,
                        type->shape.rank, rank);
}

static bool is_plain(const rml_parameter *parameter)
{
    static const char *const others[] = {"list", "tuple", "listortensorordict", "state",
                                         "internal"};
    for (size_t i = 0; i < sizeof others / sizeof *others; i++)
        if (strlen(others[i]) == parameter->types_bytes &&
            memcmp(others[i], parameter->types, parameter->types_bytes) == 0)
            return false;
    return true;
}

void rml_check_parameters(rml_operation_check *w)
{
    const rml_mil_operation *operation = w->operation;
    int shared[128] = {0};
    for (size_t i = 0; i < operation->argument_count; i++) {
        const rml_mil_argument *argument = &operation->argument[i];
        const rml_parameter parameter =
            rml_signature_find(operation->type, w->opset, argument->name, strlen(argument->name));
        rml_mil_type type;
        bool constant = false;
        if (parameter.need == RML_PARAMETER_NONE) {
            rml_check_fault(w->checker, w->place, "parameter %.80s is not known in CoreML%d",
                            argument->name, w->opset);
            continue;
        }
        if (is_plain(&parameter) && argument->count != 1)
            rml_check_fault(w->checker, w->place, "parameter %s has %zu values, not one",
                            argument->name, argument->count);
        else if (is_plain(&parameter) && rml_check_bound(w, argument->binding, &type, &constant))
            check_type(w, &parameter, argument->name, &type, constant, shared);
    }
    rml_signature_each(operation->type, w->opset, check_wanted, w);
}
