from __future__ import annotations

import json
import os
import subprocess
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

import support
from doubles.misfortune import STRANGER, World, clear, ini_spool

pytestmark = pytest.mark.skipif(os.name == "nt", reason="owners, modes, links and pipes are POSIX")

NO_HOME = "there is no state folder: HOME is not an absolute, existing folder: set HOME or STATE_DIRECTORY"
FOREIGN = "it would lie below a folder of another user: set HOME or STATE_DIRECTORY to a folder of your own"
NOT_WRITABLE = "it cannot be made or written: check the permissions and the space on the disk"


# Homes and state folders.


def by_working_directory(world: World) -> None:
    """Let the yes stand beside the program, and no state folder be named."""
    world.without = ("XDG_STATE_HOME",)
    Path("franklinwh.ini").write_text(world.good_ini())
    clear(world.ini)


def records_nothing_and_says(world: World, where: str, says: str, **environment: str) -> None:
    """The program runs as ever, nothing is made, and `status` has the reason and the remedy."""
    before = sorted(Path.cwd().parent.rglob("*"))
    world.run_host(**environment)
    (line,) = [line for line in world.status(**environment) if says in line]
    assert where in line
    assert world.status(**environment)[0] == "franklinwh-cloud: on"
    for arguments in (("send",), ("show", "--pending"), ("off",), ("erase",)):
        world.ask(*arguments, **environment)
    assert sorted(Path.cwd().parent.rglob("*")) == before


@pytest.mark.parametrize("home", [None, "", "/", "//", "relative", "/nowhere/at/all"])
def test_no_home(stranger, home):
    """Without a home of one's own nothing is recorded anywhere; a state folder that is named mends it."""
    by_working_directory(stranger)
    Path("relative").mkdir()
    if home is None:
        stranger.without += ("HOME",)
    environment = {} if home is None else {"HOME": home}

    records_nothing_and_says(stranger, "last trouble", NO_HOME, **environment)

    given = Path("..", "state").resolve()
    Path("franklinwh.ini").write_text(stranger.good_ini())
    stranger.run_host(STATE_DIRECTORY=str(given), **environment)
    assert stranger.ask("send", STATE_DIRECTORY=str(given), **environment).stdout == b"Sent 2 events.\n"
    assert len(stranger.arrived()) == 1


def test_an_unwritable_home(stranger):
    """A home in which nothing may be made gets nothing, and the folder that could not be made is told."""
    by_working_directory(stranger)
    home = Path(os.environ["HOME"])
    home.chmod(0o555)

    where = f"{home}/.local/state/franklinwh-telemetry/franklinwh-cloud is not used"
    records_nothing_and_says(stranger, where, NOT_WRITABLE)


def test_a_home_that_may_not_be_reached(stranger):
    """A no may stand in a home that this user cannot even see, so that nothing is recorded, and the file is told."""
    by_working_directory(stranger)
    above = Path(os.environ["HOME"])
    home = above / "home"
    home.mkdir()
    os.chown(above, 0, 0)
    above.chmod(0o700)

    stranger.run_host(HOME=str(home))

    first, *rest = stranger.status(HOME=str(home))
    assert first == "franklinwh-cloud: off"
    assert any(f"{home}/.franklinwh.ini" in line and "it cannot be read" in line for line in rest), rest
    above.chmod(0o755)
    assert stranger.status(HOME=str(home))[0] == "franklinwh-cloud: on"


def test_a_home_of_another_user(stranger):
    """Nothing is made in a home that somebody else has lent, although it can be written."""
    by_working_directory(stranger)
    home = Path(os.environ["HOME"])
    os.chown(home, 4242, 4242)
    home.chmod(0o777)

    where = f"{home}/.local/state/franklinwh-telemetry/franklinwh-cloud is not used"
    records_nothing_and_says(stranger, where, FOREIGN)


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() != 0, reason="only root can keep another's HOME")
def test_root_with_a_kept_home(world):
    """Root, by sudo, makes nothing in the home of the user it came from."""
    by_working_directory(world)
    os.chown(os.environ["HOME"], STRANGER, STRANGER)

    records_nothing_and_says(world, "franklinwh-cloud is not used", FOREIGN)


@contextmanager
def tiny_disk(folder: str, options: str):
    """A file system of its own on *folder*."""
    mounted = support.run(["mount", "-t", "tmpfs", "-o", f"mode=0700,{options}", "tmpfs", folder])
    if mounted.returncode != 0:
        pytest.skip("no file system may be mounted here")
    try:
        yield
    finally:
        subprocess.run(["umount", "--lazy", folder], check=True)


def fill(folder: str) -> None:
    """Use up every byte that is left."""
    with suppress(OSError), open(f"{folder}/ballast", "wb", buffering=0) as ballast:
        while True:
            ballast.write(bytes(4096))


def test_a_full_disk(world):
    """On a full disk the program runs as ever; what waits is kept, the full disk is told, and with space it leaves."""
    state = os.environ["XDG_STATE_HOME"]
    with tiny_disk(state, "size=256k"):
        world.run_host()
        (valid,) = world.kept()
        fill(state)

        world.run_host()
        world.explains("franklinwh-cloud is not used", "its disk is full: free some space")
        world.survives()
        assert (world.kept(), world.arrived()) == ([valid], [])

        Path(state, "ballast").unlink()
        assert world.ask("send").returncode == 0
        assert (world.kept(), world.arrived()) == ([], [valid])

        fill(state)
        assert world.ask("off").returncode == 0
        assert "enabled = false" in world.ini.read_text()


def level(number: int) -> Path:
    """The state folder, the application's, or a spool: by how deep it lies."""
    root = Path(support.state_root())
    return (root, root / support.APPLICATION, Path(ini_spool().folder))[number]


@pytest.mark.parametrize("number", [0, 1, 2])
@pytest.mark.parametrize(
    ("spoil", "says"),
    [
        (lambda path, _aside: path.write_text("surprise"), "is not used: it is not a folder: remove it"),
        (lambda path, aside: path.symlink_to(aside), "is not used: it is a link: remove it"),
        (lambda path, _aside: (path.mkdir(), path.chmod(0o777)), "is not used: it is open to others: run chmod 700"),
    ],
    ids=["file", "link", "open to others"],
)
def test_a_state_folder_that_is_none(world, number, spoil, says):
    """A file, a link or an open folder in the place of one of ours is not used; what waits leaves once it is mended."""
    world.run_host()
    (valid,) = world.kept()
    path, aside = level(number), Path("aside").resolve()
    path.rename(aside)
    spoil(path, aside)

    world.run_host()
    world.explains(str(path), says)
    world.survives()

    clear(path)
    aside.rename(path)
    world.ask("send")
    assert (world.kept(), world.arrived()) == ([], [valid])


@pytest.mark.parametrize("place", ["new", "tmp", "claimed"])
def test_a_place_of_the_spool_that_is_none(world, place):
    """Where one of a spool's own folders is a file this is told; where it is gone it is made again."""
    world.run_host()
    spool = ini_spool()
    (valid,) = world.kept()
    path, aside = Path(spool.path(place)), Path("aside").resolve()
    path.rename(aside)
    path.write_text("surprise")

    world.run_host()
    world.explains(str(path), "is not used: it is not a folder: remove it")
    world.survives()

    path.unlink()
    world.run_host()
    for record in aside.iterdir():
        record.rename(path / record.name)
    assert valid in world.kept()
    world.ask("send")
    assert (world.kept(), len(world.arrived())) == ([], 2)
    assert valid in world.arrived()


# Manifests.


def newer(path: Path) -> None:
    """Make it one that a newer version could have written."""
    path.write_text(json.dumps({**json.loads(path.read_text()), "v": 2, "surprise": 1}))


def into_fifo(path):
    path.unlink()
    os.mkfifo(path)


MANIFESTS = {
    "truncated": lambda path: path.write_bytes(path.read_bytes()[:100]),
    "binary": lambda path: path.write_bytes(b"\x00\xffsurprise" * 50),
    "empty": lambda path: path.write_bytes(b""),
    "huge": lambda path: path.write_bytes(path.read_bytes().ljust(1_000_000)),
    "newer": newer,
    "destination": lambda path: path.write_text(path.read_text().replace("http://127.0.0.1", "http://surprise.com")),
    "link": lambda path: (path.rename("aside"), path.symlink_to(Path("aside").resolve())),
    "FIFO": into_fifo,
}


@pytest.mark.parametrize("spoil", MANIFESTS.values(), ids=MANIFESTS)
def test_a_bad_manifest(world, spoil):
    """Under a manifest that cannot be read nothing leaves and nothing is lost; the next run writes it anew."""
    world.run_host()
    (valid,) = world.kept()
    spool = ini_spool()
    spoil(Path(spool.path("manifest.json")))

    world.explains(spool.path("manifest.json"), "is unreadable, damaged or from a newer version: run a command")
    world.survives()
    world.explains(spool.path("manifest.json"), "is unreadable, damaged or from a newer version: run a command")
    assert (world.kept(), world.arrived()) == ([valid], [])

    world.run_host()
    assert world.ask("send").returncode == 0
    assert (world.kept(), len(world.arrived())) == ([], 2)
    assert valid in world.arrived()


def test_a_folder_as_manifest(world):
    """A folder in its place has to be removed, and this is told; nothing leaves until then, nor what has none then."""
    world.run_host()
    spool = ini_spool()
    path = Path(spool.path("manifest.json"))
    path.unlink()
    path.mkdir()

    world.run_host()
    world.explains(str(path), "is a folder: remove it")
    world.survives()
    assert (len(world.kept()), world.arrived()) == (1, [])

    path.rmdir()
    world.run_host()
    world.ask("send")
    assert (world.kept(), len(world.arrived())) == ([], 1)


def test_a_manifest_of_another_user(stranger):
    """A manifest that only somebody else may read holds all back; the next run puts one of the user's own there."""
    stranger.run_host()
    (valid,) = stranger.kept()
    path = Path(ini_spool().path("manifest.json"))
    os.chown(path, 4242, 4242)

    stranger.explains(str(path), "is unreadable, damaged or from a newer version: run a command")
    stranger.survives()
    assert (stranger.kept(), stranger.arrived()) == ([valid], [])

    stranger.run_host()
    assert stranger.ask("send").returncode == 0
    assert (stranger.kept(), len(stranger.arrived())) == ([], 2)
    assert path.stat().st_uid == STRANGER


def test_a_spool_of_another_user(stranger):
    """A spool that belongs to somebody else is neither filled nor sent, and whose it may not be is told."""
    stranger.run_host()
    spool = ini_spool()
    os.chown(spool.folder, 4242, 4242)

    stranger.run_host()
    stranger.explains(spool.folder, FOREIGN)
    stranger.survives()
    assert (len(stranger.kept()), stranger.arrived()) == (1, [])

    os.chown(spool.folder, STRANGER, STRANGER)
    stranger.ask("send")
    assert (stranger.kept(), len(stranger.arrived())) == ([], 1)
