// Constants, copies, and nodes that run graphs.
#include "loaders/onnx/importer.h"
#include "loaders/onnx/make.h"

static void import_constant(rml_onnx_call *call)
{
    const rml_onnx_tensor *tensor = rml_onnx_any_tensor_of(call, "value");
    size_t count;
    if (tensor) {
        call->out[0] = rml_onnx_add_tensor(call->graph, call->name, tensor, &call->stand_in);
        if (call->out[0] == RML_NO_VALUE)
            rml_onnx_tensor_of(call, "value"); // refuses it
    } else if (rml_onnx_has(call, "value_int")) {
        const int64_t value = rml_onnx_int(call, "value_int", 0);
        call->out[0] = rml_onnx_constant_of(call, RML_I64, &(rml_shape){0}, RML_I64, &value, 1);
    } else if (rml_onnx_has(call, "value_float")) {
        call->out[0] = rml_onnx_scalar(call, RML_F32, rml_onnx_float(call, "value_float", 0));
    } else if (rml_onnx_has(call, "value_ints")) {
        const int64_t *values = rml_onnx_ints(call, "value_ints", &count);
        call->out[0] = rml_onnx_ints_value(call, values, count);
    } else if (rml_onnx_has(call, "value_floats")) {
        const float *values = rml_onnx_floats(call, "value_floats", &count);
        const rml_shape shape = {1, {(int64_t)count}};
        const rml_stored stored = rml_stored_f32(values, &shape); // lives as long as the file
        call->out[0] = rml_graph_typed_constant(call->graph, call->name, &stored);
    } else if (call->node->attribute_count != 1) {
        rml_onnx_misfit(call, "a constant has one value, and %zu attributes say it",
                        call->node->attribute_count);
    } else {
        rml_onnx_refuse(call, "a constant that is no tensor of numbers");
    }
}

static void import_identity(rml_onnx_call *call)
{
    call->out[0] = rml_onnx_in(call, 0);
}

// ---- graphs inside ------------------------------------------------------------------------------

// False after a refusal or an error, which is kept; out->graph is NULL then.
static bool take_body(rml_onnx_call *call, const char *name, const rml_fact *in, size_t count,
                      size_t outputs, rml_graph_body *out)
{
    rml_onnx_importer *importer = call->importer;
    const rml_onnx_entry *entry = importer->entry;
    const rml_onnx_graph *from = rml_onnx_graph_attribute(call, name);
    if (!from) {
        rml_onnx_refuse(call, "it has no graph \"%s\"", name);
        return false;
    }
    if (from->output_count != outputs) {
        rml_onnx_misfit(call, "its graph \"%s\" has %zu outputs, and %zu are expected", name,
                        from->output_count, outputs);
        return false;
    }
    rml_error *outer = importer->err;
    importer->err = &importer->inner;
    const rml_status status = rml_onnx_import_body(importer, from, in, count, &out->graph,
                                                   &out->captures, &out->capture_count);
    importer->err = outer;
    importer->entry = entry;
    if (rml_status_is_final(status))
        rml_graph_fail(call->graph, status, "%s", importer->inner.message);
    else if (status == RML_ERR_FORMAT || status == RML_ERR_SHAPE)
        rml_onnx_misfit(call, "%s", importer->inner.message);
    else if (status != RML_OK)
        rml_onnx_refuse(call, "%s", importer->inner.message);
    else if (!out->graph)
        call->refused = true; // the reason stands in the list already
    return out->graph != NULL;
}

static const rml_value *output_of(const rml_graph_body *from, size_t index)
{
    return &from->graph->values[from->graph->outputs[index]];
}

static void add_control(rml_onnx_call *call, rml_op_id op, const rml_control_attr *attr,
                        const rml_fact *outputs, size_t in_count, const rml_graph_body *bodies,
                        size_t body_count)
{
    const rml_value_id first = rml_graph_control(call->graph, op, attr, outputs, call->in, in_count,
                                                 bodies, body_count, call->name);
    for (int k = 0; k < call->out_count && first != RML_NO_VALUE; k++)
        call->out[k] = first + (rml_value_id)k;
}

// Room for what the node tells of its outputs; NULL after an error, which is the graph's.
static rml_fact *facts_of_outputs(rml_onnx_call *call)
{
    rml_fact *facts =
        rml_arena_alloc(&call->graph->arena, (size_t)call->out_count + 1, sizeof *facts);
    if (!facts)
        rml_graph_fail(call->graph, RML_ERR_NOMEM, "out of memory for the outputs of a node");
    return facts;
}

// A branch that is known to be taken is written out in place.
static void take_branch(rml_onnx_call *call, bool truth)
{
    const rml_onnx_graph *then = rml_onnx_graph_attribute(call, "then_branch");
    const rml_onnx_graph *other = rml_onnx_graph_attribute(call, "else_branch");
    const rml_onnx_graph *from = truth ? then : other;
    if (!from || from->output_count != (size_t)call->out_count) {
        rml_onnx_misfit(call, "its branch has not the outputs of the node");
        return;
    }
    rml_onnx_import_in_place(call, from, call->out);
}

static void import_if(rml_onnx_call *call)
{
    const rml_fact condition = rml_onnx_fact(call, 0);
    size_t count;
    if (condition.dtype == RML_BOOL && condition.data &&
        rml_shape_count(&condition.shape, &count) && count == 1) {
        take_branch(call, *(const uint8_t *)condition.data != 0);
        return;
    }
    rml_graph_body bodies[2] = {{0}};
    const size_t outputs = (size_t)call->out_count;
    const bool first = take_body(call, "then_branch", NULL, 0, outputs, &bodies[0]);
    const bool second = take_body(call, "else_branch", NULL, 0, outputs, &bodies[1]);
    rml_fact *facts = first && second ? facts_of_outputs(call) : NULL;
    if (!facts)
        return;
    for (size_t k = 0; k < outputs; k++) {
        const rml_value *a = output_of(&bodies[0], k), *b = output_of(&bodies[1], k);
        if (a->dtype != b->dtype) {
            rml_onnx_misfit(call, "output %zu is %s in one branch and %s in the other", k,
                            rml_dtype_name(a->dtype), rml_dtype_name(b->dtype));
            return;
        }
        facts[k] =
            (rml_fact){.dtype = a->dtype, .shape = rml_graph_common_shape(&a->shape, &b->shape)};
    }
    const rml_control_attr attr = {.body = {bodies[0].graph, bodies[1].graph},
                                   .out_count = call->out_count};
    add_control(call, RML_OP_IF, &attr, facts, 1, bodies, 2);
}

// A state keeps its type and rank; its sizes may change from turn to turn.
static rml_fact state_fact(const rml_onnx_call *call, int index)
{
    rml_fact fact = rml_onnx_fact(call, index);
    fact.data = NULL;
    for (int i = 0; i < fact.shape.rank; i++)
        fact.shape.dim[i] = -1;
    return fact;
}

static rml_shape stacked_shape(const rml_shape *part, int64_t axis)
{
    rml_shape shape = {.rank = RML_RANK_UNKNOWN};
    if (part->rank < 0 || part->rank >= RML_MAX_RANK)
        return shape;
    axis += axis < 0 ? part->rank + 1 : 0;
    shape.rank = part->rank + 1;
    for (int i = 0, from = 0; i < shape.rank; i++)
        shape.dim[i] = i == axis ? -1 : part->dim[from++];
    return shape;
}

// Adds a loop or a scan: outputs are the states, then what the turns stack, each along its axis.
static void add_turns(rml_onnx_call *call, rml_op_id op, rml_control_attr *attr,
                      const rml_fact *state, const rml_graph_body *inside, size_t skipped)
{
    for (int k = call->in_count - attr->states - attr->scanned; k < call->in_count; k++)
        if (call->in[k] == RML_NO_VALUE) {
            rml_onnx_misfit(call, "input %d is what a turn begins with, and is left out", k);
            return;
        }
    rml_fact *facts = facts_of_outputs(call);
    if (!facts)
        return;
    for (int k = 0; k < call->out_count; k++) {
        const rml_value *out = output_of(inside, skipped + (size_t)k);
        const int stacked = attr->scanned + k - attr->states;
        facts[k].dtype = out->dtype;
        facts[k].shape =
            k < attr->states
                ? state[k].shape
                : stacked_shape(&out->shape, attr->scan ? attr->scan[stacked].axis : 0);
    }
    attr->body[0] = inside->graph;
    attr->out_count = call->out_count;
    add_control(call, op, attr, facts, (size_t)call->in_count, inside, 1);
}

static void import_loop(rml_onnx_call *call)
{
    const int states = call->in_count - 2;
    rml_graph_body inside = {0};
    if (states < 0 || call->out_count < states) {
        rml_onnx_misfit(call, "%d inputs and %d outputs do not make a loop", call->in_count,
                        call->out_count);
        return;
    }
    rml_fact *in = rml_arena_alloc(&call->graph->arena, (size_t)call->in_count, sizeof *in);
    if (!in) {
        rml_graph_fail(call->graph, RML_ERR_NOMEM, "out of memory for a loop");
        return;
    }
    in[0] = (rml_fact){.dtype = RML_I64};
    in[1] = (rml_fact){.dtype = RML_BOOL};
    for (int k = 0; k < states; k++)
        in[2 + k] = state_fact(call, 2 + k);
    if (!take_body(call, "body", in, (size_t)call->in_count, (size_t)call->out_count + 1, &inside))
        return;
    add_turns(call, RML_OP_LOOP, &(rml_control_attr){.states = states}, in + 2, &inside, 1);
}

// ---- scan ---------------------------------------------------------------------------------------

// Axis and direction of `count` scanned values; false when the lists are of another length.
static bool read_ways(rml_onnx_call *call, const char *axes_name, const char *directions_name,
                      int count, rml_scan_way *ways)
{
    size_t axis_count, direction_count;
    const int64_t *axes = rml_onnx_ints(call, axes_name, &axis_count);
    const int64_t *directions = rml_onnx_ints(call, directions_name, &direction_count);
    if ((axes && axis_count != (size_t)count) || (directions && direction_count != (size_t)count)) {
        rml_onnx_refuse(call, "%s and %s have %zu and %zu elements, and %d are expected", axes_name,
                        directions_name, axis_count, direction_count, count);
        return false;
    }
    for (int k = 0; k < count; k++) {
        if (axes && (axes[k] < -RML_MAX_RANK || axes[k] >= RML_MAX_RANK)) {
            rml_onnx_refuse(call, "there is no axis %lld", (long long)axes[k]);
            return false;
        }
        ways[k] = (rml_scan_way){axes ? (int)axes[k] : 0, directions && directions[k] != 0};
    }
    return true;
}

static rml_fact slice_fact(const rml_onnx_call *call, int index, int axis)
{
    const rml_fact whole = rml_onnx_fact(call, index);
    rml_fact fact = {.dtype = whole.dtype, .shape.rank = whole.shape.rank};
    if (whole.shape.rank < 1)
        return fact;
    axis += axis < 0 ? whole.shape.rank : 0;
    fact.shape.rank = 0;
    for (int i = 0; i < whole.shape.rank; i++)
        if (i != axis)
            fact.shape.dim[fact.shape.rank++] = whole.shape.dim[i];
    return fact;
}

static void import_scan(rml_onnx_call *call)
{
    const int64_t scanned = rml_onnx_int(call, "num_scan_inputs", 0);
    const int states =
        scanned >= 1 && scanned <= call->in_count ? call->in_count - (int)scanned : -1;
    rml_graph_body inside = {0};
    if (states < 0 || call->out_count < states) {
        rml_onnx_misfit(call, "%lld of %d inputs to scan, and %d outputs", (long long)scanned,
                        call->in_count, call->out_count);
        return;
    }
    rml_arena *arena = &call->graph->arena;
    rml_fact *in = rml_arena_alloc(arena, (size_t)call->in_count, sizeof *in);
    rml_scan_way *ways = rml_arena_alloc(arena, (size_t)(scanned + call->out_count), sizeof *ways);
    if (!in || !ways) {
        rml_graph_fail(call->graph, RML_ERR_NOMEM, "out of memory for a scan");
        return;
    }
    const int stacked = call->out_count - states;
    const char *directions = call->opset < 9 ? "directions" : "scan_input_directions";
    if (!read_ways(call, "scan_input_axes", directions, (int)scanned, ways) ||
        !read_ways(call, "scan_output_axes", "scan_output_directions", stacked, ways + scanned))
        return;
    for (int k = 0; k < call->in_count; k++)
        in[k] = k < states ? state_fact(call, k) : slice_fact(call, k, ways[k - states].axis);
    if (!take_body(call, "body", in, (size_t)call->in_count, (size_t)call->out_count, &inside))
        return;
    rml_control_attr attr = {.states = states, .scanned = (int)scanned, .scan = ways};
    add_turns(call, RML_OP_SCAN, &attr, in, &inside, 0);
}

// In opset 8 everything had a batch in front, and there was an input of lengths before all others.
static void import_batched_scan(rml_onnx_call *call)
{
    const int64_t first = 0;
    const int count = call->in_count - 1;
    rml_graph *graph = call->graph;
    rml_value_id *in = rml_arena_alloc(&graph->arena, (size_t)call->in_count + 1, sizeof *in);
    const rml_value_id axis = rml_onnx_ints_value(call, &first, 1);
    if (!in) {
        rml_graph_fail(graph, RML_ERR_NOMEM, "out of memory for a scan");
        return;
    }
    if (count < 1 || rml_onnx_in(call, 0) != RML_NO_VALUE) {
        rml_onnx_refuse(call, "sequences of several lengths are not supported");
        return;
    }
    for (int i = 0; i < count; i++) {
        const rml_shape shape = rml_onnx_fact(call, i + 1).shape;
        const rml_value_id pair[2] = {rml_onnx_in(call, i + 1), axis};
        if (shape.rank < 1 || shape.dim[0] != 1) {
            rml_onnx_refuse(call, "batches of other sizes than 1 are not supported");
            return;
        }
        in[i] = rml_graph_node(graph, RML_OP_SQUEEZE, NULL, pair, 2, call->name);
    }
    call->in = in;
    call->in_count = count;
    import_scan(call);
    for (int k = 0; k < call->out_count && !call->refused; k++) {
        const rml_value_id pair[2] = {call->out[k], axis};
        call->out[k] = rml_graph_node(graph, RML_OP_UNSQUEEZE, NULL, pair, 2, call->name);
    }
}

static void import_any_scan(rml_onnx_call *call)
{
    if (call->opset < 9)
        import_batched_scan(call);
    else
        import_scan(call);
}

const rml_onnx_entry rml_onnx_core[] = {
    {.op_type = "Constant", .import = import_constant},
    {.op_type = "Identity", .import = import_identity, .stand_ins = RML_STAND_INS_KEPT},
    {.op_type = "If", .import = import_if},
    {.op_type = "Loop", .import = import_loop},
    {.op_type = "Scan", .import = import_any_scan, .since = 8},
    {.op_type = NULL},
};
