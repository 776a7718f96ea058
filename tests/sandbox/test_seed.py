import re
from collections import Counter
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo

import pytest
from inline_snapshot import snapshot

from salesos_inbox.contract.models import ListScheduled, ListThreads, Message, Thread
from salesos_inbox.sandbox.seed import DEMO_USER, load_demo
from salesos_inbox.sandbox.seed.script import read_script
from salesos_inbox.sandbox.store import Store

BERLIN = ZoneInfo("Europe/Berlin")
AFTERNOON = datetime(2026, 11, 18, 15, 30, tzinfo=BERLIN)
MOMENTS = [
    AFTERNOON,
    datetime(2026, 11, 18, 0, 0, 30, tzinfo=BERLIN),
    datetime(2026, 11, 18, 6, 0, tzinfo=BERLIN),
    datetime(2026, 3, 29, 7, 0, tzinfo=BERLIN),  # the clocks went forward at two
    datetime(2026, 10, 25, 2, 30, tzinfo=BERLIN),  # the hour that comes twice
    datetime(2026, 10, 25, 2, 30, tzinfo=BERLIN, fold=1),
    datetime(2027, 1, 1, 0, 5, tzinfo=BERLIN),
    datetime(2028, 2, 29, 12, 0, tzinfo=UTC),
]
RESERVED = re.compile(r"(?:.*\.)?(?:example|test|invalid|example\.(?:com|net|org))", re.IGNORECASE)
HOST = re.compile(
    r"(?:@|https?://)([\w.-]+\.\w+)(?:/[^\s\"<>]*)?|\b([\w-]+(?:\.[\w-]+)*\.(?:com|net|org|io|de|eu|ms))\b"
)


@contextmanager
def loaded(now: datetime) -> Generator[tuple[Store, str], None, None]:
    store = Store(clock=lambda: now.astimezone(UTC))
    yield store, load_demo(store)
    store.close()


def all_threads(store: Store, user_id: str) -> list[Thread]:
    found: dict[str, Thread] = {}
    for folder in store.folders(user_id):
        listed = store.list_threads(user_id, ListThreads(folder=folder.id, limit=100)).items
        found.update((summary.id, store.thread(user_id, summary.id)) for summary in listed)
    return list(found.values())


def threads_at(now: datetime) -> list[Thread]:
    with loaded(now) as (store, user_id):
        return all_threads(store, user_id)


def mail(threads: list[Thread]) -> Iterator[Message]:
    return (message for thread in threads for message in thread.messages)


@pytest.fixture(scope="module")
def mailbox() -> Iterator[tuple[Store, str]]:
    with loaded(AFTERNOON) as opened:
        yield opened


@pytest.fixture(scope="module", params=MOMENTS, ids=str)
def start(request: pytest.FixtureRequest) -> Iterator[tuple[datetime, Store, str]]:
    """A moment at which the demo starts, and its mailbox, which tests only read."""
    with loaded(request.param) as (store, user_id):
        yield request.param, store, user_id


@pytest.fixture(scope="module")
def threads(mailbox: tuple[Store, str]) -> list[Thread]:
    return all_threads(*mailbox)


def thread_about(threads: list[Thread], words: str) -> Thread:
    (thread,) = (thread for thread in threads if words in thread.subject)
    return thread


def test_the_folders_hold_a_busy_week(mailbox: tuple[Store, str]) -> None:
    store, user_id = mailbox
    counts = {folder.name: (folder.total_count, folder.unread_count) for folder in store.folders(user_id)}
    assert counts == snapshot(
        {
            "Inbox": (37, 14),
            "Sent": (25, 6),
            "Drafts": (2, 0),
            "Scheduled": (2, 0),
            "Archive": (2, 0),
            "Trash": (1, 0),
            "Spam": (1, 1),
            "Contracts": (1, 0),
            "Newsletters": (1, 0),
        }
    )


def test_the_statistics_tell_the_same_story(mailbox: tuple[Store, str]) -> None:
    store, user_id = mailbox
    assert store.stats(user_id).model_dump() == snapshot(
        {
            "total_threads": 42,
            "unread_threads": 14,
            "starred_threads": 5,
            "scheduled_count": 2,
            "draft_count": 2,
            "follow_ups_due": 1,
            "awaiting_reply": 5,
            "received_today": 10,
            "sent_today": 0,
        }
    )


def test_every_file_became_one_thread_with_all_its_messages(threads: list[Thread]) -> None:
    written = [
        Counter(message.kind != "Send-At" for message in thread.messages)[True] for thread in read_script().threads
    ]
    assert sorted(len(thread.messages) for thread in threads) == sorted(written)
    assert 40 <= len(threads) <= 45
    assert 115 <= sum(written) <= 130


def test_no_mail_lies_in_the_future_whenever_the_demo_starts(start: tuple[datetime, Store, str]) -> None:
    now, store, user_id = start
    for thread in all_threads(store, user_id):
        times = [message.sent_at for message in thread.messages if message.sent_at]
        assert times == sorted(times)
        assert all(time < now for time in times)


def test_two_messages_wait_for_a_morning_in_berlin(start: tuple[datetime, Store, str]) -> None:
    now, store, user_id = start
    scheduled = [email.scheduled_for for email in store.list_scheduled(user_id, ListScheduled()).items]
    assert [time and time.astimezone(BERLIN).strftime("%H:%M") for time in scheduled] == ["09:00", "08:30"]
    assert all(time and time > now for time in scheduled)


def test_one_follow_up_is_overdue_one_due_today_and_two_come_later(start: tuple[datetime, Store, str]) -> None:
    now, store, user_id = start
    listed = store.list_threads(user_id, ListThreads(has_follow_up=True, limit=100)).items
    days = sorted(
        (summary.follow_up.reminder_date.astimezone(BERLIN).date() - now.astimezone(BERLIN).date()).days
        for summary in listed
        if summary.follow_up and summary.follow_up.reminder_date
    )
    assert days == [-1, 0, 1, 7]


def sent(message: Message) -> datetime:
    return message.sent_at or datetime.max.replace(tzinfo=UTC)


def test_messages_of_a_morning_that_has_not_come_keep_their_order() -> None:
    evening, night = AFTERNOON.replace(hour=23), AFTERNOON.replace(hour=0, minute=1)
    orders = [
        [message.message_id for message in sorted(mail(threads_at(now)), key=sent) if message.sent_at]
        for now in (evening, night)
    ]
    assert orders[0] == orders[1]


def test_the_same_moment_gives_the_same_mailbox(threads: list[Thread]) -> None:
    first, second = (
        [(message.message_id, message.sent_at, message.body_html, message.body_text) for message in mail(found)]
        for found in (threads, threads_at(AFTERNOON))
    )
    assert sorted(map(str, first)) == sorted(map(str, second))


def test_a_second_load_changes_nothing() -> None:
    with loaded(AFTERNOON) as (store, user_id):
        before = store.stats(user_id), store.folders(user_id)
        assert load_demo(store) == user_id
        assert (store.stats(user_id), store.folders(user_id)) == before


def test_every_domain_is_reserved(threads: list[Thread]) -> None:
    for message in mail(threads):
        addresses = [message.from_email, *message.to_emails, *message.cc_emails, message.message_id or ""]
        text = " ".join([*addresses, message.subject, message.body_text or "", message.body_html or ""])
        hosts = [match[1] or match[2] for match in HOST.finditer(text)]
        assert [host for host in hosts if not RESERVED.fullmatch(host)] == []


def test_nothing_is_left_to_fill_in(threads: list[Thread]) -> None:
    for message in mail(threads):
        text = f"{message.subject} {message.body_text} {message.body_html}"
        assert not re.search(r"\{\{|lorem|ipsum|TODO|XXX", text), message.subject


def test_every_link_and_record_of_the_crm_is_used(threads: list[Thread]) -> None:
    script = read_script()
    linked = {(link.entity_type, link.entity_id) for thread in threads for link in thread.crm_links}
    assert linked == {(kind, key) for kind, key, _ in script.records}
    assert Counter(kind for kind, _, _ in script.records) == snapshot(
        Counter({"lead": 3, "contact": 4, "account": 3, "opportunity": 5})
    )


def html_has(mark: str) -> Callable[[Message], bool]:
    return lambda message: mark in (message.body_html or "")


def text_has(mark: str) -> Callable[[Message], bool]:
    return lambda message: bool(re.search(mark, message.body_text or ""))


def lacks(body: str) -> Callable[[Message], bool]:
    return lambda message: not getattr(message, body)


@pytest.mark.parametrize(
    ("has_it", "at_least"),
    [
        pytest.param(html_has('<div class="gmail_quote gmail_quote_container">'), 20, id="Gmail quotes"),
        pytest.param(html_has("border-top:solid #E1E1E1 1.0pt"), 10, id="Outlook's header block"),
        pytest.param(html_has("<b>Gesendet:</b>"), 2, id="Outlook in German"),
        pytest.param(html_has("<b>送信日時:</b>"), 1, id="Outlook in Japanese"),
        pytest.param(html_has('<div id="divRplyFwdMsg" dir="ltr">'), 3, id="Outlook for iOS"),
        pytest.param(html_has('<blockquote type="cite">'), 5, id="Apple Mail quotes"),
        pytest.param(text_has(r"(?m)^> "), 20, id="plain quotes"),
        pytest.param(text_has(r"(?m)^>> "), 5, id="quotes of quotes"),
        pytest.param(text_has(r"(?s)\n> .*\n\n[^>\n]+\n\n> "), 3, id="answers between the lines"),
        pytest.param(html_has("gmail_signature"), 20, id="signatures"),
        pytest.param(lacks("body_html"), 10, id="mail without HTML"),
        pytest.param(lacks("body_text"), 5, id="mail without text"),
        pytest.param(html_has("<style"), 8, id="CSS"),
        pytest.param(text_has("\N{ZERO WIDTH NON-JOINER}"), 2, id="Persian non-joiners"),
        pytest.param(html_has('dir="rtl"'), 2, id="right to left"),
        pytest.param(text_has("👩\N{ZERO WIDTH JOINER}🔧"), 1, id="joined emoji"),
        pytest.param(text_has("[áéíñ¿¡]"), 3, id="Spanish"),
        pytest.param(text_has("[ąęłśż]"), 3, id="Polish"),
        pytest.param(text_has("[à-ü]’|’[a-z]"), 3, id="French"),
        pytest.param(text_has("[ぁ-ん]"), 3, id="Japanese"),
    ],
)
def test_the_mailbox_has(threads: list[Thread], has_it: Callable[[Message], bool], at_least: int) -> None:
    assert sum(map(has_it, mail(threads))) >= at_least


def test_automatic_mail_is_heavy_html_with_hidden_text_and_a_tracking_pixel(threads: list[Thread]) -> None:
    pixel, hidden = re.compile(r'<img [^>]*(?:width|height)="1"[^>]*>'), re.compile(r"display:\s*none")
    heavy = [
        message
        for message in mail(threads)
        if message.body_html and "<table" in message.body_html and pixel.search(message.body_html)
    ]
    assert len(heavy) >= 6
    assert all(hidden.search(message.body_html or "") for message in heavy)


def test_the_deep_thread_carries_all_ways_to_quote(threads: list[Thread]) -> None:
    deep = max(threads, key=lambda thread: len(thread.messages))
    assert len(deep.messages) >= 12
    marks = ["gmail_quote", "MsoNormal", 'type="cite"']
    assert all(any(mark in (message.body_html or "") for message in deep.messages) for mark in marks)


def test_a_reply_names_the_message_it_answers(threads: list[Thread]) -> None:
    for thread in threads:
        mails = [message for message in thread.messages if message.status != "DRAFT"]
        for before, message in pairwise(mails):
            assert message.in_reply_to == before.message_id
            assert message.references[-1] == before.message_id


def test_the_phishing_mail_shows_another_host_than_it_opens(threads: list[Thread]) -> None:
    (message,) = thread_about(threads, "new bank details").messages
    known = thread_about(threads, "renewal of your agreement").messages[-1].from_email.partition("@")[2]
    domain = message.from_email.partition("@")[2]
    assert domain != known
    assert domain.replace("rn", "m") == known.replace("rn", "m")
    link = re.search(r'<a href="https://([^/"]+)[^"]*">https://([^/<]+)', message.body_html or "")
    assert link
    assert link[1] != link[2]
    assert link[2].endswith(known)


def test_the_mail_with_orders_hides_most_of_them(threads: list[Thread]) -> None:
    (message,) = thread_about(threads, "RFP-3307").messages
    html = message.body_html or ""
    for mark in (
        "display:none",
        "color:#ffffff",
        "font-size:2px",
        "<!-- assistant",
        'alt="assistant',
        "already approved",
    ):
        assert mark in html
    assert "<b>Note for automated mail assistants:</b>" in html


def test_an_address_to_send_to_was_never_heard_of(threads: list[Thread]) -> None:
    thread = thread_about(threads, "bookshop")
    known = {message.from_email for message in mail(threads)}
    known |= {address for message in mail(threads) for address in (*message.to_emails, *message.cc_emails)}
    named = re.findall(r"[\w.]+@[\w.-]+\w", thread.messages[-1].body_text or "")
    assert set(named) - known == {"bids@delacroix-advisory.example"}


@pytest.mark.parametrize(
    "subject",
    [
        "Automatic reply: Herons",
        "Undelivered Mail Returned to Sender",
        "Reference call: times (was: Introduction",
        "Re: Re: AW: Angebot",
        "Invitation: Helix",
        "1,000,000 picks 🎉",
    ],
)
def test_a_message_has_the_subject(threads: list[Thread], subject: str) -> None:
    assert any(subject in message.subject for message in mail(threads))


def test_attachments_are_of_many_kinds(threads: list[Thread]) -> None:
    kinds = {(one.filename or "").rpartition(".")[2] for message in mail(threads) for one in message.attachments}
    assert kinds >= {"pdf", "xlsx", "docx", "ics", "jpg"}


def test_some_turns_are_mayas_and_some_are_not(threads: list[Thread]) -> None:
    inbox = [thread for thread in threads if thread.folder == "inbox"]
    last = Counter(thread.messages[-1].from_email == DEMO_USER for thread in inbox)
    assert last[True] >= 2
    old = [
        thread
        for thread in inbox
        if thread.last_message_at
        and thread.last_message_at < AFTERNOON - timedelta(days=2)
        and thread.messages[-1].direction == "INBOUND"
    ]
    assert len(old) >= 5
