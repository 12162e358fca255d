"""The rules of the house, held over every module of the package by its syntax tree."""

import ast
import importlib
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import acestep

ROOT = Path(__file__).resolve().parents[1]
PACKAGE = ROOT / "src" / "acestep"
MODULES = sorted(PACKAGE.rglob("*.py"))
TREES = {path: ast.parse(path.read_text(encoding="utf-8")) for path in MODULES}

LONGEST_FUNCTION, LONGEST_FILE = 60, 400  # lines

# Who may print: the command line, and the demonstration that make demo runs
PRINTING = {"cli.py", "mini/demo.py"}

# errors … events ← data ← model ← labellers, adapters, training ← verbs ← pipeline ← cli, web.
# A module may import from its own layer's folder and from all that stand to the left.
LAYERS = [
    {"errors", "events", "knobs", "config", "configs", "findings", "pages"},
    {"data"},
    {"mini.voices", "mini.styles", "mini.corpus"},  # songs that are written, not recorded
    {"processes", "pictures"},
    {"model", "speed"},
    {"labellers", "checking", "adapters"},
    {"playing", "render", "outdated"},
    {"training", "judging"},
    {"sweeping"},
    {
        "scan", "label", "edit", "check", "augment", "preprocess", "pack", "advise", "train",
        "sweep", "evaluate", "export", "generate",
        "share", "models", "doctor", "checks",
    },
    {"pipeline", "reproduce"},
    {"terminal", "bars", "flags", "cli", "web", "studio", "mini", "__main__"},
]
VERBS = [
    "scan", "label", "edit", "check", "augment", "preprocess", "pack", "advise", "train",
    "sweep", "evaluate", "export", "generate",
    "share", "models", "doctor",
]  # fmt: skip

# Each dependency comes in at one door, where its exceptions become ours
DOORS = {
    "soundfile": {"data/audio.py", "data/decode.py", "data/tags.py"},
    "soxr": {"data/audio.py"},
    "av": {"data/decode.py"},
    "mutagen": {"data/tags.py"},
    "py3langid": {"labellers/language.py"},
    "huggingface_hub": {"model/find.py", "adapters/hub.py", "checks.py"},
    "bitsandbytes": {"training/optim.py", "speed/precision.py"},
    "torchao": {"speed/precision.py"},
    "prodigyopt": {"training/optim.py"},
    "faster_whisper": {"labellers/whisper.py"},
    "rich": {"bars.py"},
    "pydantic_settings": {"flags.py"},
    "beat_this": {"labellers/beat_this.py"},
    "python_stretch": {"data/stretch.py"},
    "tensorboard": {"training/pictures.py"},
    "optuna": {"sweeping/study.py"},
    "matplotlib": {"web/curves.py", "training/pictures.py", "pictures.py"},
}

# What other people hold on to: changes here are changes for them
EXPORTED = [
    "AceStepError",
    "AceStepPipeline",
    "AceStepWarning",
    "AdapterError",
    "AdviseConfig",
    "AudioError",
    "AugmentConfig",
    "CheckConfig",
    "ConfigError",
    "Dataset",
    "DatasetError",
    "EditConfig",
    "EvaluateConfig",
    "ExportConfig",
    "GenerateConfig",
    "LabelConfig",
    "LabelError",
    "ModelError",
    "PackConfig",
    "PreprocessConfig",
    "ReproduceConfig",
    "RunError",
    "ScanConfig",
    "ShareConfig",
    "Song",
    "StudioConfig",
    "SweepConfig",
    "TensorError",
    "TrainConfig",
    "advise",
    "augment",
    "check",
    "edit",
    "evaluate",
    "export",
    "generate",
    "label",
    "load_dataset",
    "pack",
    "preprocess",
    "reproduce",
    "save_dataset",
    "scan",
    "share",
    "studio",
    "sweep",
    "train",
]

# Modules that are tested through what is made of them: their tests, by the folder of the module
TESTED_ELSEWHERE = {
    "": {
        "test_cli.py": {"__main__"},
        "test_doctor.py": {"checks", "findings"},
        "test_house_rules.py": {"__init__", "errors"},
    },
    "configs": {
        "test_studio.py": {"studio"},
        "test_config.py": {
            "base", "dataset", "adapters", "music", "augmenting", "checking", "sharing",
            "advising", "sweeping", "evaluating", "packing",
        },
    },
    "labellers": {"test_label.py": {"listen"}, "labellers/test_rhythm.py": {"weights"}},
    "model": {"model/test_load.py": {"base"}},
    "speed": {"speed/test_memory.py": {"coefficients"}},
    "adapters": {"test_share.py": {"hub"}},
    "judging": {
        "judging/test_ab.py": {"ab_page"},
        "judging/test_page.py": {"page_curves", "page_numbers", "page_sounds", "players"},
        "judging/test_report.py": {"layout"},
        "test_evaluate.py": {
            "making", "measuring", "others", "panel", "record", "seating", "subject", "summary",
        },
    },
    "web/texts": {"web/test_words.py": {"shell", "dataset", "training", "music", "knobs"}},
    "web/pages": {
        "web/test_app.py": {
            "service", "generate", "dataset", "preprocess", "train", "export", "jobs",
        },
    },
    "training": {
        "test_train.py": {"session", "step", "reader"},
        "training/test_advice.py": {"advised", "memory_advice"},
        "test_reproduce.py": {"provenance"},
    },
}


def name_of(path: Path) -> str:
    return path.relative_to(PACKAGE).as_posix()


def each(*kinds: type[ast.AST]) -> Iterator[tuple[str, ast.AST]]:
    """Every node of the given kinds with ``file:line``."""
    for path, tree in TREES.items():
        for node in ast.walk(tree):
            if isinstance(node, kinds):
                yield f"{name_of(path)}:{node.lineno}", node


def called(node: ast.Call) -> str:
    """The dotted name of what is called: ``torch.load``."""
    return ast.unparse(node.func)


def imports(tree: ast.Module) -> set[str]:
    """Every module that is imported, wherever it stands; ``if TYPE_CHECKING`` counts too."""
    found = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "imports are absolute"
            found.add(node.module or "")
            if node.module == "acestep":
                found |= {f"acestep.{alias.name}" for alias in node.names}
    return found


def layer_of(module: str) -> int:
    room, *inside = module.split(".")[1:3]
    for part in (".".join([room, *inside]), room):
        for index, layer in enumerate(LAYERS):
            if part in layer:
                return index
    raise AssertionError(f"{module} is in no layer")


# What no module does


def test_nothing_catches_everything():
    wrong = []
    for place, node in each(ast.ExceptHandler):
        assert isinstance(node, ast.ExceptHandler)
        caught = ast.unparse(node.type) if node.type else "everything"
        if node.type is None or re.search(r"\b(Base)?Exception\b", caught):
            wrong.append(f"{place} catches {caught}")
    for place, node in each(ast.Call):
        assert isinstance(node, ast.Call)
        if called(node).endswith("suppress") and "Exception" in map(ast.unparse, node.args):
            wrong.append(f"{place} suppresses Exception")
    assert wrong == []


def test_only_the_command_line_prints():
    wrong = [
        place
        for place, node in each(ast.Call)
        if called(node) in ("print", "pprint", "pprint.pprint")
        and place.split(":")[0] not in PRINTING
    ]
    assert wrong == []


def test_there_are_no_globals_and_no_guessed_attributes():
    wrong = [place for place, _ in each(ast.Global, ast.Nonlocal)]
    wrong += [
        f"{place} getattr with a default"
        for place, node in each(ast.Call)
        if called(node) == "getattr" and len(node.args) + len(node.keywords) > 2
    ]
    assert wrong == []


def test_nothing_is_executed_that_was_read():
    wrong = []
    for place, node in each(ast.Call):
        name = called(node)
        given = {keyword.arg: ast.unparse(keyword.value) for keyword in node.keywords}
        if name in ("eval", "exec", "compile", "__import__", "os.system"):
            wrong.append(f"{place} {name}")
        if re.fullmatch(r"(pickle|dill|cloudpickle|joblib|marshal|shelve)\.\w+", name):
            wrong.append(f"{place} {name}")
        if name in ("torch.load", "load_state") and given.get("weights_only") != "True":
            wrong.append(f"{place} torch.load without weights_only=True")
        if given.get("allow_pickle", "False") != "False":
            wrong.append(f"{place} allow_pickle")
        if given.get("trust_remote_code", "False") != "False":
            wrong.append(f"{place} trust_remote_code")
        if given.get("shell", "False") != "False":
            wrong.append(f"{place} shell")
    assert wrong == []


def test_text_files_say_their_encoding():
    wrong = []
    for place, node in each(ast.Call):
        assert isinstance(node, ast.Call)
        method = called(node).rpartition(".")[2]
        text = method in ("read_text", "write_text") and "." in called(node)
        text |= called(node) == "open" and "b" not in ast.unparse(node.args[-1])
        if text and "encoding" not in {keyword.arg for keyword in node.keywords}:
            wrong.append(f"{place} {ast.unparse(node)}")
    assert wrong == []


# How it is built


def test_every_module_begins_with_what_it_is_for():
    without = [name_of(path) for path, tree in TREES.items() if not ast.get_docstring(tree)]
    assert without == []


def test_every_public_function_and_class_of_a_module_says_what_it_is():
    without = []
    for path, tree in TREES.items():
        for node in tree.body:
            named = isinstance(node, ast.FunctionDef | ast.ClassDef)
            if named and not node.name.startswith("_") and not ast.get_docstring(node):
                without.append(f"{name_of(path)}:{node.lineno} {node.name}")
    assert without == []


def test_functions_and_files_can_be_read_at_once():
    long = [
        f"{place} {node.name} has {node.end_lineno - node.lineno + 1} lines"
        for place, node in each(ast.FunctionDef, ast.AsyncFunctionDef)
        if node.end_lineno - node.lineno + 1 > LONGEST_FUNCTION
    ]
    for path in MODULES:
        lines = path.read_text(encoding="utf-8").count("\n")
        if lines > LONGEST_FILE:
            long.append(f"{name_of(path)} has {lines} lines")
    assert long == []


def test_names_say_what_a_module_is_about():
    vague = re.compile(r"(utils?|helpers?|managers?|misc|common|base_?classes|v\d+)$")
    assert [name_of(path) for path in MODULES if vague.search(path.stem)] == []


def test_imports_go_one_way():
    wrong = []
    for path, tree in TREES.items():
        module = "acestep." + name_of(path).removesuffix(".py").replace("/", ".")
        if path == PACKAGE / "__init__.py":
            continue
        for other in sorted(imports(tree)):
            if not other.startswith("acestep."):
                continue
            if layer_of(other) > layer_of(module):
                wrong.append(f"{module} imports {other}")
    assert wrong == []


def test_verbs_do_not_import_each_other():
    wrong = []
    for verb in VERBS:
        tree = TREES[PACKAGE / f"{verb}.py"]
        others = {f"acestep.{other}" for other in VERBS if other != verb}
        wrong += [f"{verb} imports {other}" for other in sorted(imports(tree) & others)]
    assert wrong == []


def test_the_audio_side_does_not_know_torch():
    """What the command line and the dataset need to start stays light."""
    light = ["errors", "events", "knobs", "config", "flags", "terminal", "cli"]
    light += ["scan", "label", "edit", "check"]
    paths = [PACKAGE / f"{name}.py" for name in light]
    paths += [path for room in ("configs", "data") for path in (PACKAGE / room).glob("*.py")]
    heavy = {"torch", "diffusers", "transformers", "peft", "accelerate"}
    wrong = [
        f"{name_of(path)} imports {module}"
        for path in paths
        for node in TREES[path].body
        if isinstance(node, ast.Import | ast.ImportFrom)
        for module in imports(ast.Module([node], []))
        if module.split(".")[0] in heavy and path.name not in ("tensors.py", "packed.py")
    ]
    assert wrong == []


@pytest.mark.parametrize("dependency", DOORS)
def test_a_dependency_comes_in_at_one_door(dependency):
    at = {
        name_of(path)
        for path, tree in TREES.items()
        if dependency in {module.split(".")[0] for module in imports(tree)}
    }
    assert at <= DOORS[dependency]


def test_every_module_has_its_tests():
    without = []
    for path in MODULES:
        inside = path.parent.relative_to(PACKAGE).as_posix().removeprefix(".")
        if path.name == "__init__.py" and inside:
            nodes = [node for node in TREES[path].body if not isinstance(node, ast.Expr)]
            assert not nodes, f"{name_of(path)} holds code"
            continue
        own = f"{inside}/test_{path.name}".removeprefix("/")
        others = TESTED_ELSEWHERE.get(inside, {}).items()
        (where,) = [tests for tests, modules in others if path.stem in modules] or [own]
        if not (ROOT / "tests" / where).is_file():
            without.append(f"{name_of(path)}: tests/{where} is missing")
        elif where != own and (ROOT / "tests" / own).is_file():
            without.append(f"{name_of(path)}: tests/{own} is there, why is it listed elsewhere?")
    assert without == []


def test_the_list_of_what_is_tested_elsewhere_is_up_to_date():
    for folder, lists in TESTED_ELSEWHERE.items():
        for modules in lists.values():
            for module in modules:
                assert (PACKAGE / folder / f"{module}.py").is_file(), f"{folder}/{module}"


# What others see


def test_exported_names():
    assert sorted(acestep.__all__) == sorted(EXPORTED)
    for name in EXPORTED:
        assert vars(acestep).get(name, None) or getattr(acestep, name), name


def test_a_verb_stays_a_verb_after_its_module_was_imported():
    for name in ("scan", "label", "train", "evaluate", "export", "generate", "preprocess"):
        module = importlib.import_module(f"acestep.{name}")
        assert getattr(acestep, name) is vars(module)[name]
    with pytest.raises(AttributeError, match="no attribute 'sing'"):
        _ = acestep.sing


def test_importing_the_package_loads_nothing_heavy():
    code = "import sys, acestep; print(sorted({'torch', 'pydantic', 'numpy'} & sys.modules.keys()))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=180)
    assert done.stdout == "[]\n", done.stderr


def test_every_error_is_in_the_tree_and_its_docstring():
    from acestep import errors

    kinds = {
        name: kind
        for name, kind in vars(errors).items()
        if isinstance(kind, type) and issubclass(kind, errors.AceStepError)
    }
    for name, kind in kinds.items():
        assert name in (errors.__doc__ or "")
        error = kind(["one", "two"]) if name == "ConfigError" else kind("one\ntwo", hint="three")
        assert str(error) == "one\ntwo" and error.hint in ("", "three")
    raised = {
        ast.unparse(node.exc.func if isinstance(node.exc, ast.Call) else node.exc)
        for _, node in each(ast.Raise)
        if isinstance(node, ast.Raise) and node.exc is not None
    }
    ours = {name for name in raised if name.endswith("Error") and not name.startswith("_")}
    builtin = {"ValueError", "TypeError", "AttributeError"}
    builtin |= {"Error"}  # gradio's own: what a program that uses the studio is told
    assert {name.rpartition(".")[2] for name in ours} <= kinds.keys() | builtin


def test_texts_name_no_machine_and_no_registry():
    files = subprocess.run(
        ["git", "ls-files", "--", ".", ":!tests/golden", ":!src/acestep/mini/weights"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=180,
    ).stdout.split("\n")
    # Each is written in two parts, so that this file does not name them itself
    places = "|".join(["/ho" + "me/", "/Us" + "ers/", "/wo" + "rk/", "/ro" + "ot/"])
    registries = "|".join(["py" + r"pi\.org", r"\.python" + "hosted", "index" + "-url ?= ?http"])
    wrong = []
    for name in filter(None, files):
        path = ROOT / name
        if path.suffix not in {".py", ".md", ".toml", ".txt", ".yml", ""} or not path.is_file():
            continue
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
            if re.search(places, line) or re.search(registries, line):
                wrong.append(f"{name}:{number}: {line.strip()[:80]}")
    assert wrong == []
    locks = ("uv.lock", "poetry.lock", "Pipfile.lock", "pdm.lock")
    assert [name for name in files if name.endswith(locks)] == []
