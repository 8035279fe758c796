"""What counts as left over."""

from __future__ import annotations

from scaler_libvirt.hosts.remnants import Sightings, of_machine, of_runner, remnants
from scaler_libvirt.machine.names import tag_of, volume_names

TAG = tag_of("here")
A, B = (f"0000000{digit}-0000-0000-0000-000000000000" for digit in "ab")


def names_of(uuid: str, runner: int | None = 7, scaler: str = "here") -> list[str]:
    return sorted(volume_names(tag_of(scaler), runner, "linux", uuid).values())


def test_what_has_a_domain_is_none() -> None:
    names = [*names_of(A), *names_of(B, 8), *names_of(B, 8, "there"), "linux.qcow2"]
    found = remnants(names, TAG, {A})
    assert list(found) == [B]
    assert found[B].whose.runner == 8
    assert sorted(found[B].names) == names_of(B, 8)


def test_old_parts_of_a_log_are_its_machines() -> None:
    log = volume_names(TAG, 7, "linux", A)["log"]
    names = [*names_of(A), f"{log}.0", f"{log}.1"]
    assert set(of_machine(names, TAG, A)) == set(of_runner(names, TAG, 7)) == set(names)
    found = remnants(names, TAG, ())
    assert set(found[A].names) == set(names)
    assert found[A].worth
    assert not remnants([f"{log}.0"], TAG, ())[A].worth


def test_runners_are_told_apart_by_their_whole_number() -> None:
    names = [*names_of(A, 7), *names_of(B, 77)]
    assert set(of_runner(names, TAG, 7)) == set(names_of(A, 7))


def test_it_is_sure_once_no_call_can_still_bring_its_domain() -> None:
    seen = remnants([*names_of(A), *names_of(B, 8)], TAG, ())
    sightings = Sightings(180)

    def sure(now: float, known: tuple[str, ...] = ()) -> set[str]:
        return {each.whose.uuid for each in sightings.sure(seen, known.__contains__, now)}

    assert sure(0) == set()
    assert sure(1, (A,)) == {A}
    assert sure(179) == set()
    assert sure(180) == {A, B}
    both, seen = seen, {}
    assert sure(181) == set()
    seen = both
    assert sure(182) == set()  # it was gone meanwhile: this is another sight of it
