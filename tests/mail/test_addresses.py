# ruff: noqa: E501  (mail has long lines)
import pytest
from hypothesis import given
from hypothesis import strategies as st
from inline_snapshot import snapshot

from salesos_inbox.errors import InvalidArguments
from salesos_inbox.mail.addresses import Address, parse_address, parse_addresses, same_address


def complaint(text: str) -> str:
    with pytest.raises(InvalidArguments) as raised:
        parse_address(text)
    return str(raised.value)


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("a@b.example", Address("a@b.example")),
        ("  Ann Lee <a@b.example> ", Address("a@b.example", "Ann Lee")),
        ('"Lee, Ann" <a@b.example>', Address("a@b.example", "Lee, Ann")),
        (r'"Ann \"Q\" Lee" <a@b.example>', Address("a@b.example", 'Ann "Q" Lee')),
        ("<a@b.example>", Address("a@b.example")),
        ('"a b"@c.example', Address('"a b"@c.example')),
        ("山田 <y@例え.test>", Address("y@例え.test", "山田")),
        ("a@localhost", Address("a@localhost")),
        ("a@b.invalid", Address("a@b.invalid")),
    ],
)
def test_an_address_is_read_in_every_usual_form(text: str, address: Address):
    assert parse_address(text) == address


def test_a_name_is_quoted_where_mail_needs_it():
    assert [str(Address("a@b.example", name)) for name in ("Ann Lee", "Lee, Ann", 'A "Q" Lee', "Zoë", "")] == snapshot(
        [
            "Ann Lee <a@b.example>",
            '"Lee, Ann" <a@b.example>',
            '"A \\"Q\\" Lee" <a@b.example>',
            "Zoë <a@b.example>",
            "a@b.example",
        ]
    )


def test_an_international_domain_is_shown_in_unicode_and_sent_in_ascii():
    address = parse_address("a@xn--bcher-kva.example")
    assert address.email == "a@bücher.example"
    assert address.ascii == "a@xn--bcher-kva.example"


def test_every_refusal_is_one_sentence_that_says_what_to_change():
    wrong = [
        "",
        "a@",
        "@b.example",
        "ab",
        "a@b",
        ".a@b.example",
        "a..b@c.example",
        "a@b.example.",
        "a@b.example\nBcc: c@d.example",
    ]
    wrong += [
        "a@b.example, c@d.example",
        "a@b.example; c@d.example",
        "Lee, Ann <a@b.example>",
        "a@exa\u202emple.com",
        "a" * 2000,
    ]
    assert [complaint(text) for text in wrong] == snapshot(
        [
            "'' is not an address to write to (it is empty): write name@domain.example or Name <name@domain.example>.",
            "'a@' is not an address to write to (there is no domain after the @): write name@domain.example or Name <name@domain.example>.",
            "'@b.example' is not an address to write to (there must be something before the @-sign): write name@domain.example or Name <name@domain.example>.",
            "'ab' is not an address to write to (there is no @ in it): write name@domain.example or Name <name@domain.example>.",
            "'a@b' is not an address to write to (the domain after the @ is not complete): write name@domain.example or Name <name@domain.example>.",
            "'.a@b.example' is not an address to write to (an email address cannot start with a period): write name@domain.example or Name <name@domain.example>.",
            "'a..b@c.example' is not an address to write to (an email address cannot have two periods in a row): write name@domain.example or Name <name@domain.example>.",
            "'a@b.example.' is not an address to write to (an email address cannot end with a period): write name@domain.example or Name <name@domain.example>.",
            "'a@b.example Bcc: c@d.example' is not an address to write to (it holds a line break or a character that cannot be seen): write name@domain.example or Name <name@domain.example>.",
            "'a@b.example, c@d.example' is not an address to write to (it holds several addresses, give each as its own entry): write name@domain.example or Name <name@domain.example>.",
            "'a@b.example; c@d.example' is not an address to write to (it holds several addresses, give each as its own entry): write name@domain.example or Name <name@domain.example>.",
            "'Lee, Ann <a@b.example>' is not an address to write to (a name with a comma must stand in double quotes): write name@domain.example or Name <name@domain.example>.",
            "'a@example.com' is not an address to write to (it holds a line break or a character that cannot be seen): write name@domain.example or Name <name@domain.example>.",
            "'aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa…' is not an address to write to (it is too long): write name@domain.example or Name <name@domain.example>.",
        ]
    )


def test_addresses_keep_their_order_and_lose_their_doubles():
    texts = ["b@c.example", "A@c.example", "Bea <B@C.example>", "a@c.example", "Other <b@c.example>"]
    assert parse_addresses(texts) == [Address("b@c.example", "Bea"), Address("A@c.example")]


def test_one_mailbox_is_known_in_every_spelling():
    assert same_address("Ann <A@Bücher.example>", "a@xn--bcher-kva.example")
    assert not same_address("a@b.example", "a@c.example")
    assert same_address("not an address", "Not an address ")


@given(st.text() | st.text('ab@.<>",; \\:\u0301\u200d[]'))
def test_no_text_raises_anything_else(text: str):
    try:
        address = parse_address(text)
    except InvalidArguments:
        return
    assert parse_address(str(address)) == address
    assert address.ascii
