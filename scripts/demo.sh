# The main job on the bundled clip, with the weights that come with the project. Sourced by
# `run.sh demo` once the machine has what it needs.

result=results/demo.mp4

build_release run-model
mkdir -p results
set -- build/release/run-model wav2lip --face data/demo/face.mp4 --audio data/demo/voice.wav \
    --outfile "$result" "$@"
say ""
say "+ $*"
"$@"
say "The result lies in $result."
