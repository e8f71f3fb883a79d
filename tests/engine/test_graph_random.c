// Random graphs against a naive evaluator, to the bit: the planner, in-place and concat-in-place
// placement, layouts and every pass, on numbers (small integers) that no order of operations
// rounds.
#include "tests/support/graph_text.h"
#include "tests/support/net.h"

#define SIDE 4
#define PIXELS (SIDE * SIDE)
#define ITEMS 2
#define MAX_CHANNELS 24
#define MAX_VALUES 40
#define LIMIT 64.0f // every operator that makes numbers grow is clamped behind

typedef struct value {
    rml_value_id id;
    int c;
    float data[ITEMS * MAX_CHANNELS * PIXELS];
} value;

typedef struct world {
    net at;
    uint64_t seed;
    size_t drawn;
    value values[MAX_VALUES];
    int count;
    char story[2000]; // what was built, for messages
} world;

static int draw(world *w, int below)
{
    return (int)(uniform_bits(w->seed, w->drawn++) % (uint64_t)below);
}

static float *at(value *v, int n, int c, int p)
{
    return &v->data[(n * v->c + c) * PIXELS + p];
}

static rml_value_id integers(world *w, rml_shape shape, int low, int high, const float **data)
{
    size_t count = 0;
    const rml_value_id id = net_constant(&w->at, "constant", shape);
    float *dst = w->at.memory[w->at.constants - 1];
    rml_shape_count(&shape, &count);
    for (size_t i = 0; i < count; i++)
        dst[i] = (float)(low + draw(w, high - low + 1));
    *data = dst;
    return id;
}

static value *push(world *w, rml_value_id id, int c, const char *what)
{
    value *v = &w->values[w->count++];
    v->id = id;
    v->c = c;
    const size_t length = strlen(w->story);
    snprintf(w->story + length, sizeof w->story - length, " %d:%s", w->count - 1, what);
    return v;
}

static void clamp_all(value *v, float low, float high)
{
    for (int i = 0; i < ITEMS * v->c * PIXELS; i++)
        v->data[i] = v->data[i] < low ? low : v->data[i] > high ? high : v->data[i];
}

// A clamp node behind `v`'s node, so that it may be fused.
static void limit(world *w, value *v)
{
    const rml_activation act = {RML_UNARY_CLAMP, {-LIMIT, LIMIT}};
    v->id = rml_graph_unary(w->at.graph, v->id, act, "limit");
    clamp_all(v, -LIMIT, LIMIT);
}

static void add_unary(world *w, const value *x)
{
    static const rml_activation acts[] = {{RML_UNARY_CLAMP, {0, INFINITY}},
                                          {RML_UNARY_NEG, {0, 0}},
                                          {RML_UNARY_ABS, {0, 0}},
                                          {RML_UNARY_CLAMP, {-3, 7}}};
    const int kind = draw(w, 4);
    value *v = push(w, rml_graph_unary(w->at.graph, x->id, acts[kind], "unary"), x->c, "unary");
    for (int i = 0; i < ITEMS * x->c * PIXELS; i++) {
        const float e = x->data[i];
        v->data[i] = kind == 1 ? -e : kind == 2 ? fabsf(e) : e;
    }
    if (kind == 0 || kind == 3)
        clamp_all(v, acts[kind].param[0], acts[kind].param[1]);
}

static void add_binary(world *w, const value *x, const value *y)
{
    if (y->c != x->c && y->c != 1 && x->c != 1)
        return;
    const rml_binary kinds[] = {RML_BINARY_ADD, RML_BINARY_ADD, RML_BINARY_SUB, RML_BINARY_MAX};
    const rml_binary kind = kinds[draw(w, 4)];
    const int c = x->c > y->c ? x->c : y->c;
    value *v = push(w, rml_graph_binary(w->at.graph, kind, x->id, y->id, "binary"), c, "binary");
    for (int i = 0; i < ITEMS * c * PIXELS; i++) {
        const int n = i / (c * PIXELS), channel = i / PIXELS % c, p = i % PIXELS;
        const float a = *at((value *)(uintptr_t)x, n, x->c == 1 ? 0 : channel, p);
        const float b = *at((value *)(uintptr_t)y, n, y->c == 1 ? 0 : channel, p);
        v->data[i] = kind == RML_BINARY_ADD   ? a + b
                     : kind == RML_BINARY_SUB ? a - b
                     : a > b                  ? a
                                              : b;
    }
    limit(w, v);
}

static void add_concat(world *w)
{
    const value *part[3];
    rml_value_id in[3];
    int c = 0;
    const int parts = 2 + draw(w, 2);
    for (int k = 0; k < parts; k++) {
        part[k] = &w->values[draw(w, w->count)];
        in[k] = part[k]->id;
        c += part[k]->c;
    }
    if (c > MAX_CHANNELS)
        return;
    value *v = push(w, rml_graph_concat(w->at.graph, in, parts, 1, "concat"), c, "concat");
    for (int n = 0; n < ITEMS; n++)
        for (int k = 0, first = 0; k < parts; first += part[k++]->c)
            memcpy(at(v, n, first, 0), at((value *)(uintptr_t)part[k], n, 0, 0),
                   (size_t)(part[k]->c * PIXELS) * sizeof(float));
}

static void add_conv(world *w, const value *x)
{
    static const char *const names[] = {"conv", "depthwise", "transposed"};
    const int kind = draw(w, 3), k = 1 + 2 * draw(w, 2), c = kind == 1 ? x->c : 1 + draw(w, 8);
    const int depth = kind == 1 ? 1 : x->c;
    const float *weight, *bias;
    rml_conv_attr attr = rml_conv_square(k, 1, k / 2);
    attr.groups = kind == 1 ? x->c : 1;
    const rml_shape shape = {4, {kind == 2 ? depth : c, kind == 2 ? c : depth, k, k}};
    const rml_value_id weights = integers(w, shape, -1, 1, &weight);
    const rml_value_id bias_id = integers(w, (rml_shape){1, {c}}, -2, 2, &bias);
    value *v = push(w,
                    kind == 2 ? rml_graph_conv_transpose(w->at.graph, x->id, weights, bias_id,
                                                         &attr, "transposed")
                              : rml_graph_conv(w->at.graph, x->id, weights, bias_id, &attr, "conv"),
                    c, names[kind]);
    for (int i = 0; i < ITEMS * c * PIXELS; i++) {
        const int n = i / (c * PIXELS), o = i / PIXELS % c, row = i % PIXELS / SIDE, col = i % SIDE;
        float sum = bias[o];
        for (int d = 0; d < depth; d++)
            for (int t = 0; t < k * k; t++) {
                // a transposed convolution of stride 1 reads the other way round
                const int ty = t / k - k / 2, tx = t % k - k / 2;
                const int y = kind == 2 ? row - ty : row + ty, z = kind == 2 ? col - tx : col + tx;
                if (y < 0 || y >= SIDE || z < 0 || z >= SIDE)
                    continue;
                const int at_weight =
                    kind == 2 ? (d * c + o) * k * k + t : (o * depth + d) * k * k + t;
                sum += weight[at_weight] *
                       *at((value *)(uintptr_t)x, n, kind == 1 ? o : d, y * SIDE + z);
            }
        v->data[i] = sum;
    }
    if (draw(w, 2)) { // batch norm with whole factors
        const float *f[4];
        rml_value_id in[4];
        for (int i = 0; i < 4; i++)
            in[i] = integers(w, (rml_shape){1, {c}}, i == 3 ? 1 : -2, i == 3 ? 1 : 2, &f[i]);
        v->id = rml_graph_batch_norm(w->at.graph, v->id, in[0], in[1], in[2], in[3], 0, "bn");
        for (int i = 0; i < ITEMS * c * PIXELS; i++) {
            const int o = i / PIXELS % c;
            v->data[i] = (v->data[i] - f[2][o]) * f[0][o] + f[1][o];
        }
    }
    limit(w, v);
}

// Operators that leave the elements where they are, or turn the image.
static void add_moving(world *w, const value *x)
{
    rml_graph *graph = w->at.graph;
    const rml_pool_attr pool = {.window = rml_window_square(1, 1, 0)};
    static const rml_resize_attr resize = {.mode = RML_INTERPOLATION_NEAREST, .size = {SIDE, SIDE}};
    static const int turn[4] = {0, 1, 3, 2};
    const rml_shape flat = {2, {0, -1}}, back = {4, {0, x->c, SIDE, SIDE}};
    const int kind = draw(w, 5);
    value *v = push(w, RML_NO_VALUE, x->c, "moving");
    memcpy(v->data, x->data, sizeof v->data);
    if (kind == 0)
        v->id = rml_graph_pool(graph, x->id, &pool, "pool");
    else if (kind == 1)
        v->id = rml_graph_resize(graph, x->id, RML_NO_VALUE, &resize, "resize");
    else if (kind == 2)
        v->id =
            rml_graph_reshape(graph, rml_graph_reshape(graph, x->id, &flat, "flat"), &back, "back");
    else if (kind == 3) {
        v->id = rml_graph_transpose(graph, x->id, turn, 4, "turn");
        for (int i = 0; i < ITEMS * x->c * PIXELS; i++)
            v->data[i] = x->data[i / PIXELS * PIXELS + i % SIDE * SIDE + i % PIXELS / SIDE];
    } else {
        const int first = draw(w, x->c), count = 1 + draw(w, x->c - first);
        v->c = count;
        v->id = rml_graph_slice(graph, x->id, 1, first, first + count, 1, "slice");
        for (int n = 0; n < ITEMS; n++)
            memcpy(at(v, n, 0, 0), at((value *)(uintptr_t)x, n, first, 0),
                   (size_t)(count * PIXELS) * sizeof(float));
    }
}

// Up to three parts, of which one may stay unread.
static void add_split(world *w, const value *x)
{
    int64_t sizes[3] = {1 + draw(w, x->c), 0, 0};
    sizes[1] = draw(w, x->c - (int)sizes[0] + 1);
    sizes[2] = x->c - sizes[0] - sizes[1];
    const int parts = sizes[2] ? 3 : sizes[1] ? 2 : 1;
    if (parts == 3 && !sizes[1])
        return; // tests have no values without channels
    rml_value_id out[3];
    graph_split(w->at.graph, x->id, 1, sizes, parts, out, "split");
    const int skipped = draw(w, 4);
    for (int k = 0, first = 0; k < parts; first += (int)sizes[k++]) {
        if (k == skipped || w->count == MAX_VALUES)
            continue;
        value *v = push(w, out[k], (int)sizes[k], "part");
        for (int n = 0; n < ITEMS; n++)
            memcpy(at(v, n, 0, 0), at((value *)(uintptr_t)x, n, first, 0),
                   (size_t)(v->c * PIXELS) * sizeof(float));
    }
}

static void add_constant_operand(world *w, const value *x)
{
    const float *data;
    const rml_value_id id = integers(w, (rml_shape){3, {x->c, 1, 1}}, -3, 3, &data);
    // behind a unary that folding evaluates
    const rml_value_id folded =
        rml_graph_unary(w->at.graph, id, (rml_activation){.kind = RML_UNARY_NEG}, "folded");
    value *v = push(w, rml_graph_binary(w->at.graph, RML_BINARY_SUB, x->id, folded, "shift"), x->c,
                    "shift");
    for (int i = 0; i < ITEMS * x->c * PIXELS; i++)
        v->data[i] = x->data[i] + data[i / PIXELS % x->c];
    limit(w, v);
}

static void build(world *w, uint64_t seed)
{
    w->seed = seed;
    w->drawn = 0;
    w->count = 0;
    w->story[0] = 0;
    for (int i = 0; i < 2; i++) {
        const int c = 1 + draw(w, 6);
        char name[8];
        snprintf(name, sizeof name, "in%d", i);
        value *v = push(w, rml_graph_input(w->at.graph, name, &(rml_shape){4, {-1, c, SIDE, SIDE}}),
                        c, "input");
        for (int k = 0; k < ITEMS * c * PIXELS; k++)
            v->data[k] = (float)(draw(w, 9) - 4);
    }
    const int nodes = 3 + draw(w, MAX_VALUES - 8);
    for (int i = 0; i < nodes && w->count < MAX_VALUES; i++) {
        // the latest values most of the time, so that chains and short lives arise
        const int span = draw(w, 3) ? (w->count < 4 ? w->count : 4) : w->count;
        const value *x = &w->values[w->count - 1 - draw(w, span)];
        switch (draw(w, 8)) {
        case 0:
            add_binary(w, x, &w->values[draw(w, w->count)]);
            break;
        case 1:
        case 2:
            add_concat(w);
            break;
        case 3:
            add_conv(w, x);
            break;
        case 4:
            add_moving(w, x);
            break;
        case 5:
            add_constant_operand(w, x);
            break;
        case 6:
            add_split(w, x);
            break;
        default:
            add_unary(w, x);
        }
    }
}

static void run_one(world *w, const int *outputs, int output_count, bool no_reuse, int threads)
{
    rml_session_settings settings = rml_session_settings_default();
    rml_session *session;
    rml_error err = {0};
    settings.no_reuse = no_reuse;
    settings.threads = threads;
    const rml_status made = rml_session_create(&session, w->at.model, &settings, &err);
    if (made != RML_OK) {
        CHECK_MSG(made == RML_ERR_UNSUPPORTED && threads > 1, "%s", err.message);
        return;
    }
    for (int items = ITEMS; items >= 1; items--) {
        for (int i = 0; i < 2; i++) {
            const rml_shape shape = {4, {items, w->values[i].c, SIDE, SIDE}};
            CHECK(rml_session_resize(session, i ? "in1" : "in0", shape, &err) == RML_OK);
        }
        const rml_status ready = rml_session_prepare(session, &err);
        CHECK_MSG(ready == RML_OK, "seed %llu: %s", (unsigned long long)w->seed, err.message);
        for (int i = 0; i < 2 && ready == RML_OK; i++)
            memcpy(rml_session_input(session, i ? "in1" : "in0", NULL), w->values[i].data,
                   (size_t)(items * w->values[i].c * PIXELS) * sizeof(float));
        for (int round = 0; round < 2 && ready == RML_OK; round++) {
            CHECK(rml_session_run(session, &err) == RML_OK);
            for (int k = 0; k < output_count; k++) {
                const value *want = &w->values[outputs[k]];
                char name[16];
                snprintf(name, sizeof name, "out%d", k);
                const float *got = rml_session_output(session, name, NULL);
                int wrong = 0;
                for (int i = 0; i < items * want->c * PIXELS; i++)
                    wrong += got[i] != want->data[i];
                CHECK_MSG(wrong == 0,
                          "seed %llu, %d items, reuse %d, round %d: value %d: %d wrong:%s",
                          (unsigned long long)w->seed, items, !no_reuse, round, outputs[k], wrong,
                          w->story);
            }
        }
    }
    rml_session_destroy(&session);
}

int main(int argc, char **argv)
{
    static const char *const disabled[] = {
        NULL,         "fuse_act", "fold_bn,fold_const",
        "fuse_block", "dce",      "fold_const,fold_bn,fuse_act,dce"};
    static world w;
    // a range of seeds may be given to look at one, or for more
    const uint64_t first = argc > 1 ? strtoull(argv[1], NULL, 10) : 1;
    const uint64_t last = argc > 2 ? strtoull(argv[2], NULL, 10) : 400;
    for (uint64_t seed = first; seed <= last; seed++) {
        int outputs[4], output_count = 0;
        net_begin(&w.at, NULL);
        build(&w, seed);
        for (int i = w.count - 1; i >= 2 && output_count < 4; i--)
            if (output_count == 0 || draw(&w, 6) == 0) {
                char name[16];
                snprintf(name, sizeof name, "out%d", output_count);
                outputs[output_count++] = i;
                rml_graph_output(w.at.graph, name, w.values[i].id);
            }
        if (output_count && net_finish(&w.at, disabled[seed % 5])) {
            run_one(&w, outputs, output_count, false, 1);
            run_one(&w, outputs, output_count, true, 2);
        }
        net_end(&w.at);
    }
    return check_result();
}
