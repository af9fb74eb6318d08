"""One HTTP connection to one processor: kept open, short waits, and every failure in words."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import msgspec

from controller.processors.driver import strange, unreachable

if TYPE_CHECKING:
    import httpx

TIMEOUT_S = 2.0
"""A processor that takes longer is taken for away: the keeper asks again soon enough."""
UPLOAD_S = 20.0
"""For a table of some megabytes."""


class HttpLink:
    """GET, PUT and their kind to one address, one request at a time."""

    def __init__(self, address: str, *, where: str, timeout_s: float = TIMEOUT_S) -> None:
        """`address` is `host` or `host:port`; `where` is the processor's address in errors."""
        self.address, self.where = address, where
        self._timeout_s = timeout_s
        self._client: httpx.AsyncClient | None = None

    async def ask(
        self,
        method: str,
        path: str,
        *,
        body: object = None,
        headers: Mapping[str, str] | None = None,
        files: Mapping[str, Any] | None = None,
        timeout_s: float | None = None,
    ) -> tuple[int, Any]:
        """Status and JSON of the answer (text where it is no JSON). `timeout_s`: where more than the link's is needed.

        Raises
        ------
        UnreachableError, StrangeAnswerError
        """
        import httpx

        if self._client is None:
            limits = httpx.Limits(max_connections=1, max_keepalive_connections=1, keepalive_expiry=30.0)
            self._client = httpx.AsyncClient(
                base_url=f"http://{self.address}", timeout=self._timeout_s, limits=limits, trust_env=False
            )
        wait_s = self._timeout_s if timeout_s is None else timeout_s
        try:
            if files is not None:
                answer = await self._client.request(method, path, files=files, headers=headers, timeout=wait_s)
            elif body is None:
                answer = await self._client.request(method, path, headers=headers, timeout=wait_s)
            else:
                sent = {"content-type": "application/json", **(headers or {})}
                data = msgspec.json.encode(body)
                answer = await self._client.request(method, path, content=data, headers=sent, timeout=wait_s)
        except (httpx.HTTPError, OSError) as error:
            raise unreachable(self.where, error) from error
        except httpx.InvalidURL as error:
            raise strange(self.where, f"{self.address} is no address: {error}") from error
        if not answer.content:
            return answer.status_code, None
        try:
            return answer.status_code, msgspec.json.decode(answer.content)
        except msgspec.DecodeError:
            return answer.status_code, answer.text

    async def close(self) -> None:
        """Let it go; the next request opens another."""
        if self._client is not None:
            client, self._client = self._client, None
            await client.aclose()


def leaf(tree: object, path: str) -> Any:
    """The value at `a/b/c` of nested mappings, None where there is none."""
    for part in path.split("/"):
        if not isinstance(tree, Mapping):
            return None
        tree = tree.get(part)
    return tree


def put(tree: dict[str, Any], path: str, value: object) -> None:
    """Set the value at `a/b/c` of nested mappings, made where they are missing."""
    *parents, name = path.split("/")
    for part in parents:
        tree = tree.setdefault(part, {})
    tree[name] = value


def number(value: object) -> float | None:
    """A finite number, None for anything else."""
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return None
    return float(value) if abs(float(value)) < float("inf") else None


def whole(value: object) -> int | None:
    """A whole number, None for anything else and for the -1 of `not there`."""
    found = number(value)
    return None if found is None or found < 0 else int(found)
