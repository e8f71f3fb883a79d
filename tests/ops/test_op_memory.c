// What operators ask for as one dimension grows to what no memory holds: never less than before,
// and in the end a refusal. A product that wraps would ask for little, and be written past.
#include "kernels/cpu.h"
#include "ops/op.h"
#include "tests/support/check.h"
#include "tensor/size.h"
#include "tensor/threads.h"

#define S (-7)    // in a shape, a kernel or groups: what grows
#define S4 (-8)   // four times as much
#define TOP 8     // scratch rounds up and down by less than this
#define MOST_IN 8 // inputs

typedef struct grows {
    rml_op_id op;
    const char *what;
    rml_shape in[MOST_IN]; // rank 0 ends the list
    rml_op_attr attr;
    rml_dtype dtype;
    bool refused; // there are tensors that fit and make it ask for too much
    bool generic;
} grows;

#define CONV(...)                                                                                  \
    {                                                                                              \
        .conv = {.window.stride = {1, 1}, .window.dilation = {1, 1}, __VA_ARGS__ }                 \
    }
#define NONE .act = {RML_UNARY_CLAMP, {-INFINITY, INFINITY}}

static const grows cases[] = {
    {RML_OP_CONV,
     "depthwise, channels",
     {{4, {1, S, 9, 9}}, {4, {S, 1, 3, 3}}},
     .attr = CONV(NONE, .groups = S)},
    {RML_OP_CONV,
     "input channels",
     {{4, {1, S, 32, 32}}, {4, {16, S, 3, 3}}},
     .attr = CONV(NONE, .window.before = {1, 1}, .window.after = {1, 1}, .groups = 1),
     .refused = true},
    {RML_OP_CONV,
     "output channels",
     {{4, {1, 16, 32, 32}}, {4, {S, 16, 3, 3}}},
     .attr = CONV(NONE, .window.before = {1, 1}, .window.after = {1, 1}, .groups = 1)},
    {RML_OP_CONV,
     "a wide kernel",
     {{4, {1, 1, 1, S}}, {4, {4, 1, 1, S}}},
     .attr = CONV(NONE, .groups = 1)},
    {RML_OP_CONV,
     "few outputs of a wide image",
     {{4, {1, 64, 9, S}}, {4, {3, 64, 9, 9}}},
     .attr = CONV(NONE, .window.before = {4, 4}, .window.after = {4, 4}, .groups = 1),
     .refused = true},
    {RML_OP_CONV,
     "1x1",
     {{4, {1, S, 1, 1}}, {4, {1, S, 1, 1}}},
     .attr = CONV(NONE, .groups = 1),
     .refused = true},
    {RML_OP_CONV_TRANSPOSE,
     "a wide kernel",
     {{4, {1, 4, 1, 1}}, {4, {4, 1, 1, S}}},
     .attr = CONV(NONE, .groups = 1)},
    {RML_OP_MATMUL,
     "depth of rows",
     {{3, {1, 1, S}}, {2, {1, S}}},
     .attr = {.matmul = {false, true, 1, 1, NONE}},
     .refused = true},
    {RML_OP_MATMUL,
     "depth",
     {{2, {1, S}}, {2, {S, 1}}},
     .attr = {.matmul = {false, false, 1, 1, NONE}},
     .refused = true},
    {RML_OP_EINSUM,
     "an outer product",
     {{1, {S}}, {1, {S}}, {1, {S}}},
     .attr = {.einsum = {"a,b,c->"}}},
    {RML_OP_INTEGER_MATMUL,
     "depth",
     {{2, {1, S}}, {2, {S, 1}}},
     .attr = {.matmul = {false, false, 1, 1, NONE}},
     RML_U8,
     .refused = true},
    {RML_OP_DET, "a large matrix", {{2, {S, S}}}, .attr = {.axis = {.axis = 0}}, .refused = true},
    {RML_OP_ATTENTION,
     "depth",
     {{4, {1, 1, 1, S}}, {4, {1, 1, 1, S}}, {4, {1, 1, 1, 1}}},
     .attr = {.attention = {.heads = 0}},
     .refused = true},
    {RML_OP_ATTENTION,
     "width",
     {{4, {1, 1, 1, 8}}, {4, {1, 1, 9, 8}}, {4, {1, 1, 9, S}}},
     .attr = {.attention = {.heads = 0}}},
    {RML_OP_ATTENTION,
     "keys",
     {{4, {1, 1, 1, 8}}, {4, {1, 1, S, 8}}, {4, {1, 1, S, 8}}},
     .attr = {.attention = {.softcap = 1}},
     .refused = true},
    {RML_OP_ATTENTION,
     "depth",
     {{4, {1, 1, 9, S}}, {4, {1, 1, 9, S}}, {4, {1, 1, 9, 4}}},
     .attr = {.attention = {.softcap = 1}},
     .refused = true},
    {RML_OP_LINEAR_ATTENTION,
     "depth and width",
     {{3, {1, 1, S}}, {3, {1, 1, S}}, {3, {1, 1, S}}},
     .attr = {.linear_attention = {.heads = 1, .key_heads = 1}},
     .refused = true},
    {RML_OP_RNN,
     "hidden units",
     {{3, {1, 1, 8}}, {3, {1, S, 8}}, {3, {1, S, S}}},
     .attr = {.rnn = {.directions = 1}}},
    {RML_OP_RNN,
     "inputs",
     {{3, {1, 1, S}}, {3, {1, 8, S}}, {3, {1, 8, 8}}},
     .attr = {.rnn = {.directions = 1}},
     .refused = true},
    {RML_OP_POOL,
     "a large window",
     {{4, {1, 1, S, S}}},
     .attr = {.pool = {.kind = RML_POOL_MAX, .global = true}},
     .refused = true},
    {RML_OP_SOFTMAX, "a long row", {{1, {S}}}, .attr = {.softmax = {.axis = 0}}, .refused = true},
    {RML_OP_GROUP_NORM,
     "many channels",
     {{4, {S, S, 1, 1}}, {1, {S}}, {1, {S}}},
     .attr = {.group_norm = {.groups = 1, .eps = 1, NONE}},
     .refused = true},
    {RML_OP_BATCH_NORM,
     "many channels",
     {{4, {1, S, 1, 1}}, {1, {S}}, {1, {S}}, {1, {S}}, {1, {S}}},
     .attr = {.batch_norm = {1}}},
    {RML_OP_CAUSAL_CONV,
     "a long channel",
     {{3, {1, 1, S}}, {3, {1, 1, 4}}},
     .attr = {.causal_conv = {false}},
     .refused = true},
    {RML_OP_TOPK,
     "a long row",
     {{1, {S}}, {1, {1}}},
     .attr = {.topk = {0, false}},
     .refused = true},
    {RML_OP_UNIQUE,
     "many elements",
     {{1, {S}}},
     .attr = {.unique = {.flat = true}},
     .refused = true},
    {RML_OP_NMS, "many boxes", {{3, {1, S, 4}}, {3, {1, 1, S}}}, .attr = {.nms = {false}}},
    {RML_OP_TREE_ENSEMBLE,
     "many targets",
     {{2, {1, 4}}},
     .attr = {.tree_ensemble = {.targets = S}},
     .refused = true},
    {RML_OP_POOL,
     "large planes",
     {{4, {1, 1, S, S}}},
     .attr = {.pool = {.kind = RML_POOL_LP, .global = true, .p = 2}},
     .refused = true,
     .generic = true},
    {RML_OP_POOL,
     "long rows",
     {{4, {1, 1, 3, S}}},
     .attr =
         {.pool = {.window = {.rank = 2, .kernel = {3, 3}, .stride = {1, 1}, .dilation = {1, 1}}}},
     .refused = true,
     .generic = true},
};

static int64_t grown(int64_t number, int64_t size)
{
    const int64_t most = INT64_MAX / 4; // what is no number at all is refused as a shape
    return number == S ? size : number == S4 ? 4 * (size < most ? size : most) : number;
}

// Which numbers of the attributes grow depends on the operator.
static void grow_attr(rml_op_id op, rml_op_attr *attr, int64_t size)
{
    if (op == RML_OP_CONV || op == RML_OP_CONV_TRANSPOSE) {
        attr->conv.groups = grown(attr->conv.groups, size);
    }
    if (op == RML_OP_TREE_ENSEMBLE)
        attr->tree_ensemble.targets = grown(attr->tree_ensemble.targets, size);
}

// Fills in `size`. False when the tensors could not be there, or the operator does not take them.
static bool prepare(const grows *at, int64_t size, rml_op_attr *attr, rml_tensor *in, int *count,
                    rml_tensor *out)
{
    rml_shape shapes[MOST_IN], results[RML_MAX_OUTPUTS];
    rml_fact facts[MOST_IN];
    const rml_op *op = rml_op_get(at->op);
    size_t elements;
    *attr = at->attr;
    grow_attr(at->op, attr, size);
    for (*count = 0; *count < MOST_IN && at->in[*count].rank; ++*count) {
        rml_shape *shape = &shapes[*count];
        *shape = at->in[*count];
        for (int i = 0; i < shape->rank; i++)
            shape->dim[i] = grown(shape->dim[i], size);
        if (!rml_shape_count(shape, &elements))
            return false;
        facts[*count] = (rml_fact){.dtype = at->dtype, .shape = *shape};
        in[*count] = rml_tensor_typed(NULL, at->dtype, shape);
    }
    const rml_op_node node = {attr, facts, shapes, *count};
    const rml_status status = (op->infer ? op->infer : op->infer_values)(&node, results, NULL);
    if (status != RML_OK)
        return false;
    for (int k = 0; k < rml_op_outputs(op, attr); k++) {
        for (int i = 0; i < results[k].rank; i++) // what only elements tell
            results[k].dim[i] = results[k].dim[i] < 0 ? 1 : results[k].dim[i];
        if (results[k].rank < 0 || !rml_shape_count(&results[k], &elements))
            return false;
        out[k] = rml_tensor_typed(NULL, at->dtype, &results[k]);
    }
    return true;
}

static bool grow(const grows *at, const rml_kernels *kernels, int threads, rml_precision precision)
{
    size_t packed = 0, scratch = 0, before[2] = {0, 0};
    bool refused = false;
    const rml_algorithm *last = NULL;
    for (int bit = 0; bit < 62; bit++) {
        rml_op_attr attr;
        rml_tensor in[MOST_IN], out[RML_MAX_OUTPUTS];
        rml_op_args args = {.attr = &attr,
                            .in = in,
                            .out = out,
                            .kernels = kernels,
                            .generic = at->generic,
                            .threads = threads,
                            .precision = precision};
        if (!prepare(at, (int64_t)1 << bit, &attr, in, &args.in_count, out))
            continue;
        const rml_algorithm *way = rml_op_choose(rml_op_get(at->op), &args);
        const rml_status status = rml_op_memory(way, &args, "node", &packed, &scratch, NULL);
        CHECK_MSG(status == RML_OK || status == RML_ERR_LIMIT, "status %d", (int)status);
        if (status == RML_OK) {
            const bool less = packed < before[0] / TOP || scratch < before[1] / TOP;
            CHECK_MSG(!refused && (way != last || !less),
                      "%s, %s by %s at 2^%d: %zu packed and %zu scratch bytes, before %zu and %zu",
                      rml_op_get(at->op)->name, at->what, way->name, bit, packed, scratch,
                      before[0], before[1]);
            before[0] = packed, before[1] = scratch;
        }
        refused = refused || status != RML_OK;
        last = way;
    }
    CHECK_MSG(last, "%s, %s: no size is taken", rml_op_get(at->op)->name, at->what);
    return refused;
}

int main(void)
{
    static const rml_precision precisions[] = {RML_PRECISION_F32, RML_PRECISION_BF16};
    static const int threads[] = {1, RML_MAX_THREADS};
    const uint32_t features[] = {0, rml_cpu_probe()};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        bool refused = false;
        for (int way = 0; way < 8; way++) {
            rml_kernels kernels;
            rml_kernels_init(&kernels, features[way & 1]);
            refused |= grow(&cases[i], &kernels, threads[way >> 1 & 1], precisions[way >> 2]);
        }
        CHECK_MSG(refused || !cases[i].refused, "%s, %s: any size is taken",
                  rml_op_get(cases[i].op)->name, cases[i].what);
    }
    CHECK(rml_sat_add(SIZE_MAX - 1, 1) == SIZE_MAX && rml_sat_add(SIZE_MAX, SIZE_MAX) == SIZE_MAX);
    CHECK(rml_sat_mul(SIZE_MAX / 2 + 1, 2) == SIZE_MAX && rml_sat_mul(SIZE_MAX, 0) == 0);
    CHECK(rml_round_up(SIZE_MAX - 3, 64) == SIZE_MAX && rml_round_up(65, 64) == 128);
    CHECK(!rml_alloc(rml_allocator_default(), SIZE_MAX));
    return check_result();
}
