"""What the small model can be told: its words, and random cased and punctuated utterances made of them."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import permutations, product

DIGITS = "zero one two three four five six seven eight nine".split()
NUMBERS = DIGITS + "ten eleven twelve twenty thirty fifty".split()
DAYS = "Monday Tuesday Wednesday Thursday Friday Saturday Sunday".split()
NAMES = "Anna Peter Maria John David".split()
SPELLING = "alpha bravo charlie delta echo".split()
VERBS = "open close save delete send read write start stop move copy find show check print".split()
NOUNS = "file window mail message meeting report door list note page line word text code test picture".split()
PLURALS = "files windows messages reports notes pages lines words pictures".split()
ADJECTIVES = "new old first last next red green blue big small".split()
TIMES = "today tomorrow tonight now".split()
DAY_PARTS = "morning evening".split()
FUNCTION_WORDS = (
    "the a this that my your to from at in on and is are please we will can you I have it need call not with".split()
)
GREETINGS = "hello thank yes no good what when where who".split()

DICTATION_WORDS = sorted(
    set(
        NUMBERS
        + DAYS
        + NAMES
        + SPELLING
        + VERBS
        + NOUNS
        + PLURALS
        + ADJECTIVES
        + TIMES
        + DAY_PARTS
        + FUNCTION_WORDS
        + GREETINGS
    )
)
"""The 124 words of the first small model; the order matters to `sentence`, whose draws are reproducible."""

OPENINGS = "brew,can I get,can I have,I want,get me,give me,I'd like,make me,may I have".split(",")
DRINKS = "coffee,iced coffee,mocha,drip coffee,iced mocha,house coffee,espresso,americano,cappuccino,latte".split(",")
ROASTS = ["light roast", "dark roast", "medium roast"]
SIZES = ["eight ounce", "twelve ounce", "sixteen ounce", "twenty ounce", "small", "medium", "large"]
SHOTS = ["single shot", "double shot", "triple shot"]
AMOUNTS = ["", "some ", "lots of ", "a lot of ", "a bit of ", "a little bit of "]
MILKS = ["milk", "cream", "soy milk", "almond milk", "whole milk", "skim milk"]
SUGARS = ["sugar", "brown sugar", "sweetener"]
COMMAND_WORDS = sorted(set(" ".join([*OPENINGS, *DRINKS, *ROASTS, *SIZES, *SHOTS, *AMOUNTS, *MILKS, *SUGARS]).split()))

PUNCTUATION_PHRASES = ["comma", "period", "new line", "question mark"]
VOCABULARY = sorted(set(DICTATION_WORDS + COMMAND_WORDS + ["an", "comma", "period", "question", "mark"]))
"""Every word that the small model writes, lower-case except for names, days and I."""


@dataclass(frozen=True, slots=True)
class Prompt:
    """One utterance to speak."""

    text: str
    """As the model must write it."""
    spoken: str
    """As a synthesizer is told: with commas where a speaker would pause."""


def capitalized(text: str) -> str:
    """`text` with its first letter in upper case, the rest untouched."""
    return text[0].upper() + text[1:]


def noun_phrase(rng: random.Random) -> str:
    article = rng.choice(["the", "the", "this", "that", "my", "your", "a"])
    adjective = rng.choice(ADJECTIVES) + " " if rng.random() < 0.45 else ""
    return f"{article} {adjective}{rng.choice(NOUNS)}"


def moment(rng: random.Random) -> str:
    # All six are drawn before one is chosen: the held-out sentences depend on this order of draws.
    options = [
        rng.choice(TIMES),
        "on " + rng.choice(DAYS),
        "on " + rng.choice(DAYS) + " " + rng.choice(DAY_PARTS),
        "at " + rng.choice(NUMBERS),
        "in the " + rng.choice(DAY_PARTS),
        rng.choice(DAYS) + " at " + rng.choice(NUMBERS),
    ]
    return rng.choice(options)


def clause(rng: random.Random) -> str:
    """A lower-case clause without final punctuation."""
    one = rng.choice
    match rng.randrange(18):
        case 0 | 1 | 2:
            return f"{one(VERBS)} {noun_phrase(rng)}"
        case 3 | 4:
            return f"{one(VERBS)} {noun_phrase(rng)} {moment(rng)}"
        case 5:
            return f"please {one(VERBS)} {noun_phrase(rng)}"
        case 6:
            return f"the {one(['meeting', 'test', 'call', 'report'])} is {moment(rng)}"
        case 7:
            return f"send {noun_phrase(rng)} to {one(NAMES)}"
        case 8:
            return f"call {one(NAMES)} {moment(rng)}"
        case 9:
            return f"I need {one(NUMBERS)} {one(ADJECTIVES) + ' ' if rng.random() < 0.5 else ''}{one(PLURALS)}"
        case 10:
            return f"we will {one(VERBS)} {noun_phrase(rng)} {moment(rng)}"
        case 11:
            return f"I have {one(NUMBERS)} {one(PLURALS)} from {one(NAMES)}"
        case 12:
            return f"{one(VERBS)} {noun_phrase(rng)} and {one(VERBS)} {noun_phrase(rng)}"
        case 13:
            return f"{noun_phrase(rng)} is {one(['not ', ''])}{one(ADJECTIVES)}"
        case 14:
            return f"the {one(PLURALS)} are {one(['not ', ''])}{one(ADJECTIVES)}"
        case 15:
            return " ".join(one(DIGITS) for _ in range(rng.randint(2, 6)))
        case 16:
            return f"{one(SPELLING)} {one(SPELLING)} {one(DIGITS)} {one(DIGITS)}"
        case _:
            return f"you can {one(VERBS)} it with {one(NAMES)}"


def question(rng: random.Random) -> str:
    """A lower-case question with its mark."""
    one = rng.choice

    def noun() -> str:
        return (one(ADJECTIVES) + " " if rng.random() < 0.35 else "") + one(NOUNS)

    kind = rng.randrange(6)
    options = [
        "where is the " + noun(),
        "when is the " + noun(),
        "what is your " + noun(),
        "can you " + one(VERBS) + " the " + noun(),
        "who will " + one(VERBS) + " the " + noun(),
        "what is in the " + noun(),
    ]
    return options[kind] + "?"


def salad(rng: random.Random, words: list[str], shortest: int, longest: int) -> str:
    """Random words with no grammar to lean on."""
    return capitalized(" ".join(rng.choice(words) for _ in range(rng.randint(shortest, longest)))) + "."


def sentence(rng: random.Random) -> str:
    """A dictated sentence over `DICTATION_WORDS`, about a fifth of them word salad."""
    kind = rng.random()
    one = rng.choice
    if kind < 0.52:
        return capitalized(clause(rng)) + "."
    if kind < 0.66:
        return capitalized(question(rng))
    if kind < 0.74:
        return f"Hello {one(NAMES)}, {clause(rng)}."
    if kind < 0.78:
        return f"{one(['Yes', 'No', 'Please'])}, {clause(rng).replace('please ', '')}."
    if kind < 0.80:
        return f"Thank you, {one(NAMES)}."
    if kind < 0.81:
        return f"Good {one(DAY_PARTS)}, {one(NAMES)}."
    return salad(rng, DICTATION_WORDS, 2, 6)


def held_out_sentences(count: int = 400) -> list[str]:
    """The sentences that no training utterance may repeat, always the same ones."""
    rng = random.Random(1)
    chosen: set[str] = set()
    while len(chosen) < count:
        chosen.add(sentence(rng))
    ordered = sorted(chosen)
    rng.shuffle(ordered)
    return ordered


def telephone_number(rng: random.Random) -> Prompt:
    """One to twelve digits, said in groups; the pauses are not written."""
    groups = rng.choice([[1], [1], [2], [3], [4], [5], [3, 4], [3, 3, 4], [2, 2, 2, 2], [5, 6], [6], [4, 4, 4], [3, 2]])
    parts = [" ".join(rng.choice(DIGITS) for _ in range(length)) for length in groups]
    comma = ", " if rng.random() < 0.6 else " "
    spoken = (comma if rng.random() < 0.85 else ", ").join(parts)
    if rng.random() < 0.12:
        spoken = spoken.replace(" ", ", ").replace(",,", ",")
    return Prompt(capitalized(" ".join(parts)) + ".", capitalized(spoken) + ".")


def with_article(phrase: str) -> str:
    return ("an " if phrase.startswith(("eight", "iced", "espresso", "americano")) else "a ") + phrase


def written_command(opening: str, order: str, extras: str) -> str:
    text = f"{opening} {with_article(order)}" + (f" with {extras}" if extras else "")
    return capitalized(text) + ("?" if opening.startswith(("can", "may")) else ".")


def command(rng: random.Random) -> str:
    """A coffee order as the barista commands have them."""
    before = [rng.choice(options) for options in (SIZES, ROASTS, SHOTS) if rng.random() < 0.5]
    rng.shuffle(before)
    extras = [rng.choice(AMOUNTS) + rng.choice(options) for options in (MILKS, SUGARS) if rng.random() < 0.45]
    rng.shuffle(extras)
    return written_command(rng.choice(OPENINGS), " ".join([*before, rng.choice(DRINKS)]), " and ".join(extras))


SLOT_NAMES = ("size", "roast", "numberOfShots", "coffeeDrink", "milkAmount", "sugarAmount")


def command_candidates(slots: dict[str, str]) -> Iterator[str]:
    """Every text that a speaker who filled these slots may have said."""
    before = [slots[name].strip() for name in ("size", "roast", "numberOfShots") if name in slots]
    after = [slots[name].strip() for name in ("milkAmount", "sugarAmount") if name in slots]
    for opening, order, extras in product(OPENINGS, permutations(before), permutations(after)):
        yield written_command(opening, " ".join([*order, slots["coffeeDrink"].strip()]), " and ".join(extras))


def bare_words(text: str) -> list[str]:
    """The words of `text` in lower case without punctuation, apostrophes kept."""
    kept = "".join(char if char.isalpha() or char in "' " else " " for char in text.lower())
    return kept.split()


def _find(phrases: list[str], text: str) -> str | None:
    """The longest phrase that stands in `text` as whole words."""
    padded = f" {text} "
    found = [phrase for phrase in phrases if f" {phrase} " in padded]
    return max(found, key=len) if found else None


def command_slots(text: str) -> dict[str, str]:
    """The slots that a recognized order fills; what isn't an order fills none."""
    words = " ".join(bare_words(text))
    order, _, extras = words.partition(" with ")
    slots: dict[str, str] = {}
    drink = _find(DRINKS, order)
    if drink is not None:
        slots["coffeeDrink"] = drink
    roast = _find(ROASTS, order)
    if roast is not None:
        slots["roast"] = roast
    size = _find(SIZES, order.replace("medium roast", ""))
    if size is not None:
        slots["size"] = size
    shots = _find(SHOTS, order)
    if shots is not None:
        slots["numberOfShots"] = shots
    for name, options in (("milkAmount", MILKS), ("sugarAmount", SUGARS)):
        value = _find([amount + option for amount in AMOUNTS for option in options], extras)
        if value is not None:
            slots[name] = value
    return slots


def dictated_punctuation(rng: random.Random) -> str:
    """Clauses joined by punctuation that is spoken and written as words."""
    parts = [clause(rng)]
    for _ in range(rng.randint(1, 2)):
        parts.append(rng.choice(PUNCTUATION_PHRASES))
        if rng.random() < 0.6:
            parts.append(rng.choice([clause(rng), rng.choice(VOCABULARY), rng.choice(PUNCTUATION_PHRASES)]))
    if rng.random() < 0.2:
        parts = [rng.choice(PUNCTUATION_PHRASES)]
    return capitalized(" ".join(parts)) + "."


def prompt(rng: random.Random) -> Prompt:
    """A training prompt of any kind."""
    kind = rng.random()
    if kind < 0.14:
        return telephone_number(rng)
    written: Callable[[], str]
    if kind < 0.24:
        pool = rng.choice([DIGITS, VOCABULARY, NUMBERS])
        written = lambda: capitalized(rng.choice(pool)) + "."  # noqa: E731 - one draw, made below
    elif kind < 0.42:
        written = lambda: command(rng)  # noqa: E731
    elif kind < 0.47:
        written = lambda: dictated_punctuation(rng)  # noqa: E731
    elif kind < 0.56:
        written = lambda: salad(rng, VOCABULARY, 2, 7)  # noqa: E731
    else:
        written = lambda: sentence(rng)  # noqa: E731
    text = written()
    return Prompt(text, text)


def training_prompts(rng: random.Random) -> Iterator[Prompt]:
    """Endless prompts, none of them a held-out sentence."""
    held_out = set(held_out_sentences())
    while True:
        drawn = prompt(rng)
        if drawn.text not in held_out:
            yield drawn
