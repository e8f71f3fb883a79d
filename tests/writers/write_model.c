// Writes a model as tests ask for it:
//
//   write_model SOURCE OUT [option=value]...
//
// SOURCE is a graph file, or, with weights=FILE, a built-in network; weights=random:SEED makes
// some. Options: ios, opset, kind (f16, int8, or palette4 for 4 bits), labels=a,b,c, author,
// license, description, source, and port=NAME,key=value.. with as, shape=1x3x4x4, low, high, usual,
// colours (gray, rgb, bgr), scale=1/2/3 and bias.
#include "runmodel.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MOST_PORTS = 64, MOST_NUMBERS = 8, MOST_LABELS = 2048 };

typedef struct port_numbers {
    rml_shape shape[4];
    float scale[MOST_NUMBERS], bias[MOST_NUMBERS];
} port_numbers;

typedef struct job {
    rml_write_settings settings;
    rml_write_port ports[MOST_PORTS];
    port_numbers numbers[MOST_PORTS];
    const char *labels[MOST_LABELS];
    const char *weights;
} job;

static const rml_shape *read_shape(rml_shape *out, const char *text)
{
    *out = (rml_shape){0};
    for (char *end; *text && out->rank < RML_MAX_RANK; text = *end ? end + 1 : end)
        out->dim[out->rank++] = strtoll(text, &end, 10);
    return out;
}

static size_t read_floats(float *out, const char *text)
{
    size_t count = 0;
    for (char *end; *text && count < MOST_NUMBERS; text = *end ? end + 1 : end)
        out[count++] = strtof(text, &end);
    return count;
}

static rml_colours read_colours(const char *text)
{
    return strcmp(text, "gray") == 0  ? RML_COLOURS_GRAY
           : strcmp(text, "bgr") == 0 ? RML_COLOURS_BGR
                                      : RML_COLOURS_RGB;
}

static void set_port(rml_write_port *port, port_numbers *numbers, const char *key,
                     const char *value)
{
    static const char *const shapes[] = {"shape", "low", "high", "usual"};
    const rml_shape **const to[] = {&port->shape, &port->low, &port->high, &port->usual};
    for (int i = 0; i < 4; i++)
        if (strcmp(key, shapes[i]) == 0)
            *to[i] = read_shape(&numbers->shape[i], value);
    if (strcmp(key, "as") == 0)
        port->as = value;
    if (strcmp(key, "colours") == 0)
        port->colours = read_colours(value);
    if (strcmp(key, "scale") == 0) {
        port->scale = numbers->scale;
        port->scale_count = read_floats(numbers->scale, value);
    }
    if (strcmp(key, "bias") == 0) {
        port->bias = numbers->bias;
        port->bias_count = read_floats(numbers->bias, value);
    }
}

static void add_port(job *j, char *text)
{
    if (j->settings.port_count == MOST_PORTS)
        exit(2);
    rml_write_port *port = &j->ports[j->settings.port_count];
    port_numbers *numbers = &j->numbers[j->settings.port_count++];
    port->name = strtok(text, ",");
    for (char *part = strtok(NULL, ","); part; part = strtok(NULL, ",")) {
        char *value = strchr(part, '=');
        *value++ = 0;
        set_port(port, numbers, part, value);
    }
    j->settings.ports = j->ports;
}

static void add_labels(job *j, char *text)
{
    for (char *part = strtok(text, ","); part; part = strtok(NULL, ","))
        j->labels[j->settings.label_count++] = part;
    j->settings.labels = j->labels;
}

static int set(job *j, const char *key, char *value)
{
    rml_write_settings *s = &j->settings;
    const struct {
        const char *key;
        const char **to;
    } texts[] = {{"author", &s->author},           {"license", &s->license},
                 {"description", &s->description}, {"source", &s->source},
                 {"version", &s->version},         {"label_name", &s->label_name},
                 {"scores_name", &s->scores_name}, {"weights", &j->weights}};
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
        if (strcmp(texts[i].key, key) == 0) {
            *texts[i].to = value;
            return 0;
        }
    if (strcmp(key, "ios") == 0)
        s->ios = atoi(value);
    else if (strcmp(key, "opset") == 0)
        s->opset = atoi(value);
    else if (strcmp(key, "kind") == 0 && strncmp(value, "palette", 7) == 0) {
        s->weights = RML_WRITE_PALETTE;
        s->palette_bits = atoi(value + 7);
    } else if (strcmp(key, "kind") == 0)
        s->weights = strcmp(value, "int8") == 0 ? RML_WRITE_INT8 : RML_WRITE_F16;
    else if (strcmp(key, "port") == 0)
        add_port(j, value);
    else if (strcmp(key, "labels") == 0)
        add_labels(j, value);
    else
        return fprintf(stderr, "unknown option %s\n", key), 2;
    return 0;
}

static void hear(void *user, const char *line)
{
    (void)user;
    printf("%s\n", line);
}

static rml_status write(const job *j, const char *source, const char *out, rml_error *err)
{
    rml_weights *weights = NULL;
    rml_model *model = NULL;
    rml_model_settings settings = rml_model_settings_default();
    settings.as_written = true;
    rml_status status = RML_OK;
    if (j->weights && strncmp(j->weights, "random:", 7) == 0)
        status =
            rml_weights_create_random(&weights, source, (uint64_t)atoi(j->weights + 7), NULL, err);
    else if (j->weights)
        status = rml_weights_open(&weights, j->weights, NULL, err);
    if (status == RML_OK)
        status = j->weights ? rml_model_create(&model, source, weights, &settings, err)
                            : rml_model_open(&model, source, &settings, err);
    if (status == RML_OK)
        status = rml_model_write(model, out, &j->settings, err);
    rml_model_destroy(&model);
    rml_weights_close(&weights);
    return status;
}

int main(int argc, char **argv)
{
    static job j;
    rml_error err = {0};
    if (argc < 3)
        return 2;
    j.settings = rml_write_settings_default();
    j.settings.log = hear;
    for (int i = 3; i < argc; i++) {
        char *value = strchr(argv[i], '=');
        if (!value)
            return 2;
        *value++ = 0;
        if (set(&j, argv[i], value))
            return 2;
    }
    if (write(&j, argv[1], argv[2], &err) == RML_OK)
        return 0;
    fprintf(stderr, "%s\n", err.message);
    return 1;
}
