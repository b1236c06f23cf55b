"""
`EntryTelemetry`: the telemetry of one config entry of Home Assistant, and how it lives beside the event loop.

In the loop only memory is touched. Files are read and written, and the sender is started, by executor jobs.
"""

from __future__ import annotations

import asyncio
import os
import shutil
import threading
import time
from typing import TYPE_CHECKING, Any, Final, final

from franklinwh_telemetry import event, launch, loopqueue  # noqa: F401 - the last for the first record, in the loop
from franklinwh_telemetry.backlog import Backlog
from franklinwh_telemetry.guard import guard
from franklinwh_telemetry.lookup import DenialReason, Denied, environment_denial
from franklinwh_telemetry.permission import Permission
from franklinwh_telemetry.recorder import Telemetry
from franklinwh_telemetry.spool import SENDER_LIFETIME_S

if TYPE_CHECKING:
    from collections.abc import Callable
    from uuid import UUID

    from homeassistant.config_entries import ConfigEntry
    from homeassistant.core import HomeAssistant

    from franklinwh_telemetry.vocabulary import Command, Vocabulary

FOLDER: Final = "franklinwh_telemetry"
"""Below Home Assistant's `.storage`: one folder for each entry that has ever said yes."""

INI: Final = "franklinwh.ini"
"""In Home Assistant's configuration folder: an ini that says no, or routes to the user's own Collector."""

FLUSH_INTERVAL_S: Final = 15 * 60
"""How often what was recorded goes to the spool, and consent files are looked at; a crash loses as much."""

POLL_INTERVAL_S: Final = 60 * 60
"""What an integration does by itself is recorded no more often."""

_STORE_VERSION: Final = 1
_UUID_KEY: Final = "execution_uuid"


@final
class EntryTelemetry(Telemetry):
    """
    The telemetry of one config entry: its own consent, UUID, queue and spool.

    Its consent is the option *option* of *entry*, which counts only as True and is read anew for each event. An ini
    or a variable that says no still wins: variables are asked for each event, files by `look`, in an executor job.
    """

    def __init__(
        self,
        hass: HomeAssistant,
        entry: ConfigEntry,
        vocabulary: Vocabulary,
        *,
        option: str,
        application: str,
        destination: str | None,
        policy_version: int,
    ) -> None:
        from homeassistant.helpers.storage import STORAGE_DIR, Store  # noqa: PLC0415 - there only in a host

        self._folder = hass.config.path(STORAGE_DIR, FOLDER, entry.entry_id)
        super().__init__(
            application,
            vocabulary,
            destination=destination,
            policy_version=policy_version,
            config=hass.config.path(INI),
            consent=self.is_shared,
            state_directory=self._folder,
        )
        self.active = False
        self._hass = hass
        self._entry = entry
        self._option = option
        self._store: Store[dict[str, str]] = Store(
            hass, _STORE_VERSION, f"{FOLDER}/{entry.entry_id}/{_UUID_KEY}", private=True, atomic_writes=True
        )
        self._found: Permission | Denied | None = None
        self._execution_uuid: UUID | None = None
        self._kept_uuid: UUID | None = None
        self._drawing = threading.Lock()
        self._at_work = asyncio.Lock()
        self._polled_s: dict[str, float] = {}
        self._reaping: Callable[[], None] | None = None

    def is_shared(self) -> bool:
        """The user's answer at this moment."""
        return self._entry.options.get(self._option) is True

    @property
    def has_uuid(self) -> bool:
        """Whether an execution UUID is assigned."""
        return self._execution_uuid is not None

    @property
    def decision(self) -> str:
        """Which rule decides, by the last look; without a path, which may hold the user's name."""
        if not self.is_shared():
            return DenialReason.HOST_DECLINED.name.lower()
        if isinstance(self._found, Permission):
            return "granted"
        return "not_looked_yet" if self._found is None else self._found.reason.name.lower()

    def record(
        self,
        command: Command,
        *,
        executed_at_ms: int,
        latency_ms: int,
        success: bool,
        permission: Permission | None = None,
    ) -> bool:
        """Put one event into the queue, if the entry says yes and the last look found nothing against it."""
        allowed = permission or self._found
        if not self.active or not self.is_shared() or not isinstance(allowed, Permission):
            return False
        if environment_denial(os.environ) is not None:
            return False
        return super().record(
            command,
            executed_at_ms=executed_at_ms,
            latency_ms=latency_ms,
            success=success,
            permission=allowed,
        )

    def execution_uuid(self, _allowed: Permission, _root: object) -> UUID:
        """The entry's UUID, drawn at the first permitted event; Home Assistant's store gets it at the next flush."""
        with self._drawing:
            if self._execution_uuid is None:
                self._execution_uuid = event.draw_execution_uuid(os.urandom)
            return self._execution_uuid

    def queues(self) -> bool:
        """Always: in a thread of a service, too, nothing is written before the next flush."""
        return True

    def poll_is_due(self, name: str) -> bool:
        """Whether the last recorded poll of this name is long enough ago; if so, this one counts as the last."""
        now_s = time.monotonic()
        if now_s - self._polled_s.get(name, -POLL_INTERVAL_S) < POLL_INTERVAL_S:
            return False
        self._polled_s[name] = now_s
        return True

    async def async_open(self) -> None:
        """Load the UUID, look for what says no, and take back what a yes that has gone since has left."""
        async with self._at_work:
            with guard:
                stored = await self._store.async_load()
                if stored is not None and not self.has_uuid:
                    self._kept_uuid = event.parse_execution_uuid(str(stored.get(_UUID_KEY)))
                    self._execution_uuid = self._kept_uuid
                await self._hass.async_add_executor_job(self.look)
                if not self.is_shared():
                    await self._withdraw()
        self.active = True

    async def async_flush(self, *_at: Any) -> None:
        """Write what was recorded to the spool and start a sender; withdraw instead if there is no yes any more."""
        async with self._at_work:
            with guard:
                if not self.is_shared():
                    await self._withdraw()
                    return
                if self._execution_uuid is not None and self._execution_uuid != self._kept_uuid:
                    self._kept_uuid = self._execution_uuid
                    await self._store.async_save({_UUID_KEY: str(self._kept_uuid)})
                await self._hass.async_add_executor_job(self.flush_and_launch)
                self._reap_later()

    async def async_close(self) -> None:
        """Flush for the last time before the entry is set up again, if ever."""
        await self.async_flush()
        self.active = False

    async def async_withdraw(self) -> None:
        """Throw away, unsent, all that waits of this entry, and delete its UUID."""
        async with self._at_work:
            with guard:
                if not self.is_shared():
                    await self._withdraw()

    async def async_forget(self) -> None:
        """The same for an entry that is removed, with all that is kept of it."""
        self.active = False
        async with self._at_work:
            with guard:
                await self._withdraw()
                await self._hass.async_add_executor_job(self._delete_folder)

    def look(self) -> None:
        """Ask the files and variables that may say no what they would say to a yes; off the loop."""
        with guard:
            self._found = self.host_permission(True, None)  # noqa: FBT003 - the answer it would be

    def flush_and_launch(self) -> None:
        """Look, write, and start a sender also for what an earlier one has left; off the loop."""
        with guard:
            self.look()
            if isinstance(self._found, Denied) and self._found.reason is DenialReason.DISABLED:
                self.discard()
            self.flush()
            allowed, root = self.permission(), self.state_root()
            if isinstance(allowed, Denied) or not isinstance(root, str):
                return
            spool = Backlog(os.path.join(root, self.application, allowed.manifest.folder_name()))
            if spool.names():
                launch.launch(spool, time.time())

    async def _withdraw(self) -> None:
        self._execution_uuid = self._kept_uuid = None
        await self._hass.async_add_executor_job(self.discard)
        await self._store.async_remove()

    def _delete_folder(self) -> None:
        shutil.rmtree(self._folder, ignore_errors=True)

    def _reap_later(self, *_at: Any) -> None:
        """Collect the senders that have ended, and come back for those that have not; Home Assistant lives on."""
        from homeassistant.core import HassJob, HassJobType  # noqa: PLC0415 - there only in a host
        from homeassistant.helpers.event import async_call_later  # noqa: PLC0415

        if self._reaping is not None:
            self._reaping()
        self._reaping = None
        if launch.reap() and not self._hass.is_stopping:
            job = HassJob(self._reap_later, cancel_on_shutdown=True, job_type=HassJobType.Callback)
            self._reaping = async_call_later(self._hass, SENDER_LIFETIME_S, job)
