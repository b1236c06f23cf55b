"""Where events may go: an OTLP base URL, a PostHog project or the file on this machine, parsed once, then trusted."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NoReturn, final

from franklinwh_telemetry.address import (
    FILE_HOST,
    NAME_CHARACTERS,
    BadDestination,
    canonical_host,
    canonical_ipv6,
    insecure,
    origin,
    split_url,
)
from franklinwh_telemetry.lookup import NO, YES, DenialReason, Denied
from franklinwh_telemetry.value import Value

if TYPE_CHECKING:
    from collections.abc import Mapping

    from franklinwh_telemetry.consent import Granted

DEFAULT_POSTHOG_HOST: Final = "us.i.posthog.com"
TRACES_PATH: Final = "/v1/traces"
MAX_KEY_LENGTH: Final = 64
"""PostHog refuses longer project keys."""


_POSTHOG_HOSTS: Final = {
    "app.posthog.com": "us.i.posthog.com",
    "us.posthog.com": "us.i.posthog.com",
    "eu.posthog.com": "eu.i.posthog.com",
}
_PREFIX: Final = "posthog:"
_SHOWN_AT_BOTH_ENDS_FROM: Final = 24
"""PostHog's keys are longer; of a shorter one no more than its first half is shown."""
_SEAL: Final = object()


@final
class Destination(Value):
    """
    Where events go; made by `parse_destination` and `Destination.from_fields` only.

    `kind` is "otlp", "posthog" or "file"; `url` the whole traces URL, PostHog's base URL, or empty for the file;
    `allow_http` is True only where plain HTTP leaves this machine and that was allowed; `host` is what consent names.
    """

    __slots__ = ("kind", "url", "api_key", "allow_http", "host")  # noqa: RUF023 - the order of the fields
    kind: str
    url: str
    api_key: str
    allow_http: bool
    host: str

    def __init__(self, seal: object, /, *fields: object) -> None:
        if seal is not _SEAL:
            msg = "a Destination comes from parse_destination or Destination.from_fields only"
            raise TypeError(msg)
        super().__init__(*fields)

    def __init_subclass__(cls) -> NoReturn:
        msg = "Destination cannot be extended"
        raise TypeError(msg)

    def __repr__(self) -> str:
        return f"Destination({self.describe()!r})"

    def to_fields(self) -> dict[str, object]:
        """What a manifest keeps; `from_fields` reads it back."""
        return {"kind": self.kind, "url": self.url, "api_key": self.api_key, "allow_http": self.allow_http}

    @staticmethod
    def from_fields(fields: Mapping[str, object]) -> Destination | BadDestination:
        """The destination that `to_fields` wrote, validated again; anything else is refused."""
        foreign = BadDestination("the stored destination is not one that was stored by this package")
        kind, url, api_key = fields.get("kind"), fields.get("url"), fields.get("api_key")
        allow_http = fields.get("allow_http")
        if not (isinstance(url, str) and isinstance(api_key, str) and isinstance(allow_http, bool)):
            return foreign
        parsed: Destination | BadDestination = foreign
        if kind == "file":
            parsed = FILE
        elif kind == "otlp":
            parsed = parse_destination(url, allow_http=allow_http)
        elif kind == "posthog":
            parsed = _parse_posthog(api_key, url, allow_http=allow_http)
        if isinstance(parsed, BadDestination):
            return parsed
        return parsed if parsed.to_fields() == dict(fields) else foreign

    @property
    def name(self) -> str:
        """The shortest that people know it by."""
        return self.describe() if self.kind == "file" else self.host

    def describe(self) -> str:
        """The destination in words for people, the key shortened."""
        if self.kind == "file":
            return "a file on this machine"
        if self.kind == "posthog":
            return f"PostHog at {self.url}, project {shortened(self.api_key)}"
        return f"OTLP at {self.url}"


def shortened(key: str) -> str:
    """A key as people may see it: enough to recognise it by, not enough to use it."""
    if len(key) >= _SHOWN_AT_BOTH_ENDS_FROM:
        return f"{key[:8]}...{key[-4:]}"
    return f"{key[: min(8, len(key) // 2)]}..."


FILE: Final = Destination(_SEAL, "file", "", "", False, FILE_HOST)  # noqa: FBT003 - a field
"""The embedded default: nothing leaves the machine."""


def parse_destination(
    text: str,
    *,
    posthog_host: str | None = None,
    allow_http: bool = False,
) -> Destination | BadDestination:
    """
    An OTLP base URL (`/v1/traces` is appended), or `posthog:KEY`, or `posthog:KEY@HOST`.

    *posthog_host* is the host, or its https URL, that goes with a key; PostHog's US cloud without one.
    *allow_http* lets plain HTTP leave this machine.
    """
    if not text:
        return BadDestination("it is empty; give an OTLP base URL or posthog: with a project key")
    if text.startswith(_PREFIX):
        key, at, host = text[len(_PREFIX) :].partition("@")
        if at and posthog_host is not None:
            return BadDestination("PostHog's host is given twice; give it once")
        return _parse_posthog(key, host if at else posthog_host, allow_http=allow_http)
    if posthog_host is not None:
        return BadDestination("posthog_host belongs to a PostHog key, and this is a URL; take one of the two away")
    parts = split_url(text)
    if isinstance(parts, BadDestination):
        return parts
    scheme, host, port, path = parts
    leaves = insecure(scheme, host, allow_http=allow_http)
    if isinstance(leaves, BadDestination):
        return leaves
    base = path.rstrip("/").removesuffix(TRACES_PATH).rstrip("/")
    return Destination(_SEAL, "otlp", f"{origin(scheme, host, port)}{base}{TRACES_PATH}", "", leaves, host)


def _parse_posthog(key: str, host: str | None, *, allow_http: bool) -> Destination | BadDestination:
    problem = _key_problem(key)
    if problem is not None:
        return BadDestination(problem)
    host = DEFAULT_POSTHOG_HOST if host is None else host
    parts = split_url(host if "://" in host else f"https://{host}")
    if isinstance(parts, BadDestination):
        return BadDestination(f"PostHog's host: {parts.message}")
    scheme, name, port, path = parts
    if path.strip("/"):
        return BadDestination("PostHog's host: give it without a path")
    name = _POSTHOG_HOSTS.get(name, name)
    leaves = insecure(scheme, name, allow_http=allow_http)
    if isinstance(leaves, BadDestination):
        return BadDestination(f"PostHog's host: {leaves.message}")
    return Destination(_SEAL, "posthog", origin(scheme, name, port), key, leaves, name)


def _key_problem(key: str) -> str | None:
    if not key:
        return "the PostHog project key is empty; it begins with phc_"
    if key.startswith("ph") and key[3:4] == "_" and key[2] != "c":
        return "this PostHog key is a personal or secret one; the project key begins with phc_"
    if len(key) > MAX_KEY_LENGTH:
        return f"the PostHog project key is longer than {MAX_KEY_LENGTH} characters"
    if not NAME_CHARACTERS.issuperset(key):
        return "the PostHog project key holds something other than letters, digits, _ and -"
    return None


def route(granted: Granted, *, argument: str | None = None, literal: str | None = None) -> Destination | Denied:
    """
    Where the events of *granted* go: *argument*, the user's ini, the application's *literal*, the file.

    A value that is not usable denies rather than giving way to the next, and so does a host that is not the one
    consented to. `allow_http` in the user's ini holds for all of them.
    """
    place, parsed = _choose(granted.routing, argument, literal)
    if isinstance(parsed, BadDestination):
        where = place or granted.ini or granted.source
        return Denied(DenialReason.BAD_DESTINATION, where, parsed.message)
    consented = granted.consented_host
    if consented is not None and consented != parsed.host:
        is_host = consented in (canonical_host(consented), canonical_ipv6(consented))
        named = consented if is_host else "something else"
        detail = f"agreed to: {named}; events would go to: {parsed.host}"
        return Denied(DenialReason.DESTINATION_CHANGED, granted.ini or granted.source, detail)
    return parsed


def choose(
    routing: Mapping[str, str],
    *,
    argument: str | None = None,
    literal: str | None = None,
) -> Destination | BadDestination:
    """The destination that *argument*, an ini's *routing* keys and the application's *literal* name, in this order."""
    place, parsed = _choose(routing, argument, literal)
    return BadDestination(f"{place}: {parsed.message}") if place and isinstance(parsed, BadDestination) else parsed


def _choose(
    routing: Mapping[str, str],
    argument: str | None,
    literal: str | None,
) -> tuple[str, Destination | BadDestination]:
    """The destination, and the place in the program that named it (empty where the ini did)."""
    said = routing.get("allow_http", "no").lower()
    if said not in YES and said not in NO:
        return "", BadDestination("`allow_http` is neither true nor false")
    allow_http = said in YES
    if argument is not None:
        return "the destination argument", parse_destination(argument, allow_http=allow_http)
    if not routing.keys().isdisjoint(("endpoint", "api_key", "posthog_host")):
        return "", _parse_routing(routing, allow_http=allow_http)
    if literal is not None:
        return "the application's own destination", parse_destination(literal, allow_http=allow_http)
    return "", FILE


def _parse_routing(routing: Mapping[str, str], *, allow_http: bool) -> Destination | BadDestination:
    endpoint, key, host = routing.get("endpoint"), routing.get("api_key"), routing.get("posthog_host")
    if endpoint is not None and key is not None:
        return BadDestination("both `endpoint` and `api_key` are given; take one of them out")
    if key is not None:
        return _parse_posthog(key, host, allow_http=allow_http)
    if endpoint is None:
        return BadDestination("`posthog_host` stands there without an `api_key`; add the key or take it out")
    if host is not None:
        return BadDestination("`posthog_host` belongs to an `api_key`, and `endpoint` is given; take one of them out")
    if endpoint.startswith(_PREFIX):
        return BadDestination("`endpoint` is an OTLP base URL; a PostHog key goes into `api_key`")
    return parse_destination(endpoint, allow_http=allow_http)
