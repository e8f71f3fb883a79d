// Shapes that inputs may have: what a file limits, and what a graph of any kind does.
#include "tests/support/net.h"

#include "tensor/tensor.h"

#define MODEL "tests/fuzz/corpus/coreml/flexible.mlmodel" // y = x + k, z = relu(l)

static rml_error error;

static void check_refused(rml_session *session, const char *input, rml_shape shape,
                          const char *message)
{
    CHECK(rml_session_resize(session, input, shape, &error) == RML_ERR_SHAPE);
    CHECK_MSG(strcmp(error.message, message) == 0, "%s", error.message);
}

static rml_shape shape_of(rml_session *session, const char *input)
{
    rml_shape shape = {.rank = -1};
    CHECK(rml_session_input(session, input, &shape) != NULL);
    return shape;
}

static void test_file(void)
{
    rml_model *model = NULL;
    rml_session *session = NULL;
    if (rml_model_open(&model, MODEL, NULL, &error) != RML_OK) {
        printf("%s\n", error.message);
        exit(1);
    }
    const rml_limits *x = rml_model_input(model, 0).limits, *l = rml_model_input(model, 1).limits;
    const rml_limits *k = rml_model_input(model, 2).limits;
    CHECK(rml_model_input(model, 1).shape.rank == RML_RANK_UNKNOWN);
    CHECK(rml_model_output(model, 0).limits == NULL && rml_model_input(model, 3).limits == NULL);
    if (!x || !l || !k) {
        CHECK(x && l && k);
        return;
    }
    CHECK(strcmp(x->text, "(1..5)x3") == 0 && !x->optional && x->shape_count == 0);
    CHECK(x->low.rank == 2 && x->low.dim[0] == 1 && x->high.dim[0] == 5 && x->high.dim[1] == 3);
    CHECK(strcmp(l->text, "4, 2x2, 1x3") == 0 && l->shape_count == 3 && l->low.rank == 0);
    CHECK(*k->text == 0 && k->optional && k->fill == 2.5);
    // A session begins with the default shapes.
    CHECK(rml_session_create(&session, model, NULL, &error) == RML_OK);
    CHECK_MSG(rml_session_prepare(session, &error) == RML_OK, "%s", error.message);
    const rml_shape usual[] = {{2, {2, 3}}, {1, {4}}, {2, {1, 3}}};
    const char *const names[] = {"x", "l", "k"};
    for (int i = 0; i < 3; i++) {
        const rml_shape shape = shape_of(session, names[i]);
        const rml_limits *limits = rml_model_input(model, (size_t)i).limits;
        CHECK(rml_shape_equal(&shape, &usual[i]) && rml_shape_equal(&limits->usual, &usual[i]));
    }
    check_refused(session, "x", (rml_shape){2, {6, 3}},
                  "input x: shape 6x3 is not allowed; allowed: (1..5)x3");
    check_refused(session, "x", (rml_shape){2, {0, 3}},
                  "input x: shape 0x3 is not allowed; allowed: (1..5)x3");
    check_refused(session, "x", (rml_shape){2, {5, 4}}, "input x is (5,4), expected (?,3)");
    check_refused(session, "l", (rml_shape){2, {3, 1}},
                  "input l: shape 3x1 is not allowed; allowed: 4, 2x2, 1x3");
    check_refused(session, "l", (rml_shape){0, {0}},
                  "input l: shape () is not allowed; allowed: 4, 2x2, 1x3");
    check_refused(session, "l", (rml_shape){3, {1, 2, 2}},
                  "input l: shape 1x2x2 is not allowed; allowed: 4, 2x2, 1x3");
    // What is refused changes nothing.
    CHECK(rml_session_prepare(session, &error) == RML_OK && shape_of(session, "x").dim[0] == 2);
    CHECK(rml_session_resize(session, "x", (rml_shape){2, {5, 3}}, &error) == RML_OK);
    CHECK(rml_session_resize(session, "l", (rml_shape){2, {2, 2}}, &error) == RML_OK);
    CHECK_MSG(rml_session_prepare(session, &error) == RML_OK, "%s", error.message);
    CHECK(shape_of(session, "x").dim[0] == 5 && shape_of(session, "l").rank == 2);
    rml_session_destroy(&session);
    rml_model_destroy(&model);
}

// More sizes than a line has room for are told in part; limits outlive what they are made from.
static void test_graph(void)
{
    net n;
    rml_session *session = NULL;
    rml_shape shapes[12];
    const rml_activation curve = {.kind = RML_UNARY_SIGMOID};
    net_begin(&n, NULL);
    const rml_value_id a =
        rml_graph_input(n.graph, "a", &(rml_shape){8, {-1, -1, -1, -1, -1, -1, -1, -1}});
    const rml_value_id b = rml_graph_input(n.graph, "b", &(rml_shape){2, {-1, -1}});
    for (int i = 0; i < 12; i++) {
        shapes[i] = (rml_shape){.rank = 8};
        for (int k = 0; k < 8; k++)
            shapes[i].dim[k] = i == 11 ? 1 : INT64_MAX - i;
    }
    rml_graph_limit(n.graph, a,
                    &(rml_limits){.usual = shapes[11], .shapes = shapes, .shape_count = 12});
    rml_graph_limit(n.graph, b,
                    &(rml_limits){.usual = {2, {3, 1}}, .low = {2, {3, 0}}, .high = {2, {-1, -1}}});
    memset(shapes, 0, sizeof shapes);
    rml_graph_output(n.graph, "c", rml_graph_unary(n.graph, a, curve, "c"));
    rml_graph_output(n.graph, "d", rml_graph_unary(n.graph, b, curve, "d"));
    if (!net_finish(&n, NULL))
        return;
    const char *text = rml_model_input(n.model, 0).limits->text;
    CHECK_MSG(strlen(text) == 8 * 8 * 19 + 8 * 7 + 7 * 2 + strlen(", and 4 more"), "%s", text);
    CHECK(strcmp(text + strlen(text) - 12, ", and 4 more") == 0);
    CHECK(strcmp(rml_model_input(n.model, 1).limits->text, "(3..)x?") == 0);
    CHECK(rml_session_create(&session, n.model, NULL, &error) == RML_OK);
    CHECK_MSG(rml_session_prepare(session, &error) == RML_OK, "%s", error.message);
    CHECK(shape_of(session, "a").dim[7] == 1 && shape_of(session, "b").dim[0] == 3);
    check_refused(session, "b", (rml_shape){2, {2, 9}},
                  "input b: shape 2x9 is not allowed; allowed: (3..)x?");
    CHECK(rml_session_resize(session, "b", (rml_shape){2, {900, 0}}, &error) == RML_OK);
    rml_session_destroy(&session);
    net_end(&n);
}

int main(void)
{
    test_file();
    test_graph();
    return check_result();
}
