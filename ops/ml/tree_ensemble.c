// Decision trees: each leads every row of features to a leaf, whose votes are added to targets.
//   x [N,F]   y [N,targets], of the same type. Sums are taken in double, in the order of the trees.
#include "ops/elementwise/widen.h"

#include "tensor/size.h"

#include <math.h>

static rml_status infer_trees(const rml_op_node *node, rml_shape *out, rml_error *err)
{
    char text[RML_SHAPE_TEXT_BYTES];
    if (node->shape[0].rank != 2)
        return rml_fail(err, RML_ERR_SHAPE, "input is %s, expected 2 dimensions",
                        rml_shape_text(&node->shape[0], text));
    *out = (rml_shape){2, {node->shape[0].dim[0], node->attr->tree_ensemble.targets}};
    return RML_OK;
}

static bool holds(const rml_tree_ensemble_attr *trees, const rml_tree_node *node, double x)
{
    if (isnan(x) && node->nan_holds)
        return true;
    switch (node->test) {
    case RML_TREE_LEQ:
        return x <= node->against.number;
    case RML_TREE_LT:
        return x < node->against.number;
    case RML_TREE_GTE:
        return x >= node->against.number;
    case RML_TREE_GT:
        return x > node->against.number;
    case RML_TREE_EQ:
        return x == node->against.number;
    case RML_TREE_NEQ:
        return x != node->against.number;
    default:
        for (uint32_t i = 0; i < node->against.set.count; i++)
            if (trees->member[node->against.set.first + i] == x)
                return true;
        return false;
    }
}

// `at`: a root.
static uint32_t leaf_of(const rml_tree_ensemble_attr *trees, uint32_t at, const double *row,
                        size_t features)
{
    while (!(at & RML_TREE_LEAF)) {
        const rml_tree_node *node = &trees->node[at];
        // a feature that there is not is not a number
        const double x = node->feature < features ? row[node->feature] : NAN;
        at = node->next[holds(trees, node, x)];
    }
    return at & ~RML_TREE_LEAF;
}

static void count_vote(const rml_tree_ensemble_attr *trees, const rml_tree_vote *vote, double *sum,
                       double *seen)
{
    const size_t k = vote->target;
    if (trees->join == RML_TREE_MIN)
        sum[k] = seen[k] == 0 || vote->weight < sum[k] ? vote->weight : sum[k];
    else if (trees->join == RML_TREE_MAX)
        sum[k] = seen[k] == 0 || vote->weight > sum[k] ? vote->weight : sum[k];
    else
        sum[k] += vote->weight;
    seen[k] = 1;
}

static void tree_rows(void *context, size_t begin, size_t end, int worker)
{
    const rml_op_args *args = context;
    const rml_tree_ensemble_attr *trees = &args->attr->tree_ensemble;
    const rml_tensor *x = &args->in[0], *out = &args->out[0];
    const size_t targets = (size_t)trees->targets, features = (size_t)x->dim[1];
    double *sum = rml_op_worker(args, worker), *seen = sum + targets, *wide = seen + targets;
    for (size_t row = begin; row < end; row++) {
        rml_dtype_convert(x->dtype,
                          (const char *)x->raw + row * features * rml_dtype_size(x->dtype), RML_F64,
                          wide, features);
        for (size_t k = 0; k < targets; k++)
            sum[k] = seen[k] = 0;
        for (size_t t = 0; t < trees->root_count; t++) {
            const uint32_t leaf = leaf_of(trees, trees->root[t], wide, features);
            for (uint32_t v = trees->leaf[leaf]; v < trees->leaf[leaf + 1]; v++)
                count_vote(trees, &trees->vote[v], sum, seen);
        }
        for (size_t k = 0; k < targets; k++)
            if (seen[k] == 0)
                sum[k] = trees->absent;
            else if (trees->join == RML_TREE_AVERAGE)
                sum[k] /= (double)trees->root_count;
        rml_dtype_convert(RML_F64, sum, out->dtype,
                          (char *)out->raw + row * targets * rml_dtype_size(out->dtype), targets);
    }
}

static size_t worker_bytes(const rml_op_args *args)
{
    const size_t doubles = rml_sat_add(rml_sat_mul(2, (size_t)args->attr->tree_ensemble.targets),
                                       (size_t)args->in[0].dim[1]);
    return rml_aligned_bytes(doubles, sizeof(double));
}

static void run_trees(const rml_op_args *args)
{
    rml_op_args copy = *args;
    rml_pool_run(args->pool, (size_t)args->in[0].dim[0], 16, tree_rows, &copy);
}

const rml_op rml_op_tree_ensemble = {.id = RML_OP_TREE_ENSEMBLE,
                                     .name = "tree_ensemble",
                                     .inputs = {1, 1},
                                     .signature = "h>0",
                                     .infer = infer_trees,
                                     .algorithms =
                                         RML_ONE_WAY_EACH("walk", worker_bytes, run_trees)};
