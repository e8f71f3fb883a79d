# The main job on the bundled clip. Sourced by `run.sh demo` once the machine has what it needs.

weights=build/demo/wav2lip_random.safetensors
result=results/demo.mp4

build_release run-model rml-random-weights
mkdir -p build/demo results
say "Making a checkpoint of full width with random weights, 145 MB"
build/release/rml-random-weights wav2lip "$weights" >&2

set -- build/release/run-model wav2lip --face data/demo/face.mp4 --audio data/demo/voice.wav \
    --checkpoint_path "$weights" --box 76 208 94 226 --outfile "$result" "$@"
say ""
say "+ $*"
"$@"
say ""
say "The weights are random, so the face in the result is noise: this shows that the whole chain"
say "runs. For lips that follow the voice, give trained weights:"
say "    build/release/run-model wav2lip --face FACE.mp4 --audio VOICE.wav \\"
say "        --checkpoint_path wav2lip.pth --s3fd s3fd.pth"
say "The result lies in $result."
