"""What the project's own source may not do, and what no name from outside may become: SECURITY.md's promises."""

from __future__ import annotations

import ast
import os
import re
import sys
import tomllib
from collections.abc import Iterator
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.fuzz.hostile import TEXTS, fuzzed
from vapbench.core.case import check_name
from vapbench.errors import VapbenchError
from vapbench.files.atomic import check_inside, is_reserved
from vapbench.leaderboard.boards import slug
from vapbench.methods.lora_files import find_adapter
from vapbench.results.keys import column_slug
from vapbench.results.manifest import is_video_name
from vapbench.results.writer import video_name
from vapbench.suites.gallery import parse_name
from vapbench.suites.table import identifier

ROOT = Path(__file__).parents[1]
SOURCES = sorted(
    path
    for folder in ("vapbench", "baselines", "benchmarks", "examples", "docs", "fuzz")
    for path in (ROOT / folder).rglob("*.py")
)

UNPICKLERS = {
    "pickle",
    "cPickle",
    "dill",
    "cloudpickle",
    "joblib",
    "marshal",
    "shelve",
    "jsonpickle",
    "xmlrpc",
    "telnetlib",
}
CALLS = {
    "eval", "exec", "compile", "__import__", "os.system", "os.popen", "os.spawnl", "os.spawnv", "os.execv", "os.execl",
    "pty.spawn", "commands.getoutput", "subprocess.getoutput", "subprocess.getstatusoutput",
    "yaml.load", "yaml.load_all", "yaml.unsafe_load", "yaml.full_load", "yaml.unsafe_load_all", "yaml.full_load_all",
    "pandas.read_pickle", "pd.read_pickle", "torch.hub.load", "torch.jit.load", "torch.package.PackageImporter",
    "shutil.unpack_archive", "tempfile.mktemp", "ssl._create_unverified_context", "xml.etree.ElementTree.parse",
}  # fmt: skip
"""Never called, whatever with."""
SUBPROCESS = {"run", "Popen", "call", "check_call", "check_output"}
TEMPLATES = {"Environment", "Template"}


def name_of(node: ast.expr) -> str:
    """``a.b.c`` of a call's function; empty for anything else."""
    parts = []
    while isinstance(node, ast.Attribute):
        parts.append(node.attr)
        node = node.value
    return ".".join(reversed([*parts, node.id])) if isinstance(node, ast.Name) else ""


def argument(call: ast.Call, name: str) -> object:
    """A keyword's constant; None if it is absent, ``...`` if it is no constant."""
    for keyword in call.keywords:
        if keyword.arg == name:
            return keyword.value.value if isinstance(keyword.value, ast.Constant) else ...
    return None


def offences(tree: ast.AST) -> Iterator[tuple[int, str]]:
    """Line and reason of everything that SECURITY.md rules out."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import | ast.ImportFrom):
            module = node.module or "" if isinstance(node, ast.ImportFrom) else ""
            named = [alias.name for alias in node.names]
            if {name.split(".")[0] for name in (module, *(named if isinstance(node, ast.Import) else ()))} & UNPICKLERS:
                yield node.lineno, "a module that unpickles"
            if {f"{module}.{name}" for name in named} & CALLS:
                yield node.lineno, "a function that runs or builds what it reads"
        if not isinstance(node, ast.Call):
            continue
        name, last = name_of(node.func), name_of(node.func).rpartition(".")[2]
        if name in CALLS:
            yield node.lineno, f"{name} runs or builds what it reads"
        if name == "torch.load" and argument(node, "weights_only") is not True:
            yield node.lineno, "torch.load without weights_only=True"
        if (
            last in ("load", "save")
            and name.startswith(("np.", "numpy."))
            and argument(node, "allow_pickle") is not False
        ):
            yield node.lineno, f"{name} without allow_pickle=False"
        if argument(node, "trust_remote_code") not in (None, False):
            yield node.lineno, "trust_remote_code"
        if (
            last == "from_pretrained"
            and re.match(r"Auto(?!encoder)", name)
            and argument(node, "trust_remote_code") is not False
        ):
            yield node.lineno, "an Auto class asks at a terminal unless trust_remote_code=False"
        if (
            last == "from_pretrained"
            and {keyword.arg for keyword in node.keywords} & {"dtype", "torch_dtype", "use_safetensors"}
            and argument(node, "use_safetensors") is not True
        ):
            yield node.lineno, "weights may be unpickled unless use_safetensors=True"
        if last in SUBPROCESS and name.startswith("subprocess."):
            if argument(node, "shell") not in (None, False):
                yield node.lineno, "a shell"
            if node.args and isinstance(node.args[0], ast.JoinedStr | ast.Constant):
                yield node.lineno, "a command as a string"
        if last in TEMPLATES and name != "string.Template" and argument(node, "autoescape") is not True:
            yield node.lineno, "a template without autoescape=True"
        if argument(node, "verify") is False:
            yield node.lineno, "a connection whose certificate is not checked"


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_no_pickle_no_remote_code_no_shell(path: Path) -> None:
    found = [f"{path.relative_to(ROOT)}:{line}: {why}" for line, why in offences(ast.parse(path.read_text("utf-8")))]
    assert not found


@pytest.mark.parametrize(
    "code",
    [
        "import pickle",
        "from pickle import loads",
        "from os import system",
        "import os\nos.system('x')",
        "eval(text)",
        "exec(code)",
        "import yaml\nyaml.load(text, Loader=yaml.SafeLoader)",
        "import torch\ntorch.load(path)",
        "import torch\ntorch.load(path, weights_only=flag)",
        "import numpy as np\nnp.load(path)",
        "import numpy as np\nnp.load(path, allow_pickle=True)",
        "import subprocess\nsubprocess.run('ls', check=True)",
        "import subprocess\nsubprocess.run(['ls'], shell=True)",
        "import subprocess\nsubprocess.run(f'ls {x}')",
        "AutoModel.from_pretrained(folder, local_files_only=True)",
        "AutoModel.from_pretrained(folder, trust_remote_code=True)",
        "Model.from_pretrained(folder, torch_dtype=x)",
        "Environment(loader=x)",
        "httpx.get(url, verify=False)",
    ],
)
def test_the_check_itself_sees_them(code: str) -> None:
    assert list(offences(ast.parse(code)))


def test_every_import_is_a_declared_dependency() -> None:
    """What the audit asks about is what the code uses: nothing comes in by way of another package's needs."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    wanted = [
        *project["dependencies"],
        *(need for group in project["optional-dependencies"].values() for need in group),
    ]
    declared = {re.split(r"[\[<>=~! ]", need)[0].lower().replace("_", "-") for need in wanted}
    distributions = packages_distributions()
    undeclared: dict[str, str] = {}
    for path in (ROOT / "vapbench").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Import):
                names = [alias.name for alias in node.names]
            else:
                names = [node.module] if isinstance(node, ast.ImportFrom) and node.module and not node.level else []
            for name in (
                {name.split(".")[0] for name in names} - set(sys.stdlib_module_names) - {"vapbench", "mini_recipe"}
            ):
                known = {owner.lower().replace("_", "-") for owner in distributions.get(name, [name])}
                if not known & declared:
                    undeclared[name] = path.relative_to(ROOT).as_posix()
    assert not undeclared


def test_templates_never_call_text_markup() -> None:
    pages = [path for path in (ROOT / "vapbench").rglob("*") if path.suffix in (".html", ".js") and path.is_file()]
    assert pages
    for path in pages:
        text = path.read_text(encoding="utf-8")
        # The page's own style and script, and JSON in which nothing can end a script element.
        assert set(re.findall(r"(\w+)\s*\|\s*safe", text)) <= {"style", "script", "data"}, path
        for word in (
            "autoescape false",
            "innerHTML",
            "outerHTML",
            "insertAdjacentHTML",
            "document.write",
        ):
            assert word not in text, f"{path}: {word}"


BAD_NAMES = [
    "", ".", "..", "../x", "/etc/passwd", "a/b", "a\\b", "C:", "C:\\x", "~", "~root", "a\0b", "a\nb", ".hidden",
    "-rf", "a b", "nul", "NUL.txt", "con", "Com1.mp4", "lpt9", "aux.a.b", "é", "\ud800", "a" * 161, "%2e",
    "$(x)", "a;b", "a|b",
]  # fmt: skip


@pytest.mark.parametrize("name", BAD_NAMES, ids=range(len(BAD_NAMES)))
def test_names_that_mean_more_than_a_name_are_refused(name: str) -> None:
    with pytest.raises(ValueError):
        check_name(name)


@pytest.mark.parametrize(
    "path",
    [
        "", ".", "..", "../x", "a/../../x", "a/..", "/etc/passwd", "//host/x", "C:/x", "C:x", "\\\\host\\x", "..\\x",
        "a\\..\\x", "~/x", "~root/x", "a\0b", "a\nb", "a/\x1b[2J", "a/nul", "aux/b.mp4", "a/com1.mp4",
        "\ud800", "a" * 256, "a/" * 600,
    ],
    ids=ascii,
)  # fmt: skip
def test_paths_that_lead_elsewhere_are_refused(path: str) -> None:
    with pytest.raises(ValueError):
        check_inside(path)


anything = st.one_of(
    st.text(), st.sampled_from(TEXTS + tuple(BAD_NAMES)), st.text(alphabet="./\\~:\0aN\u2215\uff0e", max_size=12)
)


def is_plain(name: str) -> bool:
    """Whether a file of this name can only lie in the folder it is made in, on any system."""
    return (
        0 < len(name.encode()) <= 255
        and Path(name).name == name
        and not set(name) & set('/\\:\0*?"<>|')
        and name not in (".", "..")
        and name.isprintable()
        and not is_reserved(name)
    )


@fuzzed(200, 20_000)
@given(anything)
def test_whatever_becomes_part_of_a_path_stays_in_its_folder(text: str) -> None:
    """Every place where a name from outside becomes a file's: refused, or escaped to a plain name."""
    try:
        name = check_name(text)
    except ValueError:
        pass
    else:
        assert is_plain(name) and is_plain(video_name(name, -(2**63), "0" * 64)) and is_plain(f"{slug(name)}.html")
        assert is_video_name(video_name(name, 2**63 - 1, "0" * 64))
    try:
        inside = Path("/folder") / check_inside(text)
    except ValueError:
        pass
    else:
        assert Path(os.path.normpath(inside)).is_relative_to("/folder") and inside != Path("/folder")
    assert is_plain(f"{slug(text)}.html")
    assert is_plain(f"{column_slug(text, {text: text})}.jsonl")
    assert not is_video_name(text) or is_plain(text) or is_reserved(text)
    assert not set(identifier(text, text, text)) & set("/\\\0:")
    assert all("/" not in part or "/" in text for part in parse_name(text) or ())


@fuzzed(60, 5000)
@given(anything)
def test_no_two_texts_share_a_page(text: str) -> None:
    assert slug(text) != slug(text + "/") and slug(text) != slug(text.swapcase() + "?")


@fuzzed(40, 2000)
@given(anything)
def test_a_condition_finds_no_adapter_outside_its_folder(text: str) -> None:
    try:
        found = find_adapter(ROOT / "tests" / "data", text)
    except (VapbenchError, ValueError, OSError):
        return
    assert found is None
