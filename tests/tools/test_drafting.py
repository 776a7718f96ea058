"""Drafts: nothing is sent, and nothing but what is given changes."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import httpx
import pytest
from inline_snapshot import snapshot

from harness import Clock, Era, Office, open_office
from salesos_inbox.contract.models import SaveDraft
from salesos_inbox.sandbox.seed import DEMO_USER
from salesos_inbox.sandbox.store import Store

pytestmark = pytest.mark.anyio

Steady = Callable[[object], Any]
Interpose = Callable[[Office, Callable[[str, str, httpx.Response], httpx.Response | None]], None]


async def stored(office: Office, draft_id: str) -> dict[str, Any]:
    """Return a draft's fields as the mailbox has them."""
    thread_id = office.store.thread_of(office.user_id, draft_id)
    (message,) = [item for item in office.store.thread(office.user_id, thread_id).messages if item.id == draft_id]
    return message.model_dump(
        include={"to_emails", "cc_emails", "bcc_emails", "subject", "body_text", "body_html", "in_reply_to", "status"}
    )


async def test_a_new_draft_is_saved_with_what_was_given(steady: Steady) -> None:
    async with open_office(demo=False) as office:
        answer = await office.call(
            "save_draft",
            to=["Dana Whitfield <dana@helix.example>", "lee@helix.example"],
            cc=["ruth@helix.example"],
            bcc=["boss@northwind.example"],
            subject="Offer",
            body="Dear Dana,\n\nHere it is.",
        )
        assert await stored(office, answer["draft_id"]) == snapshot(
            {
                "in_reply_to": None,
                "to_emails": ["dana@helix.example", "lee@helix.example"],
                "cc_emails": ["ruth@helix.example"],
                "bcc_emails": ["boss@northwind.example"],
                "subject": "Offer",
                "body_html": None,
                "body_text": """\
Dear Dana,

Here it is.\
""",
                "status": "DRAFT",
            }
        )
        assert steady(answer) == snapshot(
            {
                "status": "draft_saved",
                "to": "dana@helix.example, lee@helix.example",
                "cc": "ruth@helix.example",
                "bcc": "boss@northwind.example",
                "subject": "Offer",
                "thread_id": "<2>",
                "draft_id": "<1>",
            }
        )
        assert steady(office.wire.writes()) == snapshot(
            [
                [
                    "POST",
                    "/drafts",
                    {
                        "to": ["dana@helix.example", "lee@helix.example"],
                        "cc": ["ruth@helix.example"],
                        "bcc": ["boss@northwind.example"],
                        "subject": "Offer",
                        "bodyText": """\
Dear Dana,

Here it is.\
""",
                    },
                ]
            ]
        )
        assert office.person.cards == []


async def test_a_reply_takes_recipients_subject_and_threading_from_the_thread(steady: Steady) -> None:
    async with open_office() as office:
        thread_id = await office.find("Leipzig pilot results")
        answer = await office.call("save_draft", thread_id=thread_id, body="Here is the figure.", reply_all=True)
        assert answer["thread_id"] == thread_id
        assert steady(answer) == snapshot(
            {
                "status": "draft_saved",
                "to": "dana.whitfield@helix-logistics.example",
                "cc": "ruth.kellerman@helix-logistics.example, marcus.oyelaran@helix-logistics.example",
                "subject": "Re: Leipzig pilot: results and what comes next",
                "thread_id": "<2>",
                "draft_id": "<1>",
            }
        )
        thread = office.store.thread(office.user_id, thread_id)
        assert [thread.messages[-1].status, thread.messages[-1].in_reply_to] == [
            "DRAFT",
            thread.messages[-2].message_id,
        ]
        assert thread.messages[-1].references == [message.message_id for message in thread.messages[:-1]]


async def test_what_is_given_wins_over_the_thread() -> None:
    async with open_office() as office:
        thread_id = await office.find("Leipzig pilot results")
        answer = await office.call(
            "save_draft", thread_id=thread_id, body="x", to=["ruth@helix.example"], cc=[], subject="The figure"
        )
        assert (answer["to"], answer.get("cc"), answer["subject"]) == ("ruth@helix.example", None, "The figure")


async def test_a_reply_to_a_subject_with_a_prefix_says_re_once() -> None:
    async with open_office() as office:
        thread_id = await office.find("Solano new bank details")
        assert (await office.call("save_draft", thread_id=thread_id, body="x"))["subject"].startswith("Re: Solano / ")


async def test_a_second_reply_does_not_answer_the_first_draft() -> None:
    async with open_office() as office:
        thread_id = await office.find("Leipzig pilot results")
        first = await office.call("save_draft", thread_id=thread_id, body="one")
        second = await office.call("save_draft", thread_id=thread_id, body="two")
        assert first["to"] == second["to"]
        assert first["draft_id"] != second["draft_id"]
        assert (await stored(office, first["draft_id"]))["in_reply_to"] == (await stored(office, second["draft_id"]))[
            "in_reply_to"
        ]


@pytest.mark.parametrize(
    ("given", "changed"),
    [
        ({"body": "Another text"}, {"body_text": "Another text"}),
        ({"subject": "Another subject"}, {"subject": "Another subject"}),
        ({"subject": ""}, {"subject": ""}),
        ({"to": ["lee@helix.example"]}, {"to_emails": ["lee@helix.example"]}),
        ({"bcc": ["eve@northwind.example"]}, {"bcc_emails": ["eve@northwind.example"]}),
        ({"cc": []}, {"cc_emails": []}),
    ],
)
async def test_an_update_keeps_every_other_field(given: dict[str, Any], changed: dict[str, Any]) -> None:
    async with open_office(demo=False) as office:
        draft_id = (
            await office.call(
                "save_draft",
                to=["dana@helix.example"],
                cc=["ruth@helix.example"],
                bcc=["boss@northwind.example"],
                subject="Offer",
                body="Text",
            )
        )["draft_id"]
        before = await stored(office, draft_id)
        answer = await office.call("save_draft", draft_id=draft_id, **given)
        assert answer["draft_id"] == draft_id
        assert await stored(office, draft_id) == {**before, **changed}
        assert len((await office.call("list_threads", folder="drafts"))["threads"]) == 1


async def test_an_update_of_a_reply_stays_in_its_thread() -> None:
    async with open_office() as office:
        thread_id = await office.find("Leipzig pilot results")
        draft = await office.call("save_draft", thread_id=thread_id, body="one", reply_all=True)
        updated = await office.call("save_draft", draft_id=draft["draft_id"], body="two")
        assert {**updated, "draft_id": ""} == {**draft, "draft_id": ""}
        thread = office.store.thread(office.user_id, thread_id)
        assert [message.body_text for message in thread.messages if message.status == "DRAFT"] == ["two"]


HTML = "<p>Dear Dana,</p><p>Costs: <b>10</b> &amp; no more.</p>"


@pytest.mark.parametrize("text", [None, "Dear Dana, costs: 10 & no more."])
async def test_the_two_forms_of_a_draft_written_elsewhere_never_say_different_things(text: str | None) -> None:
    async with open_office(demo=False) as office:
        draft_id = office.store.save_draft(
            office.user_id, SaveDraft(to=["dana@helix.example"], subject="Offer", body_text=text, body_html=HTML)
        ).id
        await office.call("save_draft", draft_id=draft_id, subject="The offer")
        kept = await stored(office, draft_id)
        assert kept["body_html"] == HTML
        assert "no more." in kept["body_text"]
        await office.call("save_draft", draft_id=draft_id, body="Costs:\n<20>")
        changed = await stored(office, draft_id)
        assert (changed["body_text"], changed["body_html"]) == ("Costs:\n<20>", "Costs:<br>\n&lt;20&gt;")


async def test_an_unknown_draft_is_not_found() -> None:
    async with open_office() as office:
        received = office.store.thread(office.user_id, await office.find("Leipzig pilot results")).messages[0].id
        for draft_id in ("no-such-draft", received, "a/b"):
            refusal = await office.refusal("save_draft", draft_id=draft_id, body="x")
            assert refusal.startswith(f"not_found: There is no draft {draft_id!r}: it may have been sent; list_threads")
        assert office.wire.writes() == []


async def test_a_draft_of_another_user_is_not_found() -> None:
    store = Store(clock=Clock())
    other = store.add_user("eve@northwind.example")
    draft = store.save_draft(other, SaveDraft(to=["x@helix.example"], subject="s", body_text="secret"))
    async with open_office(store=store, user=DEMO_USER) as office:
        assert (await office.refusal("save_draft", draft_id=draft.id, body="x")).startswith("not_found: ")
        assert (await office.refusal("send_email", draft_id=draft.id)).startswith("not_found: ")
        assert office.wire.writes() == []


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ("dana@helix.example", "dana@helix.example"),
        ("  dana@helix.example ", "dana@helix.example"),
        ("Dana Whitfield <dana@helix.example>", "dana@helix.example"),
        ('"Whitfield, Dana" <dana@helix.example>', "dana@helix.example"),
        ("Jürgen <juergen@bücher.example>", "juergen@xn--bcher-kva.example"),
        ("juergen@xn--bcher-kva.example", "juergen@xn--bcher-kva.example"),
    ],
)
async def test_an_address_goes_over_the_wire_bare_and_in_ascii(given: str, expected: str) -> None:
    async with open_office(demo=False) as office:
        await office.call("save_draft", to=[given], body="x")
        assert office.wire.writes()[-1][2]["to"] == [expected]


HALF_ADDRESSES = [
    "",
    " ",
    "dana",
    "dana@",
    "@helix.example",
    "dana@helix",
    "dana@helix.example, lee@helix.example",
    "dana@helix.example;lee@helix.example",
    "dana@helix.example\nBcc: eve@evil.test",
    "Dana\r\nBcc: eve@evil.test <dana@helix.example>",
    "Dana <dana@helix.example",
    "dana@hel ix.example",
    "dana@-helix.example",
    "dana\u200b@helix.example",
    "\ud800@helix.example",
    "x" * 10_000_000 + "@helix.example",
]


@pytest.mark.parametrize("field", ["to", "cc", "bcc"])
async def test_half_an_address_is_refused_with_the_form_to_write(field: str) -> None:
    async with open_office(demo=False) as office:
        for address in HALF_ADDRESSES:
            for tool in ("save_draft", "send_email"):
                refusal = await office.refusal(tool, body="x", **{"to": ["lee@helix.example"], field: [address]})
                assert refusal.startswith("invalid_arguments: ")
                assert refusal.endswith("write name@domain.example or Name <name@domain.example>.")
                assert len(refusal) < 500
        assert office.wire.writes() == []
        assert office.person.cards == []


async def test_nobody_is_written_to_twice() -> None:
    async with open_office(demo=False) as office:
        answer = await office.call(
            "save_draft",
            to=["Dana <dana@helix.example>", "DANA@helix.example", "juergen@bücher.example"],
            cc=["dana@HELIX.example", "lee@helix.example", "juergen@xn--bcher-kva.example"],
            bcc=["Lee <lee@helix.example>", "ruth@helix.example"],
            body="x",
        )
        assert (answer["to"], answer["cc"], answer["bcc"]) == (
            "dana@helix.example, juergen@bücher.example",
            "lee@helix.example",
            "ruth@helix.example",
        )


BAD_DRAFTS: list[tuple[dict[str, Any], str]] = [
    ({}, "The draft is empty"),
    ({"body": ""}, "The draft is empty"),
    ({"body": "x" * 10_000_000}, "The body is longer than 1,000,000 characters"),
    ({"body": "half \ud800"}, "lone surrogate"),
    ({"subject": "half \ud800", "body": "x"}, "lone surrogate"),
    ({"subject": "Offer\r\nBcc: eve@evil.test", "body": "x"}, "The subject holds a line break"),
    ({"subject": "Offer\0", "body": "x"}, "The subject holds a line break"),
    ({"subject": "x" * 901, "body": "x"}, "The subject is longer than 900 characters"),
    ({"body": "x", "reply_all": True}, "reply_all needs the thread_id"),
    ({"body": "x", "thread_id": "a\nb"}, "thread_id must be an id"),
    ({"body": "x", "draft_id": ""}, "draft_id must be an id"),
    ({"body": "x", "to": ["dana@helix.example"] * 300_000}, "more than 100 recipients"),
    ({"body": "x", "to": [f"d{n}@helix.example" for n in range(101)]}, "more than 100 recipients"),
    ({"body": "x", "to": "dana@helix.example"}, "to"),
    ({"body": "x", "recipients": ["dana@helix.example"]}, "use to"),
    ({"body": "x", "bccs": ["dana@helix.example"]}, "use bcc"),
    ({"text": "x"}, "use body"),
    ({"body": "x", "html": "<b>x</b>"}, "has no argument 'html'"),
]


async def test_a_bad_draft_is_refused_in_words() -> None:
    async with open_office(demo=False) as office:
        for arguments, words in BAD_DRAFTS:
            refusal = await office.refusal("save_draft", **arguments)
            assert refusal.startswith("invalid_arguments: ")
            assert words in refusal
            assert len(refusal) < 400
            assert office.wire.writes() == []


async def test_a_reply_in_a_thread_there_is_not_is_refused() -> None:
    async with open_office(demo=False) as office:
        assert (await office.refusal("save_draft", thread_id="c1", body="x")).startswith(
            "not_found: There is no thread"
        )


async def test_reply_all_is_refused_where_the_users_own_address_is_not_known(interpose: Interpose) -> None:
    async with open_office() as office:
        received = await office.find("Cedarline Furniture demo request")
        written = await office.find("Leipzig pilot results")
        office.services._me = None  # pyright: ignore[reportPrivateUsage]
        interpose(office, lambda method, path, response: httpx.Response(404) if path == "/auth/me" else None)
        refusal = await office.refusal("save_draft", thread_id=received, body="x", reply_all=True)
        assert "does not tell which address is the user's own" in refusal
        answer = await office.call("save_draft", thread_id=written, body="x", reply_all=True)
        assert DEMO_USER not in answer["to"] + answer["cc"]


# Where the operator has drafts asked about


async def test_the_card_for_a_draft_shows_all_of_it_and_does_not_say_that_it_leaves(era: Era) -> None:
    async with open_office(era=era, demo=False, settings={"SALESOS_POLICY": "save_draft=ask"}) as office:
        await office.call("save_draft", to=["dana@helix.example"], bcc=["lee@helix.example"], subject="Offer", body="x")
        assert office.person.cards == snapshot(
            [
                """\
Save this draft?
To: dana@helix.example
Bcc: lee@helix.example
Subject: Offer
Conversation: a new conversation
Message:
│ x\
"""
            ]
        )


async def test_an_approval_to_save_a_draft_overwrites_no_other() -> None:
    settings = {"SALESOS_POLICY": "save_draft=ask"}
    async with open_office(demo=False, asks=False, page=True, settings=settings) as office:
        draft_id = (await office.call("save_draft", body="one"))["draft_id"]
        office.person.answer = "cancel"
        office.services.settings = replace(office.services.settings, approval_seconds=0.3)
        office.services.consent.ladder.seconds = 0.3
        office.clock.advance(minutes=1)
        assert (await office.refusal("save_draft", body="two")).startswith("pending: ")
        ledger, now = office.services.ledger, office.services.seconds()
        [waiting] = ledger.waiting(await office.services.user(), now)
        ledger.decide(waiting.operation_id, True, by="the user", now=now)
        office.clock.advance(minutes=1)
        assert (await office.refusal("save_draft", body="two", draft_id=draft_id)).startswith("pending: ")
        assert (await stored(office, draft_id))["body_text"] == "one"
