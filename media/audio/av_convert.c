#include "media/audio/av_convert.h"

#include "media/audio/audio_in.h"

#include <libavutil/channel_layout.h>
#include <libavutil/mathematics.h>

#include <math.h>

bool rml_av_convert_fits(const rml_av_convert *convert, const AVFrame *frame)
{
    return convert->swr && convert->rate == frame->sample_rate &&
           convert->format == frame->format &&
           av_channel_layout_compare(&convert->layout, &frame->ch_layout) == 0;
}

// The highest level that a voice on speakers `a` and `b` alike comes to in any speaker; b < 0: on
// `a` alone.
static double highest(const double *matrix, int inputs, int outputs, int a, int b)
{
    double most = 0.0;
    for (int o = 0; a >= 0 && o < outputs; o++)
        most = fmax(most, matrix[o * inputs + a] + (b >= 0 ? matrix[o * inputs + b] : 0.0));
    return most;
}

// Who speaks in the middle, from the centre or from left and right alike, keeps the level: a
// matrix that keeps the power makes mono of stereo 1.41 times as loud, and one that no sum can
// overload makes it depend on the speakers that are silent.
static void keep_middle(double *matrix, const AVChannelLayout *in, int outputs)
{
    const int inputs = in->nb_channels;
    const int left = av_channel_layout_index_from_channel(in, AV_CHAN_FRONT_LEFT);
    const int right = av_channel_layout_index_from_channel(in, AV_CHAN_FRONT_RIGHT);
    const int centre = av_channel_layout_index_from_channel(in, AV_CHAN_FRONT_CENTER);
    const double sides = right >= 0 ? highest(matrix, inputs, outputs, left, right) : 0.0;
    const double middle = highest(matrix, inputs, outputs, centre, -1);
    for (int i = 0; i < inputs; i++) {
        const double level = i == centre ? middle : sides;
        for (int o = 0; level > 0.0 && o < outputs; o++)
            matrix[o * inputs + i] /= level;
    }
}

static int mix(SwrContext *swr, const AVChannelLayout *in, const AVChannelLayout *out)
{
    double matrix[RML_AUDIO_MAX_CHANNELS * RML_AUDIO_MAX_CHANNELS] = {0};
    if (av_channel_layout_compare(in, out) == 0 || in->nb_channels > RML_AUDIO_MAX_CHANNELS ||
        out->nb_channels > RML_AUDIO_MAX_CHANNELS ||
        swr_build_matrix2(in, out, M_SQRT1_2, M_SQRT1_2, 0.0, HUGE_VAL, 1.0, matrix,
                          in->nb_channels, AV_MATRIX_ENCODING_NONE, NULL) < 0)
        return 0; // nothing to mix, or libswresample does it its own way or refuses
    keep_middle(matrix, in, out->nb_channels);
    return swr_set_matrix(swr, matrix, in->nb_channels);
}

int rml_av_convert_to(rml_av_convert *convert, const AVFrame *frame, AVCodecContext *encoder)
{
    rml_av_convert *c = convert;
    swr_free(&c->swr);
    AVChannelLayout layout = {0}; // swresample wants a layout that names its speakers
    int code = 0;
    if (frame->ch_layout.order == AV_CHANNEL_ORDER_UNSPEC)
        av_channel_layout_default(&layout, frame->ch_layout.nb_channels);
    else
        code = av_channel_layout_copy(&layout, &frame->ch_layout);
    if (code >= 0)
        code = swr_alloc_set_opts2(&c->swr, &encoder->ch_layout, encoder->sample_fmt,
                                   encoder->sample_rate, &layout, frame->format, frame->sample_rate,
                                   0, NULL);
    if (code >= 0)
        code = mix(c->swr, &layout, &encoder->ch_layout);
    av_channel_layout_uninit(&layout);
    if (code >= 0)
        code = swr_init(c->swr);
    if (code >= 0)
        code = av_channel_layout_copy(&c->layout, &frame->ch_layout);
    c->rate = frame->sample_rate;
    c->format = frame->format;
    return code;
}

void rml_av_convert_close(rml_av_convert *convert)
{
    swr_free(&convert->swr);
    av_channel_layout_uninit(&convert->layout);
}
