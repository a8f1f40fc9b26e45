"""English: what was heard as words, and how what stands on paper is said.

``words``, ``numbers``, ``durations`` and ``moments`` read what was heard; ``wording`` says such values. Text
on paper is said by lists of rules, applied in the order in which they stand: ``spell`` puts them together,
its own for addresses, abbreviations and signs, ``times`` for dates and clock times, ``quantities`` for
money, units and other numbers; all take the words for numbers from ``numbers``. All pure.
"""
