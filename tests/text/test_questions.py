"""What kind of question a sentence is, by its words alone."""

from __future__ import annotations

import pytest

from assistant.text.en.questions import KNOWLEDGE, kind, lack

KINDS = {
    "define": [
        "Define swerving.",
        "what does situation mean",
        "What is the opposite of generous?",
        "what is a rotor",
    ],
    "date": ["When did the Titanic sink?", "how old is Tom Hanks", "What year was Mozart born?"],
    "who": ["Who wrote Hamlet?", "remind me who wrote Hamlet", "who played Lex Luthor"],
    "number": [
        "How many legs does a dog have?",
        "How far away is the moon?",
        "do you know how many legs a spider has",
    ],
    "other": [
        "What is the capital of Peru?",
        "why is the sky blue",
        "Is a tomato a fruit?",
        "List the planets.",
    ],
    "half": ["And his wife?", "What about Germany?", "Why?"],
    "talk": [
        *(
            "Hello.",
            "Thank you.",
            "Tell me a joke.",
            "How are you today?",
            "I am bored.",
            "What is your name?",
        ),
        *(
            "Tell me a story about a dragon.",
            "What should I wear?",
            "Do you like music?",
            "Sing me a song.",
            "",
        ),
        "Write a note to my landlord about the heating.",
    ],
    "advice": [
        *(
            "Can dogs eat chocolate?",
            "How much ibuprofen can I take?",
            "is it safe to mix bleach and vinegar",
        ),
        *(
            "How do I treat a burn?",
            "my head hurts",
            "Is it legal to record a call?",
            "How do I rewire a lamp?",
        ),
    ],
    "emergency": [
        "I feel like killing myself",
        "I want to hurt myself",
        "I want to end my life",
        "I don't want to live any more",
        *(
            "My baby swallowed a battery.",
            "I have chest pain.",
            "what should I do if I smell gas",
            "the pan is on fire",
        ),
        "He isn't breathing!",
    ],
    "unable": [
        "Will it rain tomorrow?",
        "Call mom.",
        "order a pizza",
        "Play some jazz.",
        "Turn on the lights.",
    ],
}


@pytest.mark.parametrize(("wanted", "said"), [(name, said) for name, some in KINDS.items() for said in some])
def test_each_sentence_is_of_its_kind(wanted: str, said: str) -> None:
    assert kind(said) == wanted


@pytest.mark.parametrize("said", ["Who discovered penicillin?", "When did the great fire of London happen?"])
def test_history_is_no_advice(said: str) -> None:
    assert kind(said) in KNOWLEDGE


def test_what_is_lacking() -> None:
    assert [
        lack(said) for said in ("Is it cold outside?", "call the doctor", "Buy milk.", "What is a poem?")
    ] == [
        "weather",
        "calls",
        "shopping",
        None,
    ]


def test_long_text_takes_no_time() -> None:
    assert kind("is is is " * 5000) == "other"
