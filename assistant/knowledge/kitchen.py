"""The kitchen: weights of cups of ingredients, safe temperatures for meat, and cooking times."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction

from assistant.knowledge.contract import Fact, Lookup
from assistant.text.en import wording
from assistant.text.en.numbers import number
from assistant.text.en.words import Word, keys

WEIGHTS = "King Arthur Baking's ingredient weight chart"
USDA = "the USDA's safe minimum internal temperature chart"

_CUP_ML = Fraction("236.5882365")
_OUNCE_G = Fraction("28.349523125")
_GRAMS_A_CUP: Mapping[str, int] = {
    "flour": 120, "all purpose flour": 120, "bread flour": 120, "whole wheat flour": 113, "almond flour": 96,
    "sugar": 198, "white sugar": 198, "granulated sugar": 198, "brown sugar": 213, "powdered sugar": 113,
    "confectioners sugar": 113, "icing sugar": 113, "butter": 227, "water": 227, "milk": 227, "cream": 227,
    "yogurt": 227, "honey": 336, "maple syrup": 312, "oil": 198, "vegetable oil": 198, "olive oil": 200,
    "rice": 198, "oats": 89, "rolled oats": 89, "cocoa": 84, "cocoa powder": 84, "cornstarch": 112,
    "peanut butter": 270, "chocolate chips": 170, "salt": 288, "table salt": 288,
}  # fmt: skip
_CUPS: Mapping[str, Fraction] = {
    **dict.fromkeys(("cup", "cups"), Fraction(1)),
    **dict.fromkeys(("tablespoon", "tablespoons", "tbsp"), Fraction(1, 16)),
    **dict.fromkeys(("teaspoon", "teaspoons", "tsp"), Fraction(1, 48)),
    **dict.fromkeys(("liter", "liters", "litre", "litres", "l"), 1000 / _CUP_ML),
    **dict.fromkeys(("milliliter", "milliliters", "ml"), 1 / _CUP_ML),
    **dict.fromkeys(("pint", "pints"), Fraction(2)),
}
_WEIGHTS: Mapping[str, tuple[str, Fraction]] = {
    **dict.fromkeys(("gram", "grams", "g"), ("grams", Fraction(1))),
    **dict.fromkeys(("ounce", "ounces", "oz"), ("ounces", _OUNCE_G)),
    **dict.fromkeys(("pound", "pounds", "lb"), ("pounds", _OUNCE_G * 16)),
    **dict.fromkeys(("kilogram", "kilograms", "kg", "kilo"), ("kilograms", Fraction(1000))),
}
_SAFE_F: Mapping[str, tuple[int, bool]] = {
    **dict.fromkeys(("chicken", "turkey", "poultry", "duck", "goose", "chicken breast", "chicken breasts",
                     "chicken thighs", "stuffing", "leftovers", "casserole", "casseroles"), (165, False)),
    **dict.fromkeys(("ground beef", "ground meat", "ground pork", "minced meat", "mince", "hamburger",
                     "hamburgers", "burger", "burgers", "meatballs", "meatloaf", "egg dishes"), (160, False)),
    **dict.fromkeys(("beef", "steak", "steaks", "pork", "pork chops", "pork chop", "pork roast", "veal",
                     "lamb", "roast beef", "beef roast", "fresh ham"), (145, True)),
    **dict.fromkeys(("fish", "salmon", "tuna"), (145, False)),
}  # fmt: skip
"""Degrees Fahrenheit, and True if it must rest for three minutes."""


@dataclass(frozen=True, slots=True)
class Volume:
    """An amount in a measure of volume."""

    said: str
    cups: Fraction


@dataclass(frozen=True, slots=True)
class Weight:
    """An amount in a measure of weight."""

    said: str
    grams: Fraction


class Kitchen:
    """The topic."""

    def __init__(self) -> None:
        self.readers = {
            "volume": _read_volume,
            "weight_unit": _read_weight_unit,
            "weight": _read_weight,
            "volume_unit": lambda words: _one(words) if _one(words) in _CUPS else None,
            "ingredient": _read_ingredient,
            "meat": _read_meat,
        }

    def lookups(self) -> Iterable[Lookup]:
        return (self.weigh, self.measure, self.done_at)

    def weigh(self, ingredient: str, volume: Volume | None = None, weight_unit: str = "grams") -> Fact | None:
        """Answer how many grams are in a cup of flour."""
        volume = volume or Volume("a cup", Fraction(1))
        name, grams = _WEIGHTS[weight_unit]
        weight = _GRAMS_A_CUP[ingredient] * volume.cups / grams
        return Fact(
            f"{wording.capital(volume.said)} of {ingredient} weighs about {_rounded(weight)} {name}.", WEIGHTS
        )

    def measure(self, weight: Weight, ingredient: str, volume_unit: str = "cups") -> Fact | None:
        """Answer how many cups 200 grams of flour are."""
        amount = weight.grams / _GRAMS_A_CUP[ingredient] / _CUPS[volume_unit]
        unit = volume_unit if volume_unit.endswith(("s", "l")) else f"{volume_unit}s"
        said = wording.capital(weight.said)
        return Fact(f"{said} of {ingredient} is about {_rounded(amount)} {unit}.", WEIGHTS)

    def done_at(self, meat: str) -> Fact | None:
        fahrenheit, rests = _SAFE_F[meat]
        celsius = round((fahrenheit - 32) * 5 / 9)
        verb = "are" if meat.endswith("s") else "is"
        rest = " and after a rest of three minutes" if rests else ""
        both = f"{fahrenheit} degrees Fahrenheit, or {celsius} degrees Celsius"
        return Fact(f"{wording.capital(meat)} {verb} safe at {both}, inside{rest}.", USDA)


def _rounded(value: Fraction) -> str:
    if value >= 20:
        return str(round(value))
    return f"{float(value):.1f}".removesuffix(".0") if value >= 1 else f"{float(value):.2f}".rstrip("0")


def _one(words: Sequence[Word]) -> str:
    return words[0].key if len(words) == 1 else ""


def _amount(said: Sequence[str]) -> Fraction | None:
    """Parse "two", "a", "half a", "one and a half"."""
    if list(said) in (["a"], ["an"], ["one"]):
        return Fraction(1)
    trimmed = said[:-1] if len(said) > 1 and said[-1] in {"a", "of"} else said
    return number(list(trimmed))


def _split(words: Sequence[Word], units: Mapping[str, object]) -> tuple[str, Fraction, str] | None:
    """Return the words, the amount, and the unit."""
    said = list(keys(words))
    if not 2 <= len(said) <= 6 or said[-1] not in units:
        return None
    amount = _amount(said[:-1])
    return (" ".join(said), amount, said[-1]) if amount is not None and amount > 0 else None


def _read_volume(words: Sequence[Word]) -> Volume | None:
    found = _split(words, _CUPS)
    return Volume(found[0], found[1] * _CUPS[found[2]]) if found else None


def _read_weight(words: Sequence[Word]) -> Weight | None:
    found = _split(words, _WEIGHTS)
    return Weight(found[0], found[1] * _WEIGHTS[found[2]][1]) if found else None


def _read_weight_unit(words: Sequence[Word]) -> str | None:
    return _one(words) if _one(words) in _WEIGHTS else None


def _read_ingredient(words: Sequence[Word]) -> str | None:
    name = " ".join(keys(words))
    return name if name in _GRAMS_A_CUP else None


def _read_meat(words: Sequence[Word]) -> str | None:
    name = " ".join(key for key in keys(words) if key not in {"a", "the", "my"})
    return name if name in _SAFE_F else None
