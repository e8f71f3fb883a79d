// The graph: first error kept, messages that name the node and the shapes, attributes out of range,
// validation, the text form.
#include "tests/support/graph_text.h"
#include "tests/support/counting_allocator.h"
#include "tests/support/net.h"

#define UNKNOWN (-1)

static rml_shape shape4(int64_t n, int64_t c, int64_t h, int64_t w)
{
    return (rml_shape){4, {n, c, h, w}};
}

// The graph must have failed with this status and a message with all of these words.
static void expect(net *at, rml_status status, const char *const *words)
{
    rml_error err = {0};
    CHECK_MSG(rml_graph_finish(at->graph, &err) == status && err.status == status,
              "%s, expected %s with \"%s\"", err.message, rml_status_name(status), words[0]);
    for (; *words; words++)
        CHECK_MSG(strstr(err.message, *words), "\"%s\" is not in: %s", *words, err.message);
    net_end(at);
}

#define EXPECT(status, ...) expect(&at, status, (const char *const[]){__VA_ARGS__, NULL})

static rml_value_id begin(net *at, rml_shape shape)
{
    net_begin(at, NULL);
    return rml_graph_input(at->graph, "x", &shape);
}

static void test_sticky(void)
{
    net at;
    const rml_value_id x = begin(&at, shape4(1, 2, 4, 4));
    const rml_value_id bad = rml_graph_softmax(at.graph, x, 7, "first");
    CHECK(bad == RML_NO_VALUE);
    const size_t nodes = at.graph->node_count, values = at.graph->value_count;
    CHECK(rml_graph_softmax(at.graph, x, 9, "second") == RML_NO_VALUE);
    CHECK(rml_graph_unary(at.graph, x, rml_activation_relu(), "fine") == RML_NO_VALUE);
    CHECK(rml_graph_input(at.graph, "y", &(rml_shape){1, {3}}) == RML_NO_VALUE);
    CHECK(net_random(&at, "w", (rml_shape){1, {3}}, 'u') == RML_NO_VALUE);
    rml_graph_output(at.graph, "out", bad);
    CHECK(at.graph->node_count == nodes && at.graph->value_count == values);
    CHECK(at.graph->output_count == 0);
    EXPECT(RML_ERR_SHAPE, "first", "softmax", "axis 7", "(1,2,4,4)");
}

static void test_conv_messages(void)
{
    net at;
    rml_conv_attr attr = rml_conv_square(3, 1, 1);
    rml_value_id x = begin(&at, shape4(1, 5, 8, 8));
    rml_value_id w = net_random(&at, "w", shape4(4, 3, 3, 3), 'u');
    rml_graph_conv(at.graph, x, w, RML_NO_VALUE, &attr, "enc.0");
    EXPECT(RML_ERR_SHAPE, "enc.0", "conv", "(4,3,3,3)", "(1,5,8,8)");

    x = begin(&at, shape4(1, 3, 8, 8));
    w = net_random(&at, "w", shape4(4, 3, 3, 3), 'u');
    rml_value_id b = net_random(&at, "b", (rml_shape){1, {5}}, 'u');
    rml_graph_conv(at.graph, x, w, b, &attr, "enc.1");
    EXPECT(RML_ERR_SHAPE, "enc.1", "(5)", "(4)");

    x = begin(&at, shape4(1, 3, 2, 8));
    w = net_random(&at, "w", shape4(4, 3, 3, 3), 'u');
    attr = rml_conv_square(3, 1, 0);
    rml_graph_conv(at.graph, x, w, RML_NO_VALUE, &attr, "enc.2");
    EXPECT(RML_ERR_SHAPE, "enc.2", "axis 2: size 2", "3");

    x = begin(&at, (rml_shape){3, {1, 3, 8}});
    w = net_random(&at, "w", shape4(4, 3, 3, 3), 'u');
    rml_graph_conv(at.graph, x, w, RML_NO_VALUE, &attr, "enc.3");
    EXPECT(RML_ERR_SHAPE, "enc.3", "(1,3,8)", "(4,3,3,3)");

    x = begin(&at, shape4(1, 3, 8, 8));
    w = net_random(&at, "w", shape4(4, 3, 3, 3), 'u');
    attr.window.kernel[1] = 5;
    rml_graph_conv(at.graph, x, w, RML_NO_VALUE, &attr, "enc.4");
    EXPECT(RML_ERR_SHAPE, "enc.4", "(4,3,3,3)");

    x = begin(&at, shape4(1, 4, 8, 8));
    w = net_random(&at, "w", shape4(6, 4, 3, 3), 'u');
    attr = rml_conv_square(3, 1, 0);
    rml_graph_conv_transpose(at.graph, x, w, RML_NO_VALUE, &attr, "dec.0");
    EXPECT(RML_ERR_SHAPE, "dec.0", "conv_transpose", "(6,4,3,3)", "(1,4,8,8)");

    x = begin(&at, shape4(1, 4, 8, 8));
    w = net_random(&at, "w", shape4(4, 4, 3, 3), 'u');
    attr.out_pad[0] = -2;
    rml_graph_conv_transpose(at.graph, x, w, RML_NO_VALUE, &attr, "dec.1");
    EXPECT(RML_ERR_ARG, "dec.1", "output padding -2");
}

// Numbers as a hostile file may hold them: refused with a message, and never undefined behaviour.
static void test_hostile_conv(void)
{
    static const int64_t wild[] = {0,         -1,        (int64_t)1 << 31, (int64_t)1 << 40,
                                   INT64_MAX, INT64_MIN, INT64_MAX / 2,    (int64_t)1 << 62};
    for (size_t i = 0; i < sizeof wild / sizeof *wild; i++)
        for (int field = 0; field < 6; field++)
            for (int transposed = 0; transposed < 2; transposed++) {
                net at;
                rml_conv_attr attr = rml_conv_square(3, 1, 1);
                int64_t *const fields[] = {&attr.window.kernel[0], &attr.window.stride[1],
                                           &attr.window.after[0],  &attr.window.dilation[0],
                                           &attr.groups,           &attr.out_pad[1]};
                const rml_value_id x = begin(&at, shape4(1, 4, 8, 8));
                const rml_value_id w = net_random(&at, "w", shape4(4, 4, 3, 3), 'u');
                *fields[field] = wild[i];
                const rml_value_id y =
                    transposed
                        ? rml_graph_conv_transpose(at.graph, x, w, RML_NO_VALUE, &attr, "conv")
                        : rml_graph_conv(at.graph, x, w, RML_NO_VALUE, &attr, "conv");
                // padding or dilation may be 0 or large; a convolution has no output padding; a
                // kernel of 0 is the weight's
                CHECK(y == RML_NO_VALUE || (field == 0 && wild[i] == 0) || field == 2 ||
                      field == 5 || field == 1 || field == 3);
                if (y != RML_NO_VALUE && rml_shape_known(&at.graph->values[y].shape))
                    CHECK(at.graph->values[y].shape.dim[2] > 0);
                net_end(&at);
            }
}

static void test_pool_messages(void)
{
    net at;
    rml_pool_attr attr = {.window = rml_window_square(3, 2, 0)};
    rml_value_id x = begin(&at, shape4(1, 3, 8, 8));
    attr.window.before[0] = -1;
    rml_graph_pool(at.graph, x, &attr, "pool1");
    EXPECT(RML_ERR_ARG, "pool1", "pool", "axis 2", "padding -1");
    x = begin(&at, shape4(1, 3, 2, 8));
    attr.window.before[0] = 0;
    rml_graph_pool(at.graph, x, &attr, "pool2");
    EXPECT(RML_ERR_SHAPE, "pool2", "axis 2: size 2");
    // a window far larger than the image: its table must not wrap around the address space
    x = begin(&at, shape4(1, 3, 8, 8));
    const int64_t huge = (int64_t)1 << 31;
    attr.window = rml_window_square(huge, huge, huge / 2);
    x = rml_graph_pool(at.graph, x, &attr, "pool4");
    if (x != RML_NO_VALUE) {
        rml_session_settings settings = {.size = sizeof settings, .threads = 1};
        rml_session *session;
        rml_graph_output(at.graph, "y", x);
        CHECK(net_finish(&at, NULL));
        CHECK(rml_session_create(&session, at.model, &settings, &at.err) == RML_OK);
        CHECK(rml_session_prepare(session, &at.err) == RML_OK);
        float *data = rml_session_input(session, "x", NULL);
        for (int i = 0; i < 192; i++)
            data[i] = (float)(i % 64);
        CHECK(rml_session_run(session, NULL) == RML_OK);
        CHECK(*(const float *)rml_session_output(session, "y", NULL) == 63.0f);
        rml_session_destroy(&session);
    }
    net_end(&at);
}

static void test_other_messages(void)
{
    net at;
    rml_value_id x = begin(&at, shape4(2, 3, 4, 5)), y;
    y = rml_graph_input(at.graph, "y", &(rml_shape){3, {3, 2, 5}});
    rml_graph_binary(at.graph, RML_BINARY_ADD, x, y, "add1");
    EXPECT(RML_ERR_SHAPE, "add1", "binary", "(2,3,4,5)", "(3,2,5)");
    x = begin(&at, shape4(2, 3, 4, 5));
    rml_graph_linear(at.graph, x, net_random(&at, "w", (rml_shape){2, {7, 4}}, 'u'), RML_NO_VALUE,
                     "fc1");
    EXPECT(RML_ERR_SHAPE, "fc1", "matmul", "(7,4)", "(2,3,4,5)");
    x = begin(&at, (rml_shape){2, {3, 4}});
    rml_graph_matmul(at.graph, x, x, false, false, "mm1");
    EXPECT(RML_ERR_SHAPE, "mm1", "matmul", "(3,4)");
    x = begin(&at, shape4(2, 3, 4, 5));
    y = rml_graph_input(at.graph, "y", &(rml_shape){4, {2, 3, 3, 5}});
    rml_graph_concat(at.graph, (rml_value_id[]){x, y}, 2, 1, "cat1");
    EXPECT(RML_ERR_SHAPE, "cat1", "concat", "(2,3,4,5)", "(2,3,3,5)", "axis 1");
    x = begin(&at, shape4(2, 3, 4, 5));
    rml_graph_concat(at.graph, &x, 1, 4, "cat2");
    EXPECT(RML_ERR_SHAPE, "cat2", "axis 4");
    x = begin(&at, shape4(2, 3, 4, 5));
    rml_graph_reshape(at.graph, x, &(rml_shape){2, {7, -1}}, "view1");
    EXPECT(RML_ERR_SHAPE, "view1", "reshape", "(2,3,4,5)", "(7,?)");
    x = begin(&at, shape4(2, 3, 4, 5));
    rml_graph_transpose(at.graph, x, (int[]){0, 1, 1, 2}, 4, "perm1");
    EXPECT(RML_ERR_SHAPE, "perm1", "transpose", "permutation");
    x = begin(&at, shape4(2, 3, 4, 5));
    rml_graph_slice(at.graph, x, 1, 0, 2, 0, "cut1");
    EXPECT(RML_ERR_SHAPE, "cut1", "slice", "step 0", "(2,3,4,5)");
    x = begin(&at, shape4(2, 3, 4, 5));
    rml_graph_reduce(at.graph, x, RML_REDUCE_SUM, -5, false, "sum1");
    EXPECT(RML_ERR_SHAPE, "sum1", "reduce", "axis -5", "4 dimensions");
    x = begin(&at, shape4(2, 3, 4, 5));
    rml_graph_l2norm(at.graph, x, net_random(&at, "s", (rml_shape){1, {4}}, 'u'), 0, "norm1");
    EXPECT(RML_ERR_SHAPE, "norm1", "l2norm", "(4)", "(2,3,4,5)");
    x = begin(&at, shape4(2, 3, 4, 5));
    rml_graph_layer_norm(at.graph, x, RML_NO_VALUE, RML_NO_VALUE, &(rml_layer_norm_attr){.axis = 4},
                         "norm2");
    EXPECT(RML_ERR_SHAPE, "norm2", "layer_norm", "axis 4", "(2,3,4,5)");
    x = begin(&at, shape4(2, 3, 4, 5));
    rml_graph_layer_norm(at.graph, x, net_random(&at, "g", (rml_shape){1, {4}}, 'u'), RML_NO_VALUE,
                         &(rml_layer_norm_attr){.axis = -1}, "norm3");
    EXPECT(RML_ERR_SHAPE, "norm3", "layer_norm", "gamma is (4)", "(2,3,4,5)");
    x = begin(&at, shape4(2, 3, 4, 5));
    rml_graph_channel_norm(at.graph, x, RML_NO_VALUE,
                           net_random(&at, "b", (rml_shape){1, {4}}, 'u'),
                           &(rml_layer_norm_attr){0}, "norm4");
    EXPECT(RML_ERR_SHAPE, "norm4", "channel_norm", "input 2 is (4)", "(2,3,4,5)");
    x = begin(&at, (rml_shape){2, {2, 9}});
    const rml_value_id taps = net_random(&at, "w", (rml_shape){3, {4, 1, 10}}, 'u');
    const rml_value_id four = net_random(&at, "v", (rml_shape){1, {4}}, 'u');
    rml_graph_wave_norm(at.graph, x, taps, four, four, 5, 0, "wave1");
    EXPECT(RML_ERR_SHAPE, "wave1", "wave_norm", "(2,9)", "fewer samples than the 10");
    x = begin(&at, (rml_shape){2, {2, 9}});
    rml_graph_wave_conv(at.graph, x, net_random(&at, "w", (rml_shape){3, {4, 1, 3}}, 'u'),
                        net_random(&at, "n", (rml_shape){3, {2, 2, 5}}, 'u'), 1, "wave2");
    EXPECT(RML_ERR_SHAPE, "wave2", "wave_conv", "(2,2,5)", "(2,2,4)");
    x = begin(&at, shape4(2, 3, 4, 5));
    rml_graph_resize(at.graph, x, RML_NO_VALUE, &(rml_resize_attr){.scale = {NAN, 1}}, "up1");
    EXPECT(RML_ERR_ARG, "up1", "resize", "scale");
    x = begin(&at, shape4(2, 3, 0, 5));
    rml_graph_resize(at.graph, x, RML_NO_VALUE, &(rml_resize_attr){.size = {8, 8}}, "up2");
    EXPECT(RML_ERR_SHAPE, "up2", "axis 2: size 0 cannot become 8");
    x = begin(&at, shape4(2, 3, 4, 5));
    rml_graph_binary(at.graph, RML_BINARY_ADD, x, RML_NO_VALUE, "add2");
    EXPECT(RML_ERR_ARG, "add2", "input 1", "binary");
    x = begin(&at, shape4(2, 3, 4, 5));
    rml_graph_output(at.graph, "out", x);
    EXPECT(RML_ERR_ARG, "out", "not computed");
    x = begin(&at, shape4(2, 3, 4, 5));
    rml_graph_input(at.graph, "x", &(rml_shape){1, {3}});
    EXPECT(RML_ERR_ARG, "two inputs", "\"x\"");
    x = begin(&at, shape4(2, 3, 4, 5));
    for (int k = 0; k < 2; k++)
        rml_graph_output(at.graph, "y",
                         rml_graph_unary(at.graph, x, rml_activation_relu(), "relu1"));
    EXPECT(RML_ERR_ARG, "two outputs", "\"y\"");
}

// Steps and ends as large as files hold them.
static void test_slice_range(void)
{
    static const int64_t spans[][4] = {
        {0, INT64_MAX, 1, 7}, {INT64_MIN, INT64_MAX, INT64_MAX, 1}, {3, INT64_MAX, INT64_MAX, 1},
        {6, 2, INT64_MAX, 0}, {INT64_MAX, INT64_MAX, 1, 0},         {-1, INT64_MIN, 3, 0}};
    for (size_t i = 0; i < sizeof spans / sizeof *spans; i++) {
        net at;
        rml_value_id x = begin(&at, (rml_shape){2, {7, 3}});
        x = rml_graph_slice(at.graph, x, 0, spans[i][0], spans[i][1], spans[i][2], "cut");
        CHECK(x != RML_NO_VALUE && at.graph->values[x].shape.dim[0] == spans[i][3]);
        rml_session_settings settings = {.size = sizeof settings, .threads = 1};
        rml_session *session;
        rml_graph_output(at.graph, "y", x);
        CHECK(net_finish(&at, NULL));
        CHECK(rml_session_create(&session, at.model, &settings, NULL) == RML_OK);
        CHECK(rml_session_prepare(session, NULL) == RML_OK);
        net_fill_inputs(session, at.model, 3);
        CHECK(rml_session_run(session, NULL) == RML_OK);
        rml_session_destroy(&session);
        net_end(&at);
    }
}

static void test_unknown_sizes(void)
{
    net at;
    rml_value_id x = begin(&at, shape4(UNKNOWN, 3, UNKNOWN, UNKNOWN));
    rml_conv_attr attr = rml_conv_square(3, 2, 1);
    const rml_value_id w = net_random(&at, "w", shape4(6, 3, 3, 3), 'u');
    x = rml_graph_conv(at.graph, x, w, RML_NO_VALUE, &attr, "conv");
    x = rml_graph_reshape(at.graph, x, &(rml_shape){2, {0, -1}}, "flat");
    rml_graph_output(at.graph, "y", x);
    CHECK(rml_graph_finish(at.graph, NULL) == RML_OK);
    rml_fact facts[8] = {0};
    facts[0].shape = shape4(2, 3, 9, 7);
    CHECK(rml_graph_infer(at.graph, facts, &at.graph->arena, &at.err) == RML_OK);
    CHECK(facts[x].shape.rank == 2);
    CHECK(facts[x].shape.dim[0] == 2 && facts[x].shape.dim[1] == 6 * 5 * 4);
    facts[0].shape = shape4(2, 3, 0, 7);
    CHECK(rml_graph_infer(at.graph, facts, &at.graph->arena, &at.err) == RML_ERR_SHAPE ||
          facts[x].shape.dim[1] == 0);
    net_end(&at);
}

static void test_validate_and_dump(void)
{
    net at;
    rml_value_id x = begin(&at, shape4(1, 2, 4, 4));
    rml_value_id y = rml_graph_unary(at.graph, x, rml_activation_relu(), "relu1");
    y = rml_graph_binary(at.graph, RML_BINARY_ADD, y, x, "add1");
    rml_graph_output(at.graph, "out", y);
    CHECK(rml_graph_validate(at.graph, &at.err) == RML_OK);
    static const char want[] = "relu1 = unary(x) (1,2,4,4)\nadd1 = binary(relu1, x) (1,2,4,4)\n"
                               "output out = add1\n";
    char text[200];
    CHECK(graph_dump(at.graph, text, sizeof text) == sizeof want - 1 && !strcmp(text, want));
    // cut, and counted as snprintf counts
    memset(text, '#', sizeof text);
    CHECK(graph_dump(at.graph, text, 10) == sizeof want - 1);
    CHECK(strlen(text) == 9 && strncmp(text, want, 9) == 0 && text[10] == '#');
    CHECK(graph_dump(at.graph, NULL, 0) == sizeof want - 1);
    rml_graph_count_uses(at.graph);
    CHECK(at.graph->values[x].uses == 2 && at.graph->values[y].uses == 1);
    CHECK(rml_graph_find_input(at.graph, "x") == 0 && rml_graph_find_output(at.graph, "out") == 0);
    CHECK(rml_graph_find_input(at.graph, "out") == SIZE_MAX &&
          rml_graph_find_output(at.graph, "x") == SIZE_MAX &&
          rml_graph_find_output(at.graph, "y") == SIZE_MAX);

    // an input and an output may share a name, two of a kind may not
    rml_graph_output(at.graph, "x", rml_graph_unary(at.graph, x, rml_activation_relu(), "relu2"));
    CHECK(rml_graph_finish(at.graph, NULL) == RML_OK);
    CHECK(rml_graph_find_input(at.graph, "x") == 0 && rml_graph_find_output(at.graph, "x") == 1);
    CHECK(rml_graph_ports_changed(at.graph, NULL) == RML_OK);
    CHECK(rml_graph_find_input(at.graph, "x") == 0 && rml_graph_find_output(at.graph, "x") == 1);
    at.graph->output_count--;
    CHECK(rml_graph_ports_changed(at.graph, NULL) == RML_OK);

    // each broken invariant is found
    at.graph->nodes[0].dead = true;
    CHECK(rml_graph_validate(at.graph, &at.err) == RML_ERR_INTERNAL &&
          strstr(at.err.message, "relu1"));
    at.graph->nodes[0].dead = false;
    at.graph->values[at.graph->nodes[0].out].producer = 1;
    CHECK(rml_graph_validate(at.graph, &at.err) == RML_ERR_INTERNAL);
    at.graph->values[at.graph->nodes[0].out].producer = 0;
    at.graph->nodes[1].in_count = 1;
    CHECK(rml_graph_validate(at.graph, &at.err) == RML_ERR_INTERNAL);
    at.graph->nodes[1].in_count = 2;
    at.graph->values[y].shape.dim[1] = 3;
    CHECK(rml_graph_validate(at.graph, &at.err) == RML_ERR_INTERNAL &&
          strstr(at.err.message, "add1"));
    at.graph->values[y].shape.dim[1] = 2;
    at.graph->outputs[0] = x;
    CHECK(rml_graph_validate(at.graph, &at.err) == RML_ERR_INTERNAL);
    net_end(&at);
}

// A node with three outputs, of which one is read, one is an output and one is neither.
static void test_several_outputs(void)
{
    net at;
    const int64_t sizes[3] = {1, 2, 3}, wrong[3] = {1, 2, 4};
    rml_value_id out[3], x = begin(&at, (rml_shape){2, {2, 6}});
    graph_split(at.graph, x, 1, sizes, 3, out, "cut");
    rml_graph_output(at.graph, "a", rml_graph_unary(at.graph, out[0], rml_activation_relu(), "r"));
    rml_graph_output(at.graph, "c", out[2]);
    static const char want[] = "cut = split(x) (2,1) (2,2) (2,3)\nr = unary(cut) (2,1)\n"
                               "output a = r\noutput c = cut:3\n";
    char text[200];
    CHECK(graph_dump(at.graph, text, sizeof text) == sizeof want - 1 && !strcmp(text, want));
    at.graph->values[out[1]].producer = 1;
    CHECK(rml_graph_validate(at.graph, &at.err) == RML_ERR_INTERNAL);
    at.graph->values[out[1]].producer = 0;
    at.graph->nodes[0].out_count = 2;
    CHECK(rml_graph_validate(at.graph, &at.err) == RML_ERR_INTERNAL);
    at.graph->nodes[0].out_count = 3;
    at.graph->values[out[1]].shape.dim[1] = 4;
    CHECK(rml_graph_validate(at.graph, &at.err) == RML_ERR_INTERNAL);
    at.graph->values[out[1]].shape.dim[1] = 2;
    CHECK(net_finish(&at, NULL));
    CHECK(!at.graph->nodes[0].dead); // its first part is read
    graph_split(at.graph, x, 1, wrong, 3, out, "cut2");
    CHECK(out[0] == RML_NO_VALUE && out[2] == RML_NO_VALUE);
    CHECK(rml_graph_finish(at.graph, &at.err) == RML_ERR_SHAPE && strstr(at.err.message, "cut2"));
    net_end(&at);
    begin(&at, (rml_shape){2, {2, 6}});
    int64_t many[RML_MAX_OUTPUTS + 1] = {6};
    rml_value_id ids[RML_MAX_OUTPUTS + 1];
    graph_split(at.graph, 0, 1, many, RML_MAX_OUTPUTS + 1, ids, "cut3");
    CHECK(rml_graph_finish(at.graph, &at.err) == RML_ERR_LIMIT && strstr(at.err.message, "cut3"));
    net_end(&at);
}

// Two names of one value: each can be bound to memory of its own.
static void test_two_names(void)
{
    net at;
    rml_session_settings settings = {.size = sizeof settings, .threads = 1};
    rml_session *session;
    float first[6], second[6];
    rml_value_id x = begin(&at, (rml_shape){2, {2, 3}});
    x = rml_graph_unary(at.graph, x, (rml_activation){.kind = RML_UNARY_NEG}, "minus");
    rml_graph_output(at.graph, "a", x);
    rml_graph_output(at.graph, "b", x);
    CHECK(net_finish(&at, NULL));
    CHECK(rml_session_create(&session, at.model, &settings, NULL) == RML_OK);
    CHECK(rml_session_bind(session, "a", first, sizeof first, NULL) == RML_OK);
    CHECK(rml_session_prepare(session, NULL) == RML_OK);
    net_fill_inputs(session, at.model, 3);
    CHECK(rml_session_run(session, NULL) == RML_OK);
    CHECK(memcmp(first, rml_session_output(session, "b", NULL), sizeof first) == 0);
    CHECK(first[5] == -((const float *)rml_session_input(session, "x", NULL))[5]);
    CHECK(rml_session_bind(session, "b", second, sizeof second, NULL) == RML_OK);
    CHECK(rml_session_run(session, NULL) == RML_OK);
    CHECK(memcmp(first, second, sizeof first) == 0);
    rml_session_destroy(&session);
    net_end(&at);
}

int main(void)
{
    test_two_names();
    test_several_outputs();
    test_sticky();
    test_conv_messages();
    test_hostile_conv();
    test_pool_messages();
    test_other_messages();
    test_slice_range();
    test_unknown_sizes();
    test_validate_and_dump();
    return check_result();
}
