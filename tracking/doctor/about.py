"""More about a sender's format, in a few words: version, encoding, maker, who serves."""

from __future__ import annotations

from collections import Counter

from tracking.doctor.bodies import Decoded
from tracking.protocols.cooke import CookePacket
from tracking.protocols.freed import FreeDPacket
from tracking.protocols.freed_makers import MAKERS
from tracking.protocols.mosys_f4 import STATUS_NAMES, F4Packet
from tracking.protocols.natnet import Frame
from tracking.protocols.opentrackio import CBOR, OpenTrackIOPacket
from tracking.protocols.osc import OscPacket
from tracking.protocols.psn import PsnData
from tracking.protocols.rttrpm import RttrpmPacket
from tracking.protocols.stype import StypePacket
from tracking.protocols.zmq_pose import ZmqPosePacket


def about(decoded: Decoded) -> str:
    """Words about what a sender sends; empty where there is nothing to add."""
    if not decoded.packets:
        return ""
    packets = [packet for _, packet in decoded.packets]
    first = packets[0]
    match first:
        case OpenTrackIOPacket():
            version = first.sample.protocol.version if first.sample.protocol is not None else None
            words = [".".join(map(str, version)) if version else "", "CBOR" if first.encoding == CBOR else "JSON"]
            segments = max(p.segments for p in packets if isinstance(p, OpenTrackIOPacket))
            faults = Counter(f for p in packets if isinstance(p, OpenTrackIOPacket) for f in p.faults)
            words += [f"in {segments} segments"] if segments > 1 else []
            words += [f"blocks that do not fit the schema: {', '.join(sorted(faults))}"] if faults else []
            return ", ".join(word for word in words if word)
        case FreeDPacket():
            return _freed([p for p in packets if isinstance(p, FreeDPacket)])
        case F4Packet():
            label, status = first.timecode, first.tracking_status
            words = [f"{len(first.index)} axes"]
            words += [f"time code {label}" + (f" at {label.fps}" if label.fps else "")] if label is not None else []
            words += ["genlocked" if first.genlocked else "not genlocked", "recording" if first.recording else ""]
            words += [STATUS_NAMES[status]] if status is not None else []
            return ", ".join(word for word in words if word)
        case CookePacket():
            return _lens([p for p in packets if isinstance(p, CookePacket)][-1])
        case StypePacket():
            return "HF" if first.format == "hf" else "A5"
        case PsnData():
            high, low = first.header.version
            names = sorted({name for p in packets if isinstance(p, PsnData) for name in p.names.values()})
            return f"{high}.{low:02}" + (f", {', '.join(names[:8])}" if names else "")
        case RttrpmPacket():
            return f"version {first.version}, {'big' if first.order == '>' else 'little'}-endian"
        case Frame():
            info = decoded.server
            bitstream = "4.1 or later" if first.is_sized else "3.x or 4.0"
            if info is None:
                return f"bitstream {bitstream}; the server has not said who it is"
            return f"{info.name}, NatNet {'.'.join(map(str, info.natnet_version[:2]))}, bitstream {bitstream}"
        case ZmqPosePacket():
            return first.encoding
        case OscPacket():
            seen = Counter(p.address for p in packets if isinstance(p, OscPacket))
            preset = {str(body.keys.get("osc", {}).get("preset", "")) for body in decoded.bodies} - {""}
            words = [f"read by the preset {', '.join(sorted(preset))}"] if preset else []
            return ", ".join([*words, *(address for address, _ in seen.most_common(6))])
        case _:
            return ""


def _lens(packet: CookePacket) -> str:
    """What a lens says of itself, and of its rings last."""
    record, fixed = packet.record, packet.fixed
    lens = record.lens()
    words = [f"serial {record.serial.strip()}"]
    if fixed is not None:
        told = f"{fixed.focal_length_mm} to {fixed.longest_mm} mm" if fixed.is_zoom else f"{fixed.focal_length_mm} mm"
        words.append(f"{told}, starts in {fixed.units} units")
    words.append("focus at infinity" if lens.focus_distance_m is None else f"focus {lens.focus_distance_m:.3f} m")
    words += [f"zoom {lens.focal_length_mm:g} mm"] if lens.focal_length_mm else []
    words += [f"T {lens.t_stop:g}"] if lens.t_stop else []
    return ", ".join([*words, f"entrance pupil {(lens.entrance_pupil_m or 0.0) * 1000.0:+.0f} mm"])


def _freed(packets: list[FreeDPacket]) -> str:
    """Which makers' ends of zoom and focus all messages keep to, where that tells anything."""
    zooms = [p.zoom for p in packets]
    focuses = [p.focus for p in packets]
    if not any(zooms) and not any(focuses):
        return "no lens encoders"
    fitting = []
    for name, maker in MAKERS.items():
        (z0, z1), (f0, f1) = maker.zoom_ends, maker.focus_ends
        if (
            min(z0, z1) <= min(zooms)
            and max(zooms) <= max(z0, z1)
            and min(f0, f1) <= min(focuses) <= max(focuses) <= max(f0, f1)
        ):
            fitting.append(name)
    told = f"zoom {min(zooms)}..{max(zooms)}, focus {min(focuses)}..{max(focuses)}"
    return f"{told} (ends of {', '.join(fitting)})" if fitting and len(fitting) < len(MAKERS) else told
