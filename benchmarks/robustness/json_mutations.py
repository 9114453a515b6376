"""Damage to the structure of a JSON document: what people, scripts and other programs' exports do.

A document is mutated as a tree in which an object is a list of [key, value] pairs, so that a key can stand in it twice,
and ``Raw`` is text that no parsed value would be written as.
"""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np


class Raw(str):
    """Text that goes into the file as it is."""


class Pairs(list):
    """An object: its [key, value] pairs in order."""


class Place(NamedTuple):
    """Where a value stands: a list, or the pairs of an object, and the index in it."""

    container: list
    index: int

    @property
    def value(self) -> Any:
        found = self.container[self.index]
        return found[1] if isinstance(self.container, Pairs) else found

    def put(self, value: Any) -> None:
        if isinstance(self.container, Pairs):
            self.container[self.index][1] = value
        else:
            self.container[self.index] = value


Mutation = Callable[[list, Place, np.random.Generator], None]
"""``mutation(holder, place, rng)`` changes the document ``holder[0]`` at ``place``."""

NUMBERS: tuple[Any, ...] = (
    0, 1, -1, 2, 3, 255, 256, 257, 2**15, 2**31 - 1, 2**31, -(2**31) - 1, 2**32, 2**53 + 1, 2**63, 2**64,
    10**12, 10**19, 10**400,
    0.0, -0.0, 0.5, -1.5, 1e-320, 1e-30, 1e30, 3.4e38, 3.5e38, 1e308, float("nan"), float("inf"), -float("inf"),
    Raw("1e400"), Raw("-1e400"), Raw("9" * 5000), Raw("0.1" + "0" * 5000), Raw("1E+2"), Raw("-0"),
    Raw("01"), Raw("+1"), Raw("0x10"), Raw("1."), Raw(".5"),
)  # fmt: skip
"""Numbers at the edges of what a field may hold, and some that JSON does not know."""

TEXTS: tuple[Any, ...] = (
    "", " ", "a", "A" * 100_000, "\x00", "\ud800", "\u202egnp.exe", "\u00b2", "\uff11", "\u0661", "\U0001f600",
    "e\u0301" * 50,
    "\x1b[2J\x1b]0;title\x07", "line\nline", "tab\ttab", "carriage\rreturn", "../../../etc/passwd", "NUL",
    "a|b", "`x`", "**x**",
    "<script>alert(1)</script>", "<!-- leaderboard: begin -->", "<!-- leaderboard: end -->", "&amp;",
    "{0}", "%s", "${HOME}",
    "NaN", "1", "1e3", "true", "null", "None", "s", "l", "5p4c2j1t", "-1p", "latest", "float32",
    "object", "threefry2x32",
    "kinetix-ued/evaluation", "kinetix-ued/proof", "noop", "random", "__class__", "polygon", "green",
)  # fmt: skip
"""Texts that readers, terminals and writers of Markdown might stumble over, and words that mean something elsewhere."""

VALUES: tuple[Any, ...] = (None, True, False, Raw("undefined"), Raw("{}"), Raw("[]"), Raw("'a'"), Raw(""))

DEPTHS = (30, 500, 990, 2000, 100_000)
CROWDS = (100, 5_000, 200_000, 1_000_000)


def mutate_json(content: bytes, rng: np.random.Generator) -> tuple[bytes, list[str]]:
    """A JSON document with one to four changes of its structure, and their names."""
    holder = [json.loads(content, object_pairs_hook=lambda pairs: Pairs(map(list, pairs)))]
    names: list[str] = []
    for _ in range(1 + min(3, int(rng.geometric(0.6)) - 1)):
        name = str(rng.choice(list(JSON_MUTATIONS), p=_SHARES))
        JSON_MUTATIONS[name](holder, _choose(holder, rng), rng)
        names.append(name)
    return text_of(holder[0]).encode("utf-8", "surrogatepass"), names


def text_of(value: Any) -> str:
    """The text of a tree; ``json.loads`` of it gives the value back where nothing in it is ``Raw``."""
    if isinstance(value, Raw):
        return str(value)
    if isinstance(value, Pairs):
        return "{" + ", ".join(f"{text_of(key)}: {text_of(own)}" for key, own in value) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(text_of, value)) + "]"
    return json.dumps(value)


def _choose(holder: list, rng: np.random.Generator) -> Place:
    """A value of the document, found by going down at random, so that bulk arrays do not take all the damage."""
    place = Place(holder, 0)
    if rng.random() < 0.02:
        return place
    while isinstance(place.value, list) and place.value:
        place = Place(place.value, int(rng.integers(len(place.value))))
        if rng.random() < 0.15:
            break
    return place


def _pick(choices: tuple, rng: np.random.Generator) -> Any:
    return copy.deepcopy(choices[int(rng.integers(len(choices)))])


def _any_value(rng: np.random.Generator) -> Any:
    return _pick((NUMBERS, TEXTS, VALUES)[int(rng.integers(3))], rng)


def _drop(holder: list, place: Place, rng: np.random.Generator) -> None:
    if place.container is not holder:
        del place.container[place.index]


def _rename(holder: list, place: Place, rng: np.random.Generator) -> None:
    if isinstance(place.container, Pairs):
        pair = place.container[place.index]
        others = [key for key, _ in place.container]
        pair[0] = _pick(
            (_pick(TEXTS, rng), str(pair[0]).upper(), str(pair[0]) + "s", others[int(rng.integers(len(others)))]), rng
        )


def _double(holder: list, place: Place, rng: np.random.Generator) -> None:
    """The key a second time, with the same value or another."""
    if isinstance(place.container, Pairs):
        key, value = place.container[place.index]
        place.container.insert(
            int(rng.integers(len(place.container) + 1)), [key, _pick((copy.deepcopy(value), _any_value(rng)), rng)]
        )


def _add(holder: list, place: Place, rng: np.random.Generator) -> None:
    """One key or element more."""
    entry = [_pick(TEXTS, rng), _any_value(rng)] if isinstance(place.container, Pairs) else _any_value(rng)
    if place.container is not holder:
        place.container.insert(int(rng.integers(len(place.container) + 1)), entry)


def _number(holder: list, place: Place, rng: np.random.Generator) -> None:
    place.put(_pick(NUMBERS, rng))


def _text(holder: list, place: Place, rng: np.random.Generator) -> None:
    place.put(_pick(TEXTS, rng))


def _value(holder: list, place: Place, rng: np.random.Generator) -> None:
    place.put(_pick(VALUES, rng))


def _perturb(holder: list, place: Place, rng: np.random.Generator) -> None:
    """A number that is slightly or much larger or smaller; a truth value inverted; a text with one letter changed."""
    value = place.value
    if isinstance(value, bool):
        place.put(_pick((not value, int(value), str(value).lower()), rng))
    elif isinstance(value, (int, float)) and abs(value) < 1e15:
        nearby = (
            value + 1,
            value - 1,
            -value,
            float(value),
            value * 1.000001,
            value * 10.0 ** int(rng.integers(-12, 13)),
            str(value),
        )
        place.put(_pick(nearby, rng))
    elif isinstance(value, str) and not isinstance(value, Raw) and value:
        at = int(rng.integers(len(value)))
        letter = _pick(tuple(text for text in TEXTS if len(text) == 1), rng)
        place.put(_pick((value[:at] + letter + value[at + 1 :], value[:at], value[at:], value.upper(), value * 2), rng))


def _retype(holder: list, place: Place, rng: np.random.Generator) -> None:
    """The value as another type: in a list, in an object, as text, or what an object or list holds."""
    value = place.value
    if isinstance(value, Pairs) and rng.random() < 0.5:
        place.put([own for _, own in value])
    elif isinstance(value, list) and value and rng.random() < 0.5:
        inside = Place(value, int(rng.integers(len(value)))).value
        numbered = Pairs([str(i), own] for i, own in enumerate(value)) if not isinstance(value, Pairs) else value
        place.put(_pick((inside, numbered), rng))
    else:
        text = value if isinstance(value, str) else text_of(value)
        place.put(_pick(([value], Pairs([["0", value]]), str(text)), rng))


def _clear(holder: list, place: Place, rng: np.random.Generator) -> None:
    place.put(_pick(([], Pairs(), "", [[]], [None]), rng))


def _nest(holder: list, place: Place, rng: np.random.Generator) -> None:
    depth = _pick(DEPTHS, rng)
    begin, end = _pick((("[", "]"), ('{"a": ', "}")), rng)
    place.put(Raw(begin * depth + "1" + end * depth))


def _crowd(holder: list, place: Place, rng: np.random.Generator) -> None:
    """Very many elements, or very many keys of which one may come twice."""
    count = _pick(CROWDS, rng)
    keys = ", ".join(f'"k{i}": 0' for i in range(count))
    double = _pick((keys, keys + ', "k7": 1'), rng)
    place.put(Raw(_pick(("[" + ", ".join(["0"] * count) + "]", "{" + double + "}"), rng)))


def _transplant(holder: list, place: Place, rng: np.random.Generator) -> None:
    """A copy of what stands elsewhere in the document."""
    place.put(copy.deepcopy(_choose(holder, rng).value))


def _exchange(holder: list, place: Place, rng: np.random.Generator) -> None:
    other = _choose(holder, rng)
    ours, theirs = copy.deepcopy(place.value), copy.deepcopy(other.value)
    place.put(theirs)
    other.put(ours)


def _reorder(holder: list, place: Place, rng: np.random.Generator) -> None:
    """An object's keys or a list's elements in another order, fewer of them, or all twice."""
    if isinstance(place.container, list) and place.container is not holder and len(place.container) > 1:
        entries = [place.container[i] for i in rng.permutation(len(place.container))]
        cut = entries[: int(rng.integers(len(entries)))]
        place.container[:] = _pick((entries, cut, entries + copy.deepcopy(entries)), rng)


JSON_MUTATIONS: dict[str, Mutation] = {
    "dropped": _drop,
    "renamed": _rename,
    "key twice": _double,
    "added": _add,
    "other number": _number,
    "other text": _text,
    "other value": _value,
    "perturbed": _perturb,
    "other type": _retype,
    "cleared": _clear,
    "nested deeply": _nest,
    "crowded": _crowd,
    "transplanted": _transplant,
    "exchanged": _exchange,
    "reordered": _reorder,
}
"""Kinds of change by name."""

_RARE = {"nested deeply": 0.2, "crowded": 0.1, "perturbed": 3.0}
"""How often a kind is drawn, where not as often as the others: what takes long says the same wherever it happens, and a
number that is slightly off is the damage that most often gets past a reader."""

_WEIGHTS = np.array([_RARE.get(name, 1.0) for name in JSON_MUTATIONS])
_SHARES = _WEIGHTS / _WEIGHTS.sum()
