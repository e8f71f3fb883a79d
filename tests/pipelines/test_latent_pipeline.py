"""`latent-wav2lip --compat` against the latent reference in Python, and what it does by default."""

import json
import os
import shutil
import signal
import subprocess
import time

import cv2
import numpy as np
import onnx
import pytest
import torch

from reference import clips, latent, pipeline, vae

# The generated face may differ where x * 255 lies next to a whole number and is cut differently.
INSIDE_LEVELS = 3
INSIDE_MEAN = 0.1
BOX = (30, 100, 50, 110)  # top bottom left right


@pytest.fixture(scope="session")
def saved(tmp_path_factory):
    """saved(hears, stacked): networks with random weights, made once."""
    made = {}

    def get(hears="wav2vec2", stacked=False):
        if (hears, stacked) not in made:
            folder = tmp_path_factory.mktemp("latent")
            made[hears, stacked] = latent.Saved(latent.random_networks(hears, stacked), folder)
        return made[hears, stacked]

    return get


@pytest.fixture(scope="session")
def voice_wav(tmp_path_factory):
    return clips.write_voice(tmp_path_factory.mktemp("voice") / "voice.wav", 1.0)


@pytest.fixture(scope="session")
def clip(tmp_path_factory):
    """clip(count, fps): a lossless file and its frames, made once."""
    folder = tmp_path_factory.mktemp("clips")
    made = {}

    def get(count, fps="25", width=160, height=120):
        key = (count, fps, width, height)
        if key not in made:
            faces = [clips.moving_face(3 * i, width, height) for i in range(count)]
            frames = [clips.picture(i, width, height, faces[i]) for i in range(count)]
            made[key] = clips.write_video(folder / f"{len(made)}.mkv", frames, fps), frames
        return made[key]

    return get


def compare(result, expected):
    assert len(result) == len(expected.frames)
    for i, (got, want, canvas) in enumerate(zip(result, expected.frames, expected.canvases)):
        y1, y2, x1, x2 = expected.boxes[i]
        outside = np.ones(got.shape[:2], bool)
        outside[y1:y2, x1:x2] = False
        wrong = np.argwhere((got != canvas).any(axis=2) & outside)
        assert not len(wrong), f"frame {i}: {len(wrong)} pixels outside the box, e.g. {wrong[0]}"
        inside = np.abs(got[y1:y2, x1:x2].astype(int) - want[y1:y2, x1:x2].astype(int))
        assert inside.max() <= INSIDE_LEVELS, f"frame {i}: {inside.max()} levels inside the box"
        assert inside.mean() <= INSIDE_MEAN, f"frame {i}: mean difference {inside.mean():.3f}"


@pytest.fixture
def make(program, tmp_path):
    """make(saved, face, voice, *arguments): the frames of the result."""

    def run(at, face, voice, *arguments, checkpoint="wav2lip-unet.ckpt"):
        out = tmp_path / "out.mkv"
        program.run(
            *["latent-wav2lip", "--codec", "ffv1", "--face", face, "--audio", voice],
            *[*at.arguments(checkpoint), "--outfile", out, *arguments],
        )
        return clips.read_video(out)

    return run


@pytest.fixture
def check(make, blob_detector):
    def run(at, face, frames, voice, options, *arguments, fps=25.0, **settings):
        detector = blob_detector.model if options.box[0] == -1 else None
        where = ["--s3fd", blob_detector.file("zip")] if detector else ["--box", *options.box]
        result = make(at, face, voice, "--compat", *where, *arguments, **settings)
        expected = latent.run(at.networks, frames, voice, options, fps, detector)
        compare(result, expected)
        return expected

    return run


# ---- the reference itself ------------------------------------------------------------------------

KINDS = [("wav2vec2", False), ("wav2vec2", True), ("whisper", False)]


@pytest.mark.parametrize("hears, stacked", KINDS)
def test_everything_shows_in_the_result(saved, voice_wav, hears, stacked):
    """A comparison tells nothing of what the result does not depend on."""
    at = saved(hears, stacked).networks
    face = cv2.resize(clips.picture(0, face=(80, 60))[30:100, 50:110], (latent.SIDE, latent.SIDE))
    chunks = latent.chunks_of(at, voice_wav, 25.0)
    half = latent.SIDE // 2
    upper, lower = face.copy(), face.copy()
    upper[:half] = 255 - upper[:half]
    lower[half:] = 255 - lower[half:]
    faces = [face, upper, lower, face[..., ::-1], face]
    heard = [chunks[3], chunks[3], chunks[3], chunks[3], chunks[9]]
    made = latent.make_faces(at, faces, heard) * 255
    assert 30 < made[0].std() < 100 and ((made[0] > 0) & (made[0] < 255)).mean() > 0.7
    for i, what in enumerate(["upper half", "lower half", "order of colours", "voice"], 1):
        assert np.abs(made[i] - made[0]).mean() > 1.5, what


# ---- with --compat -------------------------------------------------------------------------------


@pytest.mark.parametrize("hears, stacked", KINDS)
@pytest.mark.parametrize("count", [4, 40], ids=["shorter", "longer"])
def test_box(check, saved, clip, voice_wav, hears, stacked, count):
    """The short clip goes back and forth several times, or in V1 around."""
    face, frames = clip(count)
    check(saved(hears, stacked), face, frames, voice_wav, pipeline.Options(box=BOX))


@pytest.mark.parametrize("fps", ["24", "30000/1001", "50"])
@pytest.mark.parametrize("hears", ["wav2vec2", "whisper"])
def test_rates(check, saved, clip, voice_wav, hears, fps):
    face, frames = clip(9, fps)
    options = pipeline.Options(box=BOX)
    check(saved(hears), face, frames, voice_wav, options, fps=clips.frame_rate(face))


@pytest.mark.parametrize("checkpoint", ["unet", "merged.bin"])
def test_checkpoints(check, saved, clip, voice_wav, checkpoint):
    face, frames = clip(4)
    options = pipeline.Options(box=BOX)
    check(saved(), face, frames, voice_wav, options, checkpoint=checkpoint)


def test_autoencoder_in_original_names(make, saved, clip, voice_wav, tmp_path):
    at, (face, _) = saved(), clip(4)
    state = vae.with_original_names(at.networks.vae.state_dict(), "first_stage_model.")
    folder = tmp_path / "sd"
    folder.mkdir()
    shutil.copy(at.folder / "vae" / "config.json", folder)  # for it has not 32 groups
    torch.save({"state_dict": state | {"betas": torch.ones(3)}}, folder / "sd.ckpt")
    plain = make(at, face, voice_wav, "--box", *BOX)
    other = make(at, face, voice_wav, "--box", *BOX, "--vae_path", folder / "sd.ckpt")
    assert all((a == b).all() for a, b in zip(plain, other))


@pytest.mark.parametrize("count", [1, 2, 3, 4, 5, 9, 21, 40])
def test_detection_and_smoothing(check, saved, clip, voice_wav, count):
    """Boxes are smoothed over the clip and its mirror image; with few frames the windows wrap."""
    face, frames = clip(count)
    check(saved(), face, frames, voice_wav, pipeline.Options())


def test_detection_v1(check, saved, clip, voice_wav):
    face, frames = clip(9)
    check(saved(stacked=True), face, frames, voice_wav, pipeline.Options())


def test_nosmooth_and_pads(check, saved, clip, voice_wav):
    face, frames = clip(6)
    options = pipeline.Options(nosmooth=True, pads=(3, 20, 30, 5))
    check(saved(), face, frames, voice_wav, options, "--nosmooth", "--pads", 3, 20, 30, 5)


def test_static(check, saved, clip, voice_wav):
    face, frames = clip(6)
    check(saved(), face, frames, voice_wav, pipeline.Options(static=True), "--static", "True")


def test_still(check, saved, voice_wav, tmp_path):
    image = clips.picture(5, face=(80, 60))
    cv2.imwrite(str(tmp_path / "still.png"), image)
    options = pipeline.Options(fps=30.0)
    check(saved(), tmp_path / "still.png", [image], voice_wav, options, "--fps", 30, fps=None)


@pytest.mark.parametrize("batch_size", [1, 5])
def test_batch_size(check, saved, clip, voice_wav, batch_size):
    face, frames = clip(6)
    options = pipeline.Options(box=BOX)
    check(saved(), face, frames, voice_wav, options, "--wav2lip_batch_size", batch_size)


@pytest.mark.parametrize("hears", ["wav2vec2", "whisper"])
@pytest.mark.parametrize("count", [3600, 3601, 11000])
def test_lengths(check, saved, clip, tmp_path, hears, count):
    face, frames = clip(4)
    voice = clips.write_voice(tmp_path / "voice.wav", count / 16000)
    check(saved(hears), face, frames, voice, pipeline.Options(box=BOX))


# ---- by default ----------------------------------------------------------------------------------


def test_default(make, saved, clip, voice_wav):
    """As long as the voice, back and forth with each end once, with soft edges."""
    face, frames = clip(4)
    quiet = "--silence", "net"  # as the reference
    result = make(saved(), face, voice_wav, "--box", *BOX, "--mask", "box", *quiet)
    plain = make(saved(), face, voice_wav, "--box", *BOX, "--mask", "box", *quiet,
                 "--no_colour_match")
    assert len(result) == 25
    y1, y2, x1, x2 = BOX
    made = latent.run(saved().networks, frames, voice_wav, pipeline.Options(box=BOX), 25.0)
    for i, got in enumerate(result):
        place = i % 6
        frame = frames[place if place < 4 else 6 - place].copy()
        inside = got[y1:y2, x1:x2].copy()
        got = got.copy()
        got[y1:y2, x1:x2] = frame[y1:y2, x1:x2]
        assert (got == frame).all(), f"frame {i}: pixels outside the box"
        if i < 4:  # later ones show another frame than the reference's
            # The face is scaled down and up with another filter, so only its outlines are the same.
            pair = plain[i][y1:y2, x1:x2], made.frames[i][y1:y2, x1:x2]
            ours, want = (cv2.blur(x.astype(float), (9, 9))[15:-15, 15:-15] for x in pair)
            assert np.corrcoef(ours.ravel(), want.ravel())[0, 1] > 0.95
            film = frame[y1:y2, x1:x2][15:-15, 15:-15]
            assert np.abs(ours - want).mean() < 0.1 * np.abs(film - want).mean()
        edge = np.abs(inside[0].astype(int) - frame[y1, x1:x2].astype(int))
        assert edge.max() <= 4


def test_graph_files_do_not_hear(program, saved, voice_wav, clip, tmp_path):
    """They would be run in parts, and may make more of each than was asked for."""
    numbers = [
        onnx.helper.make_tensor("axis", onnx.TensorProto.INT64, [1], [2]),
        onnx.helper.make_tensor("sizes", onnx.TensorProto.INT64, [3], [3, 1, 32]),
    ]
    nodes = [
        onnx.helper.make_node("Unsqueeze", ["input_values", "axis"], ["x"]),
        onnx.helper.make_node("Expand", ["x", "sizes"], ["last_hidden_state"]),
    ]
    ports = [
        [onnx.helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, shape)]
        for name, shape in (("input_values", ["m", "n"]), ("last_hidden_state", ["k", "n", "w"]))
    ]
    opsets = [onnx.helper.make_opsetid("", 17)]
    graph = onnx.helper.make_graph(nodes, "g", *ports, numbers)
    model = onnx.helper.make_model(graph, opset_imports=opsets, ir_version=9)
    onnx.save(model, tmp_path / "v.onnx")
    done = program.run(
        *["latent-wav2lip", "--face", clip(3)[0], "--audio", voice_wav, "--box", *BOX],
        *[*saved().arguments()[:-1], tmp_path / "v.onnx", "--outfile", tmp_path / "o.mp4"],
        code=1,
    )
    assert "v.onnx" in done.stderr and "takes weights" in done.stderr
    assert not (tmp_path / "o.mp4").exists()


def test_frames_without_a_face(program, saved, voice_wav, blob_detector, tmp_path):
    gap = range(8, 14)
    frames = [
        clips.picture(i, face=None if i in gap else clips.moving_face(i)) for i in range(25)
    ]
    face = clips.write_video(tmp_path / "in.mkv", frames, 25)
    words = ["latent-wav2lip", "--face", face, "--audio", voice_wav, *saved().arguments()]
    words += ["--s3fd", blob_detector.file("zip"), "--codec", "ffv1", "--json"]
    told = json.loads(program.run(*words, "--outfile", tmp_path / "o.mkv").stdout)
    result = clips.read_video(tmp_path / "o.mkv")
    assert len(result) == 25
    for i, (got, source) in enumerate(zip(result, frames)):
        assert (got == source).all() == (i in gap), f"frame {i}"
    assert told["frames_without_face"] == 6
    assert told["without_face"] == [{"from": 0.32, "to": 0.56}]
    text = refused(program, 1, *words[1:], "--strict", "--outfile", tmp_path / "s.mkv")
    assert "no face in frame 8" in text and not (tmp_path / "s.mkv").exists()


def test_same_bits(make, saved, clip, voice_wav):
    """Whatever the batch and the threads are."""
    face, _ = clip(4)
    plain = make(saved(), face, voice_wav, "--box", *BOX)
    for more in (["--threads", 1], ["--wav2lip_batch_size", 7]):
        again = make(saved(), face, voice_wav, "--box", *BOX, *more)
        assert all((a == b).all() for a, b in zip(plain, again))


@pytest.fixture
def measure(program, tmp_path):
    """measure(saved, face, voice, *arguments): frames, and bytes that the networks share."""

    def run(at, face, voice, *arguments):
        out = tmp_path / "out.mkv"
        done = program.run(
            *["latent-wav2lip", "--codec", "ffv1", "--face", face, "--audio", voice, "--json"],
            *[*at.arguments(), "--img_size", 192, "--outfile", out, *arguments],
        )
        return clips.read_video(out), json.loads(done.stdout)["planned_bytes"]

    return run


@pytest.mark.parametrize("hears, stacked", [("wav2vec2", False), ("whisper", True)])
def test_memory_limit(measure, saved, clip, voice_wav, hears, stacked):
    """Larger faces are computed in bands, to the same bits; the limit is that of all networks."""
    face, _ = clip(4)
    plain, all_bytes = measure(saved(hears, stacked), face, voice_wav, "--box", *BOX)
    for limit in (all_bytes * 0.8, 4.2e6):
        more = ["--box", *BOX, "--mem_limit", limit / 1e6]
        bands, kept_bytes = measure(saved(hears, stacked), face, voice_wav, *more)
        assert 0 < kept_bytes <= limit < all_bytes
        assert all((a == b).all() for a, b in zip(plain, bands))


def test_memory_limit_with_a_detector(measure, saved, clip, voice_wav, blob_detector):
    """It takes its turn with the same memory."""
    face, _ = clip(4, width=480, height=360)
    more = ["--s3fd", blob_detector.file("zip")]
    plain, all_bytes = measure(saved(), face, voice_wav, *more)
    bands, kept_bytes = measure(saved(), face, voice_wav, *more, "--mem_limit", 6)
    assert 0 < kept_bytes <= 6e6 < all_bytes
    assert all((a == b).all() for a, b in zip(plain, bands))
    large, _ = clip(4, width=960, height=720)
    _, detector_bytes = measure(saved(), large, voice_wav, *more)
    assert all_bytes < detector_bytes  # it grows with the video, and then takes most


def test_memory_limit_makes_groups_smaller(measure, saved, clip, voice_wav):
    """A group that does not fit is run in parts, and what it makes does not change."""
    face, _ = clip(4)
    more = ["--box", *BOX, "--wav2lip_batch_size", 25]
    plain, all_bytes = measure(saved(), face, voice_wav, *more)
    parts, kept_bytes = measure(saved(), face, voice_wav, *more, "--mem_limit", 5)
    assert 0 < kept_bytes <= 5e6 < all_bytes
    assert all((a == b).all() for a, b in zip(plain, parts))


@pytest.mark.parametrize("detector", ["yunet_n_dynamic.onnx", "ulfd_rfb_320.onnx"])
def test_light_detectors_take_turns_too(
    program, measure, saved, voice_wav, shared_data, detector, tmp_path
):
    path = shared_data / "onnx" / detector
    photo = shared_data / "media" / "talking_head_1080x1920_hevc.mp4"
    if not path.exists() or not photo.exists():
        pytest.skip("needs a light detector and a real face in the shared test data")
    more = ["--detector", path, "--resize_factor", 3]
    plain, all_bytes = measure(saved(), photo, voice_wav, *more)
    bands, kept_bytes = measure(saved(), photo, voice_wav, *more, "--mem_limit", 7.5)
    assert 0 < kept_bytes <= 7.5e6 and kept_bytes <= all_bytes
    assert all((a == b).all() for a, b in zip(plain, bands))
    words = ["--face", photo, "--audio", voice_wav, *saved().arguments(), *more]
    words += ["--outfile", tmp_path / "s.mkv", "--mem_limit", 1.9]
    assert "the face detector: a run takes" in refused(program, 1, *words)


def test_memory_is_shared(program, measure, saved, clip, voice_wav, tmp_path):
    """The networks take what the largest takes alone."""
    face, _ = clip(4)
    at = saved()
    np.save(tmp_path / "x.npy", np.zeros((1, 4, 24, 24), np.float32))
    done = program.run(
        *["exec", "vae-decoder", "--weights", at.folder / "vae", "--json"],
        *["--input", f"latent_sample={tmp_path}/x.npy", "--output", f"sample={tmp_path}/y.npy"],
    )
    _, shared = measure(at, face, voice_wav, "--box", *BOX)
    assert shared == json.loads(done.stdout)["planned_bytes"]


def test_memory_limit_that_cannot_be_kept(
    program, saved, clip, voice_wav, blob_detector, tmp_path
):
    face, _ = clip(4, width=960, height=720)
    words = ["--face", face, "--audio", voice_wav, *saved().arguments()]
    words += ["--outfile", tmp_path / "o.mkv", "--s3fd", blob_detector.file("zip")]
    for who, limit, side in [
        (voice_wav, 0.1, 64),
        ("vae-encoder", 5, 512),
        ("the face detector", 5, 64),
    ]:
        text = refused(program, 1, *words, "--mem_limit", limit, "--img_size", side)
        assert f"{who}: a run takes" in text and f"the limit is {limit * 1e6:.0f}" in text
        assert not (tmp_path / "o.mkv").exists()


def test_kept_latents_are_those_made_again(make, saved, clip, voice_wav, tmp_path):
    """A clip that holds its own repetition has no frame twice, so all its latents are made."""
    face, frames = clip(4)
    unrolled = [frames[min(i % 6, 6 - i % 6)] for i in range(25)]
    long = clips.write_video(tmp_path / "long.mkv", unrolled, 25)
    kept = make(saved(), face, voice_wav, "--box", *BOX)
    made = make(saved(), long, voice_wav, "--box", *BOX)
    assert len(kept) == len(made) and all((a == b).all() for a, b in zip(kept, made))


def test_seed(make, saved, clip, voice_wav):
    face, _ = clip(4)
    runs = [
        make(saved(), face, voice_wav, "--box", *BOX, *more)
        for more in (
            [],
            ["--seed", 2**32 - 1],
            ["--seed", 2**32 - 1, "--wav2lip_batch_size", 5],
            ["--seed", 2],
        )
    ]
    same = [[(a == b).all() for a, b in zip(runs[1], other)] for other in runs]
    assert all(same[2]) and not any(same[0]) and not any(same[3])


def test_json_and_profile(program, saved, clip, voice_wav, tmp_path):
    face, _ = clip(4)
    done = program.run(
        *["latent-wav2lip", "--face", face, "--audio", voice_wav, *saved().arguments()],
        *["--box", *BOX, "--outfile", tmp_path / "out.mp4", "--json", "--profile"],
    )
    told = json.loads(done.stdout)
    assert told["frames"] == 25 and told["batch"] == 2
    assert list(told["profile"]) == ["vae-encoder", "unet", "vae-decoder"]
    names = {node["node"] for node in told["profile"]["unet"]}
    assert names and not any("time" in name for name in names)  # folded: it is always step 0
    runs = {name: nodes[0]["runs"] for name, nodes in told["profile"].items()}
    # Four frames with two halves each; groups of two; every frame.
    assert runs == {"vae-encoder": 8, "unet": 13, "vae-decoder": 25}


# ---- what goes wrong -----------------------------------------------------------------------------


def refused(program, code, *arguments):
    done = program.run("latent-wav2lip", *arguments, code=code)
    lines = done.stderr.splitlines()
    assert done.stdout == "" and len(lines) == 1, done.stderr
    assert lines[0].startswith("run-model latent-wav2lip: ")
    return lines[0]


def test_missing_options(program, saved, clip, voice_wav):
    face, _ = clip(4)
    words = ["--face", face, "--audio", voice_wav, "--box", *BOX]
    given = saved().arguments()
    assert "--checkpoint_path" in refused(program, 2, *words)
    assert "--vae_path" in refused(program, 2, *words, *given[:2])
    assert "--whisper" in refused(program, 2, *words, *given[:-2])
    assert "give one" in refused(program, 2, *words, *given, "--whisper", "x")
    assert "multiple of 8" in refused(program, 2, *words, *given, "--img_size", 60)
    assert "a whole number, not 1.5" in refused(program, 2, *words, *given, "--seed", 1.5)


def test_mismatches(program, saved, clip, voice_wav, tmp_path):
    face, _ = clip(4)
    folder = tmp_path / "out"
    folder.mkdir()
    words = ["--face", face, "--audio", voice_wav, "--box", *BOX, "--outfile", folder / "o.mkv"]
    given, other = saved().arguments(), saved("whisper")
    text = refused(program, 1, *words, *given[:-2], "--whisper", other.folder / "voice")
    assert "48" in text and "32" in text and "Whisper" in text
    text = refused(program, 1, *words, *given[:-2], "--whisper", given[-1])
    assert "is Wav2Vec2, and was given for Whisper" in text
    text = refused(program, 1, *words, *given[:-1], other.folder / "voice")
    assert "is Whisper, and was given for Wav2Vec2" in text
    assert "unet" in refused(program, 1, *words, *given, "--checkpoint_path", other.folder / "vae")
    text = refused(program, 1, *words, *given, "--vae_path", other.folder / "unet")
    assert "AutoencoderKL" in text
    assert not list(folder.iterdir())


@pytest.mark.parametrize("seconds", [0.19, 0.2])
def test_too_short(program, saved, clip, tmp_path, seconds):
    face, _ = clip(4)
    voice = clips.write_voice(tmp_path / "voice.wav", seconds)
    text = refused(
        *[program, 1, "--face", face, "--audio", voice, "--box", *BOX],
        *[*saved().arguments(), "--outfile", tmp_path / "o.mkv", "--codec", "ffv1"],
    )
    assert "too short" in text and not (tmp_path / "o.mkv").exists()


def test_numbers_that_are_none(program, saved, clip, voice_wav, tmp_path):
    face, _ = clip(4)
    state = dict(saved().networks.unet.state_dict())
    state["conv_out.bias"] = state["conv_out.bias"] * float("nan")
    torch.save(state, tmp_path / "damaged.pth")
    folder = tmp_path / "out"
    folder.mkdir()
    text = refused(
        *[program, 1, "--face", face, "--audio", voice_wav, "--box", *BOX, *saved().arguments()],
        *["--checkpoint_path", tmp_path / "damaged.pth", "--outfile", folder / "o.mkv"],
    )
    assert "not finite" in text and not list(folder.iterdir())


def test_interrupted(program, saved, clip, tmp_path):
    face, _ = clip(40)
    voice = clips.write_voice(tmp_path / "voice.wav", 30)
    folder = tmp_path / "out"
    folder.mkdir()
    command = program.command(
        *["latent-wav2lip", "--face", face, "--audio", voice, "--box", *BOX],
        *[*saved().arguments(), "--outfile", folder / "o.mkv", "--codec", "ffv1"],
    )
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as running:
        until = time.monotonic() + 60
        while not os.listdir(folder) and time.monotonic() < until:
            time.sleep(0.02)
        running.send_signal(signal.SIGINT)
        assert "stopped" in running.communicate(timeout=60)[1]
    assert running.returncode == 1 and not list(folder.iterdir())
