"""The published JSON Schemas: of the configuration file, and of the frame plan."""

from __future__ import annotations

import json
from typing import Any

SCHEMAS = ("config", "plan")


def schema_document(kind: str) -> dict[str, Any]:
    """JSON Schema of `config` (the YAML file) or `plan` (the frame plan). Raises KeyError for another name."""
    if kind == "config":
        from controller.config import config_schema

        document = config_schema()
    elif kind == "plan":
        from stage.plan import plan_schema

        document = plan_schema()
    else:
        raise KeyError(kind)
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **document}


def schema_text(kind: str) -> str:
    """The schema as the file `docs/schema/<kind>.schema.json` holds it."""
    return json.dumps(schema_document(kind), indent=1, sort_keys=True) + "\n"
