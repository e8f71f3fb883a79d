// Every operator against vectors made with PyTorch (tests/golden/ops): at every CPU level, with 1
// and 3 threads, each item of a batch alone, and with fusion on and off.
#include "engine/model.h"
#include "graph/passes/passes.h"
#include "tests/support/graph_text.h"
#include "tests/support/check.h"
#include "tests/support/golden_case.h"

static rml_activation activation_of(const golden_case *at, const char *key)
{
    static const char *const names[RML_UNARY_KERNELS] = {
        [RML_UNARY_CLAMP] = "clamp",     [RML_UNARY_LEAKY_RELU] = "leaky_relu",
        [RML_UNARY_SIGMOID] = "sigmoid", [RML_UNARY_TANH] = "tanh",
        [RML_UNARY_EXP] = "exp",         [RML_UNARY_SILU] = "silu",
        [RML_UNARY_GELU] = "gelu",       [RML_UNARY_GELU_TANH] = "gelu_tanh",
        [RML_UNARY_ELU] = "elu",         [RML_UNARY_ABS] = "abs",
        [RML_UNARY_NEG] = "neg",         [RML_UNARY_SQRT] = "sqrt",
        [RML_UNARY_SQUARE] = "square",   [RML_UNARY_ERF] = "erf"};
    rml_activation act = rml_activation_none();
    double param[2] = {0, 0};
    for (int i = 0; i < RML_UNARY_KERNELS; i++)
        if (names[i] && golden_is(at, key, names[i])) {
            golden_reals(at, key, true, param, 2);
            act = (rml_activation){(rml_unary)i, {(float)param[0], (float)param[1]}};
        }
    return act;
}

static void read_window(const golden_case *at, rml_window_attr *window)
{
    int64_t pad[4] = {0};
    *window = rml_window_square(1, 1, 0);
    golden_ints(at, "kernel", window->kernel, 2);
    golden_ints(at, "stride", window->stride, 2);
    golden_ints(at, "dilation", window->dilation, 2);
    golden_ints(at, "pad", pad, 4);
    for (int i = 0; i < 2; i++) {
        window->before[i] = pad[i];
        window->after[i] = pad[2 + i];
    }
}

static rml_value_id build_conv(rml_graph *graph, const golden_case *at, const rml_value_id *in)
{
    rml_conv_attr attr = {.groups = golden_int(at, "groups"), .act = rml_activation_none()};
    read_window(at, &attr.window);
    golden_ints(at, "out_pad", attr.out_pad, 2);
    rml_value_id y = strcmp(at->op, "conv2d") == 0
                         ? rml_graph_conv(graph, in[0], in[1], in[2], &attr, "op")
                         : rml_graph_conv_transpose(graph, in[0], in[1], in[2], &attr, "op");
    if (at->in_count > 3)
        y = rml_graph_binary(graph, RML_BINARY_ADD, at->count % 2 ? y : in[3],
                             at->count % 2 ? in[3] : y, "add");
    return y;
}

static rml_value_id build_pool(rml_graph *graph, const golden_case *at, rml_value_id x)
{
    rml_pool_attr attr = {.kind = golden_is(at, "kind", "max") ? RML_POOL_MAX : RML_POOL_AVERAGE,
                          .global = golden_int(at, "global"),
                          .count_pad = golden_int(at, "count_pad")};
    read_window(at, &attr.window);
    attr.window.ceil_mode = golden_int(at, "ceil_mode");
    return rml_graph_pool(graph, x, &attr, "op");
}

static rml_value_id build_moving(rml_graph *graph, const golden_case *at, const rml_value_id *in)
{
    int64_t numbers[RML_MAX_RANK];
    const int axis = (int)golden_int(at, "axis");
    if (strcmp(at->op, "concat") == 0)
        return rml_graph_concat(graph, in, at->in_count, axis, "op");
    if (strcmp(at->op, "slice") == 0) {
        golden_ints(at, "range", numbers, 3);
        return rml_graph_slice(graph, in[0], axis, numbers[0], numbers[1], numbers[2], "op");
    }
    if (strcmp(at->op, "split") == 0) {
        rml_value_id out[RML_MAX_RANK];
        const int parts = golden_ints(at, "sizes", numbers, RML_MAX_RANK);
        graph_split(graph, in[0], axis, numbers, parts, out, "op");
        return out[golden_int(at, "pick")];
    }
    if (strcmp(at->op, "reshape") == 0) {
        rml_shape shape = {0};
        shape.rank = golden_ints(at, "shape", shape.dim, RML_MAX_RANK);
        return rml_graph_reshape(graph, in[0], &shape, "op");
    }
    if (strcmp(at->op, "expand") == 0) {
        rml_shape shape = {0};
        shape.rank = golden_ints(at, "shape", shape.dim, RML_MAX_RANK);
        return rml_graph_expand(graph, in[0], &shape, in[1], "op");
    }
    if (strcmp(at->op, "space_to_depth") == 0)
        return rml_graph_space_to_depth(graph, in[0], golden_int(at, "block"), "op");
    if (strcmp(at->op, "depth_to_space") == 0)
        return rml_graph_depth_to_space(graph, in[0], in[1], golden_int(at, "block"), "op");
    int order[RML_MAX_RANK];
    const int rank = golden_ints(at, "order", numbers, RML_MAX_RANK);
    for (int i = 0; i < rank; i++)
        order[i] = (int)numbers[i];
    return rml_graph_transpose(graph, in[0], order, rank, "op");
}

static rml_value_id build_group_norm(rml_graph *graph, const golden_case *at,
                                     const rml_value_id *in, float eps)
{
    rml_value_id x = in[0];
    if (golden_int(at, "last")) { // a pooling of one pixel leaves the image as it is
        const rml_pool_attr pool = {.kind = RML_POOL_MAX, .window = rml_window_square(1, 1, 0)};
        x = rml_graph_pool(graph, x, &pool, "pool");
    }
    return rml_graph_group_norm_offset(graph, x, in[1], in[2], in[3], golden_int(at, "groups"), eps,
                                       "op");
}

// x of a vector is its gates already: the input weights are a unit matrix.
static rml_value_id build_lstm(rml_graph *graph, const golden_case *at, const rml_value_id *in)
{
    enum { MOST = 512 }; // gates
    static const int swap[3] = {1, 0, 2};
    static float unit[MOST * MOST];
    const int64_t gates = graph->values[in[1]].shape.dim[0], hidden = gates / 4;
    const bool time_first = golden_int(at, "time") == 0;
    const int64_t pick = golden_int(at, "pick");
    CHECK(gates <= MOST);
    for (int64_t i = 0; i < gates && gates <= MOST; i++)
        for (int64_t k = 0; k < gates; k++)
            unit[i * gates + k] = i == k;
    const rml_constant constant = {.stored = rml_stored_f32(unit, &(rml_shape){2, {gates, gates}})};
    const rml_lstm_weights weights = {
        rml_graph_constant(graph, "unit", &constant), in[1], {RML_NO_VALUE, RML_NO_VALUE}};
    rml_value_id state[2], out[3];
    for (int k = 0; k < 2; k++)
        state[k] = in[2 + k] == RML_NO_VALUE
                       ? RML_NO_VALUE
                       : rml_graph_reshape(graph, in[2 + k], &(rml_shape){3, {0, 1, hidden}}, "op");
    const rml_value_id x = time_first ? rml_graph_transpose(graph, in[0], swap, 3, "op") : in[0];
    rml_graph_lstm(graph, &rml_op_rnn, &weights, x, state[0], state[1], golden_int(at, "reverse"),
                   out, "op");
    if (pick > 0)
        return rml_graph_reshape(graph, out[pick], &(rml_shape){2, {0, hidden}}, "op");
    return time_first ? rml_graph_transpose(graph, out[0], swap, 3, "op") : out[0];
}

static rml_value_id build_op(rml_graph *graph, const golden_case *at, const rml_value_id *in)
{
    static const char *const kinds[] = {"add", "sub", "mul", "div", "max", "min"};
    static const char *const sums[] = {"sum", "mean", "max"};
    const char *op = at->op;
    double eps = 0;
    golden_reals(at, "eps", false, &eps, 1);
    if (strncmp(op, "conv", 4) == 0 && op[4] != 'c')
        return build_conv(graph, at, in);
    if (strcmp(op, "linear") == 0) {
        const rml_value_id y =
            rml_graph_linear(graph, in[0], in[1], at->in_count > 2 ? in[2] : RML_NO_VALUE, "op");
        return at->in_count > 3 ? rml_graph_binary(graph, RML_BINARY_ADD, y, in[3], "add") : y;
    }
    if (strcmp(op, "gate") == 0)
        return rml_graph_glu(graph, in[0], activation_of(at, "gate"), "op");
    if (strcmp(op, "matmul") == 0) {
        int64_t transpose[2];
        golden_ints(at, "transpose", transpose, 2);
        return rml_graph_matmul(graph, in[0], in[1], transpose[0], transpose[1], "op");
    }
    if (strcmp(op, "batch_norm") == 0)
        return rml_graph_batch_norm(graph, in[0], in[1], in[2], in[3], in[4], (float)eps, "op");
    if (strcmp(op, "l2norm") == 0)
        return rml_graph_l2norm(graph, in[0], in[1], (float)eps, "op");
    if (strcmp(op, "binary") == 0)
        for (int i = 0; i < RML_BINARY_KERNELS; i++)
            if (golden_is(at, "kind", kinds[i]))
                return rml_graph_binary(graph, (rml_binary)i, in[0], in[1], "op");
    if (strcmp(op, "pool2d") == 0)
        return build_pool(graph, at, in[0]);
    if (strcmp(op, "layer_norm") == 0 || strcmp(op, "channel_norm") == 0) {
        const bool channels = op[0] == 'c';
        const rml_layer_norm_attr attr = {channels ? 0 : (int)golden_int(at, "axis"), (float)eps,
                                          golden_int(at, "rms"), false};
        return (channels ? rml_graph_channel_norm : rml_graph_layer_norm)(graph, in[0], in[1],
                                                                          in[2], &attr, "op");
    }
    if (strcmp(op, "wave_norm") == 0)
        return rml_graph_wave_norm(graph, in[0], in[1], in[2], in[3], golden_int(at, "stride"),
                                   (float)eps, "op");
    if (strcmp(op, "wave_conv") == 0)
        return rml_graph_wave_conv(graph, in[0], in[1], in[2], golden_int(at, "stride"), "op");
    if (strcmp(op, "softmax") == 0)
        return rml_graph_softmax(graph, in[0], (int)golden_int(at, "axis"), "op");
    if (strcmp(op, "group_norm") == 0)
        return build_group_norm(graph, at, in, (float)eps);
    if (strcmp(op, "attention") == 0) {
        double scale = 0;
        golden_reals(at, "scale", false, &scale, 1);
        const rml_attention_attr attr = {.heads = golden_int(at, "heads"),
                                         .key_heads = golden_int(at, "key_heads"),
                                         .scale = (float)scale,
                                         .causal = golden_int(at, "causal")};
        return rml_graph_attention(graph, in[0], in[1], in[2], in[3], &attr, "op");
    }
    if (strcmp(op, "lstm") == 0)
        return build_lstm(graph, at, in);
    if (strcmp(op, "reduce") == 0)
        for (int i = 0; i < 3; i++)
            if (golden_is(at, "kind", sums[i]))
                return rml_graph_reduce(graph, in[0], (rml_reduce_kind)i,
                                        (int)golden_int(at, "axis"), golden_int(at, "keep"), "op");
    if (strcmp(op, "resize2d") == 0) {
        const bool nearest = golden_is(at, "kind", "nearest");
        rml_resize_attr attr = rml_resize_twice();
        if (!nearest) {
            attr.mode = RML_INTERPOLATION_LINEAR;
            attr.coordinates = golden_int(at, "align_corners") ? RML_COORDINATES_ALIGN_CORNERS
                                                               : RML_COORDINATES_HALF_PIXEL;
        }
        golden_ints(at, "size", attr.size, 2);
        golden_reals(at, "scale", false, attr.scale, 2);
        return rml_graph_resize(graph, in[0], RML_NO_VALUE, &attr, "op");
    }
    return build_moving(graph, at, in);
}

static rml_model *build(const golden_case *at, const char *disabled, rml_error *err)
{
    rml_model *model;
    if (rml_model_begin(&model, &rml_kit_whole, NULL, err) != RML_OK)
        return NULL;
    rml_graph *graph = &model->graph;
    rml_value_id in[GOLDEN_MAX_INPUTS];
    for (int i = 0; i < at->in_count; i++) {
        const golden_input *given = &at->in[i];
        char name[16];
        snprintf(name, sizeof name, "in%d", i);
        rml_shape shape = given->shape;
        const rml_constant constant = {.stored = rml_stored_f32(given->data, &shape)};
        if (golden_int(at, "batch"))
            shape.dim[0] = -1;
        in[i] = given->kind[0] == 'n'   ? RML_NO_VALUE
                : given->kind[0] == 'c' ? rml_graph_constant(graph, name, &constant)
                                        : rml_graph_input(graph, name, &shape);
        if (in[i] != RML_NO_VALUE && graph->values[in[i]].kind == RML_VALUE_INPUT)
            rml_graph_name_dims(graph, in[i], (const char *[RML_MAX_RANK]){"batch"});
    }
    const rml_activation act = activation_of(at, "act");
    rml_value_id y = in[0];
    if (strcmp(at->op, "unary") != 0)
        y = build_op(graph, at, in);
    if (strcmp(at->op, "unary") == 0 || !rml_activation_is_none(&act))
        y = rml_graph_unary(graph, y, act, "act");
    rml_graph_output(graph, "y", y);
    if (rml_graph_finish(graph, err) != RML_OK ||
        rml_pass_list_run(&rml_passes_all, false, graph, disabled, NULL, NULL, err) != RML_OK)
        rml_model_destroy(&model);
    return model;
}

// Runs items [first, first + count) of the batch (or everything) and returns the output's elements.
static const float *run(rml_session *session, const golden_case *at, int64_t first, int64_t count,
                        rml_error *err)
{
    const bool batch = golden_int(at, "batch");
    rml_shape shape;
    for (int i = 0; i < at->in_count; i++) {
        char name[16];
        snprintf(name, sizeof name, "in%d", i);
        shape = at->in[i].shape;
        if (batch)
            shape.dim[0] = count;
        if (at->in[i].kind[0] == 'i' && rml_session_resize(session, name, shape, err) != RML_OK)
            return NULL;
    }
    if (rml_session_prepare(session, err) != RML_OK)
        return NULL;
    for (int i = 0; i < at->in_count; i++) {
        const golden_input *given = &at->in[i];
        char name[16];
        snprintf(name, sizeof name, "in%d", i);
        if (given->kind[0] != 'i')
            continue;
        const size_t item = batch ? given->count / (size_t)given->shape.dim[0] : given->count;
        memcpy(rml_session_input(session, name, NULL),
               given->data + (batch ? (size_t)first * item : 0),
               (batch ? (size_t)count * item : item) * sizeof(float));
    }
    return rml_session_run(session, err) == RML_OK ? rml_session_output(session, "y", &shape)
                                                   : NULL;
}

static void check_values(const golden_case *at, const float *got, const char *how)
{
    size_t wrong = 0, worst = 0;
    double most = 0;
    for (size_t i = 0; i < at->count; i++) {
        const double want = (double)at->expected[i];
        const double error = fabs((double)got[i] - want);
        const bool same = isnan(want) ? isnan(got[i]) : (double)got[i] == want;
        if (same || error <= at->absolute + at->relative * fabs(want))
            continue;
        worst = wrong == 0 || error > most ? i : worst;
        most = error > most ? error : most;
        wrong++;
    }
    CHECK_MSG(wrong == 0, "%s, %s: %zu of %zu wrong; element %zu is %.9g, expected %.9g, bound %g",
              at->name, how, wrong, at->count, worst, (double)got[worst],
              (double)at->expected[worst],
              at->absolute + at->relative * fabs((double)at->expected[worst]));
}

// What ran is what the case is about.
static void check_nodes(const golden_case *at, const rml_session *session)
{
    const bool product =
        (strncmp(at->op, "conv", 4) == 0 && at->op[4] != 'c') || strcmp(at->op, "group_norm") == 0;
    for (size_t i = 0; i < rml_session_profile_count(session); i++) {
        const rml_profile_entry entry = rml_session_profile(session, i);
        CHECK_MSG(!product || (strcmp(entry.op, "unary") != 0 && strcmp(entry.op, "binary") != 0),
                  "%s: %s is not fused", at->name, entry.op);
        if (strcmp(entry.op, "conv") == 0)
            CHECK_MSG(golden_is(at, "algorithm", entry.algorithm), "%s: ran as %s", at->name,
                      entry.algorithm);
    }
}

static void check_level(const golden_case *at, rml_model *model, rml_cpu_level level, bool fused)
{
    rml_error err = {0};
    float *first = malloc((at->count + 1) * sizeof *first);
    for (int threads = 1; threads <= 3; threads += 2) {
        rml_session_settings settings = rml_session_settings_default();
        rml_session *session;
        char how[64];
        settings.threads = threads;
        settings.cpu = level;
        settings.profile = true;
        snprintf(how, sizeof how, "%s, %d threads, %s", rml_cpu_level_name(level), threads,
                 fused ? "fused" : "not fused");
        const rml_status status = rml_session_create(&session, model, &settings, &err);
        if (status == RML_ERR_UNSUPPORTED && threads > 1)
            continue; // built without threads
        CHECK_MSG(status == RML_OK, "%s, %s: %s", at->name, how, err.message);
        if (status != RML_OK)
            continue;
        const int64_t items = golden_int(at, "batch") ? at->shape.dim[0] : 1;
        const float *y = run(session, at, 0, items, &err);
        CHECK_MSG(y, "%s, %s: %s", at->name, how, err.message);
        if (y) {
            check_values(at, y, how);
            if (threads == 1)
                memcpy(first, y, at->count * sizeof *first);
            CHECK_MSG(memcmp(first, y, at->count * sizeof *first) == 0,
                      "%s, %s: not the bits of one thread", at->name, how);
            if (fused)
                check_nodes(at, session);
            const size_t item = at->count / (size_t)items;
            for (int64_t i = 0; i < items && items > 1; i++) {
                const float *alone = run(session, at, i, 1, &err);
                CHECK_MSG(alone &&
                              memcmp(alone, first + (size_t)i * item, item * sizeof *first) == 0,
                          "%s, %s: item %d alone has other bits", at->name, how, (int)i);
            }
        }
        rml_session_destroy(&session);
    }
    free(first);
}

static void check_case(const golden_case *at)
{
    for (int fused = 1; fused >= 0; fused--) {
        rml_error err = {0};
        if (!fused && !golden_text(at, "act"))
            continue;
        rml_model *model = build(at, fused ? NULL : "fuse_act", &err);
        CHECK_MSG(model, "%s: %s", at->name, err.message);
        for (int level = RML_CPU_PORTABLE; model && level <= RML_CPU_AVX512; level++)
            if (rml_cpu_level_available((rml_cpu_level)level))
                check_level(at, model, (rml_cpu_level)level, fused);
        rml_model_destroy(&model);
    }
}

static size_t check_group(const char *group, const char *filter)
{
    char path[2][80];
    golden_case at;
    size_t cases = 0;
    snprintf(path[0], sizeof path[0], "tests/golden/ops/%s.index", group);
    snprintf(path[1], sizeof path[1], "tests/golden/ops/%s.f32", group);
    FILE *index = fopen(path[0], "r"), *elements = fopen(path[1], "rb");
    CHECK_MSG(index && elements, "%s is not there: run from the source folder", path[0]);
    while (index && elements && golden_next(index, elements, &at)) {
        if (!filter || strstr(at.name, filter))
            check_case(&at);
        golden_free(&at);
        cases++;
    }
    if (index)
        fclose(index);
    if (elements)
        fclose(elements);
    return cases;
}

int main(int argc, char **argv)
{
    static const char *const groups[] = {
        "convolution", "few_outputs", "depthwise",  "winograd",    "winograd_edges",
        "transposed",  "product",     "image",      "elementwise", "moving",
        "recurrent",   "transformer", "layer_norm", "wave"};
    size_t cases = 0;
    for (size_t i = 0; i < sizeof groups / sizeof *groups; i++)
        cases += check_group(groups[i], argc > 1 ? argv[1] : NULL);
    CHECK_MSG(cases >= 690, "only %zu cases", cases);
    return check_result();
}
