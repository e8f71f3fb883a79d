// A convolution that was planned for an image runs on parts of it that have fewer columns or rows,
// in the scratch memory of the whole: no part may ask for more.
#include "graph/graph.h"
#include "kernels/cpu.h"
#include "ops/conv/conv.h"
#include "tests/support/check.h"

enum { MOST = 70 };

typedef struct layer {
    rml_op_attr attr;
    rml_tensor in[2], out;
    rml_op_args args;
} layer;

// False where there is no output.
static bool make(layer *at, const rml_op *op, const rml_conv_attr *conv, const int64_t weight[4],
                 int64_t channels, int64_t height, int64_t width)
{
    const rml_shape shapes[2] = {{4, {2, channels, height, width}},
                                 {4, {weight[0], weight[1], weight[2], weight[3]}}};
    const rml_fact facts[2] = {{.shape = shapes[0]}, {.shape = shapes[1], .constant = true}};
    const rml_op_node node = {&at->attr, facts, shapes, 2};
    rml_shape out;
    at->attr.conv = *conv;
    if (op->infer_values(&node, &out, NULL) != RML_OK || out.dim[2] < 1 || out.dim[3] < 1)
        return false;
    at->in[0] = rml_tensor_make(NULL, &shapes[0], RML_LAYOUT_CHANNELS_LAST);
    at->in[1] = rml_tensor_make(NULL, &shapes[1], RML_LAYOUT_PLAIN);
    at->out = rml_tensor_make(NULL, &out, RML_LAYOUT_CHANNELS_LAST);
    at->args.attr = &at->attr;
    at->args.in = at->in;
    at->args.in_count = 2;
    at->args.out = &at->out;
    return true;
}

static size_t scratch_of(const layer *at)
{
    const rml_algorithm *algorithm = at->args.algorithm;
    return algorithm->scratch_bytes  ? algorithm->scratch_bytes(&at->args)
           : algorithm->worker_bytes ? algorithm->worker_bytes(&at->args)
                                     : 0;
}

static void check(const rml_op *op, const rml_kernels *kernels, rml_precision precision,
                  const rml_conv_attr *conv, const int64_t weight[4], int64_t channels)
{
    static const int64_t heights[] = {MOST, 9};
    layer whole = {.args = {.kernels = kernels, .precision = precision, .threads = 2}};
    if (!make(&whole, op, conv, weight, channels, MOST, MOST))
        return;
    whole.args.algorithm = rml_op_choose(op, &whole.args);
    const size_t most = scratch_of(&whole);
    for (size_t i = 0; i < sizeof heights / sizeof *heights; i++)
        for (int64_t width = 1; width <= MOST; width++) {
            layer part = {.args = whole.args};
            if (!make(&part, op, conv, weight, channels, heights[i], width))
                continue;
            const size_t bytes = scratch_of(&part);
            CHECK_MSG(bytes <= most,
                      "%s by %s, %d channels to %d, %dx%d: %zu bytes for %dx%d, %zu for the whole",
                      op->name, whole.args.algorithm->name, (int)channels, (int)whole.out.dim[1],
                      (int)weight[2], (int)weight[3], bytes, (int)heights[i], (int)width, most);
        }
}

static void check_all(const rml_kernels *kernels, rml_precision precision)
{
    static const int64_t channels[] = {3, 16, 48, 200}, outs[] = {1, 3, 24, 96};
    for (int64_t kernel = 1; kernel <= 7; kernel += 2)
        for (int64_t stride = 1; stride <= 2; stride++)
            for (size_t c = 0; c < sizeof channels / sizeof *channels; c++) {
                const int64_t from = channels[c];
                rml_conv_attr attr = rml_conv_square(kernel, stride, kernel / 2);
                for (size_t o = 0; o < sizeof outs / sizeof *outs; o++) {
                    check(&rml_op_conv, kernels, precision, &attr,
                          (int64_t[]){outs[o], from, kernel, kernel}, from);
                    check(&rml_op_conv_transpose, kernels, precision, &attr,
                          (int64_t[]){from, outs[o], kernel, kernel}, from);
                }
                attr.groups = from;
                check(&rml_op_conv, kernels, precision, &attr, (int64_t[]){from, 1, kernel, kernel},
                      from);
                check(&rml_op_conv_transpose, kernels, precision, &attr,
                      (int64_t[]){from, 1, kernel, kernel}, from);
            }
}

int main(void)
{
    const uint32_t features[] = {0, rml_cpu_probe()};
    for (size_t i = 0; i < sizeof features / sizeof *features; i++) {
        rml_kernels kernels;
        rml_kernels_init(&kernels, features[i]);
        check_all(&kernels, RML_PRECISION_F32);
        check_all(&kernels, RML_PRECISION_BF16);
    }
    return check_result();
}
