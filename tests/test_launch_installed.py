"""
The launch from every way of installing: a host of the user's records, and its sender, found by itself, delivers.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

import installations
import support
from franklinwh_telemetry.launch import SENDER_MARK
from franklinwh_telemetry.sender.loopback import LoopbackReceiver
from support import CONSENT

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="the folders of an environment are POSIX's here")

WAYS = ("environment", "user", "target", "editable", "zipapp")

HOSTILE_JSON = f"""
import importlib.machinery, importlib.util, os, sys
if "{SENDER_MARK}" in os.environ:
    with open(os.path.join(os.path.dirname(__file__), "surprise"), "a") as surprise:
        surprise.write("json")
    raise ImportError("the sender has imported the user's json.py")
spec = importlib.machinery.PathFinder.find_spec("json", [os.path.dirname(os.__file__)])
sys.modules["json"] = module = importlib.util.module_from_spec(spec)
spec.loader.exec_module(module)
"""
"""The user's own `json.py`: the real one for the host, a catastrophe for a sender."""

HOSTILE = """
import os
with open({marker!r}, "a") as surprise:
    surprise.write(__name__)
raise ImportError("the user's own module was imported")
"""


@pytest.fixture(scope="session")
def installed(tmp_path_factory, request):
    """The installations of this session, each made when it is first asked for."""
    made = {}

    def install(way):
        if way not in made:
            wheel = request.getfixturevalue("wheel")
            source = request.getfixturevalue("source_root") if way == "editable" else wheel
            folder = tmp_path_factory.mktemp(way)
            needed = installations.dependencies(wheel)
            maker = {
                "environment": installations.in_environment,
                "user": installations.in_user_site,
                "target": installations.in_target,
                "editable": installations.editable,
                "zipapp": installations.zipapp,
            }[way]
            made[way] = maker(folder, source, needed)
        return made[way]

    return install


@pytest.fixture
def consented(senders, monkeypatch):
    """The ini of the home says yes, wherever the host is started; nothing of the tests' own package is in reach."""
    monkeypatch.delenv("PYTHONPATH", raising=False)
    ini = Path(os.environ["HOME"], ".franklinwh.ini")
    ini.write_text(CONSENT)
    return ini


def run_host(installation, *command, **keywords):
    """Run the host, and see that it has the package from where it was installed."""
    words = [installation.python, *map(str, command or [installation.program])]
    ended = support.run(words, env={**os.environ, **installation.variables}, **keywords)
    assert (ended.returncode, ended.stderr) == (0, "")
    assert ended.stdout.startswith(os.path.join(installation.place, ""))
    return ended


def delivered():
    """The names of the spans in the embedded file."""
    return [span["name"] for span in support.kept_spans()]


def assert_delivered(number=1):
    support.wake_senders()
    assert delivered() == ["status"] * number
    assert support.waiting() == []


def put_hostile_modules(folder):
    """What users name their own files: modules that the sender needs, each leaving a mark when it is imported."""
    folder.mkdir(exist_ok=True)
    marker = str(folder / "surprise")
    (folder / "json.py").write_text(HOSTILE_JSON)
    for name in ("requests", "urllib3", "certifi", "google", "queue", "logging"):
        (folder / f"{name}.py").write_text(HOSTILE.format(marker=marker))
    (folder / "opentelemetry").mkdir()
    (folder / "opentelemetry" / "__init__.py").write_text(HOSTILE.format(marker=marker))
    return folder / "surprise"


@pytest.mark.parametrize("way", WAYS)
def test_delivers_to_the_file(installed, consented, way):
    """However the package was installed, the sender finds it and writes the event to the embedded file."""
    run_host(installed(way))

    assert_delivered()


@pytest.mark.parametrize("way", WAYS)
def test_delivers_over_the_network(installed, consented, way):
    """However the package was installed, the sender has all that it needs to reach a receiver."""
    with LoopbackReceiver() as receiver:
        consented.write_text(f"{CONSENT}endpoint = {receiver.url}\n")
        run_host(installed(way))
        support.wake_senders()

        assert [span.name for span in receiver.spans] == ["status"]
    assert support.waiting() == []


def test_zipapp_by_a_relative_path(installed, consented, tmp_path):
    """A zipapp that is started by a relative path, and goes elsewhere before it records, is still found."""
    app = installed("zipapp")
    relative = os.path.relpath(app.program, app.program.parent.parent)

    run_host(app, relative, tmp_path, cwd=app.program.parent.parent)

    assert_delivered()


def test_relative_module_path(installed, consented, tmp_path):
    """A relative `PYTHONPATH` is meant from where the host was started, wherever it has gone since."""
    target = installed("target")
    variables = {"PYTHONPATH": target.place.name}

    run_host(target._replace(variables=variables), target.program, tmp_path, cwd=target.place.parent)

    assert_delivered()


def test_vendored_beside_the_script(installed, consented, tmp_path):
    """A program that adds a relative folder of its own to `sys.path`, and goes elsewhere, is served too."""
    target = installed("target")
    script = tmp_path / "vendoring.py"
    script.write_text(f"import sys\nsys.path.insert(0, {target.place.name!r})\n{installations.HOST}")

    run_host(target._replace(variables={}), script, tmp_path, cwd=target.place.parent)

    assert_delivered()


@pytest.mark.parametrize("way", ["environment", "user", "target", "editable"])
def test_hostile_working_directory_of_a_module(installed, consented, way):
    """Started by `python -m` in a folder that holds a `json.py`, the sender imports nothing from that folder."""
    surprise = put_hostile_modules(Path.cwd())
    for name in ("logging", "queue"):  # the host itself would need these
        (Path.cwd() / f"{name}.py").unlink()
    (Path.cwd() / "their_host.py").write_text(installations.HOST)

    run_host(installed(way), "-m", "their_host")

    assert_delivered()
    assert not surprise.exists()


@pytest.mark.parametrize("way", ["environment", "editable", "zipapp"])
def test_hostile_working_directory_of_a_script(installed, consented, way):
    """A console script or a zipapp, run in a folder of hostile modules, has a sender that imports none of them."""
    surprise = put_hostile_modules(Path.cwd())

    run_host(installed(way))

    assert_delivered()
    assert not surprise.exists()


@pytest.mark.parametrize("way", ["environment", "user", "target", "editable"])
def test_hostile_neighbours_of_the_script(installed, consented, tmp_path, way):
    """Modules beside the user's script hide neither the standard library's nor those that the sender needs."""
    surprise = put_hostile_modules(tmp_path / "scripts")
    for name in ("logging", "queue"):
        (tmp_path / "scripts" / f"{name}.py").unlink()
    script = installations.host_script(tmp_path / "scripts")

    run_host(installed(way), script)

    assert_delivered()
    assert not surprise.exists()


def test_console_script(installed, consented):
    """The console script that the wheel brings runs a program, and the event arrives."""
    environment = installed("environment")
    program = Path(environment.python).with_name("their-host")
    program.write_text(f"#!{environment.python}\n{installations.HOST}")
    program.chmod(0o755)
    surprise = put_hostile_modules(Path.cwd())

    ended = support.run([str(program)])

    assert (ended.returncode, ended.stderr) == (0, "")
    assert_delivered()
    assert not surprise.exists()
