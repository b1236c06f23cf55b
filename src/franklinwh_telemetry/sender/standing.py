"""
Whether the yes under which a spool was filled still stands, asked again before anything is sent.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from franklinwh_telemetry.consent import HOST, host_consent, read_consent
from franklinwh_telemetry.destination import route
from franklinwh_telemetry.inifile import IniProblem, ProblemKind
from franklinwh_telemetry.inifile import read as read_ini
from franklinwh_telemetry.lookup import DenialReason, Denied
from franklinwh_telemetry.spool import APPLICATION, ARGUMENT, INI, routed_by

if TYPE_CHECKING:
    from franklinwh_telemetry.backlog import Backlog
    from franklinwh_telemetry.consent import Granted
    from franklinwh_telemetry.spool import Manifest


def consent_again(manifest: Manifest) -> Granted | Denied:
    """The yes under which a spool was filled, as it stands now: same source, same destination."""
    if manifest.source == HOST:
        granted = host_consent(manifest.application, True, None, policy_version=manifest.policy_version)  # noqa: FBT003
    else:
        granted = _ini_consent_again(manifest)
    if isinstance(granted, Denied):
        return granted
    if granted.consented_host is not None and granted.consented_host != manifest.destination.host:
        return Denied(DenialReason.DESTINATION_CHANGED, manifest.source)
    return granted


def _ini_consent_again(manifest: Manifest) -> Granted | Denied:
    found = read_ini(manifest.source, explicit=manifest.explicit)
    if found is None:
        return Denied(DenialReason.NO_INI, manifest.source)
    if isinstance(found, IniProblem) and found.kind is ProblemKind.FOREIGN_OWNER:
        return Denied(DenialReason.FOREIGN_OWNER, manifest.source)
    granted = read_consent(manifest.application, policy_version=manifest.policy_version, config=manifest.source)
    if isinstance(granted, Denied):
        return granted
    if granted.source != manifest.source:
        return Denied(DenialReason.NO_SECTION, manifest.source)
    if manifest.routed_by == ARGUMENT:
        return granted
    if routed_by(granted) == INI:
        destination = route(granted)
        if isinstance(destination, Denied):
            return destination
        if destination == manifest.destination:
            return granted
    elif manifest.routed_by == APPLICATION:
        return granted
    # The user sends new events elsewhere; what was recorded for the old place may neither follow nor go there.
    return Denied(DenialReason.DISABLED, manifest.source, "its destination is another one now")


def still_granted(spool: Backlog) -> bool:
    """Whether a spool's manifest is still there and its yes stands; asked before each request."""
    manifest = spool.manifest()
    return manifest is not None and not isinstance(consent_again(manifest), Denied)
