// Nodes that run graphs.
#include "writers/onnx/emit.h"

// If: inputs behind the condition are what the branches read, those of the first one first.
static void write_if(rml_to_onnx *w, const rml_node *node)
{
    const rml_control_attr *attr = &node->attr.control;
    const char **in = rml_to_onnx_inputs(w, node);
    if (!in)
        return;
    rml_to_onnx_begin(w, "If", in, 1);
    rml_to_onnx_body(w, "then_branch", attr->body[0], 0, in + 1);
    rml_to_onnx_body(w, "else_branch", attr->body[1], 0, in + 1 + attr->body[0]->input_count);
    rml_to_onnx_close(w, node);
}

static void write_loop(rml_to_onnx *w, const rml_node *node)
{
    const rml_control_attr *attr = &node->attr.control;
    const char **in = rml_to_onnx_inputs(w, node);
    const int own = 2 + attr->states;
    if (!in)
        return;
    rml_to_onnx_begin(w, "Loop", in, own);
    rml_to_onnx_body(w, "body", attr->body[0], (size_t)own, in + own);
    rml_to_onnx_close(w, node);
}

static void write_ways(rml_to_onnx *w, const char *axes, const char *directions,
                       const rml_scan_way *way, int count)
{
    int64_t list[2][RML_MAX_OUTPUTS];
    for (int i = 0; i < count; i++) {
        list[0][i] = way[i].axis;
        list[1][i] = way[i].reverse;
    }
    rml_to_onnx_int_list(w, axes, list[0], (size_t)count);
    rml_to_onnx_int_list(w, directions, list[1], (size_t)count);
}

static const char *lacks_scan(const rml_to_onnx_ask *ask)
{
    return ask->node->attr.control.scanned > RML_MAX_OUTPUTS ? "it scans too many values" : NULL;
}

static void write_scan(rml_to_onnx *w, const rml_node *node)
{
    const rml_control_attr *attr = &node->attr.control;
    const char **in = rml_to_onnx_inputs(w, node);
    const int own = attr->states + attr->scanned;
    if (!in)
        return;
    rml_to_onnx_begin(w, "Scan", in, own);
    rml_to_onnx_int(w, "num_scan_inputs", attr->scanned);
    write_ways(w, "scan_input_axes", "scan_input_directions", attr->scan, attr->scanned);
    if (attr->out_count > attr->states)
        write_ways(w, "scan_output_axes", "scan_output_directions", attr->scan + attr->scanned,
                   attr->out_count - attr->states);
    rml_to_onnx_body(w, "body", attr->body[0], (size_t)own, in + own);
    rml_to_onnx_close(w, node);
}

const rml_to_onnx_entry rml_to_onnx_control[] = {
    {.op = RML_OP_IF, .write = write_if},
    {.op = RML_OP_LOOP, .write = write_loop},
    {.op = RML_OP_SCAN, .lacks = lacks_scan, .write = write_scan},
    {0},
};
