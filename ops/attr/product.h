// Attributes of products, attention, norms, quantization, spectra and recurrences.
#ifndef RML_OPS_ATTR_PRODUCT_H
#define RML_OPS_ATTR_PRODUCT_H

#include "ops/attr/basic.h"

// "bij,bjk->bik", without blanks; "..." stands for any number of dimensions. Lives as long as the
// graph.
typedef struct rml_einsum_attr {
    const char *equation;
} rml_einsum_attr;

// Quantization: elements along `axis` share a scale each, or each `block` of them do (0: no
// blocks). The scale's rank tells: 0 or one element is the whole tensor's.
typedef struct rml_quantize_attr {
    int axis; // negative counts from the end
    int64_t block;
    rml_dtype precision; // of the division; quantize only
    rml_dtype to;        // of the result
} rml_quantize_attr;

// Discrete Fourier transforms: of whole signals, and of frames of them.
typedef struct rml_dft_attr {
    int axis; // of dft, where it is no input; negative counts from the end
    bool inverse, onesided;
} rml_dft_attr;

typedef enum rml_window_kind {
    RML_WINDOW_HANN,
    RML_WINDOW_HAMMING,
    RML_WINDOW_BLACKMAN
} rml_window_kind;

typedef struct rml_window_function_attr {
    rml_dtype to;
    rml_window_kind kind;
    bool symmetric; // the last number equals the first
} rml_window_function_attr;

typedef struct rml_rotary_attr {
    int64_t heads;    // of an input of three dimensions; 0: it has four
    int64_t rotated;  // the first elements of a head; 0: all
    bool interleaved; // pairs lie side by side, and not half a head apart
} rml_rotary_attr;

typedef enum rml_fading_rule {
    RML_FADING_LINEAR,
    RML_FADING_GATED,
    RML_FADING_DELTA,
    RML_FADING_GATED_DELTA
} rml_fading_rule;

typedef struct rml_linear_attention_attr {
    rml_fading_rule rule;
    int64_t heads, key_heads;
    double scale; // 0: 1 / sqrt(size of a head)
} rml_linear_attention_attr;

typedef struct rml_causal_conv_attr {
    bool silu;
} rml_causal_conv_attr;

typedef enum rml_rnn_kind { RML_RNN_PLAIN, RML_RNN_GRU, RML_RNN_LSTM } rml_rnn_kind;

typedef enum rml_rnn_function {
    RML_RNN_TANH,
    RML_RNN_SIGMOID,
    RML_RNN_RELU,
    RML_RNN_AFFINE,
    RML_RNN_LEAKY_RELU,
    RML_RNN_THRESHOLDED_RELU,
    RML_RNN_SCALED_TANH,
    RML_RNN_HARD_SIGMOID,
    RML_RNN_ELU,
    RML_RNN_SOFTSIGN,
    RML_RNN_SOFTPLUS,
} rml_rnn_function;

typedef struct rml_rnn_activation {
    rml_rnn_function function;
    float alpha, beta;
} rml_rnn_activation;

// Recurrent layers as ONNX defines them, see ops/recurrent/rnn.c.
typedef struct rml_rnn_attr {
    rml_rnn_kind kind;
    int directions; // 1 or 2
    bool reverse;   // the only direction goes from the end
    bool batch_first;
    bool torch_gates;          // lstm: rows of w, r and bias are i f c o, as torch has them
    bool input_forget;         // lstm: the forget gate is 1 - the input gate
    bool linear_before_reset;  // gru
    float clip;                // of the input of activations; INFINITY: none
    float cell_clip;           // lstm: of the new cells; 0: none
    rml_rnn_activation act[6]; // f, g, h of the first direction, then of the second
} rml_rnn_attr;

// ---- attention ----------------------------------------------------------------------------------

// Which numbers the second output has.
typedef enum rml_attention_scores {
    RML_ATTENTION_NO_SCORES, // there is no second output
    RML_ATTENTION_SCALED,
    RML_ATTENTION_CAPPED,
    RML_ATTENTION_MASKED,
    RML_ATTENTION_SOFTMAX
} rml_attention_scores;

typedef struct rml_attention_attr {
    int64_t heads;     // of queries of three dimensions, where heads lie side by side in the last
    int64_t key_heads; // of keys and values of three dimensions; 0: as many
    float scale;       // of the scores; 0: 1 / sqrt(size of a head of q)
    bool causal;       // a query sees no keys behind its own place
    bool window[2];    // it sees as many keys before, and behind, its own place as `side` says
    int64_t side[2];   // where `window` is set
    float softcap;     // scores become softcap * tanh(score / softcap); 0: they do not
    bool wide;         // in double, whatever the type
    rml_attention_scores scores;
} rml_attention_attr;

// ---- norms --------------------------------------------------------------------------------------

typedef struct rml_layer_norm_attr {
    int axis;     // the first normalised dimension; negative counts from the end
    float eps;    // added to the variance
    bool rms;     // the mean is taken as 0
    bool moments; // two more outputs: the mean, and 1 / sqrt(variance + eps)
} rml_layer_norm_attr;

typedef struct rml_lrn_attr {
    int64_t size; // channels of a window
    float alpha, beta, bias;
} rml_lrn_attr;

typedef enum rml_nll_reduction { RML_NLL_NONE, RML_NLL_SUM, RML_NLL_MEAN } rml_nll_reduction;

typedef struct rml_nll_attr {
    rml_nll_reduction reduction;
    bool ignores; // targets that are `ignored` count for nothing
    int64_t ignored;
} rml_nll_attr;

// The first convolution of speech networks, see ops/conv/waveform_conv.c.
typedef struct rml_wave_attr {
    int64_t stride;     // in samples, of the convolution
    float eps;          // wave_norm: added to the variance
    rml_activation act; // wave_conv
} rml_wave_attr;

#endif
