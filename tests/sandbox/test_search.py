"""What a search finds, in which order, and that nothing a person types breaks it."""

import httpx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from salesos_inbox.contract import models
from salesos_inbox.sandbox.listing import MOST_COMPLETIONS
from salesos_inbox.sandbox.search import excerpt, fts_query, prefix
from sandbox.conftest import Mailbox

pytestmark = pytest.mark.anyio


async def found(client: httpx.AsyncClient, q: str, **params: str) -> list[str]:
    answer = await client.get("search", params={"q": q, **params})
    assert answer.status_code == 200, answer.text
    assert answer.headers["X-Total-Count"] == str(len(answer.json()))
    return [thread["subject"] for thread in answer.json()]


@pytest.mark.parametrize(
    ("text", "query"),
    [
        ("offer", '"offer"*'),
        ("the offer", '"the" "offer"*'),
        ('"best offer" now', '"best offer" "now"*'),
        ('price "best offer"', '"price" "best offer"'),
        ('"unclosed phrase', '"unclosed phrase"'),
        ('a"b OR NEAR(x) -y * ^z body:q', '"a b" "OR" "NEAR(x)" "-y" "^z" "body:q"*'),
        ("!!! \0 ''", ""),
    ],
)
def test_what_is_typed_becomes_plain_words(text: str, query: str) -> None:
    assert fts_query(text) == query


@pytest.mark.parametrize(
    ("text", "last"),
    [
        ("the Offer", "offer"),
        ('the "offer"', ""),
        ("offer!", ""),
        ("büro", ""),
        ("a@b", ""),
        ("offer !", "offer"),
        ("", ""),
    ],
)
def test_only_a_plain_last_word_is_the_beginning_of_others(text: str, last: str) -> None:
    assert prefix(text) == last


def test_known_completions_stand_for_the_last_word() -> None:
    assert fts_query('"best offer" of tur', ["turbine", "turn"]) == '"best offer" AND "of" AND ("turbine" OR "turn")'
    assert fts_query("or", ["or", "order"]) == '("or" OR "order")'


@pytest.mark.parametrize(
    ("texts", "query", "shown"),
    [
        (["no", "the turbine runs"], "turb", "the turbine runs"),
        (["Größe und Länge"], '"GROSSE" lange', "Größe und Länge"),
        (["x " * 100 + "here\n\n now " + "y " * 100], "here", f"…{'x ' * 29}here now {'y ' * 64}y…"),
        (["saturbine"], "turbine", ""),
        (["words"], "!", ""),
    ],
)
def test_an_excerpt_surrounds_the_first_match(texts: list[str], query: str, shown: str) -> None:
    assert excerpt(texts, query) == shown


async def test_words_are_found_in_subject_body_sender_and_recipients(
    client: httpx.AsyncClient, mailbox: Mailbox
) -> None:
    mailbox.receive("Quarterly numbers")
    mailbox.receive("one", "The turbines are late")
    mailbox.receive("two", from_name="Zoë Ångström", from_email="zoe@north.test")
    mailbox.receive("three", to=("legal@sales.test",))
    mailbox.receive("four", body_html="<style>hidden</style><p>Ver&auml;nderung</p>", body_text=None)
    assert await found(client, "quarter") == ["Quarterly numbers"]
    assert await found(client, "late turbines") == ["one"]
    assert await found(client, '"late turbines"') == []
    assert await found(client, "zoe angstrom") == ["two"]
    assert await found(client, "zoe@north.test") == ["two"]
    assert await found(client, "legal") == ["three"]
    assert await found(client, "veranderung") == ["four"]
    assert await found(client, "hidden") == []
    assert await found(client, "!?") == []


async def test_matches_come_newest_first_with_a_snippet_around_the_newest(
    client: httpx.AsyncClient, mailbox: Mailbox
) -> None:
    mailbox.receive("first", "turbine " + "word " * 100)
    mailbox.clock.forward(hours=1)
    mailbox.receive("second", "word " * 100 + "<b>turbine</b> and more")
    assert await found(client, "turbine") == ["second", "first"]
    snippet = (await client.get("search?q=turbine&limit=1")).json()[0]["snippet"]
    assert snippet.startswith("…word word")
    assert "turbine</b> and more" in snippet


async def test_a_page_past_the_end_is_empty_and_still_tells_the_total(
    client: httpx.AsyncClient, mailbox: Mailbox
) -> None:
    mailbox.receive("one", "turbine")
    for path in ("search?q=turbine&page=9", "threads?page=9"):
        answer = await client.get(path)
        assert (answer.json(), answer.headers["X-Total-Count"]) == ([], "1")


async def test_a_search_keeps_to_a_folder_and_to_dates(client: httpx.AsyncClient, mailbox: Mailbox) -> None:
    for folder in ("inbox", "archive", "trash", "spam"):
        mailbox.receive(folder, "turbine", folder=folder)
        mailbox.clock.forward(days=1)
    assert await found(client, "turbine") == ["archive", "inbox"]
    assert await found(client, "turbine", folder="trash") == ["trash"]
    assert await found(client, "turbine", startDate="2025-01-16") == ["archive"]
    assert await found(client, "turbine", endDate="2025-01-16") == ["inbox"]
    assert (await client.get("search?q=turbine&folder=nowhere")).status_code == 404


async def test_the_beginning_of_a_word_finds_every_word_that_begins_so(
    client: httpx.AsyncClient, mailbox: Mailbox
) -> None:
    for subject, body in (("two", "turbo turbo"), ("three", "the TURBINES"), ("accents", "Türbchen")):
        mailbox.receive(subject, body)
    mailbox.receive("none", "turnover, saturb")
    assert sorted(await found(client, "turb")) == ["accents", "three", "two"]
    assert await found(client, "the turb") == ["three"]
    assert await found(client, '"turb"') == []
    mailbox.receive("many", " ".join(f"turb{number}" for number in range(MOST_COMPLETIONS + 1)))
    assert sorted(await found(client, "turb")) == ["accents", "many", "three", "two"]
    assert await found(client, "saturb turb") == []


@given(st.text(min_size=1))
@settings(max_examples=75, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_nothing_that_is_typed_breaks_the_search(mailbox: Mailbox, text: str) -> None:
    mailbox.store.search(mailbox.user, models.SearchThreads(q=text.encode("utf-8", "replace").decode()))
