// What is computed while planning, graphs whose shapes only a run tells, and graphs inside nodes.
#include "tests/support/counting_allocator.h"
#include "tests/support/net.h"

static const rml_shape scalar = {0};

static rml_shape shape1(int64_t a)
{
    return (rml_shape){1, {a}};
}

static rml_value_id cast(rml_graph *graph, rml_value_id x, rml_dtype to, const char *name)
{
    return rml_graph_node(graph, RML_OP_CAST, &(rml_op_attr){.cast = {.to = to}}, &x, 1, name);
}

static rml_value_id plain(rml_graph *graph, rml_op_id op, rml_value_id x, const char *name)
{
    return rml_graph_node(graph, op, NULL, &x, 1, name);
}

static rml_session *start(net *at, const rml_session_settings *settings)
{
    rml_session *session = NULL;
    CHECK(net_finish(at, NULL));
    CHECK(rml_session_create(&session, at->model, settings, &at->err) == RML_OK);
    return session;
}

static void prepare(net *at, rml_session *session)
{
    const rml_status status = rml_session_prepare(session, &at->err);
    CHECK_MSG(status == RML_OK, "%s", at->err.message);
}

static void run(net *at, rml_session *session)
{
    const rml_status status = rml_session_run(session, &at->err);
    CHECK_MSG(status == RML_OK, "%s", at->err.message);
}

// Sizes are known once the inputs' are: the nodes that compute them have no step.
static void test_known_while_planning(void)
{
    net at;
    const rml_session_settings settings = {.size = sizeof settings, .threads = 1, .profile = true};
    net_begin(&at, NULL);
    const rml_value_id x = rml_graph_input(at.graph, "x", &(rml_shape){2, {-1, 2}});
    const rml_value_id sizes = plain(at.graph, RML_OP_SHAPE, x, "sizes");
    CHECK(at.graph->values[sizes].dtype == RML_I64);
    const rml_value_id wide = cast(at.graph, sizes, RML_F32, "wide");
    rml_graph_output(at.graph, "y", rml_graph_binary(at.graph, RML_BINARY_ADD, x, wide, "sum"));
    rml_session *session = start(&at, &settings);
    for (int64_t rows = 1; rows < 4; rows++) {
        CHECK(rml_session_resize(session, "x", (rml_shape){2, {rows, 2}}, &at.err) == RML_OK);
        prepare(&at, session);
        CHECK(rml_session_profile_count(session) == 1);
        float *in = rml_session_input(session, "x", NULL);
        for (int64_t i = 0; i < 2 * rows; i++)
            in[i] = (float)(10 * i);
        run(&at, session);
        const float *out = rml_session_output(session, "y", NULL);
        for (int64_t i = 0; i < 2 * rows; i++)
            CHECK(out[i] == (float)(10 * i) + (i % 2 ? 2.0f : (float)rows));
    }
    rml_session_destroy(&session);
    net_end(&at);
}

// An operator for f32 refuses other types by name.
static void test_types(void)
{
    net at;
    net_begin(&at, NULL);
    const rml_shape four = shape1(4);
    const rml_value_id x = rml_graph_typed_input(at.graph, "x", RML_I32, &four);
    const rml_activation sigmoid = {.kind = RML_UNARY_SIGMOID};
    CHECK(rml_graph_unary(at.graph, x, sigmoid, "gate") == RML_NO_VALUE);
    CHECK(rml_graph_finish(at.graph, &at.err) == RML_ERR_UNSUPPORTED);
    CHECK(strstr(at.err.message, "gate") && strstr(at.err.message, "i32"));
    net_end(&at);
}

static void test_nonzero(void)
{
    static const float data[2][6] = {{0, 1, 0, -0.0f, 2, 0}, {3, 1, 1, 1, 1, 1}};
    net at;
    rml_shape shape;
    net_begin(&at, NULL);
    const rml_value_id x = rml_graph_input(at.graph, "x", &(rml_shape){2, {2, 3}});
    const rml_value_id where = plain(at.graph, RML_OP_NONZERO, x, "where");
    rml_graph_output(at.graph, "y", where);
    rml_graph_output(at.graph, "f", cast(at.graph, where, RML_F32, "float"));
    rml_session *session = start(&at, &(rml_session_settings){.size = sizeof(rml_session_settings),
                                                              .threads = net_threads()});
    CHECK(rml_model_output(at.model, 0).dtype == RML_I64);
    prepare(&at, session);
    CHECK(rml_session_output(session, "y", NULL) == NULL);
    for (int turn = 0; turn < 2; turn++) {
        memcpy(rml_session_input(session, "x", NULL), data[turn], sizeof data[turn]);
        run(&at, session);
        const int64_t *found = rml_session_output(session, "y", &shape);
        const int64_t count = turn ? 6 : 2;
        CHECK(shape.rank == 2 && shape.dim[0] == 2 && shape.dim[1] == count);
        CHECK(found[0] == 0 && found[count] == (turn ? 0 : 1) && found[count - 1] == 1 &&
              found[2 * count - 1] == (turn ? 2 : 1));
        const float *same = rml_session_output(session, "f", NULL);
        for (int64_t i = 0; i < 2 * count; i++)
            CHECK(same[i] == (float)found[i]);
    }
    rml_session_destroy(&session);
    net_end(&at);
}

// The size of an output that only the run tells is held against what the caller has.
static void test_bound_size(void)
{
    static const float zeros[6] = {0, 1, 0, 0, 2, 0}, ones[6] = {3, 1, 1, 1, 1, 1};
    net at;
    int64_t *found = malloc(4 * sizeof *found); // of its own, so that ASan sees what lies past it
    net_begin(&at, NULL);
    const rml_value_id x = rml_graph_input(at.graph, "x", &(rml_shape){2, {2, 3}});
    rml_graph_output(at.graph, "y", plain(at.graph, RML_OP_NONZERO, x, "where"));
    rml_session *session = start(&at, NULL);
    prepare(&at, session);
    CHECK(rml_session_bind(session, "y", found, 4 * sizeof *found, &at.err) == RML_OK);
    memcpy(rml_session_input(session, "x", NULL), zeros, sizeof zeros);
    run(&at, session);
    CHECK(found[0] == 0 && found[1] == 1 && found[2] == 1 && found[3] == 1);
    memcpy(rml_session_input(session, "x", NULL), ones, sizeof ones);
    CHECK(rml_session_run(session, &at.err) == RML_ERR_LIMIT);
    CHECK_MSG(strstr(at.err.message, "output y has 96 bytes") && strstr(at.err.message, "has 32"),
              "%s", at.err.message);
    CHECK(rml_session_bind(session, "y", NULL, 0, &at.err) == RML_OK);
    run(&at, session);
    rml_session_destroy(&session);
    net_end(&at);
    free(found);
}

// The same network with and without a plan gives the same bits, layouts and packed weights and all.
static void test_same_bits(void)
{
    const rml_shape image = {4, {1, 5, 9, 11}};
    size_t count = 0;
    rml_shape_count(&image, &count);
    float *results[2] = {calloc(count, sizeof(float)), calloc(count, sizeof(float))};
    for (int dynamic = 0; dynamic < 2; dynamic++) {
        net at;
        const rml_conv_attr attr = rml_conv_square(3, 1, 1);
        net_begin(&at, NULL);
        const rml_value_id x = rml_graph_input(at.graph, "x", &image);
        const rml_value_id w = net_random(&at, "w", (rml_shape){4, {5, 5, 3, 3}}, 'u');
        const rml_value_id b = net_random(&at, "b", shape1(5), 'u');
        rml_value_id y = rml_graph_conv(at.graph, x, w, b, &attr, "conv");
        y = rml_graph_binary(at.graph, RML_BINARY_MUL, y, x, "mul");
        rml_graph_output(at.graph, "y", rml_graph_softmax(at.graph, y, 1, "softmax"));
        if (dynamic)
            rml_graph_output(at.graph, "n", plain(at.graph, RML_OP_NONZERO, x, "where"));
        rml_session *session =
            start(&at, &(rml_session_settings){.size = sizeof(rml_session_settings),
                                               .threads = net_threads()});
        CHECK(rml_session_bind(session, "y", results[dynamic], count * sizeof(float), &at.err) ==
              RML_OK);
        prepare(&at, session);
        net_fill_inputs(session, at.model, 7);
        run(&at, session);
        rml_session_destroy(&session);
        net_end(&at);
    }
    CHECK(memcmp(results[0], results[1], count * sizeof(float)) == 0);
    free(results[0]);
    free(results[1]);
}

// ---- graphs inside nodes ------------------------------------------------------------------------

static rml_value_id control(net *at, rml_op_id op, const rml_control_attr *attr,
                            const rml_value_id *in, int count, const char *name)
{
    return rml_graph_node(at->graph, op, &(rml_op_attr){.control = *attr}, in, count, name);
}

static void test_if(void)
{
    static const rml_dtype types[] = {RML_F32};
    net at;
    rml_graph branch[2];
    const rml_shape two = shape1(2);
    net_begin(&at, NULL);
    for (int k = 0; k < 2; k++) {
        rml_graph_init(&branch[k], rml_allocator_default());
        const rml_value_id x = rml_graph_input(&branch[k], "outer", &two);
        const rml_activation minus = {.kind = RML_UNARY_NEG};
        rml_value_id y = rml_graph_unary(&branch[k], x, minus, "minus");
        if (k == 0)
            y = rml_graph_concat(&branch[k], (const rml_value_id[]){x, y}, 2, 0, "both");
        rml_graph_output(&branch[k], "y", y);
    }
    const rml_value_id c = rml_graph_typed_input(at.graph, "c", RML_BOOL, &scalar);
    const rml_value_id x = rml_graph_input(at.graph, "x", &two);
    const rml_control_attr attr = {
        .body = {&branch[0], &branch[1]}, .out_count = 1, .out_types = types};
    rml_graph_output(at.graph, "y",
                     control(&at, RML_OP_IF, &attr, (const rml_value_id[]){c, x, x}, 3, "if"));
    rml_session *session = start(&at, NULL);
    prepare(&at, session);
    float *in = rml_session_input(session, "x", NULL);
    in[0] = 4;
    in[1] = 5;
    for (int yes = 0; yes < 2; yes++) {
        rml_shape shape;
        *(uint8_t *)rml_session_input(session, "c", NULL) = (uint8_t)yes;
        run(&at, session);
        const float *out = rml_session_output(session, "y", &shape);
        CHECK(shape.rank == 1 && shape.dim[0] == (yes ? 4 : 2));
        CHECK(out[shape.dim[0] - 1] == -5 && out[0] == (yes ? 4 : -4));
    }
    rml_session_destroy(&session);
    net_end(&at);
    rml_graph_release(&branch[0]);
    rml_graph_release(&branch[1]);
}

// state += captured; the state of each turn is stacked; stops after `limit` turns or when the state
// is zero.
static void make_loop_body(rml_graph *body)
{
    const rml_shape two = shape1(2);
    rml_graph_init(body, rml_allocator_default());
    rml_graph_typed_input(body, "turn", RML_I64, &scalar);
    rml_graph_typed_input(body, "go", RML_BOOL, &scalar);
    const rml_value_id state = rml_graph_input(body, "state", &two);
    const rml_value_id step = rml_graph_input(body, "step", &two);
    const rml_value_id next = rml_graph_binary(body, RML_BINARY_ADD, state, step, "next");
    const rml_value_id top = rml_graph_reduce(body, next, RML_REDUCE_MAX, 0, false, "top");
    rml_graph_output(body, "go_on", cast(body, top, RML_BOOL, "bool"));
    rml_graph_output(body, "state_out", next);
    rml_graph_output(body, "each", next);
}

static void test_loop(void)
{
    static const rml_dtype types[] = {RML_F32, RML_F32};
    static const struct {
        int64_t limit;
        uint8_t go;
        float start;
        int64_t turns;
    } cases[] = {{3, 1, -9, 3}, {100, 1, -7, 7}, {5, 0, 1, 0}, {0, 1, 1, 0}, {9, 1, 0, 9}};
    net at;
    rml_graph body;
    const rml_shape two = shape1(2);
    make_loop_body(&body);
    net_begin(&at, NULL);
    const rml_value_id limit = rml_graph_typed_input(at.graph, "limit", RML_I64, &scalar);
    const rml_value_id go = rml_graph_typed_input(at.graph, "go", RML_BOOL, &scalar);
    const rml_value_id state = rml_graph_input(at.graph, "state", &two);
    const rml_value_id step = rml_graph_input(at.graph, "step", &two);
    const rml_control_attr attr = {
        .body = {&body}, .out_count = 2, .out_types = types, .states = 1};
    const rml_value_id first =
        control(&at, RML_OP_LOOP, &attr, (const rml_value_id[]){limit, go, state, step}, 4, "loop");
    rml_graph_output(at.graph, "end", first);
    rml_graph_output(at.graph, "each", first + 1);
    rml_session *session = start(&at, NULL);
    prepare(&at, session);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        rml_shape shape;
        *(int64_t *)rml_session_input(session, "limit", NULL) = cases[i].limit;
        *(uint8_t *)rml_session_input(session, "go", NULL) = cases[i].go;
        float *at_start = rml_session_input(session, "state", NULL);
        float *by = rml_session_input(session, "step", NULL);
        at_start[0] = at_start[1] = cases[i].start;
        by[0] = by[1] = 1;
        run(&at, session);
        const float *end = rml_session_output(session, "end", NULL);
        const float *each = rml_session_output(session, "each", &shape);
        CHECK(end[1] == cases[i].start + (float)cases[i].turns);
        CHECK(shape.rank == 2 && shape.dim[0] == cases[i].turns && shape.dim[1] == 2);
        for (int64_t k = 0; k < shape.dim[0]; k++)
            CHECK(each[2 * k + 1] == cases[i].start + (float)(k + 1));
    }
    rml_session_destroy(&session);
    net_end(&at);
    rml_graph_release(&body);
}

// A state that gets shorter with each turn: what is stacked would not fit together.
static void test_loop_changes_size(void)
{
    static const rml_dtype types[] = {RML_F32, RML_F32};
    net at;
    rml_graph body;
    const rml_shape open = shape1(-1), six = shape1(6);
    rml_graph_init(&body, rml_allocator_default());
    rml_graph_typed_input(&body, "turn", RML_I64, &scalar);
    const rml_value_id go = rml_graph_typed_input(&body, "go", RML_BOOL, &scalar);
    const rml_value_id state = rml_graph_input(&body, "state", &open);
    const rml_value_id next = rml_graph_slice(&body, state, 0, 1, INT64_MAX, 1, "next");
    rml_graph_output(&body, "go_on", cast(&body, go, RML_BOOL, "same"));
    rml_graph_output(&body, "state_out", next);
    rml_graph_output(&body, "each", next);
    net_begin(&at, NULL);
    const rml_value_id limit = rml_graph_typed_input(at.graph, "limit", RML_I64, &scalar);
    const rml_value_id x = rml_graph_input(at.graph, "x", &six);
    const rml_control_attr attr = {
        .body = {&body}, .out_count = 2, .out_types = types, .states = 1};
    const rml_value_id in[] = {limit, RML_NO_VALUE, x};
    rml_graph_output(at.graph, "each", control(&at, RML_OP_LOOP, &attr, in, 3, "loop") + 1);
    rml_session *session = start(&at, NULL);
    prepare(&at, session);
    memset(rml_session_input(session, "x", NULL), 0, 6 * sizeof(float));
    *(int64_t *)rml_session_input(session, "limit", NULL) = 5;
    CHECK(rml_session_run(session, &at.err) == RML_ERR_SHAPE);
    CHECK(strstr(at.err.message, "loop") && strstr(at.err.message, "(5)") &&
          strstr(at.err.message, "(4)"));
    *(int64_t *)rml_session_input(session, "limit", NULL) = 1;
    run(&at, session);
    rml_session_destroy(&session);
    net_end(&at);
    rml_graph_release(&body);
}

// A state that turns into another kind of tensor than its graph was made for.
static void test_loop_changes_rank(void)
{
    static const rml_dtype types[] = {RML_F32};
    net at;
    rml_graph body;
    const rml_shape open = shape1(-1), six = shape1(6);
    rml_graph_init(&body, rml_allocator_default());
    rml_graph_typed_input(&body, "turn", RML_I64, &scalar);
    const rml_value_id go = rml_graph_typed_input(&body, "go", RML_BOOL, &scalar);
    const rml_value_id state = rml_graph_input(&body, "state", &open);
    rml_graph_output(&body, "go_on", cast(&body, go, RML_BOOL, "same"));
    rml_graph_output(&body, "state_out",
                     rml_graph_reshape(&body, state, &(rml_shape){2, {2, -1}}, "fold"));
    net_begin(&at, NULL);
    const rml_value_id limit = rml_graph_typed_input(at.graph, "limit", RML_I64, &scalar);
    const rml_value_id x = rml_graph_input(at.graph, "x", &six);
    const rml_control_attr attr = {
        .body = {&body}, .out_count = 1, .out_types = types, .states = 1};
    const rml_value_id in[] = {limit, RML_NO_VALUE, x};
    rml_graph_output(at.graph, "end", control(&at, RML_OP_LOOP, &attr, in, 3, "loop"));
    rml_session *session = start(&at, NULL);
    prepare(&at, session);
    memset(rml_session_input(session, "x", NULL), 0, 6 * sizeof(float));
    for (int64_t turns = 2; turns >= 0; turns--) {
        rml_shape shape;
        *(int64_t *)rml_session_input(session, "limit", NULL) = turns;
        const rml_status status = rml_session_run(session, &at.err);
        CHECK(status == (turns > 1 ? RML_ERR_SHAPE : RML_OK));
        CHECK(turns < 2 || (strstr(at.err.message, "state") && strstr(at.err.message, "(2,3)")));
        CHECK((rml_session_output(session, "end", &shape) != NULL) == (turns < 2));
        CHECK(turns > 1 || shape.rank == 1 + turns);
    }
    rml_session_destroy(&session);
    net_end(&at);
    rml_graph_release(&body);
}

// What is added to a convolution has as many rows as are picked while it runs: one is broadcast.
static void test_sum_turns_out_broadcast(void)
{
    enum { ROWS = 9, WIDTH = 7, PICK = 5 };
    const rml_shape image = {4, {1, 4, -1, WIDTH}};
    const rml_conv_attr attr = rml_conv_square(3, 1, 1);
    net at;
    net_begin(&at, NULL);
    const rml_value_id x = rml_graph_input(at.graph, "x", &image);
    const rml_value_id y = rml_graph_input(at.graph, "y", &image);
    const rml_value_id flags =
        rml_graph_typed_input(at.graph, "flags", RML_BOOL, &(rml_shape){1, {ROWS}});
    const rml_value_id w = net_random(&at, "w", (rml_shape){4, {4, 4, 3, 3}}, 'u');
    const rml_value_id rows =
        rml_graph_node(at.graph, RML_OP_COMPRESS, &(rml_op_attr){.compress = {.axis = 2}},
                       (const rml_value_id[]){y, flags}, 2, "pick");
    const rml_value_id c = rml_graph_conv(at.graph, x, w, RML_NO_VALUE, &attr, "conv");
    rml_graph_output(at.graph, "sum", rml_graph_binary(at.graph, RML_BINARY_ADD, c, rows, "add"));
    rml_session *session = start(&at, NULL);
    const rml_shape known = {4, {1, 4, ROWS, WIDTH}};
    CHECK(rml_session_resize(session, "x", known, &at.err) == RML_OK);
    CHECK(rml_session_resize(session, "y", known, &at.err) == RML_OK);
    prepare(&at, session);
    uniform_fill(rml_session_input(session, "x", NULL), 4 * ROWS * WIDTH, 1, 'u');
    uniform_fill(rml_session_input(session, "y", NULL), 4 * ROWS * WIDTH, 2, 'u');
    uint8_t *flag = rml_session_input(session, "flags", NULL);
    float all[4 * ROWS * WIDTH];
    rml_shape shape;
    memset(flag, 1, ROWS);
    run(&at, session);
    memcpy(all, rml_session_output(session, "sum", NULL), sizeof all);
    memset(flag, 0, ROWS);
    flag[PICK] = 1;
    run(&at, session);
    const float *one = rml_session_output(session, "sum", &shape);
    CHECK(rml_shape_equal(&shape, &known));
    for (int channel = 0; channel < 4; channel++) {
        const int first = channel * ROWS * WIDTH, picked = first + PICK * WIDTH;
        CHECK(memcmp(one + picked, all + picked, WIDTH * sizeof *one) == 0);
        CHECK(memcmp(one + first, all + first, WIDTH * sizeof *one) != 0);
    }
    rml_session_destroy(&session);
    net_end(&at);
}

// Columns of x from the last to the first, summed up; stacked as columns, in both directions.
static void test_scan(void)
{
    static const rml_dtype types[] = {RML_F32, RML_F32};
    net at;
    rml_graph body;
    const rml_shape two = shape1(2);
    rml_graph_init(&body, rml_allocator_default());
    const rml_value_id sum = rml_graph_input(&body, "sum", &two);
    const rml_value_id part = rml_graph_input(&body, "part", &two);
    const rml_value_id next = rml_graph_binary(&body, RML_BINARY_ADD, sum, part, "next");
    rml_graph_output(&body, "sum_out", next);
    rml_graph_output(&body, "each", next);
    for (int reverse = 0; reverse < 2; reverse++) {
        net_begin(&at, NULL);
        const rml_value_id zero = rml_graph_input(at.graph, "zero", &two);
        const rml_value_id x = rml_graph_input(at.graph, "x", &(rml_shape){2, {2, 3}});
        const rml_scan_way ways[2] = {{-1, true}, {1, reverse != 0}};
        const rml_control_attr attr = {.body = {&body},
                                       .out_count = 2,
                                       .out_types = types,
                                       .states = 1,
                                       .scanned = 1,
                                       .scan = ways};
        const rml_value_id first =
            control(&at, RML_OP_SCAN, &attr, (const rml_value_id[]){zero, x}, 2, "scan");
        rml_graph_output(at.graph, "end", first);
        rml_graph_output(at.graph, "each", first + 1);
        rml_session *session = start(&at, NULL);
        prepare(&at, session);
        float *start_at = rml_session_input(session, "zero", NULL);
        float *in = rml_session_input(session, "x", NULL);
        start_at[0] = start_at[1] = 0;
        for (int i = 0; i < 6; i++)
            in[i] = (float)(1 << i);
        run(&at, session);
        const float *end = rml_session_output(session, "end", NULL);
        const float *each = rml_session_output(session, "each", NULL);
        static const float want[2][6] = {{4, 6, 7, 32, 48, 56}, {7, 6, 4, 56, 48, 32}};
        CHECK(end[0] == 7 && end[1] == 56);
        CHECK(memcmp(each, want[reverse], sizeof want[reverse]) == 0);
        rml_session_destroy(&session);
        net_end(&at);
    }
    rml_graph_release(&body);
}

// A state that gets longer with each turn, so that every turn asks for memory; each turn's sum.
static void make_growing_body(rml_graph *body)
{
    const rml_shape open = shape1(-1);
    rml_graph_init(body, rml_allocator_default());
    rml_graph_typed_input(body, "turn", RML_I64, &scalar);
    const rml_value_id go = rml_graph_typed_input(body, "go", RML_BOOL, &scalar);
    const rml_value_id state = rml_graph_input(body, "state", &open);
    const rml_value_id step = rml_graph_input(body, "step", &open);
    const rml_value_id next =
        rml_graph_concat(body, (const rml_value_id[]){state, step}, 2, 0, "next");
    rml_graph_output(body, "go_on", cast(body, go, RML_BOOL, "same"));
    rml_graph_output(body, "state_out", next);
    rml_graph_output(body, "each", rml_graph_reduce(body, next, RML_REDUCE_SUM, 0, false, "sum"));
}

typedef struct growing {
    net at;
    rml_graph body;
    rml_session *session;
} growing;

static void begin_growing(growing *g, const rml_session_settings *settings)
{
    static const rml_dtype types[] = {RML_F32, RML_F32};
    const rml_shape two = shape1(2);
    make_growing_body(&g->body);
    net_begin(&g->at, NULL);
    const rml_value_id limit = rml_graph_typed_input(g->at.graph, "limit", RML_I64, &scalar);
    const rml_value_id state = rml_graph_input(g->at.graph, "state", &two);
    const rml_control_attr attr = {
        .body = {&g->body}, .out_count = 2, .out_types = types, .states = 1};
    const rml_value_id in[] = {limit, RML_NO_VALUE, state, state};
    const rml_value_id first = control(&g->at, RML_OP_LOOP, &attr, in, 4, "loop");
    rml_graph_output(g->at.graph, "end", first);
    rml_graph_output(g->at.graph, "each", first + 1);
    g->session = start(&g->at, settings);
    prepare(&g->at, g->session);
    float *x = rml_session_input(g->session, "state", NULL);
    x[0] = 1;
    x[1] = 2;
}

static void run_growing(growing *g, int64_t turns)
{
    rml_shape shape, stacked;
    *(int64_t *)rml_session_input(g->session, "limit", NULL) = turns;
    run(&g->at, g->session);
    const float *end = rml_session_output(g->session, "end", &shape);
    const float *each = rml_session_output(g->session, "each", &stacked);
    CHECK(shape.dim[0] == 2 + 2 * turns && stacked.dim[0] == turns);
    for (int64_t k = 0; k < turns; k++)
        CHECK(each[k] == (float)(3 * (k + 2)) && end[2 + 2 * k] == 1 && end[3 + 2 * k] == 2);
}

static void end_growing(growing *g)
{
    rml_session_destroy(&g->session);
    net_end(&g->at);
    rml_graph_release(&g->body);
}

// Every allocation of a run of several turns fails in turn: the status says so, nothing is freed
// twice and nothing leaks.
static void test_no_memory(void)
{
    growing g;
    counting count = {0};
    const rml_allocator allocator = counting_allocator(&count);
    const rml_session_settings settings = {
        .size = sizeof settings, .allocator = &allocator, .threads = 1};
    int failures = 0;
    for (rml_status status = RML_ERR_NOMEM; status != RML_OK && failures < 1000; failures++) {
        begin_growing(&g, &settings);
        *(int64_t *)rml_session_input(g.session, "limit", NULL) = 9;
        count.fail_at = count.calls + 1 + (size_t)failures;
        status = rml_session_run(g.session, &g.at.err);
        CHECK(status == RML_OK || status == RML_ERR_NOMEM);
        CHECK(status == RML_OK || !rml_session_output(g.session, "each", NULL));
        count.fail_at = 0;
        run_growing(&g, 9); // with what the failed run left
        end_growing(&g);
        CHECK(count.live_bytes == 0);
    }
    CHECK_MSG(failures > 12 && failures < 1000, "%d failures", failures);
}

// A run with the sizes of the last one allocates nothing, however often shapes change in it.
static void test_no_allocation(void)
{
    growing g;
    counting count;
    const rml_allocator allocator = counting_allocator(&count);
    begin_growing(
        &g, &(rml_session_settings){.size = sizeof(rml_session_settings), .allocator = &allocator});
    CHECK(rml_session_grows(g.session));
    run_growing(&g, 50);
    run_growing(&g, 50);
    const size_t calls = count.calls, peak = rml_session_peak_bytes(g.session);
    for (int i = 0; i < 5; i++)
        run_growing(&g, 50);
    CHECK_MSG(count.calls == calls, "%zu allocations", count.calls - calls);
    CHECK(rml_session_peak_bytes(g.session) == peak &&
          peak > rml_session_planned_bytes(g.session) + 102 * sizeof(float));
    // what large runs took goes with small ones
    const size_t live = count.live_bytes;
    run_growing(&g, 1);
    run_growing(&g, 1);
    CHECK(count.live_bytes < live);
    end_growing(&g);
    CHECK(count.live_bytes == 0);
}

// Turns are neither planned nor given memory one by one.
static void test_many_turns(void)
{
    static const rml_dtype types[] = {RML_F32, RML_F32};
    net at;
    rml_graph body;
    counting count;
    const rml_allocator allocator = counting_allocator(&count);
    const rml_shape two = shape1(2);
    make_loop_body(&body);
    net_begin(&at, NULL);
    const rml_value_id limit = rml_graph_typed_input(at.graph, "limit", RML_I64, &scalar);
    const rml_value_id state = rml_graph_input(at.graph, "state", &two);
    const rml_control_attr attr = {
        .body = {&body}, .out_count = 2, .out_types = types, .states = 1};
    const rml_value_id in[] = {limit, RML_NO_VALUE, state, state};
    rml_graph_output(at.graph, "each", control(&at, RML_OP_LOOP, &attr, in, 4, "loop") + 1);
    rml_session *session = start(&at, &(rml_session_settings){.size = sizeof(rml_session_settings),
                                                              .allocator = &allocator});
    prepare(&at, session);
    float *x = rml_session_input(session, "state", NULL);
    x[0] = x[1] = 1;
    *(int64_t *)rml_session_input(session, "limit", NULL) = 100000;
    const size_t calls = count.calls;
    run(&at, session);
    CHECK_MSG(count.calls - calls < 60, "%zu allocations", count.calls - calls);
    rml_shape shape;
    const float *each = rml_session_output(session, "each", &shape);
    CHECK(shape.dim[0] == 100000 && each[199999] == 100001.0f);
    rml_session_destroy(&session);
    net_end(&at);
    rml_graph_release(&body);
}

// Whatever part of a loop does not fit, what is named is the limit that was set.
static void test_limit_of_body(void)
{
    static const rml_dtype types[] = {RML_F32, RML_F32};
    const rml_control_attr attr = {.out_count = 2, .out_types = types, .states = 1};
    const rml_shape two = shape1(2);
    net at;
    rml_graph body;
    int failed = 0, done = 0;
    make_loop_body(&body);
    net_begin(&at, NULL);
    rml_control_attr with = attr;
    with.body[0] = &body;
    const rml_value_id limit = rml_graph_typed_input(at.graph, "limit", RML_I64, &scalar);
    const rml_value_id state = rml_graph_input(at.graph, "state", &two);
    const rml_value_id in[] = {limit, RML_NO_VALUE, state, state};
    rml_graph_output(at.graph, "each", control(&at, RML_OP_LOOP, &with, in, 4, "loop") + 1);
    rml_session *session = start(&at, NULL);
    prepare(&at, session);
    rml_session_settings settings = {.size = sizeof settings};
    settings.memory_limit = rml_session_planned_bytes(session);
    for (; settings.memory_limit < 8192 && !done; settings.memory_limit += 64) {
        rml_session_destroy(&session);
        CHECK(rml_session_create(&session, at.model, &settings, &at.err) == RML_OK);
        prepare(&at, session);
        memset(rml_session_input(session, "state", NULL), 0, 8);
        *(int64_t *)rml_session_input(session, "limit", NULL) = 3;
        const rml_status status = rml_session_run(session, &at.err);
        char text[32];
        snprintf(text, sizeof text, "limit is %zu", settings.memory_limit);
        CHECK_MSG(status == RML_OK || (status == RML_ERR_LIMIT && strstr(at.err.message, text)),
                  "%s", at.err.message);
        failed += status != RML_OK && strstr(at.err.message, "in bands too");
        done += status == RML_OK;
    }
    CHECK(failed > 0 && done > 0);
    rml_session_destroy(&session);
    net_end(&at);
    rml_graph_release(&body);
}

// What only a run tells counts against the limit, with what is planned.
static void test_limit(void)
{
    growing g;
    rml_session_settings settings = {.size = sizeof settings, .memory_limit = 64 << 10};
    begin_growing(&g, &settings);
    run_growing(&g, 50);
    CHECK(rml_session_peak_bytes(g.session) <= settings.memory_limit);
    *(int64_t *)rml_session_input(g.session, "limit", NULL) = 100000;
    CHECK(rml_session_run(g.session, &g.at.err) == RML_ERR_LIMIT);
    char planned[32];
    snprintf(planned, sizeof planned, "%zu", rml_session_planned_bytes(g.session));
    CHECK_MSG(strstr(g.at.err.message, "65536") && strstr(g.at.err.message, planned), "%s",
              g.at.err.message);
    CHECK(rml_session_peak_bytes(g.session) <= settings.memory_limit);
    CHECK(!rml_session_output(g.session, "end", NULL));
    run_growing(&g, 50);
    end_growing(&g);
}

// ---- precision and profile
// -----------------------------------------------------------------------

// A linear layer, of known shape, of rows that are picked while it runs, or inside a branch.
typedef enum place { STATIC, PICKED, BRANCH } place;

static rml_value_id linear(net *at, rml_graph *graph, rml_value_id x, rml_value_id w)
{
    (void)at;
    const rml_value_id y = rml_graph_linear(graph, x, w, RML_NO_VALUE, "layer");
    return rml_graph_unary(graph, y, (rml_activation){.kind = RML_UNARY_TANH}, "tanh");
}

static float *run_linear(place where, rml_precision precision, char *ran_in, size_t *entries)
{
    static const rml_dtype types[] = {RML_F32};
    const rml_shape rows = {3, {1, 8, 64}};
    net at;
    net_begin(&at, NULL);
    rml_graph *branch[2] = {rml_graph_inside(at.graph), rml_graph_inside(at.graph)};
    rml_value_id x = rml_graph_input(at.graph, "x", &rows);
    const rml_value_id w = net_random(&at, "w", (rml_shape){2, {48, 64}}, 'u');
    rml_graph_output(at.graph, "plain", rml_graph_unary(at.graph, x, rml_activation_relu(), "r"));
    if (where == PICKED) {
        const rml_value_id flags =
            rml_graph_typed_input(at.graph, "flags", RML_BOOL, &(rml_shape){1, {8}});
        const rml_value_id in[] = {x, plain(at.graph, RML_OP_NONZERO, flags, "where")};
        x = rml_graph_node(at.graph, RML_OP_GATHER, &(rml_op_attr){.axis = {.axis = 1}}, in, 2,
                           "pick");
    }
    if (where == BRANCH) {
        for (int k = 0; k < 2; k++) {
            const rml_value_id inner = rml_graph_input(branch[k], "x", &rows);
            const rml_constant *weight = at.graph->values[w].constant;
            rml_graph_output(
                branch[k], "y",
                linear(&at, branch[k], inner, rml_graph_constant(branch[k], "w", weight)));
        }
        const rml_value_id flag = rml_graph_typed_input(at.graph, "flags", RML_BOOL, &scalar);
        const rml_control_attr attr = {
            .body = {branch[0], branch[1]}, .out_count = 1, .out_types = types};
        const rml_value_id in[] = {flag, x, x};
        x = control(&at, RML_OP_IF, &attr, in, 3, "if");
    } else {
        x = linear(&at, at.graph, x, w);
    }
    rml_graph_output(at.graph, "y", x);
    rml_session *session = start(&at, &(rml_session_settings){.size = sizeof(rml_session_settings),
                                                              .precision = precision,
                                                              .profile = true});
    prepare(&at, session);
    uniform_fill(rml_session_input(session, "x", NULL), 8 * 64, 3, 'u');
    if (where != STATIC)
        memset(rml_session_input(session, "flags", NULL), 1, where == PICKED ? 8 : 1);
    run(&at, session);
    run(&at, session);
    const size_t bytes = 8 * 48 * sizeof(float);
    float *y = malloc(bytes);
    memcpy(y, rml_session_output(session, "y", NULL), bytes);
    *entries = rml_session_profile_count(session);
    for (size_t i = 0; i < *entries; i++) {
        const rml_profile_entry entry = rml_session_profile(session, i);
        CHECK(entry.runs == 2);
        if (strcmp(entry.op, "matmul") == 0) {
            snprintf(ran_in, 16, "%s", entry.precision);
            CHECK(entry.macs == 2 * 8 * 48 * 64 && strcmp(entry.algorithm, "-") != 0);
            CHECK(entry.shape.dim[entry.shape.rank - 1] == 48);
        }
    }
    rml_session_destroy(&session);
    net_end(&at);
    return y;
}

static void test_precision(void)
{
    static const size_t entries[] = {2, 4, 3}; // the activation is part of the layer
    const size_t bytes = 8 * 48 * sizeof(float);
    size_t count;
    char ran_in[16] = "";
    float *f32 = run_linear(STATIC, RML_PRECISION_F32, ran_in, &count);
    CHECK(strcmp(ran_in, "f32") == 0);
    for (int half = 0; half < 2; half++) {
        const rml_precision precision = half ? RML_PRECISION_BF16 : RML_PRECISION_F32;
        if (!rml_precision_available(precision, RML_CPU_BEST))
            continue;
        float *known = run_linear(STATIC, precision, ran_in, &count);
        CHECK((memcmp(known, f32, bytes) != 0) == (half != 0));
        for (place where = STATIC; where <= BRANCH; where++) {
            float *y = run_linear(where, precision, ran_in, &count);
            CHECK_MSG(strcmp(ran_in, half ? "bf16" : "f32") == 0, "place %d ran in %s", (int)where,
                      ran_in);
            CHECK_MSG(memcmp(y, known, bytes) == 0, "place %d", (int)where);
            CHECK_MSG(count == entries[where], "%zu entries", count);
            free(y);
        }
        free(known);
    }
    free(f32);
}

int main(void)
{
    test_known_while_planning();
    test_types();
    test_nonzero();
    test_bound_size();
    test_same_bits();
    test_if();
    test_loop();
    test_loop_changes_size();
    test_loop_changes_rank();
    test_sum_turns_out_broadcast();
    test_scan();
    test_no_memory();
    test_no_allocation();
    test_many_turns();
    test_limit();
    test_limit_of_body();
    test_precision();
    return check_result();
}
