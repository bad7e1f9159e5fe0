"""A sample of tools/check_surgery.py, which does the same for ten models and every cut."""

import importlib.util
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.tensorflow

TOOL = Path(__file__).parents[2] / "tools" / "check_surgery.py"


@pytest.fixture(scope="module")
def tool():
    spec = importlib.util.spec_from_file_location("check_surgery", TOOL)
    module = importlib.util.module_from_spec(spec)
    sys.modules["check_surgery"] = module  # its dataclass looks itself up there
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize(("name", "cuts", "legal"), [("ResNet50V2", 191, 32), ("MobileNetV3Small", 181, 65)])
def test_every_cut_of_an_application_is_bit_equal_and_some_tails_are(tool, name, cuts, legal):
    findings = tool.check(name, every=60, tails_every=30)
    assert (findings.cuts, findings.legal, findings.illegal) == (cuts, legal, cuts - legal)
    assert findings.failures == []
    assert findings.max_error == 0.0
