"""Skills answer before the language model is asked: fast, the same every time, and never wrong on purpose.

A skill is a plain function. Its name is what sentences in ``config/intents`` call it by, its
docstring says what it does, and its parameters are either filled by the words of the sentence
(their types say how, see ``slot_types``) or, when named like a field of ``SkillContext``, given
to it. It returns what to say::

    def flip_coin(random: Random) -> str:
        "Flip a coin."
        return f"It's {random.choice(('heads', 'tails'))}."

One whose name begins with ``ask_`` asks for what is missing of a command. ``Skills.match`` is pure
and fast: it may be asked about half a sentence. Only ``Match.run`` has effects. Nothing here knows
of engines, sound, the event loop or settings.
"""

from __future__ import annotations

import inspect
import logging
import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from functools import cached_property
from pathlib import Path
from types import ModuleType

from assistant.core.errors import SkillInvalid
from assistant.knowledge import Fact, Knowledge
from assistant.runtime import extensions
from assistant.skills import calls, slot_types, user_skills
from assistant.skills.builtin import (
    alarms,
    arithmetic,
    chance,
    control,
    lists,
    memory,
    reminders,
    time_and_date,
    timers,
    units,
)
from assistant.skills.builtin.ringing import announcement
from assistant.skills.contract import (
    GIVEN,
    Action,
    Agent,
    Forget,
    Mute,
    Outcome,
    Question,
    Repeat,
    SkillContext,
    Stop,
    Volume,
)
from assistant.skills.list_book import ListBook
from assistant.skills.match import Match, Skill, is_built_in, parameters_of
from assistant.skills.timer_book import Clocks, Timer, TimerBook
from assistant.text import pattern
from assistant.text.en.words import Word, keys, said, words
from assistant.text.intents import Intents, Slots, read
from assistant.text.matching import Fit, Matcher

__all__ = [
    "Action",
    "Agent",
    "Clocks",
    "Forget",
    "ListBook",
    "Match",
    "Mute",
    "Outcome",
    "Question",
    "Repeat",
    "SkillContext",
    "Skills",
    "Stop",
    "Timer",
    "TimerBook",
    "Volume",
    "announcement",
    "load",
]

log = logging.getLogger(__name__)

TOPICS: tuple[ModuleType, ...] = (
    time_and_date,
    timers,
    alarms,
    reminders,
    lists,
    memory,
    arithmetic,
    units,
    chance,
    control,
)
"""Modules of built-in skills."""

_ANSWERED_WITHIN = timedelta(seconds=60)
"""Anything said later is not an answer to the question."""


class Skills:
    """All skills with their sentences, and the knowledge tables, which have sentences too."""

    def __init__(
        self,
        functions: Mapping[str, Skill],
        intents: Intents,
        context: SkillContext,
        knowledge: Knowledge,
    ) -> None:
        self._functions = functions
        self._facts = intents.facts
        self._knowledge = knowledge
        self._context = context
        self._matcher = Matcher(intents)
        self._question: tuple[Question, datetime] | None = None

    def match(self, text: str) -> Match | None:
        """Return the skill that this sentence calls, or None. Has no effects; takes about a millisecond at
        most.

        After a skill has asked for something, words that answer it call that skill again.
        """
        found = self._match(text)
        if self._question is None:
            return found
        question, asked_at = self._question
        if found is not None and not (found.asks_back or self._matcher.is_value(text)):
            return found
        if self._context.now - asked_at > _ANSWERED_WITHIN:
            return found
        return self._answer(question, text) or found

    def _answer(self, question: Question, text: str) -> Match | None:
        """Return the command that ``text`` completes."""
        answer = self._matcher.bare(text) or words(text)  # elsewhere, "yes" is just politeness
        if question.words:
            answer = _without(_without(answer, ("the", "my"))[::-1], ("one", "ones", "please"))[::-1]
        if not answer or (question.words and not question.words.issuperset(keys(answer))):
            return None
        commands = [command.replace("...", said(answer)) for command in question.commands]
        completed = [match for command in commands if (match := self._match(command))]
        # An answer may leave another question: "When?" "On Monday." "At what time on Monday?"
        return next((match for match in completed if not match.asks_back), None) or (
            completed[0] if completed and self._matcher.is_value(text) else None
        )

    def _match(self, text: str) -> Match | None:
        """Return the first skill that fits; one that asks back only if no other fits."""
        asking = None
        for fit in self._matcher.fits(text):
            found = self._fitting(fit)
            if found and not found.asks_back:
                return found
            asking = asking or found
        return asking

    def _fitting(self, fit: Fit) -> Match | None:
        """Return what this sentence calls; None if the skill doesn't apply now, or no table has an answer."""
        name, arguments = fit.sentence.skill, fit.arguments
        if function := self._functions.get(name):
            if "ringing" in parameters_of(function) and not self._context.ringing:
                return None
            return Match(name, arguments, fit.ends_open, function, self._context, _asked=self._ask)
        fact = self._fact(name, arguments)
        if fact is None:
            return None
        return Match(
            name,
            arguments,
            ends_open=False,
            _skill=_nothing,
            _context=self._context,
            fact=fact,
            _asked=self._ask,
        )

    def _fact(self, name: str, arguments: Mapping[str, object]) -> Fact | None:
        if told := self._facts.get(name):
            return Fact(told.say, told.source)
        return self._knowledge.ask(name, arguments)

    def _ask(self, question: Question | None) -> None:
        self._question = (question, self._context.now) if question else None

    def model_answers(self) -> None:
        """Note that the last answer came from the language model ("how do you know?")."""
        self._context.source.is_model = True

    def agent_answers(self, agent: Agent) -> None:
        """Note that the last answer came from the agent: "Home Assistant"."""
        source = self._context.source
        source.name, source.is_model = agent.name.replace("_", " ").title(), False

    def last_word(self, text: str) -> Match | None:
        """Match the last of several sentences if it is about the answer itself: "How old is he? Never mind."

        This lets users change their mind before there is an answer.
        """
        *before, last = re.split(r"(?<=[.!?])\s+", text.strip())
        found = self.match(last) if before else None
        return found if found and found.is_control else None

    @cached_property
    def calls(self) -> Mapping[str, calls.Call]:
        """The skills that a language model may call: some built-in ones, and all of the owner's.

        Only those with a sentence in the current language.
        """
        offered = [
            function
            for name, function in self._functions.items()
            if name in self._matcher.called and (name in calls.EXAMPLES or not is_built_in(function))
        ]
        found = (calls.call_of(function) for function in offered)
        return {call.name: call for call in found if call}

    @cached_property
    def grammar(self) -> str:
        """Return the grammar of these calls as GBNF; empty if there are none."""
        return calls.grammar(list(self.calls.values())) if self.calls else ""

    @property
    def call_prompt(self) -> str:
        """Return paragraphs of a prompt that describe them to the model."""
        return calls.prompt(self.calls.values())

    def called(self, text: str) -> Match | None:
        """Return the skill that this call (``calls``) names, or None."""
        found = calls.read(text, self.calls)
        if found is None:
            return None
        name, arguments = found
        function = self._functions[name]
        return Match(
            name, arguments, ends_open=False, _skill=function, _context=self._context, _asked=self._ask
        )


def load(
    intents: Sequence[Path],
    context: SkillContext,
    own_folder: Path | None = None,
    knowledge: Knowledge | None = None,
) -> Skills:
    """Load the skills (built-in, from other packages, the owner's) and the tables, with their sentences.

    ``own_folder`` may contain ``*.py`` files with skills and ``*.yaml`` files with sentences, which have
    priority over identical built-in ones. Raises SkillInvalid.
    """
    knowledge = knowledge or Knowledge()
    modules, files = list(TOPICS), list(intents)
    for module, brought in _brought(intents, knowledge):
        modules.append(module)
        files += brought
    if own_folder:
        modules += user_skills.modules(own_folder)
        files += user_skills.intents(own_folder)
    functions, sentences = _read(modules, files, knowledge)
    return Skills(functions, sentences, context, knowledge)


def _brought(intents: Sequence[Path], knowledge: Knowledge) -> Iterator[tuple[ModuleType, Sequence[Path]]]:
    """Yield the modules from other packages, each with its file of sentences (dice.yaml beside dice.py).

    Modules with invalid skills or sentences are left out.
    """
    for each in extensions.look("skills", ModuleType):
        module, problem = each.value, each.problem
        if module is not None and module.__file__:
            file = Path(module.__file__).with_suffix(".yaml")
            files = [file] if file.is_file() else []
            try:
                _read([*TOPICS, module], [*intents, *files], knowledge)
                yield module, files
            except SkillInvalid as error:
                problem = each.unusable(error)
        if problem:
            log.warning("extension=unusable problem=%r", problem)


def _read(
    modules: Sequence[ModuleType], files: Sequence[Path], knowledge: Knowledge
) -> tuple[Mapping[str, Skill], Intents]:
    """Return these modules' skills by name, and the sentences that call them or query a table."""
    functions = {name: skill for module in modules for name, skill in _functions(module)}

    def slots(name: str) -> Slots:
        return _slots(functions[name]) if name in functions else knowledge.slots(name)

    return functions, read(files, [*functions, *knowledge.lookups], slots)


def _nothing() -> str:
    """Do nothing: a table has already given the answer."""
    return ""


def _without(found: Sequence[Word], first: Collection[str]) -> Sequence[Word]:
    """Return the words without one of these at the beginning; all if nothing else would be left."""
    return found[1:] if len(found) > 1 and found[0].key in first else found


def _functions(module: ModuleType) -> Iterator[tuple[str, Skill]]:
    """Yield the public functions that a module itself defines."""
    for name, member in vars(module).items():
        if inspect.isfunction(member) and member.__module__ == module.__name__ and not name.startswith("_"):
            yield name, member


def _slots(skill: Skill) -> Slots:
    """Return the parameters of a skill that are filled from the sentence. Raises SkillInvalid."""
    where = f"{inspect.getsourcefile(skill)}, skill '{skill.__name__}'"
    try:
        parameters = inspect.signature(skill, eval_str=True).parameters.values()
    except Exception as error:
        raise SkillInvalid(
            f"{where}: its types cannot be read: {error}.", "Correct its type annotations."
        ) from error
    readers: dict[str, pattern.Read] = {}
    for parameter in parameters:
        if parameter.name in GIVEN:
            continue
        by_name = parameter.kind in (parameter.POSITIONAL_OR_KEYWORD, parameter.KEYWORD_ONLY)
        reader = slot_types.reader(parameter.annotation) if by_name else None
        if reader is None:
            raise SkillInvalid(
                f"{where}: no words can fill '{parameter.name}' with type {parameter.annotation}.",
                "Use str, int, float, timedelta, tuple[str, ...], a Literal or a class with from_keys.",
            )
        readers[parameter.name] = reader
    slots = [parameter for parameter in parameters if parameter.name in readers]
    return Slots(
        readers=readers,
        free=frozenset(slot.name for slot in slots if slot_types.is_free_text(slot.annotation)),
        required=frozenset(slot.name for slot in slots if slot.default is slot.empty),
    )
