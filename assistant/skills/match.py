"""A sentence that a skill or a table understands, ready to run."""

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

_CHANGEABLE = frozenset({"timers", "lists", "memories"})
"""Parts of the context that a skill can change; an ``Outcome``'s action waits until its answer was heard."""

_FAILED = "Sorry, that didn't work."


@dataclass(frozen=True, slots=True)
class Match:
    """A sentence that a skill understands completely."""

    name: str
    """The skill's name."""
    arguments: Mapping[str, object]
    """Values from the sentence."""
    ends_open: bool
    """True if it ends in a name, a note or the like, which may continue after a pause."""
    _skill: Skill
    _context: SkillContext
    fact: Fact | None = None
    """A table's answer, if no skill needs to run."""
    _asked: Callable[[Question | None], None] = lambda _: None
    """Called after the skill has run, with the question it asked, if any."""

    @property
    def asks_back(self) -> bool:
        """True if something is missing that the user may be about to say ("set a timer for ...")."""
        return self.name.startswith("ask_")

    @property
    def only_answers(self) -> bool:
        """True if it changes nothing, so it may run before it is certain that it was meant.

        Only built-in skills that can't change anything count; others may do anything.
        """
        return self.fact is not None or (
            is_built_in(self._skill) and not _CHANGEABLE & parameters_of(self._skill).keys()
        )

    @property
    def is_phrase(self) -> bool:
        """True if the answer is one of a few that recur, so its sound is worth caching."""
        return self.only_answers and self.fact is None

    @property
    def is_control(self) -> bool:
        """True if it is about the assistant itself and what it says: stop, repeat, louder, mute."""
        return self._skill.__module__ == control.__name__

    def run(self) -> Outcome:
        """Run the skill, once; the next words may answer its question, if it asks one.

        Writes to disk when a timer or list changes. Never raises: errors are spoken.
        """
        outcome = Outcome(self.fact.text) if self.fact else self._outcome()
        if not self.is_control:
            source = self._context.source
            source.name, source.is_model = self.fact.source if self.fact else "", False
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
            # An owner's skill may raise anything; it runs on its own thread, so no Ctrl-C is lost here. The
            # message of an unexpected error may contain speech; its location doesn't.
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
