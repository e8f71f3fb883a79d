// NumPy archives (.npz) as stores of tensors.
#ifndef RML_LOADERS_WEIGHTS_NPZ_H
#define RML_LOADERS_WEIGHTS_NPZ_H

#include "loaders/weights/readers.h"
#include "loaders/formats/zip.h"

// Whether all entries are arrays.
bool rml_zip_is_npz(const rml_zip *zip);

// Adds all arrays under their names without ".npy". Compressed ones are refused, by their names.
rml_status rml_read_npz(rml_weights *weights, const rml_zip *zip, rml_error *err);

#endif
