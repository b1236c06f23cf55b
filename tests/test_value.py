"""The bases of our immutable values, where no type of ours tests them by itself."""

from __future__ import annotations

import copy
import pickle

import pytest

from franklinwh_telemetry import value
from franklinwh_telemetry.value import Choice, Value


class Colour(Choice):
    """A choice of this test."""

    RED = "like a rose"
    DARK_BLUE = "like the sea"


class Point(Value):
    """A value of this test."""

    __slots__ = ("x", "y")


class Place(Value):
    """Another of the same fields."""

    __slots__ = ("x", "y")


def test_a_choice_has_its_members_alone_in_their_order() -> None:
    """Each has its name and its value, and is of its class."""
    assert [(each.name, each.value) for each in Colour] == [("RED", "like a rose"), ("DARK_BLUE", "like the sea")]
    assert all(isinstance(each, Colour) for each in Colour)
    assert repr(Colour.DARK_BLUE) == "Colour.DARK_BLUE"
    with pytest.raises(AttributeError, match=r"^Colour has no member 'GREEN'$"):
        _ = Colour.GREEN  # type: ignore[attr-defined]


def test_a_member_is_made_where_it_is_first_asked_for() -> None:
    """Not with its class, which every command loads; from then on it is an attribute like any other."""

    class Shade(Choice):
        """A choice that nobody has asked yet."""

        LIGHT = "of noon"

    assert "LIGHT" not in vars(Shade)
    assert vars(Shade).get("LIGHT", Shade.LIGHT) is vars(Shade)["LIGHT"]


def test_a_choice_is_closed() -> None:
    """No member can be made, and none changed or replaced."""
    with pytest.raises(TypeError, match=r"^Colour has only the members that it lists$"):
        Colour("like the sky")
    with pytest.raises(AttributeError, match=r"^Colour\.RED cannot be changed$"):
        Colour.RED = Colour.DARK_BLUE  # type: ignore[misc, assignment]
    with pytest.raises(AttributeError, match=r"^Colour\.RED\.value cannot be changed$"):
        Colour.RED.value = "like blood"  # type: ignore[misc]


def test_a_member_is_itself_after_a_copy() -> None:
    """Also in another process, which unpickles it: members are compared by `is`."""
    copies = copy.copy(Colour.RED), copy.deepcopy(Colour.RED), pickle.loads(pickle.dumps(Colour.RED))  # noqa: S301
    assert all(each is Colour.RED for each in copies)


def test_a_value_has_all_its_fields_and_shows_them() -> None:
    """One field too few or too many is an error where the value is made."""
    point = Point(1, "two")
    assert (point.x, point.y, repr(point)) == (1, "two", "Point(x=1, y='two')")  # type: ignore[attr-defined]
    for fields in ((), (1,), (1, 2, 3)):
        with pytest.raises(ValueError, match="argument"):
            Point(*fields)


def test_a_value_is_compared_whole() -> None:
    """Each field counts, and so does the type."""
    assert Point(1, 2) == Point(1, 2)
    assert hash(Point(1, 2)) == hash(Point(1, 2))
    assert Point(1, 2) not in (Point(1, 3), Point(3, 2), Place(1, 2), (1, 2))
    assert len({hash(each) for each in (Point(1, 2), Point(1, 3), Point(3, 2), Place(1, 2))}) == 4


def test_a_value_never_changes() -> None:
    """No field can be set or deleted, and none added."""
    point = Point(1, 2)
    for name in ("x", "surprise"):
        with pytest.raises(AttributeError, match=f"^Point.{name} cannot be changed$"):
            setattr(point, name, 2)
        with pytest.raises(AttributeError, match=f"^Point.{name} cannot be changed$"):
            delattr(point, name)
    with pytest.raises(TypeError, match=r"^Point is made by its own module only, never copied or unpickled$"):
        copy.copy(point)


def test_both_are_public() -> None:
    """The module is for the bases alone."""
    assert value.__all__ == ["Choice", "Value"]
