// Shapes, and the movement of elements.
#include "loaders/coreml/mil_handler.h"

#include "tensor/tensor.h"

#include <string.h>

// ---- reshape ------------------------------------------------------------------------------------

// `count` sizes whose zeros align with the last dimensions of x; what has no partner is 1.
static rml_value_id aligned(rml_mil_call *call, rml_value_id x, rml_value_id sizes, int count,
                            int rank)
{
    rml_coreml_maker *make = &call->make;
    int64_t ones[RML_MAX_RANK];
    rml_value_id own = rml_coreml_sizes(make, x);
    for (int i = 0; i < RML_MAX_RANK; i++)
        ones[i] = 1;
    const rml_value_id parts[] = {rml_coreml_ints(make, ones, count > rank ? count - rank : 0),
                                  own};
    if (make->refused)
        return RML_NO_VALUE;
    own = count > rank ? rml_graph_concat(make->graph, parts, 2, 0, make->name)
                       : rml_graph_slice(make->graph, own, 0, rank - count, rank, 1, make->name);
    const rml_value_id in[] = {
        rml_coreml_binary(make, RML_BINARY_EQUAL, sizes, rml_coreml_number(make, 0, RML_I64)), own,
        sizes};
    return rml_coreml_node(make, RML_OP_WHERE, NULL, in, 3);
}

// Since opset 7 zeros align with the last dimensions, and before it is as many as there are.
static void import_reshape(rml_mil_call *call)
{
    rml_value_id in[] = {rml_mil_in(call, "x"), rml_mil_in(call, "shape")};
    const rml_shape shape = rml_coreml_fact(&call->make, in[1]).shape;
    const int rank = rml_coreml_fact(&call->make, in[0]).shape.rank;
    const int64_t count = shape.rank == 1 && shape.dim[0] <= RML_MAX_RANK ? shape.dim[0] : -1;
    bool may_be_zero = false;
    for (int64_t i = 0; i < count; i++) {
        int64_t size = 0;
        rml_coreml_known(&call->make, in[1], (size_t)i, &size);
        may_be_zero = may_be_zero || size == 0;
    }
    if (rml_coreml_fact(&call->make, in[1]).dtype != RML_I32 || may_be_zero)
        in[1] = rml_coreml_cast(&call->make, in[1], RML_I64); // of 8 or 16 bits
    if (may_be_zero && call->opset >= 7 && rank >= 0 && count != rank)
        in[1] = aligned(call, in[0], in[1], (int)count, rank);
    call->out[0] = rml_coreml_node(&call->make, RML_OP_RESHAPE, NULL, in, 2);
}

// Parts of the shapes of several values, joined.
static void import_reshape_like(rml_mil_call *call)
{
    rml_value_id refs[RML_MAX_RANK], parts[RML_MAX_RANK];
    int64_t begin[RML_MAX_RANK] = {0}, end[RML_MAX_RANK] = {0}, open[RML_MAX_RANK] = {0};
    const rml_value_id x = rml_mil_in(call, "x");
    const int count = rml_mil_tuple(call, "ref_tensors", refs, RML_MAX_RANK);
    if (rml_mil_tuple_of_ints(call, "begins", begin, RML_MAX_RANK) != count ||
        rml_mil_tuple_of_ints(call, "ends", end, RML_MAX_RANK) != count ||
        rml_mil_tuple_of_ints(call, "end_masks", open, RML_MAX_RANK) != count)
        rml_coreml_refuse(&call->make, "a begin, an end and a mask of each of %d tensors", count);
    for (int i = 0; i < count && !call->make.refused; i++) {
        const rml_value_id sizes = rml_coreml_node(&call->make, RML_OP_SHAPE, NULL, &refs[i], 1);
        parts[i] = rml_graph_slice(call->make.graph, sizes, 0, begin[i],
                                   open[i] ? INT64_MAX : end[i], 1, call->make.name);
    }
    if (call->make.refused)
        return;
    const rml_value_id in[] = {
        x, rml_graph_concat(call->make.graph, parts, count, 0, call->make.name)};
    const rml_op_attr attr = {.reshape = {.keep_zero = true}};
    call->out[0] = rml_coreml_node(&call->make, RML_OP_RESHAPE, &attr, in, 2);
}

static void import_expand_dims(rml_mil_call *call)
{
    const rml_value_id in[] = {rml_mil_in(call, "x"), rml_mil_in(call, "axes")};
    call->out[0] = rml_coreml_node(&call->make, RML_OP_UNSQUEEZE, NULL, in, 2);
}

// Without axes all dimensions of size 1 go.
static void import_squeeze(rml_mil_call *call)
{
    const rml_value_id in[] = {rml_mil_in(call, "x"), rml_mil_optional(call, "axes")};
    call->out[0] =
        rml_coreml_node(&call->make, RML_OP_SQUEEZE, NULL, in, in[1] == RML_NO_VALUE ? 1 : 2);
}

static void import_flatten(rml_mil_call *call)
{
    const rml_value_id x = rml_mil_in(call, "x");
    const rml_op_attr attr = {.axis = {.axis = rml_mil_int(call, "axis", 1)}};
    call->out[0] = rml_coreml_node(&call->make, RML_OP_FLATTEN, &attr, &x, 1);
}

static void import_transpose(rml_mil_call *call)
{
    const rml_value_id x = rml_mil_in(call, "x");
    const int rank = rml_coreml_rank(&call->make, x);
    int order[RML_MAX_RANK];
    const int count = rml_mil_axes(call, "perm", order, RML_MAX_RANK);
    if (count != rank)
        rml_coreml_refuse(&call->make, "its perm has %d axes, and x has %d", count, rank);
    if (!call->make.refused)
        call->out[0] = rml_graph_transpose(call->make.graph, x, order, rank, call->make.name);
}

// ---- concat, stack, split -----------------------------------------------------------------------

static void import_concat(rml_mil_call *call)
{
    rml_value_id in[RML_MIL_MAX_TUPLE];
    const int count = rml_mil_tuple(call, "values", in, RML_MIL_MAX_TUPLE);
    const bool interleave = rml_mil_flag(call, "interleave", false);
    const int64_t given = rml_mil_int(call, "axis", 0), first = 0;
    const int rank = count ? rml_coreml_rank(&call->make, in[0]) : 0;
    for (int i = 0; rank == 0 && i < count; i++) // numbers become a vector
        in[i] = rml_coreml_insert_dims(&call->make, in[i], &first, 1);
    const int axis = rml_coreml_axis_of(&call->make, given, rank ? rank : 1);
    call->out[0] = rml_coreml_concat(&call->make, in, count, axis, interleave);
}

static void import_stack(rml_mil_call *call)
{
    rml_value_id in[RML_MIL_MAX_TUPLE];
    const int count = rml_mil_tuple(call, "values", in, RML_MIL_MAX_TUPLE);
    const int rank = count ? rml_coreml_rank(&call->make, in[0]) : 0;
    const int axis = rml_coreml_axis_of(&call->make, rml_mil_int(call, "axis", 0), rank + 1);
    call->out[0] = rml_coreml_stack(&call->make, in, count, axis);
}

static void import_split(rml_mil_call *call)
{
    const rml_value_id x = rml_mil_in(call, "x");
    int64_t list[RML_MAX_OUTPUTS];
    const int given = rml_mil_ints(call, "split_sizes", list, RML_MAX_OUTPUTS);
    const int64_t parts = rml_mil_int(call, "num_splits", given);
    const int axis = rml_coreml_axis_of(&call->make, rml_mil_int(call, "axis", 0),
                                        rml_coreml_rank(&call->make, x));
    const int64_t size = rml_coreml_fact(&call->make, x).shape.dim[axis];
    const int outputs = (int)call->operation->output_count;
    if ((given >= 0 ? given : parts) != outputs)
        rml_coreml_refuse(&call->make, "it has %d parts and %d outputs",
                          (int)(given >= 0 ? given : parts), outputs);
    if (given < 0 && size >= 0 && parts > 0 && size % parts != 0)
        rml_coreml_refuse(&call->make, "%lld cannot be split into %lld parts of one size",
                          (long long)size, (long long)parts);
    if (call->make.refused)
        return;
    int64_t *sizes = given < 0 ? NULL : rml_coreml_alloc(&call->make, (size_t)given, sizeof *sizes);
    for (int i = 0; i < given && sizes; i++)
        sizes[i] = list[i];
    const rml_op_attr attr = {.split = {.axis = axis, .count = outputs, .sizes = sizes}};
    const rml_value_id first = rml_coreml_node(&call->make, RML_OP_SPLIT, &attr, &x, 1);
    for (int k = 0; k < outputs && first != RML_NO_VALUE; k++)
        call->out[k] = first + (rml_value_id)k;
}

// ---- sizes and fillings -------------------------------------------------------------------------

static void import_shape(rml_mil_call *call)
{
    const rml_value_id x = rml_mil_in(call, "x");
    call->out[0] = rml_coreml_cast(&call->make, rml_coreml_sizes(&call->make, x), RML_I32);
}

// A number of the type that the file gives it, everywhere.
static rml_value_id filled(rml_mil_call *call, rml_value_id sizes)
{
    rml_value_id value = rml_mil_optional(call, "value");
    if (value == RML_NO_VALUE)
        value = rml_coreml_number(&call->make, 0, RML_F32);
    const rml_value_id in[] = {value, RML_NO_VALUE, sizes};
    return rml_coreml_node(&call->make, RML_OP_EXPAND, NULL, in, 3);
}

static void import_fill(rml_mil_call *call)
{
    call->out[0] = filled(call, rml_mil_in(call, "shape"));
}

static void import_fill_like(rml_mil_call *call)
{
    const rml_value_id like = rml_mil_in(call, "ref_tensor");
    call->out[0] = filled(call, rml_coreml_node(&call->make, RML_OP_SHAPE, NULL, &like, 1));
}

static void import_range(rml_mil_call *call)
{
    const rml_value_id in[] = {rml_mil_in(call, "start"), rml_mil_in(call, "end"),
                               rml_mil_in(call, "step")};
    call->out[0] = rml_coreml_node(&call->make, RML_OP_RANGE, NULL, in, 3);
}

static void import_tile(rml_mil_call *call)
{
    const rml_value_id in[] = {rml_mil_in(call, "x"), rml_mil_in(call, "reps")};
    call->out[0] = rml_coreml_node(&call->make, RML_OP_TILE, NULL, in, 2);
}

// Pairs for the last dimensions; our operator has all that come before, then all behind. Those that
// a run tells are of all dimensions.
static rml_value_id pads(rml_mil_call *call, int rank)
{
    static const int turned[] = {1, 0};
    rml_coreml_maker *make = &call->make;
    const rml_value_id given = rml_mil_in(call, "pad");
    const rml_shape shape = rml_coreml_fact(make, given).shape;
    const int64_t count = shape.rank == 1 ? shape.dim[0] : -1;
    int64_t list[2 * RML_MAX_RANK] = {0};
    bool known = true;
    if (count < 0 || count % 2 || count / 2 > rank)
        rml_coreml_refuse(make, "%lld numbers to pad %d dimensions", (long long)count, rank);
    for (int i = 0; i < (int)count && !make->refused; i++)
        known = known && rml_coreml_known(make, given, (size_t)i,
                                          &list[rank * (1 + i % 2) - (int)count / 2 + i / 2]);
    if (known || make->refused)
        return rml_coreml_ints(make, list, 2 * rank);
    if (count != 2 * (int64_t)rank)
        rml_coreml_refuse(make, "a run tells %lld numbers to pad %d dimensions", (long long)count,
                          rank);
    const rml_value_id wide = rml_coreml_cast(make, given, RML_I64);
    const rml_value_id pairs = rml_coreml_reshape(make, wide, &(rml_shape){2, {rank, 2}});
    return make->refused
               ? RML_NO_VALUE
               : rml_coreml_reshape(make,
                                    rml_graph_transpose(make->graph, pairs, turned, 2, make->name),
                                    &(rml_shape){1, {2 * rank}});
}

static void import_pad(rml_mil_call *call)
{
    static const rml_pad_mode modes[] = {RML_PAD_CONSTANT, RML_PAD_REFLECT, RML_PAD_EDGE};
    const rml_value_id x = rml_mil_in(call, "x");
    const int rank = rml_coreml_rank(&call->make, x);
    const rml_op_attr attr = {
        .pad = {modes[rml_mil_word(call, "mode", "constant reflect replicate", 0)]}};
    const rml_value_id value = rml_mil_optional(call, "constant_val");
    const rml_value_id in[] = {x, pads(call, rank),
                               attr.pad.mode == RML_PAD_CONSTANT ? value : RML_NO_VALUE};
    call->out[0] = rml_coreml_node(&call->make, RML_OP_PAD, &attr, in, 3);
}

// ---- squares of pixels and channels -------------------------------------------------------------

enum { TO_DEPTH = 1, PIXELS_FIRST = 2 };

static void import_shuffle(rml_mil_call *call)
{
    static const char *const names[] = {"upscale_factor", "downscale_factor", "block_size",
                                        "block_size"};
    const rml_value_id in[] = {rml_mil_in(call, "x"), RML_NO_VALUE};
    const char *name = names[call->option];
    rml_mil_required(call, name);
    const rml_op_attr attr = {.shuffle = {.block = rml_mil_int(call, name, 1),
                                          .pixels_first = call->option & PIXELS_FIRST,
                                          .exact = true}};
    call->out[0] = call->option & TO_DEPTH
                       ? rml_coreml_node(&call->make, RML_OP_SPACE_TO_DEPTH, &attr, in, 1)
                       : rml_coreml_node(&call->make, RML_OP_DEPTH_TO_SPACE, &attr, in, 2);
}

const rml_mil_entry rml_mil_shapes[] = {
    {"reshape", import_reshape, 0},
    {"reshape_like", import_reshape_like, 0},
    {"expand_dims", import_expand_dims, 0},
    {"squeeze", import_squeeze, 0},
    {"flatten2d", import_flatten, 0},
    {"transpose", import_transpose, 0},
    {"concat", import_concat, 0},
    {"stack", import_stack, 0},
    {"split", import_split, 0},
    {"shape", import_shape, 0},
    {"fill", import_fill, 0},
    {"fill_like", import_fill_like, 0},
    {"range_1d", import_range, 0},
    {"tile", import_tile, 0},
    {"pad", import_pad, 0},
    {"pixel_shuffle", import_shuffle, 0},
    {"pixel_unshuffle", import_shuffle, TO_DEPTH},
    {"depth_to_space", import_shuffle, PIXELS_FIRST},
    {"space_to_depth", import_shuffle, TO_DEPTH | PIXELS_FIRST},
    {0},
};
