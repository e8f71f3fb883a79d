// The description of a model against the function of its ML Program.
#include "loaders/check/check.h"

#include "tensor/tensor.h"

#include <string.h>

static int element_of(const rml_coreml_feature *feature)
{
    switch (feature->element) {
    case RML_COREML_F16:
        return RML_MIL_F16;
    case RML_COREML_I32:
        return RML_MIL_I32;
    case RML_COREML_I8:
        return RML_MIL_I8;
    case RML_COREML_F64:
        return RML_MIL_F64;
    default:
        return RML_MIL_F32;
    }
}

// The sizes that a description tells; -1 for those that may change; rank -1 where it tells none.
static rml_shape described_shape(const rml_coreml_feature *feature)
{
    rml_shape shape = {.rank = feature->rank ? (int)feature->rank : -1};
    for (int i = 0; i < shape.rank; i++)
        shape.dim[i] = feature->size[i];
    if (shape.rank < 0 && feature->shape_count)
        shape = feature->shapes[0];
    for (size_t k = 0; k < feature->shape_count; k++)
        for (int i = 0; i < shape.rank && i < feature->shapes[k].rank; i++)
            if (feature->shapes[k].dim[i] != shape.dim[i])
                shape.dim[i] = -1;
    if (feature->range_count)
        shape.rank = (int)feature->range_count;
    for (size_t i = 0; i < feature->range_count; i++)
        shape.dim[i] = feature->range[i].low == feature->range[i].high ? feature->range[i].low : -1;
    if (feature->kind == RML_COREML_IMAGE && shape.rank == 2) {
        const bool gray =
            feature->color == RML_COREML_GRAY || feature->color == RML_COREML_GRAY_F16;
        shape = (rml_shape){4, {1, gray ? 1 : 3, shape.dim[0], shape.dim[1]}};
    }
    return shape;
}

// Sizes that may change in the description need not in the function, which has a -1 for them.
static void check_type(rml_checker *checker, const char *place, const rml_coreml_feature *feature,
                       const rml_mil_type *type, bool is_input)
{
    const rml_shape said = described_shape(feature), *have = &type->shape;
    char want[RML_SHAPE_TEXT_BYTES], got[RML_SHAPE_TEXT_BYTES];
    const bool is_image = feature->kind == RML_COREML_IMAGE;
    if (feature->kind != RML_COREML_ARRAY && feature->kind != RML_COREML_STATE && !is_image)
        return;
    if (!is_image && type->element != element_of(feature))
        rml_check_fault(checker, place, "it is described as %s, and is %s in the function",
                        rml_mil_element_name(element_of(feature)),
                        rml_mil_element_name(type->element));
    if (said.rank < 0 || have->rank < 0)
        return;
    const bool is_number = have->rank == 0 && said.rank == 1 && said.dim[0] == 1;
    bool fits = said.rank == have->rank || is_number;
    for (int i = 0; i < said.rank && fits && !is_number; i++) {
        const bool open = said.dim[i] < 0 || (is_image && !is_input && i > 1 && said.dim[i] == 1);
        fits = open || have->dim[i] < 0 || said.dim[i] == have->dim[i];
        if (is_input && said.dim[i] < 0 && have->dim[i] >= 0 && !feature->shape_count)
            rml_check_fault(checker, place,
                            "size %d of it may change by its description, and is %lld in the "
                            "function",
                            i, (long long)have->dim[i]);
    }
    if (!fits)
        rml_check_fault(checker, place, "it is described as %s, and is %s in the function",
                        rml_shape_text(&said, want), rml_shape_text(have, got));
}

static const rml_mil_port *input_of(const rml_mil_function *function, const char *name)
{
    for (size_t i = 0; i < function->input_count; i++)
        if (strcmp(function->input[i].name, name) == 0)
            return &function->input[i];
    return NULL;
}

static bool described(const rml_coreml_feature *features, size_t count, const char *name)
{
    for (size_t i = 0; i < count; i++)
        if (strcmp(features[i].name, name) == 0)
            return true;
    return false;
}

static void check_inputs(rml_checker *checker, const rml_mil_function *function,
                         const rml_coreml_feature *features, size_t count, const char *what)
{
    char place[RML_PLACE_BYTES];
    for (size_t i = 0; i < count; i++) {
        const rml_mil_port *port = input_of(function, features[i].name);
        rml_check_place(place, what, features[i].name, "");
        if (!port)
            rml_check_fault(checker, place, "function \"%.80s\" has no input of this name",
                            function->name);
        else if ((port->type.kind == RML_MIL_STATE) != (features[i].kind == RML_COREML_STATE))
            rml_check_fault(checker, place, "a state on one side and none on the other");
        else
            check_type(checker, place, &features[i], &port->type, true);
    }
}

void rml_check_interface(rml_checker *checker, const rml_mil_function *function,
                         const rml_coreml_ports *ports, rml_check_type_fn type_of, void *user)
{
    char place[RML_PLACE_BYTES];
    check_inputs(checker, function, ports->input, ports->input_count, "input");
    check_inputs(checker, function, ports->state, ports->state_count, "state");
    for (size_t i = 0; i < function->input_count; i++)
        if (!described(ports->input, ports->input_count, function->input[i].name) &&
            !described(ports->state, ports->state_count, function->input[i].name))
            rml_check_fault(checker, rml_check_place(place, "input", function->input[i].name, ""),
                            "the function has it, and the description does not");
    for (size_t k = 0; k < ports->output_count; k++) {
        const rml_coreml_feature *feature = &ports->output[k];
        const rml_mil_type *type = type_of(user, feature->name);
        bool given = false;
        rml_check_place(place, "output", feature->name, "");
        for (size_t i = 0; i < function->block.output_count; i++)
            given = given || strcmp(function->block.output[i].text, feature->name) == 0;
        if (!given)
            rml_check_fault(checker, place, "function \"%.80s\" does not give it", function->name);
        else if (type && type->kind == RML_MIL_TENSOR)
            check_type(checker, place, feature, type, false);
    }
    for (size_t i = 0; i < function->block.output_count; i++)
        if (!described(ports->output, ports->output_count, function->block.output[i].text))
            rml_check_fault(checker,
                            rml_check_place(place, "output", function->block.output[i].text, ""),
                            "the function gives it, and the description does not have it");
}
