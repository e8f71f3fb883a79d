// Inside of rml_model_check: who reports, and the parts that look at a Core ML model.
//
// Each part reports what it finds and goes on; it returns a status only for what keeps it from
// looking at all, such as want of memory.
#ifndef RML_LOADERS_CHECK_CHECK_H
#define RML_LOADERS_CHECK_CHECK_H

#include "loaders/coreml/mil.h"
#include "loaders/coreml/nn_importer.h"
#include "loaders/coreml/reader.h"
#include "loaders/onnx/file.h"

#define RML_PLACE_BYTES 192

typedef struct rml_checker {
    const rml_allocator *allocator;
    rml_check_fn report;
    void *user;
    const char *around; // of a pipeline's stage: "pipeline stage 2: ", else ""
    size_t faults;
    bool unreadable; // some part of the file could not be read
    rml_error *err;
} rml_checker;

void rml_check_fault(rml_checker *checker, const char *place, const char *format, ...)
    RML_PRINTF(3, 4);
// The same against a rule that has a name.
void rml_check_fault_of(rml_checker *checker, rml_check_rule rule, const char *place,
                        const char *format, ...) RML_PRINTF(4, 5);
void rml_check_warning(rml_checker *checker, const char *place, const char *format, ...)
    RML_PRINTF(3, 4);
void rml_check_note(rml_checker *checker, const char *format, ...) RML_PRINTF(2, 3);

// What a reader says of a part that it cannot read is a fault; want of memory is returned.
rml_status rml_check_read(rml_checker *checker, const char *place, rml_status status,
                          const rml_error *why);

// "operation \"x_1\" (conv)" in `out`, which it returns.
const char *rml_check_place(char out[RML_PLACE_BYTES], const char *what, const char *name,
                            const char *kind);

// Whether two shapes may be those of one value: -1 is any size.
bool rml_check_sizes_agree(const rml_shape *a, const rml_shape *b);

// An ONNX file that is open, which this closes.
rml_status rml_check_onnx(rml_checker *checker, rml_onnx *file);

// The manifest of a package: of a folder, if it is one, and of an archive.
rml_status rml_check_package(rml_checker *checker, const char *path);
rml_status rml_check_archive(rml_checker *checker, rml_coreml *file);

// A Core ML file that is mapped, or a model in it. `model` is what is read on the way.
// `path` is what the file was opened by.
rml_status rml_check_coreml(rml_checker *checker, rml_coreml *file, const char *path);
rml_status rml_check_model(rml_checker *checker, rml_coreml *file, const rml_protobuf *message,
                           int depth);
rml_status rml_check_description(rml_checker *checker, rml_coreml *file,
                                 const rml_protobuf *message, rml_coreml_model *model);
void rml_check_classifier(rml_checker *checker, const rml_coreml_ports *ports, size_t texts,
                          size_t numbers);

// Labels that occur twice.
rml_status rml_check_labels(rml_checker *checker, const rml_text *texts, size_t text_count,
                            const int64_t *numbers, size_t number_count);

// An ML Program. Of `ports`, which may be NULL, the function has inputs and outputs.
rml_status rml_check_program(rml_checker *checker, rml_coreml *file, const rml_coreml_model *model);
rml_status rml_check_operations(rml_checker *checker, rml_coreml *file,
                                const rml_mil_function *function, const rml_coreml_ports *ports);

// A value of the function, by name: NULL where there is none.
typedef const rml_mil_type *(*rml_check_type_fn)(void *user, const char *name);
void rml_check_interface(rml_checker *checker, const rml_mil_function *function,
                         const rml_coreml_ports *ports, rml_check_type_fn type_of, void *user);

// A neural network.
rml_status rml_check_network(rml_checker *checker, rml_coreml *file, const rml_coreml_model *model);
rml_status rml_check_layer(rml_checker *checker, rml_coreml *file, const rml_coreml_model *model,
                           const rml_nn_layer *layer, const char *place);

#endif
