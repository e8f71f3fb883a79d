// Any bytes as an ONNX file that is imported, planned and, where that is small, run on ones.
#define _DEFAULT_SOURCE // posix_memalign, setitimer
#include "tests/fuzz/fuzz.h"
#include "tests/support/any_model.h"

#include "engine/model.h"
#include "tensor/tensor.h"

#include <signal.h>
#include <stdlib.h>
#include <sys/time.h>

#define MOST_BYTES ((size_t)8 << 20) // of one block: larger ones are refused, as by a small machine
#define MOST_MACS 2000000
#define MOST_SIZE ((size_t)64 << 10) // of a run's block
#define MOST_VALUES 2000
#define MOST_MICROSECONDS 200000

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

// A loop may turn as often as its file says, which is no fault: runs are cancelled after so many
// values, and where a body computes none, after so much time of the processor.
typedef struct turns {
    rml_session *session;
    size_t values;
} turns;

static rml_session *volatile running;

static void count_value(void *user, const rml_observed *value)
{
    turns *at = user;
    (void)value;
    if (++at->values == MOST_VALUES)
        rml_session_cancel(at->session, true);
}

static void out_of_time(int number)
{
    (void)number;
    if (running)
        rml_session_cancel(running, true);
}

static rml_status run(rml_session *session, rml_error *err)
{
    const struct itimerval most = {.it_value = {.tv_usec = MOST_MICROSECONDS}}, none = {0};
    running = session;
    signal(SIGPROF, out_of_time);
    setitimer(ITIMER_PROF, &most, NULL);
    const rml_status status = rml_session_run(session, err);
    setitimer(ITIMER_PROF, &none, NULL);
    running = NULL;
    return status;
}

static rml_status resize(rml_session *session, const rml_model *model, rml_error *err)
{
    for (size_t i = 0; i < rml_model_input_count(model); i++) {
        const rml_port port = rml_model_input(model, i);
        RML_TRY(rml_session_resize(session, port.name, any_model_shape(port.shape), err));
    }
    return rml_session_prepare(session, err);
}

static void use(rml_model *model, bool observed)
{
    turns at = {0};
    rml_session *session = NULL;
    rml_error error;
    rml_session_settings settings = rml_session_settings_default();
    settings.threads = 1;
    settings.memory_limit = MOST_BYTES;
    settings.observe = observed ? count_value : NULL;
    settings.observe_user = &at;
    rml_status status = rml_session_create(&session, model, &settings, &error);
    at.session = session;
    if (status == RML_OK)
        status = resize(session, model, &error);
    if (status == RML_OK && rml_session_macs(session) <= MOST_MACS &&
        rml_session_planned_bytes(session) <= MOST_SIZE) {
        any_model_fill(session, model, 1);
        status = run(session, &error);
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
        use(model, model->graph.inside != NULL); // else as it runs unobserved
    else if (!error.message[0])
        abort();
    rml_model_destroy(&model);
    return 0;
}
