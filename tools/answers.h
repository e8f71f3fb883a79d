// What the classifying commands have in common: labels and how answers are printed.
#ifndef RML_TOOLS_ANSWERS_H
#define RML_TOOLS_ANSWERS_H

#include "pipelines/classify/labels.h"

#include "tools/find_weights.h"
#include "tools/options.h"
#include "tools/report.h"

typedef struct answers {
    const char *labels_path; // named, or NULL
    bool csv;
    int top;
    network network;
    rml_labels labels;
    progress progress;
    int64_t done, failed;
} answers;

// Labels: those that are named, or of the network's own file, or of the file beside the weights
// whose name is theirs with "_labels.txt" for the ending; none where there is no such file. There
// must be `classes` of them.
rml_status answers_open_labels(answers *a, int classes, rml_error *err);
void answers_close(answers *a);

// The labels that a port of a model has, which must outlive the answers.
void answers_take_labels(answers *a, const rml_meaning *meaning);

// Chooses the weights of the network; a usage error when there are none, and with --csv --json.
int answers_check(answers *a, const char *command, const char *named, bool json);

// Head of the table, whose first column is called `column`; and progress in `unit`, or NULL.
void answers_begin(answers *a, const char *column, const char *unit, bool quiet);

// An answer as a line "<head>tabby 61.20 %, class 7 20.05 %", as rows of the table beginning with
// `name`, or as JSON: [{"class":281,"label":"tabby","probability":0.612},...], with null where
// there is no name.
void answer_line(const answers *a, const char *head, const rml_top_class *top, int count);
void answer_rows(const answers *a, const char *name, const rml_top_class *top, int count);
void answer_json(const answers *a, const rml_top_class *top, int count);

#endif
