"""
`Telemetry`: the five facts of an application's commands, written down on the user's path.

Stdlib only, no socket, no thread; what goes wrong here ends in `guard` and is never seen by the program.
"""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING, Final, cast

from franklinwh_telemetry import event, system
from franklinwh_telemetry.consent import host_consent, read_consent
from franklinwh_telemetry.guard import guard
from franklinwh_telemetry.lookup import DenialReason, Denied, parse_application
from franklinwh_telemetry.scope import CommandScope, result_succeeded

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import TypeVar
    from uuid import UUID

    from franklinwh_telemetry.consent import Granted
    from franklinwh_telemetry.loopqueue import LoopQueue
    from franklinwh_telemetry.permission import Permission
    from franklinwh_telemetry.scope import Run
    from franklinwh_telemetry.stamps import Stamps
    from franklinwh_telemetry.statefolder import FolderRefusal
    from franklinwh_telemetry.status import Status
    from franklinwh_telemetry.vocabulary import Command, Vocabulary

    HostConsent = Callable[[], "bool | UUID"]

    Result = TypeVar("Result")

STATE_VARIABLES: Final = ("STATE_DIRECTORY", "XDG_STATE_HOME", "HOME", "LOCALAPPDATA")
"""What `statefolder.state_root` goes by: while they stay the same, so does the folder."""


class Telemetry:
    """
    Opt-in telemetry of one application: which of its commands ran, when, for how long, and whether they succeeded.

    *application* is a literal of the program's code (`[a-z0-9._-]`, at most 64 characters; ValueError otherwise).
    *destination* is its own literal: the URL of an OTLP base, or `posthog:phc_...`; the user's ini comes before it,
    and without either the events stay in a file of this machine. *policy_version* is the version of the policy that a
    user must have agreed to. *config* names an ini, as the program's own `--config` does. *consent* is for hosts that
    keep the switch themselves: a callable that answers True, or the user's random UUID; anything else is a no.
    *state_directory* replaces the platform's state folder.

    No method raises an error of ours, prints, or waits for a network.
    """

    _queue: LoopQueue | None = None

    def __init__(
        self,
        application: str,
        vocabulary: Vocabulary,
        *,
        destination: str | None = None,
        policy_version: int = 1,
        config: str | None = None,
        consent: HostConsent | None = None,
        state_directory: str | None = None,
    ) -> None:
        if parse_application(application) is None:
            message = f"application must match [a-z0-9][a-z0-9._-]{{0,63}} and be no device of Windows: {application!r}"
            raise ValueError(message)
        self.application = application
        self.vocabulary = vocabulary
        self.config = config
        self.policy_version = policy_version
        self.literal = destination
        self._consent = consent
        self._state_directory = state_directory
        self._last: tuple[tuple[object, ...], Permission | Denied] | None = None
        self._emptied: tuple[tuple[str | None, ...], Stamps] | None = None

    def command(self, name: str | None = None, *, until_interrupted: bool = False) -> CommandScope:
        """
        A decorator, and a context manager, that records one run of the command *name*.

        Functions, coroutine functions, generators, async generators and methods stay what they are. Without a
        *name* a decorated function's own name is looked up in the vocabulary; what it does not list is recorded as
        `other`. Inside, `.failed()` says that the command failed although nothing was raised; *until_interrupted*
        makes ending it by Ctrl-C, or by cancelling its task, a success.
        """
        return CommandScope(self, name, until_interrupted=until_interrupted)

    def run(self, main: Callable[[], Result], argv: Sequence[str] | None = None) -> Result:
        """
        Run a whole program: *main* is called, its command is read from *argv* (default: `sys.argv[1:]`).

        *main* is a function, a `click.Command` or a `typer.Typer`.

        Returns what *main* returns and raises what it raises. Failure is an exception, an exit status other than 0
        or a whole number other than 0 returned. `--help`, `--version` and shell completion record nothing.
        """
        line = tuple(sys.argv[1:] if argv is None else argv)
        command = None
        with guard:
            if not system.is_completion(os.environ):
                command = self.vocabulary.execution(line)
        if command is None:
            return main()
        until_interrupted = self.vocabulary.is_until_interrupted(command)
        with CommandScope(self, command.text, until_interrupted=until_interrupted) as run:
            result = run.noting_interrupt(main) if until_interrupted else main()
            if not result_succeeded(result):
                run.failed()
        return result

    def finish(self, run: Run, *, success: bool) -> None:
        """Record a command that has just ended; called by its scope, in the process that began it."""
        with guard:
            latency_ms = (system.monotonic_ns() - run.started_ns) // 1_000_000
            self.record(run.command, executed_at_ms=run.executed_at_ms, latency_ms=latency_ms, success=success)

    def record(
        self,
        command: Command,
        *,
        executed_at_ms: int,
        latency_ms: int,
        success: bool,
        permission: Permission | None = None,
    ) -> bool:
        """
        Write one event down, if there is consent, and start a sender; False when nothing was recorded.

        In a running event loop the event goes to a queue in memory instead, which `flush()` writes.
        """
        allowed = permission or self.permission()
        if isinstance(allowed, Denied):
            return False
        root = None if self.queues() else self.state_root()
        execution_uuid = self.execution_uuid(allowed, root)
        if execution_uuid is None:
            return False
        made = event.make_record(
            event.CommandEvent(
                command=command,
                executed_at_ms=event.clamp_executed_at_ms(executed_at_ms),
                execution_latency_ms=event.clamp_latency_ms(latency_ms),
                success=success,
                execution_uuid=execution_uuid,
            ),
            system.random_bytes,
        )
        if root is None:
            self._needed_queue().put(allowed.manifest.folder_name(), made, self.flush)
            return True
        return allowed.write(root, [made])

    def execution_uuid(self, allowed: Permission, root: str | FolderRefusal | None) -> UUID | None:
        """The UUID that an event recorded now gets, None where there can be none; *root* is `state_root()` if known."""
        return allowed.execution_uuid(self.state_root() if root is None else root)

    def queues(self) -> bool:
        """Whether an event recorded now waits in memory for `flush()`."""
        return system.in_event_loop()

    def flush(self) -> None:
        """
        Write what event loops have recorded to the spool and start a sender; call it off the loop.

        Consent is asked again: what was recorded under a yes that has gone since is thrown away. What cannot be
        written, such as on a full disk, waits for the next `flush()`.
        """
        with guard:
            if self._queue is not None:
                self._queue.write(self)

    def discard(self) -> None:
        """
        Throw away, unsent, all that waits of this application, and withdraw the consent a host has given itself.

        For a host whose switch was just turned off. A sender under way stops before its next request.
        """
        with guard:
            self._clear_queue()
            self.discard_from(None)

    def discard_from(self, source: str | None) -> None:
        """Throw away what was recorded under the yes of one *source* (an ini's real path, or `host`); None for all."""
        emptied, place = self._emptied, (source, *map(os.environ.get, STATE_VARIABLES))
        if emptied is not None and emptied[0] == place and emptied[1].still_hold():
            return
        root = self.state_root()
        if not isinstance(root, str):
            return
        from franklinwh_telemetry.backlog import existing_spools  # noqa: PLC0415 - only where something may wait
        from franklinwh_telemetry.stamps import Stamps  # noqa: PLC0415

        stamps = Stamps(os.path.join(root, self.application))
        for spool in existing_spools(root, self.application):
            stamps.take(spool.folder)
            manifest = spool.manifest()
            if source is None or manifest is None or manifest.source == source:
                spool.empty()
        self._emptied = None if source is None else (place, stamps)

    def status(self) -> Status:
        """What is decided and by which rule, what waits, and what has gone wrong; see `status.Status`."""
        from franklinwh_telemetry.status import read_status  # noqa: PLC0415 - not on the user's path

        return read_status(self)

    def permission(self, *, argument: str | None = None) -> Permission | Denied:
        """The yes that holds at this moment, with where its events go; a no says which rule decided."""
        granted = self._ask()
        if isinstance(granted, Denied):
            if granted.reason is DenialReason.DISABLED:
                self._clear_queue()
                self.discard_from(granted.where)
            return granted
        return self._routed(granted, argument)

    def host_permission(
        self,
        answer: object,
        execution_uuid: UUID | None,
        *,
        argument: str | None = None,
    ) -> Permission | Denied:
        """The same where the host asked the user itself and passes the answer on; only True is a yes."""
        granted = host_consent(
            self.application,
            answer,
            execution_uuid,
            policy_version=self.policy_version,
            config=self.config,
        )
        if isinstance(granted, Denied):
            return granted
        return self._routed(granted, argument)

    def _routed(self, granted: Granted, argument: str | None) -> Permission | Denied:
        asked = (granted, argument, self.literal, self.policy_version)
        last = self._last
        if last is not None and last[0] == asked:
            return last[1]
        from franklinwh_telemetry.permission import permit  # noqa: PLC0415 - only once there is a yes

        literal, policy_version = self.literal, self.policy_version
        allowed = permit(granted, self.vocabulary, policy_version, argument=argument, literal=literal)
        self._last = (asked, allowed)
        return allowed

    def state_root(self) -> str | FolderRefusal:
        """The folder of all state; nothing is made."""
        from franklinwh_telemetry.statefolder import state_root  # noqa: PLC0415 - not needed where nobody is asked

        given = system.state_directory or self._state_directory
        return state_root({"STATE_DIRECTORY": given} if given else os.environ)

    def _ask(self) -> Granted | Denied:
        if self._consent is None:
            return read_consent(self.application, policy_version=self.policy_version, config=self.config)
        answer = self._consent()
        given_uuid = None if isinstance(answer, bool) else event.parse_execution_uuid(str(answer))
        return host_consent(
            self.application,
            answer is True or given_uuid is not None,
            given_uuid,
            policy_version=self.policy_version,
            config=self.config,
        )

    def _needed_queue(self) -> LoopQueue:
        if self._queue is None:
            from franklinwh_telemetry.loopqueue import LoopQueue  # noqa: PLC0415 - only for event loops

            return cast("LoopQueue", vars(self).setdefault("_queue", LoopQueue()))  # of two first threads one makes it
        return self._queue

    def _clear_queue(self) -> None:
        if self._queue is not None:
            self._queue.clear()
