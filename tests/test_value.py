"""The bases of our immutable values, where no type of ours tests them by itself."""

from __future__ import annotations

import copy
import pickle

import pytest

from franklinwh_telemetry.value import Choice


class Colour(Choice):
    """A choice of this test."""

    RED = "like a rose"
    DARK_BLUE = "like the sea"


def test_a_choice_has_its_members_alone_in_their_order() -> None:
    """Each has its name and its value, and is of its class."""
    assert [(each.name, each.value) for each in Colour] == [("RED", "like a rose"), ("DARK_BLUE", "like the sea")]
    assert all(isinstance(each, Colour) for each in Colour)
    assert repr(Colour.DARK_BLUE) == "Colour.DARK_BLUE"


def test_a_choice_is_closed() -> None:
    """No member can be made, and none changed or replaced."""
    with pytest.raises(TypeError):
        Colour("like the sky")
    with pytest.raises(AttributeError):
        Colour.RED = Colour.DARK_BLUE  # type: ignore[misc, assignment]
    with pytest.raises(AttributeError):
        Colour.RED.value = "like blood"  # type: ignore[misc]


def test_a_member_is_itself_after_a_copy() -> None:
    """Also in another process, which unpickles it: members are compared by `is`."""
    copies = copy.copy(Colour.RED), copy.deepcopy(Colour.RED), pickle.loads(pickle.dumps(Colour.RED))  # noqa: S301
    assert all(each is Colour.RED for each in copies)
