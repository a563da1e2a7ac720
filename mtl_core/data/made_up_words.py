"""Made-up words that can be spoken, so that a built-in text is nobody's language.

Words are two or three syllables of a consonant and a vowel ("belu", "tamiro"), all different.
"""

import numpy as np

_CONSONANTS = "bdfgklmnprstvz"
_VOWELS = "aeiou"
_SYLLABLES = tuple(c + v for c in _CONSONANTS for v in _VOWELS)  # 70


def make_words(n: int, rng: np.random.Generator) -> list[str]:
    """Return `n` different words, in random order, of two or three syllables."""
    words: dict[str, None] = {}  # a set that keeps its order
    while len(words) < n:
        n_syllables = 2 + int(rng.random() < 0.5) + (len(words) > 4000)
        at = np.floor(rng.random(n_syllables) * len(_SYLLABLES)).astype(np.int64)
        words["".join(_SYLLABLES[i] for i in at.tolist())] = None
    return list(words)
