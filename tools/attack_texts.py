"""Hostile folders and texts for tools/attack: git configurations, labels, recipes, profiles and bundles."""

from __future__ import annotations

import hashlib
import json
import os
import random
import shutil
import subprocess
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path

import numpy as np
from attack_case import DEMO, FIXTURES, ROOT, Case, Place

from edgecut.records.toml_text import toml_value


def git_cases(rng: random.Random) -> Iterator[Case]:
    """Repositories whose configuration names programs, around a recipe that is built."""
    for name in _GIT:
        yield Case("git", name, partial(_put_git, name))


def label_cases(rng: random.Random) -> Iterator[Case]:
    """Labels that are markup, escapes, formulas or code, in files and as names of folders."""
    for k, label in enumerate(_TEXTS):
        yield Case("labels", f"file {k}", partial(_put_labels, label))
        yield Case("labels", f"folder {k}", partial(_put_class_folders, label))


def recipe_cases(rng: random.Random) -> Iterator[Case]:
    """Recipes that ask for code, files elsewhere, or what no parser should be asked."""
    for name in _RECIPES:
        yield Case("recipe", name, partial(_put_recipe, name))
    for k in range(8):
        yield Case("recipe", f"damaged {k}", partial(_put_damaged_recipe, rng.random(), rng.randrange(256)))


def profile_cases(rng: random.Random) -> Iterator[Case]:
    """Profiles with paths, options and programs in place of names."""
    for name in _PROFILES:
        yield Case("profile", name, partial(_put_profile, name))


def bundle_cases(rng: random.Random) -> Iterator[Case]:
    """Bundles, sealed by whoever forged them, whose manifest and files lead elsewhere."""
    for name in _BUNDLES:
        yield Case("bundle", name, partial(_put_bundle, name))


_GIT = {
    "fsmonitor": "[core]\n\tfsmonitor = touch CANARY",
    "filter": '[filter "x"]\n\tclean = touch CANARY; cat\n\tsmudge = touch CANARY; cat\n\trequired = true',
    "process filter": '[filter "x"]\n\tprocess = touch CANARY\n\trequired = true',
    "textconv": '[diff "x"]\n\ttextconv = touch CANARY\n\tcommand = touch CANARY',
    "external diff": "[diff]\n\texternal = touch CANARY",
    "hooks": "[core]\n\thooksPath = HOOKS",
    "pager and editor": "[core]\n\tpager = touch CANARY\n\teditor = touch CANARY\n\tsshCommand = touch CANARY",
    "alias": '[alias]\n\tstatus = "!touch CANARY"\n\trev-parse = "!touch CANARY"',
    "gpg": "[gpg]\n\tprogram = touch CANARY\n[commit]\n\tgpgSign = true\n[log]\n\tshowSignature = true",
    "include": "[include]\n\tpath = evil.config",
    "worktree elsewhere": "[core]\n\tworktree = /",
    "credential": '[credential]\n\thelper = "!touch CANARY"\n[remote "origin"]\n\turl = ext::sh -c touch% CANARY',
    "promisor": (
        '[extensions]\n\tpartialClone = origin\n[remote "origin"]\n\tpromisor = true\n'
        "\turl = ext::sh -c touch% CANARY\n"
        '[protocol "ext"]\n\tallow = always'
    ),
    "merge driver": '[merge "x"]\n\tdriver = touch CANARY',
    "bare repository inside": "",
    "submodule": '[submodule "s"]\n\tpath = s\n\turl = ext::sh -c touch% CANARY\n\tupdate = !touch CANARY',
    "gitdir file": "",
}


def _git(folder: Path, *words: str) -> None:
    own = {**os.environ, "GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_SYSTEM": os.devnull}
    subprocess.run(
        ["git", "-C", str(folder), "-c", "user.name=a", "-c", "user.email=a@b", *words],
        check=True,
        capture_output=True,
        env=own,
    )


def _put_git(name: str, place: Place) -> list[list[str]]:
    folder = place.input
    for file in ("cifar10_backbone.keras", "fashion_mnist.npz", "labels.txt"):
        shutil.copy(DEMO / file, folder)
    (folder / "recipe.toml").write_text(
        'name = "m"\n[source]\nmodel = "cifar10_backbone.keras"\npreprocess = "tf"\n[cut]\nto = "stem_relu"\n'
        '[export]\nprecisions = ["float32"]\n[bench]\nruns = 1\nwarmup = 0\n'
    )
    (folder / ".gitattributes").write_text("* filter=x diff=x merge=x\n")
    _git(folder, "init", "-q")
    _git(folder, "add", "-A")
    _git(folder, "commit", "-q", "-m", "x")
    text = _GIT[name].replace("CANARY", place.canary).replace("HOOKS", str(folder / "hooks"))
    if name == "include":
        (folder / ".git" / "evil.config").write_text(_GIT["fsmonitor"].replace("CANARY", place.canary))
    if name == "hooks":
        (folder / "hooks").mkdir()
        for hook in ("post-index-change", "pre-commit", "fsmonitor-watchman", "reference-transaction"):
            (folder / "hooks" / hook).write_text(f"#!/bin/sh\ntouch {place.canary}\n")
            (folder / "hooks" / hook).chmod(0o755)
    with (folder / ".git" / "config").open("a") as config:
        config.write(f"\n{text}\n")
    if name == "bare repository inside":
        (folder / ".git").rename(place.box / "kept.git")
        with (place.box / "kept.git" / "config").open("a") as config:
            config.write(f"\n[core]\n\tbare = false\n\tworktree = {folder}\n\tfsmonitor = touch {place.canary}\n")
        for part in (place.box / "kept.git").iterdir():
            part.rename(folder / part.name)
        (place.box / "kept.git").rmdir()
    if name == "gitdir file":
        (folder / ".git").rename(place.box / "kept.git")
        with (place.box / "kept.git" / "config").open("a") as config:
            config.write(f"\n[core]\n\tfsmonitor = touch {place.canary}\n")
        (folder / ".git").write_text(f"gitdir: {place.box / 'kept.git'}\n")
    # Changed behind git's back, so that it must read the files again, through their filters.
    for file in ("recipe.toml", "labels.txt"):
        os.utime(folder / file, (1, 1))
    return [
        ["plan", "in/recipe.toml"],
        ["build", "in/recipe.toml", "-o", str(place.out / "dist")],
        ["verify", str(place.out / "dist")],
    ]


_TEXTS = (
    "<script>alert(1)</script>",
    "\x1b]0;title\x07\x1b[2J",
    "nul\x00x",
    "\u202egnp.exe",
    "[x](javascript:y)",
    "a|b|\n|c",
    "`code`",
    "*/ #include </etc/passwd> /*",
    "??/",
    "=cmd|' /C calc'!A0",
    "@SUM(1+1)*cmd",
    "-2+3+cmd",
    "../../canary",
    "$(touch canary)",
    "`touch canary`",
    "%s%s%n",
    "{{ 7*7 }}",
    "{% raw %}",
    "x" * 70_000,
    "\ufeff",
    "\U000e0041\u200b",
    "\r\nedgecut: error: forged",
    "--help",
    "CON",
    "é" * 300,
)


def _put_labels(label: str, place: Place) -> list[list[str]]:
    lines = [label.replace("\n", " "), *(f"class {k}" for k in range(9))]
    (place.input / "labels.txt").write_text("\n".join(lines) + "\n", encoding="utf-8")
    return [
        ["plan", str(DEMO / "recipe.toml"), "--labels", str(place.input / "labels.txt")],
        ["plan", str(DEMO / "recipe.toml"), "--labels", str(place.input / "labels.txt"), "--json"],
    ]


def _put_class_folders(label: str, place: Place) -> list[list[str]]:
    from PIL import Image

    data = place.input / "data"
    for name in (label.replace("/", "_").replace("\x00", "")[:80] or "x", "other"):
        (data / name).mkdir(parents=True)
        for k in range(3):
            Image.fromarray(np.full((8, 8, 3), 40 * k, np.uint8)).save(data / name / f"{k}.png")
    recipe = place.input / "recipe.toml"
    recipe.write_text(
        f'[source]\nmodel = {toml_value(str(DEMO / "cifar10_backbone.keras"))}\npreprocess = "tf"\n[cut]\n'
        'to = "stem_relu"\n[head]\nclasses = 2\n[data]\ntrain = "data"\n'
    )
    return [["plan", str(recipe)]]


_MODEL = f"model = {toml_value(str(DEMO / 'cifar10_backbone.keras'))}"
_RECIPES: dict[str, str] = {
    "unsafe Lambda": "[source]\nmodel = 'lambda.keras'\nunsafe = true\n",
    "unsafe Keras 2 Lambda": "[source]\nmodel = 'lambda.h5'\nunsafe = true\n",
    "replacement with a Lambda": (
        f"[source]\n{_MODEL}\nunsafe = true\n[cut]\nreplace = [{{range = 'stem_bn..stem_bn', with = 'lambda.keras'}}]\n"
    ),
    "model in a pipe": "[source]\nmodel = 'pipe'\n",
    "model of a device": "[source]\nmodel = '/dev/zero'\n",
    "model of a process": "[source]\nmodel = '/proc/self/mem'\n",
    "keras: path": "[source]\nmodel = 'keras:../../x?weights=/etc/passwd'\n",
    "keras: url": "[source]\nmodel = 'keras:MobileNetV2?weights=http://127.0.0.1:9/x.h5'\n",
    "name with a path": f"name = '../../canary'\n[source]\n{_MODEL}\n",
    "name of shell": f"name = 'a; touch canary'\n[source]\n{_MODEL}\n",
    "ssh option": f"[source]\n{_MODEL}\n[bench]\nrunners = ['ssh://-oProxyCommand=touch canary']\n",
    "ssh path": f"[source]\n{_MODEL}\n[bench]\nrunners = ['ssh://localhost/tmp/;touch canary']\n",
    "adb serial": f"[source]\n{_MODEL}\n[bench]\nrunners = ['adb://x;touch canary']\n",
    "qemu core": f"[source]\n{_MODEL}\n[bench]\nrunners = ['qemu://x -monitor exec:touch']\n",
    "data of a device": f"[source]\n{_MODEL}\n[data]\ntrain = '/dev/zero'\n",
    "data of everything": f"[source]\n{_MODEL}\n[data]\ntrain = '/proc'\n",
    "labels of a secret": f"[source]\n{_MODEL}\n[data]\nlabels = '../secret.bin'\n",
    "deep": "x = " + "[" * 20_000 + "]" * 20_000,
    "digits": "x = " + "9" * 20_000,
    "NUL": 'name = "a\\u0000b"\n',
    "control keys": '"\\u001b[2J\\nforged" = 1\n["| a |"]\n"<script>" = 2\n',
    "huge picture": f"[source]\n{_MODEL}\n[stem]\nsize = [65535, 65535]\n",
    "huge head": f"[source]\n{_MODEL}\n[head]\nclasses = 1000000000000\n",
    "huge numbers": f"[source]\n{_MODEL}\n[bench]\nruns = 1000000000000000000\nthreads = -1\n",
    "not UTF-8": 'name = "\udcff"\n',
    "include": "include = '../secret.bin'\n[source]\nmodel = 'x'\n",
    "template": f"name = '{{{{ 7*7 }}}}'\n[source]\n{_MODEL}\nlicence = '{{% raw %}}'\n",
    "8 MiB": "# " + "x" * (8 << 20),
}


def _put_recipe(name: str, place: Place) -> list[list[str]]:
    from attack_keras import lambda_models

    if "Lambda" in name:
        lambda_models(place)
    if "pipe" in name:
        os.mkfifo(place.input / "pipe")
    path = place.input / "recipe.toml"
    text = _RECIPES[name] + ("[export]\nprecisions = ['float32']\n" if "Lambda" in name else "")
    path.write_bytes(text.encode(errors="surrogateescape"))
    commands = [["plan", str(path)], ["plan", str(path), "--json"]]
    # A recipe that plans well is built, as whoever got it would do.
    return (
        [*commands, ["build", str(path), "-o", str(place.out / "dist"), "--no-cache"]] if "Lambda" in name else commands
    )


def _put_damaged_recipe(where: float, value: int, place: Place) -> list[list[str]]:
    content = bytearray((DEMO / "recipe.toml").read_bytes())
    content[int(where * len(content))] = value
    for file in DEMO.iterdir():
        if file.name != "recipe.toml":
            (place.input / file.name).symlink_to(file)
    (place.input / "recipe.toml").write_bytes(content)
    return [["plan", str(place.input / "recipe.toml")]]


_PROFILES: dict[str, tuple[str, str]] = {
    "title of lines": ('title = "', 'title = "\\n[source]\\nunsafe = true\\u001b[2J '),
    "title of markup": ('title = "', 'title = "<script>alert(1)</script> | [x](javascript:y) '),
    "id with a path": ('id = "', 'id = "../../'),
    "extends a path": ("[cpu]", 'extends = "../../../etc/passwd"\n[cpu]'),
    "extends itself": ("[cpu]", 'extends = "board"\n[cpu]'),
    "unknown runtime": ('name = "tflite-micro"', 'name = "../evil.so"'),
    "huge clock": ("clock_hz = ", "clock_hz = 9999999999999999"),
    "negative memory": ("ram_bytes = ", "ram_bytes = -"),
    "deep": ("[cpu]", "x = " + "[" * 9000 + "]" * 9000 + "\n[cpu]"),
    "long": ('title = "', 'title = "' + "x" * 300_000),
    "control key": ("[cpu]", '"\\u001b[2J" = 1\n[cpu]'),
    "url of a script": ('url = "https', 'url = "javascript:alert(1)//https'),
    "core of options": ('core = "', 'core = "-plugin evil.so '),
    "NUL": ('title = "', 'title = "\\u0000'),
    "no table": ("[cpu]", "cpu = 1\n[other]"),
}


def _put_profile(name: str, place: Place) -> list[list[str]]:
    old, new = _PROFILES[name]
    text = (ROOT / "profiles" / "nucleo-l4r5zi.toml").read_text().replace('id = "nucleo-l4r5zi"', 'id = "board"')
    path = place.input / "board.toml"
    path.write_text(text.replace(old, new, 1))
    file = str(FIXTURES / "tiny.int8.tflite")
    return [
        ["profile", "check", str(path)],
        ["profile", "show", str(path)],
        ["inspect", file, "--profile", str(path)],
        ["new", str(DEMO / "cifar10_backbone.keras"), "--profile", str(path), "-o", str(place.out / "recipe.toml")],
        ["plan", str(place.out / "recipe.toml"), "--profile", str(path)],
    ]


_BUNDLES: dict[str, Callable[[Path, Place], None]] = {
    "untouched": lambda b, p: None,
    "path outside": lambda b, p: _listed(b, "../secret.bin"),
    "absolute path": lambda b, p: _listed(b, p.secret),
    "link": lambda b, p: _linked(b / "labels.txt", p.secret),
    "link of folders": lambda b, p: (b / "more").symlink_to(p.box),
    "pipe": lambda b, p: os.mkfifo(b / "pipe"),
    "huge manifest": lambda b, p: _put(b / "manifest.json", b"[" * 2_000_000),
    "manifest of numbers": lambda b, p: _put(b / "manifest.json", b'{"files": 1e999, "schema": -0}'),
    "evil C": lambda b, p: _put(b / "c" / "evil.c", f'int x = system("touch {p.canary}");'.encode()),
    "evil Makefile": lambda b, p: _put(
        b / "c" / "Makefile", f"test:\n\ttouch {p.canary}\nx := $(shell touch {p.canary})\n".encode()
    ),
    "evil report": lambda b, p: _put(b / "report.json", b'{"recipe": "' + b"\\u001b[2J" * 1000 + b'"}'),
    "name of options": lambda b, p: _put(b / "recipe.toml", b'name = "-o canary"\n'),
    "control names": lambda b, p: _put(b / "x\ny\x1b[2J", b""),
    "model of half a GiB": lambda b, p: os.truncate(b / "models" / "bell.float32.tflite", 1 << 29),
    "vectors beyond": lambda b, p: _put(b / "vectors" / "vectors.json", b'{"inputs": [{"shape": [9e9, 9e9]}]}'),
}


def _put(path: Path, content: bytes) -> None:
    path.parent.mkdir(exist_ok=True)
    path.unlink(missing_ok=True)
    path.write_bytes(content)


def _linked(path: Path, target: str) -> None:
    path.unlink()
    path.symlink_to(target)


def _listed(bundle: Path, path: str) -> None:
    manifest = json.loads((bundle / "manifest.json").read_bytes())
    manifest["files"].append({"path": path, "sha256": "0" * 64, "size_bytes": 0})
    (bundle / "manifest.json").write_text(json.dumps(manifest))


def _put_bundle(name: str, place: Place) -> list[list[str]]:
    from tests.handoff.test_bundle import bundle as write_bundle

    bundle = write_bundle(place.input / "dist")
    _BUNDLES[name](bundle, place)
    _seal(bundle)
    other = str(FIXTURES / "tiny.float32.tflite")
    return [["verify", str(bundle)], ["verify", str(bundle), "--run-c"], ["compare", str(bundle), other]]


def _seal(bundle: Path) -> None:
    """Makes the hashes true again, as a forger would."""
    path = bundle / "manifest.json"
    try:
        manifest = json.loads(path.read_bytes())
        known = {entry["path"]: entry for entry in manifest["files"]}
        for file in bundle.rglob("*"):
            name = file.relative_to(bundle).as_posix()
            if file.is_file() and not name.startswith("manifest."):
                entry = known.setdefault(name, {"path": name})
                with file.open("rb") as content:
                    entry["sha256"] = hashlib.file_digest(content, "sha256").hexdigest()
                entry["size_bytes"] = file.stat().st_size
        manifest["files"] = list(known.values())
        path.write_text(json.dumps(manifest))
    except (ValueError, TypeError, KeyError, RecursionError):
        pass
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    (bundle / "manifest.sha256").write_text(f"{digest}  manifest.json\n")


CASES: Sequence[Callable[[random.Random], Iterator[Case]]] = (
    git_cases,
    label_cases,
    recipe_cases,
    profile_cases,
    bundle_cases,
)
