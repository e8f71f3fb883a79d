// Operators on elements of every type: conversion, elementwise functions, and moving.
#include "tests/support/net.h"

#include "tensor/dtype.h"

#include <float.h>
#include <math.h>

static const rml_dtype all_types[] = {RML_F32, RML_F16, RML_BF16, RML_F64, RML_I8,
                                      RML_U8,  RML_I16, RML_U16,  RML_I32, RML_U32,
                                      RML_I64, RML_U64, RML_BOOL};
#define TYPES (sizeof all_types / sizeof *all_types)

// Every bit pattern of a half goes to f32 and back unchanged; what lies between two rounds to even.
static void test_halves(void)
{
    for (uint32_t bits = 0; bits < 0x10000; bits++) {
        const float f16 = rml_f16_to_f32((uint16_t)bits), bf16 = rml_bf16_to_f32((uint16_t)bits);
        CHECK(isnan(f16) || rml_f32_to_f16(f16) == bits);
        CHECK(isnan(bf16) || rml_f32_to_bf16(bf16) == bits);
        if (isnan(f16) || isinf(f16) || (bits & 0x7FFF) == 0x7BFF)
            continue;
        const float next = rml_f16_to_f32((uint16_t)(bits + 1));
        const uint16_t middle = rml_f32_to_f16((f16 + next) / 2);
        CHECK(middle == (bits & 1 ? bits + 1 : bits));
    }
    CHECK(rml_f32_to_f16(65519.996f) == 0x7BFF && rml_f32_to_f16(65520.0f) == 0x7C00);
    CHECK(isnan(rml_f16_to_f32(rml_f32_to_f16(NAN))) &&
          isnan(rml_bf16_to_f32(rml_f32_to_bf16(NAN))));
    CHECK(rml_f32_to_bf16(FLT_MAX) == 0x7F80);
}

static void test_convert(void)
{
    const double from[] = {3.9, -3.9, 300, -1, NAN, INFINITY, -INFINITY, 0};
    int8_t bytes[8];
    uint8_t truth[8];
    uint64_t wide[1];
    rml_dtype_convert(RML_F64, from, RML_I8, bytes, 8);
    CHECK(bytes[0] == 3 && bytes[1] == -3 && bytes[2] == 44 && bytes[3] == -1 && bytes[4] == 0);
    rml_dtype_convert(RML_F64, from, RML_BOOL, truth, 8);
    CHECK(truth[0] == 1 && truth[4] == 1 && truth[6] == 1 && truth[7] == 0);
    const double large = 18446744073709549568.0;
    rml_dtype_convert(RML_F64, &large, RML_U64, wide, 1);
    CHECK(wide[0] == 18446744073709549568u);
    double back;
    rml_dtype_convert(RML_U64, wide, RML_F64, &back, 1);
    CHECK(back == large);
    const int64_t minus = -2;
    uint32_t narrow;
    rml_dtype_convert(RML_I64, &minus, RML_U32, &narrow, 1);
    CHECK(narrow == 4294967294u);
    // Small numbers survive the way through any pair of types.
    for (size_t a = 0; a < TYPES; a++)
        for (size_t b = 0; b < TYPES; b++) {
            const int32_t ones[3] = {1, 0, 1};
            uint64_t first[3], second[3];
            int32_t result[3];
            rml_dtype_convert(RML_I32, ones, all_types[a], first, 3);
            rml_dtype_convert(all_types[a], first, all_types[b], second, 3);
            rml_dtype_convert(all_types[b], second, RML_I32, result, 3);
            CHECK(memcmp(ones, result, sizeof ones) == 0);
        }
}

typedef struct pair {
    net at;
    rml_value_id x, y;
} pair;

static pair begin(rml_dtype type, rml_shape a, rml_shape b)
{
    pair p;
    net_begin(&p.at, NULL);
    p.x = rml_graph_typed_input(p.at.graph, "x", type, &a);
    p.y = rml_graph_typed_input(p.at.graph, "y", type, &b);
    return p;
}

// Runs the network on the two inputs; the caller destroys the session.
static rml_session *run(pair *p, rml_value_id result, const void *x, size_t x_bytes, const void *y,
                        size_t y_bytes)
{
    rml_session *session = NULL;
    rml_graph_output(p->at.graph, "z", result);
    if (!net_finish(&p->at, NULL))
        return NULL;
    const rml_session_settings settings = {.size = sizeof settings, .threads = net_threads()};
    CHECK(rml_session_create(&session, p->at.model, &settings, &p->at.err) == RML_OK);
    CHECK_MSG(rml_session_prepare(session, &p->at.err) == RML_OK, "%s", p->at.err.message);
    memcpy(rml_session_input(session, "x", NULL), x, x_bytes);
    memcpy(rml_session_input(session, "y", NULL), y, y_bytes);
    CHECK(rml_session_run(session, &p->at.err) == RML_OK);
    return session;
}

static rml_value_id binary(pair *p, rml_binary kind)
{
    return rml_graph_binary(p->at.graph, kind, p->x, p->y, "binary");
}

#define BINARY_CASE(kind, enum_type, type, a, b, out_type, want)                                   \
    do {                                                                                           \
        const type x_[] = a, y_[] = b;                                                             \
        const out_type want_[] = want;                                                             \
        const int64_t n_ = sizeof x_ / sizeof *x_, m_ = sizeof y_ / sizeof *y_;                    \
        pair p_ = begin(enum_type, (rml_shape){1, {n_}}, (rml_shape){1, {m_}});                    \
        rml_session *s_ = run(&p_, binary(&p_, kind), x_, sizeof x_, y_, sizeof y_);               \
        CHECK(s_ &&memcmp(rml_session_output(s_, "z", NULL), want_, sizeof want_) == 0);           \
        rml_session_destroy(&s_);                                                                  \
        net_end(&p_.at);                                                                           \
    } while (0)
#define LIST(...)                                                                                  \
    {                                                                                              \
        __VA_ARGS__                                                                                \
    }

static void test_binary(void)
{
    BINARY_CASE(RML_BINARY_DIV, RML_I32, int32_t, LIST(7, -7, 5, INT32_MIN), LIST(2, 2, 0, -1),
                int32_t, LIST(3, -3, 0, INT32_MIN));
    BINARY_CASE(RML_BINARY_MOD, RML_I64, int64_t, LIST(7, -7, 7, INT64_MIN), LIST(3, 3, -3, -1),
                int64_t, LIST(1, 2, -2, 0));
    BINARY_CASE(RML_BINARY_FMOD, RML_I64, int64_t, LIST(7, -7, 7, 5), LIST(3, 3, -3, 0), int64_t,
                LIST(1, -1, 1, 0));
    BINARY_CASE(RML_BINARY_ADD, RML_U8, uint8_t, LIST(250, 1), LIST(10), uint8_t, LIST(4, 11));
    BINARY_CASE(RML_BINARY_MAX, RML_U64, uint64_t, LIST(UINT64_MAX, 3), LIST(1, 4), uint64_t,
                LIST(UINT64_MAX, 4));
    BINARY_CASE(RML_BINARY_POW, RML_I32, int32_t, LIST(2, -3, 7), LIST(10, 3, -1), int32_t,
                LIST(1024, -27, 0));
    BINARY_CASE(RML_BINARY_SHIFT_LEFT, RML_U16, uint16_t, LIST(1, 1, 3), LIST(15, 16, 1), uint16_t,
                LIST(0x8000, 0, 6));
    BINARY_CASE(RML_BINARY_LESS, RML_U64, uint64_t, LIST(UINT64_MAX, 3), LIST(1, 4), uint8_t,
                LIST(0, 1));
    BINARY_CASE(RML_BINARY_GREATER_EQUAL, RML_F32, float, LIST(1, NAN, 2), LIST(1, 1, 3), uint8_t,
                LIST(1, 0, 0));
    BINARY_CASE(RML_BINARY_XOR, RML_BOOL, uint8_t, LIST(0, 1, 1), LIST(1), uint8_t, LIST(1, 0, 0));
    BINARY_CASE(RML_BINARY_MIN, RML_F64, double, LIST(1e300, -2), LIST(1e301, -1), double,
                LIST(1e300, -2));
}

// Broadcasting through every chunk border and over threads, against the plain loop.
static void test_broadcast(void)
{
    enum { A = 7, B = 61, C = 43 };
    static int32_t x[A * C], y[B], want[A * B * C];
    for (int i = 0; i < A * C; i++)
        x[i] = 1000 * i;
    for (int i = 0; i < B; i++)
        y[i] = i;
    for (int a = 0; a < A; a++)
        for (int b = 0; b < B; b++)
            for (int c = 0; c < C; c++)
                want[(a * B + b) * C + c] = x[a * C + c] - y[b];
    pair p = begin(RML_I32, (rml_shape){3, {A, 1, C}}, (rml_shape){2, {B, 1}});
    rml_session *session = run(&p, binary(&p, RML_BINARY_SUB), x, sizeof x, y, sizeof y);
    CHECK(session && memcmp(rml_session_output(session, "z", NULL), want, sizeof want) == 0);
    rml_session_destroy(&session);
    net_end(&p.at);
}

static void test_unary(void)
{
    static const struct {
        rml_unary kind;
        double p, q, x, want;
    } cases[] = {{RML_UNARY_ROUND, 0, 0, 2.5, 2},      {RML_UNARY_ROUND, 0, 0, -3.5, -4},
                 {RML_UNARY_SIGN, 0, 0, -7, -1},       {RML_UNARY_SHRINK, 0.5, 1, 3, 2.5},
                 {RML_UNARY_CLAMP, -1, 2, 5, 2},       {RML_UNARY_RECIPROCAL, 0, 0, 4, 0.25},
                 {RML_UNARY_ELU, 2, 0, 3, 3},          {RML_UNARY_HARD_SIGMOID, 0.5, 0.5, 9, 1},
                 {RML_UNARY_SOFTSIGN, 0, 0, -1, -0.5}, {RML_UNARY_THRESHOLDED_RELU, 1, 0, 1, 0}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const float x = (float)cases[i].x, y = 0;
        pair p = begin(RML_F32, (rml_shape){0}, (rml_shape){0});
        const rml_activation function = {cases[i].kind, {(float)cases[i].p, (float)cases[i].q}};
        const rml_value_id z = rml_graph_unary(p.at.graph, p.x, function, "unary");
        rml_session *session = run(&p, z, &x, sizeof x, &y, sizeof y);
        CHECK(session && *(const float *)rml_session_output(session, "z", NULL) == cases[i].want);
        rml_session_destroy(&session);
        net_end(&p.at);
    }
}

// What moves elements does so for every size of element.
static void test_moving(void)
{
    for (size_t t = 0; t < TYPES; t++) {
        const size_t bytes = rml_dtype_size(all_types[t]);
        unsigned char x[6 * 8], y[2 * 8], want[8 * 8];
        for (size_t i = 0; i < sizeof x; i++)
            x[i] = (unsigned char)(all_types[t] == RML_BOOL ? i & 1 : i + 1);
        for (size_t i = 0; i < sizeof y; i++)
            y[i] = (unsigned char)(all_types[t] == RML_BOOL ? i & 1 : 200 + i);
        pair p = begin(all_types[t], (rml_shape){2, {2, 3}}, (rml_shape){2, {1, 2}});
        const rml_value_id turned =
            rml_graph_transpose(p.at.graph, p.x, (const int[]){1, 0}, 2, "turned");
        const rml_value_id both =
            rml_graph_concat(p.at.graph, (const rml_value_id[]){turned, p.y}, 2, 0, "both");
        rml_session *session = run(&p, both, x, 6 * bytes, y, 2 * bytes);
        for (size_t i = 0; i < 6; i++)
            memcpy(want + i * bytes, x + (i % 2 * 3 + i / 2) * bytes, bytes);
        memcpy(want + 6 * bytes, y, 2 * bytes);
        CHECK(session && memcmp(rml_session_output(session, "z", NULL), want, 8 * bytes) == 0);
        rml_session_destroy(&session);
        net_end(&p.at);
    }
}

// A shape computed from a shape, known while planning; and one that comes as an input's elements.
static void test_reshape_by_value(void)
{
    const float x[6] = {1, 2, 3, 4, 5, 6};
    const int64_t target[2] = {3, -1};
    net at;
    rml_shape shape;
    rml_session *session = NULL;
    net_begin(&at, NULL);
    const rml_value_id in = rml_graph_input(at.graph, "x", &(rml_shape){1, {6}});
    const rml_value_id like = rml_graph_input(at.graph, "like", &(rml_shape){2, {-1, 2}});
    const rml_value_id wanted = rml_graph_typed_input(at.graph, "t", RML_I64, &(rml_shape){1, {2}});
    const rml_value_id sizes = rml_graph_node(at.graph, RML_OP_SHAPE, NULL, &like, 1, "sizes");
    const rml_value_id known[] = {in, sizes}, told[] = {in, wanted};
    const rml_op_attr none = {.reshape = {.shape = {0}}};
    rml_graph_output(at.graph, "a", rml_graph_node(at.graph, RML_OP_RESHAPE, &none, known, 2, "a"));
    rml_graph_output(at.graph, "b", rml_graph_node(at.graph, RML_OP_RESHAPE, &none, told, 2, "b"));
    CHECK(net_finish(&at, NULL));
    CHECK(rml_session_create(&session, at.model, NULL, &at.err) == RML_OK);
    CHECK(rml_session_resize(session, "like", (rml_shape){2, {3, 2}}, &at.err) == RML_OK);
    CHECK(rml_session_prepare(session, &at.err) == RML_OK);
    memcpy(rml_session_input(session, "x", NULL), x, sizeof x);
    memcpy(rml_session_input(session, "t", NULL), target, sizeof target);
    CHECK_MSG(rml_session_run(session, &at.err) == RML_OK, "%s", at.err.message);
    for (int k = 0; k < 2; k++) {
        const void *out = rml_session_output(session, k ? "b" : "a", &shape);
        CHECK(shape.rank == 2 && shape.dim[0] == 3 && shape.dim[1] == 2);
        CHECK(memcmp(out, x, sizeof x) == 0);
    }
    ((int64_t *)rml_session_input(session, "t", NULL))[0] = 4;
    CHECK(rml_session_run(session, &at.err) == RML_ERR_SHAPE);
    CHECK(strstr(at.err.message, "(6)") && strstr(at.err.message, "(4,?)"));
    rml_session_destroy(&session);
    net_end(&at);
}

int main(void)
{
    test_halves();
    test_convert();
    test_binary();
    test_broadcast();
    test_unary();
    test_moving();
    test_reshape_by_value();
    return check_result();
}
