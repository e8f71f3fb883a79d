// Sizes that only the run tells: what is added to a product is fused into it where both have one
// size in every run, and nowhere else, for then it may be broadcast.
#include "tests/support/net.h"

static void count_fused(void *user, const char *line)
{
    unsigned changes;
    if (sscanf(line, "pass fuse_act: %u changes", &changes) == 1)
        *(unsigned *)user = changes;
}

static rml_value_id image(net *at, const char *name)
{
    return rml_graph_input(at->graph, name, &(rml_shape){4, {-1, 4, -1, -1}});
}

static rml_value_id conv(net *at, rml_value_id x, int64_t kernel, int64_t stride, const char *name)
{
    const rml_conv_attr attr = rml_conv_square(kernel, stride, kernel / 2);
    const rml_value_id w = net_random(at, "w", (rml_shape){4, {4, 4, kernel, kernel}}, 'u');
    return rml_graph_conv(at->graph, x, w, RML_NO_VALUE, &attr, name);
}

static rml_value_id add(net *at, rml_value_id a, rml_value_id b)
{
    return rml_graph_binary(at->graph, RML_BINARY_ADD, a, b, "add");
}

static rml_value_id integers(net *at, const char *name, const int64_t *data, int64_t count)
{
    const rml_stored stored = rml_stored_plain(data, RML_I64, &(rml_shape){1, {count}});
    return rml_graph_typed_constant(at->graph, name, &stored);
}

static rml_value_id node(net *at, rml_op_id op, rml_op_attr attr, const rml_value_id *in, int count)
{
    return rml_graph_node(at->graph, op, &attr, in, count, "node");
}

// Ends the network in `out` and checks how many sums were fused; 1 image of 9 x 7 after that.
static void expect(net *at, rml_value_id out, unsigned fused, const char *what)
{
    unsigned changes = 99;
    rml_graph_output(at->graph, "y", out);
    rml_status status = rml_graph_finish(at->graph, &at->err);
    if (status == RML_OK)
        status = rml_pass_list_run(&rml_passes_all, false, at->graph, NULL, count_fused, &changes,
                                   &at->err);
    CHECK_MSG(status == RML_OK, "%s: %s", what, at->err.message);
    CHECK_MSG(changes == fused, "%s: %u fused, expected %u", what, changes, fused);
}

// Runs with `items` in the first input and one in all others; inputs of 4 channels and 9 x 7.
static void run(net *at, int64_t items, int64_t expected_items, const char *what)
{
    rml_session_settings settings = rml_session_settings_default();
    rml_session *session = NULL;
    settings.threads = 1;
    rml_status status = rml_session_create(&session, at->model, &settings, &at->err);
    for (size_t i = 0; i < at->graph->input_count && status == RML_OK; i++) {
        rml_shape shape = at->graph->values[at->graph->inputs[i]].shape;
        for (int k = 0; k < shape.rank; k++)
            if (shape.dim[k] < 0)
                shape.dim[k] = k == 0 ? (i == 0 ? items : 1) : k == 2 && shape.rank == 4 ? 9 : 7;
        status = rml_session_resize(session, rml_model_input(at->model, i).name, shape, &at->err);
    }
    if (status == RML_OK)
        status = rml_session_prepare(session, &at->err);
    if (status == RML_OK) {
        rml_shape shape = {0};
        net_fill_inputs(session, at->model, 5);
        status = rml_session_run(session, &at->err);
        rml_session_output(session, "y", &shape);
        CHECK_MSG(shape.dim[0] == expected_items, "%s: %lld items", what, (long long)shape.dim[0]);
    }
    CHECK_MSG(status == RML_OK, "%s: %s", what, at->err.message);
    rml_session_destroy(&session);
}

static void test_broadcast(void)
{
    for (int side = 0; side < 2; side++) {
        net at;
        net_begin(&at, NULL);
        const rml_value_id x = image(&at, "x"), z = image(&at, "z");
        const rml_value_id y = conv(&at, side ? z : x, 3, 1, "conv");
        expect(&at, add(&at, y, side ? x : z), 0, "two inputs");
        run(&at, 3, 3, "two inputs");
        net_end(&at);
    }
    net at;
    net_begin(&at, NULL);
    const rml_value_id x = image(&at, "x"), z = image(&at, "z");
    const rml_value_id wide = add(&at, x, z); // as large as the larger one
    expect(&at, add(&at, conv(&at, z, 3, 1, "conv"), wide), 0, "of one input and of both");
    run(&at, 3, 3, "of one input and of both");
    net_end(&at);
}

static void test_one_input(void)
{
    net at;
    net_begin(&at, NULL);
    const rml_value_id x = image(&at, "x"), y = conv(&at, x, 3, 1, "c1");
    expect(&at, add(&at, conv(&at, y, 3, 1, "c2"), x), 1, "behind two convolutions");
    run(&at, 2, 2, "behind two convolutions");
    net_end(&at);

    net_begin(&at, NULL);
    const rml_value_id small = image(&at, "x");
    expect(&at, add(&at, conv(&at, small, 3, 2, "c1"), conv(&at, small, 1, 2, "c2")), 1,
           "two ways to half the size");
    run(&at, 2, 2, "two ways to half the size");
    net_end(&at);

    net_begin(&at, NULL);
    const rml_value_id other = image(&at, "x"), odd = conv(&at, other, 2, 1, "larger");
    expect(&at, add(&at, conv(&at, other, 3, 2, "c1"), conv(&at, odd, 3, 2, "c2")), 0,
           "sizes that differ by one before they are halved");
    net_end(&at);
}

static void test_names(void)
{
    for (int same = 0; same < 2; same++) {
        net at;
        net_begin(&at, NULL);
        const rml_value_id x = image(&at, "x"), z = image(&at, "z");
        const char *const names[2][RML_MAX_RANK] = {{"n", NULL, "h", "w"},
                                                    {same ? "n" : "m", NULL, "h", "w"}};
        rml_graph_name_dims(at.graph, x, names[0]);
        rml_graph_name_dims(at.graph, z, names[1]);
        expect(&at, add(&at, conv(&at, x, 3, 1, "conv"), z), (unsigned)same, "names");
        run(&at, 1, 1, "names");
        net_end(&at);
    }
}

// As exporters write attention: to a target put together from the sizes of the input, and back.
static void test_lists(void)
{
    static const int64_t zero[] = {0}, one[] = {1}, inner[] = {-1, 4}, heads[] = {2, 2};
    for (int fused = 0; fused < 2; fused++) {
        net at;
        net_begin(&at, NULL);
        const rml_value_id x = rml_graph_input(at.graph, "x", &(rml_shape){3, {-1, -1, 4}});
        const rml_value_id other = rml_graph_input(at.graph, "z", &(rml_shape){3, {-1, -1, 4}});
        const rml_value_id shape =
            node(&at, RML_OP_SHAPE, (rml_op_attr){.axis = {.axis = 0}}, &x, 1);
        const rml_value_id pick[2][2] = {{shape, integers(&at, "0", zero, 1)},
                                         {shape, integers(&at, "1", one, 1)}};
        const rml_op_attr axis = {.axis = {.axis = 0}};
        const rml_value_id n = node(&at, RML_OP_GATHER, axis, pick[0], 2);
        const rml_value_id rows = node(&at, RML_OP_GATHER, axis, pick[1], 2);
        const rml_value_id to[3] = {n, rows, integers(&at, "heads", heads, 2)};
        const rml_value_id back[2] = {n, integers(&at, "inner", inner, 2)};
        const rml_op_attr join = {.concat = {0}};
        const rml_value_id split[2] = {x, node(&at, RML_OP_CONCAT, join, to, 3)};
        const rml_value_id y = rml_graph_transpose(
            at.graph, node(&at, RML_OP_RESHAPE, (rml_op_attr){.axis = {.axis = 0}}, split, 2),
            (const int[]){0, 2, 1, 3}, 4, "turned");
        const rml_value_id again =
            rml_graph_transpose(at.graph, y, (const int[]){0, 2, 1, 3}, 4, "back");
        const rml_value_id joined[2] = {again, node(&at, RML_OP_CONCAT, join, back, 2)};
        const rml_value_id flat =
            node(&at, RML_OP_RESHAPE, (rml_op_attr){.axis = {.axis = 0}}, joined, 2);
        const rml_value_id w = net_random(&at, "w", (rml_shape){2, {4, 4}}, 'u');
        const rml_value_id z = rml_graph_linear(at.graph, flat, w, RML_NO_VALUE, "linear");
        expect(&at, add(&at, z, fused ? x : other), (unsigned)fused, "reshaped by lists");
        run(&at, 2, 2, "reshaped by lists");
        net_end(&at);
    }
}

int main(void)
{
    test_broadcast();
    test_one_input();
    test_names();
    test_lists();
    return check_result();
}
