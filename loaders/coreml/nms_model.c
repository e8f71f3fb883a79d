// A model that thins out boxes: the last stage of detectors. Confidences (N,C) and boxes (N,4),
// centre and size, in; the rows that stay, the surest first, out.
#include "loaders/coreml/model.h"
#include "loaders/coreml/reader.h"

typedef struct thinning {
    const char *confidence_in, *boxes_in, *iou_in, *threshold_in, *confidence_out, *boxes_out;
    double iou, threshold;
    bool per_class;
} thinning;

static rml_status read(rml_coreml *file, const rml_coreml_model *model, thinning *out,
                       rml_error *err)
{
    const rml_message_reader reader = rml_coreml_messages(file, err);
    rml_protobuf top = {0};
    const rml_message_want wants[] = {
        {1, RML_WANT_MESSAGE, "pickTop", &top},
        {110, RML_WANT_DOUBLE, "a threshold", &out->iou},
        {111, RML_WANT_DOUBLE, "a threshold", &out->threshold},
        {200, RML_WANT_NAME, "an input's name", &out->confidence_in},
        {201, RML_WANT_NAME, "an input's name", &out->boxes_in},
        {202, RML_WANT_NAME, "an input's name", &out->iou_in},
        {203, RML_WANT_NAME, "an input's name", &out->threshold_in},
        {210, RML_WANT_NAME, "an output's name", &out->confidence_out},
        {211, RML_WANT_NAME, "an output's name", &out->boxes_out},
        {0},
    };
    const rml_message_want of_top[] = {{1, RML_WANT_FLAG, "perClass", &out->per_class}, {0}};
    *out = (thinning){.confidence_in = "",
                      .boxes_in = "",
                      .iou_in = "",
                      .threshold_in = "",
                      .confidence_out = "",
                      .boxes_out = ""};
    RML_TRY(rml_message_read(&reader, &model->body, wants));
    return top.data ? rml_message_read(&reader, &top, of_top) : RML_OK;
}

// An input by its name: what a stage before gives, or an input of the graph.
static rml_value_id input(rml_coreml_values *values, const char *name, int64_t columns)
{
    const rml_value_id value = rml_coreml_get(values, name);
    const rml_shape shape = {2, {-1, columns}};
    return value != RML_NO_VALUE ? value : rml_graph_input(values->graph, name, &shape);
}

static rml_value_id number(rml_graph *graph, double value, const char *name)
{
    float *data = rml_arena_alloc(&graph->arena, 1, sizeof *data);
    if (!data)
        return rml_graph_fail(graph, RML_ERR_NOMEM, "out of memory for a number");
    *data = (float)value;
    const rml_stored stored = rml_stored_f32(data, &(rml_shape){1, {1}});
    return rml_graph_typed_constant(graph, name, &stored);
}

static rml_value_id whole(rml_graph *graph, int64_t value, const char *name)
{
    int64_t *data = rml_arena_alloc(&graph->arena, 1, sizeof *data);
    if (!data)
        return rml_graph_fail(graph, RML_ERR_NOMEM, "out of memory for a number");
    *data = value;
    const rml_stored stored = rml_stored_plain(data, RML_I64, &(rml_shape){1, {1}});
    return rml_graph_typed_constant(graph, name, &stored);
}

static rml_value_id node(rml_graph *graph, rml_op_id op, const rml_op_attr *attr,
                         const rml_value_id *in, int count, const char *name)
{
    static const rml_op_attr none;
    return rml_graph_node(graph, op, attr ? attr : &none, in, count, name);
}

// Scores (1,K,N) that boxes are thinned out by: each one's best, of one kind or of its own class
// alone.
static rml_value_id scores_of(rml_graph *graph, rml_value_id confidence, rml_value_id best,
                              bool per_class, const char *name)
{
    static const int swap[] = {1, 0};
    const rml_shape row = {3, {1, 1, -1}};
    if (!per_class)
        return rml_graph_reshape(graph, best, &row, name);
    const rml_value_id column = rml_graph_reshape(graph, best, &(rml_shape){2, {-1, 1}}, name);
    const rml_value_id is_best =
        rml_graph_binary(graph, RML_BINARY_EQUAL, confidence, column, name);
    const rml_value_id in[] = {is_best, confidence, number(graph, -1, name)};
    const rml_value_id own = node(graph, RML_OP_WHERE, NULL, in, 3, name);
    const rml_value_id turned = rml_graph_transpose(graph, own, swap, 2, name);
    const rml_value_id with[] = {turned, whole(graph, 0, name)};
    return node(graph, RML_OP_UNSQUEEZE, NULL, with, 2, name);
}

rml_status rml_coreml_nms_import(rml_coreml_values *values, rml_coreml *file,
                                 const rml_coreml_model *model, rml_error *err)
{
    static const char *const name = "nonMaximumSuppression";
    rml_graph *graph = values->graph;
    thinning t;
    RML_TRY(read(file, model, &t, err));
    const rml_value_id confidence = input(values, t.confidence_in, -1);
    const rml_value_id boxes = input(values, t.boxes_in, 4);
    const rml_value_id best = rml_graph_reduce(graph, confidence, RML_REDUCE_MAX, -1, false, name);
    const rml_value_id zero = whole(graph, 0, name);
    const rml_value_id wrapped[] = {boxes, zero};
    const rml_value_id thresholds[] = {rml_coreml_get(values, t.iou_in),
                                       rml_coreml_get(values, t.threshold_in)};
    const rml_op_attr centred = {.nms = {.centered = true}};
    const rml_value_id in[] = {
        node(graph, RML_OP_UNSQUEEZE, NULL, wrapped, 2, name),
        scores_of(graph, confidence, best, t.per_class, name), whole(graph, INT32_MAX, name),
        thresholds[0] != RML_NO_VALUE ? thresholds[0] : number(graph, t.iou, name),
        thresholds[1] != RML_NO_VALUE ? thresholds[1] : number(graph, t.threshold, name)};
    const rml_value_id selected = node(graph, RML_OP_NMS, &centred, in, 5, name);
    RML_TRY(rml_graph_finish(graph, err));
    const rml_value_id cut[] = {selected, zero, selected + 1, zero}; // to as many as there are
    const rml_value_id found = node(graph, RML_OP_SLICE, NULL, cut, 4, name); // (k,3)
    rml_value_id rows = rml_graph_slice(graph, found, 1, 2, 3, 1, name);
    rows = rml_graph_reshape(graph, rows, &(rml_shape){1, {-1}}, name);
    // Of all classes together the surest first.
    const rml_value_id from[] = {best, rows};
    const rml_value_id sure = node(graph, RML_OP_GATHER, NULL, from, 2, name);
    const rml_value_id count = node(graph, RML_OP_SHAPE, NULL, &sure, 1, name);
    const rml_value_id sorted_in[] = {sure, count};
    const rml_value_id sorted = node(graph, RML_OP_TOPK, NULL, sorted_in, 2, name);
    RML_TRY(rml_graph_finish(graph, err));
    const rml_value_id order[] = {rows, sorted + 1};
    rows = node(graph, RML_OP_GATHER, NULL, order, 2, name);
    const rml_value_id of_confidence[] = {confidence, rows}, of_boxes[] = {boxes, rows};
    const rml_value_id kept = node(graph, RML_OP_GATHER, NULL, of_confidence, 2, name);
    const rml_value_id left = node(graph, RML_OP_GATHER, NULL, of_boxes, 2, name);
    RML_TRY(rml_graph_finish(graph, err));
    RML_TRY(rml_coreml_set(values, t.confidence_out, kept, err));
    return rml_coreml_set(values, t.boxes_out, left, err);
}
