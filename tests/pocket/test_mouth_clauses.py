"""A reply in clauses: nothing is lost, the first is short, and cuts lie where a speaker would breathe."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from duologue.backends.pocket.mouth.clauses import FIRST, HARDEST, clauses, pause

PROSE = st.lists(
    st.sampled_from(["and", "but", "the", "ship", "lighthouse", "3.5", "a,", "b;", "end.", "why?", "-", "\n", "  "])
    | st.text(max_size=12),
    max_size=60,
).map(" ".join)  # fmt: skip


@given(st.text(max_size=400) | PROSE, st.booleans())
def test_clauses_together_are_the_text(text: str, first: bool) -> None:
    pieces = list(clauses(text, first=first))
    assert "".join(pieces) == text
    assert all(pieces)


@given(PROSE)
def test_no_clause_is_long(text: str) -> None:
    assert all(len(piece.rstrip()) <= HARDEST for piece in clauses(text))


@given(st.text("abcdefgh", min_size=1, max_size=1000))
def test_even_one_endless_word_is_cut(text: str) -> None:
    assert all(len(piece) <= HARDEST for piece in clauses(text))


def test_a_story_is_cut_where_one_breathes() -> None:
    story = (
        "Once upon a time, there was a lighthouse keeper who had never seen a ship. "
        "He lit the lamp every night, and every morning he put it out again!"
    )
    assert list(clauses(story)) == [
        "Once upon a time, ",
        "there was a lighthouse keeper ",
        "who had never seen a ship. ",
        "He lit the lamp every night, ",
        "and every morning he put it out again!",
    ]


def test_the_first_clause_is_short() -> None:
    text = "The capital of that country, which I looked up, is a large town on a river, and it is old."
    pieces = list(clauses(text))
    assert len(pieces[0].rstrip()) <= FIRST
    assert len(list(clauses(text, first=False))) < len(pieces)


def test_a_short_sentence_is_said_in_one_breath() -> None:
    assert list(clauses("The robot who could not dance.")) == ["The robot who could not dance."]


def test_numbers_titles_and_times_are_not_cut() -> None:
    text = "Dr. Smith paid 3.5 euros at 4:10."
    assert list(clauses(text, first=False)) == [text]


def test_pauses_follow_the_punctuation() -> None:
    lengths = [pause(clause) for clause in ("and then ", "First, ", "well; ", "Yes! ", "the end.\n")]
    assert lengths == sorted(lengths)
    assert len(set(lengths)) == 5
    assert pause('he said "no." ') == pause("no. ")
