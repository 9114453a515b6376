"""Level files made to hang or to flood a terminal: whatever their size, read or refused at once and in a short line."""

import json
import os
import time

import pytest

from kinetix_ued.levels import LevelError, level_to_kinetix, load_level
from kinetix_ued.levels.reader import MAX_FILE_BYTES, MAX_SLOTS, MAX_TEXT, MAX_VALUES
from kinetix_ued.world import Size, empty_level

SECONDS = 2.0
HEAD = '{"format": "kinetix-ued level", "version": 1, "shapes": []'
CIRCLE = '{"kind": "circle", "radius": 1, "position": [1, 1]}'


def repeated(start: str, unit: str, end: str, most: int = MAX_VALUES) -> str:
    """As many units as a file may hold, by its length and by its values."""
    fits = (MAX_FILE_BYTES - len(start) - len(end)) // len(unit)
    return start + unit * min(fits, (most - 50) // max(1, sum(map(unit.count, ",[{")))) + end


def numbered(start: str, unit: str, end: str) -> str:
    """Fields with as many different names."""
    return start + ", ".join(unit % number for number in range(MAX_VALUES - 50)) + end


def grown(slots: int) -> str:
    document = level_to_kinetix(empty_level(Size(slots, slots, slots, slots)))
    return json.dumps(document, separators=(",", ":"))


FILES = {
    "one key again and again": lambda: repeated("{", '"a":0,', '"a":0}'),
    "one key twice, far apart": lambda: numbered("{", '"%d": 0', ', "7": 0}'),
    "200 000 keys, all twice": lambda: "{" + ", ".join(f'"{i % 200_000}": 0' for i in range(400_000)) + "}",
    "fields that no format has": lambda: numbered(HEAD + ",", '"%d": 0', "}"),
    "fields of the room": lambda: numbered(HEAD + ', "room": {', '"%d": 0', "}}"),
    "unused slots": lambda: numbered(HEAD + ', "unused": {"polygon": {', '"%d": {}', "}}}")[:MAX_FILE_BYTES],
    "an object for a vector": lambda: numbered(HEAD + ', "gravity": {', '"%d": 0', "}}"),
    "an object in a list for a text": lambda: numbered(HEAD + ', "family": [{', '"%d": 0', "}]}"),
    "empty objects": lambda: repeated("[", "{}, ", "{}]"),
    "small objects": lambda: repeated("[", '{"a": [{"b": 1.5}]}, ', "{}]"),
    "nested": lambda: "[" * (MAX_VALUES - 50),
    "nested objects": lambda: '{"a":' * (MAX_VALUES - 50),
    "nested, again and again": lambda: repeated("[", "[" * 400 + "]" * 400 + ",", "0]"),
    "shapes": lambda: repeated(HEAD[:-1], CIRCLE + ", ", CIRCLE + "]}"),
    "empty shapes": lambda: repeated(HEAD[:-1], "{},", "{}]}"),
    "joints": lambda: repeated(HEAD + ', "joints": [', '{"kind": "fixed", "a": 0, "b": 1},', "{}]}"),
    "contacts": lambda: repeated(HEAD + ', "contacts": [', "{},", "{}]}"),
    "tags": lambda: repeated(HEAD + ', "tags": [', '"a",', '"a"]}'),
    "long whole numbers": lambda: repeated("[", "9" * 4300 + ",", "0]"),
    "a longer whole number": lambda: HEAD + ', "size": ' + "9" * (MAX_FILE_BYTES - 100) + "}",
    "a long fraction": lambda: HEAD + ', "gravity": [0, 0.' + "9" * (MAX_FILE_BYTES - 100) + "]}",
    "a long title": lambda: HEAD + ', "title": "' + "a" * (MAX_FILE_BYTES - 100) + '"}',
    "a long name of a family": lambda: HEAD + ', "family": "' + "a" * (MAX_FILE_BYTES - 100) + '"}',
    "a long field": lambda: HEAD + ', "' + "a" * (MAX_FILE_BYTES - 100) + '": 0}',
    "a long slot": lambda: HEAD + ', "unused": {"polygon": {"' + "9" * (MAX_FILE_BYTES - 100) + '": {}}}}',
    "a long name of a body": lambda: HEAD + ', "thrusters": [{"power": 1, "body": "' + "a" * 10**7 + '"}]}',
    "spaces": lambda: HEAD + " " * (MAX_FILE_BYTES - len(HEAD) - 1) + "}",
    "a text without end": lambda: '{"title": "' + "a" * (MAX_FILE_BYTES - 20),
    "escapes": lambda: '{"title": "' + "\\u00e9" * (MAX_FILE_BYTES // 6 - 3) + '"}',
    "more values than a file may have": lambda: repeated("[", "0,", "0]", most=2 * MAX_VALUES),
    "Kinetix' polygons": lambda: repeated('{"env_state": {"polygon": [', "{},", '{}]}, "env_params": {}}'),
    "Kinetix' largest level": lambda: grown(118),
}
LEVELS = {"Kinetix' largest level", "spaces", "a long fraction"}


@pytest.mark.parametrize("name", FILES)
def test_files_of_the_largest_size_are_read_or_refused_at_once(tmp_path, name):
    path = tmp_path / "hostile.json"
    path.write_text(FILES[name]())
    assert os.path.getsize(path) <= MAX_FILE_BYTES
    start = time.process_time()
    try:
        load_level(path)
        outcome = "level"
    except LevelError as error:
        outcome = str(error).replace(str(path), "")
    spent = time.process_time() - start
    assert spent < SECONDS  # no measurement of speed: what hangs takes minutes
    assert (outcome == "level") == (name in LEVELS)
    assert len(outcome) < 500 and "\n" not in outcome


def test_a_whole_number_of_any_length_is_refused_by_name():
    document = json.loads(HEAD + "}") | {"size": 10**5000}
    with pytest.raises(LevelError, match="size: .*found a number of thousands of digits"):
        load_level(document)


def test_texts_and_lists_have_a_length():
    document = json.loads(HEAD + "}")
    load_level(document | {"title": "a" * MAX_TEXT, "tags": ["a"] * 100})
    with pytest.raises(LevelError, match="title: a text of 10001 characters"):
        load_level(document | {"title": "a" * (MAX_TEXT + 1)})
    for field, most in (("joints", MAX_SLOTS), ("thrusters", MAX_SLOTS), ("shapes", 2 * MAX_SLOTS), ("tags", 100)):
        with pytest.raises(LevelError, match=f"{field}: {most + 1} elements, more than {most}"):
            load_level(document | {field: ["a"] * (most + 1)})
