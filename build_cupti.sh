#!/usr/bin/env bash
# Compiles utils/cupti/cupti.cpp to utils/cupti/cupti.so. Needs a C++17 compiler, pybind11 and the headers of CUDA 12 or 13
# with CUPTI; no GPU. Environment: PYTHON (python3), CXX (g++), CUDA_HOME, CUPTI_SO (the output, utils/cupti/cupti.so).
set -euo pipefail

root=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
python=${PYTHON:-python3}
compiler=${CXX:-g++}
output=${CUPTI_SO:-$root/utils/cupti/cupti.so}

fail() {
    echo "build_cupti.sh: $*" >&2
    exit 1
}

# Prints each argument that is a directory, once.
directories() {
    local directory
    for directory in "$@"; do
        if [[ -d $directory ]]; then echo "$directory"; fi
    done | awk '!seen[$0]++'
}

# The first of the directories on stdin that holds a file matching the pattern.
holding() {
    local candidates directory
    mapfile -t candidates
    for directory in "${candidates[@]}"; do
        if compgen -G "$directory/$1" >/dev/null; then
            echo "$directory"
            return
        fi
    done
}

# A CUDA installation's include (or lib) directories; CUPTI hides in extras/ in the full toolkit.
includes_of() { directories "$1/include" "$1/extras/CUPTI/include" "$1"/targets/*/include; }
libraries_of() { directories "$1/lib64" "$1/lib" "$1/extras/CUPTI/lib64" "$1"/targets/*/lib; }

command -v "$compiler" >/dev/null || fail "no C++ compiler '$compiler': install g++, or set CXX"
command -v "$python" >/dev/null || fail "no Python '$python': set PYTHON"
python_flags=$("$python" -m pybind11 --includes 2>/dev/null) ||
    fail "pybind11 is missing from $python: pip install pybind11"

# NVIDIA's wheels, which PyTorch brings along: one process must use one libcupti, so they precede a toolkit.
wheels=$("$python" -c 'import sys; print("\n".join(p + "/nvidia" for p in sys.path if p))')
mapfile -t wheels < <(while read -r wheel; do directories "$wheel"; done <<<"$wheels")

# A place holds both CUPTI's header and its library: versions must not be mixed.
places=()
[[ -n ${CUDA_HOME:-} ]] && places+=("$CUDA_HOME")
for wheel in "${wheels[@]}"; do places+=("$wheel"/cu1[23] "$wheel"/cuda_cupti); done
if nvcc=$(command -v nvcc); then places+=("$(dirname "$(dirname "$(readlink -f "$nvcc")")")"); fi
places+=(/usr/local/cuda /usr)

cupti_include=
for place in "${places[@]}"; do
    cupti_include=$(includes_of "$place" | holding cupti.h)
    cupti_library=$(libraries_of "$place" | holding 'libcupti.so.1[23]')
    [[ -n $cupti_include && -n $cupti_library ]] && break
done
[[ -n $cupti_include ]] || fail "cupti.h not found in CUDA_HOME, the nvidia-* wheels or /usr/local/cuda:" \
    "pip install nvidia-cuda-cupti (CUDA 13) or nvidia-cuda-cupti-cu12, or set CUDA_HOME"
[[ -n $cupti_library ]] || fail "libcupti.so not found beside $cupti_include:" \
    "pip install nvidia-cuda-cupti, or set CUDA_HOME"

# CUDA's own headers may lie elsewhere: three wheels share them out.
cuda_places() {
    includes_of "$place"
    local wheel
    for wheel in "${wheels[@]}"; do directories "$wheel"/cuda_runtime/include "$wheel"/cuda_nvcc/include; done
    includes_of /usr/local/cuda
}
cuda_include=$(cuda_places | holding cuda_occupancy.h)
[[ -n $cuda_include ]] || fail "cuda_occupancy.h not found: pip install nvidia-cuda-runtime (CUDA 13)" \
    "or nvidia-cuda-runtime-cu12, or set CUDA_HOME"
crt_include=$(cuda_places | holding crt/host_defines.h)
[[ -n $crt_include ]] || fail "crt/host_defines.h not found: pip install nvidia-cuda-crt (CUDA 13)" \
    "or nvidia-cuda-nvcc-cu12, or set CUDA_HOME"

# CUPTI numbers the versions of its activity records, and fills in the newest that its headers declare.
newest_record() {
    grep -oE "^} $1[0-9]*;" "$cupti_include/cupti_activity.h" | grep -oE "$1[0-9]*" | sort -V | tail -n 1
}

"$compiler" -std=c++17 -O2 -Wall -Wextra -Wno-missing-field-initializers -fPIC -shared -fvisibility=hidden \
    $python_flags -I"$root/utils/cupti" -isystem "$cupti_include" -isystem "$cuda_include" \
    -isystem "$crt_include" \
    -DRNB_KERNEL_RECORD="$(newest_record CUpti_ActivityKernel)" \
    -DRNB_MEMCPY_RECORD="$(newest_record CUpti_ActivityMemcpy)" \
    -DRNB_MEMCPY_PEER_RECORD="$(newest_record CUpti_ActivityMemcpyPtoP)" \
    -DRNB_MEMSET_RECORD="$(newest_record CUpti_ActivityMemset)" \
    "$root/utils/cupti/cupti.cpp" -o "$output.partial" -Wl,-rpath,"$cupti_library" -ldl -pthread
mv "$output.partial" "$output"
echo "built $output with CUPTI from $cupti_include"
