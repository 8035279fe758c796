"""What is deprecated is told to who uses it, at its own line: shown with made-up rows."""

from __future__ import annotations

import inspect
import logging
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

import scaler
from scaler import PluginError, ScalerDeprecationWarning, api, hookimpl, hooks
from scaler.api import DEPRECATED, Deprecation, deprecated, version
from scaler.cli.main import main
from scaler.context import Context
from scaler.hooks import Kind, Spec, hook_names
from scaler.loading import register

if TYPE_CHECKING:
    from types import FrameType

ROW = Deprecation(since="1.2", gone="2.0", instead="use something_newer")
SAID = "is deprecated since version 1.2 of scaler's plugin API and goes with 2.0: "

PLUGIN = """\
from scaler import hookimpl

class Old:
    def __init__(self, context):
        self.context = context

    @hookimpl
    async def check(self):
        return []

    @hookimpl
    async def on_message(self, message):
        pass
"""
SETTINGS = """\
[scaler]
state_dir = "state"
plugin_dir = "."
[plugins.old]
"""


def next_line() -> int:
    frame: FrameType | None = inspect.currentframe()
    assert frame is not None
    assert frame.f_back is not None
    return frame.f_back.f_lineno + 1


class Newer:
    @deprecated("Context.old", {"Context.old": ROW})
    def old(self, number: int, *, more: int = 0) -> int:
        """Add."""
        return number + more

    @deprecated("Context.old", {"Context.old": ROW})
    async def slow(self) -> str:
        return "done"


def test_a_method_that_is_deprecated_works_and_points_at_its_caller() -> None:
    line = next_line() + 1
    with pytest.warns(ScalerDeprecationWarning) as caught:
        assert Newer().old(1, more=2) == 3
    (found,) = caught
    assert (found.filename, found.lineno) == (__file__, line)
    assert str(found.message) == f"Context.old {SAID}use something_newer"
    assert Newer.old.__doc__ == "Add."


async def test_an_async_one_too() -> None:
    line = next_line() + 1
    with pytest.warns(ScalerDeprecationWarning) as caught:
        assert await Newer().slow() == "done"
    assert (caught[0].filename, caught[0].lineno) == (__file__, line)


def test_people_see_it_without_asking() -> None:
    assert issubclass(ScalerDeprecationWarning, FutureWarning)


@pytest.fixture
def table(monkeypatch: pytest.MonkeyPatch) -> dict[str, Deprecation]:
    """The table of what is deprecated, to write in."""
    rows: dict[str, Deprecation] = {}
    monkeypatch.setattr(api, "DEPRECATED", rows)
    return rows


def test_a_public_name_that_is_deprecated_is_given_and_points_at_who_takes_it(
    table: dict[str, Deprecation], monkeypatch: pytest.MonkeyPatch
) -> None:
    table["Decline"] = ROW
    monkeypatch.delitem(vars(scaler), "Decline", raising=False)
    line = next_line() + 1
    with pytest.warns(ScalerDeprecationWarning) as caught:
        from scaler import Decline
    assert Decline.__name__ == "Decline"
    assert {(each.filename, each.lineno) for each in caught} == {(__file__, line)}
    line = next_line() + 1
    with pytest.warns(ScalerDeprecationWarning) as caught:
        assert scaler.Decline is Decline
    assert {(each.filename, each.lineno) for each in caught} == {(__file__, line)}
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert scaler.Finding.__name__ == "Finding"


@pytest.fixture
def old_hook(monkeypatch: pytest.MonkeyPatch) -> None:
    """`on_message` and the argument of `on_job_available`, as if they were deprecated."""
    rows = {"Spec.on_message": ROW, "Spec.on_job_available.job": ROW}
    kinds = {"on_message": Kind.TELL, "on_job_available": Kind.VOTE}
    for name, kind in kinds.items():
        declared = getattr(Spec, name)
        terms, marker = declared.contract, declared.scaler_spec
        try:
            hooks._hook(kind, terms.deadline, terms.answers, deprecated=rows)(declared)
            changed = declared.scaler_spec
        finally:
            declared.contract, declared.scaler_spec = terms, marker
        monkeypatch.setattr(declared, "scaler_spec", changed)


class Uses:
    @hookimpl
    async def on_message(self, message: object) -> None: ...

    @hookimpl
    async def on_job_available(self, job: object) -> None: ...

    @hookimpl
    async def on_job_changed(self, job: object) -> None: ...


@pytest.mark.usefixtures("old_hook")
def test_a_hook_and_an_argument_point_at_the_method() -> None:
    with pytest.warns(ScalerDeprecationWarning) as caught:
        register({"x": Uses()})
    start = inspect.getsourcelines(Uses.on_message)[1]
    where = {str(each.message).split()[0]: (each.filename, each.lineno) for each in caught}
    assert where == {
        "Spec.on_message": (__file__, start),
        "Spec.on_job_available.job": (__file__, start + 3),
    }


class Fewer:
    @hookimpl
    async def on_job_available(self) -> None: ...


@pytest.mark.usefixtures("old_hook")
def test_who_leaves_the_argument_out_is_told_nothing() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        register({"x": Fewer()})


@pytest.fixture
def settings(tmp_path: Path) -> str:
    (tmp_path / "old.py").write_text(PLUGIN)
    (tmp_path / "scaler.toml").write_text(SETTINGS)
    return str(tmp_path / "scaler.toml")


@pytest.mark.usefixtures("old_hook")
@pytest.mark.filterwarnings("default::scaler.ScalerDeprecationWarning")
def test_check_shows_it_as_worth_a_look_with_the_plugin_s_file_and_line(
    settings: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    main(["check", "-c", settings])
    lines = capsys.readouterr().out.splitlines()
    (found,) = (line for line in lines if line.startswith("warn"))
    assert found.split()[:2] == ["warn", "old"]
    assert f"{tmp_path}/old.py:11: Spec.on_message {SAID}use something_newer" in found
    assert lines[-1].endswith("1 is worth a look")


@pytest.mark.usefixtures("old_hook")
@pytest.mark.filterwarnings("error::scaler.ScalerDeprecationWarning")
def test_who_has_made_warnings_errors_gets_an_error() -> None:
    with pytest.raises(PluginError, match=rf"^plugin old: Spec\.on_\S+ {SAID}"):
        register({"old": Uses()})


class Keeping(logging.Handler):
    def __init__(self, seen: list[logging.LogRecord]) -> None:
        super().__init__()
        self.seen = seen

    def emit(self, record: logging.LogRecord) -> None:
        self.seen.append(record)


@pytest.mark.filterwarnings("default::scaler.ScalerDeprecationWarning")
def test_run_logs_it_once_under_the_plugin_s_name_also_what_imports_said(
    table: dict[str, Deprecation],
    settings: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    table["Decline"] = ROW
    monkeypatch.delitem(vars(scaler), "Decline", raising=False)
    (tmp_path / "old.py").write_text(f"from scaler import Decline\n{PLUGIN}")
    seen: list[logging.LogRecord] = []

    def start(*_: Any, **__: Any) -> None:
        warnings.warn_explicit(ROW.says("Context.x"), None, f"{tmp_path}/old.py", 7)
        warnings.warn_explicit(ROW.says("Context.x"), None, "/usr/lib/other.py", 8)

    handler = Keeping(seen)
    logger = logging.getLogger("scaler.api")
    logger.addHandler(handler)
    monkeypatch.setattr("scaler.app.main", start)
    try:
        assert main(["run", "-c", settings]) == 0
    finally:
        logger.removeHandler(handler)
    told = [
        (record.levelname, getattr(record, "plugin", ""), record.getMessage()) for record in seen
    ]
    assert told == [
        ("WARNING", "old", f"{tmp_path}/old.py:1: Decline {SAID}use something_newer"),
        ("WARNING", "old", f"{tmp_path}/old.py:7: Context.x {SAID}use something_newer"),
        ("WARNING", "", f"/usr/lib/other.py:8: Context.x {SAID}use something_newer"),
    ]


@pytest.mark.filterwarnings("default::UserWarning")
def test_other_warnings_go_where_they_went(
    settings: str, monkeypatch: pytest.MonkeyPatch, recwarn: pytest.WarningsRecorder
) -> None:
    def start(*_: Any, **__: Any) -> None:
        warnings.warn("something else", stacklevel=1)

    monkeypatch.setattr("scaler.app.main", start)
    assert main(["run", "-c", settings]) == 0
    assert [str(each.message) for each in recwarn] == ["something else"]


def test_the_reference_names_what_is_deprecated() -> None:
    page = (Path(__file__).parents[2] / "docs/reference/compatibility.md").read_text()
    assert [name for name in DEPRECATED if f"`{name}`" not in page] == []
    assert ("Deprecated now: nothing." in page) == (not DEPRECATED)
    assert f"version\n{api.API} now" in page


def test_every_row_of_the_table_names_what_there_is_and_goes_with_a_later_major() -> None:
    """The table may be empty; what is in it must be right."""
    for name, row in {**DEPRECATED, **EXAMPLES}.items():
        owner, _, rest = name.partition(".")
        if owner == "Spec":
            hook, _, argument = rest.partition(".")
            assert hook in hook_names()
            assert not argument or argument in inspect.signature(getattr(Spec, hook)).parameters
        elif owner == "Context":
            assert hasattr(Context, rest)
        else:
            assert name in scaler.__all__
        assert version(row.since) <= version(api.API) or name in EXAMPLES
        assert version(row.gone)[0] > version(row.since)[0]
        assert row.instead


EXAMPLES = {"Spec.on_message": ROW, "Spec.on_message.message": ROW, "Context.view": ROW, "Job": ROW}
