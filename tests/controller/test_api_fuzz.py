"""Row A3: schemathesis makes requests of the API's own document, as every role; nothing is answered with a fault of
ours, and every answer is what the document says.

A few requests of each resource by default, many under `scripts/test --all`. What a house without LED processors, a
librarian and recorders cannot do is answered 503 with the reason: that is no fault.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, Final

import httpx
import jsonschema
import pytest
from hypothesis import HealthCheck, Phase, given, seed, settings

from controller.access.pace import Paces
from controller.access.roles import ROLES
from controller.access.secrets import new_key
from controller.access.store import Key
from controller.api.app import create_app

if TYPE_CHECKING:
    from tests.controller.conftest import RunningHouse

LEFT_OUT: Final = {
    "POST /api/v1/preflight": "starts a program of its own for every request",
    "POST /api/v1/show/import": "takes an archive; tests/controller/test_show_file.py tries those",
    "POST /api/v1/show/import/check": "the same",
}
ABSENT: Final = frozenset({503, 504})
"""A process that is not in this house."""
QUICK: Final = 3
"""By default every so many-th resource is asked, another third as each role."""
PARTS: Final = 8
"""So many tests share the resources among them where each is asked many times."""


@pytest.fixture(scope="module")
def keys(house: RunningHouse) -> Iterator[dict[str, str]]:
    """A key of every role, in a house with an administrator; nobody is asked to wait."""
    store = house.control.doorman.store
    assert store is not None
    store.put_user("boss", "admin", "no hash", 0)
    found = {role: new_key() for role in ROLES}
    for role, secret in found.items():
        store.put_key(Key(f"for-{role}", role, "test", 0), secret)
    house.control.doorman.forget()
    house.control.doorman.paces = Paces(pace_hz=1e6, burst=1e6)
    yield found
    house.control.doorman.paces = Paces()


@pytest.fixture(scope="module")
def found() -> dict[int, Counter[int]]:
    """How often each status came, by part."""
    return {}


def fuzz(
    house: RunningHouse, keys: dict[str, str], examples: int, *, every: int = 1, part: int = 0, parts: int = 1
) -> Counter[int]:
    """Ask every resource (of a part of them) so often as every role; how often each status came."""
    import schemathesis

    document = create_app(version="0").openapi()
    schema = schemathesis.openapi.from_dict(document)
    statuses: Counter[int] = Counter()
    faults: list[str] = []
    operations = [found.ok() for found in schema.get_all_operations()]
    asked = [one for one in operations if f"{one.method.upper()} {one.path}" not in LEFT_OUT]
    assert len(asked) > 100
    for number, operation in list(enumerate(asked))[part::parts]:
        for place, role in enumerate(ROLES):
            if (number + place) % every == 0:
                faults += _ask(house, operation, role, keys[role], document, examples, statuses)
        # Whatever was switched on is off again, and nothing is held.
        _settle(house)
    assert not faults, "\n".join(faults[:20])
    return statuses


def _ask(
    house: RunningHouse, operation: Any, role: str, key: str, document: dict[str, Any], examples: int,
    statuses: Counter[int],
) -> list[str]:  # fmt: skip
    faults: list[str] = []
    headers = {"authorization": f"Bearer {key}"}

    @seed(7)
    @settings(
        max_examples=examples, database=None, deadline=None, phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )  # fmt: skip
    @given(case=operation.as_strategy())
    def once(case: Any) -> None:
        request = case.as_transport_kwargs(base_url=house.url)
        made = dict(request.get("headers") or {})
        # Who it is, is not made up here: a second header beside ours would be the one that is read.
        made = {name: value for name, value in made.items() if name.lower() not in ("authorization", "cookie")}
        sent = {
            "params": request.get("params"), "cookies": None, "json": request.get("json"),
            "content": request.get("data"), "headers": {**made, **headers},
        }  # fmt: skip
        try:
            answer = house.client.request(request["method"], request["url"], **sent)
        except (httpx.InvalidURL, httpx.LocalProtocolError, ValueError, TypeError, UnicodeError):
            return  # no client can send it
        statuses[answer.status_code] += 1
        faults.extend(f"{role}: {wrong}" for wrong in _wrong(operation, answer, document, role))

    once()
    return faults


def _wrong(operation: Any, answer: httpx.Response, document: dict[str, Any], role: str) -> Iterator[str]:
    what = f"{answer.request.method} {answer.request.url.raw_path.decode()}: {answer.status_code}"
    kind = answer.headers.get("content-type", "").partition(";")[0]
    if answer.status_code >= 500 and answer.status_code not in ABSENT:
        yield f"{what} {answer.text[:300]}"
        return
    told = document["paths"][operation.path][operation.method]["responses"]
    described = told.get(str(answer.status_code), told["default"] if answer.status_code >= 400 else None)
    if described is None:
        yield f"{what} is not in the document"
        return
    if kind not in described.get("content", {}):
        yield f"{what} is {kind or 'nothing'}, not {', '.join(described.get('content', {}))}"
        return
    if "json" in kind:
        shape = {**described["content"][kind]["schema"], "components": document["components"]}
        try:
            jsonschema.Draft202012Validator(shape).validate(answer.json())
        except jsonschema.ValidationError as error:
            yield f"{what}: {'/'.join(map(str, error.absolute_path))}: {error.message[:300]}"
        except json.JSONDecodeError as error:
            yield f"{what}: {error}"
    if role == "viewer" and answer.request.method != "GET" and answer.is_success and "session" not in operation.path:
        yield f"{what}: a viewer changed something"


def _settle(house: RunningHouse) -> None:
    ours = {"authorization": f"Bearer {house.control.doorman.local_key}"}
    house.client.cookies.clear()
    if house.control.desk.show.lock.state != "open":
        body = {"state": "open", "reason": "the next request"}
        house.client.put("/api/v1/lock", json=body, headers=ours)
    if house.control.backend.action().action != "none":
        house.client.post("/api/v1/actions/none", headers=ours)


def test_no_request_finds_a_fault_of_ours(house: RunningHouse, keys: dict[str, str]) -> None:
    statuses = fuzz(house, keys, 1, every=QUICK)
    assert statuses[200] > 20, statuses
    assert statuses[403] > 10, statuses


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.parametrize("part", range(PARTS))
def test_many_requests_find_no_fault_of_ours(
    house: RunningHouse, keys: dict[str, str], part: int, found: dict[int, Counter[int]]
) -> None:
    found[part] = statuses = fuzz(house, keys, 25, part=part, parts=PARTS)
    assert statuses[403] > 100, statuses
    if len(found) == PARTS:
        assert sum(found.values(), Counter())[422] > 100, found
