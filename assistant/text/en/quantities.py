"""Money, units, telephone numbers, fractions, ranges and plain numbers as spoken in English."""

from __future__ import annotations

import re

from assistant.text.en.numbers import LONGEST_NUMBER, cardinal, digits, in_words, ordinal, year
from assistant.text.en.rules import any_of, rules

# fmt: off
_CURRENCIES = {
    "$": ("dollar", "dollars", "cent", "cents"),
    "€": ("euro", "euros", "cent", "cents"),
    "£": ("pound", "pounds", "penny", "pence"),
    "¥": ("yen", "yen", "sen", "sen"),
    "₹": ("rupee", "rupees", "paisa", "paise"),
    **{sign: (f"{name} dollar", f"{name} dollars", "cent", "cents") for sign, name in (
        ("A$", "Australian"), ("AU$", "Australian"), ("C$", "Canadian"), ("CA$", "Canadian"),
        ("HK$", "Hong Kong"), ("NZ$", "New Zealand"), ("S$", "Singapore"),
    )},
    "R$": ("real", "reais", "centavo", "centavos"),
    "CHF": ("franc", "francs", "centime", "centimes"),
    "kr": ("krone", "kroner", "øre", "øre"),
    "₩": ("won", "won", "jeon", "jeon"), "₽": ("ruble", "rubles", "kopeck", "kopecks"),
    "₺": ("lira", "lira", "kuruş", "kuruş"), "₪": ("shekel", "shekels", "agora", "agorot"),
    "zł": ("zloty", "zlotys", "grosz", "groszy"), "₴": ("hryvnia", "hryvnias", "kopeck", "kopecks"),
}
_CODES = {
    "USD": "$", "US$": "$", "EUR": "€", "GBP": "£", "JPY": "¥", "INR": "₹", "AUD": "A$", "CAD": "C$",
    "NZD": "NZ$", "SGD": "S$", "HKD": "HK$", "BRL": "R$", "NOK": "kr", "DKK": "kr", "PLN": "zł", "KRW": "₩",
}
_MAGNITUDES = {
    "k": "thousand", "K": "thousand", "thousand": "thousand", "m": "million", "M": "million", "mn": "million",
    "million": "million", "bn": "billion", "B": "billion", "billion": "billion", "trillion": "trillion",
}
_UNITS = {
    "km": "kilometer", "m": "meter", "cm": "centimeter", "mm": "millimeter", "µm": "micrometer",
    "mi": "mile", "yd": "yard", "ft": "foot", "sq ft": "square foot",
    "km/h": "kilometer per hour", "kmh": "kilometer per hour", "kph": "kilometer per hour",
    "mph": "mile per hour",
    "kg": "kilogram", "g": "gram", "mg": "milligram", "µg": "microgram", "lb": "pound", "lbs": "pound",
    "oz": "ounce", "l": "liter", "L": "liter", "ml": "milliliter", "mL": "milliliter", "tsp": "teaspoon",
    "tbsp": "tablespoon",
    "kB": "kilobyte", "KB": "kilobyte", "MB": "megabyte", "GB": "gigabyte", "TB": "terabyte",
    "Kbps": "kilobit per second", "Mbps": "megabit per second", "Gbps": "gigabit per second",
    "Hz": "hertz", "kHz": "kilohertz", "MHz": "megahertz", "GHz": "gigahertz",
    "W": "watt", "kW": "kilowatt", "MW": "megawatt", "Wh": "watt hour", "kWh": "kilowatt hour", "V": "volt",
    "mA": "milliampere", "mAh": "milliampere hour", "Pa": "pascal", "hPa": "hectopascal", "kPa": "kilopascal",
    "dB": "decibel", "kcal": "kilocalorie", "kJ": "kilojoule", "px": "pixel",
    "qt": "quart", "pt": "pint", "gal": "gallon", "fl oz": "fluid ounce", "dL": "deciliter",
    "cl": "centiliter", "Ω": "ohm", "kΩ": "kilohm", "MΩ": "megohm", "N": "newton", "J": "joule",
    "mol": "mole", "mmol": "millimole", "mSv": "millisievert", "lm": "lumen", "nm": "nanometer", "¢": "cent",
    "A": "ampere", "Ah": "ampere hour", "ha": "hectare", "mmHg": "millimeter of mercury",
    "bpm": "beat per minute", "rpm": "revolution per minute",
    "ms": "millisecond", "s": "second", "sec": "second", "min": "minute", "mins": "minute", "h": "hour",
    "hr": "hour", "hrs": "hour",
    "%": "percent", "°": "degree", "°C": "degree Celsius", "°F": "degree Fahrenheit",
    "℃": "degree Celsius", "℉": "degree Fahrenheit",
}
_FRACTIONS = {2: "half", 3: "third", 4: "quarter", 5: "fifth", 6: "sixth", 8: "eighth", 16: "sixteenth"}
# fmt: on


def _plural(unit: str) -> str:
    first, *rest = unit.split(" ")
    if first in ("square", "cubic", "watt", "kilowatt", "milliampere") and rest:
        return f"{first} {_plural(' '.join(rest))}"
    if first.endswith(("hertz", "percent")):
        return unit
    return " ".join(["feet" if first == "foot" else f"{first}s", *rest])


def _quantity(match: re.Match[str]) -> str:
    unit, power = _UNITS[match["unit"]], match["power"]
    unit = f"{'square' if power in ('²', '2') else 'cubic'} {unit}" if power else unit
    # "a 5-kg bag" -> "a five kilogram bag", singular
    unit = unit if match["amount"] == "1" or match["hyphen"] else _plural(unit)
    amount = f"{in_words(match['amount'])} {match['magnitude'] or ''}".strip()
    per = f" per {_UNITS.get(match['per'], match['per'])}" if match["per"] else ""
    power = {"²": " squared", "³": " cubed"}.get(match["per_power"] or "", "")
    return f"{amount} {unit}{per}{power}"


def _money(match: re.Match[str]) -> str:
    sign = match["sign"]
    one, many, cent, cents = _CURRENCIES[_CODES.get(sign, sign)]
    amount = match["amount"].replace(",", "")
    if match["magnitude"]:
        return f"{in_words(amount)} {_MAGNITUDES[match['magnitude']]} {many}"
    whole, _, part = amount.partition(".")
    if len(part) != 2 or len(whole) > LONGEST_NUMBER:
        return f"{in_words(amount)} {one if amount == '1' else many}"
    large = f"{cardinal(int(whole))} {one if int(whole) == 1 else many}" if int(whole) else ""
    small = f"{cardinal(int(part))} {cent if int(part) == 1 else cents}" if int(part) else ""
    return " and ".join(filter(None, (large, small))) or f"zero {many}"


def _fraction(match: re.Match[str]) -> str:
    whole, over, under = match[1], match[2], match[3]
    name = _FRACTIONS.get(int(under)) if len(under) < 3 and len(over) < 3 else None
    unit = f" {match['unit']}" if match["unit"] else ""
    if name is None or not 0 < int(over) < int(under):
        between = "over" if int(over) > int(under) else "out of"
        return f"{in_words(whole) + ' ' if whole else ''}{in_words(over)} {between} {in_words(under)}{unit}"
    names = "halves" if name == "half" else f"{name}s"
    part = f"one {name}" if int(over) == 1 else f"{cardinal(int(over))} {names}"
    if whole:
        plural = f" {_plural(_UNITS[match['unit']])}" if match["unit"] else ""
        return f"{in_words(whole)} and {part.replace('one ', 'a ', 1)}{plural}"
    return f"{part} of a {_UNITS[match['unit']]}" if match["unit"] else part


def _decade(match: re.Match[str]) -> str:
    decade = match.group().strip("'s")
    words = year(int(decade)) if len(decade) == 4 else cardinal(int(decade))
    return f"{words[:-1]}ies" if words.endswith("y") else f"{words}s"


def _rate(match: re.Match[str]) -> str:
    """ "km/h" without an amount."""
    power = {"²": " squared", "³": " cubed"}.get(match["power"] or "", "")
    return f"{_plural(_UNITS[match['of']])} per {_UNITS.get(match['per'], match['per'])}{power}"


def _clock_length(match: re.Match[str]) -> str:
    """ "2h30m", "1h 5m 3s"."""
    units = (("hours", "hour"), ("minutes", "minute"), ("seconds", "second"))
    return " ".join(
        f"{in_words(amount)} {one if amount == '1' else several}"
        for amount, (several, one) in zip(match.groups(), units, strict=True)
        if amount
    )


def _superscript(match: re.Match[str]) -> str:
    plain = match.group().translate(_SUPERSCRIPTS)
    return match.group() if plain in {"2", "3"} else f"^{plain}"


_SUPERSCRIPTS = str.maketrans("⁻⁺⁰¹²³⁴⁵⁶⁷⁸⁹", "-+0123456789")
_VULGAR = {
    "⅓": "1/3", "⅔": "2/3", "¼": "1/4", "½": "1/2", "¾": "3/4", "⅕": "1/5", "⅖": "2/5", "⅗": "3/5",
    "⅘": "4/5", "⅙": "1/6", "⅚": "5/6", "⅛": "1/8", "⅜": "3/8", "⅝": "5/8", "⅞": "7/8", "⅐": "1/7",
    "⅑": "1/9", "⅒": "1/10",
}  # fmt: skip


def _height(match: re.Match[str]) -> str:
    return f"{cardinal(int(match[1]))} foot {cardinal(int(match[2]))}"


def _digits(match: re.Match[str]) -> str:
    return digits(match.group())


_RATED = (
    "km",
    "m",
    "mi",
    "mg",
    "g",
    "kg",
    "µg",
    "mmol",
    "mol",
    "W",
    "J",
    "kWh",
    "L",
    "l",
    "mL",
    "ml",
    "MB",
    "GB",
    "kB",
)
_N = r"\d+(?:,\d{3})*(?:\.\d+)?"
_SIGN = rf"(?P<sign>{any_of([*_CURRENCIES, *_CODES])})"
_AMOUNT = rf"(?P<amount>{_N})(?:\s?(?P<magnitude>{any_of(_MAGNITUDES)})\b)?"
_UNIT = rf"(?P<unit>{any_of(_UNITS)})(?P<power>[²³]|[23](?!\w))?"
_LARGE = r"(?:\s(?P<magnitude>thousand|million|billion|trillion))?"
_PER_WHAT = "hr|h|s|min|kg|mL|ml|dL|l|L|mol|m|g|day|ha"
_PER = rf"(?:/(?P<per>{_PER_WHAT})(?P<per_power>[²³])?)?"

QUANTITY_RULES = rules(
    ("−", "-"),  # the minus sign
    # How thousands are grouped elsewhere.
    (
        r"(?<![\d.,])(\d{1,3}(?:\.\d{3})+),(\d{1,2})(?![\d,])",
        lambda match: f"{match[1].replace('.', '')}.{match[2]}",
    ),
    (r"(?<![\d.,])\d{1,2}(?:,\d\d)+,\d{3}(?![\d,])", lambda match: match.group().replace(",", "")),
    (
        r"(?<![\d.,] )(?<![\d.,])[1-9]\d{0,2}(?: \d{3}){2,}(?! ?\d)",
        lambda match: match.group().replace(" ", ""),
    ),
    (
        r"(?<![\d.,])[1-9]\d{0,2}(?:[\u00a0\u202f\u2009]\d{3})+(?!\d)",
        lambda match: re.sub(r"\D", "", match.group()),
    ),
    (r"(?<=\d)_(?=\d{3})", ""),
    # Powers of ten.
    (r"[⁻⁺]?[⁰¹²³⁴-⁹]+", _superscript),
    (r"\b1[eE]\+?(-?\d{1,3})\b", r"10^\1"),
    (r"\b(\d+(?:\.\d+)?)[eE]\+?(-?\d{1,3})\b", r"\1 × 10^\2"),
    (r"(?<=\d) ?[x*] ?(?=10\^)", " × "),
    (r"(?<=\^)-(?=\d)", "minus "),
    (r"(?<=\d )in\b\.?(?= (?:wide|high|tall|long|deep|thick|across|by|x|\d))", "inches"),
    (r"(?<=\d )(ft|oz|lbs?|yd|mi|hrs?|min|sec)\.(?= [a-z\d])", r"\1"),
    (r"(?<![\w/])(\d+)h ?(\d+)m(?:ins?)?(?: ?(\d+)s)?\b", _clock_length),
    # Telephone numbers: digits that aren't a quantity.
    (r"(?<![\w+])\+\d[\d ()-]{6,}\d\b", lambda match: f"plus {digits(match.group())}"),
    (r"(?<!\w)(?:\(\d{3}\) ?|\d{3}[ -])\d{3}[ -]\d{4}\b", _digits),
    (r"\b\d{3}-\d\d(?!00)\d\d\b|\b\d+(?:-\d+){2,9}\b", _digits),
    (
        r"\b1-8(\d)\1-(?=[A-Z])",
        lambda match: f"one eight {'hundred' if match[1] == '0' else digits(match[1] * 2)} ",
    ),
    (r"(?<=\b[Cc]all )\d{3}\b|(?<=\b[Dd]ial )\d{3}\b", _digits),
    (r"(?<=\b[Cc]all )\d[\d ]{5,}\d\b|(?<=\b[Dd]ial )\d[\d ]{5,}\d\b|\b0\d{2,4}(?: \d{3,4}){1,3}\b", _digits),
    (
        r"(?i)(?<=\bzip )\d{5}\b|(?<=\bzip is )\d{5}\b|(?<=\bzip code )\d{5}\b|(?<=\bzip code is )\d{5}\b",
        _digits,
    ),
    (r"\b\d+(?:\.\d+){2,}\b", lambda match: " point ".join(map(in_words, match.group().split(".")))),
    # Ranges and minus signs.
    (rf"([{re.escape(''.join(_CURRENCIES))}])({_N})\s?[-–]\s?\1?(?=\d)", r"\2 to \1"),
    (r"(\d)\s?-\s?(?=\d[\d.,]*\s?=)", r"\1 minus "),
    (r"(\d)(?:-|\s?–\s?)(?=[.\d])", r"\1 to "),
    (r"(\d) - (?=\d)", r"\1 minus "),
    (rf"(?<![\w)])-(?=[{re.escape(''.join(_CURRENCIES))}.]?\d)", "minus "),
    # Powers.
    (r"\^2\b", " squared"),
    (r"\^3\b", " cubed"),
    (r"\^(?=-?\d|minus )", " to the power of "),
    # Amounts.
    (rf"{_SIGN}\s?{_AMOUNT}", _money),
    (rf"\b{_AMOUNT}\s?{_SIGN}(?!\w)", _money),
    (r"(?<!\w)(\d)'(\d{1,2})\"", _height),
    (r"\b[12]\d\d0'?s\b|'[2-9]0s\b", _decade),
    (
        rf"(?<![\w/])(?P<amount>{_N}){_LARGE}(?:\s|(?P<hyphen>-))?{_UNIT}{_PER}(?![\w/])",
        _quantity,
    ),
    (
        rf"(?<![\w/])(?P<of>{any_of(_RATED)})/(?P<per>{_PER_WHAT}|gal)(?P<power>[²³])?(?![\w/])",
        _rate,
    ),
    # Fractions and decimals.
    (f"[{''.join(_VULGAR)}]", lambda match: f" {_VULGAR[match.group()]}"),
    (rf"(?:\b(\d+) +)?(?<![\d/.,])(\d+)/(\d+)(?![\d/])(?: ?(?P<unit>{any_of(_UNITS)})(?![\w/]))?", _fraction),
    (r"\b(\d{1,15})(?:st|nd|rd|th)\b", lambda match: ordinal(int(match[1]))),
    (r"\b(\d+):(\d+)\b", r"\1 to \2"),
    # Arithmetic.
    (r"(?<=\d)[xX](?=\d)", " by "),
    (r"(?<=\d)x\b", " times"),
    (r"²", " squared"),
    (r"³", " cubed"),
    # Years have no comma; sums have signs around them.
    (r"(?<=[A-Za-z])-?(?=\d)|(?<=\d)(?=[A-Za-z])", " "),
    (
        r"(?<![+*/=×÷^-] )(?<![.,\d+*/=×÷^-])(?:1[1-9]\d\d|20[1-9]\d)(?![.,]?\d| ?[+*/=×÷^-])",
        lambda match: year(int(match.group())),
    ),
    (_N, lambda match: in_words(match.group())),
    (r"\.(?=\w)", " point "),
)
