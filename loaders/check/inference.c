// What importing a Core ML model tells: types and shapes of all results, against what is declared
// and described.
#include "loaders/check/check.h"

#include "loaders/coreml/model.h"
#include "tensor/tensor.h"

#include <stdio.h>
#include <string.h>

typedef struct watcher {
    rml_checker *checker;
    bool refused; // something cannot be computed here, which is no fault
    char why[RML_MESSAGE_BYTES];
} watcher;

static void on_unread(void *user, const char *type, const char *name, const char *why)
{
    watcher *w = user;
    char place[RML_PLACE_BYTES];
    w->checker->unreadable = true;
    rml_check_fault(w->checker, rml_check_place(place, "operation", name, type), "%s", why);
}

static void on_overlap(void *user, const rml_error *fault)
{
    rml_check_fault(user, "weights", "%s", fault->message);
}

static void on_result(void *user, const char *type, const char *name, const rml_shape *declared,
                      const rml_shape *inferred)
{
    watcher *w = user;
    char place[RML_PLACE_BYTES], want[RML_SHAPE_TEXT_BYTES], got[RML_SHAPE_TEXT_BYTES];
    if (!rml_check_sizes_agree(declared, inferred))
        rml_check_fault(w->checker, rml_check_place(place, "operation", name, type),
                        "its result is declared as %s, and is %s", rml_shape_text(declared, want),
                        rml_shape_text(inferred, got));
}

static void on_refused(void *user, const char *what, const char *type, const char *name,
                       const char *why, bool misfit)
{
    watcher *w = user;
    char place[RML_PLACE_BYTES];
    rml_check_place(place, what, name, type);
    if (misfit)
        rml_check_fault(w->checker, place, "%s", why);
    else if (!w->refused)
        snprintf(w->why, sizeof w->why, "%s: %s", place, why);
    w->refused = true;
}

static int64_t channels_of(const rml_coreml_feature *image)
{
    return image->color == RML_COREML_GRAY || image->color == RML_COREML_GRAY_F16 ? 1 : 3;
}

// An image output has the channels and the size that are described; an array its sizes, but for
// dimensions of 1 in front, which files leave out.
static void check_output(rml_checker *checker, const rml_coreml_feature *feature,
                         const rml_shape *shape)
{
    char place[RML_PLACE_BYTES], text[RML_SHAPE_TEXT_BYTES], said[RML_SHAPE_TEXT_BYTES];
    rml_shape want = {.rank = 0};
    int from = 0;
    rml_check_place(place, "output", feature->name, "");
    if (shape->rank < 0)
        return;
    if (feature->kind == RML_COREML_IMAGE) {
        const int64_t channels = shape->rank >= 3 ? shape->dim[shape->rank - 3] : 1;
        bool single = true;
        for (int i = 0; i + 3 < shape->rank; i++)
            single = single && (shape->dim[i] == 1 || shape->dim[i] < 0);
        if (shape->rank < 2 || !single || (channels >= 0 && channels != channels_of(feature)))
            rml_check_fault(checker, place, "an image of %lld channels, and the result is %s",
                            (long long)channels_of(feature), rml_shape_text(shape, text));
        if (shape->rank < 2 || feature->shape_count || feature->range_count || feature->rank != 2 ||
            (feature->size[0] == 1 && feature->size[1] == 1))
            return;
        for (int i = 0; i < 2; i++)
            want.dim[want.rank++] = feature->size[i];
        from = shape->rank - 2;
    } else if (feature->kind == RML_COREML_ARRAY && feature->rank > 0) {
        for (size_t i = 0; i < feature->rank; i++)
            want.dim[want.rank++] = feature->size[i];
        while (from < shape->rank && shape->rank - from > want.rank &&
               (shape->dim[from] == 1 || shape->dim[from] < 0))
            from++;
        if (feature->range_count || feature->shape_count)
            return;
    } else {
        return;
    }
    rml_shape have = {.rank = 0};
    for (int i = from; i < shape->rank; i++)
        have.dim[have.rank++] = shape->dim[i];
    if (have.rank == 0 && want.rank == 1 && want.dim[0] == 1) // a number
        return;
    if (!rml_check_sizes_agree(&want, &have))
        rml_check_fault(checker, place, "it is described as %s, and is %s",
                        rml_shape_text(&want, said), rml_shape_text(shape, text));
}

static void check_results(rml_checker *checker, const rml_coreml_ports *ports,
                          const rml_model *graph)
{
    for (size_t k = 0; k < ports->output_count; k++) {
        const rml_coreml_feature *feature = &ports->output[k];
        const size_t at = rml_graph_find_output(&graph->graph, feature->name);
        if (at < graph->graph.output_count)
            check_output(checker, feature, &graph->graph.values[graph->graph.outputs[at]].shape);
    }
}

static const rml_coreml_feature *find_input(const rml_coreml_ports *ports, const char *name)
{
    for (size_t i = 0; i < ports->input_count; i++)
        if (strcmp(ports->input[i].name, name) == 0)
            return &ports->input[i];
    return NULL;
}

// The size of dimension `i` of an input where a call asks for none: as described, from the end;
// else 1.
static int64_t default_size(const rml_coreml_feature *feature, const rml_shape *shape, int i)
{
    const int back = shape->rank - i;
    int64_t size = shape->dim[i];
    if (size >= 0)
        return size;
    if (feature && (int)feature->rank >= back)
        size = feature->size[(int)feature->rank - back];
    else if (feature && feature->shape_count && feature->shapes[0].rank >= back)
        size = feature->shapes[0].dim[feature->shapes[0].rank - back];
    else if (feature && (int)feature->range_count >= back)
        size = feature->range[(int)feature->range_count - back].low;
    return size > 0 ? size : 1;
}

// Shapes once more, with all sizes of inputs told: those that may change hide what does not fit.
static rml_status infer_default_sizes(const rml_coreml_ports *ports, const rml_graph *graph,
                                      const rml_allocator *allocator, rml_error *err)
{
    rml_arena arena;
    rml_fact *facts = rml_alloc_zero(allocator, graph->value_count, sizeof *facts);
    if (!facts)
        return rml_fail_nomem(err, graph->value_count * sizeof *facts, "the shapes of a model");
    for (size_t i = 0; i < graph->input_count; i++) {
        const rml_value_id input = graph->inputs[i];
        const rml_coreml_feature *feature = find_input(ports, graph->values[input].name);
        rml_shape *shape = &facts[input].shape;
        facts[input] = rml_graph_fact(graph, input);
        for (int k = 0; k < shape->rank; k++)
            shape->dim[k] = default_size(feature, shape, k);
    }
    rml_arena_init(&arena, allocator);
    const rml_status status = rml_graph_infer(graph, facts, &arena, err);
    rml_arena_release(&arena);
    rml_free(allocator, facts);
    return status;
}

static const rml_coreml_ports *ports_of(const rml_coreml_model *model, const char *function)
{
    for (size_t i = 0; i < model->function_count; i++)
        if (strcmp(model->function[i].function, function) == 0)
            return &model->function[i];
    return &model->ports;
}

// Imports the model, which infers types and shapes of all results.
static rml_status infer(rml_checker *checker, rml_coreml *from, const char *path,
                        const char *function)
{
    watcher w = {.checker = checker};
    const rml_coreml_watch watch = {&w, on_unread, on_result, on_refused};
    rml_coreml *file = NULL;
    rml_model *model = NULL;
    rml_error why;
    rml_model_settings settings = rml_model_settings_default();
    settings.allocator = checker->allocator;
    settings.function = *function ? function : NULL;
    rml_status status = rml_named(rml_coreml_open_again(&file, from, &why), &why, path);
    if (status != RML_OK)
        return rml_check_read(checker, "", status, &why);
    file->watch = &watch;
    const size_t before = checker->faults;
    status = rml_coreml_model_from(&model, file, &settings, &why);
    if (status == RML_OK)
        check_results(checker, ports_of(&file->model, function), model);
    if (status == RML_OK && checker->faults == before)
        status = infer_default_sizes(ports_of(&file->model, function), &model->graph,
                                     checker->allocator, &why);
    if (status != RML_OK && w.refused && checker->faults == before)
        rml_check_note(checker, "not all shapes are looked at, since it cannot be run here: %s",
                       w.why);
    else if (status == RML_ERR_UNSUPPORTED && checker->faults == before)
        rml_check_note(checker, "shapes are not looked at, since it cannot be run here: %s",
                       why.message);
    if (status == RML_ERR_NOMEM || (status != RML_OK && status != RML_ERR_UNSUPPORTED &&
                                    !w.refused && checker->faults == before))
        status = rml_check_read(checker, "", status, &why);
    else
        status = RML_OK;
    rml_model_destroy(&model); // and the file
    return status;
}

static rml_status infer_all(rml_checker *checker, rml_coreml *from, const char *path)
{
    rml_coreml *file = NULL;
    rml_error why;
    rml_status status = rml_named(rml_coreml_open_again(&file, from, &why), &why, path);
    if (status != RML_OK)
        return rml_check_read(checker, "", status, &why);
    if (file->model.function_count == 0)
        status = infer(checker, from, path, "");
    for (size_t i = 0; i < file->model.function_count && status == RML_OK; i++)
        status = infer(checker, from, path, file->model.function[i].function);
    rml_coreml_close(&file);
    return status;
}

rml_status rml_check_coreml(rml_checker *checker, rml_coreml *file, const char *path)
{
    watcher w = {.checker = checker};
    const rml_coreml_watch watch = {&w, on_unread, on_result, on_refused};
    rml_protobuf message;
    rml_protobuf_begin(&message, file->message.data, file->message.size);
    file->watch = &watch;
    RML_TRY(rml_check_model(checker, file, &message, 0));
    rml_mil_overlaps(file, on_overlap, checker);
    file->watch = NULL;
    if (checker->faults == 0) // else one fault would be told twice
        RML_TRY(infer_all(checker, file, path));
    rml_check_note(checker,
                   "%zu fault%s in package, versions, names, parameters, types, shapes, weights, "
                   "labels, and description against network; only a Mac tells whether its "
                   "compiler takes the file, on which unit it runs, results in f16, colours, and "
                   "speed",
                   checker->faults, checker->faults == 1 ? "" : "s");
    return RML_OK;
}
