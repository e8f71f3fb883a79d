// Graph passes: the text before and after, what must be left alone, and equal results with each
// pass switched off. test_graph_random.c checks their results on hundreds of graphs.
#include "tests/support/graph_text.h"
#include "tests/support/net.h"

static void expect_dump(const net *at, const char *want, const char *what)
{
    char text[2000];
    graph_dump(at->graph, text, sizeof text);
    CHECK_MSG(strcmp(text, want) == 0, "%s:\n%s--- expected\n%s", what, text, want);
}

static void run_pass(net *at, rml_status (*pass)(rml_graph *, size_t *, rml_error *),
                     size_t changes)
{
    size_t changed = 0;
    CHECK_MSG(pass(at->graph, &changed, &at->err) == RML_OK, "%s", at->err.message);
    CHECK_MSG(changed == changes, "%zu changes, expected %zu", changed, changes);
    CHECK_MSG(rml_graph_validate(at->graph, &at->err) == RML_OK, "%s", at->err.message);
}

static rml_value_id input(net *at, const char *name, int64_t c)
{
    return rml_graph_input(at->graph, name, &(rml_shape){4, {1, c, 4, 4}});
}

static rml_value_id conv(net *at, rml_value_id x, int64_t c, int64_t o, const char *name)
{
    const rml_conv_attr attr = rml_conv_square(3, 1, 1);
    const rml_value_id w = net_random(at, "w", (rml_shape){4, {o, c, 3, 3}}, 'u');
    const rml_value_id b = net_random(at, "b", (rml_shape){1, {o}}, 'u');
    return rml_graph_conv(at->graph, x, w, b, &attr, name);
}

static rml_value_id relu(net *at, rml_value_id x, const char *name)
{
    return rml_graph_unary(at->graph, x, rml_activation_relu(), name);
}

static rml_value_id add(net *at, rml_value_id a, rml_value_id b, const char *name)
{
    return rml_graph_binary(at->graph, RML_BINARY_ADD, a, b, name);
}

static rml_value_id norm(net *at, rml_value_id x, int64_t c, const char *name)
{
    rml_value_id v[4];
    for (int i = 0; i < 4; i++)
        v[i] = net_random(at, "v", (rml_shape){1, {c}}, i == 3 ? 'p' : 'u');
    return rml_graph_batch_norm(at->graph, x, v[0], v[1], v[2], v[3], 1e-5f, name);
}

static void test_fuse_residual(void)
{
    // the other operand is computed after the convolution, whose node moves behind it
    net at;
    net_begin(&at, NULL);
    const rml_value_id x = input(&at, "x", 2), y = conv(&at, x, 2, 3, "c1");
    const rml_value_id late = rml_graph_unary(at.graph, input(&at, "z", 3),
                                              (rml_activation){.kind = RML_UNARY_SIGMOID}, "late");
    rml_graph_output(at.graph, "out", relu(&at, add(&at, late, y, "add1"), "relu1"));
    expect_dump(&at,
                "c1 = conv(x, w, b) (1,3,4,4)\nlate = unary(z) (1,3,4,4)\n"
                "add1 = binary(late, c1) (1,3,4,4)\nrelu1 = unary(add1) (1,3,4,4)\n"
                "output out = relu1\n",
                "before fuse_act");
    run_pass(&at, rml_pass_fuse_act, 2);
    expect_dump(&at,
                "late = unary(z) (1,3,4,4)\nc1 = conv(x, w, b, late) (1,3,4,4)\n"
                "output out = relu1\n",
                "after fuse_act");
    net_end(&at);
}

// A layer as graph files write it, product and sum: the bias becomes the layer's, and what is added
// then is a residual; a second bias stays.
static void test_fuse_bias(void)
{
    net at;
    net_begin(&at, NULL);
    const rml_value_id x = rml_graph_input(at.graph, "x", &(rml_shape){3, {-1, -1, 4}});
    const rml_value_id w = net_random(&at, "w", (rml_shape){2, {5, 4}}, 'u');
    const rml_value_id b = net_random(&at, "b", (rml_shape){1, {5}}, 'u');
    const rml_value_id y = rml_graph_linear(at.graph, x, w, RML_NO_VALUE, "fc");
    const rml_value_id z = add(&at, b, y, "sum");
    rml_graph_output(at.graph, "out", add(&at, relu(&at, z, "relu"), b, "second"));
    run_pass(&at, rml_pass_fuse_act, 2);
    expect_dump(&at,
                "fc = matmul(x, w, b) (?,?,5)\nsecond = binary(relu, b) (?,?,5)\n"
                "output out = second\n",
                "bias");
    net_end(&at);
    // no vector of the layer's width
    net_begin(&at, NULL);
    const rml_value_id v = rml_graph_input(at.graph, "x", &(rml_shape){2, {3, 4}});
    const rml_value_id u = net_random(&at, "w", (rml_shape){2, {5, 4}}, 'u');
    const rml_value_id one = net_random(&at, "one", (rml_shape){1, {1}}, 'u');
    const rml_value_id a = rml_graph_linear(at.graph, v, u, RML_NO_VALUE, "fc");
    rml_graph_output(at.graph, "out", add(&at, a, one, "sum"));
    run_pass(&at, rml_pass_fuse_act, 0);
    net_end(&at);
    // ranks that only the run tells
    net_begin(&at, NULL);
    const rml_shape any = {.rank = RML_RANK_UNKNOWN};
    const rml_value_id p = rml_graph_input(at.graph, "p", &any);
    const rml_value_id q = rml_graph_input(at.graph, "q", &any);
    const rml_value_id k = net_random(&at, "w", (rml_shape){2, {5, 4}}, 'u');
    const rml_value_id r = rml_graph_linear(at.graph, p, k, RML_NO_VALUE, "fc");
    rml_graph_output(at.graph, "out", add(&at, r, q, "sum"));
    run_pass(&at, rml_pass_fuse_act, 0);
    net_end(&at);
}

static void test_not_fused(void)
{
    // two readers
    net at;
    net_begin(&at, NULL);
    rml_value_id y = conv(&at, input(&at, "x", 2), 2, 3, "c1");
    rml_graph_output(at.graph, "out", add(&at, relu(&at, y, "relu1"), y, "add1"));
    run_pass(&at, rml_pass_fuse_act, 0);
    net_end(&at);
    // an output of the graph
    net_begin(&at, NULL);
    y = conv(&at, input(&at, "x", 2), 2, 3, "c1");
    rml_graph_output(at.graph, "raw", y);
    rml_graph_output(at.graph, "out", relu(&at, y, "relu1"));
    run_pass(&at, rml_pass_fuse_act, 0);
    net_end(&at);
    // the value added to itself
    net_begin(&at, NULL);
    y = conv(&at, input(&at, "x", 2), 2, 3, "c1");
    rml_graph_output(at.graph, "out", add(&at, y, y, "add1"));
    run_pass(&at, rml_pass_fuse_act, 0);
    net_end(&at);
    // an operand that is broadcast, an activation in between, a second activation
    net_begin(&at, NULL);
    y = conv(&at, input(&at, "x", 2), 2, 3, "c1");
    y = add(&at, y, rml_graph_input(at.graph, "z", &(rml_shape){3, {3, 1, 1}}), "add1");
    rml_graph_output(at.graph, "out", y);
    y = relu(&at, conv(&at, input(&at, "u", 2), 2, 3, "c2"), "relu2");
    y = relu(&at, add(&at, y, input(&at, "v", 3), "add2"), "relu3");
    rml_graph_output(
        at.graph, "out2",
        rml_graph_unary(at.graph, y, (rml_activation){.kind = RML_UNARY_TANH}, "tanh"));
    run_pass(&at, rml_pass_fuse_act, 2); // relu2 into c2, relu3 into add2
    expect_dump(&at,
                "c1 = conv(x, w, b) (1,3,4,4)\nadd1 = binary(c1, z) (1,3,4,4)\n"
                "c2 = conv(u, w, b) (1,3,4,4)\nadd2 = binary(relu2, v) (1,3,4,4)\n"
                "tanh = unary(relu3) (1,3,4,4)\noutput out = add1\noutput out2 = tanh\n",
                "partly fused");
    net_end(&at);
}

// x * sigmoid(x) and x * hard_sigmoid(x) are one function, and that of a convolution; other factors
// and readers are not.
static void test_gates(void)
{
    static const rml_activation gates[] = {{RML_UNARY_SIGMOID, {0}},
                                           {RML_UNARY_HARD_SIGMOID, {0.166666667f, 0.5f}},
                                           {RML_UNARY_HARD_SIGMOID, {0.2f, 0.5f}},
                                           {RML_UNARY_TANH, {0}},
                                           {RML_UNARY_SIGMOID, {0}}};
    for (int i = 0; i < 5; i++) {
        net at;
        net_begin(&at, NULL);
        const rml_value_id y = conv(&at, input(&at, "x", 2), 2, 3, "c1");
        const rml_value_id gate = rml_graph_unary(at.graph, y, gates[i], "gate");
        rml_graph_output(at.graph, "out",
                         i % 2 ? rml_graph_binary(at.graph, RML_BINARY_MUL, gate, y, "mul")
                               : rml_graph_binary(at.graph, RML_BINARY_MUL, y, gate, "mul"));
        if (i == 4)
            rml_graph_output(at.graph, "gate", gate);
        run_pass(&at, rml_pass_fuse_act, i < 2 ? 2 : 0);
        if (i < 2) {
            expect_dump(&at, "c1 = conv(x, w, b) (1,3,4,4)\noutput out = mul\n", "a gate");
            for (size_t n = 0; n < at.graph->node_count; n++)
                CHECK(at.graph->nodes[n].dead || at.graph->nodes[n].attr.conv.act.kind ==
                                                     (i ? RML_UNARY_HARD_SWISH : RML_UNARY_SILU));
        }
        net_end(&at);
    }
}

// The folded weights against the formula in double.
static void test_fold_bn(bool transposed)
{
    enum { C = 3, O = 5, K = 9 };
    net at;
    net_begin(&at, NULL);
    const rml_value_id x = input(&at, "x", C);
    const rml_conv_attr attr = rml_conv_square(3, 1, 1);
    const rml_shape shape = {4, {transposed ? C : O, transposed ? O : C, 3, 3}};
    const rml_value_id w = net_random(&at, "w", shape, 'u');
    const rml_value_id b = net_random(&at, "b", (rml_shape){1, {O}}, 'u');
    rml_value_id y = transposed ? rml_graph_conv_transpose(at.graph, x, w, b, &attr, "c1")
                                : rml_graph_conv(at.graph, x, w, b, &attr, "c1");
    y = norm(&at, y, O, "bn1");
    rml_graph_output(at.graph, "out", y);
    run_pass(&at, rml_pass_fold_bn, 1);
    expect_dump(&at,
                transposed ? "c1 = conv_transpose(x, w, bn1) (1,5,4,4)\noutput out = c1\n"
                           : "c1 = conv(x, w, bn1) (1,5,4,4)\noutput out = c1\n",
                "after fold_bn");
    const rml_node *node = &at.graph->nodes[0];
    float folded[C * O * K], bias[O];
    rml_constant_read(at.graph->values[node->in[1]].constant, 0, 0, shape.dim[0], folded);
    rml_constant_read(at.graph->values[node->in[2]].constant, 0, 0, O, bias);
    float *const *m = at.memory; // weight, bias, gamma, beta, mean, variance
    for (int i = 0; i < C * O * K; i++) {
        const int o = transposed ? i / K % O : i / (C * K);
        const double factor = (double)m[2][o] / sqrt((double)m[5][o] + (double)1e-5f);
        CHECK(folded[i] == (float)((double)m[0][i] * factor));
        const double shift = ((double)m[1][o] - (double)m[4][o]) * factor + (double)m[3][o];
        CHECK(bias[o] == (float)shift);
    }
    // slices of either axis, as the packers read them
    for (int axis = 0; axis < 2; axis++)
        for (int64_t first = 0; first < shape.dim[axis]; first++) {
            float slice[C * O * K];
            rml_constant_read(at.graph->values[node->in[1]].constant, axis, first, 1, slice);
            const int rows = axis ? (int)shape.dim[0] : 1, run = axis ? K : (int)shape.dim[1] * K;
            for (int i = 0; i < rows; i++)
                CHECK(memcmp(slice + i * run,
                             folded + (axis ? (i * shape.dim[1] + first) * K : first * run),
                             (size_t)run * sizeof *slice) == 0);
        }
    net_end(&at);
}

static void test_not_folded(void)
{
    net at;
    net_begin(&at, NULL);
    rml_value_id y = conv(&at, input(&at, "x", 2), 2, 3, "c1");
    rml_graph_output(at.graph, "raw", y); // seen from outside
    rml_graph_output(at.graph, "out", norm(&at, y, 3, "bn1"));
    y = relu(&at, conv(&at, input(&at, "z", 2), 2, 3, "c2"), "relu2"); // something in between
    rml_graph_output(at.graph, "out2", norm(&at, y, 3, "bn2"));
    run_pass(&at, rml_pass_fold_bn, 0);
    net_end(&at);
}

static void test_dce(void)
{
    net at;
    net_begin(&at, NULL);
    const rml_value_id x = input(&at, "x", 2);
    const rml_value_id dead = relu(&at, relu(&at, x, "dead1"), "dead2");
    rml_graph_output(at.graph, "out", relu(&at, x, "live"));
    CHECK(dead != RML_NO_VALUE);
    run_pass(&at, rml_pass_dce, 2);
    expect_dump(&at, "live = unary(x) (1,2,4,4)\noutput out = live\n", "after dce");
    run_pass(&at, rml_pass_dce, 0);
    net_end(&at);
}

static void test_fold_const(void)
{
    net at;
    net_begin(&at, NULL);
    const rml_value_id x = rml_graph_input(at.graph, "x", &(rml_shape){2, {3, 4}});
    const rml_value_id a = net_random(&at, "a", (rml_shape){2, {4, 5}}, 'u');
    const rml_value_id b = net_random(&at, "b", (rml_shape){2, {5, 4}}, 'u');
    rml_value_id w = rml_graph_matmul(at.graph, a, b, false, false, "product");
    w = rml_graph_unary(at.graph, w, (rml_activation){.kind = RML_UNARY_NEG}, "minus");
    w = rml_graph_transpose(at.graph, w, (int[]){1, 0}, 2, "turned");
    rml_graph_output(at.graph, "out", rml_graph_linear(at.graph, x, w, RML_NO_VALUE, "fc"));
    // an output stays a node, constant or not
    rml_graph_output(at.graph, "kept", rml_graph_softmax(at.graph, a, 0, "softmax"));
    run_pass(&at, rml_pass_fold_const, 3);
    expect_dump(&at,
                "fc = matmul(x, turned, -) (3,4)\nsoftmax = softmax(a) (4,5)\n"
                "output out = fc\noutput kept = softmax\n",
                "after fold_const");
    float folded[16];
    rml_constant_read(at.graph->values[at.graph->nodes[3].in[1]].constant, 0, 0, 4, folded);
    for (int i = 0; i < 16; i++) {
        double sum = 0, magnitude = 0;
        for (int k = 0; k < 5; k++) {
            sum -= (double)at.memory[0][i % 4 * 5 + k] * (double)at.memory[1][k * 4 + i / 4];
            magnitude +=
                fabs((double)at.memory[0][i % 4 * 5 + k] * (double)at.memory[1][k * 4 + i / 4]);
        }
        CHECK(fabs((double)folded[i] - sum) <= 7 * 0x1p-24 * magnitude);
    }
    net_end(&at);
}

// The order may be left out, which means in reverse, and count from the end.
static void test_fold_transpose(void)
{
    const rml_transpose_attr orders[] = {{.rank = -1}, {3, {2, 1, 0}}, {3, {-1, -2, -3}}};
    for (size_t i = 0; i < sizeof orders / sizeof *orders; i++) {
        net at;
        float folded[24];
        net_begin(&at, NULL);
        const rml_value_id a = net_random(&at, "a", (rml_shape){3, {2, 3, 4}}, 'u');
        const rml_op_attr attr = {.transpose = orders[i]};
        const rml_value_id t = rml_graph_node(at.graph, RML_OP_TRANSPOSE, &attr, &a, 1, "turned");
        rml_graph_output(
            at.graph, "out",
            rml_graph_unary(at.graph, t, (rml_activation){.kind = RML_UNARY_NEG}, "minus"));
        run_pass(&at, rml_pass_fold_const, 1);
        const rml_constant *constant = at.graph->values[t].constant;
        CHECK(constant && rml_shape_equal(&constant->stored.shape, &(rml_shape){3, {4, 3, 2}}));
        for (int64_t k = 0; constant && k < 4; k++)
            rml_constant_read(constant, 0, k, 1, folded + 6 * k);
        for (int k = 0; constant && k < 24; k++)
            CHECK(folded[k] == at.memory[0][k % 2 * 12 + k / 2 % 3 * 4 + k / 6]);
        net_end(&at);
    }
}

// One cast in front of what computes and one behind it, whatever is between; a cast that the file
// asked for rounds, others do not.
static void test_widen(void)
{
    net at;
    net_begin(&at, NULL);
    const rml_shape shape = {2, {3, 4}};
    const rml_value_id x = rml_graph_typed_input(at.graph, "x", RML_F16, &shape);
    rml_value_id y = rml_graph_unary(at.graph, x, rml_activation_relu(), "relu");
    y = rml_graph_transpose(at.graph, y, (int[]){1, 0}, 2, "turned");
    y = add(&at, y, y, "sum");
    const rml_value_id moved = rml_graph_transpose(at.graph, x, (int[]){1, 0}, 2, "moved");
    const rml_op_attr wide = {.cast = {.to = RML_F32}}, half = {.cast = {.to = RML_F16}};
    const rml_op_attr asked = {.cast = {.to = RML_F16, .asked = true}};
    rml_value_id z = rml_graph_node(at.graph, RML_OP_CAST, &wide, &y, 1, "wide");
    z = rml_graph_node(at.graph, RML_OP_CAST, &half, &z, 1, "back");
    z = rml_graph_unary(at.graph, z, (rml_activation){.kind = RML_UNARY_NEG}, "minus");
    z = rml_graph_node(at.graph, RML_OP_CAST, &wide, &z, 1, "wide2");
    z = rml_graph_node(at.graph, RML_OP_CAST, &asked, &z, 1, "rounded");
    z = rml_graph_unary(at.graph, z, (rml_activation){.kind = RML_UNARY_ABS}, "size");
    rml_graph_output(at.graph, "y", y);
    rml_graph_output(at.graph, "moved", moved);
    rml_graph_output(at.graph, "z", z);
    run_pass(&at, rml_pass_widen, 5);
    expect_dump(&at,
                "x = cast(x) (3,4)\nrelu = unary(x) (3,4)\nturned = transpose(relu) (4,3)\n"
                "sum = binary(turned, turned) (4,3)\nmoved = transpose(x) (4,3) f16\n"
                "minus = unary(sum) (4,3)\nrounded = cast(minus) (4,3) f16\n"
                "rounded = cast(rounded) (4,3)\nsize = unary(rounded) (4,3)\n"
                "sum = cast(sum) (4,3) f16\nsize = cast(size) (4,3) f16\n"
                "output y = sum\noutput moved = moved\noutput z = size\n",
                "after widen");
    net_end(&at);
}

static void test_layout(void)
{
    net at;
    net_begin(&at, NULL);
    const rml_value_id x = input(&at, "x", 2);
    // two convolutions and a plain operator read one input; what follows stays channels-last
    const rml_value_id a = conv(&at, x, 2, 3, "c1"), b = conv(&at, x, 2, 3, "c2");
    const rml_value_id y = relu(&at, add(&at, a, b, "add1"), "relu1");
    rml_graph_output(at.graph, "out", y);
    rml_graph_output(at.graph, "soft", rml_graph_softmax(at.graph, y, 1, "soft1"));
    run_pass(&at, rml_pass_layout, 2);
    expect_dump(&at,
                "x = layout_transform(x) (1,2,4,4) channels-last\n"
                "c1 = conv(x, w, b) (1,3,4,4) channels-last\n"
                "c2 = conv(x, w, b) (1,3,4,4) channels-last\n"
                "add1 = binary(c1, c2) (1,3,4,4) channels-last\n"
                "relu1 = unary(add1) (1,3,4,4) channels-last\n"
                "relu1 = layout_transform(relu1) (1,3,4,4)\nsoft1 = softmax(relu1) (1,3,4,4)\n"
                "output out = relu1\noutput soft = soft1\n",
                "after layout");
    net_end(&at);
}

static float *run_net(net *at, const char *disabled, size_t *count)
{
    rml_session_settings settings = {.size = sizeof settings, .threads = 1};
    rml_session *session;
    *count = 0;
    if (!net_finish(at, disabled))
        return NULL;
    CHECK(rml_session_create(&session, at->model, &settings, &at->err) == RML_OK);
    CHECK_MSG(rml_session_prepare(session, &at->err) == RML_OK, "%s", at->err.message);
    net_fill_inputs(session, at->model, 3);
    CHECK(rml_session_run(session, &at->err) == RML_OK);
    float *out = net_outputs(session, at->model, count);
    rml_session_destroy(&session);
    return out;
}

// Images that are constants: operators on channels-last memory must not take them for that.
static void test_constant_image(void)
{
    float *out[2];
    size_t count[2];
    for (int constant = 0; constant < 2; constant++) {
        net at;
        net_begin(&at, NULL);
        const rml_shape shape = {4, {1, 3, 4, 4}};
        rml_value_id x =
            constant ? net_constant(&at, "x", shape) : rml_graph_input(at.graph, "x", &shape);
        if (constant)
            uniform_fill(at.memory[0], 48, 3, 'u');
        else
            at.memory[at.constants++] = malloc(1); // so that weights get the same numbers
        const rml_pool_attr pool = {.window = rml_window_square(2, 1, 0)};
        rml_value_id y = conv(&at, x, 3, 4, "c1");
        rml_graph_output(at.graph, "conv", add(&at, y, y, "twice"));
        rml_graph_output(at.graph, "pool", rml_graph_pool(at.graph, x, &pool, "pool"));
        rml_graph_output(at.graph, "bn", norm(&at, x, 3, "bn"));
        rml_graph_output(at.graph, "sum", add(&at, x, x, "sum"));
        const rml_value_id parts[2] = {y, x};
        rml_graph_output(at.graph, "cat", rml_graph_concat(at.graph, parts, 2, 1, "cat"));
        out[constant] = run_net(&at, NULL, &count[constant]);
        net_end(&at);
    }
    CHECK(count[0] == count[1] && count[0] > 0 && out[0] && out[1]);
    CHECK(memcmp(out[0], out[1], count[0] * sizeof(float)) == 0);
    free(out[0]);
    free(out[1]);
}

#define FLOOR .coordinates = RML_COORDINATES_ASYMMETRIC, .nearest = RML_NEAREST_FLOOR

static void test_twice(void)
{
    static const struct {
        rml_resize_attr resize;
        int64_t kernel, stride, pad;
        bool like, marked;
    } cases[] = {
        {{FLOOR, .scale = {2, 2}}, 3, 1, 1, false, true},
        {{FLOOR, .scale = {2, 2}}, 3, 1, 1, true, false},
        {{FLOOR, .scale = {2, 2}}, 3, 1, 0, false, false},
        {{FLOOR, .scale = {2, 2}}, 3, 2, 1, false, false},
        {{FLOOR, .scale = {2, 2}}, 5, 1, 1, false, false},
        {{FLOOR, .scale = {2, 3}}, 3, 1, 1, false, false},
        {{FLOOR, .size = {12, 8}}, 3, 1, 1, false, false},
        {{.mode = RML_INTERPOLATION_LINEAR, .scale = {2, 2}}, 3, 1, 1, false, false},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        net at;
        net_begin(&at, NULL);
        const rml_conv_attr attr = rml_conv_square(cases[i].kernel, cases[i].stride, cases[i].pad);
        const rml_value_id x = input(&at, "x", 2), like = input(&at, "like", 2);
        const rml_value_id w =
            net_random(&at, "w", (rml_shape){4, {2, 2, cases[i].kernel, cases[i].kernel}}, 'u');
        const rml_value_id large = rml_graph_resize(
            at.graph, x, cases[i].like ? like : RML_NO_VALUE, &cases[i].resize, "large");
        const rml_value_id y = rml_graph_conv(at.graph, large, w, RML_NO_VALUE, &attr, "conv");
        const rml_value_id z = rml_graph_conv(at.graph, x, w, RML_NO_VALUE, &attr, "other");
        rml_graph_output(at.graph, "y", y);
        rml_graph_output(at.graph, "z", z);
        run_pass(&at, rml_pass_upsample2x, cases[i].marked);
        CHECK(at.graph->nodes[at.graph->values[y].producer].attr.conv.twice == cases[i].marked);
        CHECK(!at.graph->nodes[at.graph->values[z].producer].attr.conv.twice);
        net_end(&at);
    }
}

static void test_names(void)
{
    static const char *const good[] = {NULL, "", "fuse_act", "fold_bn,dce", "fold_const,fuse_act,"};
    static const char *const bad[] = {"fuse", "fuse_act2", "layout", "dce,nonsense",
                                      "fold_bn, dce"};
    for (int i = 0; i < 5; i++) {
        net at;
        net_begin(&at, NULL);
        rml_graph_output(at.graph, "out", relu(&at, input(&at, "x", 2), "relu1"));
        CHECK(rml_pass_list_run(&rml_passes_all, false, at.graph, good[i], NULL, NULL, &at.err) ==
              RML_OK);
        CHECK(rml_pass_list_run(&rml_passes_all, false, at.graph, bad[i], NULL, NULL, &at.err) ==
              RML_ERR_ARG);
        CHECK(strstr(at.err.message, i == 3 ? "nonsense" : i == 4 ? " dce" : bad[i]));
        net_end(&at);
    }
}

int main(void)
{
    test_fuse_residual();
    test_fuse_bias();
    test_not_fused();
    test_gates();
    test_fold_bn(false);
    test_fold_bn(true);
    test_not_folded();
    test_dce();
    test_fold_const();
    test_fold_transpose();
    test_widen();
    test_layout();
    test_constant_image();
    test_twice();
    test_names();
    return check_result();
}
