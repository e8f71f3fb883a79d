#include "engine/kit.h"

#include "engine/control.h"
#include "engine/crop.h"

const rml_kit rml_kit_whole = {
    .passes = &rml_passes_all,
    .bands_choose = rml_bands_choose,
    .bands_count = rml_bands_count,
    .bands_sweep = rml_bands_sweep,
    .crop_plan = rml_crop_plan,
    .crop_run = rml_crop_run,
    .crop_macs = rml_crop_macs,
    .control_begin = rml_control_begin,
    .control_next = rml_control_next,
};

const rml_kit rml_kit_images = {.passes = &rml_passes_images};

const rml_kit rml_kit_sequences = {.passes = &rml_passes_sequences};
