// Sessions that take turns with one block: each gives what it gives alone, the block is as large as
// the largest plan, and what has moved is noticed.
#include "tests/support/counting_allocator.h"
#include "tests/support/net.h"

static void build(net *at, int64_t channels)
{
    const rml_conv_attr three = rml_conv_square(3, 1, 1);
    net_begin(at, NULL);
    rml_graph *g = at->graph;
    const rml_value_id x = rml_graph_input(g, "x", &(rml_shape){4, {-1, 3, -1, -1}});
    const rml_value_id w1 = net_random(at, "w1", (rml_shape){4, {channels, 3, 3, 3}}, 'u');
    const rml_value_id w2 = net_random(at, "w2", (rml_shape){4, {3, channels, 3, 3}}, 'u');
    rml_value_id y = rml_graph_conv(g, x, w1, RML_NO_VALUE, &three, "in");
    y = rml_graph_unary(g, y, rml_activation_relu(), "relu");
    rml_graph_output(g, "y", rml_graph_conv(g, y, w2, RML_NO_VALUE, &three, "out"));
    net_finish(at, NULL);
}

static rml_session *open_session(rml_model *model, rml_shared_block *block)
{
    const rml_session_settings settings = {.size = sizeof settings, .threads = 1, .shared = block};
    rml_session *session;
    CHECK(rml_session_create(&session, model, &settings, NULL) == RML_OK);
    return session;
}

static rml_status prepare(rml_session *session, int64_t side, rml_error *err)
{
    const rml_shape shape = {4, {1, 3, side, side}};
    CHECK(rml_session_resize(session, "x", shape, NULL) == RML_OK);
    return rml_session_prepare(session, err);
}

// A whole turn, beside what a session that shares nothing gives.
static void check_turn(rml_session *session, rml_model *model, int64_t side)
{
    rml_session *alone = open_session(model, NULL);
    rml_session *both[2] = {session, alone};
    float *out[2];
    size_t count[2];
    for (int i = 0; i < 2; i++) {
        CHECK(prepare(both[i], side, NULL) == RML_OK);
        net_fill_inputs(both[i], model, 7);
        CHECK(rml_session_run(both[i], NULL) == RML_OK);
        out[i] = net_outputs(both[i], model, &count[i]);
    }
    CHECK(count[0] == count[1] && memcmp(out[0], out[1], count[0] * sizeof *out[0]) == 0);
    free(out[0]);
    free(out[1]);
    rml_session_destroy(&alone);
}

static void test_turns(rml_model *narrow, rml_model *wide)
{
    counting count;
    const rml_allocator allocator = counting_allocator(&count);
    rml_shared_block *block;
    CHECK(rml_shared_block_create(&block, &allocator, NULL) == RML_OK);
    CHECK(rml_shared_block_bytes(block) == 0);
    rml_session *a = open_session(narrow, block), *b = open_session(wide, block);
    static const int64_t sides[] = {8, 24, 16, 40, 8};
    size_t largest = 0;
    for (size_t i = 0; i < sizeof sides / sizeof *sides; i++) {
        check_turn(a, narrow, sides[i]);
        check_turn(b, wide, sides[i]);
        check_turn(a, narrow, sides[i]); // the other's turn has moved or overwritten what it had
        const size_t planned = rml_session_planned_bytes(b);
        CHECK(planned > rml_session_planned_bytes(a));
        largest = planned > largest ? planned : largest;
        CHECK(rml_shared_block_bytes(block) == largest);
    }
    const size_t calls = count.calls;
    for (int i = 0; i < 4; i++)
        CHECK(prepare(i % 2 ? a : b, 16, NULL) == RML_OK);
    CHECK(count.calls == calls);
    rml_session_destroy(&a);
    rml_session_destroy(&b);
    rml_shared_block_destroy(&block);
    rml_shared_block_destroy(&block);
    CHECK(count.live_bytes == 0);
}

static void test_moved(rml_model *narrow, rml_model *wide)
{
    counting count;
    const rml_allocator allocator = counting_allocator(&count);
    rml_shared_block *block;
    rml_error err = {0};
    CHECK(rml_shared_block_create(&block, &allocator, NULL) == RML_OK);
    rml_session *a = open_session(narrow, block), *b = open_session(wide, block);
    CHECK(prepare(a, 16, NULL) == RML_OK && rml_session_input(a, "x", NULL));
    // Growing fails: the block stays, and who has it goes on.
    count.fail_at = count.calls + 1;
    CHECK(prepare(b, 16, &err) == RML_ERR_NOMEM);
    count.fail_at = 0;
    CHECK(rml_session_input(a, "x", NULL) && rml_session_run(a, &err) == RML_OK);
    // It grows: nobody reads or writes where it was.
    CHECK(prepare(b, 16, NULL) == RML_OK);
    CHECK(!rml_session_input(a, "x", NULL) && !rml_session_output(a, "y", NULL));
    CHECK(rml_session_run(a, &err) == RML_ERR_ARG && strstr(err.message, "has moved"));
    check_turn(a, narrow, 16);
    check_turn(b, wide, 16);
    rml_session_destroy(&a);
    rml_session_destroy(&b);
    rml_shared_block_destroy(&block);
}

static void test_misuse(rml_model *model)
{
    rml_shared_block *block;
    rml_session *session;
    rml_error err = {0};
    CHECK(rml_shared_block_create(&block, NULL, NULL) == RML_OK);
    const rml_session_settings settings = {
        .size = sizeof settings, .shared = block, .memory = block, .memory_bytes = 64};
    CHECK(rml_session_create(&session, model, &settings, &err) == RML_ERR_ARG && !session);
    CHECK(strstr(err.message, "not both"));
    rml_shared_block_destroy(&block);
}

int main(void)
{
    net narrow, wide;
    build(&narrow, 8);
    build(&wide, 24);
    test_turns(narrow.model, wide.model);
    test_moved(narrow.model, wide.model);
    test_misuse(narrow.model);
    net_end(&narrow);
    net_end(&wide);
    return check_result();
}
