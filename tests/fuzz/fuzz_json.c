// Every token of any bytes; and the shard index and a network's config, which are read with the
// same parser.
#include "tests/fuzz/fuzz.h"

#include "loaders/weights/config.h"
#include "loaders/formats/json.h"
#include "loaders/weights/readers.h"

#include <stdlib.h>
#include <string.h>

// Asks for everything as everything.
static void ask(const char *text)
{
    static const char *const keys[] = {"a", "_class_name", "block_out_channels"};
    static const char *const names[] = {"silu", "AutoencoderKL", NULL};
    int64_t ints[4];
    int choices[4];
    for (int kind = 0; kind < 6; kind++)
        for (int i = 0; i < 3; i++) {
            rml_config config;
            rml_config_init(&config, rml_allocator_default());
            rml_config_read(&config, text);
            const int64_t one = kind == 0 ? rml_config_int(&config, keys[i], 5, 1, 9) : 5;
            const size_t count = kind == 1 ? rml_config_ints(&config, keys[i], -3, 9, ints, 4)
                                 : kind == 2
                                     ? rml_config_choices(&config, keys[i], names, choices, 4)
                                     : 0;
            const int choice = kind == 3 ? rml_config_choice(&config, keys[i], names, 1) : 1;
            if (one < 1 || one > 9 || count > 4 || choice < 0 || choice > 1)
                abort();
            if (kind == 4)
                rml_config_number(&config, keys[i], 1);
            if (kind == 5)
                rml_config_bool(&config, keys[i], true);
            rml_config_release(&config);
        }
}

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
    char *text = size && data[0] == '{' ? malloc(size + 1) : NULL; // else a path
    if (text) {
        memcpy(text, data, size);
        text[size] = 0;
        ask(text);
        free(text);
    }
    return 0;
}
