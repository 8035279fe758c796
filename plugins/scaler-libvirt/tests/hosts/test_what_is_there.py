"""What a profile names on a host and is not that: a disk that is none, a filter that nobody has."""

from __future__ import annotations

from typing import Any

import libvirt
import pytest

from scaler_libvirt.hosts import disks, networks, volumes
from scaler_libvirt.hosts.base import Base, BaseMissingError, NetworkTroubleError
from scaler_libvirt.hosts.conditions import Wants, inspect
from scaler_libvirt.testing import libvirt_error

PATH = "/images/base.raw"


class Volume:
    """A volume of this kind and size, whose content is not told."""

    def __init__(self, kind: int, size: int) -> None:
        self.kind, self.size = kind, size

    def info(self) -> list[int]:
        return [self.kind, self.size, 0]

    def download(self, *_: object) -> None:
        raise libvirt_error("not for you")


class Hypervisor:
    """Has one volume, and no filter."""

    def __init__(self, volume: Volume) -> None:
        self.volume = volume

    def storageVolLookupByPath(self, path: str) -> Volume:  # noqa: N802 - libvirt's
        assert path == PATH
        return self.volume

    def newStream(self) -> Any:  # noqa: N802 - libvirt's
        class Stream:
            def abort(self) -> None: ...

        return Stream()


@pytest.mark.parametrize(
    ("kind", "size", "found"),
    [
        (libvirt.VIR_STORAGE_VOL_DIR, 0, "a folder"),
        (libvirt.VIR_STORAGE_VOL_DIR, 4096, "a folder"),
        (libvirt.VIR_STORAGE_VOL_NETDIR, 0, "a folder"),
        (libvirt.VIR_STORAGE_VOL_FILE, 0, "an empty file"),
    ],
)
def test_a_folder_and_an_empty_file_are_no_disks(kind: int, size: int, found: str) -> None:
    with pytest.raises(BaseMissingError, match=f"^{PATH} is no disk: found {found}: put a disk"):
        disks.look(Hypervisor(Volume(kind, size)), "default", Base(path=PATH, format="raw"))


@pytest.mark.parametrize("kind", [libvirt.VIR_STORAGE_VOL_FILE, libvirt.VIR_STORAGE_VOL_BLOCK])
def test_what_cannot_be_read_is_taken_for_what_its_name_says(kind: int) -> None:
    base = Base(path=PATH, format="raw")
    disk = disks.look(Hypervisor(Volume(kind, 4096)), "default", base)
    assert disk == disks.Disk(path=PATH, size=4096, holds="")
    assert not disks.wrong(disk, base)


def test_a_filter_that_nobody_has_is_named() -> None:
    class Filters:
        def nwfilterLookupByName(self, name: str) -> None:  # noqa: N802 - libvirt's
            error = libvirt_error("Network filter not found")
            error.err = (libvirt.VIR_ERR_NO_NWFILTER, 0, str(error), 0, "", None, None, 0, 0)
            raise error

    with pytest.raises(NetworkTroubleError, match="no network filter 'mine': make one"):
        networks.see_filter(Filters(), "mine")


def test_a_disk_that_is_not_what_its_name_says_is_refused_while_scaler_runs(
    pool: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = volumes.create_filled(pool, "base.raw", b"x" * 4096)
    wants = {"linux": Wants(disks=True, base=Base(path=path, format="raw"))}
    assert not inspect(pool.connect(), str(pool.name()), wants).refusals
    monkeypatch.setattr(volumes, "is_test_driver", lambda _: False)
    monkeypatch.setattr(disks, "look", lambda *_: disks.Disk(path=path, size=4096, holds="qcow2"))
    found = inspect(pool.connect(), str(pool.name()), wants).refusals
    assert "is a qcow2 image, and is taken for a raw one" in found["linux"]
