// Negative log likelihood: -x[n][target[n][p]][p] * weight[target[n][p]] of every place, or their
// sum, or their mean weighted by the same weights. Source: torch.nn.NLLLoss.
//   x [N,C,...]   target [N,...], i32 or i64   weight [C], optional
// A target that is no class is refused, but for the one that counts for nothing.
#include "ops/elementwise/widen.h"
#include "ops/index/list.h"

static rml_status check_targets(const rml_op_node *node, rml_error *err)
{
    const rml_nll_attr *attr = &node->attr->nll;
    const rml_fact *target = &node->in[1];
    const int64_t classes = node->shape[0].dim[1];
    size_t count;
    if (!target->data || classes < 0 || !rml_shape_count(&target->shape, &count))
        return RML_OK;
    for (size_t i = 0; i < count; i++) {
        const int64_t class = rml_index_at(target->data, target->dtype, i);
        if ((class < 0 || class >= classes) && !(attr->ignores && class == attr->ignored))
            return rml_fail(err, RML_ERR_SHAPE, "target %lld is not one of %lld classes",
                            (long long)class, (long long)classes);
    }
    return RML_OK;
}

static rml_status infer_nll(const rml_op_node *node, rml_shape *out, rml_error *err)
{
    char a[RML_SHAPE_TEXT_BYTES], b[RML_SHAPE_TEXT_BYTES];
    bool fits = node->shape[0].rank >= 2 && node->shape[1].rank == node->shape[0].rank - 1;
    for (int i = 0; fits && i < node->shape[1].rank; i++) {
        const int64_t x = node->shape[0].dim[i ? i + 1 : 0], target = node->shape[1].dim[i];
        fits = rml_dims_agree(x, target);
    }
    if (!fits)
        return rml_fail(err, RML_ERR_SHAPE, "targets %s do not fit input %s",
                        rml_shape_text(&node->shape[1], b), rml_shape_text(&node->shape[0], a));
    if (rml_op_given(node, 2) &&
        (node->shape[2].rank != 1 || !rml_dims_agree(node->shape[2].dim[0], node->shape[0].dim[1])))
        return rml_fail(err, RML_ERR_SHAPE, "weights are %s, the input %s",
                        rml_shape_text(&node->shape[2], b), rml_shape_text(&node->shape[0], a));
    *out = node->attr->nll.reduction == RML_NLL_NONE ? node->shape[1] : (rml_shape){.rank = 0};
    return check_targets(node, err);
}

// The loss of place `index`, not yet weighted; *weight is 0 where it counts for nothing.
static double loss_at(const rml_op_args *args, size_t places, size_t index, double *weight)
{
    const rml_tensor *target = &args->in[1];
    const rml_nll_attr *attr = &args->attr->nll;
    const int64_t classes = args->in[0].dim[1];
    const int64_t class = rml_index_at(target->raw, target->dtype, index);
    *weight = 0;
    if (class < 0 || class >= classes || (attr->ignores && class == attr->ignored))
        return 0;
    *weight = rml_op_input(args, 2) ? rml_number_f64(&args->in[2], (size_t) class) : 1;
    const size_t item = index / places, place = index % places;
    return -rml_number_f64(&args->in[0],
                           (item * (size_t)classes + (size_t) class) * places + place);
}

static void run_nll(const rml_op_args *args)
{
    const size_t count = rml_tensor_count(&args->in[1]);
    const rml_tensor *out = &args->out[0];
    const size_t places = rml_tensor_span(&args->in[1], 1, args->in[1].rank);
    double sum = 0, weights = 0;
    for (size_t i = 0; i < count; i++) {
        double weight;
        const double loss = loss_at(args, places, i, &weight);
        const double weighted = weight == 0 ? 0 : loss * weight;
        sum += weighted;
        weights += weight;
        if (args->attr->nll.reduction == RML_NLL_NONE)
            rml_write_f64(out, i, &weighted, 1);
    }
    if (args->attr->nll.reduction == RML_NLL_MEAN)
        sum /= weights;
    if (args->attr->nll.reduction != RML_NLL_NONE)
        rml_write_f64(out, 0, &sum, 1);
}

const rml_op rml_op_nll_loss = {.id = RML_OP_NLL_LOSS,
                                .name = "nll_loss",
                                .inputs = {2, 3},
                                .checks_elements = true,
                                .signature = "ri0>0",
                                .infer = infer_nll,
                                .algorithms = RML_ONE_WAY("gather", run_nll)};
