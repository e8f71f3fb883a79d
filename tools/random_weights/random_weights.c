// rml-random-weights MODEL OUT.safetensors [SEED [CONFIG.json]]
//
// Writes random weights of a built-in network at its published size, or as a config has it: for the
// demo, for benchmarks and for trying the program before trained weights are at hand. Uses the
// public header only.
#define _POSIX_C_SOURCE 200809L
#include "runmodel.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static uint64_t element_count(const rml_shape *shape)
{
    uint64_t count = 1;
    for (int i = 0; i < shape->rank; i++)
        count *= (uint64_t)shape->dim[i];
    return count;
}

// The JSON table of contents; keys of built-in networks need no escaping.
static char *make_header(const rml_weights *weights, size_t *bytes)
{
    char *text = NULL;
    FILE *to = open_memstream(&text, bytes);
    uint64_t offset = 0;
    for (size_t i = 0; to && i < rml_weights_count(weights); i++) {
        const rml_weight_info info = rml_weights_at(weights, i);
        const uint64_t end = offset + 4 * element_count(&info.shape);
        fprintf(to, "%c\"%s\":{\"dtype\":\"F32\",\"shape\":[", i ? ',' : '{', info.name);
        for (int d = 0; d < info.shape.rank; d++)
            fprintf(to, "%s%" PRId64, d ? "," : "", info.shape.dim[d]);
        fprintf(to, "],\"data_offsets\":[%" PRIu64 ",%" PRIu64 "]}", offset, end);
        offset = end;
    }
    if (to)
        fprintf(to, "}");
    while (to && ftell(to) % 8) // the data behind it starts on a multiple of 8
        fputc(' ', to);
    if (to && fclose(to) == 0)
        return text;
    free(text);
    return NULL;
}

// As they lie in memory: the library runs on little-endian machines only.
static int write_tensor(FILE *file, const rml_weights *weights, size_t index, rml_error *err)
{
    const rml_weight_info info = rml_weights_at(weights, index);
    const size_t count = (size_t)element_count(&info.shape);
    float *data = malloc(count * sizeof *data);
    const int failed = !data || rml_weights_read_f32(weights, index, data, count, err) != RML_OK ||
                       fwrite(data, sizeof *data, count, file) != count;
    free(data);
    return failed;
}

static int write_file(const char *path, const rml_weights *weights, rml_error *err)
{
    size_t header_bytes = 0;
    char *header = make_header(weights, &header_bytes);
    FILE *file = header ? fopen(path, "wb") : NULL;
    int failed = !file;
    for (int i = 0; i < 8 && !failed; i++)
        failed = fputc((int)((uint64_t)header_bytes >> (8 * i) & 0xFF), file) == EOF;
    failed = failed || fwrite(header, 1, header_bytes, file) != header_bytes;
    for (size_t i = 0; i < rml_weights_count(weights) && !failed; i++)
        failed = write_tensor(file, weights, i, err);
    if (file && fclose(file) != 0)
        failed = 1;
    free(header);
    return failed;
}

int main(int argc, char **argv)
{
    rml_error err = {0};
    rml_weights *weights;
    if (argc < 3 || argc > 5) {
        fprintf(stderr, "usage: rml-random-weights MODEL OUT.safetensors [SEED [CONFIG]]\n");
        return 2;
    }
    const char *path = argv[2];
    const uint64_t seed = argc > 3 ? strtoull(argv[3], NULL, 10) : 1;
    rml_model_settings settings = rml_model_settings_default();
    settings.config = argc > 4 ? argv[4] : NULL;
    char *beside = malloc(strlen(path) + sizeof ".part");
    if (!beside)
        return 1;
    strcpy(beside, path);
    strcat(beside, ".part");
    int failed = rml_weights_create_random(&weights, argv[1], seed, &settings, &err) != RML_OK;
    if (failed) {
        fprintf(stderr, "rml-random-weights: %s\n", err.message);
    } else if (write_file(beside, weights, &err) != 0 || rename(beside, path) != 0) {
        fprintf(stderr, "rml-random-weights: %s: cannot write: %s\n", path, strerror(errno));
        remove(beside);
        failed = 1;
    } else {
        printf("%s: %zu random tensors of %s, seed %" PRIu64 "\n", path, rml_weights_count(weights),
               argv[1], seed);
    }
    rml_weights_close(&weights);
    free(beside);
    return failed;
}
