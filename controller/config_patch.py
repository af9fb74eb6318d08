"""Keys of one tracking source changed in a configuration's text; everything else, comments too, stays as it stands."""

from __future__ import annotations

import io
from collections.abc import Mapping
from typing import Any

from controller.config import LoadedConfig, load_config_data, load_config_text
from controller.errors import UnknownAddress
from stage.errors import Problem


def with_source(loaded: LoadedConfig, source: str, change: Mapping[str, Any]) -> LoadedConfig:
    """The configuration with keys of `tracking/sources/<source>` set; None removes one.

    Raises
    ------
    UnknownAddress : no such source. ConfigError : the result is no configuration.
    """
    sources = loaded.config.tracking.sources
    if source not in sources:
        known = ", ".join(sorted(sources)) or "(none)"
        raise UnknownAddress(
            Problem(UnknownAddress.code, f"sources/{source}", "there is none of this name", mend=f"use one of {known}")
        )
    text = _patched(loaded.source, source, change)
    patched = load_config_text(text, loaded.path, base_dir=loaded.base_dir)
    wanted = loaded.config.model_dump(mode="json")
    told = wanted["tracking"]["sources"][source]
    defaults = type(sources[source]).model_fields
    for key, value in change.items():
        told[key] = _dumped(defaults[key].default) if value is None else {**_dumped(defaults[key].default), **value}
    if patched.config.model_dump(mode="json") != wanted:
        # A text that says things in a way that cannot be edited in place (anchors that other parts share).
        patched = load_config_data(wanted, base_dir=loaded.base_dir)
    return patched


def _patched(text: str, source: str, change: Mapping[str, Any]) -> str:
    from ruamel.yaml import YAML
    from ruamel.yaml.comments import CommentedMap

    yaml = YAML()
    yaml.preserve_quotes = True
    yaml.width = 1 << 16
    yaml.indent(mapping=2, sequence=4, offset=2)
    tree = yaml.load(text)
    keys: CommentedMap = tree["tracking"]["sources"][source]
    for key, value in change.items():
        if value is None:
            keys.pop(key, None)
            continue
        told = CommentedMap(value)
        told.fa.set_flow_style()
        if key in keys:
            keys[key] = told
        else:
            # Blank lines and comments after the source hang on its last key.
            keys.insert(len(keys) - 1, key, told)
    out = io.StringIO()
    yaml.dump(tree, out)
    return out.getvalue()


def _dumped(section: Any) -> dict[str, Any]:
    told: dict[str, Any] = section.model_dump(mode="json")
    return told
