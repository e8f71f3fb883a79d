// The text of the C file and of its header.
#include "writers/c/emit.h"

#include "tensor/format.h"

#include <string.h>

static void say_sizes(rml_c_emit *c, const rml_shape *shape)
{
    for (int i = 0; i < shape->rank; i++)
        rml_c_say(c, "%s%lld", i ? "x" : "", (long long)shape->dim[i]);
    if (!shape->rank)
        rml_c_say(c, "1");
}

static const rml_shape *port_shape(const rml_c_emit *c, size_t port)
{
    return &c->plan->facts[rml_port_value(c->graph, port)].shape;
}

static const char *port_name(const rml_c_emit *c, size_t port)
{
    const rml_graph *graph = c->graph;
    return port < graph->input_count ? graph->values[graph->inputs[port]].name
                                     : graph->output_names[port - graph->input_count];
}

size_t rml_c_port_count(const rml_c_emit *c, size_t port)
{
    size_t count = 0;
    rml_shape_count(port_shape(c, port), &count);
    return count;
}

// An identifier of its name; of those whose names give the same, and come behind, with a number.
#define PORT_BYTES 80
static void name_port(const rml_c_emit *c, size_t port, char out[PORT_BYTES])
{
    const size_t inputs = c->graph->input_count;
    char other[64];
    rml_c_identifier(out, sizeof other, port_name(c, port));
    for (size_t i = port < inputs ? 0 : inputs; i < port; i++) {
        rml_c_identifier(other, sizeof other, port_name(c, i));
        if (strcmp(other, out) == 0) {
            rml_format(out, PORT_BYTES, "%s_%zu", other, port);
            return;
        }
    }
}

// NAME_run(void *arena, const float *image, float *probs); with `inner` in0, out0.
static void say_run(rml_c_emit *c, bool inner)
{
    const size_t inputs = c->graph->input_count, ports = inputs + c->graph->output_count;
    rml_c_say(c, "int %s_run(void *arena", c->name);
    for (size_t i = 0; i < ports; i++) {
        char name[PORT_BYTES];
        name_port(c, i, name);
        rml_c_say(c, ", %sfloat *", i < inputs ? "const " : "");
        if (inner)
            rml_c_say(c, "%s%zu", i < inputs ? "in" : "out", i < inputs ? i : i - inputs);
        else
            rml_c_say(c, "%s_%s", i < inputs ? "in" : "out", name);
    }
    rml_c_say(c, ")");
}

static void upper(char *out, size_t room, const char *name)
{
    size_t i = 0;
    for (; name[i] && i + 1 < room; i++)
        out[i] = name[i] >= 'a' && name[i] <= 'z' ? (char)(name[i] - 'a' + 'A') : name[i];
    out[i] = 0;
}

void rml_c_say_header(rml_c_emit *c)
{
    const size_t inputs = c->graph->input_count, ports = inputs + c->graph->output_count;
    char macro[64];
    size_t tested = c->arena;
    upper(macro, sizeof macro, c->name);
    for (size_t i = 0; i < ports; i++)
        tested += (rml_c_port_count(c, i) * sizeof(float) + 15) / 16 * 16;
    rml_c_say(c, "/* Written by run-model %s. */\n#ifndef %s_NET_H\n#define %s_NET_H\n\n",
              rml_version(), macro, macro);
    rml_c_say(c, "#ifdef __cplusplus\nextern \"C\" {\n#endif\n\n");
    rml_c_say(
        c,
        "/* Memory of a run, aligned to 16; what it holds between runs counts for nothing. */\n"
        "#define %s_ARENA_BYTES %zuu\n",
        macro, c->arena);
    rml_c_say(c,
              "/* Memory of the self-test, its inputs and outputs among it. */\n"
              "#define %s_SELFTEST_BYTES %zuu\n\n",
              macro, tested);
    for (size_t i = 0; i < ports; i++) {
        char name[PORT_BYTES];
        name_port(c, i, name);
        upper(name, sizeof name, name);
        rml_c_say(c, "#define %s_%s_%s_COUNT %zuu /* ", macro, i < inputs ? "IN" : "OUT", name,
                  rml_c_port_count(c, i));
        say_sizes(c, port_shape(c, i));
        rml_c_say(c, " */\n");
    }
    rml_c_say(c, "\n/* Images are planes: N,C,H,W. Returns 0. */\n");
    say_run(c, false);
    rml_c_say(c,
              ";\n\n/* 0: the machine that wrote this file and this one compute the same bits. */\n"
              "int %s_selftest(void *arena);\n\n",
              c->name);
    rml_c_say(c, "#ifdef __cplusplus\n}\n#endif\n\n#endif\n");
}

static void say_constant(rml_c_emit *c, rml_value_id id, const rml_tensor *view)
{
    const bool constant =
        c->graph->values[id].kind == RML_VALUE_CONSTANT || c->plan->places[id].constant;
    if (c->written[id] || !constant || view->dtype != RML_F32)
        return;
    c->written[id] = true;
    rml_c_array(c, "net_k", (size_t)id, view->data, rml_tensor_count(view));
}

static void say_constants(rml_c_emit *c, size_t step)
{
    const rml_node *node = rml_c_node(c, step);
    const rml_step *at = rml_c_step(c, step);
    for (int k = 0; k < node->in_count && c->status == RML_OK; k++) {
        const rml_value_id id = node->in[k];
        // Weights are arrays of their steps; lists of sizes and axes are in the calls.
        const bool data = k == 0 || node->op == RML_OP_BINARY || node->op == RML_OP_CONCAT;
        if (id != RML_NO_VALUE && data)
            say_constant(c, id, &at->args.in[k]);
    }
}

// The numbers of the self-test, and a sum of the bits that come of them.
static void say_selftest(rml_c_emit *c, uint32_t expected)
{
    const size_t inputs = c->graph->input_count, ports = inputs + c->graph->output_count;
    size_t at = c->arena;
    rml_c_say(
        c,
        "\nstatic uint32_t net_next(uint32_t state)\n{\n"
        "    return state * 1664525u + 1013904223u;\n}\n\n"
        "int %s_selftest(void *arena)\n{\n    char *const memory = (char *)arena;\n"
        "    uint32_t state = 1, sum = 2166136261u, bits;\n    unsigned i;\n    int failed;\n",
        c->name);
    for (size_t i = 0; i < ports; i++) {
        rml_c_say(c, "    float *const p%zu = (float *)(memory + %zu);\n", i, at);
        at += (rml_c_port_count(c, i) * sizeof(float) + 15) / 16 * 16;
    }
    for (size_t i = 0; i < inputs; i++)
        rml_c_say(c,
                  "    for (i = 0; i < %zuu; i++, state = net_next(state))\n"
                  "        p%zu[i] = (float)(state >> 8) * (1.0f / 16777216);\n",
                  rml_c_port_count(c, i), i);
    rml_c_say(c, "    failed = %s_run(arena", c->name);
    for (size_t i = 0; i < ports; i++)
        rml_c_say(c, ", p%zu", i);
    rml_c_say(c, ");\n");
    for (size_t i = inputs; i < ports; i++)
        rml_c_say(
            c,
            "    for (i = 0; i < %zuu; i++) {\n        memcpy(&bits, &p%zu[i], sizeof bits);\n"
            "        sum = (sum ^ bits) * 16777619u;\n    }\n",
            rml_c_port_count(c, i), i);
    rml_c_say(c, "    return failed ? failed : sum == 0x%08xu ? 0 : 1;\n}\n", (unsigned)expected);
}

// An output that lies elsewhere: in another output's memory, an input's or a constant.
static void say_output_copies(rml_c_emit *c)
{
    for (size_t i = 0; i < c->graph->output_count; i++) {
        char from[RML_C_PLACE_BYTES], own[32];
        rml_c_place(c, c->graph->outputs[i], from);
        rml_format(own, sizeof own, "out%zu", i);
        if (strcmp(from, own) != 0)
            rml_c_say(c, "    memcpy(%s, %s, %zu * sizeof(float));\n", own, from,
                      rml_c_port_count(c, c->graph->input_count + i));
    }
}

void rml_c_say_source(rml_c_emit *c, const char *header, uint32_t expected)
{
    rml_c_say(c,
              "/* Written by run-model %s: a network as C99, with libm alone. Compile with\n"
              "   -ffp-contract=off; %s tells how it is called. */\n#include \"%s\"\n\n"
              "#ifndef NET_WEIGHTS_SECTION\n#define NET_WEIGHTS_SECTION\n#endif\n"
              "#define NET_MOST_TAPS %lld\n\n",
              rml_version(), header, header, (long long)(c->most_taps ? c->most_taps : 1));
    for (int piece = 0; piece < RML_C_PIECES; piece++)
        if (c->pieces >> piece & 1) {
            for (const char *const *line = rml_c_text[piece]; *line; line++)
                rml_outfile_write(&c->file, *line, strlen(*line));
            rml_c_say(c, "\n");
        }
    for (size_t i = 0; i < c->plan->step_count; i++) {
        say_constants(c, i);
        if (rml_c_op_of(c, i)->data)
            rml_c_op_of(c, i)->data(c, i);
    }
    rml_c_say(c, "\n");
    say_run(c, true);
    rml_c_say(c, "\n{\n    char *const memory = (char *)arena;\n    (void)memory;\n");
    for (size_t i = 0; i < c->plan->step_count; i++)
        rml_c_op_of(c, i)->call(c, i);
    say_output_copies(c);
    rml_c_say(c, "    return 0;\n}\n");
    say_selftest(c, expected);
}
