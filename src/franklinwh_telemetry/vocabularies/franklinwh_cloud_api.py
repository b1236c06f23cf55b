"""
The public methods of franklinwh-cloud's `Client` that may be named, as commands `api METHOD`: reviewed data.

None is named unless a program asks for it, and the list that ships with the Collector has none of them: 132 more
commands would nearly double what an event can tell, for programs that mostly poll. `vocabulary(methods)` is the
list with those that a program enables; `every_method()` the one with all, for a gate that is to take them.
"""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Final

from franklinwh_telemetry.vocabularies import franklinwh_cloud
from franklinwh_telemetry.vocabulary import Vocabulary

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    Methods = Iterable[str] | Callable[[str], object]

PREFIX: Final = "api "

READING: Final = (
    # What a dashboard polls: is it worth keeping these fast, and which of the overlapping views can go?
    "get_stats",
    "get_runtime_data",
    "get_device_composite_info",
    "get_power_info",
    "get_power_by_day",
    "get_power_details",
    "get_electric_data",
    "get_grid_status",
    "discover",
    "siteinfo",
    # Modes and limits: which of the three ways to ask for a mode is used?
    "get_mode",
    "get_mode_info",
    "get_all_mode_soc",
    "get_operating_mode_name",
    "get_power_control_settings",
    "get_pcs_hintinfo",
    # Tariffs and schedules: the largest group of endpoints; which of them serve anybody?
    "get_gateway_tou_list",
    "get_tou_info",
    "get_tou_health",
    "get_tou_dispatch_detail",
    "get_tou_detail_by_id",
    "get_current_tou_price",
    "get_custom_dispatch_list",
    "get_recommend_dispatch_list",
    "get_tariff_list",
    "get_tariff_detail",
    "get_utility_companies",
    "get_charge_power_details",
    "calculate_expected_earnings",
    "get_bonus_info",
    "tou_backup_list",
    "force_info",
    # Programmes of utilities, and the hints that the app shows: dead weight in a library?
    "check_ai_dispatch_invitation",
    "check_vpp_eligibility",
    "get_ai_offline_disable_flag",
    "get_vpp_tip",
    "get_nps_show_tip",
    "get_page_by_type_list",
    "whether_popup",
    "get_programme_info",
    "query_compliance_capacity",
    "get_grid_profile_info",
    # The gateway, its batteries and what hangs on it.
    "get_agate_info",
    "get_apower_info",
    "get_bms_info",
    "get_device_info",
    "get_device_detail",
    "get_device_overall_info",
    "get_power_cap_config_list",
    "get_resolved_capabilities",
    "get_system_settings",
    "get_accessories",
    "get_accessories_power_info",
    "get_smart_circuits",
    "get_smart_circuits_info",
    "get_smart_circuit_detail",
    "get_generator_info",
    "get_generator_detail",
    "get_span_setting",
    "get_span_settings",
    # How a gateway is connected: five views of the same, some of them slow.
    "get_agate_network_info",
    "get_network_info",
    "get_network_state",
    "get_network_switches",
    "get_connection_status",
    "get_connectivity_overview",
    "get_wifi_config",
    # Storms and weather.
    "get_storm_list",
    "get_storm_settings",
    "get_progressing_storm_list",
    "get_weather",
    # The account, its messages and its papers. That one was called is no fact about whose account it is.
    "get_home_gateway_list",
    "get_site_and_device_info",
    "get_site_detail",
    "get_equipment_location",
    "get_geography_list",
    "get_entrance_info",
    "get_personal_info",
    "get_user_resources",
    "query_terminal_user_info",
    "get_warranty_info",
    "get_benefit_info",
    "get_backup_history",
    "get_charge_history",
    "get_alarm_codes_list",
    "get_gateway_alarm",
    "get_device_run_log_list",
    "get_run_log_list",
    "get_messages_by_type",
    "get_notifications",
    "get_notification_settings",
    "get_unread_count",
)
"""Methods that change nothing, neither at the gateway or the account nor on this disk: programs poll them."""

CHANGING: Final = (
    # Operating modes and limits: which of them fail most, by the policy.
    "set_mode",
    "update_soc",
    "set_power_control_settings",
    "set_grid_status",
    "force_charge",
    "force_discharge",
    "force_standby",
    "force_release",
    "force_emergency_clear",
    "set_storm_settings",
    "update_system_settings",
    # Schedules, and their copies on this disk.
    "set_tou_schedule",
    "set_tou_schedule_multi",
    "save_tou_dispatch",
    "apply_tariff_template",
    "reset_tou_mode",
    "backup_tou_schedule",
    "tou_backup_save",
    "tou_backup_restore",
    "tou_backup_delete",
    "notify_ai_cache",
    # Accessories.
    "set_smart_circuit_state",
    "set_smart_switch_state",
    "set_smart_circuit_schedule",
    "set_smart_circuit_soc_cutoff",
    "set_smart_circuit_load_limit",
    "set_v2l_mode",
    "set_generator_mode",
    "set_generator_charge_schedule",
    "led_light_settings",
    # The gateway's network: a scan keeps its radio busy, a switch can strand it.
    "scan_wifi_networks",
    "scan_wifi_networks_poll",
    "scan_wifi_networks_ranked",
    "set_wifi_credentials",
    "switch_to_wifi",
    # The session and the account.
    "refresh_token",
    "logout",
    "aclose",
    "update_fcm_token",
    "smart_assistant",
)
"""Methods that set, start, store, delete or end something: each call of them is a deed of its own."""

METHODS: Final = READING + CHANGING


def enabled(methods: Methods) -> tuple[str, ...]:
    """
    Those of `METHODS` that *methods* chooses: a list of names, or a predicate that is asked of each.

    Raises ValueError for a name that nobody has reviewed.
    """
    if callable(methods):
        return tuple(name for name in METHODS if methods(name))
    chosen = frozenset(methods)
    unknown = sorted(chosen.difference(METHODS), key=str)
    if unknown:
        raise ValueError(
            f"{unknown[0]!r} is no reviewed method of franklinwh-cloud {franklinwh_cloud.VERSION}'s Client"
        )
    return tuple(name for name in METHODS if name in chosen)


def vocabulary(methods: Methods = ()) -> Vocabulary:
    """franklinwh-cloud's vocabulary with a command `api METHOD` for each of *methods*, as in `enabled`."""
    return _with(enabled(methods))


def every_method() -> Vocabulary:
    """The one with all of them: what a gate must list so that no method that is enabled anywhere becomes `other`."""
    return _with(METHODS)


@cache
def _with(names: tuple[str, ...]) -> Vocabulary:
    if not names:
        return franklinwh_cloud.vocabulary()
    # The grammar knows no `api`: a line that says `api get_stats` stays the usage error that it is.
    return Vocabulary(
        (*franklinwh_cloud.COMMANDS, *(PREFIX + name for name in names)),
        grammar=franklinwh_cloud.grammar,
        until_interrupted=franklinwh_cloud.ENDLESS,
    )
