"""Who is new to the user: what a reader should know of those who write to them, found out in two requests at most."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

from salesos_inbox.contract import models
from salesos_inbox.errors import InboxError, Unauthorized
from salesos_inbox.mail.addresses import mailbox
from salesos_inbox.mail.lookalikes import is_shared
from salesos_inbox.tools._kit import Desk
from salesos_inbox.tools._standing import from_me

SENT_SECONDS = 600.0
"""How long the list of those the user wrote to is used before it is asked for again."""
_SENT_PAGE = 100


@dataclass(frozen=True)
class Acquaintance:
    """The domains of the user and of those they wrote to in other threads, and the senders who are new to them."""

    known_domains: frozenset[str] = frozenset()
    strangers: frozenset[str] = frozenset()


NOBODY_KNOWN = Acquaintance()
KnownDomains = Callable[[str], frozenset[str]]
"""The domains that are known without the thread of an id."""


async def known_domains(desk: Desk, own: frozenset[str]) -> KnownDomains:
    """Return what tells the domains of the user and of those they wrote to in other threads than one."""
    sent = await _sent(desk)

    def without(thread_id: str) -> frozenset[str]:
        return frozenset(
            _domains(own).union(*(_domains(people) for found, people in sent.items() if found != thread_id))
        )

    return without


async def acquaintance(desk: Desk, thread: models.Thread, own: frozenset[str]) -> Acquaintance:
    """Return what is known of the senders of a thread; less where the service does not tell.

    A stranger is the newest sender, where the user never wrote to them and no other thread of theirs is found.
    """
    sent = await _sent(desk)
    written_to = {address for thread_id, people in sent.items() if thread_id != thread.id for address in people}
    known = (await known_domains(desk, own))(thread.id)
    sender = next((message.from_email for message in reversed(thread.messages) if _is_received(message, own)), "")
    if not sender or mailbox(sender) in written_to | _addressed(thread, own) or _is_colleague(mailbox(sender), own):
        return Acquaintance(known)
    try:
        page = await desk.client.list_threads(models.ListThreads(from_=sender, limit=2))
    except Unauthorized:
        raise
    except InboxError:
        return Acquaintance(known)
    is_stranger = all(item.id == thread.id for item in page.items)
    return Acquaintance(known, frozenset({mailbox(sender)} if is_stranger else ()))


async def _sent(desk: Desk) -> Mapping[str, frozenset[str]]:
    """Who takes part in the newest threads that the user wrote in, by thread, as known a while ago."""
    services = desk.services
    if services.sent is None or services.seconds() - services.sent[0] > SENT_SECONDS:
        try:
            page = await desk.client.list_threads(models.ListThreads(folder="sent", limit=_SENT_PAGE))
        except Unauthorized:
            raise
        except InboxError:
            return {}
        people = {item.id: frozenset(mailbox(person.email) for person in item.participants) for item in page.items}
        services.sent = (services.seconds(), people)
    return services.sent[1]


def _is_received(message: models.Message, own: frozenset[str]) -> bool:
    return not from_me(message, own) and message.from_email.lower() not in own


def _is_colleague(address: str, own: frozenset[str]) -> bool:
    """Return whether an address is at the user's own domain, where that is nobody's who asks for one."""
    domain = _domain(address)
    return domain in _domains(own) and not is_shared(domain)


def _addressed(thread: models.Thread, own: frozenset[str]) -> set[str]:
    """Those the user wrote to in this thread."""
    emails = {
        email
        for message in thread.messages
        if message.status != "DRAFT" and from_me(message, own)
        for email in (*message.to_emails, *message.cc_emails)
    }
    return set(map(mailbox, emails))


def _domains(addresses: Iterable[str]) -> set[str]:
    return {_domain(address) for address in addresses}


def _domain(address: str) -> str:
    return address.rpartition("@")[2]
