"""The recipe "Add a platform" of CONTRIBUTING, carried out."""

from .conftest import Environment

MARS = '''
    """Jobs on Mars: a platform that writes its requests into a file and has every job succeed at once."""

    import json
    from dataclasses import dataclass
    from pathlib import Path

    from gaitway.findings import Finding
    from gaitway.platforms.base import Limits, Request, RunRef, RunStatus, StatusReport
    from gaitway_runtime.spec.settings import setting


    @dataclass(frozen=True, kw_only=True)
    class MarsOptions:
        """Settings of a job on Mars."""

        crater: str = setting("Gale", "Crater of the job.", flags="--crater", env="MARS_CRATER", metavar="NAME")


    class Mars:
        """The platform."""

        name = "mars"
        limits = Limits()
        options = MarsOptions

        def forwarded_settings(self, job, words):
            return {}

        def check(self, settings):
            return [Finding("antenna", True, f"points at {settings['crater'].value}")]

        def render(self, submission):
            body = json.dumps({"crater": submission.option("crater"), "task": submission.job.task})
            return Request(self.name, body, notes=("it is cold there",))

        def submit(self, submission, request, run_dir):
            (run_dir / "sent.json").write_text(request.body)
            return RunRef(submission.run, self.name, "mars-7", "https://mars.example/7")

        def status(self, ref, run_dir):
            return StatusReport(RunStatus.SUCCEEDED, word="DONE", exit_code=0)

        def logs(self, ref, run_dir, follow):
            yield "landed"

        def cancel(self, ref, run_dir):
            return self.status(ref, run_dir)

        def fetch(self, ref, run_dir, pattern, into):
            return []
'''

ENTRY = {"gaitway.platforms": {"mars": "mars_platform:Mars"}}
TRAIN = ("train", "--on", "mars", "--task", "Isaac-Cartpole-v0")


def test_a_platform_of_an_installed_package(environment: Environment) -> None:
    environment.install("mars-platform", MARS, ENTRY)
    help = environment.gaitway("train", "--help-all").out
    assert "mars" in help and "--crater NAME" in help and "GAITWAY_CRATER" in help
    plan = environment.gaitway(*TRAIN, "--crater", "Jezero", "--dry-run", "--json").json
    assert plan["request"] == {"platform": "mars", "body": '{"crater": "Jezero", "task": "Isaac-Cartpole-v0"}'}
    assert plan["plan"]["settings"]["crater"]["origin"] == "cli --crater"
    sent = environment.gaitway(*TRAIN, "--yes", "--json", env={"MARS_CRATER": "Endeavour"})
    assert sent.code == 0, sent.err
    assert (sent.json["platform"], sent.json["status"], sent.json["url"]) == (
        "mars",
        "succeeded",
        "https://mars.example/7",
    )
    assert environment.gaitway("status", sent.json["run"], "--json").json["status"] == "succeeded"
    assert environment.gaitway("logs", sent.json["run"]).out == "landed\n"
    assert "points at Gale" in environment.gaitway("doctor", "--on", "mars").out
    assert "MARS_CRATER" in environment.gaitway("config", "explain", "crater").out
    refused = environment.gaitway("train", "--on", "marz", "--dry-run")
    assert refused.code == 2
    assert "allowed: local, osmo, azureml, mars" in refused.err
    assert "hint: did you mean mars?" in refused.err


def test_a_broken_platform_is_a_warning_and_no_more(environment: Environment) -> None:
    environment.install(
        "venus-platform", "raise RuntimeError('too hot')", {"gaitway.platforms": {"venus": "venus_platform:create"}}
    )
    for words in (("train", "--help"), ("config",), ("payload",), ("runs",), (*TRAIN[:1], "--dry-run")):
        ran = environment.gaitway(*words)
        assert ran.code == 0, ran.err
        assert ran.err.count("platform 'venus'") <= 1, ran.err
    told = environment.gaitway("train", "--help").err
    assert "platform 'venus' of venus-platform cannot be used: RuntimeError: too hot" in told
    refused = environment.gaitway("train", "--on", "venus", "--dry-run")
    assert refused.code == 3
    assert "platform 'venus' of venus-platform cannot be used" in refused.err
    assert "upgrade or uninstall venus-platform" in refused.err


def test_a_platform_for_another_version_or_without_a_part_is_named(environment: Environment) -> None:
    environment.install("old-platform", "GAITWAY_API = 0", {"gaitway.platforms": {"old": "old_platform:create"}})
    environment.install(
        "half-platform", "class Half: name = 'half'", {"gaitway.platforms": {"half": "half_platform:Half"}}
    )
    greedy = MARS.replace("crater:", "platform:")
    environment.install("greedy-platform", greedy, {"gaitway.platforms": {"greedy": "greedy_platform:Mars"}})
    for name, message in (
        ("old", "it is written for plug-in API 0"),
        ("half", "it is not a platform: it lacks cancel"),
        ("greedy", "its setting platform has the name of one of gaitway's own"),
    ):
        ran = environment.gaitway("train", "--on", name, "--dry-run")
        assert ran.code == 3
        assert message in ran.err, ran.err


def test_a_run_of_a_platform_that_is_gone_does_not_break_the_list(environment: Environment) -> None:
    environment.install("mars-platform", MARS, ENTRY)
    assert environment.gaitway(*TRAIN, "--yes").code == 0
    environment.install("mars-platform", MARS)  # its entry point is gone
    listed = environment.gaitway("runs", "--json")
    assert listed.code == 0, listed.err
    assert [run["platform"] for run in listed.json] == ["mars"]
