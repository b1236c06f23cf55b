from __future__ import annotations

import os
import shutil
import threading
from pathlib import Path

import pytest

import support
from doubles.misfortune import STRANGER, World, clear

pytestmark = pytest.mark.skipif(os.name == "nt", reason="owners, modes, links and pipes are POSIX")

VERSION_1 = "2b1f6f0e-1c5e-11ef-9262-0242ac120002"


def keeps_until_mended(world: World, spoil, says: str, *, off: str = "") -> None:
    """What was recorded under the yes waits while the file is bad, and leaves once it is mended."""
    world.run_host()
    (valid,) = world.kept()

    spoil(world.ini)
    world.run_host()
    world.explains(f"{world.ini}: ", says)
    assert b"surprise" not in world.ask("send").stdout
    assert (world.kept(), world.arrived()) == ([valid], [])

    world.say_yes()
    assert world.ask("send").returncode == 0
    assert (world.kept(), world.arrived()) == ([], [valid])

    spoil(world.ini)
    ended = world.ask("off")
    assert off.encode() in ended.stdout
    assert ended.returncode == (1 if off else 0)


def changed(old: str, new: str):
    """A file in which one text stands for another."""
    return lambda good: good.replace(old, new).encode()


def added(text: str):
    """A file with something at its end."""
    return lambda good: (good + text).encode()


NOT_CHANGED = "was not changed: it is not a well-formed ini file"

MALFORMED = {
    "no key": (added("surprise\n"), "line 9 is neither a [section] nor a key with a value"),
    "no section": (lambda good: b"surprise = 1\n" + good.encode(), "line 1 stands before any [section]"),
    "binary": (lambda _good: b"\x7fELF\x01\x02surprise\xff\xfe\x80\n" * 20, "line 1 stands before any [section]"),
    "binary with NUL": (lambda _good: bytes(range(256)), "it holds NUL bytes: save it as UTF-8 text"),
    "UTF-16": (lambda good: good.encode("utf-16"), "it holds NUL bytes: save it as UTF-8 text"),
    "UTF-16 without BOM": (lambda good: good.encode("utf-16-be"), "it holds NUL bytes: save it as UTF-8 text"),
    "section twice": (added("[telemetry]\nenabled = true\n"), "line 9 opens a section for the second time"),
    "key twice": (added("enabled = true\n"), "line 9 gives a key for the second time"),
    "secret twice": (
        changed("email", "password = surprise-too\nemail"),
        "line 4 gives a key for the second time",
    ),
}


@pytest.mark.parametrize(("make", "says"), MALFORMED.values(), ids=MALFORMED)
def test_a_malformed_ini(world, make, says):
    """A file that is not an ini says neither yes nor no, by line; `off` cannot write into it and says what to add."""
    keeps_until_mended(
        world,
        lambda path: path.write_bytes(make(world.good_ini())),
        f"it is not a well-formed ini file; correct it ({says})",
        off=NOT_CHANGED,
    )


DOUBTFUL = {
    "enabled = maybe": (changed("enabled = true", "enabled = maybe"), "its `enabled` is neither true nor false; write"),
    "enabled empty": (changed("enabled = true", "enabled ="), "its `enabled` is neither true nor false; write"),
    "enabled on two lines": (changed("= true", "= true\n  surprise"), "its `enabled` is neither true nor false; write"),
    "enabled = %(x)s": (changed("= true", "= %(surprise)s"), "its `enabled` is neither true nor false; write"),
    "uuid an e-mail": (
        changed(support.VERSION_4, "surprise@example.com"),
        "the execution UUID is not a random one (version 4); take the `uuid` out and one is made",
    ),
    "uuid in braces": (
        changed(support.VERSION_4, f"{{{support.VERSION_4}}}"),
        "the execution UUID is not a random one (version 4); take the `uuid` out and one is made",
    ),
    "uuid of version 1": (
        changed(support.VERSION_4, VERSION_1),
        "the execution UUID is not a random one (version 4); take the `uuid` out and one is made",
    ),
    "uuid with more": (
        changed(support.VERSION_4, f"{support.VERSION_4} surprise"),
        "the execution UUID is not a random one (version 4); take the `uuid` out and one is made",
    ),
}

ENDPOINTS = {
    "without scheme": ("endpoint = collector.surprise.com", "it has no scheme; write https:// in front of it"),
    "other scheme": ("endpoint = ftp://surprise.com", "only https:// and http:// are spoken"),
    "with credentials": (
        "endpoint = https://surprise:surprise@example.com",
        "it holds a user name or password; take them out of the URL",
    ),
    "with a query": ("endpoint = https://example.com/?token=surprise", "it holds a query; give the base URL"),
    "with a fragment": ("endpoint = https://example.com/#surprise", "it holds a fragment; give the base URL"),
    "plain http": ("endpoint = http://surprise.example.com", "plain http:// leaves this machine; use https://"),
    "a bad port": ("endpoint = https://example.com:surprise", "the port is not a number from 1 to 65535"),
    "empty": ("endpoint =", "it is empty; give an OTLP base URL"),
    "a personal key": ("api_key = phx_surprise", "this PostHog key is a personal or secret one; the project key"),
    "an empty key": ("api_key =", "the PostHog project key is empty"),
    "key and endpoint": (
        "endpoint = https://example.com\napi_key = phc_surprise",
        "both `endpoint` and `api_key` are given; take one of them out",
    ),
    "allow_http = maybe": (
        "endpoint = https://example.com\nallow_http = maybe",
        "`allow_http` is neither true nor false",
    ),
}


def spoil_endpoint(world: World, lines: str):
    """Put other lines in the place of the destination."""
    good = world.good_ini()
    return lambda path: path.write_text(good.replace(f"endpoint = {world.receiver.url}", lines))


@pytest.mark.parametrize(("make", "says"), DOUBTFUL.values(), ids=DOUBTFUL)
def test_an_ini_with_a_bad_answer(world, make, says):
    """An answer that is neither yes nor no, and an id that could be somebody's, hold everything back."""
    keeps_until_mended(world, lambda path: path.write_bytes(make(world.good_ini())), says)


@pytest.mark.parametrize(("lines", "says"), ENDPOINTS.values(), ids=ENDPOINTS)
def test_an_ini_with_a_bad_destination(world, lines, says):
    """A destination that is not usable keeps all, goes nowhere else, and no part of it is repeated."""
    keeps_until_mended(
        world,
        spoil_endpoint(world, lines),
        f"the destination is not usable; correct it ({says}",
    )


def sends(world: World, *, off: str = "") -> None:
    """What looks odd and is good: telemetry is on by this file, and both of the program's events arrive."""
    world.run_host()
    assert f"  decided by    enabled in {world.ini.resolve()}" in world.status()
    assert world.ask("send").stdout == b"Sent 2 events.\n"
    assert (len(world.arrived("status")), len(world.arrived("mode"))) == (1, 1)

    before = world.ini.read_bytes()
    ended = world.ask("off")
    assert off.encode() in ended.stdout
    if off:
        assert (ended.returncode, world.ini.read_bytes()) == (1, before)
        assert b"\n[telemetry]\nenabled = false\n" in ended.stdout
    else:
        assert (ended.returncode, world.ini.read_bytes()) == (0, before.replace(b"enabled = true", b"enabled = false"))


HARMLESS = {
    "% in the password": changed("surprise-password", "100%surprise%(nothing)s%"),
    "CRLF": changed("\n", "\r\n"),
    "CR": changed("\n", "\r"),
    "BOM": lambda good: b"\xef\xbb\xbf" + good.encode(),
    "BOM and CRLF": lambda good: b"\xef\xbb\xbf" + good.replace("\n", "\r\n").encode(),
    "Latin-1": lambda good: good.replace("surprise-password", "surprise-\xfc").encode("latin-1"),
    "uuid in upper case": changed(support.VERSION_4, support.VERSION_4.upper()),
    "no last newline": lambda good: good.strip().encode(),
}


@pytest.mark.parametrize("make", HARMLESS.values(), ids=HARMLESS)
def test_an_unusual_ini(world, make):
    """An ini that another editor or system has written counts like any other, and `off` changes one word of it."""
    world.ini.write_bytes(make(world.good_ini()))

    sends(world)

    assert {value.lower() for value in uuids(world)} == {support.VERSION_4}


def uuids(world: World) -> list[str]:
    """The execution UUIDs that came with the decorated command."""
    return [
        attribute.value.string_value
        for span in world.receiver.spans
        for attribute in span.attributes
        if attribute.key == "franklinwh.execution_uuid" and span.name == "status"
    ]


def replaced_by(make):
    """Take the ini away and put something else there."""

    def spoil(path: Path) -> None:
        clear(path)
        make(path)

    return spoil


IRREGULAR = {
    "a folder": (Path.mkdir, "(it is a folder, a pipe, a socket or a device)"),
    "a FIFO": (os.mkfifo, "(it is a folder, a pipe, a socket or a device)"),
    "a link to a device": (lambda path: path.symlink_to("/dev/zero"), "(it is a folder, a pipe, a socket or a device)"),
    "a link to itself": (lambda path: path.symlink_to(path.name), "(Too many levels of symbolic links)"),
}


@pytest.mark.parametrize(("make", "says"), IRREGULAR.values(), ids=IRREGULAR)
def test_an_ini_that_is_no_file(world, make, says):
    """What is not a regular file is not opened, hangs nothing, and holds everything back."""
    keeps_until_mended(
        world,
        replaced_by(make),
        f"it cannot be read; make it a regular file that this user may read {says}",
        off="was not changed" if "links" in says else "",
    )


def test_a_huge_ini(world):
    """A file that is larger than any ini is not read, and its size is told."""
    size = 3 * 1024 * 1024
    keeps_until_mended(
        world,
        lambda path: path.write_text((world.good_ini() + "; surprise\n" * size)[:size]),
        f"make it a regular file that this user may read (it has {size} bytes)",
        off="was not changed",
    )


def test_a_world_writable_ini(world):
    """Where anybody could have written the yes it is nobody's, and the command to mend it is told."""
    keeps_until_mended(
        world,
        lambda path: path.chmod(0o666),
        "everybody on this machine may write to it; take that away with chmod o-w (its mode is 0666)",
    )


def test_an_unreadable_ini(stranger):
    """A file that this user may not read says nothing, and who has to be able to read it is told."""
    keeps_until_mended(
        stranger,
        lambda path: path.chmod(0o600),
        "it cannot be read; make it a regular file that this user may read (Permission denied)",
        off="was not changed: it could not be read or written (Permission denied)",
    )


def test_an_ini_of_another_user(stranger):
    """A file that belongs to neither this user nor root says nothing here, and whose it is is told."""
    keeps_until_mended(
        stranger,
        lambda path: os.chown(path, 4242, 4242),
        f"it belongs to another user; give it to this one, or name it explicitly (it belongs to uid 4242, this "
        f"process to {STRANGER})",
        off="was not changed: its owner, group or mode could not be kept",
    )


def test_an_ini_behind_a_link(world):
    """A link is followed, the file behind it is the one that is meant, and `off` leaves the link a link."""
    target = Path("dotfiles.ini")
    world.ini.rename(target)
    world.ini.symlink_to(target.resolve())

    sends(world)

    assert world.ini.is_symlink()
    assert "enabled = false" in target.read_text()


def test_an_ini_with_two_names(world):
    """A hard link is read like any file; it is not edited, because its other name would keep the old text."""
    os.link(world.ini, "second-name.ini")

    sends(world, off="it has a second name (a hard link) that would keep the old text")


def test_an_ini_in_a_read_only_folder(stranger):
    """Where nothing can be written the yes counts all the same, and `off` says what to write by hand."""
    os.chown(stranger.ini.parent, 0, 0)

    sends(stranger, off="it or its folder cannot be written to")


def test_a_bind_mounted_ini(world):
    """A single file mounted into a container is read, and `off` says that it cannot be replaced."""
    mount = 'mount --bind "$0" "$0" && exec "$@"'
    prefix = ("unshare", "--mount", "sh", "-c", mount, str(world.ini))
    if shutil.which("unshare") is None or support.run([*prefix, "true"]).returncode != 0:
        pytest.skip("nothing may be mounted here")
    world.prefix = prefix

    sends(world, off="it is mounted into place by itself, so it cannot be replaced")


def test_an_ini_replaced_while_it_is_read(world):
    """While an editor swaps it again and again, each run sees one whole file, and nothing of the others leaves."""
    texts = [
        world.good_ini(),
        world.good_ini().replace("true", "maybe"),
        world.good_ini().replace(support.VERSION_4, "surprise@example.com"),
        world.good_ini().replace("endpoint = http", "endpoint = surprise"),
        "surprise",
    ]
    done = threading.Event()

    def swap() -> None:
        turn = 0
        while not done.wait(0.001):
            Path("next.ini").write_text(texts[turn % len(texts)])
            os.replace("next.ini", world.ini)
            turn += 1

    swapping = threading.Thread(target=swap)
    swapping.start()
    try:
        for _ in range(4):
            world.run_host()
            world.status()
            world.ask("send")
    finally:
        done.set()
        swapping.join()
    world.say_yes()
    waiting = world.kept()
    before = world.arrived()

    assert world.ask("send").returncode == 0
    assert sorted(world.arrived()) == sorted([*before, *waiting])
    assert set(uuids(world)) <= {support.VERSION_4}


def test_every_command_survives_a_bad_ini(world):
    """`on`, `show` in every form, `erase` and `status --json` end in order too, whatever the file is."""
    world.run_host()
    for spoil in (
        lambda path: path.write_bytes(bytes(range(256))),
        lambda path: path.write_text(world.good_ini().replace("enabled = true", "enabled = maybe")),
        spoil_endpoint(world, "endpoint = https://surprise:surprise@example.com"),
    ):
        clear(world.ini)
        spoil(world.ini)
        world.survives()
        world.ask("show", "--example")
        world.ask("erase")
        world.ask("on", "--yes")
    assert world.arrived() == []
