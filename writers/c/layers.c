// Pooling, softmax and recurrent layers.
#include "writers/c/emit.h"

#include "ops/image/pool.h"
#include "ops/recurrent/rnn.h"

#include <string.h>

// ---- pooling ------------------------------------------------------------------------------------

static const char *check_pool(rml_c_emit *c, const rml_step *step, size_t *scratch)
{
    const rml_pool_attr *pool = &step->args.attr->pool;
    const char *way = step->algorithm->name;
    const bool in_order = strcmp(way, "pixels") == 0 || strcmp(way, "window") == 0;
    (void)scratch;
    if (step->algorithm->generic)
        return "its image is plain";
    if (pool->indices || pool->kind == RML_POOL_LP || rml_pool_window(&step->args).rank != 2)
        return "it is no maximum or mean of an image of two dimensions";
    for (int axis = 0; axis < 2; axis++)
        if (pool->window.rank && pool->window.dilation[axis] > 1)
            return "its window has gaps";
    if (pool->kind != RML_POOL_MAX && !in_order)
        return "its sums have no kernel";
    rml_c_use(c, RML_C_POOL);
    return NULL;
}

static void data_pool(rml_c_emit *c, size_t step)
{
    const rml_op_args *args = &rml_c_step(c, step)->args;
    const rml_pool_attr *pool = &args->attr->pool;
    const rml_window w = rml_pool_window(args);
    const rml_c_image in = rml_c_image_of(&args->in[0]), out = rml_c_image_of(&args->out[0]);
    rml_c_say(c,
              "static const net_pool_shape net_s%zu = {%lld, %lld, %lld, %lld, %lld, %lld, %lld, "
              "%lld, %lld, %lld, %lld, %lld,\n    ",
              step, (long long)in.images, (long long)in.channels, (long long)in.h, (long long)in.w,
              (long long)in.image, (long long)in.row, (long long)in.pixel, (long long)out.h,
              (long long)out.w, (long long)out.image, (long long)out.row, (long long)out.pixel);
    rml_c_say(c, "%lld, %lld, %lld, %lld, %lld, %lld, %lld, %lld, %d, %d};\n",
              (long long)w.kernel[0], (long long)w.kernel[1], (long long)w.stride[0],
              (long long)w.stride[1], (long long)w.before[0], (long long)w.before[1],
              (long long)w.after[0], (long long)w.after[1], pool->kind == RML_POOL_MAX,
              pool->count_pad && !pool->global);
}

static void run_pool(rml_c_emit *c, size_t step)
{
    char in[RML_C_PLACE_BYTES], out[RML_C_PLACE_BYTES];
    rml_c_say(c, "    net_pool(&net_s%zu, %s, %s);\n", step, rml_c_in(c, step, 0, in),
              rml_c_out(c, step, 0, out));
}

const rml_c_op rml_c_pool = {RML_OP_POOL, check_pool, data_pool, run_pool};

// ---- softmax ------------------------------------------------------------------------------------

static const char *check_softmax(rml_c_emit *c, const rml_step *step, size_t *scratch)
{
    const rml_softmax_attr *attr = &step->args.attr->softmax;
    const int rank = step->args.in[0].rank, axis = attr->axis + (attr->axis < 0 ? rank : 0);
    (void)scratch;
    if (attr->kind != RML_SOFTMAX || axis != rank - 1 || attr->flat)
        return "it is no softmax along the last axis";
    rml_c_use(c, RML_C_MATH);
    rml_c_use(c, RML_C_SOFTMAX);
    return NULL;
}

// Lanes of a vector of the session's level, in which its kernel sums.
static int lanes_of(const rml_c_emit *c)
{
    const rml_cpu_level level = c->session->kernels.level;
    return level == RML_CPU_AVX512 ? 16 : level == RML_CPU_AVX2 ? 8 : 4;
}

static void run_softmax(rml_c_emit *c, size_t step)
{
    char in[RML_C_PLACE_BYTES], out[RML_C_PLACE_BYTES];
    const rml_tensor *x = &rml_c_step(c, step)->args.in[0];
    const int64_t count = x->dim[x->rank - 1];
    const bool is_short = strcmp(rml_c_step(c, step)->algorithm->name, "short-rows") == 0;
    rml_c_say(c, "    net_softmax(%s, %s, %lld, %lld, %d, %d);\n", rml_c_in(c, step, 0, in),
              rml_c_out(c, step, 0, out),
              (long long)(count ? (int64_t)rml_tensor_count(x) / count : 0), (long long)count,
              is_short ? 8 : lanes_of(c), is_short);
}

const rml_c_op rml_c_softmax = {RML_OP_SOFTMAX, check_softmax, NULL, run_softmax};

// ---- LSTM ---------------------------------------------------------------------------------------

static const char *check_lstm(rml_c_emit *c, const rml_step *step, size_t *scratch)
{
    const rml_rnn_dims d = rml_rnn_dims_of(&step->args);
    if (strcmp(step->algorithm->name, "fused-gates") != 0)
        return "it is no LSTM of the usual kind with constant weights";
    if (d.directions != 1)
        return "it has two directions";
    *scratch = d.hidden * sizeof(float);
    rml_c_use(c, RML_C_MATH);
    rml_c_use(c, RML_C_LSTM);
    return NULL;
}

// Rows of gates, [4 * hidden][cols], to [cols][hidden][4] of the input, or [hidden][cols][4] of the
// state.
static void say_gates(rml_c_emit *c, const rml_op_args *args, int input, const char *name,
                      size_t step, size_t cols, bool by_unit)
{
    static const size_t onnx[4] = {0, 2, 3, 1}, torch[4] = {0, 1, 2, 3};
    const size_t *order = args->attr->rnn.torch_gates ? torch : onnx;
    const size_t hidden = rml_rnn_dims_of(args).hidden, count = 4 * hidden * cols;
    float *src = NULL, *dst = NULL;
    if (c->status == RML_OK)
        c->status = rml_c_read(c, rml_op_constant(args, input), &src, c->err);
    if (c->status == RML_OK)
        c->status = rml_make(c->allocator, &dst, count, sizeof *dst, "weights", c->err);
    for (size_t u = 0; u < hidden && c->status == RML_OK; u++)
        for (size_t k = 0; k < cols; k++)
            for (size_t gate = 0; gate < 4; gate++)
                dst[(by_unit ? u * cols + k : k * hidden + u) * 4 + gate] =
                    src[(order[gate] * hidden + u) * cols + k];
    // Both biases are one, added as the session adds them.
    if (c->status == RML_OK && input == RML_RNN_BIAS)
        for (size_t u = 0; u < hidden; u++)
            for (size_t gate = 0; gate < 4; gate++) {
                const size_t at = order[gate] * hidden + u;
                dst[u * 4 + gate] = src[at] + src[4 * hidden + at];
            }
    if (c->status == RML_OK)
        rml_c_array(c, name, step, dst, count);
    rml_free(c->allocator, src);
    rml_free(c->allocator, dst);
}

static void data_lstm(rml_c_emit *c, size_t step)
{
    const rml_op_args *args = &rml_c_step(c, step)->args;
    const rml_rnn_dims d = rml_rnn_dims_of(args);
    const rml_tensor *x = &args->in[RML_RNN_X]; // batch, step, input, or step first
    const bool first = args->attr->rnn.batch_first;
    const rml_rnn_strides out = rml_rnn_strides_of(args, &args->out[0]);
    const rml_rnn_strides state = rml_rnn_strides_of(args, &args->out[1]);
    rml_c_say(c,
              "static const net_lstm_shape net_s%zu = {%zu, %zu, %zu, %zu, %d, %lld, %lld, %lld, "
              "%lld, %lld};\n",
              step, d.batch, d.steps, d.inputs, d.hidden, args->attr->rnn.reverse,
              (long long)x->stride[first ? 0 : 1], (long long)x->stride[first ? 1 : 0],
              (long long)out.item, (long long)out.step, (long long)state.item);
    say_gates(c, args, RML_RNN_W, "net_w", step, d.inputs, false);
    say_gates(c, args, RML_RNN_R, "net_r", step, d.hidden, true);
    if (rml_op_input(args, RML_RNN_BIAS))
        say_gates(c, args, RML_RNN_BIAS, "net_b", step, 1, true);
}

static void run_lstm(rml_c_emit *c, size_t step)
{
    char place[RML_C_PLACE_BYTES];
    const rml_node *node = rml_c_node(c, step);
    rml_c_say(c, "    net_lstm(&net_s%zu, %s, net_w%zu.value, net_r%zu.value, ", step,
              rml_c_in(c, step, RML_RNN_X, place), step, step);
    if (rml_op_input(&rml_c_step(c, step)->args, RML_RNN_BIAS))
        rml_c_say(c, "net_b%zu.value, ", step);
    else
        rml_c_say(c, "0, ");
    rml_c_say(c, "%s, ", rml_c_in(c, step, RML_RNN_H0, place));
    rml_c_say(c, "%s, ", rml_c_in(c, step, RML_RNN_C0, place));
    rml_c_say(c, "%s,\n             ",
              rml_c_is_read(c, node->out) ? rml_c_out(c, step, 0, place) : "0");
    rml_c_say(c, "%s, ", rml_c_out(c, step, 1, place));
    rml_c_say(c, "%s, ", rml_c_out(c, step, 2, place));
    rml_c_say(c, "%s);\n", rml_c_scratch(c, step, place));
}

const rml_c_op rml_c_lstm = {RML_OP_RNN, check_lstm, data_lstm, run_lstm};
