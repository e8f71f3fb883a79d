// Lists of tensors of one shape: a tensor with a dimension in front, along which they are counted.
// A list is a value like any other, so that what writes to it makes a new one. Places are counted
// from the front.
#include "loaders/coreml/mil_handler.h"

#include "tensor/tensor.h"

#include <string.h>

static void import_make_list(rml_mil_call *call)
{
    const rml_mil_argument *shape = NULL;
    for (size_t i = 0; i < call->operation->argument_count; i++)
        if (strcmp(call->operation->argument[i].name, "elem_shape") == 0)
            shape = &call->operation->argument[i];
    rml_value_id parts[RML_MAX_RANK + 1];
    const rml_value_id one = rml_coreml_ints(&call->make, &(int64_t){1}, 1);
    const rml_shape single = {1, {1}};
    int count = 0;
    rml_value_id length = rml_mil_optional(call, "init_length");
    rml_mil_flag(call, "dynamic_length", true); // they all grow
    const int type = rml_mil_word(call, "dtype", "fp32 fp16 int32 bool", 0);
    static const rml_dtype types[] = {RML_F32, RML_F32, RML_I32, RML_BOOL};
    if (length == RML_NO_VALUE)
        length = one;
    else if (!call->make.refused)
        length = rml_graph_reshape(call->make.graph, rml_coreml_cast(&call->make, length, RML_I64),
                                   &single, call->make.name);
    parts[count++] = length;
    if (shape && shape->count > 0) {
        rml_value_id sizes[RML_MAX_RANK];
        const int rank = rml_mil_tuple(call, "elem_shape", sizes, RML_MAX_RANK);
        for (int i = 0; i < rank && !call->make.refused; i++)
            parts[count++] =
                rml_graph_reshape(call->make.graph, rml_coreml_cast(&call->make, sizes[i], RML_I64),
                                  &single, call->make.name);
    }
    if (call->make.refused)
        return;
    const rml_value_id in[] = {
        rml_coreml_number(&call->make, 0, types[type]), RML_NO_VALUE,
        rml_graph_concat(call->make.graph, parts, count, 0, call->make.name)};
    call->out[0] = rml_coreml_node(&call->make, RML_OP_EXPAND, NULL, in, 3);
}

// How many a list has, as (1) of i64.
static rml_value_id length_of(rml_mil_call *call, rml_value_id list)
{
    const rml_value_id sizes = rml_coreml_node(&call->make, RML_OP_SHAPE, NULL, &list, 1);
    return call->make.refused
               ? RML_NO_VALUE
               : rml_graph_slice(call->make.graph, sizes, 0, 0, 1, 1, call->make.name);
}

// The list with zeros behind it, so that it has as many as `wanted` says, (1) of i64, at least.
static rml_value_id grown(rml_mil_call *call, rml_value_id list, rml_value_id wanted)
{
    int64_t zeros[2 * RML_MAX_RANK] = {0};
    const int rank = rml_coreml_rank(&call->make, list);
    const rml_value_id missing =
        rml_coreml_binary(&call->make, RML_BINARY_SUB, wanted, length_of(call, list));
    const rml_value_id more = rml_coreml_binary(&call->make, RML_BINARY_MAX, missing,
                                                rml_coreml_ints(&call->make, zeros, 1));
    rml_value_id parts[3];
    int count = 0;
    parts[count++] = rml_coreml_ints(&call->make, zeros, rank);
    parts[count++] = more;
    if (rank > 1)
        parts[count++] = rml_coreml_ints(&call->make, zeros, rank - 1);
    if (call->make.refused)
        return RML_NO_VALUE;
    const rml_value_id in[] = {
        list, rml_graph_concat(call->make.graph, parts, count, 0, call->make.name)};
    const rml_op_attr attr = {.pad = {RML_PAD_CONSTANT}};
    return rml_coreml_node(&call->make, RML_OP_PAD, &attr, in, 2);
}

// `values` in the places `indices`, both with one in front for each.
static rml_value_id written(rml_mil_call *call, rml_value_id list, rml_value_id indices,
                            rml_value_id values)
{
    const int first = 0;
    const rml_value_id last =
        rml_coreml_reduce(&call->make, RML_REDUCE_MAX, indices, &first, 1, true);
    const rml_value_id wanted = rml_coreml_binary(&call->make, RML_BINARY_ADD, last,
                                                  rml_coreml_ints(&call->make, &(int64_t){1}, 1));
    const rml_op_attr attr = {.scatter = {.kind = RML_SCATTER_SET, .from_front = true}};
    const rml_value_id in[] = {grown(call, list, wanted),
                               rml_coreml_insert_dims(&call->make, indices, &(int64_t){1}, 1),
                               values};
    return rml_coreml_node(&call->make, RML_OP_SCATTER_ND, &attr, in, 3);
}

static void import_write(rml_mil_call *call)
{
    const rml_value_id list = rml_mil_in(call, "ls");
    const rml_value_id index = rml_coreml_cast(&call->make, rml_mil_in(call, "index"), RML_I64);
    const rml_value_id value =
        rml_coreml_insert_dims(&call->make, rml_mil_in(call, "value"), &(int64_t){0}, 1);
    if (!call->make.refused)
        call->out[0] = written(
            call, list,
            rml_graph_reshape(call->make.graph, index, &(rml_shape){1, {1}}, call->make.name),
            value);
}

static void import_scatter(rml_mil_call *call)
{
    const rml_value_id list = rml_mil_in(call, "ls");
    const rml_value_id indices = rml_coreml_cast(&call->make, rml_mil_in(call, "indices"), RML_I64);
    call->out[0] = written(call, list, indices, rml_mil_in(call, "value"));
}

static rml_value_id read_at(rml_mil_call *call, const char *places)
{
    const rml_value_id in[] = {rml_mil_in(call, "ls"), rml_mil_in(call, places)};
    const rml_op_attr attr = {.axis = {.from_front = true}};
    return rml_coreml_node(&call->make, RML_OP_GATHER, &attr, in, 2);
}

static void import_read(rml_mil_call *call)
{
    call->out[0] = read_at(call, "index");
}

static void import_gather(rml_mil_call *call)
{
    call->out[0] = read_at(call, "indices");
}

static void import_length(rml_mil_call *call)
{
    const rml_value_id count = length_of(call, rml_mil_in(call, "ls"));
    if (!call->make.refused)
        call->out[0] = rml_coreml_cast(
            &call->make,
            rml_graph_reshape(call->make.graph, count, &(rml_shape){0}, call->make.name), RML_I32);
}

const rml_mil_entry rml_mil_lists[] = {
    {"make_list", import_make_list, 0},
    {"list_write", import_write, 0},
    {"list_scatter", import_scatter, 0},
    {"list_read", import_read, 0},
    {"list_gather", import_gather, 0},
    {"list_length", import_length, 0},
    {0},
};
