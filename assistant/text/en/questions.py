"""What kind of question a sentence is: who may answer it, and how far a model's memory can be trusted with it.

Judged by the words alone, so it costs microseconds and can be asked about half a sentence. Pure.
"""

from __future__ import annotations

import re
from typing import Literal, TypeAlias

Kind: TypeAlias = Literal[
    "talk", "define", "date", "who", "number", "other", "emergency", "advice", "unable", "half"
]
"""talk: no fact is asked for. define to other: knowledge. emergency and advice (health, poison, medicine,
fire, electricity, law): nothing that a model's memory should answer. unable: it needs the network, a telephone
or the like. half: "and his wife?", which says nothing by itself."""

KNOWLEDGE: frozenset[Kind] = frozenset({"define", "date", "who", "number", "other", "half"})

Lack: TypeAlias = Literal["weather", "calls", "shopping", "news", "music", "calendar", "home", "web"]
"""What the assistant cannot do."""


def _words(text: str) -> re.Pattern[str]:
    return re.compile(rf"\b(?:{text})\b")


_EMERGENCY = _words(
    r"chest pains?|heart attack|(?:can ?not|can't|cannot|isn't|not|stopped) breath(?:e|ing)|unconscious|passed out"
    r"|overdosed?|been poisoned|poisoned|(?:swallowed|drank|ate|eaten|drunk) (?:\w+ ){0,3}(?:bleach|battery"
    r"|batteries|poison|detergent|cleaner|antifreeze|pills?|tablets?|berries|mushrooms?)|is choking|bleeding (?:a lot|"
    r"badly|heavily)|having a stroke|a stroke|(?:house|kitchen|car|oven|stove|pan|room|flat|toaster) is on fire"
    r"|there(?:'s| is) a fire|grease fire|smell (?:\w+ )?gas|gas leak|carbon monoxide|electrocuted|electric shock|kill myself"
    r"|suicid\w*|want to die|seizure|anaphyla\w*"
)

_ADVICE = _words(
    r"poison(?:ous|ing)?|toxic|dos(?:e|age)s?|(?:medicine|medication|pill|painkiller|antibiotic|vaccine|symptom)s?"
    r"|ibuprofen|paracetamol|acetaminophen|aspirin|tylenol|insulin|warfarin|statins?|antidepressants?"
    r"|milligrams?|mg|side effects?|prescription|diagnos\w+|infect(?:ed|ion)|rash|fever|pregnan\w+|miscarriage"
    r"|blood pressure|diabet\w+|asthma|concussion|sprain(?:ed)?|burns?|burnt|wounds?|choke|cpr|first aid|allergic"
    r"|(?:tooth|head|stomach|belly|back)aches?"
    r"|(?:dogs?|cats?|pupp(?:y|ies)|kittens?|bab(?:y|ies)|toddlers?|rabbits?|hamsters?|horses?|parrots?|pets?|child|children|kids?)"
    r"(?: \w+)? (?:eat|drink|lick|swallow|chew)|(?:feed|give) (?:my|a|the|your) (?:dog|cat|baby|puppy|kitten|rabbit|hamster)"
    r"|safe to (?:eat|drink|mix|take|touch|use|leave|plug|give|swallow|breathe|refreeze|reheat)|(?:mix|mixed|mixing) bleach|bleach and"
    r"|wir(?:e|ing) (?:a|an|the|my|up)|rewire|fuse ?box|circuit breaker|live wire|plug socket|breaker panel|power outlet"
    r"|put out a fire|fire extinguisher|illegal|legal(?:ly)?|lawyer|sue|lawsuit|my rights|evict(?:ed|ion)|custody|tax evasion"
    r"|(?:my|your|the) (?:will|landlord|divorce)|against the law"
)

_HURTS = _words(r"(?:hurts?|aches?|swollen|bleeding|dizzy|numb|vomiting|throwing up|itches)")

_UNABLE: tuple[tuple[Lack, re.Pattern[str]], ...] = (
    (
        "weather",
        _words(
            r"weather|forecast|(?:will|going to|is|does) (?:it )?(?:be )?(?:rain|snow|storm|freeze|hail|raining|snowing"
            r"|sunny|cloudy|windy|foggy)(?: \w+)?|need (?:an umbrella|a (?:coat|jacket))|(?:how )?(?:hot|cold|warm) (?:is it |outside)"
            r"|(?:is it|will it be) (?:hot|cold|warm|sunny|cloudy|windy|nice|rainy|icy|humid)|temperature (?:outside|today|tomorrow)"
        ),
    ),
    (
        "calls",
        re.compile(
            r"^(?:(?:can|could|will) you |please )*(?:call|phone|ring|dial|text|message|whatsapp|e-?mail|send)"
            r" (?!it\b|that\b|this\b)(?:a |an |my |the |to )*\w+"
        ),
    ),
    (
        "shopping",
        re.compile(
            r"^(?:(?:can|could|will) you |please |i want to )*(?:order|buy|purchase|book|reserve) (?:me )?\w+"
        ),
    ),
    (
        "news",
        _words(
            r"(?:the|today's|latest) (?:news|headlines)|stock (?:price|market)s?|share price|exchange rate"
            r"|(?:won|score of|score in|win) (?:the |last |yesterday's |tonight's )?(?:game|match)(?: last night| yesterday| today)?"
            r"|traffic (?:like|report|on)|how(?:'s| is) (?:the )?traffic"
        ),
    ),
    (
        "music",
        re.compile(
            r"^(?:(?:can|could|will) you |please )*(?:play|put on|stream) (?:me |some |the |a |any )*"
            r"(?!games?\b|cards\b|chess\b|with\b)\w+|^turn on the (?:radio|music)"
        ),
    ),
    (
        "calendar",
        _words(
            r"my (?:calendar|appointments?|schedule|meetings?|emails?|messages|mail|inbox)|next (?:appointment|meeting)"
        ),
    ),
    (
        "home",
        re.compile(
            r"^(?:(?:can|could|will) you |please )*(?:turn|switch|dim|open|close|shut|lock|unlock|start|raise|lower)"
            r" (?:(?:on|off|up|down) )?(?:the|all|my|every)\b (?!timer|alarm|volume|voice)\w+"
        ),
    ),
    (
        "web",
        _words(
            r"(?:search (?:the web|online|for)|look up|internet|website|browse|open (?:youtube|netflix|spotify))"
        ),
    ),
)

_DEFINE = re.compile(
    r"\b(?:define|definition|describe|meaning|opposite|antonym|synonym|plural|spell(?:ed)?|means?\b(?! of))"
    r"|^(?:please )?(?:what|what's|whats) (?:is |are |does )?(?:an? )?[\w-]+(?: mean)?\??$"
    r"|^(?:what|what's|whats) (?:is |are )?an? "
)
_DATE = _words(
    r"when|what (?:year|date|day|century|decade|time)|(?:in|on) (?:which|what) (?:year|day|date|century)|birthday|date of"
    r"|born|how old|(?:my|his|her|its|their|the) age|age of|how long ago|since when|died?|death of"
)
_WHO = _words(
    r"who|who's|whose|whom|played|plays|sings?|sang|wrote|author|actors?|starr?(?:s|ed|ing)|directed|which (?:player|team|actor|singer)"
)
_NUMBER = _words(
    r"how (?:many|much|far|big|tall|long|high|deep|large|heavy|hot|cold|fast|wide|thick|often|close|small|loud)|population"
    r"|distance|height|length|weight|speed|number of|percent(?:age)?|(?:square )?(?:miles|kilometers) (?:is|are)|area code|zip code"
    r"|temperature|price|cost|salary|net worth|what number"
)
_HALF = re.compile(
    r"^(?:(?:and|but|or|what about|how about)\b.{1,40}|why(?: not| is that| so)?|how so|really|are you sure|since when|how many|when|where)$"
)

_ASKS = re.compile(
    r"^(?:so |well |okay |ok |hey |um |uh |please |and |but |then |(?:can|could|will|would) you (?:please )?|do you know |remind me |i (?:want|would like|'d like) to know |i wonder )*"
    r"(?:(?:what|which|who|whom|whose|when|where|why|how)(?:'s|'re|s)?\b|(?:is|are|was|were|does|do|did|has|have|had|can|could|should|will|would) (?!you\b|i\b|we\b)"
    r"|can i\b|should i\b|do i\b|in (?:what|which)\b|on (?:what|which)\b|at what\b|for how\b|from (?:what|which)\b"
    r"|define|describe|explain|summari[sz]e|name\b|list\b|spell|tell me (?:about|what|who|when|where|how|why|the|something about|if|more)"
    r"|give (?:me )?(?:information|info|details|facts|the)|(?:the )?(?:definition|meaning|capital|population|opposite|plural) of|teach me|convert)"
)
_ASKS_LATE = re.compile(
    r"^(?!i\b|my\b|we\b|he\b|she\b|tell\b|let\b|write\b)\w.* (?:what|which|whose|who) \w+|\b(?:definition|meaning|capital|population) of\b"
)
_TO_THE_ASSISTANT = re.compile(
    r"^(?:so |well |okay |hey |and )*(?:(?:what|where|when|who|how|why|which)(?:'s|'re)? ?(?:\w+ )?(?:you|your)\b"
    r"|(?:are|do|did|can|could|will|would|have|shall|should|may|were|is|am) (?:you|your|we|i)\b)"
    r"|\b(?:joke|riddle|limerick)\b|^(?:tell|read|sing|write|say|make) (?:me |us )?(?:a|an|another|some)\b"
    r"|^(?:what|which|how) (?:should|shall|can|could|do|would) (?:i|we) "
    r"(?:wear|do|say|eat|cook for|have for|name|watch|play)\b"
    r"|\bmy (?:name|favou?rite|day|mood|birthday|wife|husband|friend|boss|mother|mom|father|dad|sister|brother)\b"
    r"|^(?:how's it going|what's up|what's new|whats up|how are things|who's there|who is there|what now|what next|how come|what)\W*$"
)
_ASKED_TO_TELL = re.compile(
    r"^(?:(?:can|could|will|would) you (?:please )?(?:tell|explain|describe|give|define|name|list|spell|say)|do you know|what do you know about|tell)\b"
)


def kind(text: str) -> Kind:
    """The kind of a question as it was said, in any spelling."""
    said = " ".join(re.sub(r"[^\w' -]", " ", text.lower().replace("’", "'")).split())
    if _EMERGENCY.search(said) and not re.match(r"(?:define|what does|what is the meaning)", said):
        return "emergency"
    if (
        not re.match(r"(?:write|read|add|sing|make up)\b", said)
        and (_ADVICE.search(said) or (_HURTS.search(said) and " my " in f" {said} "))
        and not _is_history(said)
    ):
        return "advice"
    if lack(text):
        return "unable"
    if _HALF.match(said):
        return "half"
    asked = _ASKED_TO_TELL.sub("", said).strip()
    if _TO_THE_ASSISTANT.search(asked) or not (_ASKS.match(said) or _ASKS_LATE.search(said)):
        return "talk"
    if _DEFINE.search(said):
        return "define"
    for pattern, found in ((_DATE, "date"), (_WHO, "who"), (_NUMBER, "number")):
        if pattern.search(said):
            return found  # type: ignore[return-value]
    return "other"


def lack(text: str) -> Lack | None:
    """What the assistant would need for this and has not, if it is one of those that people ask for most."""
    said = " ".join(re.sub(r"[^\w' -]", " ", text.lower().replace("’", "'")).split())
    return next((name for name, pattern in _UNABLE if pattern.search(said)), None)


def _is_history(said: str) -> bool:
    """About people, works or words, not about what to do."""
    return bool(
        re.match(
            r"(?:define|spell|who|when|what does \w+ mean|what is the (?:meaning|definition|plural|opposite))\b",
            said,
        )
    )
