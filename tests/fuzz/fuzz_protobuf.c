// Any bytes as a message; every field of it as a message again and as numbers of every kind.
#include "tests/fuzz/fuzz.h"

#include "loaders/formats/protobuf.h"

#include <stdlib.h>

static const rml_protobuf_wire wires[] = {RML_PROTOBUF_VARINT, RML_PROTOBUF_FIXED32,
                                          RML_PROTOBUF_FIXED64};

static void read_numbers(const rml_protobuf *message, const rml_protobuf_field *field)
{
    rml_protobuf numbers;
    rml_error error;
    size_t count;
    uint64_t value;
    for (size_t i = 0; i < sizeof wires / sizeof *wires; i++) {
        if (rml_protobuf_numbers(message, field, wires[i], "a list", &numbers, &count, &error))
            continue;
        if (count > field->bytes)
            abort();
        rml_status status = RML_OK;
        for (size_t k = 0; status == RML_OK && k < count; k++)
            status = rml_protobuf_number(&numbers, wires[i], &value, &error);
        if (status == RML_OK && numbers.at != numbers.end)
            abort();
    }
}

// `budget` bounds the messages looked into: what every field may be grows with the depth.
static void walk(rml_protobuf message, size_t size, size_t *budget)
{
    rml_protobuf inside;
    rml_protobuf_field field;
    rml_error error;
    bool more;
    while (rml_protobuf_next(&message, &field, &more, &error) == RML_OK && more) {
        if (field.at > size || field.bytes > size - field.at || field.number == 0)
            abort();
        read_numbers(&message, &field);
        if (*budget == 0)
            return;
        (*budget)--;
        if (rml_protobuf_enter(&message, &field, "a message", &inside, &error) == RML_OK)
            walk(inside, size, budget);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    rml_protobuf message;
    size_t budget = 10000;
    rml_protobuf_begin(&message, data, size);
    walk(message, size, &budget);
    return 0;
}
