// Runs a built-in network on made-up input, through the public header only:
//
//   run_network MODEL WEIGHTS        run_network wav2lip wav2lip.pth
//
// Prints each output's shape and mean, and the memory that was planned before the run.
#include "runmodel.h"

#include <inttypes.h>
#include <stdio.h>

static int64_t element_count(rml_shape shape)
{
    int64_t count = 1;
    for (int i = 0; i < shape.rank; i++)
        count *= shape.dim[i];
    return count;
}

// A size that may change between runs is -1 in the model: one item of a batch, 64 of anything else.
static rml_shape concrete_shape(rml_shape shape)
{
    for (int i = 0; i < shape.rank; i++) {
        if (shape.dim[i] < 0)
            shape.dim[i] = i == 0 ? 1 : 64;
    }
    return shape;
}

static void fill(float *data, int64_t count)
{
    for (int64_t i = 0; i < count; i++)
        data[i] = (float)(i % 17) / 16.0f;
}

static void print_output(const char *name, const float *data, rml_shape shape)
{
    double sum = 0.0;
    int64_t count = element_count(shape);
    for (int64_t i = 0; i < count; i++)
        sum += data[i];
    printf("%s:", name);
    for (int i = 0; i < shape.rank; i++)
        printf("%s%" PRId64, i == 0 ? " " : "x", shape.dim[i]);
    printf(", mean %.6f\n", sum / (double)count);
}

// Sets the shapes, plans, fills the inputs, runs and prints.
static rml_status run(rml_model *model, rml_session *session, rml_error *err)
{
    rml_status status;
    for (size_t i = 0; i < rml_model_input_count(model); i++) {
        rml_port port = rml_model_input(model, i);
        status = rml_session_resize(session, port.name, concrete_shape(port.shape), err);
        if (status != RML_OK)
            return status;
    }
    status = rml_session_prepare(session, err);
    if (status != RML_OK)
        return status;
    for (size_t i = 0; i < rml_model_input_count(model); i++) {
        rml_shape shape;
        float *data = rml_session_input(session, rml_model_input(model, i).name, &shape);
        fill(data, element_count(shape));
    }
    status = rml_session_run(session, err); // allocates nothing
    if (status != RML_OK)
        return status;
    for (size_t i = 0; i < rml_model_output_count(model); i++) {
        rml_shape shape;
        const char *name = rml_model_output(model, i).name;
        const float *data = rml_session_output(session, name, &shape);
        print_output(name, data, shape);
    }
    printf("planned bytes: %zu\n", rml_session_planned_bytes(session));
    return RML_OK;
}

int main(int argc, char **argv)
{
    if (argc != 3) {
        fprintf(stderr, "usage: run_network MODEL WEIGHTS\n");
        return 2;
    }
    rml_error err;
    rml_weights *weights = NULL;
    rml_model *model = NULL;
    rml_session *session = NULL;
    rml_model_settings model_settings = rml_model_settings_default();
    rml_session_settings session_settings = rml_session_settings_default();

    rml_status status = rml_weights_open(&weights, argv[2], NULL, &err);
    if (status == RML_OK)
        status = rml_model_create(&model, argv[1], weights, &model_settings, &err);
    if (status == RML_OK)
        status = rml_session_create(&session, model, &session_settings, &err);
    if (status == RML_OK)
        status = run(model, session, &err);
    if (status != RML_OK)
        fprintf(stderr, "run_network: %s\n", err.message);

    rml_session_destroy(&session);
    rml_model_destroy(&model);
    rml_weights_close(&weights);
    return status == RML_OK ? 0 : 1;
}
