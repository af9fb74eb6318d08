"""What people say of a file of the library: a label and tags, in a small YAML file beside it (`chair.glb.tags.yaml`).

```yaml
label: Chair of the queen
tags: [throne, set_3]
```

A scene file has both in itself; its own and those beside it count together.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Final

from pydantic import Field

from controller.errors import BadValue
from controller.rundir import replace_file
from renderer.config_types import Tag
from stage.config import Label, Section
from stage.documents import MAX_BYTES, read_yaml, validate
from stage.errors import Problem

ENDING: Final = ".tags.yaml"
MOST: Final = 64


class TagFile(Section):
    """What stands in such a file."""

    label: Label = ""
    tags: Annotated[list[Tag], Field(max_length=MOST)] = Field(default_factory=list)


def tag_file(file: Path) -> Path:
    """Where a file's label and tags lie, there or not."""
    return file.with_name(file.name + ENDING)


def read_tags(file: Path) -> tuple[TagFile, tuple[Problem, ...]]:
    """The label and tags beside `file`, and what is wrong with how they are written; none where there are none."""
    place = tag_file(file)
    try:
        with place.open("rb") as stream:
            data = stream.read(MAX_BYTES + 1)
    except OSError:
        return TagFile(), ()
    found, problems = validate(TagFile, read_yaml(data))
    return found or TagFile(), problems


def write_tags(file: Path, *, label: str | None = None, tags: Sequence[str] | None = None) -> TagFile:
    """Say something else of a file; what is None stays. An empty label and no tags take the tag file away.

    Raises
    ------
    BadValue : a label or tag that is none. OSError : the folder cannot be written to.
    """
    before, _ = read_tags(file)
    given = {
        "label": before.label if label is None else label,
        "tags": list(dict.fromkeys(before.tags if tags is None else tags)),
    }
    from pydantic import ValidationError

    try:
        wanted = TagFile.model_validate(given)
    except ValidationError as error:
        fault = error.errors(include_url=False)[0]
        path = "/".join(str(part) for part in fault["loc"])
        mend = "a tag is up to 32 signs without blanks, commas and slashes"
        raise BadValue(Problem(BadValue.code, path, str(fault["msg"]), fault.get("input"), mend)) from error
    place = tag_file(file)
    if not wanted.label and not wanted.tags:
        place.unlink(missing_ok=True)
        return wanted
    lines = [f"label: {json.dumps(wanted.label, ensure_ascii=False)}"] if wanted.label else []
    lines += ["tags:", *(f"- {json.dumps(tag, ensure_ascii=False)}" for tag in wanted.tags)] if wanted.tags else []
    replace_file(place, ("\n".join(lines) + "\n").encode())
    return wanted
