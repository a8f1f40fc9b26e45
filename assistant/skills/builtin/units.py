"""Unit conversion: "how many feet are in a mile", "20 degrees celsius in fahrenheit".

A table of the units that people ask for, including American volumes. A units library would add hundreds more,
without understanding "five foot eleven" any better.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from fractions import Fraction

from assistant.text.en import wording
from assistant.text.en.numbers import PART_WORDS, number


@dataclass(frozen=True, slots=True)
class Unit:
    """A unit, such as kilometers or degrees Celsius."""

    name: str
    names: str
    dimension: str
    factor: Fraction
    """Number of the dimension's base units (meter, gram, liter, second, ...) in one."""
    offset: Fraction = Fraction(0)
    """Added after multiplying, for temperatures."""
    rest: str = ""
    """Unit for the remainder of a whole number: "feet and inches"."""

    @classmethod
    def from_keys(cls, keys: Sequence[str]) -> Unit | None:
        if len(keys) > _MAX_NAME_WORDS:
            return None
        if len(keys) == 3 and keys[1] == "and":
            large, small = cls.from_keys(keys[:1]), cls.from_keys(keys[2:])
            if (
                large is None
                or small is None
                or large.dimension != small.dimension
                or large.factor <= small.factor
            ):
                return None
            return replace(large, names=f"{large.names} and {small.names}", rest=small.name)
        return _BY_NAME.get(_american(" ".join(keys)))


@dataclass(frozen=True, slots=True)
class Measure:
    """An amount of a unit, such as "ten kilometers" or "six feet two"."""

    amount: Fraction
    unit: Unit
    said: str = ""
    """How to read it back, if not as amount and unit."""

    @classmethod
    def from_keys(cls, keys: Sequence[str]) -> Measure | None:
        """Parse an amount with its unit; None if any word is left over."""
        keys = list(keys)
        if keys[:2] == ["gas", "mark"] and (mark := number(keys[2:])) is not None and 1 <= mark <= 10:
            return cls(mark, _GAS_MARK, f"gas mark {wording.number(mark)}")
        for at in range(len(keys) - 1, max(0, len(keys) - 1 - _MAX_NAME_WORDS), -1):
            unit = Unit.from_keys(keys[at:])
            amount = _amount(keys[:at])
            if unit and not unit.rest and amount is not None:
                is_part = bool(PART_WORDS.intersection(keys[:at])) or "½" in keys[:at]
                return cls(amount, unit, _part_said(amount, unit) if is_part else "")
        return _mixed(keys)


def convert(measure: Measure, to: Unit) -> str:
    """Convert an amount into another unit."""
    if measure.unit is _DEGREE:  # an oven temperature, in the other scale
        other = {"celsius": "fahrenheit", "fahrenheit": "celsius"}.get(to.name.split()[-1].lower())
        if other is None:
            return "Degrees Celsius or Fahrenheit?"
        measure = replace(measure, unit=_BY_NAME[other])
    unit = _FLUID_OUNCE if measure.unit is _OUNCE and to.dimension == "volume" else measure.unit
    to = _FLUID_OUNCE if to is _OUNCE and unit.dimension == "volume" else to
    if unit.dimension != to.dimension:
        return f"{wording.capital(unit.names)} and {to.names} measure different things."
    if measure.amount < 0 and unit.dimension != "temperature":
        return f"There are no negative {unit.names}."
    if unit.dimension == "temperature" and measure.amount * unit.factor + unit.offset < _ABSOLUTE_ZERO:
        return "Nothing is colder than zero kelvin."
    result = (measure.amount * unit.factor + unit.offset - to.offset) / to.factor
    if max(abs(result), abs(measure.amount)) >= wording.LARGEST:
        return "That number is too big for me."
    rounded, is_exact = _rounded(result)
    told = _said(rounded, to)
    if to.rest:
        told, is_exact = _split(result, to)
    verb = "is" if measure.amount == 1 or measure.said or unit.dimension == "temperature" else "are"
    said = wording.capital(measure.said or _said(measure.amount, unit))
    return f"{said} {verb} {'' if is_exact else 'about '}{told}."


def _said(amount: Fraction, unit: Unit) -> str:
    return f"{wording.number(amount, 9)} {unit.name if amount == 1 else unit.names}"


def _rounded(value: Fraction) -> tuple[Fraction, bool]:
    """Round to three digits, plus all of those before the point; also returns whether that is exact."""
    if value.denominator == 1:
        return value, True
    decimals = max(0, 2 - math.floor(math.log10(abs(value))))
    rounded = round(value, min(decimals, 9))
    return Fraction(rounded), rounded == value


def _amount(keys: Sequence[str]) -> Fraction | None:
    if list(keys) in (["a"], ["an"], ["the"]):
        return Fraction(1)
    if keys[-1] in {"a", "an"} and len(keys) > 1:  # half a cup
        part = number(keys[:-2] if keys[-2] == "of" else keys[:-1])
        return part if part is not None and 0 < part < 1 else None
    return number(keys)


def _part_said(amount: Fraction, unit: Unit) -> str:
    """Say a fraction of a unit: "half a liter", "two thirds of a cup", "one and a half cups"."""
    a = "an" if unit.name[0] in "aeio" or unit.name == "hour" else "a"
    if not 0 < amount < 1:
        return f"{wording.part(amount)} {unit.names}"
    return (
        f"half {a} {unit.name}" if amount == Fraction(1, 2) else f"{wording.part(amount)} of {a} {unit.name}"
    )


def _split(value: Fraction, unit: Unit) -> tuple[str, bool]:
    """Say it in two units: "five feet and eleven inches"; also returns whether that is exact."""
    small = _BY_NAME[unit.rest]
    per = unit.factor / small.factor
    pieces = round(abs(value) * per)
    whole, rest = divmod(pieces, per)
    large = _BY_NAME[unit.name]
    parts = [_said(Fraction(whole), large)] * bool(whole) + [_said(Fraction(rest), small)] * bool(
        rest or not whole
    )
    return " and ".join(parts), pieces == abs(value) * per


_SMALLER = {
    "foot": "inch",
    "stone": "pound",
    "pound": "ounce",
    "hour": "minute",
    "minute": "second",
    "meter": "centimeter",
}
"""Implied unit of a second number: "five foot eleven", "11 stone 4"."""


def _mixed(keys: Sequence[str]) -> Measure | None:
    """Parse "five foot eleven", "6 feet 2 inches", "5 pounds 3 ounces", "an hour and a half"."""
    for at, key in enumerate(keys[:-1]):
        large = _BY_NAME.get(key) if at else None
        amount = _amount(keys[:at]) if large and large.name in _SMALLER else None
        if large is None or amount is None or amount < 0:
            continue
        rest = keys[at + 1 :]
        is_half = rest[0] == "and" and (part := number(rest[1:])) is not None and 0 < part < 1
        if is_half and part is not None:
            return Measure(amount + part, large, f"{wording.part(amount + part)} {large.names}")
        rest = rest[1:] if rest[0] == "and" else rest
        if not rest:
            return None
        small = _BY_NAME.get(rest[-1]) or _BY_NAME[_SMALLER[large.name]]
        more = number(rest[:-1] if rest[-1] in _BY_NAME else rest) if rest else None
        if more is None or small.dimension != large.dimension or not 0 <= more < large.factor / small.factor:
            return None
        of_feet = large.name == "foot"
        said = (
            f"{wording.number(amount)} {'foot' if of_feet else large.names if amount != 1 else large.name} "
        )
        said += wording.number(more) if of_feet else _said(more, small)
        return Measure(amount * (large.factor / small.factor) + more, small, said)
    return None


def _american(name: str) -> str:
    for british, american in (
        ("metre", "meter"),
        ("litre", "liter"),
        ("gramme", "gram"),
        ("tonne", "metric ton"),
    ):
        name = name.replace(british, american)
    return name


_MAX_NAME_WORDS = 3

_TABLE = """
length       0.001       millimeter          millimeters          mm
length       0.01        centimeter          centimeters          cm
length       1           meter               meters               m
length       1000        kilometer           kilometers           km kms k
length       0.0254      inch                inches               in
length       0.3048      foot                feet                 ft
length       0.9144      yard                yards                yd
length       1609.344    mile                miles                mi
length       1852        nautical_mile       nautical_miles
mass         0.001       milligram           milligrams           mg
mass         1           gram                grams                g
mass         1000        kilogram            kilograms            kg kgs kilo kilos
mass         1000000     metric_ton          metric_tons
mass         28.349523125 ounce              ounces               oz
mass         453.59237   pound               pounds               lb lbs
mass         6350.29318  stone               stone                stones
mass         907184.74   ton                 tons
volume       0.001       milliliter          milliliters          ml
volume       0.01        centiliter          centiliters          cl
volume       0.1         deciliter           deciliters           dl
volume       1           liter               liters               l
volume       0.00492892159375 teaspoon       teaspoons            tsp
volume       0.01478676478125 tablespoon     tablespoons          tbsp
volume       0.0295735295625  fluid_ounce    fluid_ounces
volume       0.2365882365 cup                cups
volume       0.473176473 pint                pints
volume       0.946352946 quart               quarts
volume       3.785411784 gallon              gallons
time         1           second              seconds              sec
time         60          minute              minutes              min
time         3600        hour                hours
time         86400       day                 days
time         604800      week                weeks
time         1209600     fortnight           fortnights
time         31536000    year                years
speed        3600        meter_per_second    meters_per_second    m_/_s mps
speed        1000        kilometer_per_hour  kilometers_per_hour  kph km_/_h kilometers_an_hour
speed        1609.344    mile_per_hour       miles_per_hour       mph mi_/_h miles_an_hour mile_an_hour
speed        1097.28     foot_per_second     feet_per_second      ft_/_s fps
speed        1852        knot                knots
area         1           square_meter        square_meters
area         1000000     square_kilometer    square_kilometers
area         0.09290304  square_foot         square_feet
area         2589988.110336 square_mile      square_miles
area         4046.8564224 acre               acres
area         10000       hectare             hectares
data         1           byte                bytes
data         1000        kilobyte            kilobytes            kb
data         1000000     megabyte            megabytes            mb
data         1000000000  gigabyte            gigabytes            gb
data         1000000000000 terabyte          terabytes            tb
"""
"""Dimension, factor, one, several, and other names. Exact by definition (NIST SP 811); American measures."""


def _units() -> dict[str, Unit]:
    by_name: dict[str, Unit] = {}
    for line in _TABLE.split("\n"):
        if not line:
            continue
        dimension, factor, one, several, *others = line.split()
        unit = Unit(one.replace("_", " "), several.replace("_", " "), dimension, Fraction(factor))
        by_name |= dict.fromkeys(
            (unit.name, unit.names, *(other.replace("_", " ") for other in others)), unit
        )
    celsius = Unit("degree Celsius", "degrees Celsius", "temperature", Fraction(1))
    fahrenheit = Unit(
        "degree Fahrenheit", "degrees Fahrenheit", "temperature", Fraction(5, 9), Fraction(-160, 9)
    )
    kelvin = Unit("kelvin", "kelvins", "temperature", Fraction(1), Fraction("-273.15"))
    for unit, names in ((celsius, ("celsius", "centigrade", "c")), (fahrenheit, ("fahrenheit", "f"))):
        for name in names:
            by_name |= dict.fromkeys((name, f"degrees {name}", f"degree {name}"), unit)
    return (
        by_name | dict.fromkeys(("kelvin", "kelvins"), kelvin) | dict.fromkeys(("degree", "degrees"), _DEGREE)
    )


_DEGREE = Unit("degree", "degrees", "temperature", Fraction(1))
"""For a scale that was not named."""
_GAS_MARK = Unit("gas mark", "gas marks", "temperature", Fraction(125, 9), Fraction(1090, 9))
"""25 degrees Fahrenheit apart, above 250."""
_ABSOLUTE_ZERO = Fraction("-273.15")
_BY_NAME = _units()
_OUNCE, _FLUID_OUNCE = _BY_NAME["ounce"], _BY_NAME["fluid ounce"]
