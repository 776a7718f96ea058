import pytest
from hypothesis import given
from hypothesis import strategies as st

from salesos_inbox.mail.repeats import is_repeated, runs_of

OFFER = (
    "Dear Maya,\n\nWe can take ten robots if the spare unit is part of the price, and the training in March.\n\nDana"
)
HEADING = "On Mon, Jun 1, 2026 at 2:14 PM Dana Whitfield <dana@helix.example> wrote:\n"


def marked(text: str) -> str:
    return "\n".join(f"> {line}" for line in text.split("\n"))


@pytest.mark.parametrize(
    "quoted",
    [
        marked(OFFER),
        HEADING + marked(OFFER),
        marked(marked(OFFER)),
        HEADING + marked(OFFER.replace(" if ", "\nif ").replace(" and ", "\nand ")),
        f"From: Dana Whitfield\nSent: Monday, June 1, 2026\nTo: Maya\nSubject: Robots\n\n{OFFER.upper()}",
        marked(OFFER.replace("robots", "robots [3]")),
        marked("We can take ten robots"),
        "",
    ],
)
def test_a_quote_of_an_earlier_message_is_repeated_however_it_is_wrapped_and_headed(quoted: str) -> None:
    assert is_repeated(quoted, [runs_of("Something else."), runs_of(OFFER)])


@pytest.mark.parametrize(
    "quoted",
    [
        marked(OFFER) + "\n> The goods must leave on Friday or we buy them elsewhere, I am afraid.",
        marked(OFFER.replace("Dana", "No, sorry: ten is too many for us, and so is the price, by far.")),
        marked("A contract that nobody in this thread has ever written about before"),
        marked("契約書の第三条をご確認のうえ本日中にご返送ください。"),
    ],
)
def test_words_that_no_earlier_message_holds_are_noticed(quoted: str) -> None:
    assert not is_repeated(quoted, [runs_of(OFFER)])


@given(
    st.lists(
        st.sampled_from(["the", "price", "of", "ten", "robots", "is", "part", "training", "in", "march"]), max_size=40
    )
)
def test_every_text_repeats_itself(words: list[str]) -> None:
    text = " ".join(words)
    assert is_repeated(text, [runs_of(text)])
