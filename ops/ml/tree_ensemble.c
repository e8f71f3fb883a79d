// Decision trees: each leads every row of features to a leaf, which adds its number to one target.
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
        return x <= node->number;
    case RML_TREE_LT:
        return x < node->number;
    case RML_TREE_GTE:
        return x >= node->number;
    case RML_TREE_GT:
        return x > node->number;
    case RML_TREE_EQ:
        return x == node->number;
    case RML_TREE_NEQ:
        return x != node->number;
    default:
        for (size_t i = 0; i < node->member_count; i++)
            if (trees->member[node->members + i] == x)
                return true;
        return false;
    }
}

static size_t leaf_of(const rml_op_args *args, size_t root, int64_t row)
{
    const rml_tree_ensemble_attr *trees = &args->attr->tree_ensemble;
    const int64_t features = args->in[0].dim[1];
    for (size_t at = root;;) {
        const rml_tree_node *node = &trees->node[at];
        // a feature that there is not is not a number
        const double x =
            node->feature < features
                ? rml_number_f64(&args->in[0], (size_t)(row * features + node->feature))
                : NAN;
        const bool truth = holds(trees, node, x);
        if (node->is_leaf[truth])
            return node->next[truth];
        at = node->next[truth];
    }
}

static void tree_rows(void *context, size_t begin, size_t end, int worker)
{
    const rml_op_args *args = context;
    const rml_tree_ensemble_attr *trees = &args->attr->tree_ensemble;
    const size_t targets = (size_t)trees->targets;
    double *sum = rml_op_worker(args, worker), *seen = sum + targets;
    for (size_t row = begin; row < end; row++) {
        for (size_t k = 0; k < targets; k++)
            sum[k] = seen[k] = 0;
        for (size_t t = 0; t < trees->root_count; t++) {
            const size_t leaf = leaf_of(args, trees->root[t], (int64_t)row);
            const double add = trees->leaf[leaf];
            const size_t k = (size_t)trees->target[leaf];
            if (trees->join == RML_TREE_MIN)
                sum[k] = seen[k] == 0 || add < sum[k] ? add : sum[k];
            else if (trees->join == RML_TREE_MAX)
                sum[k] = seen[k] == 0 || add > sum[k] ? add : sum[k];
            else
                sum[k] += add;
            seen[k] = 1;
        }
        for (size_t k = 0; k < targets && trees->join == RML_TREE_AVERAGE; k++)
            sum[k] /= (double)trees->root_count;
        const rml_tensor *out = &args->out[0];
        rml_dtype_convert(RML_F64, sum, out->dtype,
                          (char *)out->raw + row * targets * rml_dtype_size(out->dtype), targets);
    }
}

static size_t worker_bytes(const rml_op_args *args)
{
    return rml_aligned_bytes((size_t)args->attr->tree_ensemble.targets, 2 * sizeof(double));
}

static void run_trees(const rml_op_args *args)
{
    rml_op_args copy = *args;
    rml_pool_run(args->pool, (size_t)args->in[0].dim[0], 16, tree_rows, &copy);
}

const rml_op rml_op_tree_ensemble = {.name = "tree_ensemble",
                                     .inputs = {1, 1},
                                     .signature = "h>0",
                                     .infer = infer_trees,
                                     .algorithms =
                                         RML_ONE_WAY_EACH("walk", worker_bytes, run_trees)};
