// The input is opened as it is (zip or legacy stream), then as the pickle of a zip archive that
// holds the storages "0" to "3", because few mutations of a zip archive get past its table.
#include "tests/fuzz/fuzz.h"

#include "tests/fuzz/fuzz_weights.h"
#include "tests/support/loader_files.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    fuzz_open_weights(data, size);
    zip_writer z = {.entries = 0};
    zip_add(&z, "net/data.pkl", data, size);
    zip_add(&z, "net/data/0", files_a, sizeof files_a);
    zip_add(&z, "net/data/1", files_b, sizeof files_b);
    zip_add(&z, "net/data/2", &files_c, sizeof files_c);
    zip_add(&z, "net/data/3", "", 0);
    blob file = zip_finish(&z);
    fuzz_open_weights(file.data, file.size);
    blob_free(&file);
    return 0;
}
