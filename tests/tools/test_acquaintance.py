"""Who is new to the user, whatever a stranger writes into the thread."""

import pytest

from harness import NOW, Clock, open_office
from salesos_inbox.sandbox.messages import StoredMessage
from salesos_inbox.sandbox.store import Store

pytestmark = pytest.mark.anyio

FIRST_CONTACT = "first_contact: no earlier mail with this sender"


async def signals_of_a_thread(user: str, *senders: tuple[str, str]) -> list[list[str] | None]:
    """Return the signals of each message of a thread that came from these senders to these recipients."""
    store = Store(clock=Clock())
    user_id = store.add_user(user)
    thread_id = ""
    for number, (sender, recipient) in enumerate(senders):
        message = StoredMessage(
            from_email=sender,
            message_id=f"<{number}@x.example>",
            in_reply_to="<0@x.example>" if number else None,
            sent_at=NOW,
            to=(recipient,),
            subject="Offer",
            body_text="Hello",
        )
        thread_id = store.file_message(user_id, message).thread_id
    # The sandbox takes whatever has the user's address for theirs; a service knows what came in.
    store._db.connection.execute("UPDATE messages SET direction = 'INBOUND'")  # pyright: ignore[reportPrivateUsage]
    async with open_office(store=store, user=user) as office:
        messages = (await office.call("read_thread", thread_id=thread_id))["messages"]
        return [message.get("signals") for message in messages]


async def test_a_sender_of_whom_no_other_mail_is_found_is_new() -> None:
    assert await signals_of_a_thread("maya@northwind.example", ("eve@evil.example", "maya@northwind.example")) == [
        [FIRST_CONTACT]
    ]


async def test_a_colleague_is_not_new() -> None:
    assert await signals_of_a_thread("maya@northwind.example", ("tom@northwind.example", "maya@northwind.example")) == [
        None
    ]


async def test_who_has_their_mail_at_the_same_provider_is_no_colleague() -> None:
    assert await signals_of_a_thread("maya@gmail.com", ("eve@gmail.com", "maya@gmail.com")) == [[FIRST_CONTACT]]


async def test_mail_that_came_in_under_the_users_address_vouches_for_nobody() -> None:
    found = await signals_of_a_thread(
        "maya@gmail.com", ("maya@gmail.com", "eve@evil.example"), ("eve@evil.example", "maya@gmail.com")
    )
    assert found[1] == [FIRST_CONTACT]
