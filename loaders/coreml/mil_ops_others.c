// Classifiers, numbers of few bits, blocks of space.
#include "loaders/coreml/mil_importer.h"
#include "loaders/coreml/model.h"

#include "tensor/tensor.h"

#include <string.h>

// ---- classify -----------------------------------------------------------------------------------

static const rml_mil_value *labels_of(rml_mil_call *call)
{
    const rml_mil_value *labels = rml_mil_required(call, "classes");
    if (labels && labels->item_count == 0)
        rml_coreml_refuse(&call->make, "it has no labels");
    return call->make.refused ? NULL : labels;
}

// The label, which is a number: the one in the file, or the place of the text among the labels. And
// the probabilities, in a row.
static void import_classify(rml_mil_call *call)
{
    const rml_value_id scores = rml_mil_in(call, "probabilities");
    const rml_mil_value *labels = labels_of(call);
    if (!labels)
        return;
    const rml_value_id row =
        rml_graph_reshape(call->make.graph, scores, &(rml_shape){1, {-1}}, call->make.name);
    const rml_op_attr attr = {.arg = {.axis = 0}};
    rml_text *texts = rml_coreml_alloc(&call->make, labels->item_count, sizeof *texts);
    int64_t *numbers = rml_coreml_alloc(&call->make, labels->item_count, sizeof *numbers);
    const bool are_texts = labels->item[0].text != NULL;
    for (size_t i = 0; i < labels->item_count && texts && numbers; i++) {
        const rml_mil_value *item = &labels->item[i];
        if (are_texts && item->text && item->count > 0)
            texts[i] = item->text[0];
        else if (!are_texts)
            numbers[i] = rml_mil_integer(item, 0);
    }
    if (!texts || !numbers)
        return;
    rml_coreml_set_labels(call->importer->values, are_texts ? texts : NULL, numbers,
                          labels->item_count);
    const int64_t known = rml_coreml_fact(&call->make, row).shape.dim[0];
    if (known >= 0 && (size_t)known != labels->item_count)
        rml_coreml_refuse(&call->make, "%lld probabilities and %zu labels", (long long)known,
                          labels->item_count);
    rml_value_id best = rml_coreml_node(&call->make, RML_OP_ARG, &attr, &row, 1);
    if (!are_texts) {
        const rml_stored all =
            rml_stored_plain(numbers, RML_I64, &(rml_shape){1, {(int64_t)labels->item_count}});
        const rml_value_id in[] = {
            rml_graph_typed_constant(call->make.graph, call->make.name, &all), best};
        best = rml_coreml_node(&call->make, RML_OP_GATHER, NULL, in, 2);
    }
    call->out[0] = best;
    call->out[1] = row;
}

// ---- numbers of few bits ------------------------------------------------------------------------

static void import_quantize(rml_mil_call *call)
{
    static const rml_dtype types[] = {RML_I8, RML_U8};
    const rml_value_id in[] = {rml_mil_in(call, "input"), rml_mil_in(call, "scale"),
                               rml_mil_optional(call, "zero_point")};
    const int to = rml_mil_word(call, "output_dtype", "int8 uint8", 0);
    const rml_op_attr attr = {.quantize = {.axis = (int)rml_mil_int(call, "axis", 0),
                                           .precision = RML_F32,
                                           .to = types[to]}};
    call->out[0] = rml_coreml_node(&call->make, RML_OP_QUANTIZE, &attr, in, 3);
}

static void import_dequantize(rml_mil_call *call)
{
    const rml_value_id in[] = {rml_mil_in(call, "input"), rml_mil_in(call, "scale"),
                               rml_mil_optional(call, "zero_point")};
    const rml_op_attr attr = {.quantize = {.axis = (int)rml_mil_int(call, "axis", 0),
                                           .precision = RML_F32,
                                           .to = RML_F32}};
    call->out[0] = rml_coreml_node(&call->make, RML_OP_DEQUANTIZE, &attr, in, 3);
}

// ---- blocks of space and the batch --------------------------------------------------------------

// x as an image of known size, and two pairs of numbers.
static bool read_blocks(rml_mil_call *call, rml_value_id x, const char *pairs_name,
                        int64_t block[2], int64_t pairs[4], rml_shape *shape)
{
    *shape = rml_coreml_fact(&call->make, x).shape;
    if (rml_mil_ints(call, "block_shape", block, 2) != 2 || block[0] < 1 || block[1] < 1 ||
        block[0] * block[1] > INT32_MAX || rml_mil_ints(call, pairs_name, pairs, 4) != 4)
        rml_coreml_refuse(&call->make, "it has no two block sizes, or no two pairs of %s",
                          pairs_name);
    if (shape->rank != 4 || !rml_shape_known(shape))
        rml_coreml_refuse(&call->make,
                          "an image of 4 dimensions whose sizes are known is asked for");
    return !call->make.refused;
}

static rml_value_id arranged(rml_mil_call *call, rml_value_id x, const rml_shape *apart,
                             const int *order, const rml_shape *together)
{
    x = rml_graph_reshape(call->make.graph, x, apart, call->make.name);
    x = rml_graph_transpose(call->make.graph, x, order, apart->rank, call->make.name);
    return rml_graph_reshape(call->make.graph, x, together, call->make.name);
}

// (N,C,H,W): each pixel of a block goes to an image of its own.
static void import_space_to_batch(rml_mil_call *call)
{
    static const int order[] = {3, 5, 0, 1, 2, 4};
    rml_value_id x = rml_mil_in(call, "x");
    int64_t b[2], pad[4];
    rml_shape s;
    if (!read_blocks(call, x, "paddings", b, pad, &s))
        return;
    const int64_t list[] = {0, 0, pad[0], pad[2], 0, 0, pad[1], pad[3]};
    const rml_value_id in[] = {x, rml_coreml_ints(&call->make, list, 8)};
    x = rml_coreml_node(&call->make, RML_OP_PAD, &(rml_op_attr){.pad = {RML_PAD_CONSTANT}}, in, 2);
    const int64_t height = s.dim[2] + pad[0] + pad[1], width = s.dim[3] + pad[2] + pad[3];
    if (height % b[0] != 0 || width % b[1] != 0)
        rml_coreml_refuse(&call->make, "%lldx%lld is not made of blocks of %lldx%lld",
                          (long long)width, (long long)height, (long long)b[1], (long long)b[0]);
    if (call->make.refused)
        return;
    const rml_shape apart = {6, {s.dim[0], s.dim[1], height / b[0], b[0], width / b[1], b[1]}};
    const rml_shape together = {4, {s.dim[0] * b[0] * b[1], s.dim[1], height / b[0], width / b[1]}};
    call->out[0] = arranged(call, x, &apart, order, &together);
}

static void import_batch_to_space(rml_mil_call *call)
{
    static const int order[] = {2, 3, 4, 0, 5, 1};
    rml_value_id x = rml_mil_in(call, "x");
    int64_t b[2], crop[4];
    rml_shape s;
    if (!read_blocks(call, x, "crops", b, crop, &s))
        return;
    if (s.dim[0] % (b[0] * b[1]) != 0)
        rml_coreml_refuse(&call->make, "%lld images are not made of blocks of %lldx%lld",
                          (long long)s.dim[0], (long long)b[1], (long long)b[0]);
    if (call->make.refused)
        return;
    const int64_t n = s.dim[0] / (b[0] * b[1]);
    const rml_shape apart = {6, {b[0], b[1], n, s.dim[1], s.dim[2], s.dim[3]}};
    const rml_shape together = {4, {n, s.dim[1], s.dim[2] * b[0], s.dim[3] * b[1]}};
    x = arranged(call, x, &apart, order, &together);
    for (int i = 0; i < 2 && !call->make.refused; i++)
        x = rml_graph_slice(call->make.graph, x, 2 + i, crop[2 * i],
                            together.dim[2 + i] - crop[2 * i + 1], 1, call->make.name);
    call->out[0] = x;
}

static void import_random(rml_mil_call *call)
{
    rml_coreml_refuse(&call->make, "random numbers cannot be reproduced");
}

static void import_custom(rml_mil_call *call)
{
    rml_coreml_refuse(&call->make, "a custom layer, whose code is in the app and not in the file");
}

const rml_mil_entry rml_mil_others[] = {
    {"classify", import_classify, 0},
    {"quantize", import_quantize, 0},
    {"dequantize", import_dequantize, 0},
    {"space_to_batch", import_space_to_batch, 0},
    {"batch_to_space", import_batch_to_space, 0},
    {"random_normal", import_random, 0},
    {"random_uniform", import_random, 0},
    {"random_bernoulli", import_random, 0},
    {"random_categorical", import_random, 0},
    {"custom_layer", import_custom, 0},
    {0},
};
