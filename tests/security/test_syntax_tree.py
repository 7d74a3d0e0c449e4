"""No line of the package can run a stranger's data as code: read from the syntax tree, not from the text."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
FOLDERS = ("armillary", "recipes", "benchmarks", "tests")

FORBIDDEN_MODULES = {"pickle", "cPickle", "dill", "cloudpickle", "shelve", "marshal", "joblib", "_pickle"}
FORBIDDEN_NAMES = {"eval", "exec", "__import__"}
FORBIDDEN_METHODS = {"extractall", "unpack_archive"}
FORBIDDEN_CALLS = {
    "torch.load": "weights are safetensors only",
    "torch.save": "weights are safetensors only",
    "torch.hub.load": "runs downloaded code",
    "os.system": "a shell reads its argument",
    "os.popen": "a shell reads its argument",
    "subprocess.getoutput": "a shell reads its argument",
    "subprocess.getstatusoutput": "a shell reads its argument",
    "yaml.load": "builds any object",
    "yaml.unsafe_load": "builds any object",
    "pandas.read_pickle": "unpickles",
}


def offences(source: str, name: str = "<source>") -> list[str]:
    """Every forbidden construction in `source`, as 'file:line: what'."""
    tree = ast.parse(source, name)
    aliases = _aliases(tree)
    found = []
    for node in ast.walk(tree):
        what = _offence(node, aliases)
        if what:
            found.append(f"{name}:{node.lineno}: {what}")
    return found


def _aliases(tree: ast.AST) -> dict[str, str]:
    """What each imported name stands for: `import numpy as np` gives {'np': 'numpy'}."""
    known = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            known |= {a.asname or a.name.split(".")[0]: a.name if a.asname else a.name.split(".")[0] for a in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            known |= {a.asname or a.name: f"{node.module}.{a.name}" for a in node.names}
    return known


def _dotted(node: ast.AST, aliases: dict[str, str]) -> str:
    if isinstance(node, ast.Name):
        return aliases.get(node.id, node.id)
    if isinstance(node, ast.Attribute):
        owner = _dotted(node.value, aliases)
        return f"{owner}.{node.attr}" if owner else ""
    return ""


def _offence(node: ast.AST, aliases: dict[str, str]) -> str:
    if isinstance(node, ast.Import):
        bad = {a.name.split(".")[0] for a in node.names} & FORBIDDEN_MODULES
        return f"imports {sorted(bad)[0]}" if bad else ""
    if isinstance(node, ast.ImportFrom) and node.module:
        return f"imports {node.module}" if node.module.split(".")[0] in FORBIDDEN_MODULES else ""
    if isinstance(node, ast.keyword):
        enabled = not (isinstance(node.value, ast.Constant) and not node.value.value)
        return f"{node.arg} is set" if node.arg in {"shell", "allow_pickle"} and enabled else ""
    if isinstance(node, ast.Call) and _dotted(node.func, aliases) == "numpy.load" and len(node.args) > 2:
        return "allow_pickle is set by its place"
    if isinstance(node, ast.Attribute) and node.attr in FORBIDDEN_METHODS:
        return f"{node.attr} writes wherever an archive says"
    if isinstance(node, ast.Name | ast.Attribute):
        dotted = _dotted(node, aliases).removeprefix("builtins.")
        if dotted in FORBIDDEN_NAMES:
            return f"{dotted} runs text as code"
        if dotted in FORBIDDEN_CALLS:
            return f"{dotted}: {FORBIDDEN_CALLS[dotted]}"
    return ""


def test_package_is_clean():
    files = [path for folder in FOLDERS for path in sorted((ROOT / folder).rglob("*.py"))]
    assert len(files) > 40, "the walk must see the package"
    found = [line for path in files for line in offences(path.read_text(encoding="utf-8"), str(path.relative_to(ROOT)))]
    assert not found, "\n".join(found)


@pytest.mark.parametrize(
    "planted",
    [
        "import pickle",
        "from pickle import loads",
        "import torch\ntorch.load('x')",
        "import torch as t\nt.load('x')",
        "from torch import load as read\nread('x')",
        "import torch\nf = torch.load",
        "import torch\ntorch.save({}, 'x')",
        "eval('1')",
        "import builtins\nbuiltins.exec('1')",
        "f = eval",
        "import subprocess\nsubprocess.run('ls', shell=True)",
        "import subprocess\nsubprocess.run('ls', shell=flag)",
        "import tarfile\ntarfile.open('x').extractall('.')",
        "import shutil\nshutil.unpack_archive('x')",
        "import numpy as np\nnp.load('x.npy', 'r', True)",
        "from numpy import load\nload('x.npy', allow_pickle=True)",
        "import numpy as np\nnp.lib.format.read_array(f, allow_pickle=True)",
        "import os\nos.system('ls')",
        "import yaml\nyaml.load('x')",
        "def f():\n    from cloudpickle import dumps",
    ],
)
def test_a_planted_offence_is_found(planted):
    assert offences(planted)


@pytest.mark.parametrize(
    "harmless",
    [
        "import torch\ntorch.nn.Linear(1, 1).eval()",
        "model.eval()",
        "import re\nre.compile('eval')",
        "import subprocess\nsubprocess.run(['ls'], shell=False)",
        "import numpy as np\nnp.load('x.npy', mmap_mode='r')",
        "import numpy as np\nnp.save('x.npy', a, allow_pickle=False)",
        "'pickle, exec and torch.load in a text'",
        "from safetensors.torch import load_file\nload_file('x')",
    ],
)
def test_harmless_code_passes(harmless):
    assert not offences(harmless)
