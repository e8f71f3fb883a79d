// The names of classes, from any bytes.
#include "tests/fuzz/fuzz.h"

#include "tensor/names.h"
#include "pipelines/classify/labels.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    rml_labels labels;
    rml_error error = {RML_OK, ""};
    if (rml_labels_parse(&labels, data, size, rml_allocator_default(), &error) != RML_OK) {
        if (!error.message[0] || labels.names)
            abort();
        return 0;
    }
    for (int i = -1; i <= labels.count; i++) {
        const char *name = rml_labels_name(&labels, i);
        if (name && (i < 0 || i == labels.count || !rml_text_is_clean(name, strlen(name))))
            abort();
    }
    rml_labels_release(&labels);
    return 0;
}
