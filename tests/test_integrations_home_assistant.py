"""
What can be shown without Home Assistant; the tests with it are in tests/home_assistant.
"""

from __future__ import annotations

import asyncio
import inspect

import pytest

import support
from franklinwh_telemetry.integrations.home_assistant import CONF_SHARE_USAGE, action, poll


def test_importing_it_loads_no_home_assistant():
    """An integration's import, which Home Assistant does in an executor, loads what recording needs, and no more."""
    ran = support.run_python(
        "import sys\n"
        "import franklinwh_telemetry.integrations.home_assistant\n"
        "needed = {f'franklinwh_telemetry.{name}' for name in ('permission', 'spool', 'statefolder', 'launch')}\n"
        "print(needed <= set(sys.modules))\n"
        "print(sorted({name.partition('.')[0] for name in sys.modules} & {'homeassistant', 'opentelemetry', 'requests',"
        " 'voluptuous'}))\n"
    )

    assert (ran.stdout, ran.stderr) == ("True\n[]\n", "")


@pytest.mark.parametrize("wrap", [action, poll])
def test_what_is_wrapped_runs_without_it(wrap):
    """Where there is no Home Assistant, as in a unit test of an integration, the wrapped callables just run."""

    @wrap("set_mode")
    async def handler(call):
        return call

    @wrap("set_mode")
    def plain(call):
        raise LookupError(call)

    assert inspect.iscoroutinefunction(handler)
    assert not inspect.iscoroutinefunction(plain)
    assert asyncio.run(handler(1)) == 1
    with pytest.raises(LookupError):
        plain(1)


def test_the_option_is_the_one_that_the_page_explains():
    """The option's name stands in users' configurations and in integrations' translations; it may never change."""
    assert CONF_SHARE_USAGE == "share_usage"
