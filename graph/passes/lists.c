// Which passes there are for which graphs, in the order of all.
#include "graph/passes/passes.h"

#define COUNT(list) (sizeof(list) / sizeof *(list))

static const rml_pass all[] = {
    {"fold_const", false, rml_pass_fold_const}, {"widen", false, rml_pass_widen},
    {"fold_bn", false, rml_pass_fold_bn},       {"fuse_act", false, rml_pass_fuse_act},
    {"fuse_block", false, rml_pass_fuse_block}, {"dce", false, rml_pass_dce},
    {"twice", false, rml_pass_upsample2x},      {"layout", true, rml_pass_layout},
};
static const rml_pass round_f16 = {"round_f16", true, rml_pass_round_f16};
static const rml_pass round_f16_inside = {"round_f16", true, rml_pass_round_f16_inside};
const rml_pass_list rml_passes_all = {all, COUNT(all), &round_f16, &round_f16_inside};

// The operators that these networks name want constants.
static const rml_pass images[] = {
    {"fold_const", true, rml_pass_fold_const},
    {"fold_bn", false, rml_pass_fold_bn},
    {"fuse_act", false, rml_pass_fuse_act},
    {"fuse_block", false, rml_pass_fuse_block},
    {"dce", false, rml_pass_dce},
    {"layout", true, rml_pass_layout},
};
const rml_pass_list rml_passes_images = {images, COUNT(images), NULL, NULL};

static const rml_pass sequences[] = {
    {"fold_const", true, rml_pass_fold_const},
    {"dce", false, rml_pass_dce},
};
const rml_pass_list rml_passes_sequences = {sequences, COUNT(sequences), NULL, NULL};
