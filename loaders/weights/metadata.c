// What a file says of itself, bounded and fit to be printed.
#include "loaders/weights/weights_store.h"

#include <string.h>

rml_status rml_weights_add_metadata(rml_weights *weights, const char *name, size_t name_bytes,
                                    const char *text, size_t text_bytes, rml_error *err)
{
    char clean[RML_METADATA_TEXT_BYTES];
    if (weights->metadata_count == RML_MAX_METADATA)
        return RML_OK;
    rml_text_clean(clean, sizeof clean, name, name_bytes);
    for (size_t i = 0; i < weights->metadata_count; i++)
        if (strcmp(weights->metadata[i].name, clean) == 0)
            return RML_OK;
    RML_TRY(rml_reserve(weights->allocator, &weights->metadata, &weights->metadata_capacity,
                        weights->metadata_count + 1, sizeof *weights->metadata,
                        "a list of metadata", err));
    rml_metadata entry = {.name = rml_arena_text(&weights->arena, clean)};
    rml_text_clean(clean, sizeof clean, text, text_bytes);
    entry.text = rml_arena_text(&weights->arena, clean);
    if (!entry.name || !entry.text)
        return rml_fail_nomem(err, sizeof clean, "a text of metadata");
    weights->metadata[weights->metadata_count++] = entry;
    return RML_OK;
}

size_t rml_weights_metadata_count(const rml_weights *weights)
{
    return weights->metadata_count;
}

rml_metadata rml_weights_metadata_at(const rml_weights *weights, size_t index)
{
    return index < weights->metadata_count ? weights->metadata[index] : (rml_metadata){NULL, NULL};
}
