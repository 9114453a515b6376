"""The training benchmark measures every part, of agents with and without memory."""

import pytest

from kinetix_ued.benchmarks import TrainingSettings, format_training, measure_training


def test_every_part_is_measured():
    measured = measure_training(TrainingSettings(preset="tiny", environments=4, rollout_steps=4, repeats=1))
    parts = measured["parts"]
    assert list(parts) == [
        *("physics", "observation", "forward", "rollout", "learning"),
        *("learning, forward", "learning, backward"),
    ]
    assert all(parts[name] > 0 for name in parts if "backward" not in name)
    assert measured["update"]["steps_per_second"] == pytest.approx(16 / measured["update"]["seconds"])
    assert measured["memory"]["bytes_per_environment"] > measured["memory"]["bytes_per_buffer_slot"] > 500
    text = format_training(measured)
    assert "4 environments x 4 steps, 2 epochs of 2 minibatches" in text and "learning, backward" in text


def test_what_cannot_be_measured_is_refused():
    with pytest.raises(ValueError, match="repeats must be at least 1"):
        TrainingSettings(repeats=0)
    with pytest.raises(ValueError, match="unknown preset 'huge'"):
        TrainingSettings(preset="huge")
