"""What the supervisor is told: the processes of one run, as a JSON document of plain fields.

`{"run", "run_dir", "keep_run_dir", "roles": [{"name", "argv", "env", "heartbeat", "restart", "ends_run", "critical",
"nice", "cpus", "pass_fds", "stop_grace_s", "after"}]}`. Roles start together, but for those that come `after` another
one; they end in the opposite order.
Standard library only, like the supervisor.
"""

from __future__ import annotations

import dataclasses
import json
import os
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NoReturn

from stage.errors import OpenVolumeError, Problem


class SupervisorError(OpenVolumeError):
    """A specification that cannot be run, or a role driven into a state it cannot be in."""

    code = "controller.supervisor"


def supervisor_error(path: str, detail: str, value: Any = None, mend: str = "") -> SupervisorError:
    """One such error."""
    return SupervisorError(Problem(SupervisorError.code, path, detail, value, mend))


START_AFTER_S = 4.0
"""A role waits so long at most for those that come first."""


@dataclass(frozen=True, slots=True)
class HeartbeatSpec:
    """Where a role's heartbeat (u64 monotonic ns, little-endian) stands and how old it may get.

    file : relative to the run directory (`node_0.beat`, or a `.ring` with `offset_bytes` 48); timeout_s : a running
    role older than this is hung; start_timeout_s : a started one must have moved it once within this.
    """

    file: str
    offset_bytes: int = 0
    timeout_s: float = 2.0
    start_timeout_s: float = 30.0


@dataclass(frozen=True, slots=True)
class RestartSpec:
    """How a role that ended is started again.

    when : `always`, `failure` (a clean exit is the end of it) or `never`; intensity, period_s : more than
    `intensity` restarts within `period_s` and it is given up with an alarm; first_delay_s, most_delay_s : the
    back-off doubles from one to the other; retry_after_s : a given-up role is tried again after this (0: never).
    """

    when: str = "always"
    intensity: int = 5
    period_s: float = 10.0
    first_delay_s: float = 0.05
    most_delay_s: float = 0.8
    retry_after_s: float = 30.0


@dataclass(frozen=True, slots=True)
class RoleSpec:
    """One process.

    ends_run : its clean exit ends the run with 0; critical : the run ends when it is given up; pass_fds : inherited
    descriptors it keeps (a listening socket outlives restarts that way); stop_grace_s : from SIGTERM to SIGKILL;
    after : roles that come first: it starts once each of them runs, or has failed, or `START_AFTER_S` have passed.
    """

    name: str
    argv: tuple[str, ...]
    env: dict[str, str] = field(default_factory=dict)
    heartbeat: HeartbeatSpec | None = None
    restart: RestartSpec = field(default_factory=RestartSpec)
    ends_run: bool = False
    critical: bool = False
    nice: int = 0
    cpus: tuple[int, ...] = ()
    pass_fds: tuple[int, ...] = ()
    stop_grace_s: float = 3.0
    after: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class RunSpec:
    """One run: its directory under the shared-memory mount and its processes, in starting order."""

    run: str
    run_dir: str
    roles: tuple[RoleSpec, ...]
    keep_run_dir: bool = False

    def to_json(self) -> str:
        """The document `from_json` reads."""
        return json.dumps(dataclasses.asdict(self), indent=2)

    @classmethod
    def from_json(cls, text: str | bytes) -> RunSpec:
        """Read a specification. Raises SupervisorError naming what is wrong."""
        try:
            document = json.loads(text)
        except ValueError as error:
            raise supervisor_error("spec", f"no JSON: {error}") from error
        run = _fields(cls, document, "spec")
        roles: list[RoleSpec] = []
        for index, entry in enumerate(run.get("roles", ())):
            path = f"spec/roles/{index}"
            given = _fields(RoleSpec, entry, path)
            for key in ("argv", "cpus", "pass_fds", "after"):
                if key in given:
                    given[key] = tuple(given[key])
            if given.get("heartbeat") is not None:
                given["heartbeat"] = HeartbeatSpec(**_fields(HeartbeatSpec, given["heartbeat"], f"{path}/heartbeat"))
            if "restart" in given:
                given["restart"] = RestartSpec(**_fields(RestartSpec, given["restart"], f"{path}/restart"))
            roles.append(RoleSpec(**given))
        spec = cls(**{**run, "roles": tuple(roles)})
        names = [role.name for role in roles]
        if not names or len(set(names)) != len(names):
            raise supervisor_error("spec/roles", "needs at least one role, each with a name of its own", names)
        for index, role in enumerate(roles):
            if not role.argv:
                raise supervisor_error(f"spec/roles/{index}/argv", "is empty", mend="name the program to start")
            if missing := sorted(set(role.after) - set(names)):
                raise supervisor_error(f"spec/roles/{index}/after", "no such role", missing)
            if role.restart.when not in {"always", "failure", "never"}:
                raise supervisor_error(
                    f"spec/roles/{index}/restart/when", "not always, failure or never", role.restart.when
                )
        return spec


def _fields(kind: type, document: Any, path: str) -> dict[str, Any]:
    """The keys of a JSON object as arguments of a dataclass: none unknown, none missing."""
    if not isinstance(document, dict):
        raise supervisor_error(path, "is no object", document)
    known = {entry.name: entry for entry in dataclasses.fields(kind)}
    unknown = sorted(set(document) - set(known))
    missing = [
        name
        for name, entry in known.items()
        if name not in document
        and entry.default is dataclasses.MISSING
        and entry.default_factory is dataclasses.MISSING
    ]
    if unknown or missing:
        raise supervisor_error(
            path, f"unknown keys {unknown}, missing keys {missing}", mend=f"keys are {sorted(known)}"
        )
    return dict(document)


def become_supervisor(spec: RunSpec) -> NoReturn:
    """Write the specification into the run directory and turn this process into its supervisor (same pid).

    Descriptors in `pass_fds` are made inheritable here; everything else closes.
    """
    path = Path(spec.run_dir) / "spec.json"
    path.write_text(spec.to_json())
    for role in spec.roles:
        for fd in role.pass_fds:
            os.set_inheritable(fd, True)
    sys.stdout.flush()
    sys.stderr.flush()
    os.execv(sys.executable, [sys.executable, "-P", "-m", "controller.processes.supervisor", str(path)])  # noqa: S606
