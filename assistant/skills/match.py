"""A sentence that a skill or a table understands, ready to be acted upon."""

from __future__ import annotations

import inspect
import logging
import traceback
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import TypeAlias

from assistant.core.errors import AssistantError
from assistant.knowledge import Fact
from assistant.skills import builtin, user_skills
from assistant.skills.builtin import control
from assistant.skills.contract import GIVEN, Outcome, Question, SkillContext

log = logging.getLogger(__name__)

Skill: TypeAlias = Callable[..., str | Outcome]

_CHANGEABLE = frozenset({"timers", "lists"})
"""What of the context a skill can change; an ``Outcome``'s action waits until its answer was heard."""

_FAILED = "Sorry, that did not work."


@dataclass(frozen=True, slots=True)
class Match:
    """A sentence that a skill understands completely."""

    name: str
    """The skill's name."""
    arguments: Mapping[str, object]
    """What the sentence says."""
    ends_open: bool
    """It ends in a name, a note or the like, which may well go on after a pause."""
    _skill: Skill
    _context: SkillContext
    fact: Fact | None = None
    """What a table says, where no skill has to run."""
    _asked: Callable[[Question | None], None] = lambda _: None
    """Is told what the skill asks for when it has run."""

    @property
    def asks_back(self) -> bool:
        """A command that lacks something, which the person may be about to say ("set a timer for ...")."""
        return self.name.startswith("ask_")

    @property
    def only_answers(self) -> bool:
        """It changes nothing anywhere, so it may run before it is sure that it was meant.

        Known of built-in skills that are not given what can be changed; others may do anything.
        """
        return self.fact is not None or (
            is_built_in(self._skill) and not _CHANGEABLE & parameters_of(self._skill).keys()
        )

    @property
    def is_phrase(self) -> bool:
        """The answer is one of a few that come again, so its sound is worth keeping."""
        return self.only_answers and self.fact is None

    @property
    def is_control(self) -> bool:
        """It is about the assistant itself and what it says: stop, repeat, louder, mute."""
        return self._skill.__module__ == control.__name__

    def run(self) -> Outcome:
        """Do it, once; what it asks for, the next words may answer.

        Writes to the disk when a timer or list changes. Never raises: a fault is spoken.
        """
        outcome = Outcome(self.fact.text) if self.fact else self._outcome()
        self._asked(outcome.question)
        return outcome

    def _outcome(self) -> Outcome:
        try:
            wanted = parameters_of(self._skill)
            given = {name: getattr(self._context, name) for name in wanted if name in GIVEN}
            do = partial(self._skill, **given, **self.arguments)
            result = do() if is_built_in(self._skill) else user_skills.limited(do)
        except user_skills.TooSlow:
            log.error("skill=%s error=too_slow limit_s=%g", self.name, user_skills.LIMIT_S)
            return Outcome(f"The skill {self.name.replace('_', ' ')} takes too long.")
        except AssistantError as error:
            log.error("skill=%s code=%s next_step=%s", self.name, error.code, error.next_step)
            return Outcome(error.problem)
        except BaseException as error:
            if is_built_in(self._skill) and not isinstance(error, Exception):
                raise
            # An owner's skill may raise anything; it runs on a thread of its own, so no Ctrl-C is lost here.
            # The message of an unforeseen error may hold what was said; where it was raised does not.
            place = traceback.extract_tb(error.__traceback__)[-1]
            log.error(
                "skill=%s error=%s at=%s:%s", self.name, type(error).__name__, place.filename, place.lineno
            )
            return Outcome(_FAILED)
        return result if isinstance(result, Outcome) else Outcome(str(result or ""))


def is_built_in(skill: Skill) -> bool:
    return skill.__module__.startswith(f"{builtin.__name__}.")


def parameters_of(skill: Skill) -> Mapping[str, inspect.Parameter]:
    return inspect.signature(skill).parameters
