"""What LightGBM would read past its end is refused before LightGBM sees it."""

import lightgbm
import pytest

from serin_services.package import errors
from serin_services.package.families import lightgbm as family
from support import packages

WHOLE = packages.lightgbm_model().decode()
BROKEN = {
    "a line without a colon": ("[num_threads: 1]", "[num_threads 1]", "got '[num_threads 1]'"),
    "a line without a value": ("[num_threads: 1]", "[num_threads:", "got '[num_threads:'"),
    "a line that is cut off": ("[num_threads: 1]", "[", "got '['"),
    "a colon alone": ("[num_threads: 1]", ":", "got ':'"),
    "a list that runs into what follows": ("end of parameters", "end of paramete", "got 'end of paramete'"),
    "a list that does not end": ("end of parameters\n\npandas_categorical:null\n", "", "expected 'end of parameters'"),
    "any line, by its number": (
        "[num_leaves: 4]",
        "[num_leaves",
        f"line {WHOLE[: WHOLE.index('[num_leaves: 4]')].count(chr(10)) + 1}:",
    ),
    "a NUL, at which the library stops to read": ("num_threads", "num\0threads", "got a NUL"),
}


@pytest.mark.parametrize("ends", ["\n", "\r\n", "\r"], ids=["Unix", "Windows", "carriage returns"])
@pytest.mark.parametrize("name", BROKEN)
def test_a_broken_list_of_parameters_is_refused_with_its_line(name: str, ends: str) -> None:
    before, after, said = BROKEN[name]
    assert before in WHOLE

    with pytest.raises(errors.PackageError) as caught:
        family.open_model(lightgbm, WHOLE.replace(before, after).replace("\n", ends).encode())

    assert caught.value.reason == "ModelInvalid"
    assert said in caught.value.message
    assert "save the model again" in caught.value.message


def test_a_whole_model_opens_and_one_without_the_list_too() -> None:
    at, end = WHOLE.index("parameters:"), WHOLE.index("end of parameters")

    named = WHOLE.replace("income", "parameters:")
    for text in (WHOLE, named, WHOLE[:at] + WHOLE[end + len("end of parameters") :]):
        assert family.open_model(lightgbm, text.encode()).inspection.task == "binary"
