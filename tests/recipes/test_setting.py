"""The recipe "Add a setting" of CONTRIBUTING, carried out on the platform of an installed package."""

from .conftest import Environment

PLATFORM = '''
    """Platform that writes what it was asked into its request."""

    from dataclasses import dataclass

    from gaitway_runtime.spec.settings import setting

    from gaitway.platforms.local.platform import LocalOptions, LocalPlatform
    from gaitway.platforms.base import Request


    @dataclass(frozen=True, kw_only=True)
    class Options(LocalOptions):
        """Settings of this platform."""

        shelf: int = setting(1, "Shelf that the robot stands on.", flags="--shelf", env="SHELF", minimum=1, maximum=9)


    class ShelfPlatform(LocalPlatform):
        """This machine, with a shelf."""

        name = "shelf"
        options = Options

        def render(self, submission):
            """Return the request: where the robot stands."""
            return Request(self.name, f"shelf {submission.option('shelf')}")
'''
PLAN = ("train", "--on", "shelf", "--task", "Isaac-Cartpole-v0", "--dry-run")


def test_one_declaration_gives_flag_variable_limits_help_and_config(environment: Environment) -> None:
    environment.install("shelf-platform", PLATFORM, {"gaitway.platforms": {"shelf": "shelf_platform:ShelfPlatform"}})
    assert "shelf 1" in environment.gaitway(*PLAN).out
    assert "shelf 2" in environment.gaitway(*PLAN, "--shelf", "2").out
    assert "shelf 3" in environment.gaitway(*PLAN, env={"SHELF": "3"}).out
    assert "Shelf that the robot stands on" in environment.gaitway("train", "--on", "shelf", "--help").out
    refused = environment.gaitway(*PLAN, "--shelf", "10")
    assert (refused.code, "1 to 9" in refused.err) == (2, True)
    explained = environment.gaitway("config", "explain", "shelf", env={"SHELF": "3"})
    assert explained.out.startswith("shelf = 3      from env SHELF")
