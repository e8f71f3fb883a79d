// Any bytes as an ONNX file that is imported, planned and, where that is small, run on ones.
#define _POSIX_C_SOURCE 200809L // posix_memalign
#include "tests/fuzz/fuzz.h"

#include "engine/model.h"
#include "tensor/tensor.h"

#include <stdlib.h>
#include <string.h>

#define MOST_BYTES ((size_t)8 << 20) // of one block: larger ones are refused, as by a small machine
#define MOST_MACS 2000000
#define MOST_SIZE ((size_t)64 << 10) // of a run's block
#define MOST_TURNS 3
#define MOST_SCANNED 64

static void *take(void *user, size_t bytes)
{
    void *memory = NULL;
    (void)user;
    return bytes <= MOST_BYTES && posix_memalign(&memory, 64, bytes) == 0 ? memory : NULL;
}

static void give(void *user, void *memory)
{
    (void)user;
    free(memory);
}

// A loop may turn as often as its file says, which is no fault; here each turns at most MOST_TURNS
// times. Returns whether every scan is as short, as far as shapes tell.
static bool shorten_loops(rml_graph *graph)
{
    static const int64_t most = MOST_TURNS;
    bool is_short = true;
    for (size_t i = 0; i < graph->node_count; i++) {
        const rml_op_id op = graph->nodes[i].op;
        if (op == RML_OP_LOOP) {
            const rml_shape scalar = {0};
            const rml_constant turns = {.stored = rml_stored_plain(&most, RML_I64, &scalar)};
            const rml_node *node = &graph->nodes[i];
            rml_value_id *in = malloc((size_t)node->in_count * sizeof *in);
            if (!in)
                exit(1);
            memcpy(in, node->in, (size_t)node->in_count * sizeof *in);
            in[0] = rml_graph_constant(graph, "turns", &turns);
            is_short = rml_graph_set_inputs(graph, &graph->nodes[i], in, node->in_count) &&
                       in[0] != RML_NO_VALUE && is_short;
            free(in);
        }
        for (int k = 0; op == RML_OP_SCAN && k < graph->nodes[i].in_count; k++) {
            const rml_value_id in = graph->nodes[i].in[k];
            for (int d = 0; in != RML_NO_VALUE && d < graph->values[in].shape.rank; d++)
                is_short = is_short && graph->values[in].shape.dim[d] <= MOST_SCANNED;
        }
    }
    for (rml_graph *inside = graph->inside; inside; inside = inside->next)
        is_short = shorten_loops(inside) && is_short;
    return is_short;
}

static rml_status resize(rml_session *session, const rml_model *model, rml_error *err)
{
    for (size_t i = 0; i < rml_model_input_count(model); i++) {
        rml_port port = rml_model_input(model, i);
        if (port.shape.rank < 0)
            port.shape = (rml_shape){2, {2, 3}};
        for (int k = 0; k < port.shape.rank; k++)
            if (port.shape.dim[k] < 0)
                port.shape.dim[k] = 2;
        RML_TRY(rml_session_resize(session, port.name, port.shape, err));
    }
    return rml_session_prepare(session, err);
}

static void fill(rml_session *session, const rml_model *model)
{
    for (size_t i = 0; i < rml_model_input_count(model); i++) {
        const rml_port port = rml_model_input(model, i);
        rml_shape shape;
        size_t count = 0;
        void *data = rml_session_input(session, port.name, &shape);
        rml_shape_count(&shape, &count);
        for (size_t k = 0; k < count; k++) {
            const int64_t one = 1;
            rml_dtype_convert(RML_I64, &one, port.dtype,
                              (char *)data + k * rml_dtype_size(port.dtype), 1);
        }
    }
}

static void use(rml_model *model, bool may_run)
{
    rml_session *session = NULL;
    rml_error error;
    rml_session_settings settings = rml_session_settings_default();
    settings.threads = 1;
    settings.memory_limit = MOST_BYTES;
    rml_status status = rml_session_create(&session, model, &settings, &error);
    if (status == RML_OK)
        status = resize(session, model, &error);
    if (status == RML_OK && rml_session_macs(session) <= MOST_MACS &&
        rml_session_planned_bytes(session) <= MOST_SIZE && may_run) {
        fill(session, model);
        status = rml_session_run(session, &error);
    }
    if (status != RML_OK && !error.message[0])
        abort();
    rml_session_destroy(&session);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const rml_allocator small = {take, give, NULL};
    rml_model_settings settings = rml_model_settings_default();
    rml_model *model = NULL;
    rml_error error = {RML_OK, ""};
    settings.allocator = &small;
    if (rml_model_open_memory(&model, data, size, &settings, &error) == RML_OK)
        use(model, shorten_loops(&model->graph));
    else if (!error.message[0])
        abort();
    rml_model_destroy(&model);
    return 0;
}
