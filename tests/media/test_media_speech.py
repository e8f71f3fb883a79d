"""Speech as networks take it, against transformers' feature extractors."""

import numpy as np
import pytest
from transformers import Wav2Vec2FeatureExtractor, WhisperFeatureExtractor

import media_library

# The extractor rounds spectra to complex64 and the result to float32; a column is a quarter of a
# log10, whose slope at relative errors is 0.44.
MEL_TOLERANCE = 1e-6


def sound(count, seed=1):
    """Noise over a tone, loud and quiet by turns, so that the floor is met."""
    g = np.random.default_rng(seed)
    time = np.arange(count) / 16000
    swell = 10.0 ** (-3 * (1 + np.sin(2 * np.pi * time / 0.7)))
    x = swell * (0.1 * g.standard_normal(count) + 0.3 * np.sin(2 * np.pi * 440 * time))
    return x.astype(np.float32)


def reference_mel(samples, bands=80):
    extractor = WhisperFeatureExtractor(feature_size=bands)
    return extractor._np_extract_fbank_features(samples[None], "cpu")[0]


@pytest.mark.parametrize("bands", [1, 2, 20, 80, 128])
@pytest.mark.parametrize("count", [201, 320, 400, 16_000, 16_159, 51_003])
def test_log_mel_equals_the_extractor(media, count, bands):
    samples = sound(count)
    ours, reference = media.log_mel(samples, bands), reference_mel(samples, bands)
    assert ours.shape == reference.shape
    assert np.abs(ours - reference).max() < MEL_TOLERANCE


def test_log_mel_of_half_a_minute(media):
    """What the extractor gives by its public call, for a clip that fills the window."""
    samples = sound(480_000)
    reference = WhisperFeatureExtractor()(samples, sampling_rate=16000).input_features[0]
    # that call transforms in float32, which transformers itself holds equal to 1e-5
    assert np.abs(media.log_mel(samples) - reference).max() < 1e-5


def test_log_mel_of_silence(media):
    assert (media.log_mel(np.zeros(16_000)) == np.float32((-10 + 4) / 4)).all()


def test_windows(media):
    samples = sound(20_000)
    whole = media.log_mel(samples)
    padded = np.pad(whole, ((0, 0), (10, 100)))
    for first, count in ((0, 125), (0, 50), (100, 75), (-10, 30), (-3, 228), (125, 4)):
        window = media.log_mel(samples, first=first, count=count)
        assert np.array_equal(window, padded[:, 10 + first : 10 + first + count])


@pytest.mark.parametrize("count", [400, 16_000, 160_001])
@pytest.mark.parametrize("offset", [0.0, 0.5])
def test_standardised_equals_the_extractor(media, count, offset):
    samples = sound(count) + np.float32(offset)
    extractor = Wav2Vec2FeatureExtractor(do_normalize=True)
    reference = extractor(samples, sampling_rate=16000).input_values[0]
    ours = media.standardise(samples)
    # float32 sums of the extractor: the mean is rounded, and what is left over it is divided by
    # the deviation
    tolerance = 4 * 2.0**-24 * (1 + np.abs(samples).max() / samples.std())
    assert np.abs(ours - reference).max() < tolerance * max(1, np.abs(ours).max())


def test_standardised_silence(media):
    assert (media.standardise(np.zeros(500)) == 0).all()
    assert (media.standardise(np.full(500, 0.25)) == 0).all()


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_samples_that_are_no_numbers(media, bad):
    samples = sound(1_000)
    samples[160] = bad
    for function in (media.log_mel, media.standardise):
        with pytest.raises(media_library.Failure, match="not a number at 0.010 s"):
            function(samples)


def test_too_short(media):
    with pytest.raises(media_library.Failure, match="too short"):
        media.log_mel(np.zeros(200))
