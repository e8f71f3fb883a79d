// The input is a header; its length and 64 bytes of data are put around it.
#include "tests/fuzz/fuzz.h"

#include "tests/fuzz/fuzz_weights.h"

#include <string.h>

#define DATA_BYTES 64

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    uint8_t *file = calloc(1, 8 + size + DATA_BYTES);
    if (!file)
        return 0;
    for (int i = 0; i < 8; i++)
        file[i] = (uint8_t)((uint64_t)size >> (8 * i));
    if (size > 0)
        memcpy(file + 8, data, size);
    fuzz_open_weights(file, 8 + size + DATA_BYTES);
    free(file);
    return 0;
}
