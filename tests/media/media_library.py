"""The media folder for Python: compiled into a shared object at test time and called by ctypes.

Its symbols are hidden in the program, so the tests build their own copy from the same sources.
"""

import ctypes as C
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest

ROOT = Path(__file__).resolve().parents[2]
AV = ["libavformat", "libavcodec", "libavutil", "libswscale", "libswresample"]
IMAGES = ["libpng", "libjpeg"]
H264, HEVC, MJPEG, FFV1 = range(4)


class Rational(C.Structure):
    _fields_ = [("num", C.c_int64), ("den", C.c_int64)]

    def pair(self):
        return self.num, self.den


class Frame(C.Structure):
    _fields_ = [
        ("data", C.c_void_p), ("width", C.c_int), ("height", C.c_int), ("pitch", C.c_size_t),
        ("pts", C.c_int64), ("time_base", Rational), ("capacity", C.c_size_t),
        ("allocator", C.c_void_p),
    ]

    def array(self):
        rows = np.ctypeslib.as_array(C.cast(self.data, C.POINTER(C.c_uint8)),
                                     (self.height, self.pitch))
        return rows[:, : self.width * 3].reshape(self.height, self.width, 3).copy()


class Error(C.Structure):
    _fields_ = [("status", C.c_int), ("message", C.c_char * 4096)]


class Pixels(C.Structure):
    _fields_ = [("data", C.c_void_p), ("pitch", C.c_size_t), ("width", C.c_int),
                ("height", C.c_int)]


class Colour(C.Structure):
    _fields_ = [("primaries", C.c_int), ("transfer", C.c_int), ("matrix", C.c_int),
                ("full_range", C.c_bool)]


class VideoInfo(C.Structure):
    _fields_ = [
        ("width", C.c_int), ("height", C.c_int), ("orientation", C.c_int),
        ("time_base", Rational), ("frame_rate", Rational), ("average_rate", Rational),
        ("steady_rate", Rational),
        ("pixel_aspect", Rational), ("seconds", C.c_double), ("start_seconds", C.c_double),
        ("frames_estimate", C.c_int64),
        ("colour", Colour), ("fields", C.c_int), ("codec", C.c_char_p),
    ]


class VideoSettings(C.Structure):
    _fields_ = [("threads", C.c_int), ("ignore_orientation", C.c_bool), ("deinterlace", C.c_int),
                ("picture_rate", Rational)]


class SpeechInfo(C.Structure):
    _fields_ = [
        ("rate", C.c_int), ("channels", C.c_int), ("native_samples", C.c_int64),
        ("seconds", C.c_double), ("samples", C.c_int64), ("columns", C.c_int64),
        ("codec", C.c_char_p), ("channel", C.c_int), ("silence", C.c_double),
    ]


class EncodeSettings(C.Structure):
    _fields_ = [
        ("codec", C.c_int), ("crf", C.c_int), ("preset", C.c_char_p), ("threads", C.c_int),
        ("width", C.c_int), ("height", C.c_int), ("like", C.c_void_p), ("pix_fmt", C.c_char_p),
        ("frame_rate", Rational),
        ("time_base", Rational), ("pixel_aspect", Rational), ("fields", C.c_int),
        ("colour", Colour),
        ("audio_path", C.c_char_p), ("audio_also", C.c_void_p), ("audio_also_count", C.c_int),
        ("audio_offset", C.c_double), ("audio_seconds", C.c_double),
        ("audio_untimed", C.c_bool), ("mark_make", C.c_void_p), ("mark_user", C.c_void_p),
        ("seal_sign", C.c_void_p), ("seal_user", C.c_void_p),
    ]


class EncodeSummary(C.Structure):
    _fields_ = [
        ("frames", C.c_int64), ("video_seconds", C.c_double), ("audio_seconds", C.c_double),
        ("bytes", C.c_int64), ("damaged_audio_packets", C.c_int64), ("lost_alpha", C.c_bool),
        ("sound_codec", C.c_char_p), ("sound_copied", C.c_bool), ("sound_why", C.c_char * 160),
    ]


class LogMel(C.Structure):
    _fields_ = [("allocator", C.c_void_p), ("bands", C.c_int), ("columns", C.c_int64),
                ("data", C.POINTER(C.c_float))]


COLUMN_SINK = C.CFUNCTYPE(C.c_int, C.c_void_p, C.c_int64, C.POINTER(C.c_float), C.c_void_p)
SAMPLES_SINK = C.CFUNCTYPE(C.c_int, C.c_void_p, C.POINTER(C.c_float), C.c_size_t, C.c_void_p)


class Failure(RuntimeError):
    """An error status and its sentence."""


class Media:
    def __init__(self, path):
        self.lib = C.CDLL(str(path))
        self.lib.rml_allocator_default.restype = C.c_void_p
        self.lib.rml_video_in_info.restype = C.POINTER(VideoInfo)
        self.lib.rml_speech_info_of.restype = C.POINTER(SpeechInfo)
        self.lib.rml_encode_settings_default.restype = EncodeSettings
        self.lib.rml_mel_chunk_count.restype = C.c_int64
        self.lib.rml_mel_chunk_count.argtypes = [C.c_int64, C.c_double]
        self.lib.rml_mel_chunk_start.restype = C.c_int64
        self.lib.rml_mel_chunk_start.argtypes = [C.c_int64, C.c_double, C.c_int64]
        self.allocator = C.c_void_p(self.lib.rml_allocator_default())
        self.lib.rml_libav_quiet()

    def call(self, function, *arguments):
        error = Error()
        if getattr(self.lib, function)(*arguments, C.byref(error)):
            raise Failure(error.message.decode())

    # ---- pixels ----

    def load_image(self, path):
        frame = Frame()
        try:
            self.call("rml_image_load", C.byref(frame), str(path).encode(), self.allocator)
            return frame.array()
        finally:
            self.lib.rml_frame_release(C.byref(frame))

    def resizer(self):
        handle = C.c_void_p()
        self.call("rml_resizer_create", C.byref(handle), self.allocator)

        def resize(image, width, height):
            channels = image.shape[2]
            out = np.zeros((height, width, channels), np.uint8)
            self.call("rml_resize_opencv", handle,
                      Pixels(image.ctypes.data, image.strides[0], image.shape[1], image.shape[0]),
                      Pixels(out.ctypes.data, out.strides[0], width, height), C.c_int(channels))
            return out

        return resize

    def antialias(self, image, size, box):
        """The part (left, top, width, height) of the image scaled to size (width, height)."""
        out = np.zeros((box[3], box[2], image.shape[2]), np.uint8)
        part = (C.c_int * 4)(*size, *box[:2])
        self.call("rml_resize_pillow",
                  Pixels(image.ctypes.data, image.strides[0], image.shape[1], image.shape[0]),
                  Pixels(out.ctypes.data, out.strides[0], box[2], box[3]), part,
                  C.c_int(image.shape[2]), self.allocator)
        return out

    def lanczos(self):
        """One resampler for all calls: planes of floats (count, height, width), width, height."""
        handle = C.c_void_p()
        self.call("rml_image_resampler_create", C.byref(handle), self.allocator)

        def scale(planes, width, height):
            planes = np.ascontiguousarray(planes, np.float32)
            count, rows, columns = planes.shape
            out = np.full((count, height, width), np.nan, np.float32)
            self.call("rml_image_resample", handle, C.c_void_p(planes.ctypes.data),
                      C.c_int(columns), C.c_int(rows), C.c_void_p(out.ctypes.data), C.c_int(width),
                      C.c_int(height), C.c_int(count))
            return out

        return scale

    # ---- sound ----

    def resample(self, samples, rate, block):
        samples = np.ascontiguousarray(samples, np.float32)
        handle, parts = C.c_void_p(), []
        sink = SAMPLES_SINK(
            lambda user, data, count, error:
            parts.append(np.ctypeslib.as_array(data, (count,)).copy()) or 0)
        self.call("rml_resampler_create", C.byref(handle), C.c_int(rate), C.c_int(16000),
                  self.allocator)
        for start in range(0, len(samples), block):
            part = samples[start : start + block]
            self.call("rml_resampler_push", handle, C.c_void_p(part.ctypes.data),
                      C.c_size_t(len(part)), sink, None)
        self.call("rml_resampler_finish", handle, sink, None)
        self.lib.rml_resampler_destroy(C.byref(handle))
        return np.concatenate(parts)

    def mel(self, samples, block=1 << 20):
        samples = np.ascontiguousarray(samples, np.float32)
        handle, columns = C.c_void_p(), []
        sink = COLUMN_SINK(
            lambda user, index, data, error:
            columns.append(np.ctypeslib.as_array(data, (80,)).copy()) or 0)
        self.call("rml_mel_create", C.byref(handle), self.allocator)
        try:
            for start in range(0, len(samples), block):
                part = samples[start : start + block]
                self.call("rml_mel_push", handle, C.c_void_p(part.ctypes.data),
                          C.c_size_t(len(part)), sink, None)
            self.call("rml_mel_finish", handle, sink, None)
        finally:
            self.lib.rml_mel_destroy(C.byref(handle))
        return np.array(columns).T

    def log_mel(self, samples, bands=80, first=0, count=None):
        """(bands, columns): the whole, or `count` columns from `first` on."""
        samples = np.ascontiguousarray(samples, np.float32)
        mel = LogMel()
        self.call("rml_log_mel_create", C.byref(mel), C.c_void_p(samples.ctypes.data),
                  C.c_size_t(len(samples)), C.c_int(bands), self.allocator)
        out = np.full((bands, mel.columns if count is None else count), np.nan, np.float32)
        self.lib.rml_log_mel_window(C.byref(mel), C.c_int64(first), C.c_int64(out.shape[1]),
                                    C.c_void_p(out.ctypes.data))
        self.lib.rml_log_mel_release(C.byref(mel))
        return out

    def standardise(self, samples):
        samples = np.array(samples, np.float32)
        self.call("rml_wave_standardise", C.c_void_p(samples.ctypes.data),
                  C.c_size_t(len(samples)))
        return samples

    def speech_mel(self, path, as_upstream=False):
        """The mel of a whole file, read in overlapping chunks; and what is known of the file."""
        handle = C.c_void_p()
        self.call("rml_speech_open", C.byref(handle), str(path).encode(), C.c_bool(as_upstream),
                  self.allocator)
        known = self.lib.rml_speech_info_of(handle).contents
        info = {name: getattr(known, name) for name, _ in SpeechInfo._fields_}
        mel, chunk = np.zeros((80, info["columns"]), np.float32), np.zeros((80, 16), np.float32)
        for start in range(0, info["columns"], 11):
            self.call("rml_speech_chunk", handle, C.c_int64(start), C.c_void_p(chunk.ctypes.data))
            count = min(16, info["columns"] - start)
            mel[:, start : start + count] = chunk[:, :count]
            assert (chunk[:, count:] == -4).all()
        self.lib.rml_speech_close(C.byref(handle))
        return mel, info

    def waveform(self, path, as_upstream=False):
        samples, count = C.POINTER(C.c_float)(), C.c_size_t()
        self.call("rml_speech_load", C.byref(samples), C.byref(count), str(path).encode(),
                  C.c_bool(as_upstream), self.allocator)
        return np.ctypeslib.as_array(samples, (count.value,)).copy()

    # ---- video ----

    def video(self, path, limit=None, ignore_orientation=False, deinterlace=0):
        """Frames, times in seconds and the info of a video."""
        handle, frame, end = C.c_void_p(), Frame(), C.c_bool()
        settings = VideoSettings(0, ignore_orientation, deinterlace, Rational(25, 1))
        self.call("rml_video_in_open", C.byref(handle), str(path).encode(), C.byref(settings),
                  self.allocator)
        known = VideoInfo.from_buffer_copy(self.lib.rml_video_in_info(handle).contents)
        info = {name: getattr(known, name) for name, _ in VideoInfo._fields_}
        frames, times = [], []
        while limit is None or len(frames) < limit:
            self.call("rml_video_in_read", handle, C.byref(frame), C.byref(end))
            if end.value:
                break
            frames.append(frame.array())
            times.append(frame.pts * frame.time_base.num / frame.time_base.den)
        self.lib.rml_frame_release(C.byref(frame))
        self.lib.rml_video_in_close(C.byref(handle))
        return frames, times, info

    def encode(self, path, frames, pts=None, base=(1, 25), audio=None, **changes):
        """Writes a video; returns the summary."""
        settings = self.lib.rml_encode_settings_default()
        settings.height, settings.width = frames[0].shape[:2]
        settings.frame_rate = Rational(base[1], base[0])
        if audio is not None:
            settings.audio_path = str(audio).encode()
        for name, value in changes.items():
            setattr(settings, name, value)
        handle, name = C.c_void_p(), str(path).encode()
        self.call("rml_encoder_probe", name, C.byref(settings), self.allocator)
        self.call("rml_encoder_open", C.byref(handle), name, C.byref(settings), self.allocator)
        try:
            for index, image in enumerate(frames):
                image = np.ascontiguousarray(image)
                time = index if pts is None else int(pts[index])
                frame = Frame(image.ctypes.data, image.shape[1], image.shape[0], image.strides[0],
                              time, Rational(*base), 0, None)
                self.call("rml_encoder_write", handle, C.byref(frame))
            summary = EncodeSummary()
            self.call("rml_encoder_finish", C.byref(handle), C.byref(summary))
            return summary
        finally:
            self.lib.rml_encoder_abort(C.byref(handle))


def build(folder):
    """Compiles the media folder with its extras; skips where a compiler or libav is missing."""
    compiler = shutil.which("cc")
    if not compiler or not shutil.which("pkg-config"):
        pytest.skip("needs a C compiler and pkg-config")
    flags = subprocess.run(["pkg-config", "--cflags", "--libs", *AV, *IMAGES],
                           capture_output=True, text=True)
    if flags.returncode:
        pytest.skip("needs the development files of libav, libpng and libjpeg-turbo")
    sources = [*sorted((ROOT / "media").rglob("*.c")), *sorted((ROOT / "tensor").glob("*.c"))]
    target = Path(folder) / "media.so"
    command = [compiler, "-O2", "-std=c11", "-ffp-contract=off", "-fPIC", "-shared",
               "-DRML_WITH_PNG=1", "-DRML_WITH_JPEG=1", "-DRML_WITH_LIBAV=1",
               "-DRML_WITH_THREADS=1",
               f"-I{ROOT}", f"-I{ROOT / 'include'}", *map(str, sources), "-o", str(target),
               *flags.stdout.split(), "-lm", "-lpthread"]
    subprocess.run(command, check=True)
    return Media(target)
