"""Emergencies, poison and food that is dangerous for pets: from named sources, and never from a model.

If the tables have no answer, this still says whom to ask.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from assistant.knowledge.contract import Fact, Lookup
from assistant.text.en import wording
from assistant.text.en.words import Word, keys

EU = "the European Commission (112)"
ASPCA = "the ASPCA's list of people foods to avoid feeding your pets"
AKC = "the American Kennel Club"
NOBODY = "nobody: no table of mine has it"
RED_CROSS = "the American Red Cross"
NHS = "the NHS"

_EMERGENCY: Mapping[str, tuple[str, str]] = {
    **dict.fromkeys(
        (
            "AT", "BE", "BG", "CY", "CZ", "DE", "DK", "EE", "ES", "FI", "FR", "GR", "HR", "HU", "IE", "IT",
            "LT", "LU", "LV", "MT", "NL", "PL", "PT", "RO", "SE", "SI", "SK",
        ),
        ("112", EU),
    ),
    "US": ("911", "the FCC"), "CA": ("911", "the CRTC"), "MX": ("911", "Mexico's government"),
    "GB": ("999", "Ofcom"), "AU": ("000", "Australia's government"), "NZ": ("111", "New Zealand's police"),
    "IS": ("112", "Iceland's 112"), "CH": ("112", "Switzerland's police"), "NO": ("112", "Norway's police"),
    "LI": ("112", "Liechtenstein's police"), "IN": ("112", "India's ERSS"),
    "TR": ("112", "Turkey's government"),
}  # fmt: skip
_POISON: Mapping[str, tuple[str, str]] = {
    "US": ("1 800 222 1222", "Poison Control"),
    "GB": ("111", NHS),
    "DE": ("0 30 1 92 40", "Giftnotruf der Charité"),
    "AT": ("01 406 43 43", "Vergiftungsinformationszentrale"),
    "CH": ("145", "Tox Info Suisse"),
    "AU": ("13 11 26", "Poisons Information Centre"),
    "NZ": ("0800 764 766", "National Poisons Centre"),
    "CA": ("1 844 764 7669", "Poison Centres Canada"),
}
_PETS = {"dog": "dogs", "cat": "cats", "puppy": "dogs", "kitten": "cats"}
_HARMFUL: Mapping[str, str] = {
    "chocolate": "it holds theobromine and caffeine, which are poisonous to them",
    "coffee": "caffeine is poisonous to them",
    "caffeine": "it is poisonous to them",
    "grape": "grapes can make their kidneys fail",
    "raisin": "raisins can make their kidneys fail",
    "onion": "onions damage their red blood cells",
    "garlic": "garlic damages their red blood cells",
    "chive": "chives damage their red blood cells",
    "macadamia nut": "macadamia nuts cause weakness, vomiting and tremors",
    "macadamia": "macadamia nuts cause weakness, vomiting and tremors",
    "xylitol": "it can make their liver fail",
    "avocado": "it can make them vomit",
    "alcohol": "it can be deadly to them",
    "beer": "alcohol can be deadly to them",
    "wine": "alcohol can be deadly to them",
    "yeast dough": "it rises in their stomach and makes alcohol",
    "raw dough": "it rises in their stomach and makes alcohol",
}
_HARMLESS: Mapping[str, str] = {
    "carrot": "in small pieces",
    "apple": "without seeds and core",
    "blueberry": "a few at a time",
    "banana": "a few slices, as it is sweet",
    "watermelon": "without seeds and rind",
    "strawberry": "a few, as they are sweet",
    "pumpkin": "plain and cooked",
    "rice": "plain and cooked",
    "cucumber": "plain",
    "green bean": "plain",
}
"""For dogs."""


@dataclass(frozen=True, slots=True)
class Advice:
    """First aid in a few words."""

    text: str
    source: str
    urgent: bool = False
    """True if calling for help comes first."""


_FIRST_AID: Mapping[str, Advice] = {
    "burn": Advice(
        "Cool the burn under cool running water for twenty minutes. Don't use "
        "ice, butter or cream. Get help if it is larger than your hand, on the "
        "face, or blistered.",
        NHS,
    ),
    "nosebleed": Advice(
        "Sit up, lean forward, and pinch the soft part of the nose for ten to fifteen minutes while "
        "breathing through the mouth.",
        NHS,
    ),
    "cut": Advice(
        "Press on the cut with a clean cloth until it stops bleeding, then rinse it with clean water and "
        "cover it. Get help if it keeps bleeding after ten minutes.",
        NHS,
    ),
    "choking": Advice(
        "Give five blows between the shoulder blades, then five thrusts to the belly, and repeat. Give "
        "babies under one year chest thrusts instead.",
        RED_CROSS,
        urgent=True,
    ),
    "cpr": Advice(
        "Push hard and fast in the middle of the chest, 100 to 120 times a "
        "minute and two inches deep, until help comes.",
        RED_CROSS,
        urgent=True,
    ),
    "stroke": Advice(
        "Signs of a stroke are a drooping face, an arm that cannot be lifted, and slurred speech.",
        NHS,
        urgent=True,
    ),
    "heart attack": Advice(
        "Signs of a heart attack are pressure in the chest, pain in the arm, jaw or back, sweating, and "
        "shortness of breath. Sit down and rest.",
        NHS,
        urgent=True,
    ),
    "gas": Advice(
        "Leave the house at once. Touch no switch, light nothing, and call from outside.",
        "Ready.gov",
        urgent=True,
    ),
    "grease fire": Advice(
        "Turn the heat off and put a lid on the pan. Never use water.",
        "the US Fire Administration",
        urgent=True,
    ),
    "electric shock": Advice("Do not touch them until the power is off.", RED_CROSS, urgent=True),
    "bee sting": Advice(
        "Scrape the stinger out, wash the place, and cool it. Trouble with breathing is an emergency.", NHS
    ),
}
_POISONS = frozenset(
    (
        "bleach", "detergent", "battery", "batteries", "pill", "pills", "medicine", "medication",
        "tablets", "mushroom", "mushrooms", "berries", "plant", "leaves", "cleaner", "gasoline",
        "petrol", "antifreeze", "magnet", "magnets", "coin", "cigarette", "cigarettes", "nicotine",
        "poison", "shampoo", "soap", "remover", "perfume", "sanitizer", "disinfectant", "ammonia",
        "acid", "glue", "paint", "thinner", "lighter", "pesticide", "fertilizer", "toadstool",
        "mercury", "overdose", "ibuprofen", "aspirin", "paracetamol", "acetaminophen", "drugs",
    )
)  # fmt: skip
_NAMES = {
    "burns": "burn", "scald": "burn", "burned": "burn", "burnt": "burn", "nose bleed": "nosebleed",
    "bleeding nose": "nosebleed", "bloody nose": "nosebleed", "cuts": "cut", "wound": "cut",
    "resuscitation": "cpr", "cardiac arrest": "cpr", "smell gas": "gas", "gas leak": "gas",
    "smell of gas": "gas", "strokes": "stroke", "fire in a pan": "grease fire", "oil fire": "grease fire",
    "pan fire": "grease fire", "kitchen fire": "grease fire", "wasp sting": "bee sting",
    "electrocution": "electric shock", "heart attacks": "heart attack", "grease fires": "grease fire",
    "bee stings": "bee sting", "nosebleeds": "nosebleed",
}  # fmt: skip


class Safety:
    """The topic."""

    def __init__(self, country: str | None) -> None:
        self._country = country or ""
        self.readers = {
            "pet": _read_pet,
            "food": _read_food,
            "injury": _read_injury,
            "poison": _read_poison,
        }

    def lookups(self) -> Iterable[Lookup]:
        return (
            self.may_pet_eat, self.emergency_number, self.swallowed, self.pet_swallowed, self.first_aid,
            self.medicine,
        )  # fmt: skip

    def may_pet_eat(self, pet: str, food: str) -> Fact | None:
        if reason := _HARMFUL.get(_singular(food)):
            return Fact(f"No, {pet} must not eat {food}: {reason}. If one did, call a vet.", ASPCA)
        how = _HARMLESS.get(_singular(food))
        if how and pet == "dogs":
            return Fact(f"Yes, dogs may eat {food}, {how}.", AKC)
        return Fact(f"I don't know whether {pet} may eat {food}. Ask a vet first.", NOBODY)

    def emergency_number(self) -> Fact | None:
        number = _EMERGENCY.get(self._country)
        if number is None:
            return Fact(
                "I don't know the emergency number here. Set place.country in the settings. In Europe it is "
                "112, in North America 911.",
                EU,
            )
        return Fact(f"The emergency number is {' '.join(number[0])}. I can't call it for you.", number[1])

    def swallowed(self, poison: str = "") -> Fact | None:  # noqa: ARG002 - what it was does not matter
        """Answer that someone swallowed something that may be poisonous."""
        center = _POISON.get(self._country)
        urgent = self._call("If somebody is unconscious or has trouble breathing,")
        whom = f"{center[1]} now: {center[0]}" if center else "a poison center or a doctor now"
        return Fact(f"Call {whom}. Don't make anyone vomit. {urgent}", center[1] if center else NHS)

    def pet_swallowed(self, poison: str = "") -> Fact | None:  # noqa: ARG002 - as in swallowed
        return Fact("Call a vet now, and say what it ate and how much. Don't make it vomit.", ASPCA)

    def first_aid(self, injury: str) -> Fact | None:
        advice = _FIRST_AID[injury]
        return Fact(f"{self._call() + ' ' if advice.urgent else ''}{advice.text}", advice.source)

    def medicine(self) -> Fact | None:
        """Answer without doses, and without advice about combining medicines."""
        return Fact(
            "I can't give advice on medicines. Ask a pharmacist or a doctor, or read the package insert.",
            NOBODY,
        )

    def _call(self, when: str = "") -> str:
        number = _EMERGENCY.get(self._country)
        whom = " ".join(number[0]) if number else "the emergency number"
        return wording.capital(f"{when} call {whom}.".strip())


def _read_pet(words: Sequence[Word]) -> str | None:
    name = " ".join(key for key in keys(words) if key not in {"a", "my", "our", "the"})
    return _PETS.get(name) or (name if name in _PETS.values() else _PETS.get(name.removesuffix("s")))


def _read_food(words: Sequence[Word]) -> str | None:
    if not 0 < len(words) <= 4:
        return None
    name = [key for key in keys(words) if key not in {"a", "an", "some", "the", "any"}]
    return " ".join(name) or None


def _singular(food: str) -> str:
    if food in _HARMFUL or food in _HARMLESS:
        return food
    for ending, base in (("ies", "y"), ("es", ""), ("s", "")):
        if food.endswith(ending) and food.removesuffix(ending) + base in {*_HARMFUL, *_HARMLESS}:
            return food.removesuffix(ending) + base
    return food


def _read_poison(words: Sequence[Word]) -> str | None:
    """Parse words that name something nobody should eat."""
    found = next((key for key in keys(words) if key in _POISONS or _singular(key) in _HARMFUL), None)
    return found if len(words) <= 6 else None


def _read_injury(words: Sequence[Word]) -> str | None:
    name = " ".join(key for key in keys(words) if key not in {"a", "an", "the", "my", "small", "minor"})
    name = _NAMES.get(name, name)
    return name if name in _FIRST_AID else None
