// What pipelines ask of a network that takes several samples in one run.
#ifndef RML_PIPELINES_BATCHES_H
#define RML_PIPELINES_BATCHES_H

#include "runmodel.h"

// How many samples the network's file fixes for each run: of all inputs of rank 4 the largest first
// dimension up to `most`. 0: any number.
int rml_fixed_batch(const rml_model *model, int most);

// RML_ERR_FORMAT where one of the numbers that a network gave is not finite.
rml_status rml_check_finite(const float *values, size_t count, rml_error *err);

#endif
