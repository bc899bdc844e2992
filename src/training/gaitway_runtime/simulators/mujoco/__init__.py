"""The embedded simulator: Isaac Lab's tasks on MuJoCo's batch engine, on the CPU."""
