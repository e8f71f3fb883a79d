// The table of any bytes as a zip archive, and the contents of every entry.
#include "tests/fuzz/fuzz.h"

#include "loaders/formats/zip.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    rml_zip zip;
    rml_error error;
    if (rml_zip_open(&zip, data, size, rml_allocator_default(), &error) != RML_OK)
        return 0;
    unsigned sum = 0;
    rml_arena arena;
    rml_arena_init(&arena, rml_allocator_default());
    for (size_t i = 0; i < zip.count; i++) {
        const rml_zip_entry *entry = &zip.entry[i];
        const uint8_t *contents;
        size_t bytes;
        if (rml_zip_find(&zip, entry->name, entry->name_bytes) != entry)
            abort();
        if (rml_zip_unpack(&zip, entry, &arena, &contents, &bytes, &error) == RML_OK && bytes > 0)
            sum += contents[0] + contents[bytes - 1];
    }
    rml_arena_release(&arena);
    rml_zip_release(&zip);
    return sum == UINT32_MAX; // the bytes must really be read
}
