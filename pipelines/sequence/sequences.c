#include "pipelines/sequence/sequences.h"

#include "tensor/alloc.h"

#include <string.h>

#define INPUT "seq_input"
#define OUTPUT "my_output"
#define MAX_STEPS (1 << 24)

struct rml_sequences {
    const rml_allocator *allocator;
    rml_session *session;
    int inputs, classes;
    int64_t fixed_count, fixed_steps; // -1: any
    size_t state;                     // numbers of h0 and of c0; 0: no state is kept
    float *held;                      // both, as the last run left them
    float *probabilities;
    size_t capacity;
};

static const char *const state_names[2][2] = {{"h0", "hn"}, {"c0", "cn"}};

// Of rank 0 where there is none of this name.
static rml_shape shape_of(const rml_model *model, bool input, const char *name)
{
    const size_t at =
        input ? rml_model_find_input(model, name) : rml_model_find_output(model, name);
    if (at == RML_NO_PORT)
        return (rml_shape){0};
    return input ? rml_model_input(model, at).shape : rml_model_output(model, at).shape;
}

static rml_status find_ports(rml_sequences *s, rml_model *model, rml_error *err)
{
    const rml_shape in = shape_of(model, true, INPUT), out = shape_of(model, false, OUTPUT);
    if (in.rank != 3 || in.dim[2] < 1 || in.dim[2] > INT32_MAX || out.rank != 2 || out.dim[1] < 1 ||
        out.dim[1] > INT32_MAX)
        return rml_fail(err, RML_ERR_UNSUPPORTED,
                        "not a classifier of sequences: it would have to take (N,steps,inputs) and "
                        "give (N,classes)");
    s->inputs = (int)in.dim[2];
    s->classes = (int)out.dim[1];
    s->fixed_count = in.dim[0];
    s->fixed_steps = in.dim[1];
    if (s->fixed_count == 0 || s->fixed_count > 1)
        return rml_fail(err, RML_ERR_UNSUPPORTED,
                        "the file fixes batches of %lld sequences; only 1 or any number will do",
                        (long long)s->fixed_count);
    if (rml_model_input_count(model) == 1)
        return RML_OK;
    const rml_shape states = shape_of(model, true, state_names[0][0]); // (N,layers,hidden)
    if (states.rank != 3 || states.dim[1] < 1 || states.dim[2] < 1 ||
        !rml_size_mul((size_t)states.dim[1], (size_t)states.dim[2], &s->state))
        return rml_fail(err, RML_ERR_UNSUPPORTED, "its state is not (N,layers,hidden)");
    for (int i = 0; i < 2; i++)
        RML_TRY(rml_session_resize(s->session, state_names[i][0],
                                   (rml_shape){3, {1, states.dim[1], states.dim[2]}}, err));
    return rml_make(s->allocator, &s->held, s->state, 2 * sizeof *s->held, "a state", err);
}

rml_status rml_sequences_create(rml_sequences **out, rml_model *model,
                                const rml_session_settings *settings, rml_error *err)
{
    const rml_allocator *allocator =
        settings->allocator ? settings->allocator : rml_allocator_default();
    *out = NULL;
    rml_sequences *s;
    RML_TRY(rml_make(allocator, &s, 1, sizeof *s, "a classifier", err));
    s->allocator = allocator;
    rml_status status = rml_session_create(&s->session, model, settings, err);
    if (status == RML_OK)
        status = find_ports(s, model, err);
    if (status != RML_OK)
        rml_sequences_destroy(&s);
    *out = s;
    return status;
}

void rml_sequences_destroy(rml_sequences **at)
{
    rml_sequences *s = *at;
    if (!s)
        return;
    rml_session_destroy(&s->session);
    rml_free(s->allocator, s->held);
    rml_free(s->allocator, s->probabilities);
    rml_free(s->allocator, s);
    *at = NULL;
}

int rml_sequences_inputs(const rml_sequences *sequences)
{
    return sequences->inputs;
}

int rml_sequences_classes(const rml_sequences *sequences)
{
    return sequences->classes;
}

const rml_session *rml_sequences_session(const rml_sequences *sequences)
{
    return sequences->session;
}

int rml_sequences_most(const rml_sequences *sequences)
{
    return sequences->fixed_count == 1 || sequences->state ? 1 : RML_SEQUENCES_MAX_BATCH;
}

void rml_sequences_restart(rml_sequences *s)
{
    if (s->held)
        memset(s->held, 0, 2 * s->state * sizeof *s->held);
}

rml_status rml_sequences_check(const rml_sequences *s, size_t count, rml_error *err)
{
    const size_t inputs = (size_t)s->inputs, steps = count / inputs;
    if (count % inputs != 0)
        return rml_fail(err, RML_ERR_SHAPE,
                        "%zu numbers are not a whole number of steps, which take %zu each", count,
                        inputs);
    if (steps < 1 || steps > MAX_STEPS)
        return rml_fail(err, RML_ERR_LIMIT, "a sequence has 1 to %d steps, not %zu", MAX_STEPS,
                        steps);
    if (s->fixed_steps > 0 && (int64_t)steps != s->fixed_steps)
        return rml_fail(err, RML_ERR_SHAPE, "the network takes sequences of %lld steps, not %zu",
                        (long long)s->fixed_steps, steps);
    return RML_OK;
}

// ---- running ----------------------------------------------------------------------------------

// Puts the held state in front of a run (side 0), or holds what is behind it (side 1).
static rml_status move_state(rml_sequences *s, int side, rml_error *err)
{
    const size_t bytes = s->state * sizeof *s->held;
    for (int i = 0; i < 2 && s->state; i++) {
        float *held = s->held + (size_t)i * s->state;
        float *in = rml_session_input(s->session, state_names[i][0], NULL);
        rml_shape shape;
        const float *out = rml_session_output(s->session, state_names[i][1], &shape);
        if (!in)
            return rml_fail(err, RML_ERR_INTERNAL, "the state is not where it was");
        if (side == 0) {
            memcpy(in, held, bytes);
            continue;
        }
        if (!out || shape.rank != 3 || shape.dim[0] != 1 ||
            (uint64_t)(shape.dim[1] * shape.dim[2]) != s->state)
            return rml_fail(err, RML_ERR_SHAPE, "the network does not give back its state %s",
                            state_names[i][1]);
        memcpy(held, out, bytes);
    }
    return RML_OK;
}

static rml_status read_out(rml_sequences *s, int count, rml_error *err)
{
    const size_t classes = (size_t)s->classes;
    rml_shape shape;
    const float *logits = rml_session_output(s->session, OUTPUT, &shape);
    if (!logits || shape.rank != 2 || shape.dim[0] != count || shape.dim[1] != s->classes)
        return rml_fail(err, RML_ERR_SHAPE, "the network did not answer for each sequence");
    const size_t need = rml_sat_mul((size_t)count, classes);
    RML_TRY(rml_reserve(s->allocator, &s->probabilities, &s->capacity, need,
                        sizeof *s->probabilities, "probabilities", err));
    memcpy(s->probabilities, logits, need * sizeof *s->probabilities);
    for (size_t i = 0; i < (size_t)count; i++)
        rml_softmax(s->probabilities + i * classes, s->classes);
    return RML_OK;
}

rml_status rml_sequences_run(rml_sequences *s, const float *const *rows, int count, int steps,
                             const float **probabilities, rml_error *err)
{
    const size_t numbers = (size_t)steps * (size_t)s->inputs;
    RML_TRY(rml_session_resize(s->session, INPUT, (rml_shape){3, {count, steps, s->inputs}}, err));
    RML_TRY(rml_session_prepare(s->session, err));
    float *to = rml_session_input(s->session, INPUT, NULL);
    for (int i = 0; i < count; i++)
        memcpy(to + (size_t)i * numbers, rows[i], numbers * sizeof *to);
    RML_TRY(move_state(s, 0, err));
    RML_TRY(rml_session_run(s->session, err));
    RML_TRY(move_state(s, 1, err));
    RML_TRY(read_out(s, count, err));
    *probabilities = s->probabilities;
    return RML_OK;
}
