"""What tests of machines with disks stand on, without a hypervisor that runs any."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from scaler import Profile
from scaler_libvirt.hosts import volumes
from scaler_libvirt.hosts.connection import Pace
from scaler_libvirt.machine.names import parse_image, parse_volume, tag_of
from scaler_libvirt.plugin import Libvirt
from scaler_libvirt.settings import HostSettings, ProfileConfig
from scaler_libvirt.testing import Listener, context_for

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    import pytest

POOL = "default-pool"
LOCAL = HostSettings(name="local", uri="test:///default", network="default")
OWN = ProfileConfig(base_image="/images/base.qcow2")
PATIENT = Pace(create=20, destroy=20, look=5)
QUICK = Pace(create=0.3, destroy=5, look=5)  # for tests of what comes late, or not at all


def plugin_with(
    listener: Listener,
    *,
    host: HostSettings = LOCAL,
    own: ProfileConfig = OWN,
    pace: Pace = PATIENT,
    scaler: str = "here",
    **others: ProfileConfig,
) -> Libvirt:
    """A plugin whose machines have disks and fixed addresses, on libvirt's test driver."""
    owns = {"linux": own, **others}
    profiles = {
        name: Profile(name=name, max_count=4, resources={"memory": 1 << 30}) for name in owns
    }
    context = context_for(listener, host, scaler=scaler, profiles=profiles, own=owns)
    return Libvirt(context, pace=pace)


@contextmanager
def after_each_call(
    monkeypatch: pytest.MonkeyPatch, owner: Any, name: str, then: Callable[[], None]
) -> Iterator[None]:
    """Do something whenever this function has returned."""
    function = getattr(owner, name)

    def wrapped(*args: Any, **more: Any) -> Any:
        result = function(*args, **more)
        then()
        return result

    with monkeypatch.context() as patch:
        patch.setattr(owner, name, wrapped)
        yield


def left_in(pool: Any, scaler: str = "here") -> list[str]:
    """This scaler's volumes that are in the pool."""
    tag = tag_of(scaler)
    return [
        name for name in volumes.names(pool) if parse_volume(name, tag) or parse_image(name, tag)
    ]
