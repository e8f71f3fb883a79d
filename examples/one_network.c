// Runs one network that is known when the program is built, with weights that lie in the program:
// a static program of this kind holds that network and nothing else, see docs/library.md.
//
//   cc -Os -DNETWORK=rml_network_lstm -DINPUT=1,16,1 one_network.c weights.o ... -Wl,--gc-sections
//
// `weights.o` holds a safetensors file between two symbols, as an assembler's .incbin puts it.
#include "runmodel_networks.h"

#include <stdio.h>

#define RANK (sizeof(int64_t[]){INPUT} / sizeof(int64_t))

extern const unsigned char weights_begin[], weights_end[];

static float made_up(size_t i)
{
    return (float)(i % 17) / 16.0f - 0.5f;
}

static rml_status run(rml_session *session, rml_error *err)
{
    rml_shape shape = {(int)RANK, {INPUT}};
    rml_status status = rml_session_resize_at(session, 0, shape, err);
    if (status == RML_OK)
        status = rml_session_prepare(session, err);
    if (status != RML_OK)
        return status;
    float *input = rml_session_input_at(session, 0, &shape);
    size_t count = 1;
    for (int i = 0; i < shape.rank; i++)
        count *= (size_t)shape.dim[i];
    for (size_t i = 0; i < count; i++)
        input[i] = made_up(i);
    return rml_session_run(session, err);
}

// The bits of each number, so that two machines can be compared: by hand, for printf has 13 KB.
static void print_output(rml_session *session)
{
    rml_shape shape;
    const float *output = rml_session_output_at(session, 0, &shape);
    for (int64_t i = 0; i < shape.dim[shape.rank - 1]; i++) {
        const union {
            float value;
            uint32_t bits;
        } number = {output[i]};
        char text[9] = {0};
        for (int k = 0; k < 8; k++)
            text[k] = "0123456789abcdef"[number.bits >> (28 - 4 * k) & 15];
        puts(text);
    }
}

int main(void)
{
    static rml_error err; // 4 KB: not on a small stack
    rml_weights *weights = NULL;
    rml_model *model = NULL;
    rml_session *session = NULL;
    rml_session_settings settings = rml_session_settings_default();
    settings.threads = 1;
    rml_status status = rml_weights_open_safetensors(
        &weights, weights_begin, (size_t)(weights_end - weights_begin), NULL, &err);
    if (status == RML_OK)
        status = rml_model_create_network(&model, NETWORK(), weights, NULL, &err);
    if (status == RML_OK)
        status = rml_session_create(&session, model, &settings, &err);
    if (status == RML_OK)
        status = run(session, &err);
    if (status == RML_OK)
        print_output(session);
    else
        puts(err.message);
    rml_session_destroy(&session);
    rml_model_destroy(&model);
    rml_weights_close(&weights);
    return status == RML_OK ? 0 : 1;
}
