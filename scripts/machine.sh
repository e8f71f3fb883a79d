# What this machine has and lacks. Sourced by run.sh, from the root of the tree.
#
# Tools are judged by what they do, not by the names of packages: a compiler that cannot link, a
# cmake that is too old or a python without venv counts as missing. After ensure_packages the
# variables CMAKE and NINJA, and for tests PYTHON, name programs that work.

MINIMUM_CMAKE=3.25

say() {
    printf '%s\n' "$*" >&2
}

die() {
    say "error: $*"
    exit 1
}

quiet() {
    "$@" >/dev/null 2>&1 </dev/null
}

cmake_works() {
    version=$("$1" --version 2>/dev/null </dev/null | sed -n '1s/^cmake version //p')
    older=$(printf '%s\n%s\n' "$MINIMUM_CMAKE" "$version" | sort -V | head -n 1)
    [ -n "$version" ] && [ "$older" = "$MINIMUM_CMAKE" ]
}

ninja_works() {
    quiet "$1" --version
}

python_works() {
    quiet "$1" -c 'import ensurepip, sys, venv; sys.exit(sys.version_info < (3, 11))'
}

# first_that TEST PROGRAM...: prints the first program that passes. Debian's own copy is among the
# candidates because an older one of somebody else's may stand before it in PATH.
first_that() {
    test=$1
    shift
    for program in "$@"; do
        if "$test" "$program"; then
            printf '%s\n' "$program"
            return 0
        fi
    done
    return 1
}

# makes COMMAND...: does it make a program of what it is given?
makes() {
    object=$(mktemp) || die "no room for a temporary file"
    code=0
    "$@" - -o "$object" >/dev/null 2>&1 || code=1
    rm -f "$object"
    return $code
}

# links LANGUAGE COMPILER FLAG...: can it make a program, with these flags?
links() {
    language=$1
    shift
    printf 'int main(void) { return 0; }\n' | makes "$@" -x "$language"
}

has_header() {
    printf '#include <%s>\n' "$1" | ${CC:-cc} -E -x c - >/dev/null 2>&1
}

fuzzer_links() {
    printf 'int LLVMFuzzerTestOneInput(const char *d, unsigned long n) { return !d && n; }\n' |
        makes clang -fsanitize=fuzzer,address,undefined -x c
}

# Fills `missing` with the Debian packages that would give what is not there.
find_missing() {
    missing=""
    links c ${CC:-cc} || missing="$missing gcc libc6-dev"
    CMAKE=$(first_that cmake_works cmake /usr/bin/cmake) || missing="$missing cmake"
    NINJA=$(first_that ninja_works ninja /usr/bin/ninja) || missing="$missing ninja-build"
    quiet pkg-config --version || missing="$missing pkg-config"
    for library in libavformat libavcodec libavutil libswscale libswresample; do
        quiet pkg-config --exists "$library" || missing="$missing $library-dev"
    done
    # libtiff before 4.5 has no error handler of a file.
    quiet pkg-config --exists 'libpng >= 1.6.32' || missing="$missing libpng-dev"
    quiet pkg-config --exists 'libjpeg >= 2.0' || missing="$missing libjpeg62-turbo-dev"
    quiet pkg-config --exists 'libtiff-4 >= 4.5' || missing="$missing libtiff-dev"
    quiet pkg-config --exists libwebp libwebpdemux libwebpmux || missing="$missing libwebp-dev"
    has_header stb/stb_image.h || missing="$missing libstb-dev"
    [ "$1" = test ] || return 0

    links c++ ${CXX:-c++} || missing="$missing g++"
    links c ${CC:-cc} -fsanitize=address,undefined || missing="$missing gcc libc6-dev"
    links c clang || missing="$missing clang"
    fuzzer_links || missing="$missing $(clang_runtime_package)"
    # Another version formats differently, so this one is asked for by number.
    quiet clang-format-14 --version || missing="$missing clang-format-14"
    quiet ffmpeg -version || missing="$missing ffmpeg"
    PYTHON=$(first_that python_works python3 /usr/bin/python3) ||
        missing="$missing python3 python3-venv"
    links c musl-gcc || missing="$missing musl-tools"
    [ "$2" = fast ] || find_missing_cross aarch64 arm64
    [ "$2" = fast ] || find_missing_cortex_m
    [ "$2" = fast ] || quiet llvm-mca-19 --version || missing="$missing llvm-19"
    [ "$2" = long ] || return 0
    find_missing_cross i686 i386
    find_missing_cross riscv64 riscv64
    find_missing_cross arm armhf gnueabihf
}

# find_missing_cross CPU DEBIAN_NAME [ABI]: what builds for another CPU, and runs it.
find_missing_cross() {
    triple=$1-linux-${3:-gnu}
    links c "$triple-gcc" || missing="$missing gcc-$triple libc6-dev-$2-cross"
    [ "$1" = i686 ] || quiet "qemu-$1" --version || missing="$missing qemu-user"
}

# What builds for cores without an operating system, and runs it.
find_missing_cortex_m() {
    printf '#include <math.h>\n' | makes arm-none-eabi-gcc -x c -c ||
        missing="$missing gcc-arm-none-eabi libnewlib-arm-none-eabi"
    quiet qemu-system-arm --version || missing="$missing qemu-system-arm"
}

# The sanitizer and fuzzer runtime has clang's major version in its name.
clang_runtime_package() {
    major=$(clang -dumpversion 2>/dev/null | cut -d . -f 1)
    printf 'libclang-rt-%s-dev' "${major:-14}"
}

# As root directly, through sudo otherwise.
as_root() {
    if [ "$(id -u)" -eq 0 ]; then
        env DEBIAN_FRONTEND=noninteractive "$@"
    else
        sudo env DEBIAN_FRONTEND=noninteractive "$@"
    fi
}

# ensure_packages build, or ensure_packages test fast|usual|long
ensure_packages() {
    find_missing "$@"
    [ -n "$missing" ] || return 0
    wanted=$(printf '%s\n' $missing | sort -u | tr '\n' ' ')
    say "This machine lacks these Debian packages: $wanted"
    quiet apt-get --version ||
        die "there is no apt-get here; install what these packages hold and start again"
    if [ "$(id -u)" -ne 0 ] && ! quiet sudo --version; then
        die "not root and no sudo; as root, run: apt-get install $wanted"
    fi
    if [ -t 0 ] && [ -t 2 ] && [ -z "${CI:-}" ]; then
        printf 'Install them with apt-get now? [Y/n] ' >&2
        read -r answer
        case $answer in
        "" | y* | Y*) ;;
        *) die "nothing was installed" ;;
        esac
    fi
    say "Installing with apt-get: $wanted"
    # A third-party list that cannot be reached must not stop us; a package we need and cannot get
    # does, in the line after.
    as_root apt-get -q -o Acquire::Retries=3 -o DPkg::Lock::Timeout=300 update >&2 ||
        say "apt-get update had complaints; going on"
    as_root apt-get -q -y --no-install-recommends -o Acquire::Retries=3 \
        -o DPkg::Lock::Timeout=300 install $wanted >&2 </dev/null ||
        die "apt-get could not install: $wanted"
    find_missing "$@"
    [ -z "$missing" ] || die "installed, and still missing what these packages hold: $missing"
}

# build_release TARGET...: the release preset; only what is named.
build_release() {
    "$CMAKE" --preset release -DRML_TESTS=OFF -DCMAKE_MAKE_PROGRAM="$(command -v "$NINJA")" >&2
    "$CMAKE" --build build/release --target "$@" >&2
}
