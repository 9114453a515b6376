"""The speed benchmark prints what it measured; how much that is, no test asserts."""

import importlib.util
import json

import pytest

from kinetix_ued.benchmarks import Settings, format_measurement, measure

TINY = Settings(batch=3, steps=4, repeats=2, min_seconds=0.0)


def test_both_speeds_are_measured_and_printed():
    measured = json.loads(json.dumps(measure(TINY)))
    physics, environment = measured["results"]
    assert (physics["what"], environment["what"]) == ("physics", "environment")
    for result in measured["results"]:
        (side,) = result["sides"]
        assert len(side["rounds"]) == TINY.repeats and 0 < side["min"] <= side["median"] <= side["max"]
        assert side["compile_seconds"] >= 0 and "ratio" not in result
    assert physics["outcome"]["finite"] == {"kinetix-ued": True}
    assert measured["settings"]["engine"] in ("warp", "jax") and measured["settings"]["batch"] == TINY.batch
    table = format_measurement(measured)
    assert f"{environment['sides'][0]['median']:,.0f}" in table and "batch 3" in table


def test_settings_that_cannot_be_measured_are_refused():
    for wrong in (
        {"size": "xl"},
        {"batch": 0},
        {"steps": 0},
        {"repeats": 0},
        {"min_seconds": -1.0},
        {"engine": "fast"},
    ):
        with pytest.raises(ValueError, match=str(next(iter(wrong)))):
            Settings(**wrong)


@pytest.mark.skipif(importlib.util.find_spec("kinetix") is not None, reason="the reference is installed here")
def test_a_reference_that_is_not_there_is_asked_for():
    with pytest.raises(ValueError, match="pip install --no-deps kinetix-env"):
        measure(TINY, reference=True)
