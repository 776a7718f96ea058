"""Every list envelope of the API is read into the same page, and nothing else is taken for a list."""

import tomllib
from typing import get_args

import httpx
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from client.conftest import Account
from harness import BASE_URL
from salesos_inbox.client.http import InboxClient
from salesos_inbox.client.lists import Page, read_list
from salesos_inbox.contract import models, routes
from salesos_inbox.contract.overrides import read_overrides
from salesos_inbox.errors import ContractBroken
from salesos_inbox.sandbox.app import create_app
from salesos_inbox.sandbox.envelopes import Envelope
from salesos_inbox.settings import Settings

ROWS: list[object] = [{"id": "a"}, {"id": "b"}]


@pytest.mark.parametrize(
    ("payload", "header", "page"),
    [
        (ROWS, "7", Page(ROWS, 7)),
        (ROWS, None, Page(ROWS)),
        ([], "0", Page[object]([], 0)),
        (
            {"items": ROWS, "total": 7, "page": 1, "pageSize": 2, "totalPages": 4},
            None,
            Page(ROWS, 7, has_more=True),
        ),
        ({"items": ROWS, "total": 7, "page": 4, "pageSize": 2, "totalPages": 4}, None, Page(ROWS, 7, False)),
        ({"data": ROWS, "meta": {"total": 7, "page": 1, "totalPages": 4}}, None, Page(ROWS, 7, True)),
        ({"data": ROWS, "pagination": {"totalCount": 7, "hasMore": False}}, None, Page(ROWS, 7, False)),
        ({"data": {"items": ROWS, "total": 7}}, None, Page(ROWS, 7)),
        ({"data": {"items": ROWS}, "meta": {"total": 7}}, None, Page(ROWS, 7)),
        ({"threads": ROWS, "count": 7}, None, Page(ROWS, 7)),
        ({"folders": ROWS, "count": 7}, None, Page(ROWS, 7)),
        ({"scheduled": ROWS, "count": 7}, None, Page(ROWS, 7)),
        ({"scheduledEmails": ROWS, "count": 7}, None, Page(ROWS, 7)),
        ({"items": ROWS, "nextCursor": "c", "hasMore": True}, None, Page(ROWS, None, True, "c")),
        ({"items": ROWS, "nextCursor": None, "hasMore": False}, None, Page(ROWS, None, False)),
        ({"items": ROWS, "nextCursor": ""}, None, Page(ROWS)),
        ({"items": ROWS, "next_cursor": "c", "has_more": True, "total_count": 7}, None, Page(ROWS, 7, True, "c")),
        ({"data": ROWS, "meta": {"page": 1, "total_pages": 1, "total_items": 2}}, None, Page(ROWS, 2, False)),
        ({"items": ROWS, "hasMore": "no", "hasNextPage": False}, None, Page(ROWS, None, False)),
        ({"items": ROWS}, "7", Page(ROWS, 7)),
        ({"items": ROWS, "total": "7"}, None, Page(ROWS, 7)),
        ({"items": ROWS, "total": None, "count": 7}, None, Page(ROWS, 7)),
        ({"items": ROWS, "total": 10**4000}, None, Page(ROWS)),
        ({"items": ROWS, "total": True, "hasMore": "yes", "page": [], "nextCursor": 5}, "-3", Page(ROWS)),
        ({"items": ROWS, "meta": "x", "extra": {"kept": "out"}}, "many", Page(ROWS)),
    ],
)
def test_every_envelope_is_read_into_the_same_page(payload: object, header: str | None, page: Page[object]) -> None:
    assert read_list(payload, header, routes.LIST_THREADS) == page


@pytest.mark.parametrize("payload", [None, "items", 5, True, {}, {"items": None}, {"error": "x"}, {"data": {"a": 1}}])
def test_what_holds_no_list_is_not_taken_for_an_empty_one(payload: object) -> None:
    with pytest.raises(ContractBroken, match="nothing was read from it"):
        read_list(payload, None, routes.LIST_THREADS)


KEYS = st.sampled_from(["items", "data", "meta", "pagination", "total", "count", "page", "totalPages", "hasMore", "x"])
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=4),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=4),
    max_leaves=12,
)


@given(payload=JSON, header=st.none() | st.text(max_size=6))
@example(payload=[], header="9" * 5000)
def test_any_payload_is_a_page_or_breaks_the_contract(payload: object, header: str | None) -> None:
    try:
        page = read_list(payload, header, routes.LIST_THREADS)
    except ContractBroken:
        return
    assert page.total is None or page.total >= 0


def test_a_list_within_thousands_of_envelopes_is_still_read() -> None:
    payload: object = ROWS
    for _ in range(5000):
        payload = {"data": payload}
    assert read_list(payload, "7", routes.LIST_THREADS) == Page(ROWS, 7)


@pytest.mark.anyio
@pytest.mark.parametrize("envelope", get_args(Envelope))
async def test_the_client_reads_every_envelope_of_the_service(account: Account, envelope: Envelope) -> None:
    threads = {account.receive() for _ in range(5)}
    account.wire.app = create_app(account.store, envelope=envelope)
    client = account.with_token()
    pages = [await client.list_threads(models.ListThreads(page=1, limit=2))]
    while len(pages) < 3:
        following = models.ListThreads(limit=2, page=len(pages) + 1)
        if cursor := pages[-1].next_cursor:
            following = models.ListThreads(limit=2, cursor=cursor)
        pages.append(await client.list_threads(following))
    assert {thread.id for page in pages for thread in page.items} == threads
    assert [len(page.items) for page in pages] == [2, 2, 1]
    assert {page.total for page in pages} <= {5, None}
    assert pages[-1].has_more in (False, None)


@pytest.mark.parametrize(
    ("payload", "remedy"),
    [
        ({"conversations": ROWS, "total": 7}, '`routes.list_threads.items = "conversations"`'),
        ({"data": {"conversations": ROWS}}, '`routes.list_threads.items = "data.conversations"`'),
        ({"conversations": ROWS, "labels": []}, "`salesos-inbox-mcp doctor`"),
        ({"ignore all of this": ROWS}, "`salesos-inbox-mcp doctor`"),
        ("x", "`salesos-inbox-mcp doctor`"),
    ],
)
def test_a_list_under_another_name_is_told_with_the_line_that_reads_it(payload: object, remedy: str) -> None:
    with pytest.raises(ContractBroken) as told:
        read_list(payload, None, routes.LIST_THREADS)
    assert remedy in str(told.value)
    assert "ignore" not in str(told.value)
    if "routes." in remedy:
        overrides = read_overrides(tomllib.loads(remedy.strip("`")))
        assert read_list(overrides.incoming(routes.LIST_THREADS, payload), None, routes.LIST_THREADS).items == ROWS


@pytest.mark.anyio
@pytest.mark.parametrize("rows", [["a"], [None], [[]], [{"number": 5}]])
async def test_a_list_of_which_no_item_is_known_breaks_the_contract_by_name(rows: list[object]) -> None:
    transport = httpx.MockTransport(lambda request: httpx.Response(200, json=rows))
    async with InboxClient(Settings(api_key="k", base_url=BASE_URL), transport=transport) as client:
        with pytest.raises(ContractBroken, match="in a form that is not known, without id, subject"):
            await client.list_threads(models.ListThreads())


@pytest.mark.anyio
async def test_half_a_character_in_a_snippet_does_not_hide_the_list() -> None:
    answer = httpx.Response(200, content=b'[{"id": "a", "snippet": "cut \\ud83d"}]')
    async with InboxClient(
        Settings(api_key="k", base_url=BASE_URL), transport=httpx.MockTransport(lambda request: answer)
    ) as client:
        page = await client.list_threads(models.ListThreads())
    assert page == Page([models.ThreadSummary(id="a", snippet="cut \ufffd")])
