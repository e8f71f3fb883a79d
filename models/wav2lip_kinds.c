// The layers of all Wav2Lip generators. What follows from shapes is not in the tables: the input's
// width, and the output padding of transposed convolutions, which goes by the size of the skip.
#include "models/wav2lip.h"

// [N,1,80,16]; strides are mel axis, then time.
static const rml_lip_stage audio_512[] = {
    {32, 3, 1, 1, 1, 2},   // [N,32,80,16]
    {64, 3, 3, 1, 1, 2},   // [N,64,27,16]
    {128, 3, 3, 3, 1, 2},  // [N,128,9,6]
    {256, 3, 3, 2, 1, 1},  // [N,256,3,3]
    {512, 3, 1, 1, 0, -1}, // [N,512,1,1]
    {0},
};

static const rml_lip_stage audio_1024[] = {
    {32, 3, 1, 1, 1, 2},    // [N,32,80,16]
    {64, 3, 3, 1, 1, 2},    // [N,64,27,16]
    {128, 3, 3, 3, 1, 2},   // [N,128,9,6]
    {256, 3, 3, 2, 1, 2},   // [N,256,3,3]
    {512, 3, 1, 1, 1, 2},   // [N,512,3,3]
    {1024, 3, 1, 1, 0, -1}, // [N,1024,1,1]
    {0},
};

static const rml_lip_stage audio_128[] = {
    {8, 3, 1, 1, 1, 0},  {16, 3, 3, 1, 1, 0},   {32, 3, 3, 3, 1, 0},
    {64, 3, 3, 2, 1, 0}, {128, 3, 1, 1, 0, -1}, {0},
};

// Sizes of the encoder's stages are those of the decoder's from its end: 96, 48, 24, 12, 6, 3, 1.
static const rml_lip_stage encoder_96[] = {
    {16, 7, 1, 1, 3, 0},  {32, 3, 2, 2, 1, 2},  {64, 3, 2, 2, 1, 3},   {128, 3, 2, 2, 1, 2},
    {256, 3, 2, 2, 1, 2}, {512, 3, 2, 2, 1, 1}, {512, 3, 1, 1, 0, -1}, {0},
};
static const rml_lip_stage decoder_96[] = {
    {512, 1, 1, 1, 0, 0}, {512, 3, 1, 1, 0, 1}, {512, 3, 2, 2, 1, 2}, {384, 3, 2, 2, 1, 2},
    {256, 3, 2, 2, 1, 2}, {128, 3, 2, 2, 1, 2}, {64, 3, 2, 2, 1, 2},  {0},
};

// 96 to 3 as above, then 1; or from 128, to 4.
static const rml_lip_stage encoder_nota_96[] = {
    {4, 7, 1, 1, 3, 0},  {8, 3, 2, 2, 1, 0},   {16, 3, 2, 2, 1, 0},   {32, 3, 2, 2, 1, 0},
    {64, 3, 2, 2, 1, 0}, {128, 3, 2, 2, 1, 0}, {128, 3, 1, 1, 0, -1}, {0},
};
static const rml_lip_stage decoder_nota_96[] = {
    {128, 1, 1, 1, 0, 0}, {128, 3, 1, 1, 0, 0}, {128, 3, 2, 2, 1, 0}, {96, 3, 2, 2, 1, 0},
    {64, 3, 2, 2, 1, 0},  {32, 3, 2, 2, 1, 0},  {16, 3, 2, 2, 1, 0},  {0},
};
static const rml_lip_stage encoder_nota_128[] = {
    {4, 7, 1, 1, 3, 0},  {8, 3, 2, 2, 1, 0},   {16, 3, 2, 2, 1, 0},   {32, 3, 2, 2, 1, 0},
    {64, 3, 2, 2, 1, 0}, {128, 3, 2, 2, 1, 0}, {128, 4, 1, 1, 0, -1}, {0},
};
static const rml_lip_stage decoder_nota_128[] = {
    {128, 1, 1, 1, 0, 0}, {128, 4, 1, 1, 0, 0}, {128, 3, 2, 2, 1, 0}, {96, 3, 2, 2, 1, 0},
    {64, 3, 2, 2, 1, 0},  {32, 3, 2, 2, 1, 0},  {16, 3, 2, 2, 1, 0},  {0},
};

// 256, 128, 64, 32, 16, 8, 4, 1
static const rml_lip_stage encoder_256[] = {
    {16, 7, 1, 1, 3, 0},  {32, 3, 2, 2, 1, 2},   {64, 3, 2, 2, 1, 3},
    {128, 3, 2, 2, 1, 2}, {256, 3, 2, 2, 1, 2},  {512, 3, 2, 2, 1, 1},
    {512, 3, 2, 2, 1, 1}, {512, 4, 1, 1, 0, -1}, {0},
};
static const rml_lip_stage decoder_256[] = {
    {512, 1, 1, 1, 0, 0}, {512, 4, 1, 1, 0, 1}, {512, 3, 2, 2, 1, 1},
    {512, 3, 2, 2, 1, 2}, {384, 3, 2, 2, 1, 2}, {256, 3, 2, 2, 1, 2},
    {128, 3, 2, 2, 1, 2}, {64, 3, 2, 2, 1, 2},  {0},
};

// 288, 144, 72, 36, 18, 9, 5, 3, 1
static const rml_lip_stage encoder_288[] = {
    {16, 7, 1, 1, 3, 0},   {32, 5, 2, 2, 2, 1},
    {32, 3, 2, 2, 1, 2},   {64, 3, 2, 2, 1, 3},
    {128, 3, 2, 2, 1, 2},  {256, 3, 2, 2, 1, 2},
    {512, 3, 2, 2, 1, 1},  {512, 3, 1, 1, 0, -1},
    {512, 3, 1, 1, 0, -1}, {0},
};
static const rml_lip_stage decoder_288[] = {
    {512, 1, 1, 1, 0, 0}, {512, 3, 1, 1, 0, 1},
    {512, 3, 2, 2, 1, 2}, {512, 3, 2, 2, 1, 2},
    {384, 3, 2, 2, 1, 2}, {256, 3, 2, 2, 1, 2},
    {128, 3, 2, 2, 1, 2}, {64, 3, 2, 2, 1, 2},
    {64, 3, 2, 2, 1, 2},  {0},
};

// Written for 192 (192, 96, 48, 24, 12, 6, 3, 1) and used at 384, where it ends at 4.
static const rml_lip_stage encoder_sam8[] = {
    {16, 7, 1, 1, 3, 3},   {32, 3, 2, 2, 1, 3},    {64, 3, 2, 2, 1, 3},
    {128, 3, 2, 2, 1, 3},  {256, 3, 2, 2, 1, 3},   {512, 3, 2, 2, 1, 3},
    {1024, 3, 2, 2, 1, 3}, {1024, 3, 1, 1, 0, -2}, {0},
};
static const rml_lip_stage decoder_sam8[] = {
    {1024, 1, 1, 1, 0, 0}, {1024, 3, 1, 1, 0, 1}, {1024, 3, 2, 2, 1, 2},
    {768, 3, 2, 2, 1, 2},  {512, 3, 2, 2, 1, 2},  {256, 3, 2, 2, 1, 2},
    {128, 3, 2, 2, 1, 2},  {64, 3, 2, 2, 1, 2},   {0},
};

// 384, 192, 96, 48, 24, 12, 6, 3, 1
static const rml_lip_stage encoder_sam9[] = {
    {8, 7, 1, 1, 3, 0},     {16, 3, 2, 2, 1, 2},
    {32, 3, 2, 2, 1, 2},    {64, 3, 2, 2, 1, 2},
    {128, 3, 2, 2, 1, 2},   {256, 3, 2, 2, 1, 2},
    {512, 3, 2, 2, 1, 2},   {1024, 3, 2, 2, 1, 2},
    {1024, 3, 1, 1, 0, -1}, {0},
};
static const rml_lip_stage decoder_sam9[] = {
    {1024, 1, 1, 1, 0, 0}, {1024, 3, 1, 1, 0, 1},
    {1024, 3, 2, 2, 1, 2}, {768, 3, 2, 2, 1, 2},
    {512, 3, 2, 2, 1, 2},  {256, 3, 2, 2, 1, 2},
    {128, 3, 2, 2, 1, 2},  {80, 3, 2, 2, 1, 2},
    {64, 3, 2, 2, 1, 2},   {0},
};

// As before, but for one block in the encoder and the widths at the decoder's end.
static const rml_lip_stage encoder_leaky384[] = {
    {8, 7, 1, 1, 3, 0},     {16, 3, 2, 2, 1, 2},
    {32, 3, 2, 2, 1, 2},    {64, 3, 2, 2, 1, 3},
    {128, 3, 2, 2, 1, 2},   {256, 3, 2, 2, 1, 2},
    {512, 3, 2, 2, 1, 2},   {1024, 3, 2, 2, 1, 2},
    {1024, 3, 1, 1, 0, -1}, {0},
};
static const rml_lip_stage decoder_leaky384[] = {
    {1024, 1, 1, 1, 0, 0}, {1024, 3, 1, 1, 0, 1},
    {1024, 3, 2, 2, 1, 2}, {768, 3, 2, 2, 1, 2},
    {512, 3, 2, 2, 1, 2},  {256, 3, 2, 2, 1, 2},
    {128, 3, 2, 2, 1, 2},  {64, 3, 2, 2, 1, 2},
    {32, 3, 2, 2, 1, 2},   {0},
};

// 512, 256, 128, 64, 32, 16, 8, 4, 2, 1: all by strides
static const rml_lip_stage encoder_leaky512[] = {
    {6, 7, 1, 1, 3, 2},
    {6, 3, 2, 2, 1, 2},
    {8, 3, 2, 2, 1, 2},
    {16, 3, 2, 2, 1, 2},
    {32, 3, 2, 2, 1, 2},
    {64, 3, 2, 2, 1, 2},
    {128, 3, 2, 2, 1, 2},
    {256, 3, 2, 2, 1, 2},
    {512, 3, 2, 2, 1, 2},
    {1024, 3, 2, 2, 1, 2},
    {0},
};
static const rml_lip_stage decoder_leaky512[] = {
    {1024, 1, 1, 1, 0, 0},
    {1024, 3, 2, 2, 1, 1},
    {1024, 3, 2, 2, 1, 2},
    {768, 3, 2, 2, 1, 2},
    {512, 3, 2, 2, 1, 2},
    {256, 3, 2, 2, 1, 2},
    {128, 3, 2, 2, 1, 2},
    {80, 3, 2, 2, 1, 2},
    {64, 3, 2, 2, 1, 2},
    {50, 3, 2, 2, 1, 2},
    {0},
};

static const rml_lip_stage head_32[] = {{32, 3, 1, 1, 1, 0}, {0}};
static const rml_lip_stage head_16[] = {{16, 3, 1, 1, 1, 0}, {0}};
static const rml_lip_stage head_8[] = {{8, 3, 1, 1, 1, 0}, {0}};
static const rml_lip_stage head_32_16[] = {{32, 3, 1, 1, 1, 0}, {16, 3, 1, 1, 1, 0}, {0}};

const rml_wav2lip_kind *rml_wav2lip_kind_at(size_t index)
{
    static const rml_wav2lip_kind kinds[] = {
        {.name = "96",
         .side = 96,
         .audio = audio_512,
         .encoder = encoder_96,
         .decoder = decoder_96,
         .head = head_32},
        {.name = "nota96",
         .side = 96,
         .audio = audio_128,
         .encoder = encoder_nota_96,
         .decoder = decoder_nota_96,
         .head = head_8},
        {.name = "nota128",
         .side = 128,
         .audio = audio_128,
         .encoder = encoder_nota_128,
         .decoder = decoder_nota_128,
         .head = head_8},
        {.name = "256",
         .side = 256,
         .audio = audio_512,
         .encoder = encoder_256,
         .decoder = decoder_256,
         .head = head_32},
        {.name = "288",
         .side = 288,
         .audio = audio_512,
         .encoder = encoder_288,
         .decoder = decoder_288,
         .head = head_32},
        {.name = "288-prelu",
         .side = 288,
         .audio = audio_512,
         .encoder = encoder_288,
         .decoder = decoder_288,
         .head = head_32,
         .prelu = true},
        {.name = "sam8",
         .side = 384,
         .audio = audio_1024,
         .encoder = encoder_sam8,
         .decoder = decoder_sam8,
         .head = head_32,
         .open = RML_WAV2LIP_TELL_SIDE | RML_WAV2LIP_TELL_REFINE | RML_WAV2LIP_TELL_LAST |
                 RML_WAV2LIP_TELL_LEAKY_AUDIO,
         .attention = true,
         .has_refine = true},
        {.name = "sam9",
         .side = 384,
         .audio = audio_1024,
         .encoder = encoder_sam9,
         .decoder = decoder_sam9,
         .head = head_32,
         .open = RML_WAV2LIP_TELL_LEAKY_AUDIO | RML_WAV2LIP_TELL_ATTENTION,
         .attention = true,
         .has_refine = true,
         .refine = true,
         .norm = true,
         .tanh = true},
        {.name = "leaky384",
         .side = 384,
         .audio = audio_1024,
         .encoder = encoder_leaky384,
         .decoder = decoder_leaky384,
         .head = head_16,
         .open = RML_WAV2LIP_TELL_PICTURES,
         .has_refine = true,
         .refine = true,
         .leaky = true,
         .leaky_audio = true,
         .tanh = true,
         .signed_faces = true},
        {.name = "leaky512",
         .side = 512,
         .audio = audio_1024,
         .encoder = encoder_leaky512,
         .decoder = decoder_leaky512,
         .head = head_32_16,
         .open = RML_WAV2LIP_TELL_PICTURES,
         .norm = true,
         .leaky = true,
         .leaky_audio = true,
         .tanh = true,
         .signed_faces = true},
    };
    return index < sizeof kinds / sizeof *kinds ? &kinds[index] : NULL;
}
