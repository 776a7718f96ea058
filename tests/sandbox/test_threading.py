"""Which messages become one thread."""

from datetime import timedelta

import pytest

from salesos_inbox.contract import models
from salesos_inbox.sandbox.messages import looks_like_reply, subject_key
from sandbox.conftest import Mailbox


def test_replies_join_by_references_and_by_in_reply_to(mailbox: Mailbox) -> None:
    root = mailbox.receive("One", message_id="<1@x>")
    assert mailbox.receive("Other words", message_id="<2@x>", references=("<1@x>",)) == root
    assert mailbox.receive("Still others", message_id="<3@x>", in_reply_to="<2@x>") == root


def test_siblings_meet_at_a_parent_that_is_missing(mailbox: Mailbox) -> None:
    first = mailbox.receive("A", message_id="<1@x>", in_reply_to="<lost@x>")
    assert mailbox.receive("B", message_id="<2@x>", references=("<lost@x>",)) == first
    assert mailbox.receive("C", message_id="<lost@x>") == first


def test_a_message_that_links_two_threads_makes_them_one(mailbox: Mailbox) -> None:
    store, user = mailbox.store, mailbox.user
    first = mailbox.receive("A", message_id="<1@x>", folder="archive", is_read=True)
    second = mailbox.receive("B", message_id="<2@x>", is_starred=True)
    record = store.add_crm_record(user, "lead", "Deal")
    store.link_crm(user, second, "lead", record)
    store.set_follow_up(user, second, mailbox.clock() + timedelta(days=1), "Call")
    assert mailbox.receive("C", message_id="<3@x>", references=("<1@x>", "<2@x>")) == first

    (only,) = store.list_threads(user, models.ListThreads()).items
    assert (only.id, only.message_count, only.folder, only.is_read, only.is_starred) == (first, 3, "inbox", False, True)
    assert [link.entity_id for link in only.crm_links] == [record]
    assert only.follow_up
    assert only.follow_up.note == "Call"


def test_messages_that_name_themselves_or_each_other_are_one_thread(mailbox: Mailbox) -> None:
    first = mailbox.receive("A", message_id="<1@x>", in_reply_to="<2@x>", references=("<1@x>",))
    assert mailbox.receive("B", message_id="<2@x>", in_reply_to="<1@x>", references=("<2@x>", "<1@x>")) == first


def test_a_reply_without_known_parents_joins_by_subject_within_30_days(mailbox: Mailbox) -> None:
    root = mailbox.receive("[crm] Offer for you")
    mailbox.clock.forward(days=29)
    assert mailbox.receive("AW: [crm] Re: offer  for you", in_reply_to="<elsewhere@x>") == root
    assert mailbox.receive("[crm] Offer for you") != root
    assert mailbox.receive("Re: Offer for you") != root
    mailbox.clock.forward(days=31)
    assert mailbox.receive("Re: [crm] Offer for you") != root


def test_replies_without_a_subject_do_not_join(mailbox: Mailbox) -> None:
    assert mailbox.receive("Re:") != mailbox.receive("Re:")


def test_a_second_copy_is_dropped(mailbox: Mailbox) -> None:
    for message_id in ("<1@x>", ""):
        first = mailbox.receive("Same", message_id=message_id)
        assert mailbox.receive("Same", message_id=message_id) == first
        assert mailbox.store.thread(mailbox.user, first).message_count == 1


@pytest.mark.parametrize(
    ("subject", "key", "is_reply"),
    [
        ("Hello  There", "hello there", False),
        ("Re: Hello there", "hello there", True),
        ("RE: FW: Re[2]: hello there", "hello there", True),
        ("Aw: WG: Antwort: Angebot", "angebot", True),
        ("回复：报价", "报价", True),
        ("[list] Re: hello", "[list] hello", True),
        ("Re: [list] hello", "[list] hello", True),
        ("Regarding: hello", "regarding: hello", False),
        ("[PATCH 1/2] fix", "[patch 1/2] fix", False),
        ("Re:", "", True),
    ],
)
def test_a_subject_and_its_replies_share_a_key(subject: str, key: str, is_reply: bool) -> None:
    assert (subject_key(subject), looks_like_reply(subject)) == (key, is_reply)
