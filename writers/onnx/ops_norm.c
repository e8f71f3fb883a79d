// Normalisations.
#include "writers/onnx/emit.h"

static bool is_given(const rml_node *node, int index)
{
    return index < node->in_count && node->in[index] != RML_NO_VALUE;
}

static const rml_to_onnx_field batch_norm[] = {RML_TO(FLOAT, "epsilon", batch_norm.eps), {0}};
static const rml_to_onnx_field lrn[] = {RML_TO(INT, "size", lrn.size),
                                        RML_TO(FLOAT, "alpha", lrn.alpha),
                                        RML_TO(FLOAT, "beta", lrn.beta),
                                        RML_TO(FLOAT, "bias", lrn.bias),
                                        {0}};

// ---- group norm ---------------------------------------------------------------------------------

enum { X, GAMMA, BETA, OFFSET };

// Every channel by itself is InstanceNormalization. GroupNormalization is as here since opset 21.
static const char *lacks_group_norm(const rml_to_onnx_ask *ask)
{
    const rml_node *node = ask->node;
    const rml_group_norm_attr *attr = &node->attr.group_norm;
    const rml_shape *x = &ask->graph->values[node->in[X]].shape;
    if (!rml_activation_is_none(&attr->act) || is_given(node, OFFSET))
        return "it is part of another one";
    const bool weighted = is_given(node, GAMMA) && is_given(node, BETA);
    if (attr->groups == 0 && weighted && (x->rank >= 3 || x->rank == RML_RANK_UNKNOWN))
        return NULL;
    if (x->rank < 3 || x->dim[1] < 0)
        return "how many channels there are is not known";
    if (attr->groups == 0)
        return NULL;
    if (ask->opset < 21 || !weighted ||
        ask->graph->values[node->in[GAMMA]].shape.dim[0] != x->dim[1])
        return "weights are not of channels before opset 21";
    return NULL;
}

// A number for each channel where none are given.
static const char *weights(rml_to_onnx *w, const rml_node *node, int index, double number)
{
    const int64_t channels = w->graph->values[node->in[X]].shape.dim[1];
    const rml_shape shape = {1, {channels}};
    if (is_given(node, index))
        return rml_to_onnx_name(w, node->in[index]);
    float *all = rml_arena_alloc(w->naming.arena, (size_t)channels + 1, sizeof *all);
    if (!all) {
        rml_to_onnx_fail(w, RML_ERR_NOMEM, "out of memory for the weights of a norm");
        return "";
    }
    for (int64_t i = 0; i < channels; i++)
        all[i] = (float)number;
    return rml_to_onnx_constant_of(w, node, index == GAMMA ? "gamma" : "beta", RML_F32, &shape,
                                   all);
}

static void write_group_norm(rml_to_onnx *w, const rml_node *node)
{
    const rml_group_norm_attr *attr = &node->attr.group_norm;
    const char *in[3] = {rml_to_onnx_name(w, node->in[X]), weights(w, node, GAMMA, 1),
                         weights(w, node, BETA, 0)};
    rml_to_onnx_begin(w, attr->groups ? "GroupNormalization" : "InstanceNormalization", in, 3);
    rml_to_onnx_float(w, "epsilon", (double)attr->eps);
    if (attr->groups)
        rml_to_onnx_int(w, "num_groups", attr->groups);
    rml_to_onnx_close(w, node);
}

// ---- layer norm ---------------------------------------------------------------------------------

static const char *lacks_layer_norm(const rml_to_onnx_ask *ask)
{
    const rml_layer_norm_attr *attr = &ask->node->attr.layer_norm;
    if (attr->rms)
        return "there is none without a mean";
    return is_given(ask->node, GAMMA) ? NULL : "it has a factor";
}

static void write_layer_norm(rml_to_onnx *w, const rml_node *node)
{
    rml_to_onnx_open(w, node, "LayerNormalization");
    rml_to_onnx_int(w, "axis", node->attr.layer_norm.axis);
    rml_to_onnx_float(w, "epsilon", (double)node->attr.layer_norm.eps);
    rml_to_onnx_close(w, node);
}

const rml_to_onnx_entry rml_to_onnx_norm[] = {
    {.op = RML_OP_BATCH_NORM, .op_type = "BatchNormalization", .fields = batch_norm},
    {.op = RML_OP_GROUP_NORM, .lacks = lacks_group_norm, .write = write_group_norm},
    {.op = RML_OP_LAYER_NORM, .since = 17, .lacks = lacks_layer_norm, .write = write_layer_norm},
    {.op = RML_OP_LRN, .op_type = "LRN", .fields = lrn},
    {0},
};
