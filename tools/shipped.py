"""
Lists what is shipped: the wheel with what is installed beside it, and the Collector's modules, with their licences.

`shipped.py` writes both lists as CycloneDX into `build/sbom`, and the page `docs/licences.md`; `shipped.py --check`
only says whether the page is what it would be. A licence that is not known here ends it: it is named, not guessed.
"""

from __future__ import annotations

import importlib.metadata
import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any, NamedTuple

from cyclonedx.model import Property
from cyclonedx.model.bom import Bom
from cyclonedx.model.component import Component, ComponentType
from cyclonedx.model.license import LicenseExpression
from cyclonedx.output import make_outputter
from cyclonedx.schema import OutputFormat, SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator
from packageurl import PackageURL

import collector
from environments import OTHERS, PROGRAMS, ROOT, fingerprint, is_current, mark_current, pins, separate, uv, wheel

SBOMS = ROOT / "build" / "sbom"
PAGE = ROOT / "docs" / "licences.md"
PROJECT = "franklinwh-telemetry"
OURS = "github.com/franklinwh-telemetry/"

LISTER = "cyclonedx-bom==7.5.0"
"""Lists an environment. It is in none of ours: with it comes a checker of formats that jsonschema, and so every
`franklinwh-cli`, would load for a second."""

LICENCE_FILE = re.compile(r"(?:un)?licen[cs]e(?:[.](?:txt|md|rst))?|copying(?:[.]txt)?", re.IGNORECASE)
LICENCE_TEXTS = {
    "Apache-2.0": r"apache license,? version 2[.]0",
    "BSD-2-Clause": r"redistribution and use in source and binary forms(?!.*neither the names? of)",
    "BSD-3-Clause": r"redistribution and use in source and binary forms.*neither the names? of",
    "ISC": r"permission to use, copy, modify, and/or distribute this software",
    "MIT": r"permission is hereby granted, free of charge, to any person obtaining a copy",
    "MPL-2.0": r"mozilla public license,? version 2[.]0",
    "Unlicense": r"this is free and unencumbered software released into the public domain",
}
"""By which words of its text a licence is known, in lower case and with single spaces."""

SPELLINGS = {"Apache Software License": "Apache-2.0", "Apache License 2.0": "Apache-2.0", "MIT License": "MIT"}
"""What packages call their licence that have no SPDX expression yet."""

INTRODUCTION = """\
# Licences of what is shipped

franklinwh-telemetry itself is under the MIT licence.
`make sbom` makes this page and, with every version and hash, the two lists in CycloneDX; `make lint` compares the page.

## Beside the package

The wheel holds nothing but the package; these are installed with it, by its own ranges.

{packages}

## In the Collector and its image

The image holds the Collector, a small probe for its health, the certificates of Debian, and the configuration.
Both programs contain parts of the standard library of Go, which is under BSD-3-Clause.

{modules}
"""


class Shipped(NamedTuple):
    """A package or module: its name, version, licence as an SPDX expression, and hash where Go has one."""

    name: str
    version: str
    licence: str
    digest: str = ""


def licence_of_text(text: str) -> str:
    """Return the SPDX expression of a licence's text, or the empty text for one that is not known."""
    plain = " ".join(text.lower().split())
    return " AND ".join(name for name, words in LICENCE_TEXTS.items() if re.search(words, plain))


def licence_of_component(component: dict[str, Any]) -> str:
    """Return the SPDX expression of a component of a CycloneDX list, or the empty text if none is told."""
    told = [entry.get("expression") or entry["license"].get("id") for entry in component.get("licenses", [])]
    named = [SPELLINGS.get(entry.get("license", {}).get("name", "")) for entry in component.get("licenses", [])]
    return " AND ".join(dict.fromkeys(filter(None, [*told, *([] if any(told) else named)])))


def table(found: list[Shipped], kind: str) -> str:
    """Return the licences as a table for people, ours left out, by name."""
    rows = sorted({(one.name, one.licence) for one in found if not one.name.startswith(OURS)})
    return "\n".join([f"| {kind} | licence |", "|---|---|", *(f"| {name} | {licence} |" for name, licence in rows)])


def page(packages: list[Shipped], modules: list[Shipped]) -> str:
    """Return the page of licences."""
    return INTRODUCTION.format(packages=table(packages, "package"), modules=table(modules, "module"))


def refuse_unknown(found: list[Shipped]) -> None:
    """End with the names of what has no known licence."""
    if unknown := [f"{one.name} {one.version}" for one in found if not one.licence]:
        sys.exit(f"no known licence: {', '.join(unknown)}; read it, and add it to {Path(__file__).name}")


def installation() -> Path:
    """Return the interpreter of an environment that holds the wheel and what it needs, as locked, and nothing else."""
    environment = OTHERS / "shipped"
    interpreter = environment / PROGRAMS / "python"
    made_from = fingerprint(sys.version, ROOT / "requirements-dev.txt", ROOT / "pyproject.toml")
    if not is_current(environment, made_from):
        uv("venv", "--quiet", "--clear", "--python", sys.executable, environment)
        constraints = environment / "constraints.txt"
        constraints.write_text("".join(f"{pin}\n" for pin in pins()))
        uv("pip", "install", "--quiet", "--python", interpreter, "--constraint", constraints, wheel())
        mark_current(environment, made_from)
    return interpreter


def python_side() -> list[Shipped]:
    """Write the list of the wheel's dependencies, and return them."""
    path = SBOMS / f"{PROJECT}.cdx.json"
    program = separate("cyclonedx", LISTER) / "cyclonedx-py"
    interpreter = installation()
    options = ("--pyproject", ROOT / "pyproject.toml", "--mc-type", "library", "--output-reproducible", "-o", path)
    subprocess.run([str(word) for word in (program, "environment", *options, interpreter)], check=True)
    listed = json.loads(path.read_text(encoding="utf-8"))
    shipped = []
    for component in listed["components"]:
        licence = licence_of_component(component)
        if not licence:  # its metadata have no expression, and the text that lies beside them is read instead
            beside = f"{component['name']}-{component['version']}.dist-info"
            (folder,) = interpreter.parent.parent.rglob(beside)
            licence = licence_of_folder(folder)
            component["licenses"] = [{"expression": licence}] if licence else []
        shipped.append(Shipped(component["name"], component["version"], licence))
    path.write_text(json.dumps(listed, indent=2) + "\n", encoding="utf-8")
    return [one for one in shipped if one.name != PROJECT]


def go_side() -> list[Shipped]:
    """Write the list of the modules that the Collector's binary says it is made of, and return them."""
    go = collector.go_folder() / "go"
    told = subprocess.run([go, "version", "-m", collector.build()], capture_output=True, text=True, check=True).stdout
    modules = [line.split("\t")[2:] for line in told.splitlines() if line.startswith("\tdep\t")]
    foreign = [f"{name}@{version}" for name, version, *_digest in modules if not name.startswith(OURS)]
    environment = {**os.environ, "GOFLAGS": "-mod=mod", "GOTOOLCHAIN": "local", "GOWORK": "off"}
    answer = subprocess.run(
        [go, "mod", "download", "-json", *foreign], env=environment, capture_output=True, text=True, check=True
    ).stdout
    folders = {found["Path"]: Path(found["Dir"]) for found in objects(answer)}
    own = licence_of_text((ROOT / "LICENSE").read_text(encoding="utf-8"))
    shipped = [
        Shipped(name, version, own if name not in folders else licence_of_folder(folders[name]), "".join(digest))
        for name, version, *digest in modules
    ]
    write_go_list(shipped)
    return shipped


def objects(text: str) -> list[dict[str, Any]]:
    """Return the JSON objects that stand one after the other in a text."""
    found, position, decoder = [], 0, json.JSONDecoder()
    while text[position:].strip():
        position += len(text[position:]) - len(text[position:].lstrip())
        value, position = decoder.raw_decode(text, position)
        found.append(value)
    return found


def licence_of_folder(folder: Path) -> str:
    """Return the SPDX expression of the licences that lie in a module's folder."""
    texts = [path.read_text(encoding="utf-8") for path in sorted(folder.iterdir()) if LICENCE_FILE.fullmatch(path.name)]
    return " AND ".join(dict.fromkeys(filter(None, map(licence_of_text, texts))))


def write_go_list(shipped: list[Shipped]) -> None:
    """Write the Collector's list as CycloneDX, checked against its schema."""
    bom = Bom()
    version = importlib.metadata.version(PROJECT)
    bom.metadata.component = Component(name=collector.BINARY, version=version, type=ComponentType("application"))
    for one in shipped:
        namespace, _slash, name = one.name.rpartition("/")
        url = PackageURL("golang", namespace or None, name, one.version)
        hashes = [Property(name="go:h1", value=one.digest)] if one.digest else []
        licences = [LicenseExpression(one.licence)] if one.licence else []
        bom.components.add(
            Component(
                name=one.name,
                version=one.version,
                type=ComponentType("library"),
                purl=url,
                bom_ref=str(url),
                licenses=licences,
                properties=hashes,
            )
        )
    bom.register_dependency(bom.metadata.component, bom.components)
    text = make_outputter(bom, OutputFormat.JSON, SchemaVersion.V1_6).output_as_string(indent=2)
    if fault := JsonStrictValidator(SchemaVersion.V1_6).validate_str(text):
        sys.exit(f"the list of the Collector's modules is no CycloneDX: {fault}")
    (SBOMS / f"{collector.BINARY}.cdx.json").write_text(text + "\n", encoding="utf-8")


def main(arguments: list[str]) -> int:
    """Write the lists and the page, or compare the page."""
    if arguments not in ([], ["--check"]):
        sys.exit(__doc__)
    if arguments and not sys.platform.startswith("linux"):
        print("docs/licences.md is compared on Linux, for which the Collector is shipped")
        return 0
    shutil.rmtree(SBOMS, ignore_errors=True)
    SBOMS.mkdir(parents=True)
    packages, modules = python_side(), go_side()
    refuse_unknown([*packages, *modules])
    made = page(packages, modules)
    if arguments:
        if PAGE.read_text(encoding="utf-8") != made:
            print("docs/licences.md is not what is shipped; run: make sbom", file=sys.stderr)
            return 1
        return 0
    PAGE.write_text(made, encoding="utf-8")
    print(f"{len(packages)} packages and {len(modules)} modules: {PAGE.relative_to(ROOT)}, {SBOMS.relative_to(ROOT)}")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
