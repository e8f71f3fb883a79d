// Operator sets, which the model and its functions import.
#include "loaders/onnx/reader.h"

#include <string.h>

static rml_status read_opset(rml_onnx_reader *reader, const rml_protobuf *message,
                             rml_onnx_opset *out)
{
    const rml_message_want wants[] = {{1, RML_WANT_NAME, "an operator set's domain", &out->domain},
                                      {2, RML_WANT_INT, "an operator set's version", &out->version},
                                      {0}};
    *out = (rml_onnx_opset){"", 0};
    RML_TRY(rml_message_read(&reader->fields, message, wants));
    if (strcmp(out->domain, "ai.onnx") == 0)
        out->domain = "";
    if (out->version < 1)
        return rml_fail(reader->fields.err, RML_ERR_FORMAT,
                        "damaged file: version %lld of operator set \"%s\", they begin with 1",
                        (long long)out->version, out->domain);
    return RML_OK;
}

rml_status rml_onnx_read_opsets(rml_onnx_reader *reader, const rml_protobuf *message,
                                uint32_t number, const rml_onnx_opset **out, size_t *count)
{
    rml_protobuf rest = *message, inside;
    bool more = true;
    rml_onnx_opset *opset = NULL;
    RML_TRY(rml_message_count(message, number, count, reader->fields.err));
    if (*count > RML_ONNX_MAX_OPSETS)
        return rml_fail(reader->fields.err, RML_ERR_LIMIT, "%zu operator sets, the limit is %d",
                        *count, RML_ONNX_MAX_OPSETS);
    RML_TRY(rml_message_array(&reader->fields, *count, sizeof *opset, &opset));
    for (size_t i = 0; i < *count; i++) {
        RML_TRY(rml_message_inside(&rest, number, "an operator set", &inside, &more,
                                   reader->fields.err));
        RML_TRY(read_opset(reader, &inside, &opset[i]));
    }
    *out = opset;
    return RML_OK;
}
