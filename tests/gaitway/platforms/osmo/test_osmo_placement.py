"""Before a job is sent: does it fit on nodes, does it continue after a preemption, are its results kept."""

from __future__ import annotations

from typing import Any

import pytest
from fakes.osmo import OsmoService

TRAIN = ("train", "--on", "osmo")


def test_more_gpus_than_a_node_has_would_wait_for_ever(service: OsmoService, gaitway: Any) -> None:
    ran = gaitway(*TRAIN, "--num-gpus", "12")
    assert ran.code == 2, ran.err
    assert "12 GPUs of one node are asked for, and the nodes of pool default have at most 8" in ran.err
    assert "--num-nodes 2 --num-gpus 6" in ran.err
    assert service.workflows == {}
    assert gaitway(*TRAIN, "--num-nodes", "2", "--num-gpus", "6").code == 0
    three = gaitway(*TRAIN, "--num-nodes", "3", "--num-gpus", "5")
    assert (three.code, "3 nodes with 5 GPUs are asked for, and pool default has 2" in three.err) == (2, True)


def test_a_pool_without_the_platform_is_told_with_those_it_has(service: OsmoService, gaitway: Any) -> None:
    ran = gaitway(*TRAIN, "--platform", "dgx")
    assert (ran.code, "allowed: gpu-node" in ran.err) == (2, True), ran.err
    assert service.workflows == {}, "no id is burnt"


def test_a_job_that_waits_is_sent_with_a_word(
    service: OsmoService, gaitway: Any, caplog: pytest.LogCaptureFixture
) -> None:
    service.pools["default"]["gpus_used"] = 15
    assert gaitway(*TRAIN, "--num-gpus", "2").code == 0
    assert "pool default has 1 free GPUs now, 2 are asked for" in caplog.text


def test_a_retry_budget_of_nothing_is_said_and_refused_where_resume_is_required(
    service: OsmoService, gaitway: Any, caplog: pytest.LogCaptureFixture
) -> None:
    plan = gaitway(*TRAIN, "--priority", "LOW", "--dry-run").out
    assert "as often as OSMO's max_retry_per_task allows" in " ".join(plan.split())
    service.is_admin = True
    assert gaitway(*TRAIN, "--priority", "LOW").code == 0
    assert "max_retry_per_task is 0) and LOW priority may be preempted" in caplog.text
    words = (*TRAIN, "--priority", "LOW", "--require-resume")
    refused = gaitway(*words)
    assert (refused.code, "a preempted job would not go on" in refused.err) == (3, True), refused.err
    service.cluster.max_retry = 5
    without = gaitway(*words)
    assert (without.code, "a preempted job would begin anew" in without.err) == (3, True), without.err
    assert gaitway(*words, "--storage-uri", "s3://bucket/robots").code == 0
    service.data_profiles.append("s3://mine")
    assert gaitway(*words).code == 0


def test_results_that_nothing_would_keep_are_not_sent_for(service: OsmoService, gaitway: Any) -> None:
    service.is_admin, service.cluster.has_store = True, False
    refused = gaitway(*TRAIN)
    assert (refused.code, "nothing would keep the results" in refused.err) == (3, True), refused.err
    assert service.workflows == {}
    assert gaitway("runs", "--json").json == []
    assert gaitway(*TRAIN, "--storage-uri", "s3://bucket/robots").code == 3, "it would start no task"
    gaitway(*TRAIN, "--accept-loss", "--name", "insists")
    service.wait("isaaclab-inline-training-1")
    assert "Workflow data credential is not set" in gaitway("status", "insists", "--json").json["detail"]


def test_a_validation_that_fails_leaves_nothing_behind(service: OsmoService, gaitway: Any) -> None:
    ran = gaitway(*TRAIN, "--memory", "9000Gi", "--validate")
    assert (ran.code, "9000Gi of memory are asked for" in ran.err) == (2, True), ran.err
    assert service.workflows == {}, "no id is burnt"
    service.fail_next("api/resources", 403)
    by_osmo = gaitway(*TRAIN, "--memory", "9000Gi", "--validate")
    assert (by_osmo.code, "Resource validation failed" in by_osmo.err) == (2, True), by_osmo.err
    assert gaitway("runs", "--json").json == []
    assert gaitway(*TRAIN, "--validate").code == 0


def test_more_gpus_than_a_priority_may_take_are_not_sent_for(service: OsmoService, gaitway: Any) -> None:
    service.pools["default"]["gpus_guaranteed"] = 4
    refused = gaitway(*TRAIN, "--num-gpus", "6")
    assert (refused.code, "--priority LOW may take more" in refused.err) == (2, True), refused.err
    assert service.workflows == {}
    assert gaitway(*TRAIN, "--num-gpus", "6", "--priority", "LOW").code == 0


def test_a_pool_that_is_closed_is_told_with_those_that_are_open(service: OsmoService, gaitway: Any) -> None:
    service.pools["other"] = {**service.pools["default"]}
    service.pools["default"]["status"] = "MAINTENANCE"
    refused = gaitway(*TRAIN)
    assert (refused.code, "pool default is undergoing maintenance" in refused.err) == (2, True), refused.err
    assert "allowed: other" in refused.err
    assert gaitway(*TRAIN, "--pool", "other").code == 0


def test_another_pool_with_room_is_named(service: OsmoService, gaitway: Any, caplog: pytest.LogCaptureFixture) -> None:
    service.pools["other"] = {**service.pools["default"]}
    service.pools["default"]["gpus_used"] = 15
    assert gaitway(*TRAIN, "--num-gpus", "2").code == 0
    assert "pool default has 1 free GPUs now" in caplog.text
    assert "another pool has room, --pool takes it: other has 16" in caplog.text


def test_the_doctor_reads_the_same_facts(service: OsmoService, gaitway: Any) -> None:
    service.is_admin, service.cluster.has_store = True, False
    found = {entry["check"]: entry for entry in gaitway("doctor", "--on", "osmo", "--json").json["findings"]}
    assert "2 in pool default, at most 8 GPUs on one, 16 GPUs free" in found["osmo nodes"]["message"]
    assert not found["osmo retries"]["ok"]
    assert not found["osmo results"]["ok"]
