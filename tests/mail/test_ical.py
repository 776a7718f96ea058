"""Invitations and contact cards as lines to read."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from inline_snapshot import snapshot

from salesos_inbox.mail.ical import MOST_COMPONENTS, Readable, calendar_text, card_text

INVITATION = """\
BEGIN:VCALENDAR
METHOD:REQUEST
BEGIN:VTIMEZONE
TZID:Europe/Berlin
BEGIN:STANDARD
DTSTART:19701025T030000
RRULE:FREQ=YEARLY;BYMONTH=10;BYDAY=-1SU
END:STANDARD
END:VTIMEZONE
BEGIN:VEVENT
UID:1@helix.example
DTSTART;TZID="Europe/Berlin":20261120T140000
DTEND;TZID="Europe/Berlin":20261120T153000
SUMMARY:Quarterly review\\, with figu
 res
LOCATION:Room 5\\; second floor
ORGANIZER;CN="Lee, Ann":mailto:ann@helix.example
ATTENDEE;ROLE=REQ-PARTICIPANT;PARTSTAT=NEEDS-ACTION;CN=Maya:MAILTO:maya@northwind.example
ATTENDEE:mailto:tom@helix.example
RRULE:FREQ=WEEKLY;INTERVAL=2;BYDAY=TU,-1FR;COUNT=10
EXDATE;TZID=Europe/Berlin:20261204T140000
DESCRIPTION:Dear all\\,\\nplease bring\\n- the offer
BEGIN:VALARM
TRIGGER:-PT15M
DESCRIPTION:Reminder
END:VALARM
END:VEVENT
END:VCALENDAR
"""


def test_an_invitation_says_what_when_where_and_who():
    assert calendar_text(INVITATION) == snapshot(
        Readable(
            text="""\
Calendar invitation: Quarterly review, with figures
When: 2026-11-20 14:00 to 15:30 (Europe/Berlin)
Repeats: every 2 weeks on Tuesday, last Friday, 10 times
Except: 2026-12-04 14:00
Where: Room 5; second floor
Organizer: Lee, Ann <ann@helix.example>
Attendees: Maya <maya@northwind.example>, tom@helix.example
Dear all,
please bring
- the offer\
""",
            count=1,
            method="REQUEST",
        )
    )
    assert calendar_text(INVITATION.replace("\n", "\r\n")) == calendar_text(INVITATION)


@pytest.mark.parametrize(
    ("lines", "when"),
    [
        ("DTSTART:20261120T140000Z\nDURATION:PT1H30M", "2026-11-20 14:00 to 15:30 (UTC)"),
        ("DTSTART:20261120T230000\nDTEND:20261121T010000", "2026-11-20 23:00 to 2026-11-21 01:00"),
        ("DTSTART;VALUE=DATE:20261120\nDTEND;VALUE=DATE:20261121", "2026-11-20"),
        ("DTSTART;VALUE=DATE:20261120\nDTEND;VALUE=DATE:20261123", "2026-11-20 to 2026-11-22"),
        ("DTSTART;VALUE=DATE:20261120\nDURATION:P2D", "2026-11-20 to 2026-11-21"),
        ("DTSTART;TZID=W. Europe Standard Time:20261120T140000", "2026-11-20 14:00 (W. Europe Standard Time)"),
        ("DTSTART:99999999T999999", "99999999T999999"),
        ("DTSTART:tomorrow", "tomorrow"),
    ],
)
def test_times_read_as_they_are_meant(lines: str, when: str):
    event = f"BEGIN:VCALENDAR\nBEGIN:VEVENT\nSUMMARY:x\n{lines}\nEND:VEVENT\nEND:VCALENDAR"
    assert calendar_text(event).text == f"Calendar event: x\nWhen: {when}"


@pytest.mark.parametrize(
    ("rule", "words"),
    [
        ("FREQ=DAILY", "daily"),
        ("FREQ=MONTHLY;BYMONTHDAY=15;UNTIL=20270101T000000Z", "monthly on day 15, until 2027-01-01 00:00"),
        ("FREQ=YEARLY;BYMONTH=3;BYDAY=2MO", "yearly on second Monday (BYMONTH=3)"),
        ("FREQ=MINUTELY", "FREQ=MINUTELY"),
    ],
)
def test_repetitions_read_as_words(rule: str, words: str):
    event = f"BEGIN:VCALENDAR\nBEGIN:VEVENT\nRRULE:{rule}\nEND:VEVENT\nEND:VCALENDAR"
    assert calendar_text(event).text == f"Calendar event: (no title)\nRepeats: {words}"


@pytest.mark.parametrize(
    ("method", "title"),
    [("CANCEL", "Cancelled calendar event"), ("REPLY", "Answer to a calendar invitation"), ("X", "Calendar event")],
)
def test_what_is_asked_is_the_title(method: str, title: str):
    assert calendar_text(INVITATION.replace("REQUEST", method)).text.startswith(f"{title}: Quarterly")


def test_an_answer_says_who_accepted():
    answer = INVITATION.replace("REQUEST", "REPLY").replace("NEEDS-ACTION", "ACCEPTED")
    assert "Maya <maya@northwind.example> (accepted)" in calendar_text(answer).text


def test_events_beyond_the_first_are_counted():
    events = "BEGIN:VEVENT\nSUMMARY:x\nEND:VEVENT\n" * (MOST_COMPONENTS + 5)
    read = calendar_text(f"BEGIN:VCALENDAR\n{events}END:VCALENDAR")
    assert (read.count, read.text.count("Calendar event: x")) == (MOST_COMPONENTS + 5, MOST_COMPONENTS)
    assert read.text.endswith("(and 5 more like these)")


def test_people_beyond_the_first_are_counted():
    many = "".join(f"ATTENDEE:mailto:p{number}@x.example\n" for number in range(500))
    read = calendar_text(f"BEGIN:VCALENDAR\nBEGIN:VEVENT\n{many}END:VEVENT\nEND:VCALENDAR")
    assert read.text.endswith("p9@x.example, +490 more")


def test_an_event_that_was_cut_off_is_read_as_far_as_it_goes():
    assert calendar_text("BEGIN:VCALENDAR\nBEGIN:VEVENT\nSUMMARY:Review\nDTSTA").text == "Calendar event: Review"


def test_a_contact_card_says_how_to_reach_someone():
    card = """\
BEGIN:VCARD
VERSION:3.0
N:Lee;Ann;;Dr.;
FN:Dr. Ann Lee
ORG:Helix GmbH;Sales
TITLE:Head of purchasing
item1.EMAIL;TYPE=INTERNET:ann@helix.example
TEL;VALUE=uri:tel:+49-30-1
ADR;TYPE=WORK:;;Main St. 1;Berlin;;10115;Germany
PHOTO;ENCODING=b:iVBORw0KGgo=
END:VCARD
"""
    assert card_text(card) == snapshot(
        Readable(
            text="""\
Contact card: Dr. Ann Lee
Organization: Helix GmbH, Sales
Title: Head of purchasing
Mail: ann@helix.example
Phone: +49-30-1
Address: Main St. 1, Berlin, 10115, Germany\
""",
            count=1,
        )
    )


@given(st.lists(st.sampled_from([*INVITATION.splitlines(), "BEGIN:VEVENT", "END:VEVENT", "x", ";=:", ":", " fold"])))
def test_no_order_of_lines_breaks_it(lines: list[str]):
    calendar_text("\n".join(lines))
    card_text("\n".join(lines))
