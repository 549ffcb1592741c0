"""What the training recordings of the wake head say, and which phrases training never hears."""

from collections.abc import Iterator
from typing import Final, Literal, TypeAlias

import numpy as np

Side: TypeAlias = Literal["training", "development", "judging"]
"""What a speaker, a voice or a phrase is for. None is on two sides."""

WORD: Final = (
    "hey jarvis",
    "hey, jarvis",
    "hey jarvis!",
    "hey jarvis.",
    "hey jarvis?",
    "Hey Jarvis",
)

COMMANDS: Final = (
    "what time is it", "turn off the light", "stop", "play some music", "set a timer",
    "is it going to rain", "turn it down", "good morning", "where are my keys", "call my sister",
    "how far is the moon", "add bread to the list", "lock the front door", "next song please",
    "remind me at six", "are you there", "open the blinds", "who won the game", "volume up",
    "thanks",
)  # fmt: skip

NEAR_JUDGING: Final = (
    "hey travis", "hey service", "hey charlie", "hey marvin", "hey jar", "hey java", "hey artist",
    "carve this", "harvest", "they jarred us", "hey jason", "hey target", "hey davis", "obvious",
    "he starves", "hey google", "today service was fine", "a jaguar is", "hey garbage",
    "hey charvis", "hey mavis",
)  # fmt: skip
"""Never synthesised for training, with whatever voice."""

NEAR_DEVELOPMENT: Final = (
    "hey charles", "hey harvey", "hey carter", "hey siri", "nervous", "hey jerry", "jars",
    "the jar is empty", "hey darvin", "hey jamie", "a marvelous day",
)  # fmt: skip

NEAR_TRAINING: Final = (
    "hey parvis", "hey jonas", "hey jars", "hey garvin", "hey darling", "hey charming",
    "hey jarrett", "hey janice", "hey dennis", "hey carla", "hey karl", "hey martha",
    "hey marcus", "hey arthur", "hey carlos", "hey johnny", "hey jasper", "hey chelsea",
    "hey jeffrey", "hey jarvin", "hey jarvey", "hey tarvis", "hey larvae", "hey parsley",
    "hey purpose", "hey surface", "hey harvest", "hey nervous", "hey jess", "hey chatterbox",
    "hey jarring", "hey jarhead", "hey carved this", "hey archives", "hey chance", "hey john is",
    "hey joe", "hey jervois", "hey sarvis", "hey corvus", "hey doris", "hey novice", "hey karma",
    "hey sharma", "hey jarman", "hey gervase", "hey justice", "hey promise", "hey jaws",
    "hey gorgeous", "hey clarice", "hey paris", "hey harris", "hey mars", "hey guitarist",
    "hey charge us", "hey charter", "hey chart this", "hey jar of this", "hey george",
    "hey jurgen", "hey jules", "hey judas", "hey genius", "hey jealous", "hey juice", "hey jargon",
    "hey jarnis", "hey barbers", "hey marvellous", "hey harness", "hey hardest", "hey largest",
    "travis and service", "pay service", "may charge this", "day job is", "they serve us",
    "they are nervous", "he jarred his", "stay jealous", "say service", "a service",
    "they charge us", "away large vase", "grey jarfuls", "great jars", "play jazz", "hay harvest",
    "the archives", "garden service", "church services", "marvelous", "jargon", "carvings",
    "starving", "large", "largest", "charges", "chargers", "jealous", "jocular", "javelin",
    "jamaica", "harness", "carpets", "guard us", "jarring", "scarves", "larva", "car service",
    "customer service", "charge this", "jar of jam", "java is", "serve us", "novice", "corvus",
    "john's office", "charm is", "jar this", "germ is", "joyous", "jar his", "are nervous",
    "far office", "march is", "jaw is", "jams", "guards", "darts", "jarl is",
)  # fmt: skip

OTHERS: Final = (
    "hey", "hey you", "hey there", "hey guys", "hey mom", "hey dad", "hey yes", "hey alexa",
    "hey computer", "hey mycroft", "hey what are you doing", "hey can you help me with this",
    "hey that is mine", "hey stop it", "hey come here", "okay computer", "hello there",
    "hey wait for me", "hey look at this", "hey everybody", "hey sweetheart", "hey buddy",
    "hey cortana", "hey kids dinner is ready", "hay", "hey no", "hey let me in", "hey anna",
    "hey robert", "hey susan", "hey michael", "hey peter", "hey laura", "hey kevin", "hey tom",
)  # fmt: skip
""""Hey" without the name."""

NAME: Final = (
    "jarvis", "jarvis.", "jarvis!", "jarvis?", "jervis", "jarvis what time is it", "and jarvis",
    "the jarvis", "mister jarvis", "jarvis is here", "my jarvis", "so jarvis", "say jarvis",
    "jarvis jarvis", "to jarvis", "they jarvis", "may jarvis", "pay jarvis", "call jarvis",
    "with jarvis", "who is jarvis", "i like jarvis", "jarvis said no", "ask jarvis",
    "okay jarvis", "hello jarvis", "no jarvis", "thank you jarvis", "a jarvis", "day jarvis",
    "john jarvis", "doctor jarvis", "jarvis street", "jarvis, stop", "tell jarvis", "away jarvis",
    "for jarvis", "by jarvis", "see jarvis", "play jarvis",
)  # fmt: skip
"""The name without "hey"."""

RHYMES: Final = (
    "say jarvis", "they jarvis", "may jarvis", "pay jarvis", "day jarvis", "play jarvis",
    "away jarvis", "okay jarvis", "stay jarvis", "i say jarvis", "said jarvis", "see jarvis",
    "so jarvis", "the jarvis", "a jarvis", "today jarvis", "you say jarvis", "sea jarvis",
    "ray jarvis", "jay jarvis", "to jarvis", "he says jarvis", "is jarvis", "say, jarvis",
)  # fmt: skip
"""The name after a word that sounds like "hey"."""

AMBIGUOUS: Final = "hey jervis"
"""Neither the word nor a near miss."""

_PEOPLE: Final = (
    "my sister", "the neighbour", "a young man", "our teacher", "the driver", "my father", "she",
    "the old woman", "nobody", "the doctor", "his cousin", "the whole family", "the captain",
    "a farmer", "the judge", "her boss", "the children", "someone", "the artist", "my friend",
)  # fmt: skip
_ACTS: Final = (
    "bought", "forgot", "repaired", "carried", "described", "painted", "found", "wanted", "sold",
    "remembered", "watched", "opened", "counted", "borrowed", "cleaned", "lost", "moved",
    "explained", "ordered", "photographed", "guarded", "charged", "harvested", "carved", "heard",
)  # fmt: skip
_THINGS: Final = (
    "the garden chairs", "a jar of honey", "two tickets", "the large window", "an old car",
    "the archive", "a service contract", "his guitar", "the harvest", "some fresh bread",
    "a yellow umbrella", "the charger", "three letters", "the last chapter", "a nervous horse",
    "her jacket", "the market stall", "the kitchen table", "a marvelous story", "the gas bill",
    "a job in the city", "the jury", "a very quiet street", "the church roof", "an orange scarf",
)  # fmt: skip
_WHENS: Final = (
    "on thursday", "before breakfast", "after the storm", "last summer", "in the village",
    "near the harbour", "at half past seven", "without a word", "for the first time", "again",
    "in january", "while it rained", "during the concert", "next to the station", "yesterday",
)  # fmt: skip
_SAYINGS: Final = (
    "the weather will be cloudy with some sun in the afternoon",
    "what would you like for dinner tonight", "i think we should leave before it gets dark",
    "please close the door when you go", "how long does it take to get to the airport",
    "the news at nine begins in a few minutes", "i can hardly hear you over the dishwasher",
    "have you seen the remote control", "it costs about forty five dollars a year",
    "that is the funniest thing i have ever heard", "we need eggs milk and washing powder",
    "he scored twice in the second half", "this programme contains flashing images",
    "could you turn that down a little", "no i never said that", "where were we",
    "let us look at the question from the other side", "okay i will call you back in an hour",
    "they have lived in this house for thirty years", "it was a very nice evening thank you",
)  # fmt: skip


def happens(random: np.random.Generator, share: float) -> bool:
    """Return True in this share of the calls."""
    return bool(random.random() < share)


def talk(random: np.random.Generator) -> Iterator[str]:
    """Yield sentences of ordinary talk, without end."""
    while True:
        if happens(random, 0.2):
            yield str(random.choice(_SAYINGS))
        else:
            parts = [str(random.choice(words)) for words in (_PEOPLE, _ACTS, _THINGS)]
            yield " ".join(parts if happens(random, 0.3) else [*parts, str(random.choice(_WHENS))])
