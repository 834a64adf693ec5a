"""The colours behind words that speak for an answer, orange, or against it, blue. Everyone can tell these apart."""

from __future__ import annotations

_FAINTEST = 0.08  # of shades that are drawn
_STRONG = 0.5  # of shades whose words are bold, so that they are seen without colours too
_FOR = ((255, 240, 219), (245, 158, 66))  # RGB of a faint and of a strong shade, on which black can be read
_AGAINST = ((226, 238, 250), (108, 172, 228))


def find_word_style(shade: float) -> str:
    """Find the style of a word, in the words of Rich and Textual.

    Args:
        shade: -1 to 1, negative against the answer.

    Returns:
        The style; "" for a word of no matter.
    """
    if abs(shade) < _FAINTEST:
        return ""
    ends = zip(*(_FOR if shade > 0 else _AGAINST), strict=True)
    color = "".join(f"{round(faint + (strong - faint) * abs(shade)):02x}" for faint, strong in ends)
    return f"{'bold ' if abs(shade) >= _STRONG else ''}#000000 on #{color}"
