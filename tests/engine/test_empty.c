// Sizes of zero, and images whose rank only a run tells, through the operators of networks.
#include "tests/support/net.h"

// A network with every kind of convolution, pooling, resize and joining.
static rml_value_id build(net *at, rml_value_id x)
{
    rml_graph *g = at->graph;
    const rml_conv_attr three = rml_conv_square(3, 1, 1), two = rml_conv_square(2, 2, 1);
    rml_conv_attr each = three;
    each.groups = 8;
    const rml_value_id b = net_random(at, "b", (rml_shape){1, {8}}, 's');
    x = rml_graph_conv(g, x, net_random(at, "w1", (rml_shape){4, {8, 3, 3, 3}}, 's'), b, &three,
                       "three");
    x = rml_graph_unary(g, x, rml_activation_relu(), "relu");
    const rml_value_id y = rml_graph_conv(
        g, x, net_random(at, "w2", (rml_shape){4, {8, 1, 3, 3}}, 's'), b, &each, "each");
    x = rml_graph_binary(g, RML_BINARY_ADD, x, y, "add");
    x = rml_graph_concat(g, (const rml_value_id[]){x, y}, 2, 1, "joined");
    x = rml_graph_conv_transpose(g, x, net_random(at, "w3", (rml_shape){4, {16, 4, 2, 2}}, 's'),
                                 RML_NO_VALUE, &two, "up");
    x = rml_graph_pool(
        g, x, &(rml_pool_attr){.kind = RML_POOL_MAX, .window = rml_window_square(1, 1, 0)}, "pool");
    x = rml_graph_resize(g, x, RML_NO_VALUE,
                         &(rml_resize_attr){.mode = RML_INTERPOLATION_LINEAR, .scale = {2, 2}},
                         "twice");
    return rml_graph_softmax(g, x, 1, "softmax");
}

static void test_shapes(void)
{
    static const rml_shape shapes[] = {
        {4, {0, 3, 8, 8}}, {4, {2, 3, 0, 8}}, {4, {2, 3, 8, 0}}, {4, {1, 3, 5, 6}}};
    net at;
    rml_session *session = NULL;
    net_begin(&at, NULL);
    const rml_value_id x = rml_graph_input(at.graph, "x", &(rml_shape){4, {-1, -1, -1, -1}});
    rml_graph_output(at.graph, "y", build(&at, x));
    CHECK(net_finish(&at, NULL));
    CHECK(rml_session_create(&session, at.model, NULL, &at.err) == RML_OK);
    for (size_t i = 0; i < sizeof shapes / sizeof *shapes; i++) {
        rml_shape shape;
        rml_status status = rml_session_resize(session, "x", shapes[i], &at.err);
        status = status ? status : rml_session_prepare(session, &at.err);
        // The transposed convolution cannot start from nothing; that is said, not done.
        if (shapes[i].dim[2] == 0 || shapes[i].dim[3] == 0) {
            CHECK(status == RML_ERR_SHAPE);
            continue;
        }
        CHECK_MSG(status == RML_OK, "%s", at.err.message);
        net_fill_inputs(session, at.model, 1);
        CHECK(rml_session_run(session, &at.err) == RML_OK);
        CHECK(rml_session_output(session, "y", &shape));
        CHECK(shape.dim[0] == shapes[i].dim[0] && shape.dim[2] == 4 * shapes[i].dim[2] - 4);
    }
    rml_session_destroy(&session);
    net_end(&at);
}

// The same network behind a reshape to a shape that comes as a run's input: all ranks are unknown
// while it is built, and the bits are those of the network that knew.
static void test_unknown_rank(void)
{
    float *out[2] = {NULL, NULL};
    size_t count[2];
    for (int unknown = 0; unknown < 2; unknown++) {
        net at;
        rml_session *session = NULL;
        net_begin(&at, NULL);
        rml_value_id x = rml_graph_input(at.graph, "x", &(rml_shape){4, {2, 3, 5, 6}});
        const rml_value_id t = rml_graph_typed_input(at.graph, "t", RML_I64, &(rml_shape){1, {-1}});
        if (unknown)
            x = rml_graph_node(at.graph, RML_OP_RESHAPE, &(rml_op_attr){.reshape = {.shape = {0}}},
                               (const rml_value_id[]){x, t}, 2, "reshape");
        rml_graph_output(at.graph, "y", build(&at, x));
        CHECK(net_finish(&at, NULL));
        CHECK(rml_session_create(&session, at.model, NULL, &at.err) == RML_OK);
        CHECK(rml_session_resize(session, "t", (rml_shape){1, {4}}, &at.err) == RML_OK);
        CHECK_MSG(rml_session_prepare(session, &at.err) == RML_OK, "%s", at.err.message);
        const int64_t target[4] = {2, 3, 5, 6};
        uniform_fill(rml_session_input(session, "x", NULL), 2 * 3 * 5 * 6, 7, 'u');
        memcpy(rml_session_input(session, "t", NULL), target, sizeof target);
        CHECK_MSG(rml_session_run(session, &at.err) == RML_OK, "%s", at.err.message);
        out[unknown] = net_outputs(session, at.model, &count[unknown]);
        rml_session_destroy(&session);
        net_end(&at);
    }
    CHECK(count[0] == count[1] && memcmp(out[0], out[1], count[0] * sizeof **out) == 0);
    free(out[0]);
    free(out[1]);
}

int main(void)
{
    test_shapes();
    test_unknown_rank();
    return check_result();
}
