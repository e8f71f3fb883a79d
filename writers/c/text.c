#include "writers/c/emit.h"

#include "tensor/format.h"

#include <math.h>
#include <string.h>

#define LINE_BYTES 1024
#define WORDS_A_ROW 8

void rml_c_say(rml_c_emit *c, const char *format, ...)
{
    char line[LINE_BYTES];
    va_list args;
    va_start(args, format);
    const int length = rml_format_v(line, sizeof line, format, args);
    va_end(args);
    rml_outfile_write(&c->file, line, length < (int)sizeof line ? (size_t)length : sizeof line - 1);
}

const char *rml_c_float(char text[RML_C_FLOAT_BYTES], float value)
{
    if (isinf(value))
        rml_format(text, RML_C_FLOAT_BYTES, "%sINFINITY", value < 0 ? "-" : "");
    else if (isnan(value))
        rml_format(text, RML_C_FLOAT_BYTES, "NAN");
    else
        rml_format(text, RML_C_FLOAT_BYTES, "%.9ef", (double)value);
    return text;
}

void rml_c_array(rml_c_emit *c, const char *name, size_t number, const float *data, size_t count)
{
    rml_c_say(c,
              "static const union {\n    uint32_t bits[%zu];\n    float value[%zu];\n} %s%zu "
              "NET_WEIGHTS_SECTION = {{",
              count ? count : 1, count ? count : 1, name, number);
    for (size_t i = 0; i < count; i++) {
        uint32_t bits;
        memcpy(&bits, &data[i], sizeof bits);
        rml_c_say(c, "%s0x%08x,", i % WORDS_A_ROW ? " " : "\n    ", (unsigned)bits);
    }
    rml_c_say(c, count ? "\n}};\n" : "0}};\n");
    c->weight_bytes += count * sizeof *data;
}

// ---- places -------------------------------------------------------------------------------------

void rml_c_identifier(char *out, size_t room, const char *name)
{
    size_t used = 0;
    if (*name >= '0' && *name <= '9')
        out[used++] = '_';
    for (; *name && used + 1 < room; name++) {
        const char l = *name;
        const bool fits =
            (l >= 'a' && l <= 'z') || (l >= 'A' && l <= 'Z') || (l >= '0' && l <= '9');
        out[used++] = fits ? l : '_';
    }
    out[used] = 0;
}

const char *rml_c_place(const rml_c_emit *c, rml_value_id id, char text[RML_C_PLACE_BYTES])
{
    const rml_graph *graph = c->graph;
    const rml_place *place = &c->plan->places[id];
    char offset[32] = "";
    if (graph->values[id].kind == RML_VALUE_CONSTANT || place->constant) {
        rml_format(text, RML_C_PLACE_BYTES, "net_k%zu.value", (size_t)id);
        return text;
    }
    if (place->root_offset)
        rml_format(offset, sizeof offset, " + %lld", (long long)place->root_offset);
    for (size_t i = 0; i < graph->input_count; i++)
        if (graph->inputs[i] == place->root) {
            rml_format(text, RML_C_PLACE_BYTES, "in%zu%s", i, offset);
            return text;
        }
    for (size_t i = 0; i < graph->output_count; i++)
        if (graph->outputs[i] == place->root) {
            rml_format(text, RML_C_PLACE_BYTES, "out%zu%s", i, offset);
            return text;
        }
    rml_format(text, RML_C_PLACE_BYTES, "(float *)(memory + %zu)%s",
               c->buffers[c->plan->places[place->root].buffer].offset, offset);
    return text;
}

const char *rml_c_in(const rml_c_emit *c, size_t step, int k, char text[RML_C_PLACE_BYTES])
{
    const rml_node *node = rml_c_node(c, step);
    if (k < node->in_count && node->in[k] != RML_NO_VALUE)
        return rml_c_place(c, node->in[k], text);
    rml_format(text, RML_C_PLACE_BYTES, "0");
    return text;
}

const char *rml_c_out(const rml_c_emit *c, size_t step, int k, char text[RML_C_PLACE_BYTES])
{
    return rml_c_place(c, rml_c_node(c, step)->out + (rml_value_id)k, text);
}

const char *rml_c_scratch(const rml_c_emit *c, size_t step, char text[RML_C_PLACE_BYTES])
{
    rml_format(text, RML_C_PLACE_BYTES, "(float *)(memory + %zu)",
               c->buffers[c->value_buffers + step].offset);
    return text;
}

bool rml_c_is_read(const rml_c_emit *c, rml_value_id id)
{
    const rml_value *value = &c->graph->values[id];
    return c->plan->last[id] != SIZE_MAX && c->plan->last[id] != value->producer;
}

// ---- views and constants ------------------------------------------------------------------------

rml_c_image rml_c_image_of(const rml_tensor *view)
{
    const bool line = view->rank == 3;
    return (rml_c_image){.images = view->dim[0],
                         .channels = view->dim[1],
                         .h = line ? 1 : view->dim[2],
                         .w = view->dim[line ? 2 : 3],
                         .image = view->stride[0],
                         .channel = view->stride[1],
                         .row = line ? view->stride[2] * view->dim[2] : view->stride[2],
                         .pixel = view->stride[line ? 2 : 3]};
}

rml_status rml_c_read(const rml_c_emit *c, const rml_constant *constant, float **out,
                      rml_error *err)
{
    const rml_shape *shape = &constant->stored.shape;
    size_t count = 0;
    *out = NULL;
    if (!rml_shape_count(shape, &count))
        return rml_fail(err, RML_ERR_LIMIT, "a constant is too large");
    RML_TRY(rml_make(c->allocator, out, count + 1, sizeof **out, "a constant", err));
    rml_constant_copy(constant, RML_F32, *out);
    return RML_OK;
}
