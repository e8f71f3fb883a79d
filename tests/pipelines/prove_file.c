// Proves a file against another that it is to compute the same as, as run-model convert proves what
// it wrote, for tests that change what it wrote:
//
//   prove_file SOURCE FILE
//
// Both are graph files, of floats. Exit code 0: they do; 1: the sentence that says what differs.
#include "pipelines/convert/convert.h"

#include <stdio.h>

static rml_status prove(rml_conversion *c, const char *path, rml_conversion_result *result,
                        rml_error *err)
{
    rml_model_settings settings = rml_model_settings_default();
    rml_layers inputs = {.allocator = rml_allocator_default()};
    rml_model *again = NULL;
    settings.keep_types = true;
    rml_status status = rml_model_open(&c->source, c->from, &settings, err);
    if (status == RML_OK)
        status = rml_model_open(&again, path, &settings, err);
    settings.as_written = true;
    if (status == RML_OK)
        status = rml_model_open(&c->as_written, c->from, &settings, err);
    if (status == RML_OK)
        status = rml_check_inputs_make(c, &inputs, err);
    if (status == RML_OK)
        status = rml_prove_run(c, &inputs, again, result, err);
    rml_layers_release(&inputs);
    rml_model_destroy(&again);
    rml_model_destroy(&c->as_written);
    rml_model_destroy(&c->source);
    return status;
}

int main(int argc, char **argv)
{
    const rml_write_settings write = rml_write_settings_default();
    const rml_session_settings session = rml_session_settings_default();
    rml_conversion_result result = {.bound = 5e-5};
    rml_error err;
    if (argc != 3) {
        fprintf(stderr, "prove_file SOURCE FILE\n");
        return 2;
    }
    rml_conversion c = {.path = argv[2], .from = argv[1], .write = &write, .session = &session};
    if (prove(&c, argv[2], &result, &err) == RML_OK)
        return 0;
    fprintf(stderr, "%s\n", err.message);
    return 1;
}
