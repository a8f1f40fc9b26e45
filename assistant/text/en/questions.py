"""Classifies questions: who may answer, and how far a model's memory is to be trusted.

Uses only the words, so it takes microseconds and works on half a sentence. Pure.
"""

from __future__ import annotations

import re
from typing import Literal, TypeAlias

Kind: TypeAlias = Literal[
    "talk", "define", "date", "who", "number", "other", "half", "emergency", "advice", "unable"
]
"""talk: asks for no fact. define to other: knowledge. half: "and his wife?", which means nothing alone.
emergency and advice (health, poison, medicine, fire, electricity, law): must not be answered from a
model's memory. unable: it needs the network, a telephone or the like.
"""

KNOWLEDGE: frozenset[Kind] = frozenset({"define", "date", "who", "number", "other", "half"})

Lack: TypeAlias = Literal["weather", "calls", "shopping", "news", "music", "calendar", "home", "web"]
"""What the assistant cannot do."""


def _words(*choices: str) -> re.Pattern[str]:
    return re.compile(rf"\b(?:{'|'.join(choices)})\b")


def _begins(*choices: str) -> re.Pattern[str]:
    return re.compile(rf"^(?:{'|'.join(choices)})")


_EMERGENCY = _words(
    "chest pains?",
    "heart attack",
    "having a stroke|a stroke|seizure|anaphyla\\w*",
    "(?:can ?not|can't|isn't|not|stopped) breath(?:e|ing)",
    "unconscious|passed out|is choking",
    "overdosed?|(?:been )?poisoned",
    "(?:swallowed|drank|ate|eaten|drunk) (?:\\w+ ){0,3}(?:bleach|batter(?:y|ies)|poison|detergent|cleaner"
    "|antifreeze|pills?|tablets?|berries|mushrooms?)",
    "bleeding (?:a lot|badly|heavily)",
    "(?:house|kitchen|car|oven|stove|pan|room|flat|toaster) is on fire",
    "there(?:'s| is) a fire|grease fire",
    "smell (?:\\w+ )?gas|gas leak|carbon monoxide",
    "electrocuted|electric shock",
    "(?:kill|hurt|harm|cut)(?:ing)? myself|suicid\\w*|want to die|wanna die|wish i (?:was|were) dead",
    "end(?:ing)? (?:my (?:own )?life|it all)|(?:don't|do not) want to live|self[- ]harm\\w*",
)
_PETS = "dogs?|cats?|pupp(?:y|ies)|kittens?|rabbits?|hamsters?|horses?|parrots?|pets?"
_SMALL = "bab(?:y|ies)|toddlers?|child|children|kids?"
_ADVICE = _words(
    "poison(?:ous|ing)?|toxic",
    "dos(?:e|age)s?|milligrams?|mg|side effects?|prescription|diagnos\\w+",
    "(?:medicine|medication|pill|painkiller|antibiotic|vaccine|symptom|statin|antidepressant)s?",
    "ibuprofen|paracetamol|acetaminophen|aspirin|tylenol|insulin|warfarin",
    "infect(?:ed|ion)|rash|fever|pregnan\\w+|miscarriage|blood pressure|diabet\\w+|asthma|concussion",
    "sprain(?:ed)?|burns?|burnt|wounds?|choke|cpr|first aid|allergic",
    "(?:tooth|head|stomach|belly|back)aches?",
    rf"(?:{_PETS}|{_SMALL})(?: \w+)? (?:eat|drink|lick|swallow|chew)",
    rf"(?:feed|give) (?:my|a|the|your) (?:{_PETS}|{_SMALL})",
    "safe to (?:eat|drink|mix|take|touch|use|leave|plug|give|swallow|breathe|refreeze|reheat)",
    "mix(?:ed|ing)? bleach|bleach and",
    "wir(?:e|ing) (?:an?|the|my|up)|rewire|fuse ?box|circuit breaker|live wire|plug socket|breaker panel",
    "put out a fire|fire extinguisher",
    "illegal|legal(?:ly)?|lawyer|sue|lawsuit|my rights|evict(?:ed|ion)|custody|tax evasion|against the law",
    "(?:my|your|the) (?:will|landlord|divorce)",
)
_HURTS = _words(r"my .*(?:hurts?|aches?|swollen|bleeding|dizzy|numb|vomiting|throwing up|itches)")
_ABOUT_WORDS_OR_PEOPLE = _begins(
    "define",
    "spell",
    "who",
    "when",
    r"what does \w+ mean",
    "what is the (?:meaning|definition|plural|opposite)",
)
_ASKED_TO_WRITE = _begins("write", "read", "add", "sing", "make up")

_POLITE = "(?:(?:can|could|will) you |please |i want to )*"
_UNABLE: tuple[tuple[Lack, re.Pattern[str]], ...] = (
    (
        "weather",
        _words(
            "weather|forecast",
            "(?:will|going to|is|does) (?:it )?(?:be )?(?:rain|snow|storm|freeze|hail)(?:ing)?",
            "(?:is it|will it be) (?:hot|cold|warm|sunny|cloudy|windy|foggy|nice|rainy|icy|humid)",
            "need (?:an umbrella|a coat|a jacket)",
            "(?:hot|cold|warm) (?:is it )?outside|temperature (?:outside|today|tomorrow)",
        ),
    ),
    (
        "calls",
        _begins(
            rf"{_POLITE}(?:call|phone|ring|dial|text|message|whatsapp|e-?mail|send)"
            r" (?!it\b|that\b|this\b)(?:a |an |my |the |to )*\w+"
        ),
    ),
    ("shopping", _begins(rf"{_POLITE}(?:order|buy|purchase|book|reserve) (?:me )?\w+")),
    (
        "news",
        _words(
            "(?:the|today's|latest) (?:news|headlines)",
            "(?:stock|share) (?:price|market)s?|exchange rate",
            "(?:won|score of|score in|win) (?:the |last |yesterday's |tonight's )?(?:game|match)",
            "traffic (?:like|report|on)|how(?:'s| is) (?:the )?traffic",
        ),
    ),
    (
        "music",
        _begins(
            rf"{_POLITE}(?:play|put on|stream) (?:me |some |the |any )*(?!(?:games?|cards|chess|with)\b)\w+",
            "turn on the (?:radio|music)",
        ),
    ),
    (
        "calendar",
        _words(
            "my (?:calendar|appointments?|schedule|meetings?|emails?|messages|mail|inbox)",
            "next (?:appointment|meeting)",
        ),
    ),
    (
        "home",
        _begins(
            rf"{_POLITE}(?:turn|switch|dim|open|close|shut|lock|unlock|start|raise|lower)"
            r" (?:(?:on|off|up|down) )?(?:the|all|my|every)\b (?!timer|alarm|volume|voice)\w+"
        ),
    ),
    (
        "web",
        _words(
            "search (?:the web|online|for)|look up|internet|website|browse",
            "open (?:youtube|netflix|spotify)",
        ),
    ),
)

_DEFINE = re.compile(
    r"\b(?:define|definition|describe|meaning|opposite|antonym|synonym|plural|spell(?:ed)?|means?\b(?! of))"
    r"|^(?:please )?(?:what|what's|whats) (?:is |are |does )?(?:an? )?[\w-]+(?: mean)?$"
    r"|^(?:what|what's|whats) (?:is |are )?an? "
)
_DATE = _words(
    "when|since when|how long ago",
    "what (?:year|date|day|century|decade|time)|(?:in|on) (?:which|what) (?:year|day|date|century)",
    "birthday|date of|born|died?|death of",
    "how old|(?:my|his|her|its|their|the) age|age of",
)
_WHO = _words(
    "who|who's|whose|whom|author|actors?|which (?:player|team|actor|singer)",
    "played|plays|sings?|sang|wrote|starr?(?:s|ed|ing)|directed",
)
_NUMBER = _words(
    "how (?:many|much|far|big|tall|long|high|deep|large|heavy|hot|cold|fast|wide|thick|often|close|small)",
    "population|distance|height|length|weight|speed|temperature|price|cost|salary|net worth",
    "number of|what number|percent(?:age)?|(?:square )?(?:miles|kilometers) (?:is|are)|area code|zip code",
)
_HALF = re.compile(
    r"^(?:(?:and|but|or|what about|how about)\b.{1,40}|why(?: not| is that| so)?|how so|really|are you sure"
    r"|since when|how many|when|where)$"
)

_AUXILIARY = "(?:is|are|was|were|does|do|did|has|have|had|can|could|should|will|would)"
_ASKS = _begins(
    "(?:so |well |okay |ok |hey |um |uh |please |and |but |then |(?:can|could|will|would) you (?:please )?"
    "|do you know |remind me |i (?:want|would like|'d like) to know |i wonder )*"
    r"(?:(?:what|which|who|whom|whose|when|where|why|how)(?:'s|'re|s)?\b"
    rf"|{_AUXILIARY} (?!you\b|i\b|we\b)|(?:can|should|do) i\b|(?:in|on|at|from) (?:what|which)\b|for how\b"
    r"|define|describe|explain|summari[sz]e|name\b|list\b|spell|teach me|convert"
    r"|tell me (?:about|what|who|when|where|how|why|the|something about|if|more)"
    "|give (?:me )?(?:information|info|details|facts|the)"
    "|(?:the )?(?:definition|meaning|capital|population|opposite|plural) of)"
)
_ASKS_LATE = re.compile(
    r"^(?!(?:i|my|we|he|she|tell|let|write)\b)\w.* (?:what|which|whose|who) \w+"
    r"|\b(?:definition|meaning|capital|population) of\b"
)
_TO_THE_ASSISTANT = re.compile(
    r"^(?:so |well |okay |hey |and )*(?:(?:what|where|when|who|how|why|which)(?:'s|'re)?"
    r" ?(?:\w+ )?(?:you|your)\b"
    r"|(?:are|do|did|can|could|will|would|have|shall|should|may|were|is|am) (?:you|your|we|i)\b)"
    r"|\b(?:joke|riddle|limerick)\b|^(?:tell|read|sing|write|say|make) (?:me |us )?(?:a|an|another|some)\b"
    r"|^(?:what|which|how) (?:should|shall|can|could|do|would) (?:i|we)"
    r" (?:wear|do|say|eat|cook for|have for|name|watch|play)\b"
    r"|\bmy (?:name|favou?rite|day|mood|birthday|wife|husband|friend|boss|mother|mom|father|dad|sister"
    r"|brother)\b"
    r"|^(?:how's it going|what'?s up|what's new|how are things|who(?:'s| is) there|what now|what next"
    r"|how come)\W*$"
)
_ASKED_TO_TELL = _begins(
    "(?:can|could|will|would) you (?:please )?(?:tell|explain|describe|give|define|name|list|spell|say)\\b",
    "do you know\\b|what do you know about\\b|tell\\b",
)


def kind(text: str) -> Kind:
    """Return the kind of a question, in any spelling."""
    said = _bare(text)
    if special := _dangerous(said):
        return special
    if lack(text):
        return "unable"
    if _HALF.match(said):
        return "half"
    asked = _ASKED_TO_TELL.sub("", said).strip()
    if _TO_THE_ASSISTANT.search(asked) or not (_ASKS.match(said) or _ASKS_LATE.search(said)):
        return "talk"
    found: Kind = "other"
    kinds: tuple[tuple[Kind, re.Pattern[str]], ...] = (
        ("number", _NUMBER),
        ("who", _WHO),
        ("date", _DATE),
        ("define", _DEFINE),
    )
    for name, pattern in kinds:
        if pattern.search(said):
            found = name
    return found


def lack(text: str) -> Lack | None:
    """Return what the assistant lacks for this request, among common ones."""
    said = _bare(text)
    return next((name for name, pattern in _UNABLE if pattern.search(said)), None)


def _dangerous(said: str) -> Kind | None:
    if _ABOUT_WORDS_OR_PEOPLE.match(said) or _ASKED_TO_WRITE.match(said):
        return None
    if _EMERGENCY.search(said):
        return "emergency"
    return "advice" if _ADVICE.search(said) or _HURTS.search(said) else None


def _bare(text: str) -> str:
    return " ".join(
        re.sub(r"[^\w' -]", " ", text.lower().replace("\N{RIGHT SINGLE QUOTATION MARK}", "'")).split()
    )
