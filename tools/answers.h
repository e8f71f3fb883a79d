// What the classifying commands have in common: labels and how answers are printed.
#ifndef RML_TOOLS_ANSWERS_H
#define RML_TOOLS_ANSWERS_H

#include "pipelines/classify/labels.h"
#include "pipelines/classify/top_classes.h"

#include <stdio.h>

// The labels of `named`, or of the file beside the weights whose name is theirs with "_labels.txt"
// for the ending; none where there is no such file. There must be `classes` of them.
rml_status labels_open(rml_labels *out, const char *named, const char *weights, int classes,
                       rml_error *err);

// "tabby 61.20 %, Egyptian cat 20.05 %"; "class 7" where a class has no name.
void print_answer(FILE *file, const rml_labels *labels, const rml_top_class *top, int count);

// [{"class":281,"label":"tabby","probability":0.612},...], with null where there is no name.
void json_answer(FILE *file, const rml_labels *labels, const rml_top_class *top, int count);

// One line a class: `what`, rank, class, label, probability.
#define CSV_ANSWER_COLUMNS "rank,class,label,probability"
void csv_answer(FILE *file, const char *what, const rml_labels *labels, const rml_top_class *top,
                int count);

#endif
