"""Messages between a recogniser and its workers survive any cut of the pipe."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from duologue.ears.wire import Kind, Message, Unpacker

messages = st.lists(
    st.builds(Message, st.sampled_from(Kind), st.integers(0, 2**64 - 1), st.binary(max_size=300)), max_size=12
)


@given(messages, st.data())
def test_any_cut_gives_the_same_messages(sent: list[Message], data: st.DataObject) -> None:
    stream = b"".join(message.packed() for message in sent)
    cuts = sorted(data.draw(st.lists(st.integers(0, len(stream)), max_size=10)))
    unpacker = Unpacker()
    got: list[Message] = []
    for begin, end in zip([0, *cuts], [*cuts, len(stream)], strict=True):
        got.extend(unpacker.push(stream[begin:end]))
    assert got == sent
