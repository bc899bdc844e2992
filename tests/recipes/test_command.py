"""The recipe "Add a command" of CONTRIBUTING, carried out."""

from .conftest import Environment

GREET = '''
    """``gaitway greet``."""

    import click

    from gaitway.cli.command import VerbCommand


    def run(name: str) -> None:
        """Greet somebody."""
        click.echo(f"hello {name}")


    command = VerbCommand(
        "greet", callback=run, params=[click.Argument(["name"])], help="Say hello to the one who is named."
    )
'''


def test_a_command_of_an_installed_package(environment: Environment) -> None:
    environment.install("greeting", GREET, {"gaitway.commands": {"greet": "greeting:command"}})
    assert environment.gaitway("greet", "Ada").out == "hello Ada\n"
    assert "greet" in environment.gaitway("--help").out
    assert "NAME" in environment.gaitway("greet", "--help").out
