"""The tools there are, in one place."""

from salesos_inbox.tools import drafting, reading, relations, sending, sorting, triage, undoing
from salesos_inbox.tools._kit import InboxTool

CATALOGUE: tuple[InboxTool, ...] = (
    reading.list_folders,
    reading.list_threads,
    reading.search_threads,
    reading.read_thread,
    triage.triage_inbox,
    reading.get_inbox_stats,
    reading.list_scheduled,
    drafting.save_draft,
    sending.send_email,
    sending.schedule_email,
    sending.cancel_scheduled,
    sorting.mark_read,
    sorting.star_threads,
    sorting.archive_threads,
    sorting.move_threads,
    sorting.delete_threads,
    sorting.bulk_update_threads,
    relations.link_crm_record,
    relations.unlink_crm_record,
    relations.set_follow_up,
    relations.remove_follow_up,
    undoing.undo_change,
)
"""Every tool, in the order a client lists them."""
