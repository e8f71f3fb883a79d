// Any bytes as an ONNX file, then as the graph of one: few mutations of a whole file keep the
// lengths of the messages around what they change.
#include "tests/fuzz/fuzz.h"

#include "tests/fuzz/fuzz_onnx.h"
#include "tests/support/protobuf_files.h"

static void open_file(const uint8_t *data, size_t size)
{
    rml_onnx *file = NULL;
    rml_error error = {RML_OK, ""};
    rml_status status = rml_onnx_open_memory(&file, data, size, NULL, &error);
    if ((status == RML_OK) != (file != NULL) || (status != RML_OK && !error.message[0]))
        abort();
    if (file)
        fuzz_onnx_look(file);
    rml_onnx_close(&file);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    open_file(data, size);
    blob file = {NULL, 0, 0};
    pb_int(&file, 1, 8);
    pb_bytes(&file, 7, data, size);
    open_file(file.data, file.size);
    blob_free(&file);
    return 0;
}
