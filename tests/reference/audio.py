"""Wav2Lip's audio front end as librosa 0.7.0 computed it: load, resample, mel, chunks."""

import subprocess
import tempfile
from pathlib import Path

import librosa
import numpy as np
import soundfile
from scipy import signal

RATE = 16000
MEL_COLUMNS = 16  # of one chunk
COLUMNS_PER_SECOND = 80.0


def kaiser_best(x: np.ndarray, rate: int, target: int = RATE) -> np.ndarray:
    """resampy 0.2's kaiser_best, with its truncated table step, padded to librosa's length."""
    if rate == target:
        return x
    zeros, per_zero, beta, rolloff = 64, 512, 14.769656459379492, 0.9475937167399596
    count = zeros * per_zero + 1
    window = np.kaiser(2 * count - 1, beta)[count - 1 :]
    window = window * rolloff * np.sinc(rolloff * np.linspace(0, zeros, count))
    ratio = target / rate
    if ratio < 1:
        window = window * ratio
    delta = np.append(np.diff(window), 0.0)
    scale = min(1.0, ratio)
    step = int(scale * per_zero)

    x = x.astype(np.float64)
    made = int(len(x) * ratio)
    # The time register is a running sum of 1/ratio, not a product.
    time = np.concatenate([[0.0], np.cumsum(np.full(made - 1, 1.0 / ratio))])
    n = time.astype(np.int64)
    y = np.zeros(made)
    left_fraction = scale * (time - n)
    right_room = len(x) - n - 1
    for fraction, start, direction, room in (
        (left_fraction, n, -1, n + 1),
        (scale - left_fraction, n + 1, 1, right_room),
    ):
        index = fraction * per_zero
        offset = index.astype(np.int64)
        eta = index - offset
        taps = np.minimum(room, (count - offset) // step)
        for i in range(int(taps.max(initial=0))):
            active = np.nonzero(taps > i)[0]
            at = offset[active] + i * step
            weight = window[at] + eta[active] * delta[at]
            y[active] += weight * x[start[active] + direction * i]
    length = int(np.ceil(len(x) * ratio))
    return np.pad(y, (0, max(0, length - made)))[:length].astype(np.float32)


def load(path) -> np.ndarray:
    """Mono float32 at 16 kHz; whatever is not a wav goes through ffmpeg's 16-bit wav first."""
    path = Path(path)
    if not str(path).endswith(".wav"):
        with tempfile.TemporaryDirectory() as folder:
            wav = Path(folder) / "temp.wav"
            command = ["ffmpeg", "-v", "error", "-y", "-i", str(path), "-strict", "-2", str(wav)]
            subprocess.run(command, check=True)
            return load(wav)
    x, rate = soundfile.read(path, dtype="float32", always_2d=True)
    return kaiser_best(x.mean(axis=1, dtype=np.float32), rate)


def mel_spectrogram(wav: np.ndarray) -> np.ndarray:
    """(80, 1 + n // 200) float32 in [-4, 4]."""
    y = signal.lfilter([1, -0.97], [1], wav)
    spectrum = librosa.stft(
        y, n_fft=800, hop_length=200, win_length=800, pad_mode="reflect", dtype=np.complex64
    )
    basis = librosa.filters.mel(sr=RATE, n_fft=800, n_mels=80, fmin=55, fmax=7600, norm="slaney")
    mel = basis @ np.abs(spectrum)
    decibel = 20 * np.log10(np.maximum(1e-5, mel)) - 20
    return np.clip(8 * ((decibel + 100) / 100) - 4, -4, 4).astype(np.float32)


def mel_chunks(mel: np.ndarray, fps: float):
    """One (80, 16) chunk for each output frame; the last is taken from the end."""
    chunks = []
    step = COLUMNS_PER_SECOND / fps
    while True:
        start = int(len(chunks) * step)
        if start + MEL_COLUMNS > mel.shape[1]:
            chunks.append(mel[:, mel.shape[1] - MEL_COLUMNS :])
            return chunks
        chunks.append(mel[:, start : start + MEL_COLUMNS])
