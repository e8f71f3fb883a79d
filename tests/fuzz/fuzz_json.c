// Every token of any bytes; and the shard index, which is read with the same parser.
#include "tests/fuzz/fuzz.h"

#include "loaders/json.h"
#include "loaders/readers.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    rml_json json;
    rml_json_token token;
    rml_error error;
    rml_json_begin(&json, data, size, rml_allocator_default());
    size_t tokens = 0;
    while (rml_json_next(&json, &token, &error) == RML_OK && token.type != RML_JSON_END) {
        if (token.text && strlen(token.text) != token.text_bytes)
            abort();
        if (++tokens > size) // each takes at least one byte
            abort();
    }
    rml_json_release(&json);
    rml_shard_index index;
    if (rml_shard_index_read(&index, data, size, rml_allocator_default(), &error) == RML_OK) {
        for (size_t i = 0; i < index.file_count; i++)
            if (strchr(index.file[i], '/'))
                abort();
        rml_shard_index_release(&index);
    }
    return 0;
}
