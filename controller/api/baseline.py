"""What programs may rely on: the API as it was released, and what has been broken since on purpose.

`python -m controller.api.baseline` says what the code as it is breaks of the released API (exit 1), unless
`docs/api/breaks.json` gives a reason; `--write`, at a release, makes the API as it is the new baseline.
"""

from __future__ import annotations

import argparse
import importlib.metadata
import json
import sys
from pathlib import Path
from typing import Any, Final

from controller.api.asyncapi import document
from controller.api.compare import asyncapi_breaks, openapi_breaks, undeclared, without_words

BASELINE: Final = "baseline.json"
BREAKS: Final = "breaks.json"


def current(version: str) -> dict[str, Any]:
    """Both documents as the code makes them."""
    from controller.api.app import create_app

    return {"version": version, "openapi": create_app(version=version).openapi(), "asyncapi": document(version)}


def breaks_between(old: dict[str, Any], new: dict[str, Any]) -> list[str]:
    """What one API broke of another; both as `current` gives them."""
    found = openapi_breaks(old["openapi"], new["openapi"])
    told = asyncapi_breaks(old["asyncapi"], new["asyncapi"], old["openapi"], new["openapi"])
    return [*found, *(one for one in told if one not in found)]


def unexplained(folder: Path) -> list[str]:
    """What the code as it is breaks of the baseline in a folder, without a reason there."""
    baseline = json.loads((folder / BASELINE).read_text())
    declared = json.loads((folder / BREAKS).read_text())
    return undeclared(breaks_between(baseline, current(baseline["version"])), declared)


def main() -> None:
    """Check the released API, or (`--write`) release the one there is."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--folder", type=Path, default=Path("docs/api"))
    parser.add_argument("--write", action="store_true", help="the API as it is becomes the baseline")
    options = parser.parse_args()
    if options.write:
        now = without_words(current(importlib.metadata.version("openvolume")))
        text = json.dumps(now, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
        options.folder.mkdir(parents=True, exist_ok=True)
        (options.folder / BASELINE).write_text(text.replace('"/api/v1/', '\n"/api/v1/') + "\n")
        (options.folder / BREAKS).write_text("{}\n")
        return
    found = unexplained(options.folder)
    for one in found:
        sys.stdout.write(f"{one}\n")
    sys.exit(1 if found else 0)


if __name__ == "__main__":
    main()
