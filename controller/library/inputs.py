"""What a scene is made of: every file it reads, and one number for the state they are all in. No GL.

A state is known by its content alone: the same files give the same key on every host, and a file that was saved again
unchanged gives none. Contents are hashed once for each size and time of change.
"""

from __future__ import annotations

import importlib.metadata
import threading
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from hashlib import blake2b
from pathlib import Path
from typing import Final
from urllib.parse import unquote

from renderer.config import SceneConfig
from renderer.gltf.document import read_document_json
from renderer.gltf.errors import AssetError
from renderer.scene_file import files_of
from stage.errors import OpenVolumeError

_KEY_BYTES: Final = 16
_CHUNK: Final = 1 << 20
_LIBRARIES: Final = ("numpy", "moderngl", "pillow", "openimageio", "DracoPy")

Stamp = tuple[int, int, int]
"""Size, time of change (ns) and inode: while they stay, the content does."""


@dataclass(frozen=True, slots=True)
class Inputs:
    """The files of a scene as they were looked at."""

    stamps: Mapping[Path, Stamp | None]
    """None: it is not there."""

    @property
    def files(self) -> tuple[Path, ...]:
        """Every one of them."""
        return tuple(self.stamps)

    def changed(self) -> bool:
        """Whether any is another now, came or went. A few microseconds a file."""
        return any(_stamp(file) != stamp for file, stamp in self.stamps.items())


def inputs_of(config: SceneConfig, folder: Path) -> Inputs:
    """Every file a scene reads: those it names, and those its glTF assets name. Files that cannot be read yet are
    among them; what they would name is not."""
    named = [folder / name for _, name in files_of(config)]
    found: dict[Path, Stamp | None] = {}
    for file in named:
        found[file] = _stamp(file)
        if file.suffix.lower() in (".gltf", ".glb"):
            for inner in _named_by(file):
                found[inner] = _stamp(inner)
    return Inputs(found)


def looked_at(files: Iterable[Path]) -> Inputs:
    """Files as they are now."""
    return Inputs({file: _stamp(file) for file in files})


def state_key(config: SceneConfig, inputs: Inputs) -> str:
    """The state of a scene, 32 hexadecimal digits: its configuration, every input's content, and what compiles it.

    Raises
    ------
    OSError : a file is not there, or cannot be read.
    """
    digest = blake2b(digest_size=_KEY_BYTES)
    digest.update(compiler_version().encode())
    digest.update(config.model_dump_json().encode())
    for file in inputs.files:
        # Names matter through the configuration only: a library that was moved is still the same.
        digest.update(content_hash(file).encode())
    return digest.hexdigest()


def read_hash(config: SceneConfig, folder: Path) -> str:
    """Tells apart the configurations that a scene's files are read by."""
    return blake2b(f"{folder}\0{config.model_dump_json()}".encode(), digest_size=8).hexdigest()


def content_hash(file: Path) -> str:
    """Of a file's bytes. Raises OSError."""
    stamp = _stamp(file)
    if stamp is None:
        raise FileNotFoundError(2, "No such file or directory", str(file))
    known = _hashes.get(file)
    if known is not None and known[0] == stamp:
        return known[1]
    digest = blake2b(digest_size=_KEY_BYTES)
    with file.open("rb") as stream:
        while chunk := stream.read(_CHUNK):
            digest.update(chunk)
    found = digest.hexdigest()
    if _stamp(file) == stamp:
        with _lock:
            _hashes[file] = (stamp, found)
    return found


@lru_cache(maxsize=1)
def compiler_version() -> str:
    """What compiles scenes: every file of the renderer and the room it stands on, and the libraries that decode.

    Nobody has to remember to count it up: a state compiled by other code has another key.
    """
    import renderer
    import stage

    digest = blake2b(digest_size=_KEY_BYTES)
    for package in (renderer, stage):
        root = Path(next(iter(package.__path__)))
        for file in sorted(root.rglob("*")):
            if file.suffix in (".py", ".glsl", ".vert", ".frag", ".comp"):
                digest.update(str(file.relative_to(root)).encode())
                digest.update(file.read_bytes())
    for name in _LIBRARIES:
        try:
            digest.update(f"{name}={importlib.metadata.version(name)}".encode())
        except importlib.metadata.PackageNotFoundError:
            digest.update(f"{name}=".encode())
    return digest.hexdigest()


def existing(files: Iterable[Path]) -> list[Path]:
    """Those that are there."""
    return [file for file in files if _stamp(file) is not None]


def _named_by(asset: Path) -> list[Path]:
    """Files a glTF asset names beside itself; only those inside its own folder, as the loader reads no others."""
    try:
        document = read_document_json(asset)
    except (AssetError, OpenVolumeError):
        return []
    folder = asset.parent.resolve()
    uris = [b.uri for b in document.buffers if b.uri] + [i.uri for i in document.images if i.uri]
    files = [(folder / unquote(uri)).resolve() for uri in uris if not uri.startswith("data:") and "://" not in uri]
    return [file for file in files if file.is_relative_to(folder)]


def _stamp(file: Path) -> Stamp | None:
    try:
        found = file.stat()
    except OSError:
        return None
    return found.st_size, found.st_mtime_ns, found.st_ino


_hashes: dict[Path, tuple[Stamp, str]] = {}
_lock = threading.Lock()
