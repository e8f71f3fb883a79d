// Inverted residual blocks.
#include "writers/c/conv_text.h"

enum { WIDE, MIDDLE, NARROW, PARTS };

static void parts_of(const rml_op_args *args, rml_c_window part[PARTS])
{
    const rml_inverted_attr *all = &args->attr->inverted;
    const rml_conv_attr *attr[PARTS] = {all->expand, all->depthwise, all->project};
    const rml_c_image x = rml_c_image_of(&args->in[0]), y = rml_c_image_of(&args->out[0]);
    const int64_t channels = args->in[1].dim[0];
    const rml_c_image ring = {x.images, channels, x.h, x.w, 0, 1, x.w * channels, channels};
    const rml_c_image row = {x.images, channels, y.h, y.w, 0, 1, y.w * channels, channels};
    for (int k = 0; k < PARTS; k++) {
        part[k] = (rml_c_window){.in = k == WIDE     ? x
                                       : k == MIDDLE ? ring
                                                     : row,
                                 .out = k == WIDE     ? ring
                                        : k == MIDDLE ? row
                                                      : y,
                                 .depth = args->in[1 + k].dim[1],
                                 .cols = args->in[1 + k].dim[0] / attr[k]->groups,
                                 .groups = attr[k]->groups};
        for (int axis = 0; axis < 2; axis++) {
            part[k].kernel[axis] = args->in[1 + k].dim[2 + axis];
            part[k].stride[axis] = attr[k]->window.rank ? attr[k]->window.stride[axis] : 1;
            part[k].dilation[axis] = attr[k]->window.rank ? attr[k]->window.dilation[axis] : 1;
            part[k].before[axis] = attr[k]->window.before[axis];
        }
        rml_c_take_clamp(&part[k], &attr[k]->act);
    }
    if (rml_op_input(args, 7))
        part[NARROW].residual = rml_c_image_of(&args->in[7]);
}

static const char *check_inverted(rml_c_emit *c, const rml_step *step, size_t *scratch)
{
    const rml_op_args *args = &step->args;
    const rml_inverted_attr *all = &args->attr->inverted;
    const rml_conv_attr *attr[PARTS] = {all->expand, all->depthwise, all->project};
    rml_c_window part[PARTS];
    for (int k = 0; k < PARTS; k++)
        if (attr[k]->act.kind != RML_UNARY_CLAMP ||
            (rml_op_input(args, 4 + k) && !rml_op_constant(args, 4 + k)))
            return "its activation is no clamp, or a bias is no constant";
    parts_of(args, part);
    for (int k = 0; k < PARTS; k++)
        rml_c_note_window(c, &part[k]);
    rml_c_use(c, RML_C_INVERTED);
    const rml_c_window *m = &part[MIDDLE];
    const int64_t held = (m->kernel[0] - 1) * m->dilation[0] + 1;
    *scratch = (size_t)(held * m->in.row + m->out.row) * sizeof(float);
    return NULL;
}

static void data_inverted(rml_c_emit *c, size_t step)
{
    static const char *const shape[PARTS] = {"net_sa", "net_sb", "net_sc"};
    static const char *const weight[PARTS] = {"net_wa", "net_wb", "net_wc"};
    static const char *const bias[PARTS] = {"net_ba", "net_bb", "net_bc"};
    const rml_op_args *args = &rml_c_step(c, step)->args;
    rml_c_window part[PARTS];
    parts_of(args, part);
    for (int k = 0; k < PARTS; k++) {
        rml_c_say_window(c, &part[k], shape[k], step);
        rml_c_say_weight(c, &part[k], rml_op_constant(args, 1 + k), weight[k], step);
        if (rml_op_input(args, 4 + k))
            rml_c_say_bias(c, rml_op_constant(args, 4 + k), bias[k], step);
    }
    rml_c_say(c,
              "static const float *const net_w%zu[3] = {net_wa%zu.value, net_wb%zu.value, "
              "net_wc%zu.value};\n",
              step, step, step, step);
    rml_c_say(c, "static const float *const net_b%zu[3] = {", step);
    for (int k = 0; k < PARTS; k++)
        if (rml_op_input(args, 4 + k))
            rml_c_say(c, "%s%zu.value%s", bias[k], step, k < PARTS - 1 ? ", " : "};\n");
        else
            rml_c_say(c, "0%s", k < PARTS - 1 ? ", " : "};\n");
}

static void run_inverted(rml_c_emit *c, size_t step)
{
    char in[RML_C_PLACE_BYTES], out[RML_C_PLACE_BYTES], more[RML_C_PLACE_BYTES];
    char ring[RML_C_PLACE_BYTES];
    rml_c_say(c, "    net_inverted(&net_sa%zu, &net_sb%zu, &net_sc%zu, %s, net_w%zu, net_b%zu, ",
              step, step, step, rml_c_in(c, step, 0, in), step, step);
    rml_c_say(c, "%s, %s, %s);\n", rml_c_in(c, step, 7, more), rml_c_scratch(c, step, ring),
              rml_c_out(c, step, 0, out));
}

const rml_c_op rml_c_inverted = {RML_OP_INVERTED_RESIDUAL, check_inverted, data_inverted,
                                 run_inverted};
