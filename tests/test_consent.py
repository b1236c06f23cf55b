from __future__ import annotations

import copy
import errno
import os
import pickle
import shutil
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any
from uuid import UUID, uuid1, uuid4

import pytest

import support
from franklinwh_telemetry import inifile, lookup, system
from franklinwh_telemetry.consent import HOST, Granted, host_consent, read_consent
from franklinwh_telemetry.lookup import DenialReason, Denied
from support import posix_only

if TYPE_CHECKING:
    from collections.abc import Iterator

APP = "franklinwh-cloud"
UUID_TEXT = "7b1c2f0e-93a4-4d5e-8f60-0123456789ab"
YES = "[telemetry]\nenabled = true\n"
NO = "[telemetry]\nenabled = false\n"
ACCOUNT = "[energy.franklinwh.com]\nemail = surprise@example.com\npassword = 50%surprise\n"
needs_root = pytest.mark.skipif(support.effective_uid != 0, reason="only root can give files away")


def raising(error: type[Exception]) -> Any:
    """A function that does nothing else, whatever it is given."""

    def raise_it(*_: object) -> None:
        raise error

    return raise_it


class Place:
    """A working folder, a home and a machine of one test's own."""

    def __init__(self, root: Path) -> None:
        self.cwd, self.home, self.machine = root / "cwd", root / "home", root / "etc.ini"
        (self.cwd / "franklinwh").mkdir(parents=True)
        self.home.mkdir()
        self.paths = {
            "cwd": self.cwd / "franklinwh.ini",
            "below": self.cwd / "franklinwh" / "franklinwh.ini",
            "home": self.home / ".franklinwh.ini",
            "machine": self.machine,
        }

    def write(self, **texts: str) -> None:
        for name, text in texts.items():
            self.paths[name].write_text(text, encoding="utf-8")
            self.paths[name].chmod(0o600)

    def keywords(self, **changed: Any) -> dict[str, Any]:
        own = {"environ": {}, "cwd": str(self.cwd), "home": str(self.home), "machine_ini": str(self.machine)}
        return {**own, **changed}

    def read(self, application: str = APP, **changed: Any) -> Granted | Denied:
        return read_consent(application, **self.keywords(**changed))

    def ask_host(self, answer: object = True, uuid: UUID | None = None, **changed: Any) -> Granted | Denied:
        return host_consent(APP, answer, uuid, **self.keywords(**changed))


@pytest.fixture
def place(tmp_path) -> Place:
    """Give a test places that nothing else looks into."""
    return Place(tmp_path / "place")


def granted(result: Granted | Denied) -> Granted:
    """Take a yes."""
    assert isinstance(result, Granted), result
    return result


def denied(result: Granted | Denied) -> Denied:
    """Take a denial."""
    assert isinstance(result, Denied), result
    return result


def reason(result: Granted | Denied) -> DenialReason:
    """Take the reason of a denial."""
    return denied(result).reason


# --- the plain answers


def test_explicit_yes(place) -> None:
    """A hand-written `enabled = true` is consent to the application's own, with nothing else said."""
    place.write(cwd=ACCOUNT + YES)
    yes = granted(place.read())
    path = str(place.paths["cwd"])
    assert (yes.application, yes.execution_uuid, yes.source, yes.explicit) == (APP, None, path, False)
    assert (yes.ini, dict(yes.routing), yes.consented_host, yes.since, yes.policy) == (path, {}, None, None, None)


def test_everything_said(place) -> None:
    """What `on` writes is read back, and of the rest only what routes."""
    place.write(
        cwd=f"{YES}uuid = {UUID_TEXT}\nsince = 2026-11-24\npolicy = 2\ndestination = Collector.Example.com\n"
        "api_key = phc_abc\nposthog_host = eu.i.posthog.com\nendpoint = https://x\nallow_http = no\nsurprise = 1\n",
    )
    yes = granted(place.read(policy_version=2))
    assert yes.execution_uuid == UUID(UUID_TEXT)
    assert (yes.consented_host, yes.since, yes.policy) == ("collector.example.com", "2026-11-24", 2)
    assert dict(yes.routing) == {
        "api_key": "phc_abc",
        "posthog_host": "eu.i.posthog.com",
        "endpoint": "https://x",
        "allow_http": "no",
    }


@pytest.mark.parametrize("text", ["1", "yes", "true", "on", "TRUE", "On"])
def test_words_for_yes(place, text) -> None:
    """The words that `configparser` takes for true are a yes, and no other."""
    place.write(cwd=f"[telemetry]\nenabled = {text}\n")
    granted(place.read())


@pytest.mark.parametrize("text", ["0", "no", "false", "off", "FALSE"])
def test_words_for_no(place, text) -> None:
    """The words that `configparser` takes for false are a no."""
    place.write(cwd=f"[telemetry]\nenabled = {text}\n")
    assert reason(place.read()) is DenialReason.DISABLED


@pytest.mark.parametrize("text", ["", "2", "ja", "true ; really", "true # really", "tru", "y", "true\n  false"])
def test_words_for_neither(place, text) -> None:
    """Anything else is not a yes."""
    place.write(cwd=f"[telemetry]\nenabled = {text}\n")
    assert reason(place.read()) is DenialReason.NOT_BOOLEAN


# --- every reason


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (ACCOUNT, DenialReason.NO_SECTION),
        ("", DenialReason.NO_SECTION),
        ("[Telemetry]\nenabled = true\n", DenialReason.NO_SECTION),
        ("[telemetry other]\nenabled = true\n", DenialReason.NO_SECTION),
        ("[telemetry]\nuuid = x\n", DenialReason.NOT_DECIDED),
        (NO, DenialReason.DISABLED),
        ("[telemetry]\nenabled = surprise\n", DenialReason.NOT_BOOLEAN),
        (f"{YES}[telemetry]\n", DenialReason.MALFORMED),
        (f"{YES}enabled = true\n", DenialReason.MALFORMED),
        (f"password surprise\n{YES}", DenialReason.MALFORMED),
        (f"{YES}uuid = surprise@example.com\n", DenialReason.UUID_NOT_RANDOM),
        (f"{YES}uuid = my-anonymous-user-1234\n", DenialReason.UUID_NOT_RANDOM),
        (f"{YES}uuid = 3d79cb04-ec67-11f1-b4af-02fc00000001\n", DenialReason.UUID_NOT_RANDOM),
        (f"{YES}uuid = 00000000-0000-0000-0000-000000000000\n", DenialReason.UUID_NOT_RANDOM),
        (f"{YES}policy = 2\n", DenialReason.POLICY_OUTDATED),
        (f"{YES}policy =\n", DenialReason.POLICY_OUTDATED),
        (f"{YES}policy = surprise\n", DenialReason.POLICY_OUTDATED),
        (f"{YES}policy = -3\n", DenialReason.POLICY_OUTDATED),
        (f"{YES}policy = 3.0\n", DenialReason.POLICY_OUTDATED),
        (f"{YES}policy = ٣\n", DenialReason.POLICY_OUTDATED),
        (f"{YES}policy = 1000000000\n", DenialReason.POLICY_OUTDATED),
        (f"{YES}policy = {'9' * 5000}\n", DenialReason.POLICY_OUTDATED),
    ],
)
def test_denied_by_text(place, text, expected) -> None:
    """Every doubtful text denies by its own reason, names the file and repeats nothing of it."""
    place.write(cwd=text)
    denial = denied(place.read(policy_version=3))
    assert (denial.reason, denial.where) == (expected, str(place.paths["cwd"]))
    assert "surprise" not in denial.explanation
    assert "surprise" not in repr(denial)


def test_no_ini(place) -> None:
    """With no file anywhere the answer is no, and it names the place looked at first."""
    assert place.read() == Denied(DenialReason.NO_INI, str(place.paths["cwd"]))
    assert place.read(config="gone.ini") == Denied(DenialReason.NO_INI, str(place.cwd / "gone.ini"))


@posix_only
def test_unreadable(place) -> None:
    """A folder, a pipe or a file without end in an ini's place denies, and does not hang."""
    place.write(home=YES)
    place.paths["cwd"].mkdir()
    assert reason(place.read()) is DenialReason.UNREADABLE
    place.paths["cwd"].rmdir()
    support.make_fifo(place.paths["cwd"])
    assert reason(place.read()) is DenialReason.UNREADABLE
    place.paths["cwd"].unlink()
    place.write(cwd=YES + "#" * inifile.MAX_INI_BYTES)
    assert reason(place.read()) is DenialReason.UNREADABLE


@posix_only
def test_world_writable(place) -> None:
    """A yes that anybody could have written is none, in a named file neither."""
    place.write(cwd=YES)
    place.paths["cwd"].chmod(0o606)
    assert reason(place.read()) is DenialReason.WORLD_WRITABLE
    assert reason(place.read(config="franklinwh.ini")) is DenialReason.WORLD_WRITABLE


@pytest.fixture
def open_place() -> Iterator[Place]:
    """Give a test places that every user may look into."""
    root = Path(tempfile.mkdtemp(prefix="consent-"))
    root.chmod(0o755)
    yield Place(root)
    shutil.rmtree(root)


def as_nobody(work) -> str:
    """Do *work* in a child process of a user who owns nothing, and take what it returns as text."""
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        outcome = "the child failed"
        try:
            os.setgroups([])
            os.setgid(65534)
            os.setuid(65534)
            outcome = str(work())
        finally:
            os.write(writer, outcome.encode())
            os._exit(0)
    os.close(writer)
    with open(reader, encoding="utf-8") as pipe:
        text = pipe.read()
    os.waitpid(child, 0)
    return text


@needs_root
def test_foreign_owner(open_place) -> None:
    """Another user's file is nobody's answer here, unless this user named it; root's own is believed."""
    open_place.write(cwd=YES)
    path = open_place.paths["cwd"]
    path.chmod(0o644)
    assert as_nobody(lambda: granted(open_place.read()).source) == str(path)
    os.chown(path, 1234, 1234)
    assert as_nobody(lambda: reason(open_place.read())) == "DenialReason.FOREIGN_OWNER"
    assert as_nobody(lambda: granted(open_place.read(config="franklinwh.ini")).explicit) == "True"
    assert granted(open_place.read()).source == str(path)


@needs_root
@pytest.mark.parametrize("name", ["cwd", "below", "home", "machine"])
def test_foreign_owner_anywhere(open_place, name) -> None:
    """Another user's file denies in every place that was not named, the machine's too."""
    open_place.write(**dict.fromkeys(open_place.paths, YES))
    for path in open_place.paths.values():
        path.chmod(0o644)
    os.chown(open_place.paths[name], 1234, 1234)
    assert as_nobody(lambda: denied(open_place.read()).where) == str(open_place.paths[name])


@needs_root
def test_unreadable_by_mode(open_place) -> None:
    """A file this user may not read could hold a no, and denies."""
    open_place.write(machine=NO, cwd=YES)
    open_place.paths["cwd"].chmod(0o644)
    assert as_nobody(lambda: reason(open_place.read())) == "DenialReason.UNREADABLE"


def test_every_reason_explains_itself() -> None:
    """Each reason is one printable line that says what decided, even about an odd path."""
    for each in DenialReason:
        line = Denied(each, "/a\nb/franklinwh.ini", "detail").explanation
        assert line.isprintable()
        assert line.startswith("/a\\nb/franklinwh.ini: ")
        assert each.value in line
        assert "(detail)" in line


def test_reasons_say_what_is_wrong_and_how_to_mend_it() -> None:
    """Each reason has its own line, with the place in front and the detail, if there is one, behind."""
    lines = {each.name: Denied(each, "franklinwh.ini").explanation for each in DenialReason}
    assert lines == {
        name: f"franklinwh.ini: {text}"
        for name, text in {
            "NO_INI": "there is no such file, and no other franklinwh.ini that says yes; `on` writes one",
            "NO_SECTION": "it has no section for this application; `on` adds it",
            "NOT_DECIDED": "its section does not say `enabled`; `on` or `off` decides",
            "DISABLED": "it says no; `on` changes that",
            "NOT_BOOLEAN": "its `enabled` is neither true nor false; write one of the two",
            "UNREADABLE": "it cannot be read; make it a regular file that this user may read",
            "MALFORMED": "it is not a well-formed ini file; correct it",
            "WORLD_WRITABLE": "everybody on this machine may write to it; take that away with chmod o-w",
            "FOREIGN_OWNER": "it belongs to another user; give it to this one, or name it explicitly",
            "UUID_NOT_RANDOM": "the execution UUID is not a random one (version 4); "
            "take the `uuid` out and one is made",
            "POLICY_OUTDATED": "what was agreed to is not the policy of today; read it and answer with `on` or `off`",
            "DESTINATION_CHANGED": "what was agreed to is another destination; answer again with `on` or `off`",
            "BAD_DESTINATION": "the destination is not usable; correct it",
            "DO_NOT_TRACK": "this environment variable asks not to be tracked; unset it if that is not meant",
            "SWITCHED_OFF": "this environment variable switches telemetry off; unset it if that is not meant",
            "HOST_DECLINED": "the program's own setting does not say yes; switch it on there",
        }.items()
    }
    assert Denied(DenialReason.DISABLED, "a", "[b]").explanation == "a: it says no; `on` changes that ([b])"


def test_withdrawals() -> None:
    """Only a user's own no, or no yes any more, discards what waits; every other denial merely stops it."""
    assert {each for each in DenialReason if Denied(each, "x").is_withdrawal} == {
        DenialReason.NO_INI,
        DenialReason.NO_SECTION,
        DenialReason.NOT_DECIDED,
        DenialReason.DISABLED,
        DenialReason.HOST_DECLINED,
    }


# --- the environment


@pytest.mark.parametrize("value", ["1", "true", "yes", "anything", "2", " 1 "])
def test_do_not_track(place, value) -> None:
    """DO_NOT_TRACK denies, whatever the files say, and even before one of them is opened."""
    place.write(cwd=YES)
    denial = denied(place.read(environ={"DO_NOT_TRACK": value}))
    assert denial == Denied(DenialReason.DO_NOT_TRACK, "DO_NOT_TRACK")
    assert reason(place.ask_host(environ={"DO_NOT_TRACK": value})) is DenialReason.DO_NOT_TRACK


@pytest.mark.parametrize("value", ["", " ", "0", "false", "no", "off", "OFF"])
def test_do_not_track_unset(place, value) -> None:
    """Set to a no or to nothing, DO_NOT_TRACK asks for nothing."""
    place.write(cwd=YES)
    granted(place.read(environ={"DO_NOT_TRACK": value}))


@pytest.mark.parametrize("value", ["0", "false", "no", "off", "Off", " 0 "])
def test_switched_off(place, value) -> None:
    """FRANKLINWH_TELEMETRY switches off."""
    place.write(cwd=YES)
    denial = denied(place.read(environ={"FRANKLINWH_TELEMETRY": value}))
    assert denial == Denied(DenialReason.SWITCHED_OFF, "FRANKLINWH_TELEMETRY")
    assert reason(place.ask_host(environ={"FRANKLINWH_TELEMETRY": value})) is DenialReason.SWITCHED_OFF


@pytest.mark.parametrize("value", ["", "1", "true", "yes", "on", "anything"])
def test_environment_never_switches_on(place, value) -> None:
    """No value of any variable is a yes."""
    environ = {"FRANKLINWH_TELEMETRY": value, "DO_NOT_TRACK": "0"}
    assert reason(place.read(environ=environ)) is DenialReason.NO_INI
    place.write(cwd=NO)
    assert reason(place.read(environ=environ)) is DenialReason.DISABLED
    place.write(cwd=YES)
    granted(place.read(environ=environ))


def test_own_environment_by_default(place, monkeypatch) -> None:
    """Without an environment given, the process's own counts."""
    place.write(cwd=YES)
    monkeypatch.setenv("DO_NOT_TRACK", "1")
    assert reason(place.read(environ=None)) is DenialReason.DO_NOT_TRACK


# --- which file


def with_uuid(number: int) -> str:
    """Write a yes that can be told from another."""
    return f"{YES}uuid = {UUID_TEXT[:-1]}{number}\n"


def test_first_yes_wins(place) -> None:
    """The files are asked in upstream's order, then the home's."""
    place.write(cwd=with_uuid(1), below=with_uuid(2), home=with_uuid(3))
    for name in ("cwd", "below", "home"):
        assert granted(place.read()).source == str(place.paths[name])
        place.paths[name].unlink()
    assert reason(place.read()) is DenialReason.NO_INI


def test_undecided_files_are_passed_over(place) -> None:
    """A file without an answer leaves it to the next."""
    place.write(cwd=ACCOUNT, below="[telemetry]\nuuid = x\n", home=with_uuid(3))
    assert granted(place.read()).execution_uuid == UUID(f"{UUID_TEXT[:-1]}3")


def test_undecided_reasons(place) -> None:
    """Of several files without an answer, the one that comes nearest to it is named."""
    place.write(cwd=ACCOUNT, home="[telemetry]\n")
    assert denied(place.read()) == Denied(DenialReason.NOT_DECIDED, str(place.paths["home"]), "[telemetry]")
    place.write(home=ACCOUNT, below=ACCOUNT)
    assert denied(place.read()) == Denied(DenialReason.NO_SECTION, str(place.paths["cwd"]), "[telemetry]")
    place.write(cwd="[telemetry]\n", below="[telemetry]\n")
    assert denied(place.read()).where == str(place.paths["cwd"])


@pytest.mark.parametrize("name", ["cwd", "below", "home", "machine"])
@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (NO, DenialReason.DISABLED),
        ("[telemetry]\nenabled = maybe\n", DenialReason.NOT_BOOLEAN),
        ("nonsense", DenialReason.MALFORMED),
    ],
)
def test_a_no_anywhere_denies(place, name, text, expected) -> None:
    """A no, or a file that cannot be believed, in any place outweighs a yes in all the others."""
    place.write(**dict.fromkeys(place.paths, YES))
    place.write(**{name: text})
    denial = denied(place.read())
    assert (denial.reason, denial.where) == (expected, str(place.paths[name]))
    assert reason(place.ask_host()) is expected


@posix_only
@pytest.mark.parametrize("name", ["cwd", "below", "home", "machine"])
def test_an_unbelievable_file_anywhere_denies(place, name) -> None:
    """What everybody may write to denies in any place."""
    place.write(**dict.fromkeys(place.paths, YES))
    place.paths[name].chmod(0o666)
    assert reason(place.read()) is DenialReason.WORLD_WRITABLE
    assert reason(place.ask_host()) is DenialReason.WORLD_WRITABLE


def test_a_clear_no_is_named_before_a_broken_file(place) -> None:
    """A no is a withdrawal, even where another file cannot be read."""
    place.write(cwd="nonsense", home=NO)
    denial = denied(place.read())
    assert (denial.reason, denial.where) == (DenialReason.DISABLED, str(place.paths["home"]))


def test_machine_yes_is_none(place) -> None:
    """In the machine's file only a no counts, and its keys route nobody."""
    place.write(machine=f"{YES}endpoint = https://surprise.example\npolicy = 0\n")
    assert reason(place.read()) is DenialReason.NO_INI
    assert dict(granted(place.ask_host()).routing) == {}


def test_machine_no_by_application(place) -> None:
    """For a whole machine, a no in `[telemetry]` covers every application, and one of its own only itself."""
    place.write(cwd=f"{YES}[telemetry myapp]\nenabled = yes\n", machine=NO)
    assert reason(place.read("myapp")) is DenialReason.DISABLED
    place.write(machine="[telemetry myapp]\nenabled = no\n")
    assert reason(place.read("myapp")) is DenialReason.DISABLED
    granted(place.read())


def test_applications_are_apart(place) -> None:
    """A yes, a no or a UUID of one application is never another's."""
    place.write(cwd=f"{with_uuid(1)}[telemetry myapp]\nenabled = true\nuuid = {UUID_TEXT}\n[telemetry no]\nenabled=0\n")
    assert granted(place.read()).execution_uuid == UUID(f"{UUID_TEXT[:-1]}1")
    assert granted(place.read("myapp")).execution_uuid == UUID(UUID_TEXT)
    assert reason(place.read("no")) is DenialReason.DISABLED
    assert denied(place.read("other")).detail == "[telemetry other]"


def test_default_section_lends_a_no_only(place) -> None:
    """`[DEFAULT] enabled` is nobody's yes, but a no, or nonsense, holds for a section that says nothing."""
    for text in ("true", "YES"):
        place.write(cwd=f"[DEFAULT]\nenabled = {text}\n[telemetry]\n")
        assert reason(place.read()) is DenialReason.NOT_DECIDED
        granted(place.ask_host())
    for text, expected in (("no", DenialReason.DISABLED), ("maybe", DenialReason.NOT_BOOLEAN)):
        place.write(cwd=f"[DEFAULT]\nenabled = {text}\n[telemetry]\n")
        assert reason(place.read()) is expected
        assert reason(place.ask_host()) is expected
    place.write(cwd=f"[DEFAULT]\nenabled = no\n{YES}")
    granted(place.read())


def test_named_file(place) -> None:
    """A named file stands in place of the working folder's two, relative to that folder, and the home still counts."""
    place.write(cwd=with_uuid(1), below=with_uuid(2), home=with_uuid(3))
    named = place.cwd / "own.ini"
    named.write_text(with_uuid(4), encoding="utf-8")
    for config in ("own.ini", str(named), named):
        yes = granted(place.read(config=config))
        assert (yes.source, yes.explicit) == (str(named), True)
    named.unlink()
    yes = granted(place.read(config=named))
    assert (yes.source, yes.explicit) == (str(place.paths["home"]), False)
    place.write(home=NO)
    named.write_text(with_uuid(4), encoding="utf-8")
    assert reason(place.read(config=named)) is DenialReason.DISABLED


@posix_only
def test_real_path_is_the_source(place) -> None:
    """A link and its target are one and the same grant."""
    real = place.cwd / "real.ini"
    real.write_text(YES, encoding="utf-8")
    place.paths["cwd"].symlink_to(real)
    assert granted(place.read()).source == str(real)


def test_own_folder_by_default(place, monkeypatch) -> None:
    """Without a folder given, the process's own is looked into; one that is gone holds nothing."""
    place.write(cwd=YES, home=with_uuid(3))
    monkeypatch.chdir(place.cwd)
    assert granted(place.read(cwd=None)).source == str(place.paths["cwd"])
    gone = place.cwd / "gone"
    gone.mkdir()
    monkeypatch.chdir(gone)
    gone.rmdir()
    assert granted(place.read(cwd=None)).source == str(place.paths["home"])
    assert granted(place.read(cwd=None, config="franklinwh.ini")).source == str(place.paths["home"])
    assert reason(place.read(cwd=None, home="")) is DenialReason.NO_INI


@posix_only
@pytest.mark.parametrize("code", [errno.EACCES, errno.EIO, errno.ENOMEM, errno.EINTR])
@pytest.mark.parametrize("name", ["cwd", "below"])
def test_folder_whose_name_cannot_be_told(place, monkeypatch, name, code) -> None:
    """An ini in the working folder is not passed over though the system does not say where that folder is."""

    def getcwd():
        raise OSError(code, os.strerror(code))

    place.write(home=with_uuid(3))
    monkeypatch.chdir(place.cwd)
    monkeypatch.setattr(os, "getcwd", getcwd)
    assert granted(place.read(cwd=None)).source == str(place.paths["home"])
    for text in (NO, with_uuid(1)):
        place.write(**{name: text})
        where = os.path.join(os.curdir, place.paths[name].relative_to(place.cwd))
        refused = Denied(DenialReason.UNREADABLE, where, os.strerror(code))
        assert place.read(cwd=None) == place.ask_host(cwd=None) == refused


@posix_only
@pytest.mark.parametrize("code", [errno.EACCES, errno.EIO, errno.ENOMEM, errno.EINTR])
def test_home_that_cannot_be_looked_at(place, monkeypatch, code) -> None:
    """A no in the user's home counts though the home itself could not be looked at, and no other home is asked."""
    real = os.stat

    def stat(path, *arguments, **keywords):
        if path == str(place.home):
            raise OSError(code, os.strerror(code))
        return real(path, *arguments, **keywords)

    place.write(cwd=YES, home=NO)
    monkeypatch.setattr(os, "stat", stat)
    environ = {"HOME": str(place.home)}
    assert reason(place.read(home=None, environ=environ)) is DenialReason.DISABLED
    assert reason(place.ask_host(home=None, environ=environ)) is DenialReason.DISABLED


@posix_only
@pytest.mark.parametrize("variable", [None, "", "/", "//", "relative", "/nonexistent-surprise"])
def test_home_that_is_none(place, monkeypatch, variable) -> None:
    """Where HOME is no folder of anybody's, the account's own counts, and without one there is no home file."""
    import pwd

    place.write(home=YES)
    monkeypatch.chdir(place.home.parent)
    (place.home.parent / "relative").mkdir()
    (place.home.parent / "relative" / ".franklinwh.ini").write_text(NO, encoding="utf-8")
    environ = {} if variable is None else {"HOME": variable}
    account = list(pwd.getpwuid(os.geteuid()))
    account[5] = str(place.home)
    monkeypatch.setattr("pwd.getpwuid", lambda _uid: pwd.struct_passwd(account))
    assert granted(place.read(home=None, environ=environ)).source == str(place.paths["home"])
    for nobodys in ("/", "relative"):
        account[5] = nobodys
        assert reason(place.read(home=None, environ=environ)) is DenialReason.NO_INI

    def unknown(uid):
        raise KeyError(uid)

    monkeypatch.setattr("pwd.getpwuid", unknown)
    assert reason(place.read(home=None, environ=environ)) is DenialReason.NO_INI
    monkeypatch.setattr(os, "getcwd", raising(FileNotFoundError))
    # Without a working folder and a home there is not even a place to name.
    assert place.read(cwd=None, home=None, environ=environ) == Denied(DenialReason.NO_INI, "franklinwh.ini")


def test_only_the_ini_of_a_test(place, monkeypatch) -> None:
    """While a program is tested, one ini of its application's own stands for all files, the machine's included."""
    own = place.cwd / "of-the-test.ini"
    own.write_text(with_uuid(4), encoding="utf-8")
    place.write(cwd=NO, home=NO, machine=NO)
    monkeypatch.setattr(system, "only_ini", lambda application: str(own) if application == APP else "")
    yes = granted(place.read())
    assert (yes.source, yes.explicit) == (str(own), False)
    own.unlink()
    assert denied(place.read()) == Denied(DenialReason.NO_INI, str(own))


def test_home_by_variable(place) -> None:
    """HOME leads to the user's own file."""
    place.write(home=YES)
    yes = granted(place.read(home=None, environ={"HOME": str(place.home)}))
    assert yes.source == str(place.paths["home"])


# --- the UUID and the policy


@pytest.mark.parametrize("text", ["", "anonymous", "Anonymous"])
def test_uuid_not_yet_assigned(place, text) -> None:
    """No UUID, an empty one and the policy's `anonymous` are all not yet assigned."""
    place.write(cwd=f"{YES}uuid = {text}\n")
    assert granted(place.read()).execution_uuid is None


def test_uuid_in_upper_case(place) -> None:
    """A random UUID is read in either case."""
    place.write(cwd=f"{YES}uuid = {UUID_TEXT.upper()}\n")
    assert granted(place.read()).execution_uuid == UUID(UUID_TEXT)


@pytest.mark.parametrize(("agreed", "today"), [(1, 1), (3, 3), (4, 3), (10, 9), (999_999_999, 1)])
def test_policy_agreed_to(place, agreed, today) -> None:
    """A policy of today or later covers today's, compared as numbers."""
    place.write(cwd=f"{YES}policy = {agreed}\n")
    assert granted(place.read(policy_version=today)).policy == agreed


def test_policy_details_and_default(place) -> None:
    """Without a version given, today's is the first; the denial says both, or that there is no number."""
    place.write(cwd=f"{YES}policy = 1\n")
    assert granted(place.read()).policy == granted(place.ask_host()).policy == 1
    for text, detail in (("0", "version 0, today's is 1"), ("surprise", "its `policy` is not a version number")):
        place.write(cwd=f"{YES}policy = {text}\n")
        expected = Denied(DenialReason.POLICY_OUTDATED, str(place.paths["cwd"]), detail)
        assert place.read() == place.ask_host() == expected
    place.write(cwd=YES)
    assert granted(place.read()).policy is None


def test_live(place) -> None:
    """Every change is seen at the next call, in the same process."""
    place.write(cwd=YES)
    granted(place.read())
    place.write(cwd=NO)
    assert reason(place.read()) is DenialReason.DISABLED
    place.write(cwd=YES)
    granted(place.read())
    place.paths["cwd"].unlink()
    assert reason(place.read()) is DenialReason.NO_INI


def test_off_is_cheap(place, monkeypatch) -> None:
    """With nothing there, four looks decide, and no file is opened."""
    looks: list[str] = []
    real = os.stat

    def counting(path, *args, **kwargs):
        looks.append(str(path))
        return real(path, *args, **kwargs)

    monkeypatch.setattr(os, "stat", counting)
    monkeypatch.delattr(os, "open")
    assert reason(place.read()) is DenialReason.NO_INI
    assert looks == [str(path) for path in place.paths.values()]


# --- the host's own answer


@pytest.mark.parametrize("answer", [False, None, "true", "false", 1, [1]])
def test_host_answer_counts_only_as_true(place, answer) -> None:
    """Only the bool True is a yes: the text "false" is truthy."""
    place.write(cwd=YES)
    denial = denied(place.ask_host(answer, environ={"DO_NOT_TRACK": "1"}))
    assert denial == Denied(DenialReason.HOST_DECLINED, HOST)
    assert denial.is_withdrawal


@pytest.mark.parametrize("text", [None, ACCOUNT, "[telemetry]\n", YES, f"{YES}uuid = surprise@example.com\n"])
def test_host_answer_is_the_consent(place, text) -> None:
    """No ini, no section and no `enabled` are needed, and an ini's UUID does not count."""
    if text is not None:
        place.write(cwd=text)
    own = uuid4()
    yes = granted(place.ask_host(uuid=own))
    assert (yes.source, yes.execution_uuid, yes.explicit) == (HOST, own, False)
    assert granted(place.ask_host()).execution_uuid is None


def test_host_uuid_must_be_random(place) -> None:
    """A UUID that says where or when it was made is refused."""
    for uuid in (uuid1(), UUID(int=0)):
        assert denied(place.ask_host(uuid=uuid)) == Denied(DenialReason.UUID_NOT_RANDOM, HOST)


def test_host_routes_by_the_first_section(place) -> None:
    """The user's own destination holds for a host's consent too, from the first file that has the section."""
    place.write(cwd=ACCOUNT, below="[telemetry]\nendpoint = https://a\nsince = s\n", home=f"{YES}api_key = phc_b\n")
    yes = granted(place.ask_host())
    assert dict(yes.routing) == {"endpoint": "https://a"}
    assert (yes.ini, yes.since, yes.consented_host) == (str(place.paths["below"]), "s", None)


def test_host_routes_by_a_named_file(place) -> None:
    """A named file routes, and is said to be named."""
    (place.cwd / "own.ini").write_text("[telemetry]\nendpoint = https://a\n", encoding="utf-8")
    yes = granted(place.ask_host(config="own.ini"))
    assert (yes.explicit, yes.ini, dict(yes.routing)) == (True, str(place.cwd / "own.ini"), {"endpoint": "https://a"})


@pytest.mark.parametrize("name", ["cwd", "below", "home"])
def test_host_asks_again(place, name) -> None:
    """An outdated policy in any ini looked up outweighs the host's yes."""
    place.write(**dict.fromkeys(("cwd", "below", "home"), "[telemetry]\npolicy = 2\n"))
    assert granted(place.ask_host(policy_version=2)).policy == 2
    place.write(**{name: "[telemetry]\npolicy = 1\n"})
    denial = denied(place.ask_host(policy_version=2))
    assert (denial.reason, denial.where) == (DenialReason.POLICY_OUTDATED, str(place.paths[name]))


def test_host_and_destinations(place) -> None:
    """A destination agreed to in any ini is held against the host's; two different ones cannot both be meant."""
    place.write(cwd="[telemetry]\n", home="[telemetry]\ndestination = a.example\n")
    assert granted(place.ask_host()).consented_host == "a.example"
    place.write(below="[telemetry]\ndestination = A.example\n")
    assert granted(place.ask_host()).consented_host == "a.example"
    place.write(below="[telemetry]\ndestination = b.example\n")
    expected = Denied(DenialReason.DESTINATION_CHANGED, str(place.paths["home"]), "two files name different ones")
    assert place.ask_host() == expected


# --- names and values


@pytest.mark.parametrize(
    "name",
    ["a", "0", "franklinwh-cloud", "my_app.v2", "a" * 64, "a.con", "console", "com", "com-1", "com10", "comx", "dev1"],
)
def test_application_names(name) -> None:
    """A name is lower-case ASCII that is safe in an ini, a path and a span."""
    assert lookup.parse_application(name) == name


@pytest.mark.parametrize("device", ["con", "prn", "aux", "nul", "com0", "com1", "com9", "lpt0", "lpt9"])
def test_no_device_is_an_application(device) -> None:
    """A device's name, with whatever is behind a dot, is no folder's; nor is one that ends in a dot."""
    for name in (device, f"{device}.ini", f"{device}.a.b", "myapp."):
        assert lookup.parse_application(name) is None


def test_where_a_whole_machine_says_no() -> None:
    """The machine's file lies in the system's own folder, under the name that it has everywhere."""
    assert os.path.join(system.MACHINE_FOLDER, "franklinwh.ini") == lookup.MACHINE_INI
    assert HOST == "host"


@pytest.mark.parametrize("name", ["", "A", "a b", "a]", "../a", ".a", "-a", "_a", "a/b", "a\n", "é", "a" * 65])
def test_application_names_refused(place, name) -> None:
    """Any other name is no name, and asking in it is a programming error."""
    assert lookup.parse_application(name) is None
    for ask in (lambda: place.read(name), lambda: host_consent(name, True, None, **place.keywords())):
        with pytest.raises(ValueError, match="not an application name"):
            ask()


def test_granted_is_sealed(place) -> None:
    """A yes cannot be made, extended, copied, unpickled or changed by anybody else."""
    place.write(cwd=f"{YES}endpoint = https://a\n")
    yes: Any = granted(place.read())
    fields = [getattr(yes, name) for name in Granted.__slots__]
    made_elsewhere = "Granted is made by its own module only"
    for forge, refusal in (
        (lambda: Granted(object(), *fields), "a Granted comes from read_consent or host_consent only"),
        (lambda: Granted(None, *fields), "a Granted comes from read_consent or host_consent only"),
        (lambda: type("Forged", (Granted,), {}), "Granted cannot be extended"),
        (lambda: copy.copy(yes), made_elsewhere),
        (lambda: copy.deepcopy(yes), made_elsewhere),
        (lambda: pickle.dumps(yes), made_elsewhere),
    ):
        with pytest.raises(TypeError, match=f"^{refusal}"):
            forge()
    with pytest.raises(AttributeError):
        yes.source = "elsewhere"
    with pytest.raises(AttributeError):
        del yes.source
    with pytest.raises(TypeError):
        yes.routing["endpoint"] = "https://surprise"
    hollow: Any = object.__new__(Granted)
    with pytest.raises(AttributeError):
        _ = hollow.execution_uuid


def test_granted_compares_by_value(place) -> None:
    """Two looks at the same answer are the same yes, and its text form shows neither UUID nor key."""
    place.write(cwd=f"{with_uuid(1)}api_key = phc_surprise\n")
    one, two = granted(place.read()), granted(place.read())
    assert one == two
    assert hash(one) == hash(two)
    assert repr(one) == f"Granted(application='franklinwh-cloud', source={str(place.paths['cwd'])!r})"
    place.write(cwd=with_uuid(1))
    assert granted(place.read()) != one


def test_denied_compares_by_value() -> None:
    """A denial is a value."""
    denial = Denied(DenialReason.DISABLED, "a", "b")
    assert denial == Denied(DenialReason.DISABLED, "a", "b")
    assert hash(denial) == hash(Denied(DenialReason.DISABLED, "a", "b"))
    assert denial != Denied(DenialReason.DISABLED, "a")
    assert denial != "a"
