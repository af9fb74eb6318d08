"""What can be wrong with a 3D asset, each with a stable code; every error names file, place, value and mend."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from renderer.errors import RendererError
from stage.errors import Problem


class AssetError(RendererError):
    """Base of all faults of 3D assets and domes."""

    code = "renderer.asset"

    def __init__(self, file: Path | str, place: str, detail: str, *, value: Any = None, mend: str = "") -> None:
        path = f"{file}#{place}" if place else str(file)
        super().__init__(Problem(self.code, path, detail, value, mend))


class AssetMissingError(AssetError):
    """A file that is named is not there, or cannot be read."""

    code = "renderer.asset_missing"


class AssetOutsideError(AssetError):
    """A file that lies outside the asset's own folder, or on a network, is asked for."""

    code = "renderer.asset_outside"


class AssetFormatError(AssetError):
    """The file is not valid glTF 2.0: wrong container, JSON, type or structure."""

    code = "renderer.asset_format"


class AssetReferenceError(AssetError):
    """An index points to something the asset does not have."""

    code = "renderer.asset_reference"


class AssetDataError(AssetError):
    """Binary data that does not fit its description, or holds values nothing can be drawn from."""

    code = "renderer.asset_data"


class AssetExtensionError(AssetError):
    """The asset requires an extension OpenVolume does not read."""

    code = "renderer.asset_extension"


class AssetImageError(AssetError):
    """A picture that cannot be decoded."""

    code = "renderer.asset_image"
