// A classifier of pictures: a network whose input is (N,3,side,side) and whose output tells the
// probability of each class.
#ifndef RML_PIPELINES_CLASSIFY_CLASSIFY_H
#define RML_PIPELINES_CLASSIFY_CLASSIFY_H

#include "pipelines/classify/picture_input.h"

typedef struct rml_classifier rml_classifier;

// `model` has one input, (N,3,side,side), and gives (N,classes). It must outlive the classifier.
// `side` is that of the pictures; 0: what the network fixes, or 224.
rml_status rml_classifier_create(rml_classifier **out, rml_model *model, int side,
                                 const rml_session_settings *settings, rml_error *err);
void rml_classifier_destroy(rml_classifier **classifier);

int rml_classifier_side(const rml_classifier *classifier);
int rml_classifier_classes(const rml_classifier *classifier);
int rml_classifier_fixed_batch(const rml_classifier *classifier); // 0: any number of pictures
const rml_session *rml_classifier_session(const rml_classifier *classifier);

// Makes room for `count` pictures; *planes is where to write them, (count,3,side,side), each as
// rml_view_picture does.
rml_status rml_classifier_prepare(rml_classifier *classifier, int count, float **planes,
                                  rml_error *err);

// Runs the network on them. *probabilities is (count,classes) and valid until the next prepare.
rml_status rml_classifier_run(rml_classifier *classifier, const float **probabilities,
                              rml_error *err);

#endif
