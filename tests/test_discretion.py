"""What the whole suite is held to can itself be broken: each kind of secret is noticed, wherever it would stand."""

import logging

import pytest

from discretion import assert_discreet, lines, listening
from harness import open_office
from salesos_inbox.sandbox.store import Store


def test_credentials_are_noticed() -> None:
    store = Store()
    user_id = store.add_user("sam@sales.test")
    for credential in (store.issue_token(user_id), store.add_api_key(user_id)):
        with pytest.raises(AssertionError, match="a credential"):
            assert_discreet(f"Bearer {credential}", "a test")
    store.close()


@pytest.mark.anyio
async def test_words_of_a_message_are_noticed() -> None:
    async with open_office() as office:
        for thread_id in (await office.thread_ids())[:5]:
            messages = (await office.call("read_thread", thread_id=thread_id))["messages"]
            text = max((message["text"] for message in messages), key=len)
            with pytest.raises(AssertionError, match="words of a message"):
                assert_discreet(f"It says: {text}", "a test")


def test_what_is_logged_is_heard_with_its_exception() -> None:
    with listening() as records:
        try:
            raise ValueError("in the exception")
        except ValueError:
            logging.getLogger("anything").exception("in the %s", "line")
    assert "in the line" in lines(records)
    assert "in the exception" in lines(records)


def test_ordinary_sentences_are_no_secret() -> None:
    assert_discreet("SalesOS could not be reached to list the threads, and nothing was changed: call again.", "a test")
