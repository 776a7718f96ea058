"""What a thread is tied to: CRM records and follow-ups."""

from typing import Literal

from salesos_inbox.approval.card import facts_card
from salesos_inbox.approval.consent import Proposal
from salesos_inbox.approval.ledger import Step
from salesos_inbox.contract import models
from salesos_inbox.errors import Conflict, InvalidArguments, NotFound
from salesos_inbox.mail.unicode import one_line, quoted
from salesos_inbox.tools._args import RecordId, RecordType, ThreadId, When, check_id, read_when
from salesos_inbox.tools._changes import settled
from salesos_inbox.tools._kit import Desk, Effect, Inbox, tool
from salesos_inbox.views import NOTE_CHARACTERS, FollowUpRemoved, FollowUpSet, RecordLink, people, record


@tool("Link a CRM record", Effect.CHANGE)
async def link_crm_record(
    inbox: Inbox, thread_id: ThreadId, record_type: RecordType, record_id: RecordId
) -> RecordLink:
    """Link a thread to a CRM record."""
    thread_id, record_id = check_id("thread_id", thread_id), check_id("record_id", record_id)
    thread = await inbox.client.get_thread(thread_id)
    linked = _find(thread, record_type, record_id)
    status: Literal["linked", "unchanged"] = "unchanged"
    undo_id = None
    if linked is None:
        wanted = models.CrmLink(entity_type=record_type, entity_id=record_id)

        def is_linked(thread: models.Thread) -> bool:
            return _find(thread, record_type, record_id) is not None

        proposal = await _proposal(inbox, "link_crm_record", thread, "Link it", _RECORD, record(wanted))
        try:
            async with inbox.operation(proposal):
                request = inbox.client.link_crm_record(thread_id, record_type, record_id)
                linked = await settled(inbox, thread_id, request, is_linked) or wanted
            status = "linked"
            step = Step("unlink", (thread_id,), record_type=record_type, record_id=record_id)
            undo_id = await inbox.keep_undo([step], proposal.tool, proposal.about)
        except NotFound:
            raise NotFound(
                f"There is no {record_type} {quoted(record_id)} in the CRM: ask the user for its id."
            ) from None
        except Conflict:
            linked = wanted
    return RecordLink(
        status=status,
        thread_id=thread_id,
        record=record(linked.model_copy(update={"entity_type": record_type, "entity_id": record_id})),
        undo_id=undo_id,
    )


@tool("Unlink a CRM record", Effect.DESTROY)
async def unlink_crm_record(
    inbox: Inbox, thread_id: ThreadId, record_type: RecordType, record_id: RecordId
) -> RecordLink:
    """Take a thread's link to a CRM record away, once the user approves."""
    thread_id, record_id = check_id("thread_id", thread_id), check_id("record_id", record_id)
    thread = await inbox.client.get_thread(thread_id)
    linked = _find(thread, record_type, record_id)
    if linked is None:
        return RecordLink(status="unchanged", thread_id=thread_id, record=f"{record_type} {record_id}")
    proposal = await _proposal(inbox, "unlink_crm_record", thread, "Unlink it", _RECORD, record(linked))
    async with inbox.operation(proposal):
        request = inbox.client.unlink_crm_record(thread_id, record_type, record_id)
        await settled(inbox, thread_id, request, lambda thread: _find(thread, record_type, record_id) is None)
    step = Step("link", (thread_id,), record_type=record_type, record_id=record_id)
    undo_id = await inbox.keep_undo([step], proposal.tool, proposal.about)
    return RecordLink(status="unlinked", thread_id=thread_id, record=record(linked), undo_id=undo_id)


@tool("Set a follow-up", Effect.CHANGE)
async def set_follow_up(inbox: Inbox, thread_id: ThreadId, remind_at: When, note: str | None = None) -> FollowUpSet:
    """Remind the user of a thread at a time; replaces its present follow-up."""
    thread_id = check_id("thread_id", thread_id)
    moment = read_when(remind_at, inbox.timezone, inbox.now())
    note = _note(note)
    thread = await inbox.client.get_thread(thread_id)
    times = inbox.times(moment)
    proposal = await _proposal(inbox, "set_follow_up", thread, "Set it", "Reminder", times.local, note)
    async with inbox.operation(proposal):
        wanted = models.SetFollowUp(reminder_date=moment, note=note)
        request = inbox.client.set_follow_up(thread_id, wanted)
        await settled(inbox, thread_id, request, lambda thread: _has_follow_up(thread, wanted))
    return FollowUpSet(
        status="set",
        thread_id=thread_id,
        local_time=times.local,
        zone=times.zone,
        utc_time=times.utc,
        undo_id=await inbox.keep_undo([_former_follow_up(thread)], proposal.tool, proposal.about),
    )


@tool("Remove a follow-up", Effect.CHANGE)
async def remove_follow_up(inbox: Inbox, thread_id: ThreadId) -> FollowUpRemoved:
    """Remove a thread's follow-up."""
    thread_id = check_id("thread_id", thread_id)
    thread = await inbox.client.get_thread(thread_id)
    if thread.follow_up is None:
        return FollowUpRemoved(status="unchanged", thread_id=thread_id)
    reminder = thread.follow_up.reminder_date
    at = inbox.show_time(reminder) if reminder else "(no time)"
    proposal = await _proposal(inbox, "remove_follow_up", thread, "Remove it", "Reminder", at)
    async with inbox.operation(proposal):
        request = inbox.client.remove_follow_up(thread_id)
        await settled(inbox, thread_id, request, lambda thread: thread.follow_up is None)
    undo_id = await inbox.keep_undo([_former_follow_up(thread)], proposal.tool, proposal.about)
    return FollowUpRemoved(status="removed", thread_id=thread_id, undo_id=undo_id)


_RECORD = "Record"
_TITLES = {
    "link_crm_record": "Link this CRM record to the conversation?",
    "unlink_crm_record": "Unlink this CRM record from the conversation?",
    "set_follow_up": "Set this reminder?",
    "remove_follow_up": "Remove this reminder?",
}


async def _proposal(
    inbox: Desk, tool: str, thread: models.Thread, approve: str, label: str, value: str, note: str | None = None
) -> Proposal:
    """Return the card for what is to be done with one conversation: its subject, its people and `value`."""
    facts = [
        (label, value),
        *([("Note", note)] if note else []),
        ("Conversation", one_line(thread.subject, 120) or "(no subject)"),
        ("With", people(thread, await inbox.own_addresses())),
    ]
    effect = Effect.DESTROY if tool == "unlink_crm_record" else Effect.CHANGE
    about = {label.lower(): value, "thread_id": thread.id}
    return Proposal(((tool, effect),), facts_card(_TITLES[tool], approve, facts, thread.id), about)


def _note(text: str | None) -> str | None:
    if text and len(text) > NOTE_CHARACTERS:
        raise InvalidArguments(f"The note is longer than {NOTE_CHARACTERS} characters: shorten it.")
    return one_line(text or "", NOTE_CHARACTERS) or None


def _find(thread: models.Thread, record_type: str, record_id: str) -> models.CrmLink | None:
    found = (link for link in thread.crm_links if (link.entity_type, link.entity_id) == (record_type, record_id))
    return next(found, None)


def _has_follow_up(thread: models.Thread, wanted: models.SetFollowUp) -> bool:
    found = thread.follow_up
    return found is not None and (found.reminder_date, found.note or None) == (wanted.reminder_date, wanted.note)


def _former_follow_up(thread: models.Thread) -> Step:
    """Return the step that brings back the follow-up as `thread` had it."""
    if thread.follow_up is None or thread.follow_up.reminder_date is None:
        return Step("remove_follow_up", (thread.id,))
    return Step(
        "set_follow_up",
        (thread.id,),
        remind_at=thread.follow_up.reminder_date.isoformat(),
        note=thread.follow_up.note,
    )
