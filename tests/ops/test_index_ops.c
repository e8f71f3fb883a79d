// Operators that cut, pick and scatter, where no file can take them: what is known while planning,
// ranks that are not known while building, indices that no plan could check, sizes made to
// overflow.
#include "tests/support/net.h"

#include "graph/graph.h"
#include "ops/index/list.h"

#include <math.h>

static rml_shape dims(int rank, int64_t a, int64_t b, int64_t c)
{
    return (rml_shape){rank, {a, b, c}};
}

static const rml_shape anything = {.rank = RML_RANK_UNKNOWN};

static rml_value_id constant(net *at, rml_dtype dtype, rml_shape shape, const void *data)
{
    const rml_stored stored = rml_stored_plain(data, dtype, &shape);
    return rml_graph_typed_constant(at->graph, "constant", &stored);
}

static rml_value_id list(net *at, const int64_t *values, int64_t count)
{
    return constant(at, RML_I64, dims(1, count, 0, 0), values);
}

static rml_value_id input(net *at, const char *name, rml_dtype dtype, rml_shape shape)
{
    return rml_graph_typed_input(at->graph, name, dtype, &shape);
}

static rml_value_id node(net *at, rml_op_id op, const rml_op_attr *attr, rml_value_id a,
                         rml_value_id b, rml_value_id c)
{
    const rml_value_id in[] = {a, b, c};
    const int count = c != RML_NO_VALUE ? 3 : b != RML_NO_VALUE ? 2 : 1;
    return rml_graph_node(at->graph, op, attr, in, count, rml_op_get(op)->name);
}

#define NONE RML_NO_VALUE

static rml_session *start(net *at, rml_value_id y, int threads)
{
    const rml_session_settings settings = {
        .size = sizeof settings, .threads = threads, .profile = true};
    rml_session *session = NULL;
    rml_graph_output(at->graph, "y", y);
    CHECK(net_finish(at, NULL));
    CHECK(rml_session_create(&session, at->model, &settings, &at->err) == RML_OK);
    return session;
}

static void prepare(net *at, rml_session *session)
{
    CHECK_MSG(rml_session_prepare(session, &at->err) == RML_OK, "%s", at->err.message);
}

static void run(net *at, rml_session *session)
{
    CHECK_MSG(rml_session_run(session, &at->err) == RML_OK, "%s", at->err.message);
}

// ---- known while planning -----------------------------------------------------------------------

// x.reshape(x.shape[0], -1, 2) as exporters write it: shape, gather, unsqueeze, concat. Only the
// reshape is left to do, and it is done in place where it can be.
static void test_shape_chain(void)
{
    static const int64_t first[] = {0}, rest[] = {-1, 2}, zero[] = {0};
    net at;
    net_begin(&at, NULL);
    const rml_value_id x = input(&at, "x", RML_F32, dims(2, -1, 6, 0));
    const rml_value_id shape = node(&at, RML_OP_SHAPE, NULL, x, NONE, NONE);
    const rml_value_id scalar = constant(&at, RML_I64, dims(0, 0, 0, 0), first);
    const rml_value_id rows = node(&at, RML_OP_GATHER, NULL, shape, scalar, NONE);
    const rml_value_id one = node(&at, RML_OP_UNSQUEEZE, NULL, rows, list(&at, zero, 1), NONE);
    const rml_value_id parts[] = {one, list(&at, rest, 2)};
    const rml_value_id target = rml_graph_concat(at.graph, parts, 2, 0, "target");
    CHECK(at.graph->values[target].shape.dim[0] == 3);
    const rml_value_id y = node(&at, RML_OP_RESHAPE, NULL, x, target, NONE);
    CHECK(at.graph->values[y].shape.rank == 3); // known while building
    rml_session *session = start(&at, y, 1);
    for (int64_t n = 1; n < 4; n++) {
        CHECK(rml_session_resize(session, "x", dims(2, n, 6, 0), &at.err) == RML_OK);
        prepare(&at, session);
        CHECK(rml_session_profile_count(session) == 1);
        rml_shape got;
        rml_session_output(session, "y", &got);
        CHECK(got.rank == 3 && got.dim[0] == n && got.dim[1] == 3 && got.dim[2] == 2);
    }
    rml_session_destroy(&session);
    net_end(&at);
}

// Numbers from a shape through every operator that exporters compute sizes with.
static void test_size_arithmetic(void)
{
    static const int64_t zero[] = {0}, two[] = {2}, minus[] = {-1}, swap[] = {1, 0}, twice[] = {2};
    net at;
    net_begin(&at, NULL);
    const rml_value_id x = input(&at, "x", RML_F32, dims(3, 4, -1, 5));
    const rml_value_id shape = node(&at, RML_OP_SHAPE, NULL, x, NONE, NONE); // 4 n 5
    const rml_value_id tail[] = {shape, list(&at, zero, 1), list(&at, two, 1)};
    const rml_value_id head = node(&at, RML_OP_SLICE, NULL, tail[0], tail[1], tail[2]); // 4 n
    const rml_value_id turned = node(&at, RML_OP_GATHER, NULL, head, list(&at, swap, 2), NONE);
    const rml_value_id tiled = node(&at, RML_OP_TILE, NULL, turned, list(&at, twice, 1), NONE);
    const rml_value_id equal =
        rml_graph_binary(at.graph, RML_BINARY_EQUAL, tiled, list(&at, minus, 1), "equal");
    const rml_value_id chosen = node(&at, RML_OP_WHERE, NULL, equal, list(&at, two, 1), tiled);
    const rml_value_id squared =
        node(&at, RML_OP_UNSQUEEZE, NULL, chosen, list(&at, zero, 1), NONE); // (1,4): n 4 n 4
    const rml_value_id flat = node(&at, RML_OP_SQUEEZE, NULL, squared, list(&at, zero, 1), NONE);
    const rml_value_id many[] = {list(&at, zero, 1), NONE, flat};
    const rml_value_id y = rml_graph_node(at.graph, RML_OP_EXPAND, NULL, many, 3, "y");
    CHECK(at.graph->values[y].shape.rank == 4);
    rml_session *session = start(&at, y, 1);
    CHECK(rml_session_resize(session, "x", dims(3, 4, 7, 5), &at.err) == RML_OK);
    prepare(&at, session);
    CHECK(rml_session_profile_count(session) == 1);
    rml_shape got;
    rml_session_output(session, "y", &got);
    CHECK(got.rank == 4 && got.dim[0] == 7 && got.dim[1] == 4 && got.dim[3] == 4);
    rml_session_destroy(&session);
    net_end(&at);
}

// A constant at an odd address, as files have them, is known all the same.
static void test_odd_address(void)
{
    static const int64_t axes[] = {0, 2};
    unsigned char bytes[sizeof axes + 1];
    net at;
    memcpy(bytes + 1, axes, sizeof axes);
    net_begin(&at, NULL);
    const rml_value_id x = input(&at, "x", RML_F32, dims(1, 3, 0, 0));
    const rml_value_id odd = constant(&at, RML_I64, dims(1, 2, 0, 0), bytes + 1);
    const rml_value_id y = node(&at, RML_OP_UNSQUEEZE, NULL, x, odd, NONE);
    const rml_shape *shape = &at.graph->values[y].shape;
    CHECK(shape->rank == 3 && shape->dim[0] == 1 && shape->dim[1] == 3 && shape->dim[2] == 1);
    net_end(&at);
}

// ---- while building -----------------------------------------------------------------------------

// What is told of the rank when little is known.
static void test_ranks(void)
{
    static const int64_t ones[] = {1, 1};
    net at;
    net_begin(&at, NULL);
    const rml_value_id any = input(&at, "any", RML_F32, anything);
    const rml_value_id two = input(&at, "two", RML_F32, dims(2, -1, -1, 0));
    const rml_value_id pair = input(&at, "pair", RML_I64, dims(1, 2, 0, 0));
    const rml_value_id open = input(&at, "open", RML_I64, dims(1, -1, 0, 0));
    const rml_value_id lists = input(&at, "lists", RML_I64, anything);
    const rml_value_id known = list(&at, ones, 2);
    const struct {
        rml_op_id op;
        rml_value_id a, b, c;
        int rank;
    } cases[] = {
        {RML_OP_SHAPE, any, NONE, NONE, 1},
        {RML_OP_SIZE, any, NONE, NONE, 0},
        {RML_OP_FLATTEN, any, NONE, NONE, 2},
        {RML_OP_RESHAPE, any, pair, NONE, 2},
        {RML_OP_RESHAPE, two, open, NONE, RML_RANK_UNKNOWN},
        {RML_OP_UNSQUEEZE, two, pair, NONE, 4},
        {RML_OP_UNSQUEEZE, two, lists, NONE, RML_RANK_UNKNOWN},
        {RML_OP_UNSQUEEZE, any, known, NONE, RML_RANK_UNKNOWN},
        {RML_OP_SQUEEZE, two, pair, NONE, 0},
        {RML_OP_SQUEEZE, two, NONE, NONE, RML_RANK_UNKNOWN},
        {RML_OP_SLICE, two, pair, pair, 2},
        {RML_OP_SLICE, two, open, lists, 2},
        {RML_OP_SLICE, any, pair, pair, RML_RANK_UNKNOWN},
        {RML_OP_TILE, two, lists, NONE, 2},
        {RML_OP_PAD, two, open, NONE, 2},
        {RML_OP_PAD, any, known, NONE, RML_RANK_UNKNOWN},
        {RML_OP_GATHER, two, lists, NONE, RML_RANK_UNKNOWN},
        {RML_OP_GATHER, two, pair, NONE, 2},
        {RML_OP_GATHER_ELEMENTS, any, lists, NONE, RML_RANK_UNKNOWN},
        {RML_OP_GATHER_ND, any, pair, NONE, RML_RANK_UNKNOWN},
        {RML_OP_GATHER_ND, two, open, NONE, RML_RANK_UNKNOWN},
        {RML_OP_SCATTER_ND, two, lists, any, 2},
        {RML_OP_SCATTER_ELEMENTS, any, lists, two, RML_RANK_UNKNOWN},
        {RML_OP_TENSOR_SCATTER, two, any, lists, 2},
        {RML_OP_TRILU, any, NONE, NONE, RML_RANK_UNKNOWN},
        {RML_OP_RANGE, two, two, two, 1},
        {RML_OP_ONE_HOT, any, pair, pair, RML_RANK_UNKNOWN},
        {RML_OP_NMS, any, any, NONE, 2},
        {RML_OP_EXPAND, any, NONE, lists, RML_RANK_UNKNOWN},
        {RML_OP_EXPAND, two, NONE, known, 2},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const rml_value_id in[] = {cases[i].a, cases[i].b, cases[i].c};
        const rml_op *op = rml_op_get(cases[i].op);
        int count = op->inputs[1] < 3 ? op->inputs[1] : 3;
        while (count > op->inputs[0] && in[count - 1] == NONE)
            count--;
        rml_graph *graph = at.graph;
        const rml_value_id y = rml_graph_node(graph, cases[i].op, NULL, in, count, op->name);
        // Shapes of lists that do not fit are refused; that is another case's matter.
        if (y == RML_NO_VALUE) {
            CHECK_MSG(cases[i].op == RML_OP_PAD || cases[i].op == RML_OP_RANGE ||
                          cases[i].op == RML_OP_ONE_HOT,
                      "%zu %s", i, graph->error.message);
            graph->error.status = RML_OK;
            continue;
        }
        CHECK_MSG(graph->values[y].shape.rank == cases[i].rank, "%s (%zu): rank %d", op->name, i,
                  graph->values[y].shape.rank);
    }
    const rml_op_attr reverse = {.transpose = {.rank = -1}};
    const rml_op_attr turn = {.transpose = {.rank = 2, .order = {-1, 0}}};
    rml_value_id y = node(&at, RML_OP_TRANSPOSE, &reverse, any, NONE, NONE);
    CHECK(at.graph->values[y].shape.rank == RML_RANK_UNKNOWN);
    y = node(&at, RML_OP_TRANSPOSE, &turn, any, NONE, NONE);
    CHECK(at.graph->values[y].shape.rank == 2);
    net_end(&at);
}

// ---- sizes made to overflow ---------------------------------------------------------------------

static void test_overflow(void)
{
    static const int64_t huge[] = {INT64_MAX, INT64_MAX}, least[] = {INT64_MIN, INT64_MIN},
                         mixed[] = {INT64_MAX, INT64_MIN}, half[] = {INT64_MAX / 2, 1};
    static const int64_t *const values[] = {huge, least, mixed, half};
    static const rml_op_id ops[] = {RML_OP_RESHAPE, RML_OP_SQUEEZE, RML_OP_UNSQUEEZE,
                                    RML_OP_TILE,    RML_OP_GATHER,  RML_OP_PAD,
                                    RML_OP_SLICE,   RML_OP_EXPAND,  RML_OP_SCATTER_ND};
    static const rml_shape shapes[] = {
        {2, {3, 5}}, {2, {INT64_MAX, INT64_MAX}}, {2, {0, INT64_MAX}}, {1, {INT64_MAX}}, {0}};
    for (size_t s = 0; s < sizeof shapes / sizeof *shapes; s++)
        for (size_t v = 0; v < sizeof values / sizeof *values; v++)
            for (size_t o = 0; o < sizeof ops / sizeof *ops; o++) {
                net at;
                net_begin(&at, NULL);
                const rml_value_id x = input(&at, "x", RML_F32, shapes[s]);
                const rml_value_id a = list(&at, values[v], ops[o] == RML_OP_PAD ? 2 : 1);
                const rml_value_id b = list(&at, values[(v + 1) % 4], 1);
                const rml_value_id in[] = {x, ops[o] == RML_OP_EXPAND ? NONE : a,
                                           ops[o] == RML_OP_EXPAND ? a : b};
                const rml_op *op = rml_op_get(ops[o]);
                const int count = ops[o] == RML_OP_PAD ? 2 : op->inputs[1] < 3 ? op->inputs[1] : 3;
                rml_graph_node(at.graph, ops[o], NULL, in, count, op->name);
                const rml_status status = rml_graph_finish(at.graph, &at.err);
                CHECK(status == RML_OK || strlen(at.err.message) > 8);
                net_end(&at);
            }
    net at;
    net_begin(&at, NULL);
    const rml_shape wide = dims(1, INT64_MAX, 0, 0);
    const rml_value_id parts[] = {input(&at, "a", RML_F32, wide), input(&at, "b", RML_F32, wide)};
    CHECK(rml_graph_concat(at.graph, parts, 2, 0, "join") == RML_NO_VALUE);
    CHECK(rml_graph_finish(at.graph, &at.err) == RML_ERR_LIMIT);
    net_end(&at);
}

// ---- indices that only the run knows ------------------------------------------------------------

// The operator by itself, which nobody asked to check: sanitizers see whether it reads or writes
// what is not there.
static void run_unchecked(const net *at, rml_session *session, const rml_value_id *in, int in_count)
{
    const rml_node *last = &at->graph->nodes[at->graph->node_count - 1];
    rml_tensor views[3], out;
    size_t count = 0;
    for (int k = 0; k < in_count; k++) {
        const rml_value *value = &at->graph->values[in[k]];
        views[k] = rml_tensor_typed(rml_session_input(session, value->name, NULL), value->dtype,
                                    &value->shape);
    }
    const rml_value *y = &at->graph->values[last->out];
    rml_shape_count(&y->shape, &count);
    float *memory = malloc((count + 1) * sizeof *memory);
    out = rml_tensor_typed(memory, y->dtype, &y->shape);
    CHECK(rml_evaluate(at->graph, last, views, &out, NULL) == RML_OK);
    for (size_t k = 0; k < count; k++)
        CHECK(memory[k] == 0 || memory[k] == 1 || memory[k] == 2);
    free(memory);
}

// A graph of known sizes is planned, and asks for such an index in the run.
static void test_wild_indices(void)
{
    static const int64_t wild[] = {INT64_MIN, -7, -3, 0, 2, 3, 99, INT64_MAX};
    static const struct {
        rml_op_id op;
        rml_shape data, indices, updates;
        rml_op_attr attr;
    } cases[] = {
        {RML_OP_GATHER, {2, {3, 4}}, {1, {8}}, {.rank = -1}, {.axis = {.axis = 0}}},
        {RML_OP_GATHER, {2, {3, 4}}, {2, {2, 4}}, {.rank = -1}, {.axis = {.axis = -1}}},
        {RML_OP_GATHER, {2, {3, 0}}, {1, {8}}, {.rank = -1}, {.axis = {.axis = 1}}},
        {RML_OP_GATHER, {2, {0, 4}}, {1, {8}}, {.rank = -1}, {.axis = {.axis = 0}}},
        {RML_OP_GATHER_ELEMENTS, {2, {3, 4}}, {2, {2, 4}}, {.rank = -1}, {.axis = {.axis = 0}}},
        {RML_OP_GATHER_ELEMENTS, {2, {3, 4}}, {2, {2, 4}}, {.rank = -1}, {.axis = {.axis = 1}}},
        {RML_OP_GATHER_ELEMENTS, {2, {4, 0}}, {2, {4, 2}}, {.rank = -1}, {.axis = {.axis = 1}}},
        {RML_OP_GATHER_ND, {2, {3, 4}}, {2, {4, 2}}, {.rank = -1}, {.gather_nd = {0}}},
        {RML_OP_GATHER_ND, {2, {4, 3}}, {2, {8, 1}}, {.rank = -1}, {.gather_nd = {0}}},
        {RML_OP_GATHER_ND, {2, {0, 3}}, {2, {8, 1}}, {.rank = -1}, {.gather_nd = {0}}},
        {RML_OP_SCATTER_ELEMENTS, {2, {3, 4}}, {2, {2, 4}}, {2, {2, 4}}, {.scatter = {.axis = 0}}},
        {RML_OP_SCATTER_ELEMENTS,
         {2, {3, 4}},
         {2, {2, 4}},
         {2, {2, 4}},
         {.scatter = {.kind = 1, .axis = 1}}},
        {RML_OP_SCATTER_ELEMENTS, {2, {2, 0}}, {2, {2, 4}}, {2, {2, 4}}, {.scatter = {.axis = 1}}},
        {RML_OP_SCATTER_ND, {2, {3, 4}}, {2, {4, 2}}, {1, {4}}, {.scatter = {0}}},
        {RML_OP_SCATTER_ND, {2, {3, 4}}, {2, {8, 1}}, {2, {8, 4}}, {.scatter = {.kind = 4}}},
        {RML_OP_SCATTER_ND, {2, {0, 4}}, {2, {8, 1}}, {2, {8, 4}}, {.scatter = {.kind = 4}}},
        {RML_OP_TENSOR_SCATTER,
         {3, {8, 3, 2}},
         {1, {8}},
         {3, {8, 2, 2}},
         {.tensor_scatter = {1, 0}}},
        {RML_OP_TENSOR_SCATTER,
         {3, {8, 3, 2}},
         {1, {8}},
         {3, {8, 2, 2}},
         {.tensor_scatter = {1, 1}}},
        {RML_OP_REVERSE_SEQUENCE, {2, {3, 8}}, {1, {8}}, {.rank = -1}, {.reverse = {1, 0}}},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        net at;
        net_begin(&at, NULL);
        const bool sequence = cases[i].op == RML_OP_TENSOR_SCATTER;
        const rml_value_id x = input(&at, "x", RML_F32, cases[i].data);
        const rml_value_id n = input(&at, "n", RML_I64, cases[i].indices);
        const rml_value_id u =
            cases[i].updates.rank < 0 ? NONE : input(&at, "u", RML_F32, cases[i].updates);
        const rml_value_id in[] = {x, sequence ? u : n, sequence ? n : u};
        rml_session *session =
            start(&at, node(&at, cases[i].op, &cases[i].attr, in[0], in[1], in[2]), net_threads());
        prepare(&at, session);
        CHECK(rml_session_profile_count(session) <= 1); // none where the output is empty
        rml_shape shape;
        size_t count;
        float *data = rml_session_input(session, "x", &shape);
        rml_shape_count(&shape, &count);
        for (size_t k = 0; k < count; k++)
            data[k] = 1;
        memcpy(rml_session_input(session, "n", NULL), wild, sizeof wild);
        data = rml_session_input(session, "u", &shape);
        if (u != NONE)
            rml_shape_count(&shape, &count);
        for (size_t k = 0; u != NONE && k < count; k++)
            data[k] = 1;
        rml_session_output(session, "y", &shape);
        rml_shape_count(&shape, &count);
        const bool wraps = sequence && cases[i].attr.tensor_scatter.circular;
        const rml_status status = rml_session_run(session, &at.err);
        CHECK_MSG(status == (count == 0 || wraps ? RML_OK : RML_ERR_SHAPE), "%zu", i);
        CHECK(status == RML_OK || strstr(at.err.message, rml_op_get(cases[i].op)->name));
        run_unchecked(&at, session, in, u == NONE ? 2 : 3);
        rml_session_destroy(&session);
        net_end(&at);
    }
}

// ---- non-maximum suppression --------------------------------------------------------------------

enum { IMAGES = 2, CLASSES = 3, BOXES = 60 };

static float overlap_of(const float *a, const float *b)
{
    float common = 1, area[2] = {1, 1};
    for (int i = 0; i < 2; i++) {
        const float low = fmaxf(fminf(a[i], a[i + 2]), fminf(b[i], b[i + 2]));
        const float high = fminf(fmaxf(a[i], a[i + 2]), fmaxf(b[i], b[i + 2]));
        common *= fmaxf(high - low, 0);
        area[0] *= fabsf(a[i + 2] - a[i]);
        area[1] *= fabsf(b[i + 2] - b[i]);
    }
    return common / (area[0] + area[1] - common);
}

// The definition: again and again the best box of those that are left.
static size_t select_slowly(const float *boxes, const float *scores, int64_t limit, float overlap,
                            float threshold, int64_t *rows)
{
    size_t total = 0;
    for (int item = 0; item < IMAGES * CLASSES; item++) {
        bool gone[BOXES] = {false};
        const float *from = boxes + item / CLASSES * BOXES * 4, *score = scores + item * BOXES;
        for (int64_t found = 0; found < limit; found++) {
            int best = -1;
            for (int k = 0; k < BOXES; k++)
                if (!gone[k] && score[k] > threshold && (best < 0 || score[k] > score[best]))
                    best = k;
            if (best < 0)
                break;
            rows[3 * total] = item / CLASSES;
            rows[3 * total + 1] = item % CLASSES;
            rows[3 * total++ + 2] = best;
            for (int k = 0; k < BOXES; k++)
                gone[k] =
                    gone[k] || k == best || overlap_of(from + 4 * best, from + 4 * k) > overlap;
        }
    }
    return total;
}

static void test_nms(bool known_limit, int64_t limit)
{
    static int64_t want[IMAGES * CLASSES * BOXES * 3];
    static const float overlap = 0.3f, threshold = -0.2f;
    const rml_shape number = {0};
    net at;
    net_begin(&at, NULL);
    const rml_value_id in[] = {
        input(&at, "boxes", RML_F32, dims(3, IMAGES, BOXES, 4)),
        input(&at, "scores", RML_F32, dims(3, IMAGES, CLASSES, BOXES)),
        known_limit ? constant(&at, RML_I64, number, &limit) : input(&at, "limit", RML_I64, number),
        constant(&at, RML_F32, number, &overlap), constant(&at, RML_F32, number, &threshold)};
    const rml_value_id y = rml_graph_node(at.graph, RML_OP_NMS, NULL, in, 5, "nms");
    const int64_t room = known_limit ? limit < BOXES ? limit : BOXES : BOXES;
    CHECK(at.graph->values[y].shape.dim[0] == IMAGES * CLASSES * room);
    rml_graph_output(at.graph, "count", y + 1);
    rml_session *session = start(&at, y, net_threads());
    prepare(&at, session);
    float *boxes = rml_session_input(session, "boxes", NULL);
    float *scores = rml_session_input(session, "scores", NULL);
    uniform_fill(boxes, IMAGES * BOXES * 4, 5, 'u');
    uniform_fill(scores, IMAGES * CLASSES * BOXES, 6, 'u');
    for (int i = 0; i < IMAGES * CLASSES * BOXES; i += 7) {
        scores[i] = 0.5f; // ties
        if (i % 2)
            scores[i] = NAN;
    }
    if (!known_limit)
        *(int64_t *)rml_session_input(session, "limit", NULL) = limit;
    run(&at, session);
    const size_t total = select_slowly(boxes, scores, limit, overlap, threshold, want);
    const int64_t *rows = rml_session_output(session, "y", NULL);
    CHECK(*(const int64_t *)rml_session_output(session, "count", NULL) == (int64_t)total);
    CHECK(total == 0 || memcmp(rows, want, total * 3 * sizeof *rows) == 0);
    for (int64_t i = (int64_t)total * 3; i < IMAGES * CLASSES * room * 3; i++)
        CHECK(rows[i] == 0);
    rml_session_destroy(&session);
    net_end(&at);
}

// ---- threads ------------------------------------------------------------------------------------

// Many updates of each element: the sum has the same bits for one thread and two.
static void test_scatter_bits(void)
{
    enum { ROWS = 400, COLUMNS = 37, ELEMENTS = ROWS * COLUMNS };
    float *results[2];
    for (int turn = 0; turn < 2; turn++) {
        net at;
        net_begin(&at, NULL);
        const rml_op_attr attr = {.scatter = {.kind = RML_SCATTER_ADD}};
        const rml_value_id x = input(&at, "x", RML_F32, dims(2, 5, COLUMNS, 0));
        const rml_value_id n = input(&at, "n", RML_I64, dims(2, ROWS, COLUMNS, 0));
        const rml_value_id u = input(&at, "u", RML_F32, dims(2, ROWS, COLUMNS, 0));
        rml_session *session = start(&at, node(&at, RML_OP_SCATTER_ELEMENTS, &attr, x, n, u),
                                     turn ? net_threads() : 1);
        prepare(&at, session);
        uniform_fill(rml_session_input(session, "x", NULL), (size_t)5 * COLUMNS, 1, 'u');
        uniform_fill(rml_session_input(session, "u", NULL), ELEMENTS, 2, 'u');
        int64_t *indices = rml_session_input(session, "n", NULL);
        for (int64_t i = 0; i < ELEMENTS; i++)
            indices[i] = i * 7919 % 10 - 5;
        run(&at, session);
        results[turn] = malloc(5 * COLUMNS * sizeof(float));
        memcpy(results[turn], rml_session_output(session, "y", NULL), 5 * COLUMNS * sizeof(float));
        rml_session_destroy(&session);
        net_end(&at);
    }
    CHECK(memcmp(results[0], results[1], 5 * COLUMNS * sizeof(float)) == 0);
    free(results[0]);
    free(results[1]);
}

// The image, through a convolution that passes it on or without one, padded and sliced.
static float *pad_and_slice(rml_pad_mode mode, bool conv, size_t *total)
{
    static const int64_t pads[] = {0, 0, 1, 2, 0, 1, 0, 1}, starts[] = {1, -1}, stops[] = {6, -9},
                         axes[] = {2, 3}, steps[] = {2, -1};
    net at;
    net_begin(&at, NULL);
    const rml_conv_attr one = rml_conv_square(1, 1, 0);
    const rml_op_attr attr = {.pad = {mode}};
    rml_value_id x = input(&at, "x", RML_F32, (rml_shape){4, {2, 3, 7, 6}});
    if (conv) {
        const rml_value_id w = net_constant(&at, "w", (rml_shape){4, {3, 3, 1, 1}});
        for (int i = 0; i < 9; i++)
            at.memory[0][i] = i % 4 == 0;
        x = rml_graph_conv(at.graph, x, w, RML_NO_VALUE, &one, "conv");
    }
    x = node(&at, RML_OP_PAD, &attr, x, list(&at, pads, 8), NONE);
    const rml_value_id in[] = {x, list(&at, starts, 2), list(&at, stops, 2), list(&at, axes, 2),
                               list(&at, steps, 2)};
    x = rml_graph_node(at.graph, RML_OP_SLICE, NULL, in, 5, "slice");
    rml_session *session = start(&at, x, net_threads());
    prepare(&at, session);
    // Pad and slice, and around them the convolution and the ways to its order and back.
    CHECK(rml_session_profile_count(session) == (conv ? 5 : 2));
    net_fill_inputs(session, at.model, 11);
    run(&at, session);
    float *result = net_outputs(session, at.model, total);
    rml_session_destroy(&session);
    net_end(&at);
    return result;
}

// Beside convolutions images stay in their order, and come out the same.
static void test_images(void)
{
    static const rml_pad_mode modes[] = {RML_PAD_CONSTANT, RML_PAD_REFLECT, RML_PAD_EDGE,
                                         RML_PAD_WRAP};
    for (size_t m = 0; m < sizeof modes / sizeof *modes; m++) {
        size_t total;
        float *followed = pad_and_slice(modes[m], true, &total);
        float *plain = pad_and_slice(modes[m], false, &total);
        CHECK(total == (size_t)2 * 4 * 3 * 8);
        CHECK(memcmp(followed, plain, total * sizeof(float)) == 0);
        free(followed);
        free(plain);
    }
}

// ---- signatures ---------------------------------------------------------------------------------

// Operators are called as in the list of them. Every letter is one that there is, and every digit
// an input that must be there.
static void test_signatures(void)
{
    static const char *const names[] = {
#define OP(upper, lower) #lower,
#include "ops/ops.inc"
#undef OP
    };
    for (int id = 0; id < RML_OP_COUNT; id++) {
        const rml_op *op = rml_op_get((rml_op_id)id);
        CHECK_MSG(!strcmp(op->name, names[id]), "%s is called %s", names[id], op->name);
        const char *arrow = op->signature ? strchr(op->signature, '>') : NULL;
        CHECK_MSG(!op->signature || (arrow && arrow > op->signature && arrow[1]), "%s", op->name);
        CHECK_MSG(!op->signature || !op->types, "%s", op->name);
        for (const char *at = op->signature; at && *at; at++)
            CHECK_MSG(at == arrow || (*at >= '0' && *at < '0' + op->inputs[0]) ||
                          strchr(at < arrow ? "*nprmhsfcielb" : "felt", *at),
                      "%s: %s", op->name, op->signature);
    }
}

// A length that is not known may be a symbol, any number below -1: it is not cut to 32 bits, of
// which half would be lengths.
static void test_length_symbols(void)
{
    static const int64_t lengths[] = {-1, -2, -INT64_C(0x187ba93dd), INT64_MIN};
    for (size_t i = 0; i < sizeof lengths / sizeof *lengths; i++) {
        const rml_fact in[] = {{.shape = dims(1, lengths[i], 0, 0), .dtype = RML_I64}};
        const rml_op_node at = {.in = in, .in_count = 1};
        rml_list list;
        CHECK(rml_list_infer(&at, 0, "axes", &list, NULL) == RML_OK);
        CHECK_MSG(list.given && !list.known && list.count == -1, "%d", list.count);
    }
}

int main(void)
{
    test_signatures();
    test_length_symbols();
    test_shape_chain();
    test_size_arithmetic();
    test_odd_address();
    test_ranks();
    test_overflow();
    test_wild_indices();
    test_nms(true, BOXES);
    test_nms(true, 4);
    test_nms(true, 0);
    test_nms(true, 1000);
    test_nms(false, 7);
    test_nms(false, -3);
    test_scatter_bits();
    test_images();
    return check_result();
}
