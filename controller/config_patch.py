"""A few keys changed in a configuration's text; everything else, comments too, stays as it stands."""

from __future__ import annotations

import io
from collections.abc import Mapping
from typing import Any

from controller.config import LoadedConfig, OpenVolumeConfig, load_config_data, load_config_text
from controller.errors import UnknownAddress
from stage.errors import Problem
from tracking.config import TrackingConfig


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
    data = sources[source].model_dump(exclude_unset=True)
    for key, value in change.items():
        data.pop(key, None)
        if value is not None:
            data[key] = value
    wanted = type(sources[source]).model_validate(data)
    tracking = loaded.config.tracking.model_copy(update={"sources": {**sources, source: wanted}})
    return _patched(loaded, ("tracking", "sources", source), change, tracking)


def with_relay(loaded: LoadedConfig, relay: str, value: Mapping[str, Any] | None) -> LoadedConfig:
    """The configuration with `tracking/relays/<relay>` as given; None: without it.

    Raises
    ------
    UnknownAddress : there is none to remove. ConfigError : the result is no configuration.
    """
    relays = dict(loaded.config.tracking.relays)
    if value is None and relay not in relays:
        known = ", ".join(sorted(relays)) or "(none)"
        raise UnknownAddress(
            Problem(UnknownAddress.code, f"relays/{relay}", "there is none of this name", mend=f"use one of {known}")
        )
    text = _edited(loaded.source, ("tracking", "relays"), {relay: None if value is None else dict(value)})
    # What is wrong with the value is told by the configuration's own reading, with its line.
    found = load_config_text(text, loaded.path, base_dir=loaded.base_dir).config.tracking.relays
    relays.pop(relay, None)
    if value is not None:
        relays[relay] = found[relay]
    tracking = loaded.config.tracking.model_copy(update={"relays": relays})
    return _patched(loaded, ("tracking", "relays"), {relay: None if value is None else dict(value)}, tracking)


def _patched(
    loaded: LoadedConfig, path: tuple[str, ...], change: Mapping[str, Any], tracking: TrackingConfig
) -> LoadedConfig:
    """The configuration whose text has the change and whose tracking section is as wanted."""
    patched = load_config_text(_edited(loaded.source, path, change), loaded.path, base_dir=loaded.base_dir)
    wanted = _plain(loaded.config.model_copy(update={"tracking": tracking}))
    if _plain(patched.config) != wanted:
        # A text that says things in a way that cannot be edited in place (anchors that other parts share).
        patched = load_config_data(wanted, base_dir=loaded.base_dir)
    return patched


def _plain(config: OpenVolumeConfig) -> dict[str, Any]:
    told: dict[str, Any] = config.model_dump(mode="json")
    return told


def _edited(text: str, path: tuple[str, ...], change: Mapping[str, Any]) -> str:
    """The YAML text with keys of the mapping at `path` set, or removed where None is given."""
    from ruamel.yaml import YAML
    from ruamel.yaml.comments import CommentedMap

    yaml = YAML()
    yaml.preserve_quotes = True
    yaml.width = 1 << 16
    yaml.indent(mapping=2, sequence=4, offset=2)
    keys: CommentedMap = yaml.load(text)
    tree, outer = keys, keys
    for step in path:
        if keys.get(step) is None:
            _put(keys, step, CommentedMap())
        outer, keys = keys, keys[step]
    for key, value in change.items():
        if value is None:
            keys.pop(key, None)
            if not keys:
                outer.pop(path[-1])
            continue
        told = CommentedMap(value) if isinstance(value, Mapping) else value
        if isinstance(told, CommentedMap):
            told.fa.set_flow_style()
        _put(keys, key, told)
    out = io.StringIO()
    yaml.dump(tree, out)
    return out.getvalue()


def _put(keys: Any, key: str, value: Any) -> None:
    if key in keys or not keys:
        keys[key] = value
    else:
        # Blank lines and comments after a mapping hang on its last key.
        keys.insert(len(keys) - 1, key, value)
