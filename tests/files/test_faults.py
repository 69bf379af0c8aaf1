"""What is wrong with a document, in one sentence."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from vapbench.files.faults import faults, field_of


class Code(BaseModel):
    model_config = ConfigDict(extra="forbid")

    commit: str
    number: int = Field(default=0, lt=3)


class Sent(BaseModel):
    model_config = ConfigDict(extra="forbid")

    title: str
    submitter: str
    code: Code
    parts: tuple[Code, ...] = ()
    contact: str = ""

    @field_validator("contact")
    @classmethod
    def _reached(cls, text: str) -> str:
        if text and "@" not in text:
            raise ValueError("Nobody is reached there. Write an address.")
        return text


WHOLE: dict[str, Any] = {"title": "T", "submitter": "S", "code": {"commit": "c"}}


def refused(**changes: Any) -> ValidationError:
    """The error of a document with changes; what is None is left out."""
    with pytest.raises(ValidationError) as caught:
        Sent.model_validate({name: value for name, value in (WHOLE | changes).items() if value is not None})
    return caught.value


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"title": None}, "title: field required"),
        ({"title": None, "code": {}}, "title, code.commit: fields required"),
        ({"title": None, "titel": "T"}, "titel: there is no such field (did you mean title?)"),
        # Unknown ones that are not close, or of another object, hide nothing.
        (
            {"submitter": None, "code": {"commit": "c", "zzz": 1}},
            "submitter: field required; code.zzz: there is no such field",
        ),
        (
            {"submitter": None, "code": {"commit": "c", "submiter": 1}},
            "submitter: field required; code.submiter: there is no such field",
        ),
        ({"title": None, "zzz": 1}, "title: field required; zzz: there is no such field"),
        (
            {"title": None, "submitter": None, "titel": "T"},
            "submitter: field required; titel: there is no such field (did you mean title?)",
        ),
        (
            {"title": None, "submitter": None, "titel": "T", "submiter": "S"},
            "titel: there is no such field (did you mean title?); "
            "submiter: there is no such field (did you mean submitter?)",
        ),
        (
            {"contact": "nowhere", "zzz": 1},
            "contact: nobody is reached there. Write an address; zzz: there is no such field",
        ),
        (
            {"parts": [{"commit": "c", "number": n} for n in (2, 3, 4)]},
            "parts.1.number: input should be less than 3",
        ),
        (
            dict.fromkeys("uvwxyz", 1),
            "; ".join(f"{name}: there is no such field" for name in "uvwxy") + "; and 1 more",
        ),
    ],
)
def test_all_that_is_wrong_is_said_at_once(changes: dict[str, Any], said: str) -> None:
    assert faults(refused(**changes)) == said


def test_a_fault_has_the_name_of_its_field() -> None:
    assert field_of(refused(parts=[{}]).errors()[0]) == "parts.0.commit"
    with pytest.raises(ValidationError) as caught:
        Sent.model_validate([])
    assert field_of(caught.value.errors()[0]) == "the file"
