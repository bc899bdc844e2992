"""The journey with skrl, and the way back: what the embedded simulator has taught balances in Isaac Lab too."""

from .conftest import Lab
from .journey import BEST_RETURN, TASK, JourneyTests, own_python


class TestSkrl(JourneyTests):
    backend = "skrl"


def test_a_policy_of_the_embedded_simulator_balances_in_isaac_lab(lab: Lab) -> None:
    words = ["train", "--task", TASK, "--simulator", "mujoco", "--skip-register-checkpoint"]
    trained = lab.gaitway(*words, *own_python("mujoco"))
    assert trained.code == 0, trained.talk
    where = trained.document["final_checkpoint"]["uri"]
    ran = lab.gaitway("validate", "--task", "Isaac-Cartpole", "--checkpoint-uri", where, "--simulator", "isaaclab")
    assert ran.code == 0, ran.talk
    assert 4.8 <= ran.document["metrics"]["mean_reward"] <= BEST_RETURN
