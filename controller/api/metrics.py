"""Prometheus metrics, read from what the control plane knows when they are asked for: nothing is counted twice.

Names follow Prometheus' own rules: base units at the end (`_seconds`, `_bytes`, `_ratio`), counters `_total`,
percentiles as summaries; tests walk them.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Final

from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.registry import Collector

from controller.api import present_running
from controller.ledger import BOUNDS_MS, Series
from controller.status import Percentiles
from runtime.clock import NS_PER_S

if TYPE_CHECKING:
    from controller.api.control import Control

CONTENT_TYPE: Final = CONTENT_TYPE_LATEST
MS: Final = 1e-3
MM: Final = 1e-3
PPM: Final = 1e-6


def reading(control: Control) -> list[Metric]:
    """Every metric as it stands now. Call it on the event loop, which owns what it reads."""
    return list(_Reading(control).collect())


def exposition(metrics: list[Metric]) -> bytes:
    """Metrics as Prometheus text; on any thread."""
    registry = CollectorRegistry()
    registry.register(_Read(metrics))
    return generate_latest(registry)


class _Read(Collector):
    def __init__(self, metrics: list[Metric]) -> None:
        self._metrics = metrics

    def collect(self) -> Iterable[Metric]:
        return self._metrics


class _Reading:
    def __init__(self, control: Control) -> None:
        self._control = control

    def collect(self) -> Iterator[Metric]:
        control = self._control
        frames = present_running.frames(control.backend, course=0)
        yield _counter("frames_presented", "Slots in which every canvas showed its own frame", frames.presented)
        repeated = CounterMetricFamily(
            "openvolume_frames_repeated", "Slots in which an older picture stayed up, by reason", labels=["reason"]
        )
        for reason, count in frames.repeats.items():
            repeated.add_metric([reason], count)
        yield repeated
        yield _counter("frames_made_by_node", "Frames made without a plan of their own", frames.made_by_node)
        ledger = control.backend.ledger
        yield _histograms("frame_interval_seconds", "Where the time goes", "interval", ledger.histograms())
        yield _histograms("pose_age_seconds", "From sample to photo", "camera", ledger.age_histograms())
        own_share = {"conductor": frames.latency_ms["own_share"]}
        yield _quantiles("own_share_seconds", "The controller's own time in the newest frames", "process", own_share)
        yield _counter("host_stalls", "Standstills of the host that the metronome noticed", ledger.stalls)
        yield _counter("host_stall_seconds", "Their length together", ledger.stalled_ns / NS_PER_S)
        recorder = control.backend.recorder
        if recorder is not None:
            yield _counter("ledger_frames", "Frames written to the stored ledger", recorder.frames)
            yield _counter("ledger_frames_lost", "Frames that could not be written", recorder.lost)
            yield _counter("ledger_written_bytes", "Bytes written to the stored ledger", recorder.written_bytes)
        yield from self._processes()
        yield from self._clock()
        yield from self._sources()
        yield from self._cameras()
        yield from self._processors()
        yield from self._streams()
        yield from self._windows()
        yield _gauge("show_revision", "The running revision", control.desk.rev)
        yield _gauge("alarms", "Alarms that stand", len(control.alarms))
        yield _gauge("ws_clients", "WebSocket clients of events and previews", control.hub.clients + control.previews)
        previews = GaugeMetricFamily("openvolume_previews", "Previews that run", labels=["codec"])
        previews.add_metric(["jpeg"], control.previews - control.videos)
        previews.add_metric(["h264"], control.videos)
        yield previews
        cues = control.desk.show.cues_at
        yield _gauge("cues_waiting", "Cues that wait for their time", len(cues.waiting))
        yield _gauge("cues_chase", "1 while cues follow time code", cues.chase)
        yield _counter("ws_dropped", "Event clients let go because they took nothing", control.hub.dropped)
        yield _counter("osc_messages", "OSC control messages received", control.osc.messages)
        refused = CounterMetricFamily("openvolume_osc_refused", "OSC control messages refused", labels=["reason"])
        for reason, count in list(control.osc.refused.items()):
            refused.add_metric([reason], count)
        yield refused
        yield from self._midi()
        ordered = GaugeMetricFamily("openvolume_action", "1 for the action that is ordered", labels=["action"])
        ordered.add_metric([control.backend.action().action], 1)
        yield ordered

    def _midi(self) -> Iterator[Metric]:
        if not self._control.midi:
            return
        there = GaugeMetricFamily("openvolume_midi_open", "1 while a MIDI device is there", labels=["input"])
        heard = CounterMetricFamily("openvolume_midi_messages", "MIDI messages received", labels=["input"])
        refused = CounterMetricFamily(
            "openvolume_midi_refused", "MIDI messages that did nothing", labels=["input", "reason"]
        )
        for name, one in sorted(self._control.midi.items()):
            there.add_metric([name], one.is_open)
            heard.add_metric([name], one.messages)
            for reason, count in sorted(one.refused.items()):
                refused.add_metric([name, reason], count)
        yield from (there, heard, refused)

    def _processes(self) -> Iterator[Metric]:
        backend = self._control.backend
        rights = GaugeMetricFamily("openvolume_rt_class", "SCHED_FIFO priority, 0 without", labels=["process"])
        up = GaugeMetricFamily("openvolume_up", "1 while a process runs and says so", labels=["process"])
        conductor = backend.conductor
        if conductor is not None:
            rights.add_metric(["conductor"], conductor.rt_class)
            up.add_metric(["conductor"], present_running.state_of(backend, conductor) == "running")
            yield _counter("plans", "Frame plans published", conductor.plans)
            yield _counter("slots_skipped", "Slots without a plan because the host stalled", conductor.slots_skipped)
            yield _gauge("lead_seconds", "From latch to presentation", conductor.lead_ms * MS)
        for name, status in sorted(backend.nodes.items()):
            rights.add_metric([name], status.rt_class)
            up.add_metric([name], present_running.state_of(backend, status) in ("running", "ready"))
        yield rights
        yield up
        restarts = CounterMetricFamily("openvolume_process_restarts", "Restarts by the supervisor", labels=["process"])
        if backend.supervisor is not None:
            for name, child in sorted(backend.supervisor.children.items()):
                restarts.add_metric([name], child.restarts)
        yield restarts

    def _clock(self) -> Iterator[Metric]:
        clock = present_running.clock(self._control.backend)
        state = GaugeMetricFamily(
            "openvolume_clock_state", "1 for how the frame clock stands to its reference", labels=["reference", "state"]
        )
        state.add_metric([clock.reference, clock.state], 1)
        yield state
        yield _gauge("clock_error_seconds", "Reference minus frame clock, not worked off yet", clock.error_us * 1e-6)
        slew = "By how much slots are lengthened to follow the reference"
        yield _gauge("clock_slew_ratio", slew, clock.slew_ppm * PPM)
        yield _gauge("clock_holdover_seconds", "Since the reference was lost; 0 while it is there", clock.holdover_s)
        if clock.synchronised is not None:
            yield _gauge("clock_synchronised", "1 while the system clock is kept by PTP or NTP", clock.synchronised)
        if clock.ptp_offset_ns is not None:
            yield _gauge("clock_ptp_offset_seconds", "System clock minus grandmaster", clock.ptp_offset_ns * 1e-9)
        yield _counter("timecode_labels", "Outside time code labels heard", clock.heard)
        refused = CounterMetricFamily("openvolume_timecode_refused", "Time code left aside", labels=["reason"])
        for reason, count in clock.refused.items():
            refused.add_metric([reason], count)
        yield refused

    def _sources(self) -> Iterator[Metric]:
        conductor = self._control.backend.conductor
        datagrams = CounterMetricFamily("openvolume_tracking_datagrams", "Datagrams received", labels=["source"])
        refused = CounterMetricFamily(
            "openvolume_tracking_refused", "Datagrams and samples not used", labels=["source", "reason"]
        )
        dropped = CounterMetricFamily(
            "openvolume_tracking_dropped",
            "Datagrams dropped by the kernel: not allowed, flood, full",
            labels=["source"],
        )
        rate = GaugeMetricFamily("openvolume_tracking_rate_hertz", "Samples a second", labels=["source"])
        told = "RMS error of prediction at the photos, and what holding and constant velocity would have"
        turned = GaugeMetricFamily("openvolume_prediction_error_degrees", told, labels=["source", "way"])
        moved = GaugeMetricFamily("openvolume_prediction_error_metres", told, labels=["source", "way"])
        for name, source in sorted(conductor.sources.items()) if conductor is not None else ():
            datagrams.add_metric([name], source.datagrams)
            dropped.add_metric([name], source.dropped)
            rate.add_metric([name], source.rate_hz)
            for reason, count in source.refused.items():
                refused.add_metric([name, reason], count)
            for way, rms_deg in source.prediction_rms_deg.items():
                turned.add_metric([name, way], rms_deg)
            for way, rms_mm in source.prediction_rms_mm.items():
                moved.add_metric([name, way], rms_mm * MM)
        yield datagrams
        yield dropped
        yield refused
        yield rate
        yield turned
        yield moved

    def _cameras(self) -> Iterator[Metric]:
        conductor = self._control.backend.conductor
        sides = GaugeMetricFamily("openvolume_overscan_degrees", "Overscan as drawn", labels=["camera", "side"])
        cost = GaugeMetricFamily(
            "openvolume_overscan_cost_ratio", "Pixels drawn for it over the picture's own", labels=["camera"]
        )
        texels = GaugeMetricFamily(
            "openvolume_inner_texels_per_led", "Inner texels for each LED at the densest in view", labels=["camera"]
        )
        lowered = GaugeMetricFamily(
            "openvolume_inner_lowered_steps", "Eighths of an octave drawn coarser than configured", labels=["camera"]
        )
        for name, camera in sorted(conductor.cameras.items()) if conductor is not None else ():
            for side, deg in zip(("left", "right", "top", "bottom"), camera.overscan_deg, strict=True):
                sides.add_metric([name, side], deg)
            cost.add_metric([name], camera.overscan_cost_percent / 100.0)
            texels.add_metric([name], camera.texels_per_led)
            lowered.add_metric([name], camera.lowered_steps)
        yield sides
        yield cost
        yield texels
        yield lowered

    def _processors(self) -> Iterator[Metric]:
        told = self._control.backend.processors
        if told is None:
            return
        ready = GaugeMetricFamily(
            "openvolume_processor_ready", "1 while an LED processor answers and can be set", labels=["processor"]
        )
        drift = GaugeMetricFamily(
            "openvolume_processor_drift", "Settings that are not as the show wants them", labels=["processor"]
        )
        signal = GaugeMetricFamily(
            "openvolume_processor_input_hertz", "Rate at its input, 0 without a signal", labels=["processor"]
        )
        heat = GaugeMetricFamily(
            "openvolume_processor_temperature_celsius", "Its temperatures", labels=["processor", "sensor"]
        )
        for name, status in sorted(told.processors.items()):
            ready.add_metric([name], status.link == "ready")
            drift.add_metric([name], len(status.drift))
            if status.signal.present is not None:
                rate_hz = status.signal.rate_hz or 0.0
                signal.add_metric([name], rate_hz if status.signal.present else 0.0)
            for sensor, temperature_c in sorted(status.health.temperatures_c.items()):
                heat.add_metric([name, sensor], temperature_c)
        yield ready
        yield drift
        yield signal
        yield heat

    def _windows(self) -> Iterator[Metric]:
        told = self._control.backend.windows
        if told is None:
            return
        there = GaugeMetricFamily(
            "openvolume_monitor_there", "1 while a monitor runs at a multiple of the show's rate", labels=["monitor"]
        )
        shown = CounterMetricFamily("openvolume_window_frames", "Frames seen on monitors", labels=["window"])
        passed = CounterMetricFamily(
            "openvolume_window_frames_passed_over", "Frames that came and were never seen", labels=["window"]
        )
        for name, window in sorted(told.windows.items()):
            shown.add_metric([name], window.shown)
            passed.add_metric([name], window.passed_over)
            for monitor, status in sorted(window.monitors.items()):
                there.add_metric([monitor], status.multiple > 0)
        yield from (there, shown, passed)
        delays = {name: window.delay_ms for name, window in told.windows.items()}
        yield _quantiles("window_delay_seconds", "From slots to pictures seen on monitors", "window", delays)

    def _streams(self) -> Iterator[Metric]:
        told = self._control.backend.sender
        if told is None:
            return
        state = GaugeMetricFamily(
            "openvolume_stream_sending", "1 while a canvas is sent over the network", labels=["canvas"]
        )
        packets = CounterMetricFamily("openvolume_stream_packets", "Packets sent", labels=["canvas", "path"])
        refused = CounterMetricFamily(
            "openvolume_stream_packets_refused", "Packets the network layer would not take", labels=["canvas", "path"]
        )
        frames = CounterMetricFamily("openvolume_stream_frames", "Slots sent", labels=["canvas"])
        wrong = CounterMetricFamily(
            "openvolume_stream_frames_wrong", "Slots that were not sent as they should have been",
            labels=["canvas", "reason"],
        )  # fmt: skip
        bucket = GaugeMetricFamily(
            "openvolume_stream_bucket_packets", "Packets that stood closer than an even stream's", labels=["canvas"]
        )
        for name, stream in sorted(told.streams.items()):
            state.add_metric([name], stream.state == "sending")
            frames.add_metric([name], stream.frames)
            bucket.add_metric([name], stream.bucket.max)
            for index, path in enumerate(stream.paths):
                packets.add_metric([name, str(index)], path.packets)
                refused.add_metric([name, str(index)], path.refused)
            for reason, count in sorted(stream.reasons.items()):
                wrong.add_metric([name, reason], count)
        yield from (state, packets, refused, frames, wrong, bucket)
        late = {name: stream.late_ms for name, stream in told.streams.items()}
        yield _quantiles("stream_late_seconds", "How late the latest packets of a frame left", "canvas", late)


def _counter(name: str, about: str, value: float) -> Metric:
    return CounterMetricFamily(f"openvolume_{name}", about, value=value)


def _gauge(name: str, about: str, value: float) -> Metric:
    return GaugeMetricFamily(f"openvolume_{name}", about, value=value)


def _histograms(name: str, about: str, label: str, values: dict[str, Series]) -> Metric:
    family = HistogramMetricFamily(f"openvolume_{name}", about, labels=[label])
    bounds = [*(f"{bound * MS:g}" for bound in BOUNDS_MS), "+Inf"]
    for key, series in sorted(values.items()):
        family.add_metric([key], list(zip(bounds, series.histogram(), strict=True)), series.total * MS)
    return family


def _quantiles(name: str, about: str, label: str, values: dict[str, Percentiles]) -> Metric:
    family = Metric(f"openvolume_{name}", about, "summary")
    for key, found in sorted(values.items()):
        for quantile, ms in (("0.5", found.p50), ("0.95", found.p95), ("0.99", found.p99), ("1", found.max)):
            family.add_sample(f"openvolume_{name}", {label: key, "quantile": quantile}, ms * MS)
    return family
