// What every target does that opens weights: open, look up, read every element.
#ifndef RML_TESTS_FUZZ_FUZZ_WEIGHTS_H
#define RML_TESTS_FUZZ_FUZZ_WEIGHTS_H

#include "tensor/names.h"
#include "loaders/weights/weights.h"
#include "tensor/tensor.h"

#include <stdlib.h>
#include <string.h>

#define FUZZ_LARGEST_COPY ((size_t)1 << 16)

static inline void fuzz_open_weights(const uint8_t *data, size_t size)
{
    rml_weights *weights = NULL;
    rml_error error = {RML_OK, ""};
    rml_status status = rml_weights_open_memory(&weights, data, size, NULL, &error);
    if ((status == RML_OK) != (weights != NULL) || (status != RML_OK && !error.message[0]))
        abort();
    for (size_t i = 0; weights && i < rml_weights_count(weights); i++) {
        const rml_weight *weight = rml_weights_entry(weights, i);
        size_t count;
        if (rml_weights_find(weights, weight->name) != weight || !weight->type)
            abort();
        if (weight->unreadable)
            continue;
        if (!rml_shape_count(&weight->stored.shape, &count))
            abort();
        float *copy = count <= FUZZ_LARGEST_COPY ? malloc(count * sizeof *copy + 1) : NULL;
        if (copy)
            rml_stored_read_all(&weight->stored, copy);
        free(copy);
    }
    for (size_t i = 0; weights && i < rml_weights_beside_count(weights); i++) {
        const rml_weight_info info = rml_weights_beside_at(weights, i);
        if (!rml_text_is_clean(info.name, strlen(info.name)) ||
            !rml_text_is_clean(info.type, strlen(info.type)) ||
            info.same_as > rml_weights_count(weights))
            abort();
    }
    for (size_t i = 0; weights && i < rml_weights_metadata_count(weights); i++) {
        const rml_metadata entry = rml_weights_metadata_at(weights, i);
        if (!rml_text_is_clean(entry.name, strlen(entry.name)) ||
            !rml_text_is_clean(entry.text, strlen(entry.text)) ||
            strlen(entry.text) >= RML_METADATA_TEXT_BYTES)
            abort();
    }
    rml_weights_close(&weights);
}

#endif
