// Any bytes as a pickle; every value that comes out is looked at.
#include "tests/fuzz/fuzz.h"

#include "loaders/formats/pickle.h"

#include <stdlib.h>
#include <string.h>

static void look_at(const rml_pickle *pickle, const rml_pickle_value *value, const uint8_t *data,
                    size_t size)
{
    char text[RML_QUOTE_BYTES];
    if (strlen(rml_pickle_describe(pickle, value, text)) >= RML_QUOTE_BYTES)
        abort();
    switch (value->kind) {
    case RML_PICKLE_TEXT:
    case RML_PICKLE_BYTES:
    case RML_PICKLE_LONG:
        if (value->u.text < (const char *)data || value->count > size)
            abort();
        break;
    case RML_PICKLE_TUPLE:
    case RML_PICKLE_LIST:
    case RML_PICKLE_DICT:
    case RML_PICKLE_SET:
        for (size_t i = 0; i < value->count; i++)
            if (rml_pickle_item(pickle, value, i) >= pickle->value_count)
                abort();
        break;
    default:
        break;
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    rml_pickle pickle;
    rml_error error;
    if (rml_pickle_read(&pickle, data, size, rml_allocator_default(), &error) != RML_OK)
        return 0;
    if (pickle.used_bytes > size || pickle.root >= pickle.value_count)
        abort();
    for (size_t i = 0; i < pickle.value_count; i++)
        look_at(&pickle, &pickle.value[i], data, size);
    rml_pickle_release(&pickle);
    return 0;
}
