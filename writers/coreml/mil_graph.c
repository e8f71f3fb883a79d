// Values and nodes of the graph, as the program has them.
#include "writers/coreml/mil.h"

#include "tensor/dtype.h"
#include "writers/coreml/mil_compress.h"
#include "writers/quantize.h"

#include <string.h>

// ---- looking ------------------------------------------------------------------------------------

const rml_shape *rml_emit_shape(const rml_graph *graph, rml_value_id value)
{
    return &graph->values[value].shape;
}

bool rml_emit_constant(const rml_graph *graph, const rml_node *node, int index)
{
    return rml_input_given(node, index) &&
           graph->values[node->in[index]].kind == RML_VALUE_CONSTANT;
}

// ---- values -------------------------------------------------------------------------------------

rml_dtype rml_emit_type_of(const rml_emitter *e, rml_dtype dtype)
{
    return rml_dtype_is_float(dtype) ? e->real : dtype == RML_BOOL ? RML_BOOL : RML_I32;
}

rml_dtype rml_emit_usual_real(const rml_emitter *e)
{
    return e->w->settings.weights == RML_WRITE_F16 ? RML_F16 : RML_F32;
}

void rml_emit_as_value(rml_emitter *e, rml_value_id id)
{
    e->real = e->wide && e->wide[id] ? RML_F32 : rml_emit_usual_real(e);
}

// All numbers of a constant as i32.
static rml_status take_whole(rml_emitter *e, const rml_value *value, rml_elements *out)
{
    rml_elements own;
    RML_TRY(rml_elements_take(&own, value, value->dtype, e->w->allocator, &e->error));
    int32_t *data = rml_emit_alloc(e, own.count, sizeof *data);
    int64_t *wide = rml_emit_alloc(e, own.count, sizeof *wide);
    if (data && wide)
        rml_dtype_convert(value->dtype, own.data, RML_I64, wide, own.count);
    *out = (rml_elements){.data = data, .count = own.count, .bytes = own.count * sizeof *data};
    for (size_t i = 0; i < own.count && data && wide; i++) {
        data[i] = (int32_t)wide[i];
        if (data[i] != wide[i])
            rml_emit_fail(e, RML_ERR_UNSUPPORTED, "constant %s holds %lld, integers have 32 bits",
                          value->name, (long long)wide[i]);
    }
    rml_elements_release(&own);
    return e->status;
}

static rml_status take_elements(rml_emitter *e, const rml_value *value, rml_dtype dtype,
                                rml_elements *out)
{
    if (dtype == RML_I32)
        return take_whole(e, value, out);
    RML_TRY(rml_elements_take(out, value, dtype == RML_F16 ? RML_F32 : dtype, e->w->allocator,
                              &e->error));
    if (dtype != RML_F16)
        return RML_OK;
    rml_elements halves = {
        .count = out->count, .bytes = out->count * 2, .allocator = out->allocator};
    uint16_t *data = rml_alloc(out->allocator, halves.bytes + 1);
    halves.data = halves.owned = data;
    if (data)
        rml_make_halves(out->data, data, out->count, &e->losses);
    rml_elements_release(out);
    if (!data)
        return rml_fail_nomem(&e->error, halves.bytes, "a constant to be written");
    *out = halves;
    return RML_OK;
}

rml_operand rml_emit_constant_value(rml_emitter *e, rml_value_id id, rml_dtype dtype,
                                    const char *name)
{
    const rml_value *value = &e->graph->values[id];
    const rml_operand out = {name, dtype, value->shape};
    rml_elements elements = {0};
    if (e->status != RML_OK)
        return out;
    if (!e->trial)
        e->status = take_elements(e, value, dtype, &elements);
    rml_emit_const(e, &out, elements);
    return out;
}

// What stays f32 becomes halves where it leaves for what does not.
static rml_operand as_real(rml_emitter *e, rml_value_id id, rml_operand own)
{
    if (!e->wide || !e->wide[id] || e->real == RML_F32 || own.dtype != RML_F32)
        return own;
    if (!e->narrow[id].name) {
        rml_operand half = rml_emit_part(e, &own, "to_fp16", &own.shape);
        half.dtype = RML_F16;
        e->narrow[id] = rml_emit_cast(e, own, half);
    }
    return e->narrow[id];
}

static rml_operand operand_of(rml_emitter *e, rml_value_id id)
{
    const rml_value *value = &e->graph->values[id];
    rml_operand *operand = &e->operand[id];
    if (!operand->name && e->view[id].name) {
        const rml_operand own = {e->names.value[id], e->view[id].dtype, value->shape};
        *operand = rml_shape_equal(&own.shape, &e->view[id].shape)
                       ? e->view[id]
                       : rml_emit_reshape(e, e->view[id], own);
    }
    if (value->kind == RML_VALUE_CONSTANT && !operand->name) {
        const rml_dtype dtype = e->wide && e->wide[id] && rml_dtype_is_float(value->dtype)
                                    ? RML_F32
                                    : rml_emit_type_of(e, value->dtype);
        *operand = rml_emit_constant_value(e, id, dtype, e->names.value[id]);
    }
    if (e->status != RML_OK && !operand->name) // of a node that was not written any more
        return (rml_operand){"", value->dtype, value->shape};
    return *operand;
}

rml_operand rml_emit_operand(rml_emitter *e, rml_value_id id)
{
    return as_real(e, id, operand_of(e, id));
}

rml_operand rml_emit_in(rml_emitter *e, const rml_node *node, int index)
{
    return rml_emit_operand(e, node->in[index]);
}

rml_operand rml_emit_unshaped(rml_emitter *e, const rml_node *node, int index)
{
    const rml_operand view = e->view[node->in[index]];
    return view.name ? as_real(e, node->in[index], view) : rml_emit_in(e, node, index);
}

void rml_emit_view(rml_emitter *e, const rml_node *node, int index, rml_operand x)
{
    e->view[node->out + (rml_value_id)index] = x;
}

rml_operand rml_emit_out(const rml_emitter *e, const rml_node *node, int index)
{
    const rml_value_id id = node->out + (rml_value_id)index;
    const rml_value *value = &e->graph->values[id];
    return (rml_operand){e->names.value[id], rml_emit_type_of(e, value->dtype), value->shape};
}

rml_operand rml_emit_weight(rml_emitter *e, const rml_node *node, int index)
{
    const int axis = rml_weight_axis(e->graph, node, index);
    const rml_value_id id = node->in[index];
    const rml_value *value = &e->graph->values[id];
    rml_elements own = {0};
    if (axis < 0 || e->operand[id].name || !rml_emit_compresses(e, value->dtype, &value->shape))
        return rml_emit_in(e, node, index);
    e->operand[id] = (rml_operand){e->names.value[id], RML_F32, value->shape};
    if (!e->trial && e->status == RML_OK)
        e->status = rml_elements_take(&own, value, RML_F32, e->w->allocator, &e->error);
    rml_emit_compressed(e, &e->operand[id], own.data, axis);
    rml_elements_release(&own);
    return e->operand[id];
}

rml_operand rml_emit_weight_data(rml_emitter *e, const char *name, const float *data,
                                 const rml_shape *shape, int axis)
{
    if (!rml_emit_compresses(e, RML_F32, shape))
        return rml_emit_floats(e, name, data, shape, e->real);
    const rml_operand out = {rml_emit_name(e, name), RML_F32, *shape};
    if (data)
        rml_emit_compressed(e, &out, data, axis);
    return out;
}

float *rml_emit_elements(rml_emitter *e, const rml_node *node, int index, size_t *count)
{
    const rml_value *value = &e->graph->values[node->in[index]];
    rml_shape_count(&value->shape, count);
    float *data = rml_emit_alloc(e, *count, sizeof *data);
    if (data && !e->trial)
        rml_constant_copy(value->constant, RML_F32, data);
    return data;
}

// ---- rows ---------------------------------------------------------------------------------------

const rml_emit_row *rml_emit_find(rml_op_id op)
{
    static const rml_emit_row *const tables[] = {
        rml_emit_choices,    rml_emit_control, rml_emit_convolutions, rml_emit_elementwise,
        rml_emit_images,     rml_emit_index,   rml_emit_norms,        rml_emit_recurrent,
        rml_emit_reductions, rml_emit_shapes,  rml_emit_slices};
    for (size_t i = 0; i < sizeof tables / sizeof *tables; i++)
        for (const rml_emit_row *row = tables[i]; row->emit; row++)
            if (row->op == op)
                return row;
    return NULL;
}

bool rml_emit_type_fits(rml_dtype dtype)
{
    return rml_dtype_is_float(dtype) || dtype == RML_I32 || dtype == RML_I64 || dtype == RML_BOOL;
}

const char *rml_emit_lacks(const void *user, const rml_graph *graph, const rml_node *node)
{
    const rml_emit_row *row = rml_emit_find(node->op);
    if (!row)
        return "there is no operation for it";
    for (int i = 0; i < node->in_count; i++) {
        if (!rml_input_given(node, i))
            continue;
        if (!rml_emit_type_fits(graph->values[node->in[i]].dtype))
            return "its input is of a type that programs have not";
        if (rml_emit_shape(graph, node->in[i])->rank < 0)
            return "the number of dimensions of its input is not known before a run";
        if (rml_emit_shape(graph, node->in[i])->rank > RML_EMIT_MAX_RANK)
            return "its input has more than 5 dimensions";
    }
    return row->lacks ? row->lacks(*(const int *)user, graph, node) : NULL;
}

void rml_emit_nodes(rml_emitter *e)
{
    for (size_t i = 0; i < e->graph->node_count && e->status == RML_OK; i++) {
        const rml_node *node = &e->graph->nodes[i];
        if (node->dead)
            continue;
        if (e->wide && node->out_count)
            rml_emit_as_value(e, node->out);
        rml_emit_find(node->op)->emit(e, node);
        for (int k = 0; k < node->out_count; k++)
            if (!e->view[node->out + (rml_value_id)k].name)
                e->operand[node->out + (rml_value_id)k] = rml_emit_out(e, node, k);
    }
}
