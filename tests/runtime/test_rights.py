"""Rights and garbage: what is withheld is told with its mend, what is frozen stays out of the way."""

from __future__ import annotations

import errno
import json
import os
import subprocess
import sys
import textwrap

import pytest

from runtime import rights


def in_a_process(script: str) -> dict[str, object]:
    """A script in a process of its own, since rights and the collector belong to a whole process."""
    command = [sys.executable, "-P", "-c", textwrap.dedent(script)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True)
    answer: dict[str, object] = json.loads(done.stdout)
    return answer


def refuse(number: int) -> object:
    def refused(*_: object) -> None:
        raise OSError(number, os.strerror(number))

    return refused


def test_withheld_fifo_tells_the_exact_mend(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "sched_setscheduler", refuse(errno.EPERM))
    monkeypatch.setattr(rights, "_throttle_us", lambda: 950_000)
    given = rights.take_fifo(20)
    assert given.rt_class == 0
    assert "no right to SCHED_FIFO 20" in given.why
    for part in ("LimitRTPRIO=20", "@realtime - rtprio 20", "--cap-add SYS_NICE", "--ulimit rtprio=20"):
        assert part in given.mend


def test_a_kernel_that_gives_real_time_no_time_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "sched_setscheduler", refuse(errno.EPERM))
    monkeypatch.setattr(rights, "_throttle_us", lambda: 0)
    assert "sched_rt_runtime_us=950000" in rights.take_fifo(20).mend


def test_a_priority_out_of_range_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "sched_setscheduler", refuse(errno.EINVAL))
    assert rights.take_fifo(200) == rights.Rights(0, "priority 200 is out of range", "use 1 to 99")
    assert rights.take_fifo(0).rt_class == 0


def test_fifo_if_granted_is_for_this_thread_only_and_can_be_given_back() -> None:
    answer = in_a_process("""
        import json, subprocess, sys, threading
        from runtime import rights
        given = rights.take_fifo(5)
        seen = {"given": given.rt_class, "mend": given.mend, "mine": rights.rt_class()}
        thread = threading.Thread(target=lambda: seen.update(thread=rights.rt_class()))
        thread.start(); thread.join()
        child = [sys.executable, "-P", "-c", "from runtime import rights; print(rights.rt_class())"]
        seen["child"] = int(subprocess.run(child, capture_output=True, check=True).stdout)
        rights.drop_fifo()
        seen["after"] = rights.rt_class()
        print(json.dumps(seen))
    """)
    assert answer["given"] in {0, 5}
    assert answer["mine"] == answer["given"]
    assert bool(answer["mend"]) == (answer["given"] == 0)
    assert (answer["thread"], answer["child"], answer["after"]) == (0, 0, 0)


def test_a_software_renderer_on_two_cores_gets_no_fifo(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("LP_NUM_THREADS", raising=False)
    assert not rights.fifo_is_wise(software_gl=True, cpus=2)
    assert rights.fifo_is_wise(software_gl=True, cpus=8)
    assert rights.fifo_is_wise(software_gl=False, cpus=2)
    # Without raster threads it draws on one core alone.
    monkeypatch.setenv("LP_NUM_THREADS", "0")
    assert rights.fifo_is_wise(software_gl=True, cpus=2)
    assert not rights.fifo_is_wise(software_gl=True, cpus=1)


def test_where_processors_are_few_the_last_is_left_to_drawing(monkeypatch: pytest.MonkeyPatch) -> None:
    assert rights.drawing_cpu({0}) is None
    assert rights.drawing_cpu({2, 5}) == 5
    assert rights.drawing_cpu(range(16)) is None
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {0, 1, 3})
    assert rights.other_cpus() == (0, 1)
    kept: list[set[int]] = []
    monkeypatch.setattr(os, "sched_setaffinity", lambda _, cpus: kept.append(cpus))
    rights.keep_to_drawing_cpu()
    assert kept == [{3}]


def test_niceness_is_raised_never_lowered() -> None:
    answer = in_a_process("""
        import json, os
        from runtime.rights import be_nice
        start = os.nice(0)
        print(json.dumps([start, be_nice(start + 3), be_nice(start), os.nice(0)]))
    """)
    start, raised, kept, now = answer
    assert (int(raised), int(kept), int(now)) == (int(start) + 3,) * 3


def test_frozen_objects_are_left_alone_and_young_garbage_is_collected_in_slack_only() -> None:
    answer = in_a_process("""
        import gc, json, weakref
        from runtime.rights import SlackCollector, freeze_garbage
        class Node:
            pass
        def knot():
            node = Node(); node.me = node
            return weakref.ref(node)
        kept = [Node() for _ in range(1000)]
        before = knot()
        frozen = freeze_garbage()
        seen = {"frozen": frozen, "enabled": gc.isenabled(), "garbage_before": before() is None}
        collector = SlackCollector(least_slack_ns=2_000_000)
        young = knot()
        seen["short"] = [collector.collect(1_000_000), young() is None]
        seen["long"] = [collector.collect(10_000_000_000), young() is None, collector.collected > 0]
        old = knot()
        survivor = [old()]
        collector.collect(10_000_000_000)
        survivor.clear()
        for _ in range(SlackCollector.OLDER_EVERY):
            collector.collect(10_000_000_000)
        seen["older"] = old() is None
        print(json.dumps(seen))
    """)
    frozen = answer["frozen"]
    assert isinstance(frozen, int)
    assert frozen >= 1000
    assert answer["enabled"] is False
    assert answer["garbage_before"] is True
    assert answer["short"] == [False, False]
    assert answer["long"] == [True, True, True]
    assert answer["older"] is True


def test_prompt_slices_need_no_rights_and_change_neither_niceness_nor_children() -> None:
    told = in_a_process("""
        import json, os
        from runtime.rights import be_prompt
        nice = os.nice(3)
        given = be_prompt()
        child = os.fork()
        if not child:
            os._exit(0 if os.getpriority(os.PRIO_PROCESS, 0) == nice else 1)
        code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        policy = os.sched_getscheduler(0) & ~os.SCHED_RESET_ON_FORK
        normal = policy == os.SCHED_OTHER
        print(json.dumps({"given": given, "normal": normal, "nice": os.getpriority(os.PRIO_PROCESS, 0) - nice,
                          "code": code}))
    """)
    release = tuple(int(part) for part in os.uname().release.split(".")[:2])
    if os.uname().machine in ("x86_64", "aarch64"):
        assert told["given"] == (release >= (6, 12))
    assert (told["normal"], told["nice"], told["code"]) == (True, 0, 0)
