import pytest
from gaitway_runtime.process.machine import Room
from gaitway_runtime.process.out_of_memory import asked_for, explained

GIB = 2**30


@pytest.mark.parametrize(
    ("message", "size"),
    [
        ("CUDA out of memory. Tried to allocate 2.50 GiB. GPU 0 has a total capacity of 79.10 GiB", 5 * GIB // 2),
        ("Failed to allocate 1048576 bytes on device 'cuda:0'", 2**20),
        ("Unable to allocate 71.5 MiB for an array with shape (9, 9)", int(71.5 * 2**20)),
        ("can't allocate memory: you tried to allocate 512000000 bytes. Error code 12", 512_000_000),
        ("out of memory", 0),
    ],
)
def test_what_was_asked_for_is_read_from_the_error(message: str, size: int) -> None:
    assert asked_for(message) == size
    assert explained(RuntimeError(message), 4, Room("memory", 0, 2)) is not None


def test_an_allocation_that_failed_says_how_many_environments_fit() -> None:
    error = RuntimeError("CUDA out of memory. Tried to allocate 40.00 GiB.")
    found = explained(error, 4096, Room("the GPU's memory", taken=60 * GIB, total=80 * GIB))
    assert found is not None
    assert found.message == (
        "the GPU's memory does not hold 4096 environments: 60.0 GiB of 80.0 GiB were taken when 40.0 GiB more were "
        "asked for, so at most 3276 fit"
    )
    assert (found.source, found.hint) == ("--num-envs", "--num-envs 1638")


def test_where_the_error_gives_no_size_no_number_is_made_up() -> None:
    found = explained(MemoryError(), 64, Room("memory", taken=GIB, total=2 * GIB))
    assert found is not None
    assert (found.message, found.hint) == ("memory does not hold 64 environments", "--num-envs 32")


def test_this_machines_own_memory_is_looked_at() -> None:
    found = explained(MemoryError("Unable to allocate 9000 TiB for an array"), 1000)
    assert found is not None
    assert "at most 1 fit" in found.message


def test_another_error_is_none_of_it() -> None:
    assert explained(RuntimeError("shapes do not match"), 4, Room("memory", 1, 2)) is None
