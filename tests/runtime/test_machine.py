"""Processors that a job may use: no more than its container's share of the machine."""

import os
from pathlib import Path

import pytest
from gaitway_runtime.process.machine import usable


@pytest.mark.parametrize(("quota", "count"), [("150000", 2), ("-1", 64), ("50000", 1), ("9900000", 64)])
def test_a_share_of_control_groups_of_the_first_version(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, quota: str, count: int
) -> None:
    monkeypatch.setattr(os, "cpu_count", lambda: 64)
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: set(range(64)))
    (tmp_path / "cpu").mkdir()
    (tmp_path / "cpu" / "cpu.cfs_quota_us").write_text(f"{quota}\n")
    (tmp_path / "cpu" / "cpu.cfs_period_us").write_text("100000\n")
    assert usable(tmp_path).count == count


def test_without_control_groups_it_is_what_the_process_is_bound_to(tmp_path: Path) -> None:
    assert usable(tmp_path).count == len(os.sched_getaffinity(0))
