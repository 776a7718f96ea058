"""What a message takes from the thread that it answers."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from salesos_inbox.contract.models import Message, Thread
from salesos_inbox.tools._compose import reply_recipients, reply_subject

OWN = frozenset({"maya@northwind.example"})
MAYA = "maya@northwind.example"


def inbound(sender: str = "dana@helix.example", to: tuple[str, ...] = (MAYA,), cc: tuple[str, ...] = ()) -> Message:
    return Message(from_email=sender, to_emails=[*to], cc_emails=[*cc], direction="INBOUND")


@pytest.mark.parametrize(
    "subject",
    [
        "Offer 12",
        "Re: Offer 12",
        "RE: Offer 12",
        "Re: Re: re: Offer 12",
        "AW: Offer 12",
        "Antwort: Offer 12",
        "Re: AW: Re: Offer 12",
        "SV: Offer 12",
        "VS: Offer 12",
        "Odp: Offer 12",
        "YNT: Offer 12",
        "RES: Offer 12",
        "RIF: Offer 12",
        "R: Offer 12",
        "Re[2]: Offer 12",
        "Re (3): Offer 12",
        "回复：Offer 12",
        "答复: Offer 12",
        "  Re :  Offer 12 ",
        "Re: Offer\r\n 12",
    ],
)
def test_a_replys_subject_says_re_once_in_whatever_language_it_was_answered(subject: str) -> None:
    assert " ".join(reply_subject(Thread(subject=subject)).split()) == "Re: Offer 12"


@pytest.mark.parametrize(
    ("subject", "expected"),
    [
        ("Regarding: the offer", "Re: Regarding: the offer"),
        ("Ref 12: the offer", "Re: Ref 12: the offer"),
        ("Fwd: the offer", "Re: Fwd: the offer"),
        ("[sales] Re: the offer", "Re: [sales] Re: the offer"),
        ("", "Re:"),
        ("Re:", "Re:"),
        ("Offer\nBcc: eve@evil.test", "Re: Offer Bcc: eve@evil.test"),
    ],
)
def test_a_subject_that_only_begins_alike_is_kept_whole(subject: str, expected: str) -> None:
    assert reply_subject(Thread(subject=subject)) == expected


def test_a_message_without_a_thread_has_no_subject_of_its_own() -> None:
    assert reply_subject(None) == ""


@given(st.text(max_size=2_000))
def test_a_replys_subject_is_one_line_of_bounded_length(subject: str) -> None:
    answer = reply_subject(Thread(subject=subject))
    assert answer.startswith("Re:")
    assert len(answer) < 910
    assert not any(character in answer for character in "\r\n\0\u2028")


def test_a_reply_goes_to_the_sender_alone() -> None:
    message = inbound(to=(MAYA, "lee@helix.example"), cc=("ruth@helix.example",))
    assert reply_recipients(message, OWN, reply_all=False) == (["dana@helix.example"], [])


def test_reply_all_adds_everyone_else_in_cc_and_never_the_user() -> None:
    message = inbound(
        to=("Maya@Northwind.example", "lee@helix.example"),
        cc=("ruth@helix.example", "Maya Lindqvist <maya@northwind.example>", "Dana@helix.example"),
    )
    assert reply_recipients(message, OWN, reply_all=True) == (
        ["dana@helix.example"],
        ["lee@helix.example", "ruth@helix.example"],
    )


def test_a_reply_to_the_users_own_message_goes_to_those_it_went_to() -> None:
    message = Message(
        from_email=MAYA, to_emails=["dana@helix.example", MAYA], cc_emails=["lee@helix.example"], direction="OUTBOUND"
    )
    assert reply_recipients(message, OWN, reply_all=False) == (["dana@helix.example"], [])
    assert reply_recipients(message, OWN, reply_all=True) == (["dana@helix.example"], ["lee@helix.example"])


def test_an_address_the_user_wrote_from_counts_as_their_own() -> None:
    message = Message(from_email="sales@northwind.example", to_emails=["dana@helix.example"], direction="OUTBOUND")
    assert reply_recipients(message, OWN, reply_all=True) == (["dana@helix.example"], [])


ADDRESSES = st.sampled_from(
    [MAYA, "MAYA@northwind.example", f"Maya <{MAYA}>", "dana@helix.example", "Lee <lee@helix.example>", "broken@"]
)


@given(
    st.builds(
        Message,
        from_email=ADDRESSES,
        to_emails=st.lists(ADDRESSES),
        cc_emails=st.lists(ADDRESSES),
        direction=st.sampled_from(["INBOUND", None]),
    ),
    st.booleans(),
)
def test_no_reply_ever_goes_to_the_users_own_address(message: Message, reply_all: bool) -> None:
    to, cc = reply_recipients(message, OWN, reply_all=reply_all)
    assert not [email for email in [*to, *cc] if MAYA in email.lower()]
