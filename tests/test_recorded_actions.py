"""Files of recorded actions: read, or refused in one line before there is memory for them."""

import io
import os
import zipfile
from pathlib import Path

import numpy as np
import pytest

from kinetix_ued.cli import main
from kinetix_ued.commands.replay import MAX_STEPS, read_actions

DATA = Path(__file__).parent / "data"
LEVEL = DATA / "random" / "s" / "random_s_003.json"


class Planted:
    """Unpickling it would leave a file."""

    def __init__(self, path: Path):
        self.path = str(path)

    def __reduce__(self):
        return open, (self.path, "w")


def with_header(shape: str, kind: str = "'|i1'", data: bytes = b"") -> bytes:
    header = f"{{'descr': {kind}, 'fortran_order': False, 'shape': {shape}}}\n".encode()
    return b"\x93NUMPY\x01\x00" + len(header).to_bytes(2, "little") + header + data


def archive() -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as bomb:
        bomb.writestr("a.npy", with_header("(1000000, 6)", data=bytes(6_000_000)))
    return file.getvalue()


FILES = {
    "badzip": (DATA / "broken" / "badzip.npy").read_bytes(),
    "header of 5 TiB": (DATA / "broken" / "header-5TiB.npy").read_bytes(),
    "archive": archive(),
    "empty": b"",
    "text": b"0 0 0 0 0 0\n",
    "cut": with_header("(20, 6)", data=bytes(119)),
    "longer": with_header("(20, 6)", data=bytes(121)),
    "too many": with_header(f"({MAX_STEPS + 1},)", data=bytes(MAX_STEPS + 1)),
    "too many of none": with_header("(0, 1000000000000)"),
    "negative": with_header("(-1, 6)"),
    "deep": with_header("(" * 5000),
    "no header": b"\x93NUMPY\x01\x00\xff\xff",
    "version": b"\x93NUMPY\x09\x00" + bytes(100),
    "texts": with_header("(1, 6)", "'<U1'", bytes(24)),
    "fields": with_header("(1,)", "[('a', '|i1')]", bytes(1)),
    "complex": with_header("(1, 6)", "'<c8'", bytes(48)),
    "objects": with_header("(1, 6)", "'|O'", b"\x80\x04."),
}


@pytest.mark.parametrize("name", FILES)
def test_what_is_no_array_of_actions_is_refused_in_a_line(name, tmp_path, capsys, recwarn):
    path = tmp_path / "actions.npy"
    path.write_bytes(FILES[name])
    assert main(["replay", str(LEVEL), "--actions", str(path)]) == 2
    out, err = capsys.readouterr()
    assert not out and err.startswith("kinetix-ued: error: ") and err.count("\n") == 1
    assert str(path) in err and len(err) < 600


def test_files_that_never_end_or_are_not_there_are_refused(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    for path in (tmp_path / "pipe", tmp_path, "/dev/zero", tmp_path / "missing.npy"):
        with pytest.raises(ValueError, match="is no file"):
            read_actions(str(path))


def test_nothing_is_unpickled(tmp_path):
    np.save(tmp_path / "a.npy", np.array([Planted(tmp_path / "planted")], object), allow_pickle=True)
    with pytest.raises(ValueError, match="holds no array of actions"):
        read_actions(str(tmp_path / "a.npy"))
    assert not (tmp_path / "planted").exists()


def test_arrays_of_every_kind_of_action_are_read(tmp_path):
    rng = np.random.default_rng(0)
    for array in (
        rng.integers(0, 2, (20, 6)).astype(np.int8),
        np.asfortranarray(rng.uniform(-1, 1, (20, 6)).astype(np.float32)),
        rng.integers(0, 11, 20),
        rng.integers(0, 2, (20, 6)).astype(">i4"),
    ):
        for version in ((1, 0), (2, 0)):
            with open(tmp_path / "a.npy", "wb") as file:
                np.lib.format.write_array(file, array, version)
            found = read_actions(str(tmp_path / "a.npy"))
            np.testing.assert_array_equal(found, array)
            assert found.dtype == array.dtype
