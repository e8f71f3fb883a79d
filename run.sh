#!/bin/sh
# The one entry: finds out what this machine lacks, asks apt for it, builds, and runs.
set -eu

cd "$(dirname "$0")"
. scripts/machine.sh

usage() {
    cat <<'END'
usage: ./run.sh COMMAND

  demo    build, then lip-sync the bundled clip; the result lies in results/demo.mp4
  build   build the program and the libraries: build/release/run-model
  test    build every preset and run all tests; ./run.sh test --help for the steps
  help    this text

Missing Debian packages are installed with apt, after asking when a person sits at the terminal.
END
}

command=${1:-help}
[ $# -eq 0 ] || shift
case $command in
demo)
    ensure_packages build
    build_release run-model
    mkdir -p results # with the weights that come with the project
    set -- build/release/run-model wav2lip --face data/demo/face.mp4 --audio data/demo/voice.wav \
        --outfile results/demo.mp4 "$@"
    say "+ $*"
    "$@"
    say "The result lies in results/demo.mp4."
    ;;
build)
    ensure_packages build
    build_release run-model runmodel_static runmodel_shared
    say "The program is build/release/run-model."
    ;;
test)
    tier=usual
    for argument; do
        case $argument in --fast | --long) tier=${argument#--} ;; esac
    done
    ensure_packages test $tier
    exec "$PYTHON" scripts/test_all.py --cmake "$CMAKE" --ninja "$NINJA" "$@"
    ;;
help | -h | --help)
    usage
    ;;
*)
    usage >&2
    exit 2
    ;;
esac
