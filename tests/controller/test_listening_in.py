"""The doctor beside a running show: what the show's own socket hears, without taking anything from it."""

from __future__ import annotations

import socket
from contextlib import closing
from typing import TYPE_CHECKING

import pytest

from controller import doctor
from controller.listening_in import ShowReceiver, heard_by_shows, show_receiver
from runtime.clock import SystemClock
from tracking.encoders import encoder
from tracking.errors import ListenError
from tracking.moment import Moment
from tracking.moves import move

if TYPE_CHECKING:
    from tests.controller.conftest import RunningHouse


def address_of(house: RunningHouse) -> str:
    def told() -> str:
        status = house.control.backend.conductor
        return "" if status is None else status.sources["tracker"].address

    found: str = house.eventually(lambda: told() if not told().endswith(":0") else "")
    return found


def test_a_running_shows_addresses_are_known(house: RunningHouse) -> None:
    address, root = address_of(house), house.run.path.parent
    run, names = house.eventually(lambda: heard_by_shows(root=root).get(address))
    assert (run.path, names) == (house.run.path, ["tracker"])
    port = address.rpartition(":")[2]
    for asked in (address, f"0.0.0.0:{port}"):
        # On a crowded machine the conductor's beat may be old for a moment.
        with closing(house.eventually(lambda asked=asked: show_receiver(asked, root=root))) as ear:
            assert ear.address == address
    assert show_receiver(f"127.0.0.1:{int(port) - 1}", root=root) is None
    assert show_receiver(f"127.0.0.2:{port}", root=root) is None


def test_what_the_show_hears_is_examined(house: RunningHouse, monkeypatch: pytest.MonkeyPatch) -> None:
    address, root = address_of(house), house.run.path.parent
    house.eventually(lambda: heard_by_shows(root=root).get(address))
    clock = SystemClock()
    with pytest.raises(ListenError):
        # The show has the port; no show that the doctor knows of does.
        doctor._open(address, "", clock)
    monkeypatch.setattr(
        doctor, "show_receiver", lambda asked: house.eventually(lambda: show_receiver(asked, root=root))
    )
    ear = doctor._open(address, "", clock)
    assert isinstance(ear, ShowReceiver)
    assert "with the running show" in doctor._place(ear)
    host, _, port = address.rpartition(":")
    encode, pose = encoder("opentrackio"), move("handheld").pose
    sent = [data for n in range(40) for data in encode(Moment(pose(n / 60), n, 1_790_000_000_000_000_000 + n))]
    heard: list[bytes] = []
    with closing(ear), socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as wire:
        for data in sent:
            wire.sendto(data, (host, int(port)))
        mine = wire.getsockname()[1]

        def all_heard() -> bool:
            heard.extend(arrival.data for arrival in ear.receive() if arrival.port == mine)
            return len(heard) >= len(sent)

        house.eventually(all_heard)
    assert heard == sent
