"""All files or none, and nothing that was there is touched."""

from __future__ import annotations

from pathlib import Path

import pytest

from scaler.scaffold import ScaffoldError, write_file, write_folder


def everything(folder: Path) -> dict[str, str]:
    files = [path for path in folder.rglob("*") if not path.is_dir()]
    return {str(path.relative_to(folder)): path.read_text() for path in files}


def test_a_folder_is_made_with_those_above_it(tmp_path: Path) -> None:
    write_folder(tmp_path / "a/b/new", {"x": "1", "src/y": "2"})
    assert everything(tmp_path) == {"a/b/new/x": "1", "a/b/new/src/y": "2"}
    assert [path.name for path in (tmp_path / "a/b").iterdir()] == ["new"]
    plain = tmp_path / "plain"
    plain.mkdir()
    assert (tmp_path / "a/b/new").stat().st_mode == plain.stat().st_mode


def test_a_file_is_made(tmp_path: Path) -> None:
    write_file(tmp_path / "plugins/new.py", "text")
    assert everything(tmp_path) == {"plugins/new.py": "text"}
    assert [path.name for path in (tmp_path / "plugins").iterdir()] == ["new.py"]


def test_what_is_there_stays(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "file").write_text("mine")
    (tmp_path / "dangling").symlink_to("nowhere")
    for name in ("folder", "file", "dangling"):
        told = rf"found something at .*{name}, wanted"
        with pytest.raises(ScaffoldError, match=told):
            write_folder(tmp_path / name, {"x": "1"})
        with pytest.raises(ScaffoldError, match=told):
            write_file(tmp_path / name, "1")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["dangling", "file", "folder"]
    assert (tmp_path / "file").read_text() == "mine"


@pytest.mark.parametrize("bad", ["x/y", "a\0b"])
def test_nothing_is_left_of_half_a_folder(tmp_path: Path, bad: str) -> None:
    with pytest.raises((ScaffoldError, ValueError)):
        write_folder(tmp_path / "new", {"x": "1", bad: "2"})  # x is a file already; NUL is no name
    assert list(tmp_path.iterdir()) == []


def test_a_place_that_cannot_be_written_is_told(tmp_path: Path) -> None:
    too_long = "x" * 300
    with pytest.raises(ScaffoldError, match=r"cannot be written: .*nothing is left"):
        write_folder(tmp_path / too_long, {"x": "1"})
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("below", ["new", "a/b/new"])
def test_a_file_where_a_folder_is_wanted_is_named(tmp_path: Path, below: str) -> None:
    (tmp_path / "file").write_text("mine")
    (tmp_path / "dangling").symlink_to("nowhere")
    for name in ("file", "dangling"):
        told = rf"found .*/{name}, which is no folder, wanted one to put new into: .* --dir"
        with pytest.raises(ScaffoldError, match=told):
            write_folder(tmp_path / name / below, {"x": "1"})
        with pytest.raises(ScaffoldError, match=told):
            write_file(tmp_path / name / below, "1")
    assert (tmp_path / "file").read_text() == "mine"
