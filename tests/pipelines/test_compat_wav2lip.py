"""`wav2lip --compat` against upstream's inference in Python: the same frames, pixel for pixel
outside the box, and inside it as far as rounding to bytes allows."""

import subprocess

import cv2
import numpy as np
import pytest

from reference import audio, clips, pipeline

# The generated face may differ where x * 255 lies next to a whole number and is cut differently.
INSIDE_LEVELS = 3
INSIDE_MEAN = 0.05
BOX = (30, 100, 50, 110)  # top bottom left right
WIDTH = 1 / 8


@pytest.fixture(scope="session")
def voice_wav(tmp_path_factory):
    return clips.write_voice(tmp_path_factory.mktemp("voice") / "voice.wav", 1.2)


@pytest.fixture(scope="session")
def clip(tmp_path_factory):
    """clip(count, fps, width, height, face): a lossless file and its frames, made once."""
    folder = tmp_path_factory.mktemp("clips")
    made = {}

    def get(count, fps="25", width=160, height=120, face=True):
        key = (count, fps, width, height, face)
        if key not in made:
            faces = [clips.moving_face(i, width, height) if face else None for i in range(count)]
            frames = [clips.picture(i, width, height, faces[i]) for i in range(count)]
            path = clips.write_video(folder / f"clip{len(made)}.mkv", frames, fps)
            made[key] = (path, frames)
        return made[key]

    return get


@pytest.fixture
def generator(wav2lip_network):
    return wav2lip_network(WIDTH, seed=3)


def compare(result, expected: pipeline.Result):
    assert len(result) == len(expected.frames)
    for i, (got, want, canvas) in enumerate(zip(result, expected.frames, expected.canvases)):
        assert got.shape == want.shape
        y1, y2, x1, x2 = expected.boxes[i]
        outside = np.ones(got.shape[:2], bool)
        outside[y1:y2, x1:x2] = False
        wrong = np.argwhere((got != canvas).any(axis=2) & outside)
        assert not len(wrong), f"frame {i}: {len(wrong)} pixels outside the box, e.g. {wrong[0]}"
        inside = np.abs(got[y1:y2, x1:x2].astype(int) - want[y1:y2, x1:x2].astype(int))
        assert inside.max() <= INSIDE_LEVELS, f"frame {i}: {inside.max()} levels inside the box"
        # Of each frame, not of all: a wrong first or last mel chunk would drown in the others.
        assert inside.mean() <= INSIDE_MEAN, f"frame {i}: mean difference {inside.mean():.3f}"


@pytest.fixture
def check(program, generator, blob_detector, tmp_path):
    """check(face, frames, voice, options, arguments): runs both and compares."""

    def run(face, frames, voice, options, *arguments, fps=25.0):
        out = tmp_path / "out.mkv"
        detector = blob_detector.model if options.box[0] == -1 else None
        if detector:
            arguments += ("--s3fd", blob_detector.file("zip"))
        else:
            arguments += ("--box", *options.box)
        program.run(
            *["wav2lip", "--compat", "--codec", "ffv1", "--face", face, "--audio", voice],
            *["--checkpoint_path", generator.file("training-zip"), "--outfile", out],
            *arguments,
        )
        expected = pipeline.run(generator.model, frames, voice, options, fps, detector)
        compare(clips.read_video(out), expected)
        sound = clips.stream(out, "audio")
        assert sound is not None
        assert clips.frame_rate(out) == pytest.approx(fps or options.fps, rel=1e-3)
        return expected

    return run


# ---- with a given box ----------------------------------------------------------------------------


@pytest.mark.parametrize("fps", ["25", "30", "24", "30000/1001", "50"])
@pytest.mark.parametrize("count", [11, 70], ids=["shorter", "longer"])
def test_box(check, clip, voice_wav, fps, count):
    face, frames = clip(count, fps)
    expected = check(
        *[face, frames, voice_wav, pipeline.Options(box=BOX)], fps=clips.frame_rate(face)
    )
    chunks = audio.mel_chunks(audio.mel_spectrogram(audio.load(voice_wav)), clips.frame_rate(face))
    assert len(expected.frames) == len(chunks)


def test_box_of_odd_size_at_the_corner(check, clip, voice_wav):
    face, frames = clip(11)
    check(face, frames, voice_wav, pipeline.Options(box=(0, 37, 0, 143)))


@pytest.mark.parametrize("box", [(10, 106, 20, 116), (0, 120, 0, 160), (20, 68, 30, 78)])
def test_box_sizes_with_their_own_resize_path(check, clip, voice_wav, box):
    """96x96 is copied, 48x48 is the exact half, the whole frame has no outside."""
    face, frames = clip(11)
    check(face, frames, voice_wav, pipeline.Options(box=box))


def test_static_with_a_box(check, clip, voice_wav):
    face, frames = clip(11)
    check(face, frames, voice_wav, pipeline.Options(box=BOX, static=True), "--static", "True")


@pytest.mark.parametrize("batch_size", [1, 7])
def test_batch_size(check, clip, voice_wav, batch_size):
    face, frames = clip(11)
    options = pipeline.Options(box=BOX, batch_size=batch_size)
    check(face, frames, voice_wav, options, "--wav2lip_batch_size", batch_size)


# ---- stills --------------------------------------------------------------------------------------


@pytest.mark.parametrize("fps", [25.0, 30.0])
def test_still(check, voice_wav, tmp_path, fps):
    image = clips.picture(5, face=(80, 60))
    (tmp_path / "some.dir").mkdir()
    path = tmp_path / "some.dir" / "a.still.png"
    cv2.imwrite(str(path), image)
    options = pipeline.Options(box=BOX, fps=fps)
    check(path, [image], voice_wav, options, "--fps", fps, fps=None)


def test_still_with_detection_ignores_what_is_for_videos(check, voice_wav, tmp_path):
    image = clips.picture(5, face=(70, 58))
    path = tmp_path / "still.png"
    cv2.imwrite(str(path), image)
    options = pipeline.Options(resize_factor=2, rotate=True, crop=(0, 50, 0, 50))
    arguments = ["--resize_factor", 2, "--rotate", "--crop", 0, 50, 0, 50]
    check(path, [image], voice_wav, options, *arguments, fps=None)


# ---- with detection ------------------------------------------------------------------------------


@pytest.mark.parametrize("count", [1, 2, 3, 4, 5, 11, 70])
def test_detection_and_smoothing(check, clip, voice_wav, count):
    """Fewer than five frames have a smoothing rule of their own."""
    face, frames = clip(count)
    check(face, frames, voice_wav, pipeline.Options())


def test_nosmooth(check, clip, voice_wav):
    face, frames = clip(33)
    check(face, frames, voice_wav, pipeline.Options(nosmooth=True), "--nosmooth")


def test_pads(check, clip, voice_wav):
    face, frames = clip(33)
    options = pipeline.Options(pads=(3, 30, 60, 5))
    check(face, frames, voice_wav, options, "--pads", 3, 30, 60, 5)


def test_static_detects_in_the_first_frame_only(check, clip, voice_wav):
    face, frames = clip(33)
    check(face, frames, voice_wav, pipeline.Options(static=True), "--static", "True")


def test_resize_factor(check, clip, voice_wav):
    face, frames = clip(12, width=322, height=241)
    check(face, frames, voice_wav, pipeline.Options(resize_factor=2), "--resize_factor", 2)


def test_resize_factor_3(check, clip, voice_wav):
    face, frames = clip(6, width=322, height=241)
    options = pipeline.Options(resize_factor=3, box=(10, 60, 20, 75))
    check(face, frames, voice_wav, options, "--resize_factor", 3)


def test_rotate(check, clip, voice_wav):
    face, frames = clip(12)
    check(face, frames, voice_wav, pipeline.Options(rotate=True), "--rotate")


def test_crop(check, clip, voice_wav):
    face, frames = clip(12)
    options = pipeline.Options(crop=(6, -1, 9, 151))
    check(face, frames, voice_wav, options, "--crop", 6, -1, 9, 151)


def test_resize_rotate_crop_in_this_order(check, clip, voice_wav):
    face, frames = clip(12, width=322, height=241)
    options = pipeline.Options(resize_factor=2, rotate=True, crop=(10, 150, 4, -1))
    arguments = ["--resize_factor", 2, "--rotate", "--crop", 10, 150, 4, -1]
    check(face, frames, voice_wav, options, *arguments)


@pytest.mark.parametrize("batch_size", [1, 5])
def test_detector_batch_size(check, clip, voice_wav, batch_size):
    face, frames = clip(12)
    check(face, frames, voice_wav, pipeline.Options(), "--face_det_batch_size", batch_size)


def test_a_frame_without_a_face_stops_it(program, generator, blob_detector, voice_wav, tmp_path):
    frames = [clips.picture(i, face=None if i == 6 else (70, 60)) for i in range(12)]
    face = clips.write_video(tmp_path / "in.mkv", frames, 25)
    folder = tmp_path / "out"
    folder.mkdir()
    done = program.run(
        *["wav2lip", "--compat", "--codec", "ffv1", "--face", face, "--audio", voice_wav],
        *["--checkpoint_path", generator.file("zip"), "--s3fd", blob_detector.file("zip")],
        *["--outfile", folder / "out.mkv"],
        code=1,
    )
    assert "6" in done.stderr
    assert not list(folder.iterdir())


# ---- audio ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "rate, channels", [(44100, 2), (44100, 1), (48000, 2), (22050, 1), (8000, 1), (16000, 2)]
)
def test_sample_rates_and_channels(check, clip, tmp_path, rate, channels):
    face, frames = clip(11)
    voice = clips.write_voice(tmp_path / "voice.wav", 1.1, rate, channels)
    check(face, frames, voice, pipeline.Options(box=BOX))


@pytest.mark.parametrize("name", ["voice.mp3", "voice.m4a", "voice.flac", "video.mp4"])
def test_other_audio_files(check, clip, tmp_path, name):
    face, frames = clip(11)
    wav = clips.write_voice(tmp_path / "source.wav", 1.3, 44100, 2)
    path = tmp_path / name
    video = ["-i", str(face), "-map", "1:v", "-map", "0:a"] if name.startswith("video") else []
    command = ["ffmpeg", "-v", "error", "-y", "-i", str(wav), *video, str(path)]
    subprocess.run(command, check=True)
    check(face, frames, path, pipeline.Options(box=BOX))


@pytest.mark.parametrize("count", [3000, 3001, 3200, 3399, 16000, 16199])
def test_lengths_of_audio(check, clip, tmp_path, count):
    """Around the shortest possible and around the edges of mel columns."""
    face, frames = clip(11)
    voice = clips.write_voice(tmp_path / "voice.wav", count / 16000)
    check(face, frames, voice, pipeline.Options(box=BOX))


# ---- the reference itself ------------------------------------------------------------------------


@pytest.mark.parametrize(
    "before, after",
    [
        ([3, 13, 23, 33, 43], [23, 27, 29, 31, 30]),
        ([3, 13, 23, 33, 43, 53], [23, 33, 37, 39, 41, 40]),
        ([3], [3]),
        ([3, 14], [8, 11]),
        ([3, 13, 24], [18, 18, 21]),
        ([3, 13, 23, 33], [33, 33, 33, 33]),
    ],
)
def test_smoothing_rule(before, after):
    boxes = pipeline.smooth(np.array([[v, v, v, v] for v in before]))
    assert boxes[:, 0].tolist() == after


def test_numbers_of_chunks():
    mel = np.zeros((80, 161), np.float32)
    assert [len(audio.mel_chunks(mel, fps)) for fps in (25.0, 30.0, 24.0)] == [47, 56, 45]


def test_detections_are_not_next_to_a_decision(clip, blob_detector):
    """Rounding must not be able to move a box: scores, and corners before they are cut to ints,
    keep away from where they would change."""
    from reference import s3fd

    for count, width, height in ((70, 160, 120), (12, 322, 241)):
        _, frames = clip(count, width=width, height=height)
        for frame in frames if width == 160 else pipeline.prepare_frames(
            frames, pipeline.Options(resize_factor=2)
        ):
            rows = s3fd.detect_all(blob_detector.model, frame)
            assert rows[0, 4] > 0.6
            corner = rows[0, :4]
            assert np.abs(corner - np.round(corner)).min() > 1e-4
            image = frame[..., ::-1].astype(np.float64) - np.array(s3fd.MEAN)
            tensor = s3fd.torch.from_numpy(image.transpose(2, 0, 1)[None]).float()
            candidates = s3fd.decode(blob_detector(tensor))
            scores = np.sort(candidates[:, 4])[::-1]
            assert scores[0] - scores[1] > 1e-4
