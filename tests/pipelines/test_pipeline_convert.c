// A file that computes something else than its source is refused, and nothing is left of it.
#define _XOPEN_SOURCE 700 // mkdtemp
#include "engine/model.h"
#include "pipelines/compare/weights.h"
#include "pipelines/convert/convert.h"
#include "tests/support/check.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define STATES "tests/fuzz/corpus/coreml/states.mlmodel"

typedef struct lstm {
    rml_weights *weights;
    rml_model *as_written, *model;
} lstm;

static lstm make(uint64_t seed)
{
    lstm out = {0};
    rml_model_settings settings = rml_model_settings_default();
    CHECK(rml_weights_create_random(&out.weights, "lstm", seed, NULL, NULL) == RML_OK);
    CHECK(rml_model_create(&out.model, "lstm", out.weights, &settings, NULL) == RML_OK);
    settings.as_written = true;
    CHECK(rml_model_create(&out.as_written, "lstm", out.weights, &settings, NULL) == RML_OK);
    return out;
}

static void release(lstm *net)
{
    rml_model_destroy(&net->as_written);
    rml_model_destroy(&net->model);
    rml_weights_close(&net->weights);
}

// Writes the network of one seed, and takes that of another one for its source.
static rml_status convert(const char *path, uint64_t written, uint64_t source, const char *network,
                          rml_conversion_result *out, rml_error *err)
{
    lstm one = make(written), other = make(source);
    const rml_write_settings write = rml_write_settings_default();
    rml_session_settings session = rml_session_settings_default();
    session.threads = 1;
    const rml_conversion conversion = {.path = path,
                                       .as_written = one.as_written,
                                       .source = other.model,
                                       .network = network,
                                       .from = "lstm.pth",
                                       .write = &write,
                                       .session = &session};
    const rml_status status = rml_convert(&conversion, out, err);
    release(&one);
    release(&other);
    return status;
}

static bool exists(const char *path)
{
    struct stat info;
    return lstat(path, &info) == 0;
}

static char folder[64];

static const char *in_folder(const char *name)
{
    static char path[128];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    return path;
}

static void test_same(void)
{
    rml_conversion_result result;
    rml_error err = {0};
    const char *path = in_folder("same.safetensors");
    for (int i = 0; i < 2; i++) { // the second time over the first
        CHECK_MSG(convert(path, 3, 3, "lstm", &result, &err) == RML_OK, "%s", err.message);
        CHECK(result.error == 0 && result.tensors == 6 && result.bytes > 40000);
        CHECK(strcmp(result.output, "my_output") == 0);
    }
    CHECK_MSG(convert(path, 3, 3, NULL, &result, &err) == RML_OK, "%s", err.message);
    CHECK(result.error == 0);
    CHECK(remove(path) == 0);
}

static void test_different(const char *name)
{
    rml_conversion_result result;
    rml_error err = {0};
    const char *path = in_folder(name);
    for (int i = 0; i < 2; i++) {
        CHECK(convert(path, 3, 4, "lstm", &result, &err) == RML_ERR_FORMAT);
        CHECK(result.error > 0.01);
        CHECK_MSG(strncmp(err.message, path, strlen(path)) == 0, "%s", err.message);
        CHECK_MSG(strstr(err.message, ": computes something else than lstm.pth"), "%s",
                  err.message);
        CHECK_MSG(strstr(err.message, " is the first layer that differs"), "%s", err.message);
        CHECK(exists(path) == (i > 0));
        if (i == 0) { // what lay there before stays
            FILE *file = fopen(path, "w");
            CHECK(file && fputs("old", file) >= 0 && fclose(file) == 0);
        }
    }
    struct stat info;
    CHECK(stat(path, &info) == 0 && info.st_size == 3);
    CHECK(remove(path) == 0);
}

static void test_other_numbers(void)
{
    lstm one = make(3), other = make(4);
    rml_conversion_result result = {.bound = 0.01};
    const rml_conversion conversion = {.as_written = one.as_written, .from = "lstm.onnx"};
    rml_error err = {0};
    CHECK(rml_prove_weights(&conversion, one.weights, &result, &err) == RML_OK);
    CHECK(result.error == 0);
    CHECK(rml_prove_weights(&conversion, other.weights, &result, &err) == RML_ERR_FORMAT);
    CHECK_MSG(strncmp(err.message, "holds other numbers than lstm.onnx", 34) == 0, "%s",
              err.message);
    release(&one);
    release(&other);
}

// A first run reads zeros: what the file leaves in a state shows in the second.
static void test_other_states(void)
{
    const char *path = in_folder("states.mlpackage");
    const rml_write_settings write = rml_write_settings_default();
    rml_session_settings session = rml_session_settings_default();
    rml_model_settings settings = rml_model_settings_default();
    rml_conversion_result result;
    rml_error err = {0};
    rml_conversion c = {.path = path, .from = "states", .write = &write, .session = &session};
    CHECK(rml_model_open(&c.source, STATES, &settings, &err) == RML_OK);
    settings.as_written = true;
    CHECK(rml_model_open(&c.as_written, STATES, &settings, &err) == RML_OK);
    rml_graph *graph = &c.as_written->graph;
    CHECK(graph->state_count == 1 && graph->output_count == 2);
    graph->outputs[1] = graph->outputs[0]; // 2 (s + x), and not s + x
    CHECK(rml_graph_ports_changed(graph, &err) == RML_OK);
    CHECK(rml_convert(&c, &result, &err) == RML_ERR_FORMAT);
    CHECK_MSG(strstr(err.message, ": computes something else than states"), "%s", err.message);
    CHECK(!exists(path));
    rml_model_destroy(&c.as_written);
    rml_model_destroy(&c.source);
}

// What is off by less than halves are, and still another network.
static void test_halves_hide_nothing(void)
{
    const char *path = in_folder("halves.onnx");
    lstm net = make(3);
    const rml_graph *graph = &net.as_written->graph;
    rml_write_settings write = rml_write_settings_default();
    rml_session_settings session = rml_session_settings_default();
    rml_conversion c = {.path = path,
                        .as_written = net.as_written,
                        .source = net.model,
                        .from = "lstm.pth",
                        .write = &write,
                        .session = &session};
    rml_conversion_result result;
    rml_error err = {0};
    write.weights = RML_WRITE_F16;
    CHECK_MSG(rml_convert(&c, &result, &err) == RML_OK, "%s", err.message);
    CHECK(result.error > 0 && remove(path) == 0);
    size_t largest = 0, most = 0, count;
    for (size_t i = 0; i < graph->value_count; i++)
        if (graph->values[i].kind == RML_VALUE_CONSTANT &&
            rml_shape_count(&graph->values[i].shape, &count) && count >= most) {
            most = count;
            largest = i;
        }
    float *weights = malloc((most + 1) * sizeof *weights);
    CHECK(weights && most > 1000);
    rml_constant_copy(graph->values[largest].constant, RML_F32, weights);
    weights[most / 2] += 1;
    rml_constant changed = *graph->values[largest].constant;
    changed.stored = rml_stored_f32(weights, &graph->values[largest].shape);
    net.as_written->graph.values[largest].constant = &changed;
    CHECK(rml_convert(&c, &result, &err) == RML_ERR_FORMAT);
    CHECK_MSG(strstr(err.message, "lstm.pth: "), "%s", err.message);
    CHECK(!exists(path));
    CHECK(rml_weights_difference(net.model, "lstm.steps_l0", net.as_written, "lstm.steps_l0",
                                 &result.error, &err) == RML_OK);
    CHECK(result.error > RML_SAME_WEIGHTS && result.error < 0.1);
    free(weights);
    release(&net);
}

static void test_links(void)
{
    rml_conversion_result result;
    rml_error err = {0};
    const char *path = in_folder("link.safetensors");
    CHECK(symlink("target.bin", path) == 0);
    CHECK_MSG(convert(path, 3, 3, "lstm", &result, &err) == RML_OK, "%s", err.message);
    CHECK(readlink(path, err.message, 16) == 10);
    CHECK(remove(path) == 0);
    CHECK(remove(in_folder("target.bin")) == 0);
}

static void test_places(void)
{
    rml_conversion_result result;
    rml_error err = {0};
    CHECK(convert("/no/such/folder/a.safetensors", 3, 3, "lstm", &result, &err) == RML_ERR_IO);
    CHECK_MSG(strstr(err.message, "/no/such/folder does not exist"), "%s", err.message);
    CHECK(mkdir(in_folder("a.mlpackage"), 0777) == 0);
    CHECK(convert(in_folder("a.mlpackage"), 3, 3, "lstm", &result, &err) == RML_ERR_IO);
    CHECK_MSG(strstr(err.message, "no package"), "%s", err.message);
    CHECK(rmdir(in_folder("a.mlpackage")) == 0);
}

int main(void)
{
    snprintf(folder, sizeof folder, "%s", "test_pipeline_convert.XXXXXX");
    CHECK(mkdtemp(folder) != NULL);
    test_same();
    test_different("other.safetensors");
    test_different("other.onnx");
    test_other_numbers();
    test_other_states();
    test_halves_hide_nothing();
    test_links();
    test_places();
    CHECK_MSG(rmdir(folder) == 0, "something is left in %s", folder); // nothing was left behind
    return check_result();
}
