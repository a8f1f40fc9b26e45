"""Converting units: "how many feet are in a mile", "20 degrees celsius in fahrenheit".

A table of the units that people ask for, American volumes included. A units library would
bring hundreds more, and no better understanding of "five foot eleven".
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction

from assistant.text.en import wording
from assistant.text.en.numbers import number


@dataclass(frozen=True, slots=True)
class Unit:
    """A unit, such as kilometers or degrees Celsius."""

    name: str
    names: str
    dimension: str
    factor: Fraction
    """How many of the dimension's base unit (meter, gram, liter, second, ...) one is."""
    offset: Fraction = Fraction(0)
    """Added after multiplying, for temperatures."""

    @classmethod
    def from_keys(cls, keys: Sequence[str]) -> Unit | None:
        return _BY_NAME.get(_american(" ".join(keys))) if len(keys) <= _MAX_NAME_WORDS else None


@dataclass(frozen=True, slots=True)
class Measure:
    """An amount of a unit, such as "ten kilometers" or "six feet two"."""

    amount: Fraction
    unit: Unit
    said: str = ""
    """How to read it back, where that is not the amount and the unit."""

    @classmethod
    def from_keys(cls, keys: Sequence[str]) -> Measure | None:
        """The amount that all these words are."""
        for at in range(len(keys) - 1, max(0, len(keys) - 1 - _MAX_NAME_WORDS), -1):
            unit = Unit.from_keys(keys[at:])
            amount = _amount(keys[:at])
            if unit and amount is not None:
                return cls(amount, unit)
        return _feet_and_inches(keys)


def convert(measure: Measure, to: Unit) -> str:
    """Convert an amount into another unit."""
    unit = _FLUID_OUNCE if measure.unit is _OUNCE and to.dimension == "volume" else measure.unit
    to = _FLUID_OUNCE if to is _OUNCE and unit.dimension == "volume" else to
    if unit.dimension != to.dimension:
        return f"{wording.capital(unit.names)} and {to.names} measure different things."
    if measure.amount < 0 and unit.dimension != "temperature":
        return f"There are no negative {unit.names}."
    result = (measure.amount * unit.factor + unit.offset - to.offset) / to.factor
    if max(abs(result), abs(measure.amount)) >= wording.LARGEST:
        return "That number is too big for me."
    rounded, is_exact = _rounded(result)
    verb = "is" if measure.amount == 1 or measure.said or unit.dimension == "temperature" else "are"
    said = wording.capital(measure.said or _said(measure.amount, unit))
    return f"{said} {verb} {'' if is_exact else 'about '}{_said(rounded, to)}."


def _said(amount: Fraction, unit: Unit) -> str:
    return f"{wording.number(amount, 9)} {unit.name if amount == 1 else unit.names}"


def _rounded(value: Fraction) -> tuple[Fraction, bool]:
    """Three figures and all of those before the point, and whether that is exact."""
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


def _feet_and_inches(keys: Sequence[str]) -> Measure | None:
    """ "five foot eleven", "6 feet 2 inches"."""
    for at, key in enumerate(keys):
        if key in {"foot", "feet"} and at and at + 1 < len(keys):
            feet = number(keys[:at])
            rest = [other for other in keys[at + 1 :] if other not in {"inch", "inches", "and"}]
            inches = number(rest) if rest else None
            if feet is not None and inches is not None and 0 <= inches < 12:
                said = f"{wording.number(feet)} foot {wording.number(inches)}"
                return Measure(feet * 12 + inches, _BY_NAME["inch"], said)
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
time         31536000    year                years
speed        3600        meter_per_second    meters_per_second
speed        1000        kilometer_per_hour  kilometers_per_hour  kph kmh
speed        1609.344    mile_per_hour       miles_per_hour       mph
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
        by_name |= dict.fromkeys((unit.name, unit.names, *others), unit)
    celsius = Unit("degree Celsius", "degrees Celsius", "temperature", Fraction(1))
    fahrenheit = Unit(
        "degree Fahrenheit", "degrees Fahrenheit", "temperature", Fraction(5, 9), Fraction(-160, 9)
    )
    kelvin = Unit("kelvin", "kelvins", "temperature", Fraction(1), Fraction("-273.15"))
    for unit, names in ((celsius, ("celsius", "centigrade", "c")), (fahrenheit, ("fahrenheit", "f"))):
        for name in names:
            by_name |= dict.fromkeys((name, f"degrees {name}", f"degree {name}"), unit)
    return by_name | dict.fromkeys(("kelvin", "kelvins"), kelvin)


_BY_NAME = _units()
_OUNCE, _FLUID_OUNCE = _BY_NAME["ounce"], _BY_NAME["fluid ounce"]
