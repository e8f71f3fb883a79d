// Elementwise functions of one operand and of two.
#include "writers/c/emit.h"

#include "ops/elementwise/nd_iterator.h"

static const char *const unary_names[RML_UNARY_COUNT] = {
    [RML_UNARY_CLAMP] = "NET_CLAMP",     [RML_UNARY_LEAKY_RELU] = "NET_LEAKY_RELU",
    [RML_UNARY_SIGMOID] = "NET_SIGMOID", [RML_UNARY_TANH] = "NET_TANH",
    [RML_UNARY_EXP] = "NET_EXP",         [RML_UNARY_SILU] = "NET_SILU",
    [RML_UNARY_ABS] = "NET_ABS",         [RML_UNARY_NEG] = "NET_NEG",
    [RML_UNARY_SQRT] = "NET_SQRT",       [RML_UNARY_SQUARE] = "NET_SQUARE"};

static const char *const binary_names[RML_BINARY_COUNT] = {
    [RML_BINARY_ADD] = "NET_ADD", [RML_BINARY_SUB] = "NET_SUB", [RML_BINARY_MUL] = "NET_MUL",
    [RML_BINARY_DIV] = "NET_DIV", [RML_BINARY_MAX] = "NET_MAX", [RML_BINARY_MIN] = "NET_MIN"};

bool rml_c_activation_fits(rml_c_emit *c, const rml_activation *act)
{
    if (act->kind == RML_UNARY_CLAMP)
        return true;
    rml_c_use(c, RML_C_MATH);
    rml_c_use(c, RML_C_ELEMENTWISE);
    return unary_names[act->kind] != NULL;
}

// Elements in memory, as rows with gaps between them: of an image whose pixels have gaps, a pixel.
static void call_unary(rml_c_emit *c, const rml_activation *act, const rml_tensor *from,
                       const rml_tensor *to, const char *in, const char *out)
{
    char p[RML_C_FLOAT_BYTES], q[RML_C_FLOAT_BYTES];
    const size_t all = rml_tensor_count(to);
    const bool gaps = to->rank == 4 && to->stride[1] == 1 &&
                      (to->stride[3] != to->dim[1] || from->stride[3] != to->dim[1]);
    const size_t rows = gaps ? all / (size_t)to->dim[1] : 1;
    rml_c_say(c, "    net_unary(%s, %s, %s, %s, %s, %zu, %zu, %lld, %lld);\n",
              unary_names[act->kind], rml_c_float(p, act->param[0]), rml_c_float(q, act->param[1]),
              in, out, rows, all / rows, (long long)(gaps ? from->stride[3] : 0),
              (long long)(gaps ? to->stride[3] : 0));
}

void rml_c_activate(rml_c_emit *c, size_t step, const rml_activation *act)
{
    char out[RML_C_PLACE_BYTES];
    const rml_tensor *y = &rml_c_step(c, step)->args.out[0];
    if (act->kind != RML_UNARY_CLAMP)
        call_unary(c, act, y, y, rml_c_out(c, step, 0, out), out);
}

static const char *check_unary(rml_c_emit *c, const rml_step *step, size_t *scratch)
{
    (void)scratch;
    rml_c_use(c, RML_C_MATH);
    rml_c_use(c, RML_C_ELEMENTWISE);
    return unary_names[step->args.attr->unary.kind] ? NULL : "its function has no kernel";
}

static void run_unary(rml_c_emit *c, size_t step)
{
    char in[RML_C_PLACE_BYTES], out[RML_C_PLACE_BYTES];
    const rml_op_args *args = &rml_c_step(c, step)->args;
    call_unary(c, &args->attr->unary, &args->in[0], &args->out[0], rml_c_in(c, step, 0, in),
               rml_c_out(c, step, 0, out));
}

const rml_c_op rml_c_unary = {RML_OP_UNARY, check_unary, NULL, run_unary};

// The views in the order of the output's memory.
static rml_nd_iterator walk_of(const rml_op_args *args)
{
    const rml_tensor *const views[3] = {&args->out[0], &args->in[0], &args->in[1]};
    return rml_nd_iterator_make(views, 3);
}

#define BINARY_DIMS 6

static const char *check_binary(rml_c_emit *c, const rml_step *step, size_t *scratch)
{
    const rml_binary_attr *attr = &step->args.attr->binary;
    (void)scratch;
    rml_c_use(c, RML_C_MATH);
    rml_c_use(c, RML_C_ELEMENTWISE);
    if (!binary_names[attr->kind] || !rml_c_activation_fits(c, &attr->act))
        return "its function has no kernel";
    return walk_of(&step->args).rank > BINARY_DIMS
               ? "it is broadcast along more than six dimensions"
               : NULL;
}

static void data_binary(rml_c_emit *c, size_t step)
{
    const rml_nd_iterator walk = walk_of(&rml_c_step(c, step)->args);
    static const int order[3] = {1, 2, 0};
    rml_c_say(c, "static const net_binary_shape net_s%zu = {{", step);
    for (int i = 0; i < BINARY_DIMS; i++) {
        const int k = i - (BINARY_DIMS - walk.rank);
        rml_c_say(c, "%lld%s", k < 0 ? 1LL : (long long)walk.dim[k],
                  i < BINARY_DIMS - 1 ? ", " : "}");
    }
    for (int v = 0; v < 3; v++)
        for (int i = 0; i < BINARY_DIMS; i++) {
            const int k = i - (BINARY_DIMS - walk.rank);
            rml_c_say(c, "%s%lld%s", i ? "" : ", {",
                      k < 0 ? 0LL : (long long)walk.stride[order[v]][k],
                      i < BINARY_DIMS - 1 ? ", " : "}");
        }
    rml_c_say(c, "};\n");
}

static void run_binary(rml_c_emit *c, size_t step)
{
    char a[RML_C_PLACE_BYTES], b[RML_C_PLACE_BYTES], out[RML_C_PLACE_BYTES];
    const rml_binary_attr *attr = &rml_c_step(c, step)->args.attr->binary;
    rml_c_say(c, "    net_binary(%s, &net_s%zu, %s, %s, %s);\n", binary_names[attr->kind], step,
              rml_c_in(c, step, 0, a), rml_c_in(c, step, 1, b), rml_c_out(c, step, 0, out));
    const rml_tensor *y = &rml_c_step(c, step)->args.out[0];
    if (!rml_activation_is_none(&attr->act))
        call_unary(c, &attr->act, y, y, out, out);
}

const rml_c_op rml_c_binary = {RML_OP_BINARY, check_binary, data_binary, run_binary};
