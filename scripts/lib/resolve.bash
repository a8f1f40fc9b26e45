# What other boards would install, to the pins of constraints.txt. Sourced by scripts/check-boards and
# scripts/check-emulated, from the checkout; both set $scratch, a folder of theirs.
#
# The resolver is uv: UV=/path/to/uv, or the one on the PATH, or else one that pip puts into a scratch
# environment. Packages come from whatever index pip or uv is set up with.

# These have no wheel, and everything else must have one. llama-cpp-python is compiled for the very processor
# (scripts/compile-llama); docopt, of num2words, is plain Python; lgpio has none for Python 3.13, where Raspberry Pi OS
# has python3-lgpio.
source=(llama-cpp-python docopt lgpio)

# The wake word's wheels want macOS 15, onnxruntime's 14; uv would ask for 13.
export MACOSX_DEPLOYMENT_TARGET=15.0

uv=${UV:-$(command -v uv || true)}
if [[ -z $uv ]]; then
  python3 -m venv "$scratch/venv"
  "$scratch/venv/bin/python" -m pip install --quiet uv
  uv=$scratch/venv/bin/uv
fi

# The pins without their hashes: they are of every file, and only versions matter here.
sed -E '/^ +--hash/d; s/ *\\$//' constraints.txt >"$scratch/pins.txt"

# resolve NAME PYTHON PLATFORM EXTRAS: the packages into $scratch/NAME.txt, what is wrong into $scratch/NAME.log.
resolve() {
  local extra build arguments=()
  for extra in ${4//,/ }; do arguments+=(--extra "$extra"); done
  for build in "${source[@]}"; do arguments+=(--no-binary "$build"); done
  "$uv" pip compile pyproject.toml "${arguments[@]}" --constraint "$scratch/pins.txt" \
    --python-version "$2" --python-platform "$3" --only-binary :all: --no-header --no-annotate \
    --quiet --output-file "$scratch/$1.txt" 2>"$scratch/$1.log"
}
