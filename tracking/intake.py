"""From datagrams to histories: who may send, what is decoded, which streams it is for."""

from __future__ import annotations

from collections.abc import Sequence

from tracking.receivers import Arrival
from tracking.sample import Refusal, Sample
from tracking.stream import Link


def take_all(link: Link, arrivals: Sequence[Arrival], taken: list[Sample]) -> None:
    """Decode datagrams into the histories they are for, as `take` does one after the other. Never raises.

    Where all are of the one sender that feeds the socket's one source, who may send is asked once.
    """
    if len(arrivals) == 1 or not _is_plain(link, arrivals):
        for arrival in arrivals:
            take(link, arrival, taken)
        return
    state = link.sources[0]
    mapping, take_in, items = state.mapping, state.take_in, link.items
    heard_ns = 0
    for arrival in arrivals:
        link.datagrams += 1
        for item in items(arrival):
            if isinstance(item, Refusal):
                state.refuse(item, arrival.t_received_ns)
            elif item.is_for(mapping):
                heard_ns = arrival.t_received_ns
                take_in(item, arrival, taken)
            else:
                link.refused["not_mine"] += 1
    if heard_ns:
        state.lock.heard(heard_ns)


def _is_plain(link: Link, arrivals: Sequence[Arrival]) -> bool:
    """Whether all are of the socket's established sender, for its only source, which moves a camera, and within its
    rate."""
    sources = link.sources
    if len(sources) != 1 or link.subjects or link.has_allow_lists:
        return False
    state = sources[0]
    holder = state.lock.holder
    if holder is None or not state.lock.established or not state.source.camera or state.lens_track is not None:
        return False
    host, port = holder
    if any(arrival.port != port or arrival.host != host for arrival in arrivals):
        return False
    return link.cap.lets_in_all(holder, [arrival.t_received_ns for arrival in arrivals])


def take(link: Link, arrival: Arrival, taken: list[Sample]) -> None:
    """Decode a datagram into the histories it is for; `taken` grows by the cameras' samples. Never raises."""
    link.datagrams += 1
    t_received_ns = arrival.t_received_ns
    sources, subjects = link.sources, link.subjects
    if link.has_allow_lists:
        sources = [s for s in sources if link.lets_in(s.name, arrival.host)]
        subjects = [s for s in subjects if link.lets_in(s.name, arrival.host)]
        if not sources:
            link.refused["not_allowed"] += 1
            link.unread += 1
            return
    if not link.within_rate(arrival):
        link.refused["rate"] += 1
        link.unread += 1
        return
    for item in link.items(arrival):
        if isinstance(item, Refusal):
            if len(link.sources) == 1:
                sources[0].refuse(item, t_received_ns)
            else:
                # Whose packet it would have been cannot be told: no source is called bad for it.
                link.refused[item.reason] += 1
            continue
        mine = False
        for state in sources:
            if not state.source.camera:
                state.hear(arrival)
                mine = True
            elif item.is_for(state.mapping):
                mine = True
                if state.lens_track is not None:
                    state.take_lens(item, arrival)
                else:
                    state.take(item, arrival, taken)
        for state in subjects:
            if item.is_for(state.mapping):
                mine = True
                state.take(item, arrival, [])
        if not mine:
            link.refused["not_mine"] += 1
