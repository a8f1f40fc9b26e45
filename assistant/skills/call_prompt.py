"""How a language model is told of the skills that it may call.

Small models follow an example better than a rule, so each call that is offered has one. None of
these sentences is among those that ``assistant bench tools`` asks.
"""

from __future__ import annotations

from collections.abc import Iterable

from assistant.skills.calls import MARK, Call

EXAMPLES: dict[str, tuple[tuple[str, str], ...]] = {
    "set_timer": (
        ("The cake needs half an hour, let me know.", '@set_timer(duration="30 minutes", name="cake")'),
        ("Tell me when ninety seconds are over.", '@set_timer(duration="90 seconds")'),
    ),
    "timer_left": (("When is my cake done?", '@timer_left(name="cake")'),),
    "cancel_timer": (("I do not need that timer any more.", "@cancel_timer()"),),
    "set_alarm": (("Get me out of bed at eight tomorrow.", '@set_alarm(at="8 am tomorrow")'),),
    "cancel_alarm": (("Forget about waking me up.", "@cancel_alarm()"),),
    "remind_after": (
        (
            "In twenty minutes I must look after the soup.",
            '@remind_after(what="look after the soup", duration="20 minutes")',
        ),
    ),
    "remind_at": (
        ("Do not let me forget to phone Anna at five.", '@remind_at(what="phone Anna", at="5 pm")'),
    ),
    "add_to_list": (("We have run out of butter and rice.", '@add_to_list(items=["butter", "rice"])'),),
    "remove_from_list": (("I bought the butter.", '@remove_from_list(items=["butter"])'),),
    "read_list": (("What did I want to get at the shop?", "@read_list()"),),
    "add_note": (("Keep in mind: the key is under the mat.", '@add_note(note="the key is under the mat")'),),
    "tell_time": (("Is it late already?", "@tell_time()"),),
    "tell_date": (("Which day do we have?", "@tell_date()"),),
    "louder": (("I can hardly hear you.", "@louder()"),),
    "quieter": (("You are shouting.", "@quieter()"),),
    "flip_coin": (("Decide for us, heads or tails.", "@flip_coin()"),),
}
"""The built-in skills that are offered: what people do say in ways that no sentence foresees."""

_RULE = (
    f"Some things you can do. To do one, answer with its line alone, filled in. "
    f"Every other answer is plain English and never begins with {MARK}."
)


def prompt(calls: Iterable[Call]) -> str:
    """Paragraphs for a system prompt (``conversation.opening``): always the same for the same skills."""
    known = list(calls)
    lines = [f"{call.pattern}  {call.about}" for call in known]
    examples = [f"> {said}\n{call}" for each in known for said, call in EXAMPLES.get(each.name, ())]
    return "\n\n".join(["\n".join([_RULE, *lines]), *examples])
