// Names and sizes of what goes into a converted network and comes out of it.
#include "pipelines/made_up.h"
#include "tools/arrays.h"
#include "tools/convert/convert_options.h"
#include "tools/report.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

port_plan *port_plans_find(const port_plans *p, const char *name)
{
    for (size_t i = 0; i < p->count; i++)
        if (strcmp(p->plans[i].port.name, name) == 0)
            return &p->plans[i];
    for (size_t i = 0; i < p->count; i++)
        if (strcmp(p->ports[i].as, name) == 0)
            return &p->plans[i];
    return NULL;
}

rml_status port_plans_missing(const port_plans *p, const char *asked, const char *name,
                              rml_error *err)
{
    char names[2][1024] = {"", ""};
    for (size_t i = 0; i < p->count; i++) {
        char *text = names[p->plans[i].is_output];
        const size_t used = strlen(text);
        snprintf(text + used, sizeof names[0] - used, "%s%s", used ? ", " : "", p->ports[i].as);
    }
    return rml_fail(err, RML_ERR_ARG, "--%s %s: the network has the inputs %s, and the outputs %s",
                    asked, name, names[0], names[1]);
}

static rml_status find_input(const port_plans *p, const char *asked, const char *name,
                             port_plan **out, rml_error *err)
{
    *out = port_plans_find(p, name);
    return *out && !(*out)->is_output ? RML_OK : port_plans_missing(p, asked, name, err);
}

// ---- names --------------------------------------------------------------------------------------

#define LETTERS "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ_"

// Readers of Core ML files make identifiers of names.
static bool is_identifier(const char *name)
{
    return strspn(name, LETTERS) > 0 && strspn(name, LETTERS "0123456789@") == strlen(name);
}

// Names in order, for the ports from `first` on; or OLD=NEW.
static rml_status rename_ports(port_plans *p, const convert_options *o, const char *asked,
                               const option_list *names, size_t first, rml_error *err)
{
    for (int i = 0; i < names->count; i++) {
        const char *old = names->items[i].name, *new = names->items[i].value;
        const port_plan *plan = old ? port_plans_find(p, old) : NULL;
        const size_t index = plan ? (size_t)(plan - p->plans) : first + (size_t)i;
        if (old && !plan)
            return port_plans_missing(p, asked, old, err);
        if (index >= p->count || p->plans[index].is_output != p->plans[first].is_output)
            return rml_fail(err, RML_ERR_ARG, "--%s %s: the network has no such port", asked, new);
        if (o->coreml && !is_identifier(new))
            return rml_fail(err, RML_ERR_ARG,
                            "--%s %s: names in Core ML files are made of letters, digits and _, "
                            "without a digit in front",
                            asked, new);
        p->ports[index].as = new;
    }
    return RML_OK;
}

static rml_status check_names(const port_plans *p, rml_error *err)
{
    for (size_t i = 0; i < p->count; i++)
        for (size_t k = 0; k < i; k++)
            if (strcmp(p->ports[i].as, p->ports[k].as) == 0)
                return rml_fail(err, RML_ERR_ARG, "two inputs or outputs are called %s",
                                p->ports[i].as);
    return RML_OK;
}

// ---- sizes --------------------------------------------------------------------------------------

static rml_status set_shapes(port_plans *p, const convert_options *o, rml_error *err)
{
    for (int i = 0; i < o->shapes.count; i++) {
        const char *name = o->shapes.items[i].name, *text = o->shapes.items[i].value;
        port_plan *plan;
        TRY(find_input(p, "shape", name, &plan, err));
        if (!parse_shape(text, true, &plan->shape))
            return rml_fail(err, RML_ERR_ARG, "--shape %s=%s: a shape is 1x3x512x512", name, text);
    }
    return RML_OK;
}

// The size of this name that another input has; -1: there is none.
static int64_t size_called(const port_plans *p, const char *name)
{
    for (size_t i = 0; name && i < p->inputs; i++) {
        const port_plan *plan = &p->plans[i];
        for (int k = 0; plan->size_names && k < plan->shape.rank; k++)
            if (plan->shape.dim[k] >= 0 && plan->size_names[k] &&
                strcmp(plan->size_names[k], name) == 0)
                return plan->shape.dim[k];
    }
    return -1;
}

// Sizes of one name are one.
static void name_sizes(port_plans *p)
{
    for (size_t i = 0; i < p->inputs; i++)
        for (int k = 0; p->plans[i].size_names && k < p->plans[i].shape.rank; k++)
            if (p->plans[i].shape.dim[k] < 0)
                p->plans[i].shape.dim[k] = size_called(p, p->plans[i].size_names[k]);
}

// "LO..HI", both 1 or more.
static bool parse_range(const char *text, int64_t *low, int64_t *high)
{
    char *end;
    *low = strtoll(text, &end, 10);
    if (end == text || strncmp(end, "..", 2) != 0)
        return false;
    text = end + 2;
    *high = strtoll(text, &end, 10);
    return end != text && !*end && *low > 0 && *high >= *low && *high <= INT32_MAX;
}

// NAME, or NAME.2 for the dimension 2: names may hold dots of their own.
static rml_status find_dimension(const port_plans *p, const char *text, port_plan **plan,
                                 int *dimension, rml_error *err)
{
    char name[256];
    const char *dot = strrchr(text, '.');
    *dimension = 0;
    *plan = port_plans_find(p, text);
    if (!*plan && dot && dot[1] >= '0' && dot[1] <= '9' && !dot[2] &&
        (size_t)(dot - text) < sizeof name) {
        snprintf(name, sizeof name, "%.*s", (int)(dot - text), text);
        *plan = port_plans_find(p, name);
        *dimension = dot[1] - '0';
    }
    if (!*plan || (*plan)->is_output)
        return port_plans_missing(p, "flexible", text, err);
    if (*dimension >= (*plan)->shape.rank)
        return rml_fail(err, RML_ERR_ARG, "--flexible %s: the input has %d dimensions, from 0 on",
                        text, (*plan)->shape.rank);
    return RML_OK;
}

static rml_status set_ranges(port_plans *p, const convert_options *o, rml_error *err)
{
    for (int i = 0; i < o->flexible.count; i++) {
        const char *name = o->flexible.items[i].name, *text = o->flexible.items[i].value;
        port_plan *plan;
        int64_t low, high;
        int at;
        if (!parse_range(text, &low, &high))
            return rml_fail(err, RML_ERR_ARG, "--flexible %s=%s: a range is 1..8", name, text);
        TRY(find_dimension(p, name, &plan, &at, err));
        rml_write_port *port = &p->ports[plan - p->plans];
        if (!port->low) {
            const rml_limits *limits = plan->port.limits;
            plan->low = plan->high = plan->usual = plan->shape;
            for (int k = 0; k < plan->shape.rank; k++)
                if (plan->shape.dim[k] < 0 && limits && limits->usual.rank == plan->shape.rank)
                    plan->usual.dim[k] = limits->usual.dim[k];
        }
        port->low = &plan->low;
        port->high = &plan->high;
        port->usual = &plan->usual;
        plan->low.dim[at] = low;
        plan->high.dim[at] = high;
        if (plan->usual.dim[at] < low || plan->usual.dim[at] > high)
            plan->usual.dim[at] = low;
        plan->shape.dim[at] = -1;
    }
    return RML_OK;
}

// Whether a Core ML file may say of dimension `k` what the source says.
static bool is_limited(const rml_limits *limits, const rml_shape *shape, int k)
{
    if (!limits || limits->usual.rank != shape->rank)
        return false;
    return limits->shape_count
               ? limits->shapes[0].dim[k] > 0
               : limits->low.rank && (limits->low.dim[k] > 0 || limits->high.dim[k] >= 0);
}

// A Core ML file has a size for everything that is not flexible; the batch is 1 unless told
// otherwise. So is what a Core ML file itself leaves out in front of its sizes, as the sequence is.
static rml_status fix_sizes(port_plans *p, const convert_options *o, rml_error *err)
{
    const bool of_coreml = o->is_file && is_coreml_file(o->model);
    for (size_t i = 0; i < p->count; i++) {
        port_plan *plan = &p->plans[i];
        char text[256] = "", example[256] = "";
        bool known = plan->shape.rank >= 0;
        if (plan->is_output)
            continue;
        for (int k = 0; k < plan->shape.rank; k++) {
            int64_t *size = &plan->shape.dim[k];
            const bool flexible = (p->ports[i].low && plan->low.dim[k] > 0) ||
                                  is_limited(plan->port.limits, &plan->shape, k);
            if ((k == 0 || of_coreml) && *size < 0 && !flexible) {
                *size = 1;
                plan->assumed = plan->assumed || k > 0;
            }
            known = known && (*size >= 0 || flexible);
            snprintf(text + strlen(text), sizeof text - strlen(text), *size < 0 ? "%s?" : "%s%lld",
                     k ? "," : "", (long long)*size);
            const int64_t likely = *size >= 0               ? *size
                                   : plan->usual.dim[k] > 0 ? plan->usual.dim[k]
                                                            : rml_open_size(k);
            snprintf(example + strlen(example), sizeof example - strlen(example), "%s%lld",
                     k ? "x" : "", (long long)likely);
        }
        if (!known)
            return rml_fail(err, RML_ERR_ARG,
                            "the input %s is (%s), and a Core ML file wants all of its sizes: give "
                            "--shape %s=%s, or what it is for, or --flexible",
                            p->ports[i].as, text, p->ports[i].as,
                            *example ? example : "1x3x512x512");
    }
    return RML_OK;
}

// ---- what it is tried on ------------------------------------------------------------------------

static rml_status set_checks(port_plans *p, const convert_options *o, rml_error *err)
{
    for (size_t i = 0; i < p->inputs; i++) {
        const char *name = p->plans[i].port.name;
        const guide_port *guide = o->is_file ? NULL : find_guide_port(o->model, name);
        p->checks[i] = (rml_check_input){.name = name, .high = 1};
        if (guide && guide->low < guide->high) {
            p->checks[i].low = guide->low;
            p->checks[i].high = guide->high;
        }
    }
    for (int i = 0; i < o->checks.count; i++) {
        port_plan *plan;
        TRY(find_input(p, "check_input", o->checks.items[i].name, &plan, err));
        p->checks[plan - p->plans].path = o->checks.items[i].value;
    }
    return RML_OK;
}

// ---- all of it ----------------------------------------------------------------------------------

// What no guide exports stays as the network has it, and weights alone have no sizes: those known
// serve to try them.
static void begin(port_plan *plan, rml_write_port *port, const convert_options *o)
{
    *port = (rml_write_port){.name = plan->port.name, .as = plan->port.name};
    plan->shape = plan->usual = plan->port.shape;
    const guide_port *guide = o->is_file ? NULL : find_guide_port(o->model, plan->port.name);
    if (!guide)
        return;
    if (guide->name)
        port->as = guide->name;
    for (int k = 0; k < guide->shape.rank && guide->shape.rank == plan->shape.rank; k++)
        if (plan->shape.dim[k] < 0)
            plan->usual.dim[k] = guide->shape.dim[k];
    if (guide->shape.rank)
        port->usual = &plan->usual;
    if (guide->name && !rml_ends_in(o->outfile, ".safetensors"))
        plan->shape = plan->usual;
    // The guide's ONNX file takes any number of sequences.
    if (!o->coreml && strcmp(o->model, "lstm") == 0)
        plan->shape.dim[0] = plan->port.shape.dim[0];
}

static rml_status make(port_plans *p, const convert_options *o, const rml_model *model,
                       rml_error *err)
{
    for (size_t i = 0; i < p->count; i++) {
        port_plan *plan = &p->plans[i];
        plan->is_output = i >= p->inputs;
        plan->port =
            plan->is_output ? rml_model_output(model, i - p->inputs) : rml_model_input(model, i);
        begin(plan, &p->ports[i], o);
        if (plan->is_output)
            continue;
        p->ports[i].shape = &plan->shape;
        plan->size_names = rml_size_names(model, plan->port.name);
    }
    TRY(rename_ports(p, o, "input_name", &o->input_names, 0, err));
    TRY(rename_ports(p, o, "output_name", &o->output_names, p->inputs, err));
    TRY(check_names(p, err));
    TRY(set_shapes(p, o, err));
    name_sizes(p);
    TRY(set_ranges(p, o, err));
    if (o->coreml)
        TRY(fix_sizes(p, o, err));
    TRY(set_checks(p, o, err));
    return port_plans_make_images(p, o, err);
}

rml_status port_plans_make(port_plans *out, const convert_options *o, const rml_model *model,
                           rml_error *err)
{
    const size_t inputs = rml_model_input_count(model);
    const size_t count = inputs + rml_model_output_count(model);
    *out = (port_plans){.plans = calloc(count + 1, sizeof *out->plans),
                        .ports = calloc(count + 1, sizeof *out->ports),
                        .checks = calloc(inputs + 1, sizeof *out->checks),
                        .inputs = inputs};
    if (!out->plans || !out->ports || !out->checks)
        return no_memory(err, count * sizeof *out->plans, "the ports of a network");
    out->count = count;
    return make(out, o, model, err);
}

void port_plans_release(port_plans *p)
{
    free(p->plans);
    free(p->ports);
    free(p->checks);
    *p = (port_plans){0};
}
