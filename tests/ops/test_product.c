// Products, recurrences, spectra and attention: the same bits for any number of threads, and no
// work for any number of things that are empty.
#include "tests/support/net.h"

#include <math.h>

#define MANY ((int64_t)1 << (sizeof(size_t) > 4 ? 40 : 20))

typedef struct trial {
    net at;
    rml_value_id in[8];
    int count;
} trial;

static void begin(trial *t)
{
    net_begin(&t->at, NULL);
    t->count = 0;
}

static rml_value_id input(trial *t, rml_dtype dtype, rml_shape shape)
{
    static const char *const names[] = {"a", "b", "c", "d", "e", "f", "g", "h"};
    const rml_value_id id = rml_graph_typed_input(t->at.graph, names[t->count], dtype, &shape);
    t->in[t->count++] = id;
    return id;
}

static rml_value_id node(trial *t, rml_op_id op, rml_op_attr attr)
{
    const rml_value_id out = rml_graph_node(t->at.graph, op, &attr, t->in, t->count, "node");
    rml_graph_output(t->at.graph, "y", out);
    return out;
}

// Runs with one thread and with two; the first output's bytes agree. Ends the trial.
static void run_both(trial *t)
{
    void *bytes[2] = {NULL, NULL};
    size_t size = 0;
    if (!net_finish(&t->at, NULL))
        return;
    for (int pass = 0; pass < 2; pass++) {
        rml_session *session = NULL;
        rml_shape shape;
        size_t count = 0;
        const rml_session_settings settings = {.size = sizeof settings,
                                               .threads = pass ? net_threads() : 1};
        CHECK(rml_session_create(&session, t->at.model, &settings, &t->at.err) == RML_OK);
        CHECK_MSG(rml_session_prepare(session, &t->at.err) == RML_OK, "%s", t->at.err.message);
        net_fill_inputs(session, t->at.model, 7);
        CHECK_MSG(rml_session_run(session, &t->at.err) == RML_OK, "%s", t->at.err.message);
        const void *out = rml_session_output(session, "y", &shape);
        rml_shape_count(&shape, &count);
        size = count * rml_dtype_size(rml_model_output(t->at.model, 0).dtype);
        bytes[pass] = malloc(size + 1);
        if (size)
            memcpy(bytes[pass], out, size);
        rml_session_destroy(&session);
    }
    CHECK(size == 0 || memcmp(bytes[0], bytes[1], size) == 0);
    free(bytes[0]);
    free(bytes[1]);
    net_end(&t->at);
}

static rml_op_attr lstm_attr(void)
{
    rml_op_attr attr = {.rnn = {.kind = RML_RNN_LSTM, .directions = 2, .clip = INFINITY}};
    for (int d = 0; d < 2; d++)
        attr.rnn.act[3 * d] = (rml_rnn_activation){RML_RNN_SIGMOID, 0, 0};
    return attr;
}

static void test_threads(void)
{
    trial t;
    for (int type = 0; type < 2; type++) {
        const rml_dtype dtype = type ? RML_F64 : RML_F32;
        begin(&t);
        input(&t, dtype, (rml_shape){3, {3, 37, 61}});
        input(&t, dtype, (rml_shape){2, {61, 300}});
        node(&t, RML_OP_MATMUL, (rml_op_attr){.matmul = rml_matmul_plain(false, false)});
        run_both(&t);
        begin(&t);
        input(&t, dtype, (rml_shape){4, {2, 7, 19, 8}});
        input(&t, dtype, (rml_shape){4, {2, 7, 23, 8}});
        node(&t, RML_OP_EINSUM, (rml_op_attr){.einsum = {"bhqd,bhkd->qbhk"}});
        run_both(&t);
        begin(&t);
        input(&t, dtype, (rml_shape){3, {9, 5, 7}});
        input(&t, dtype, (rml_shape){3, {2, 44, 7}});
        input(&t, dtype, (rml_shape){3, {2, 44, 11}});
        node(&t, RML_OP_RNN, lstm_attr());
        run_both(&t);
        begin(&t);
        input(&t, dtype, (rml_shape){3, {11, 100, 2}});
        node(&t, RML_OP_DFT, (rml_op_attr){.dft = {.axis = 1}});
        run_both(&t);
        begin(&t);
        input(&t, dtype, (rml_shape){4, {2, 6, 33, 8}});
        input(&t, dtype, (rml_shape){4, {2, 3, 40, 8}});
        input(&t, dtype, (rml_shape){4, {2, 3, 40, 5}});
        node(&t, RML_OP_ATTENTION, (rml_op_attr){.attention = {.causal = true, .softcap = 5}});
        run_both(&t);
    }
    begin(&t);
    input(&t, RML_U8, (rml_shape){2, {70, 700}});
    input(&t, RML_U8, (rml_shape){2, {700, 90}});
    node(&t, RML_OP_INTEGER_MATMUL, (rml_op_attr){0});
    run_both(&t);
}

// As many matrices, heads, sequences and channels as a file may claim, all of size 0.
static void test_nothing(void)
{
    trial t;
    begin(&t);
    input(&t, RML_F32, (rml_shape){3, {MANY, 0, 3}});
    input(&t, RML_F32, (rml_shape){2, {3, 5}});
    node(&t, RML_OP_MATMUL, (rml_op_attr){.matmul = rml_matmul_plain(false, false)});
    run_both(&t);
    begin(&t);
    input(&t, RML_F32, (rml_shape){4, {1, MANY, 4, 0}}); // queries, keys and values
    t.in[1] = t.in[2] = t.in[0];
    t.count = 3;
    node(&t, RML_OP_ATTENTION, (rml_op_attr){0});
    run_both(&t);
    begin(&t);
    input(&t, RML_F32, (rml_shape){3, {4, MANY, 0}});
    input(&t, RML_F32, (rml_shape){3, {2, 0, 0}});
    input(&t, RML_F32, (rml_shape){3, {2, 0, 0}});
    node(&t, RML_OP_RNN, lstm_attr());
    run_both(&t);
    begin(&t);
    input(&t, RML_F32, (rml_shape){3, {MANY, 2, 0}});
    input(&t, RML_F32, (rml_shape){3, {2, 1, 1}});
    node(&t, RML_OP_CAUSAL_CONV, (rml_op_attr){.causal_conv = {false}});
    run_both(&t);
    begin(&t);
    input(&t, RML_F32, (rml_shape){3, {1, 3, 0}});
    t.in[1] = t.in[2] = t.in[0];
    t.count = 3;
    node(&t, RML_OP_LINEAR_ATTENTION,
         (rml_op_attr){.linear_attention = {RML_FADING_LINEAR, MANY, MANY, 0}});
    run_both(&t);
    begin(&t);
    input(&t, RML_U8, (rml_shape){3, {MANY, 3, 0}});
    input(&t, RML_U8, (rml_shape){2, {0, 0}});
    node(&t, RML_OP_INTEGER_MATMUL, (rml_op_attr){0});
    run_both(&t);
}

// What does not fit is refused while the graph is built, in a sentence.
static void expect_refusal(trial *t, const char *word)
{
    CHECK(rml_graph_finish(t->at.graph, &t->at.err) != RML_OK);
    CHECK_MSG(strstr(t->at.err.message, word), "%s", t->at.err.message);
    net_end(&t->at);
}

static void test_refusals(void)
{
    trial t;
    begin(&t);
    input(&t, RML_F32, (rml_shape){2, {3, 4}});
    input(&t, RML_F64, (rml_shape){2, {4, 3}});
    node(&t, RML_OP_MATMUL, (rml_op_attr){.matmul = rml_matmul_plain(false, false)});
    expect_refusal(&t, "f64");
    static const char *const equations[] = {"ij,jk", "ij->k", "i.j->i", "ij->ii", "i-j", ""};
    for (size_t i = 0; i < sizeof equations / sizeof *equations; i++) {
        begin(&t);
        input(&t, RML_F32, (rml_shape){2, {3, 4}});
        node(&t, RML_OP_EINSUM, (rml_op_attr){.einsum = {equations[i]}});
        expect_refusal(&t, "equation");
    }
    begin(&t);
    input(&t, RML_F32, (rml_shape){1, {MANY}});
    input(&t, RML_F32, (rml_shape){1, {MANY}});
    node(&t, RML_OP_EINSUM, (rml_op_attr){.einsum = {"i,j->ij"}});
    expect_refusal(&t, "large");
    begin(&t);
    input(&t, RML_U8, (rml_shape){4, {1, 4, 5, 5}});
    input(&t, RML_U8, (rml_shape){4, {4, 3, 3, 3}});
    node(&t, RML_OP_INTEGER_CONV,
         (rml_op_attr){
             .conv = {.window = {.stride = {1, 1}, .dilation = {1, INT64_MAX}}, .groups = 1}});
    expect_refusal(&t, "weight");
    begin(&t);
    input(&t, RML_F32, (rml_shape){3, {4, 2, 3}});
    input(&t, RML_F32, (rml_shape){3, {2, 44, 3}});
    input(&t, RML_F32, (rml_shape){3, {2, 44, 10}});
    node(&t, RML_OP_RNN, lstm_attr());
    expect_refusal(&t, "hidden");
}

int main(void)
{
    test_threads();
    test_nothing();
    test_refusals();
    return check_result();
}
