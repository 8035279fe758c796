"""Which address a machine gets."""

from __future__ import annotations

import time
from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from scaler_libvirt.hosts.networks import Entry, NetworkFacts
from scaler_libvirt.hosts.slots import MOST, REST, Slots, entry_for

TAG = "0123456789"


def network(*entries: Entry, first: int = 2, last: int = 9) -> NetworkFacts:
    return NetworkFacts(
        name="default",
        uuid="dd8fe884-6c02-601e-7551-cca97df1c5df",
        bridge="virbr0",
        address="10.0.0.1",
        subnet="10.0.0.0/24",
        ranges=((f"10.0.0.{first}", f"10.0.0.{last}"),),
        entries=entries,
    )


def mine(address: str) -> Entry:
    return entry_for(TAG, network().uuid, address)


def test_a_slot_is_the_same_whoever_asks_and_anothers_is_not() -> None:
    assert mine("10.0.0.2") == mine("10.0.0.2")
    slots = {
        entry_for(tag, uuid, address).mac
        for tag in (TAG, "9876543210")
        for uuid in ("a", "b")
        for address in ("10.0.0.2", "10.0.0.3")
    }
    assert len(slots) == 8
    assert all(mac.startswith("52:") for mac in slots)


def test_entered_slots_come_first_and_the_one_that_rested_longest_before_others() -> None:
    slots = Slots(TAG)
    found = network(mine("10.0.0.5"), mine("10.0.0.6"))
    first = slots.take("a", found, {}, 0)
    second = slots.take("b", found, {}, 0)
    third = slots.take("c", found, {}, 0)
    assert first is not None
    assert second is not None
    assert third is not None
    assert [first.address, second.address, third.address] == ["10.0.0.5", "10.0.0.6", "10.0.0.2"]
    assert [first.entered, second.entered, third.entered] == [True, True, False]
    slots.free("b", 10)
    slots.free("a", 11)
    again = slots.take("d", found, {}, 11 + REST)
    assert again is not None
    assert again.address == "10.0.0.6"


def test_a_slot_that_was_let_go_rests_for_a_while() -> None:
    slots, found = Slots(TAG), network(last=2)
    assert slots.take("a", found, {}, 0) is not None
    assert slots.take("b", found, {}, 0) is None
    slots.free("a", 1)
    assert slots.take("b", found, {}, REST) is None
    assert slots.take("b", found, {}, 1 + REST) is not None


def test_a_machine_that_asks_again_keeps_its_slot() -> None:
    slots = Slots(TAG)
    first = slots.take("a", network(), {}, 0)
    assert slots.take("a", network(), {}, 0) == first


def test_one_that_turned_out_to_be_anothers_is_not_dealt_again_at_once() -> None:
    slots, found = Slots(TAG), network(last=3)
    first = slots.take("a", found, {}, 0)
    assert first is not None
    slots.refuse("a", first.address, 0)
    second = slots.take("a", found, {}, 0)
    assert second is not None
    assert second.address != first.address


addresses = st.integers(1, 12).map(lambda number: f"10.0.0.{number}")
foreign = st.builds(
    Entry, mac=st.just("52:54:00:00:00:01"), ip=addresses, name=st.sampled_from(["a", "scaler-x"])
)


@given(
    entered=st.lists(addresses, unique=True),
    others=st.lists(foreign, max_size=4),
    leases=st.dictionaries(
        st.integers(0, 99).map(lambda number: f"52:54:00:00:01:{number:02d}"), addresses, max_size=6
    ),
    steps=st.lists(st.tuples(st.sampled_from(["take", "free"]), st.integers(0, 5)), max_size=40),
)
def test_no_address_is_ever_two_machines_or_somebody_elses(
    entered: list[str],
    others: list[Entry],
    leases: dict[str, str],
    steps: list[tuple[str, int]],
) -> None:
    taken = {entry.ip for entry in others}
    ours = [mine(address) for address in entered if address not in taken]
    found = network(*ours, *others)
    slots = Slots(TAG)
    held: dict[str, str] = {}
    freed: dict[str, float] = {}
    for now, (step, number) in enumerate(steps):
        uuid = str(number)
        if step == "free":
            slots.free(uuid, now)
            if uuid in held:
                freed[held.pop(uuid)] = now
            continue
        slot = slots.take(uuid, found, leases, now)
        if slot is None:
            continue
        address = slot.address
        assert held.get(uuid, address) == address
        held[uuid] = address
        assert list(held.values()).count(address) == 1
        assert address not in {found.address, *taken, *leases.values()}
        assert 2 <= int(address.rpartition(".")[2]) <= 9
        assert slot.entered == (mine(address) in ours)
        assert now - freed.get(address, -REST) >= REST


@given(
    entered=st.lists(addresses, unique=True),
    leased=st.lists(addresses, unique=True),
    most=st.integers(0, 20),
)
def test_as_many_as_are_wanted_are_entered_beforehand_and_never_more_than_there_are(
    entered: list[str], leased: list[str], most: int
) -> None:
    found = network(*(mine(address) for address in entered))
    leases = {f"52:54:00:00:01:{number:02d}": each for number, each in enumerate(leased)}
    missing = Slots(TAG).missing(found, leases, most)
    assert len({entry.ip for entry in missing} | set(entered)) == len(missing) + len(entered)
    assert all(2 <= int(entry.ip.rpartition(".")[2]) <= 9 for entry in missing)
    assert not {entry.ip for entry in missing} & set(leased)
    inside = {f"10.0.0.{number}" for number in range(2, 10)}
    room = len(inside - set(entered) - set(leased))
    assert len(missing) == min(max(0, most - len(entered)), room)


def wide(*entries: Entry) -> NetworkFacts:
    return replace(network(*entries), address="10.0.0.1", ranges=(("10.0.0.2", "10.0.255.254"),))


def test_a_network_gets_no_more_than_so_many_entries_however_large_it_is() -> None:
    slots = Slots(TAG)
    missing = slots.missing(wide(), {}, 100_000)
    assert len(missing) == MOST
    found = wide(*missing)
    assert slots.missing(found, {}, 100_000) == ()
    taken = [slots.take(str(number), found, {}, 0) for number in range(MOST)]
    assert all(slot is not None and slot.entered for slot in taken)
    assert slots.take("one more", found, {}, 0) is None


def test_nobody_waits_for_a_long_list_of_hosts() -> None:
    slots = Slots(TAG)
    others = [
        Entry(mac=f"52:54:00:00:{number >> 8:02x}:{number & 255:02x}", ip=ip, name="x")
        for number in range(20_000)
        if (ip := f"10.0.{1 + number // 250}.{number % 250}")
    ]
    found = wide(*others)
    held: list[float] = []

    class Lock:
        def __enter__(self) -> None:
            held.append(-time.thread_time())

        def __exit__(self, *_: object) -> None:
            held[-1] += time.thread_time()

    slots._lock = Lock()  # type: ignore[assignment]
    for number in range(5):
        assert slots.take(str(number), found, {}, 0) is not None
    assert min(held) < 0.005
