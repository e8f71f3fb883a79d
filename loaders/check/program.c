// An ML Program: its functions, and for which operator sets they have blocks.
#include "loaders/check/check.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

// Texts of fields that coremltools' loader refuses since it would lose them.
static rml_status check_extras(rml_checker *checker, rml_coreml *file, const rml_protobuf *message,
                               uint32_t number, const char *place)
{
    rml_error why;
    const rml_message_reader reader = rml_coreml_messages(file, &why);
    rml_protobuf rest = *message, entry;
    bool more = true;
    for (;;) {
        const char *key = "";
        const rml_message_want wants[] = {{1, RML_WANT_NAME, "a key", &key}, {0}};
        rml_status status = rml_message_inside(&rest, number, "an attribute", &entry, &more, &why);
        if (status != RML_OK || !more)
            return rml_check_read(checker, place, status, &why);
        status = rml_message_read(&reader, &entry, wants);
        RML_TRY(rml_check_read(checker, place, status, &why));
        if (strcmp(place, "program") != 0 || strcmp(key, "buildInfo") != 0)
            rml_check_fault(checker, place, "attribute \"%.80s\" is none that it has", key);
    }
}

typedef struct specialization {
    const char *key;
    rml_protobuf block;
} specialization;

// The block for the operator set; or, after a fault, the only one there is.
static rml_status find_block(rml_checker *checker, rml_coreml *file, const rml_protobuf *message,
                             const char *opset, const char *place, rml_protobuf *out)
{
    enum { SPECIALIZATIONS = 3 };
    rml_error why;
    const rml_message_reader reader = rml_coreml_messages(file, &why);
    rml_protobuf rest = *message, entry;
    specialization last = {.key = ""};
    bool more = true, found = false;
    size_t count = 0;
    for (;;) {
        specialization here = {.key = ""};
        const rml_message_want wants[] = {{1, RML_WANT_NAME, "an operator set", &here.key},
                                          {2, RML_WANT_MESSAGE, "a block", &here.block},
                                          {0}};
        rml_status status =
            rml_message_inside(&rest, SPECIALIZATIONS, "a block", &entry, &more, &why);
        if (status == RML_OK && more)
            status = rml_message_read(&reader, &entry, wants);
        if (status != RML_OK)
            return rml_check_read(checker, place, status, &why);
        if (!more)
            break;
        count++;
        if (!found)
            last = here;
        found = found || strcmp(here.key, opset) == 0;
    }
    if (count == 0)
        rml_check_fault(checker, place, "it has no block");
    else if (!found)
        rml_check_fault(checker, place,
                        "its operator set is \"%.40s\", and it has no block for that, only for "
                        "\"%.40s\"",
                        opset, last.key);
    *out = last.block;
    return RML_OK;
}

static const rml_coreml_ports *ports_of(const rml_coreml_model *model, const char *function)
{
    if (model->function_count == 0)
        return &model->ports;
    for (size_t i = 0; i < model->function_count; i++)
        if (strcmp(model->function[i].function, function) == 0)
            return &model->function[i];
    return NULL;
}

static rml_status check_function(rml_checker *checker, rml_coreml *file,
                                 const rml_coreml_model *model, const char *name,
                                 const rml_protobuf *message)
{
    enum { INPUTS = 1, OPSET = 2, ATTRIBUTES = 4, FIRST = 5, LAST = 9 };
    rml_error why;
    const rml_message_reader reader = rml_coreml_messages(file, &why);
    rml_mil_function function = {.name = name};
    rml_protobuf block = {0};
    char place[RML_PLACE_BYTES];
    const char *opset = "";
    const rml_message_want wants[] = {{OPSET, RML_WANT_NAME, "an operator set", &opset}, {0}};
    rml_check_place(place, "function", name, "");
    rml_status status = rml_message_read(&reader, message, wants);
    if (status == RML_OK)
        status =
            rml_mil_read_ports(file, message, INPUTS, &function.input, &function.input_count, &why);
    if (status != RML_OK)
        return rml_check_read(checker, place, status, &why);
    if (strncmp(opset, "CoreML", 6) == 0)
        function.opset = atoi(opset + 6);
    if (function.opset < FIRST || function.opset > LAST)
        rml_check_fault(checker, place,
                        "operator set \"%.40s\" is not known, CoreML%d to CoreML%d are", opset,
                        FIRST, LAST);
    else if (function.opset + 1 > model->version)
        rml_check_fault(checker, place,
                        "operator set CoreML%d needs specification %d, the model says %lld",
                        function.opset, function.opset + 1, (long long)model->version);
    RML_TRY(check_extras(checker, file, message, ATTRIBUTES, place));
    RML_TRY(find_block(checker, file, message, opset, place, &block));
    if (!block.data)
        return RML_OK;
    RML_TRY(check_extras(checker, file, &block, ATTRIBUTES, place));
    status = rml_mil_read_block(file, &block, &function.block, &why);
    if (status != RML_OK)
        return rml_check_read(checker, place, status, &why);
    const rml_coreml_ports *ports = ports_of(model, name);
    if (!ports)
        rml_check_fault(checker, place, "the description has no function of this name");
    return rml_check_operations(checker, file, &function, ports);
}

static rml_status check_functions(rml_checker *checker, rml_coreml *file,
                                  const rml_coreml_model *model)
{
    enum { FUNCTIONS = 2 };
    rml_error why;
    const rml_message_reader reader = rml_coreml_messages(file, &why);
    rml_protobuf rest = model->body, entry;
    const char *wanted = model->function_count ? model->default_function : "main";
    bool more = true, found = false;
    size_t count = 0;
    for (;;) {
        const char *name = "";
        rml_protobuf function = {0};
        const rml_message_want wants[] = {{1, RML_WANT_NAME, "a function's name", &name},
                                          {2, RML_WANT_MESSAGE, "a function", &function},
                                          {0}};
        rml_status status = rml_message_inside(&rest, FUNCTIONS, "a function", &entry, &more, &why);
        if (status == RML_OK && more)
            status = rml_message_read(&reader, &entry, wants);
        if (status != RML_OK)
            return rml_check_read(checker, "program", status, &why);
        if (!more)
            break;
        count++;
        found = found || strcmp(name, wanted) == 0;
        RML_TRY(check_function(checker, file, model, name, &function));
    }
    if (!found && (count != 1 || model->function_count))
        rml_check_fault(checker, "program", "it has no function \"%.80s\" among %zu", wanted,
                        count);
    if (count < model->function_count)
        rml_check_fault(checker, "program", "%zu functions are described, and it has %zu",
                        model->function_count, count);
    return RML_OK;
}

rml_status rml_check_program(rml_checker *checker, rml_coreml *file, const rml_coreml_model *model)
{
    enum { DOC = 3, ATTRIBUTES = 4 };
    rml_error why;
    const rml_message_reader reader = rml_coreml_messages(file, &why);
    rml_text doc = {"", 0};
    int64_t version = 0;
    const rml_message_want wants[] = {{1, RML_WANT_INT, "a program's version", &version},
                                      {DOC, RML_WANT_TEXT, "a docString", &doc},
                                      {0}};
    const rml_status status = rml_message_read(&reader, &model->body, wants);
    if (status != RML_OK)
        return rml_check_read(checker, "program", status, &why);
    if (version != 1)
        rml_check_fault(checker, "program", "its version is %lld, and 1 is the only one",
                        (long long)version);
    if (doc.bytes)
        rml_check_fault(checker, "program", "it has a docString, which loaders refuse");
    RML_TRY(check_extras(checker, file, &model->body, ATTRIBUTES, "program"));
    return check_functions(checker, file, model);
}
