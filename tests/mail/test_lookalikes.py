"""Domains that could be mistaken for a known one, and those that could not."""

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from salesos_inbox.mail.lookalikes import is_shared, look_alike

ATTACKS = [
    # letters of other scripts, as they were registered (2016 to 2019) or reported
    ("xn--80ak6aa92e.com", "apple.com"),
    ("xn--e1awd7f.com", "epic.com"),
    ("xn--pypal-4ve.com", "paypal.com"),
    ("ɢoogle.com", "google.com"),
    ("раураl.com", "paypal.com"),
    ("micrоsoft.com", "microsoft.com"),
    ("xn--micrsoft-qbh.com", "microsoft.com"),
    ("amazοn.de", "amazon.de"),
    ("ɓinance.com", "binance.com"),
    ("coinḃase.com", "coinbase.com"),
    ("ｍicrosoft.com", "microsoft.com"),
    ("𝐩𝐚𝐲𝐩𝐚𝐥.com", "paypal.com"),
    ("սber.com", "uber.com"),
    ("ᎪᏟᎷᎬ.com", "acme.com"),
    ("hр.com", "hp.com"),
    # Latin letters and digits
    ("paypa1.com", "paypal.com"),
    ("paypaI.com", "paypal.com"),
    ("goog1e.com", "google.com"),
    ("g00gle.com", "google.com"),
    ("micros0ft.com", "microsoft.com"),
    ("rnicrosoft.com", "microsoft.com"),
    ("rnicr0s0ft.com", "microsoft.com"),
    ("arnazon.com", "amazon.com"),
    ("vvikipedia.org", "wikipedia.org"),
    ("doudflare.com", "cloudflare.com"),
    ("c1oudflare.com", "cloudflare.com"),
    ("linkedln.com", "linkedin.com"),
    ("netfl1x.com", "netflix.com"),
    ("5lack.com", "slack.com"),
    ("1bm.com", "ibm.com"),
    ("acme-lnvoices.test", "acme-invoices.test"),
    # typing errors
    ("googel.com", "google.com"),
    ("gogle.com", "google.com"),
    ("gooogle.com", "google.com"),
    ("twittter.com", "twitter.com"),
    ("facebok.com", "facebook.com"),
    ("docusgn.com", "docusign.com"),
    ("microsofft.net", "microsoft.com"),
    ("brightwater-procurment.test", "brightwater-procurement.test"),
    ("brihgtwater-procurment.test", "brightwater-procurement.test"),
    # the same name under another ending
    ("acme.co", "acme.com"),
    ("acme.cm", "acme.com"),
    ("ibm.co", "ibm.com"),
    ("acme.io", "acme.com"),
    ("brightwater.com", "brightwater.co.uk"),
    ("brightwater.co.uk", "brightwater.com"),
    # a name borrowed
    ("acme.com.evil.test", "acme.com"),
    ("hp.com.evil.test", "hp.com"),
    ("login.acme.com.evil.test", "acme.com"),
    ("acme.evil.test", "acme.com"),
    ("acme.com-login.test", "acme.com"),
    ("acme-invoices.com", "acme.com"),
    ("invoices-acme.com", "acme.com"),
    ("acme-com.test", "acme.com"),
    ("acrne-invoices.com", "acme.com"),
    ("hp-support.com", "hp.com"),
    ("brightwater-logistics.com", "brightwater.com"),
    ("paypalsecure.com", "paypal.com"),
    ("securepaypal.com", "paypal.com"),
    ("secure-brightwater-foods.com", "brightwater-foods.com"),
    ("acrne.onmicrosoft.com", "acme.onmicrosoft.com"),
    # providers whose domains strangers share
    ("gmial.com", "gmail.com"),
    ("gamil.com", "gmail.com"),
    ("gmal.com", "gmail.com"),
    ("gmai1.com", "gmail.com"),
    ("gmail.co", "gmail.com"),
    ("hotrnail.com", "hotmail.com"),
    ("outlok.com", "outlook.com"),
    ("yahooo.com", "yahoo.com"),
    ("gmail.com.evil.test", "gmail.com"),
]

INNOCENT = [
    # itself, however written, and what lies below it
    ("acme.com", "acme.com"),
    ("ACME.com.", "acme.com"),
    ("mail.acme.com", "acme.com"),
    ("acme.com", "mail.acme.com"),
    ("acme.co.uk", "mail.acme.co.uk"),
    ("xn--mller-kva.de", "müller.de"),
    # short names, where firms differ by a letter
    ("web.de", "wet.de"),
    ("sap.com", "sas.com"),
    ("ups.com", "usps.com"),
    ("dell.com", "bell.com"),
    ("ford.com", "lord.com"),
    ("visa.com", "vista.com"),
    ("cnn.com", "cnbc.com"),
    ("bmw.com", "bmj.com"),
    ("ai.com", "al.com"),
    ("sap.io", "sap.com"),
    ("sap-freunde.de", "sap.com"),
    # names with numbers
    ("studio12.com", "studio14.com"),
    ("route66.com", "route67.com"),
    # other names
    ("oracle.com", "orange.com"),
    ("samsung.com", "siemens.com"),
    ("helix.example", "brightwater.example"),
    ("google.de", "goodyear.de"),
    ("lumen.com", "lumina.de"),
    # words that go with any name
    ("info.de", "info.com"),
    ("data-cloud.com", "cloud.com"),
    ("mail.brightwater.com", "mail.de"),
    ("support.brightwater.com", "support.com"),
    # names that firms have at a platform
    ("acme.zendesk.com", "acme.com"),
    ("acme.onmicrosoft.com", "brightwater.onmicrosoft.com"),
    # providers whose domains strangers share
    ("gmail.com", "mail.com"),
    ("gmail.com", "gmaill.com"),
    ("mail.com", "gmail.com"),
    ("email.com", "gmail.com"),
    ("gmx.de", "gmx.net"),
    ("yahoo.fr", "yahoo.com"),
    ("mail.ru", "mail.com"),
    ("live.nl", "live.com"),
    ("outlook-consulting.com", "outlook.com"),
    ("freenet.de", "fresenet.com"),
]


@pytest.mark.parametrize(("domain", "known"), ATTACKS)
def test_a_domain_that_could_be_mistaken_for_a_known_one_is_told(domain: str, known: str) -> None:
    assert look_alike(domain, ["elsewhere.test", known, "other.example"]) == known


@pytest.mark.parametrize(("domain", "known"), INNOCENT)
def test_a_domain_that_could_not_be_mistaken_is_left_alone(domain: str, known: str) -> None:
    assert look_alike(domain, ["elsewhere.test", known, "other.example"]) is None


def test_a_domain_that_is_known_resembles_nothing_however_much_it_does() -> None:
    assert look_alike("acme-lnvoices.test", ["acme-invoices.test", "mail.acme-lnvoices.test"]) is None


def test_the_likeliest_to_deceive_of_several_is_told() -> None:
    assert (
        look_alike("acrne-invoices.com", ["acme.com", "acrne-invoices.de", "acme-invoices.com"]) == "acme-invoices.com"
    )


@pytest.mark.parametrize(
    "text", ["", ".", "localhost", "a..b", "xn--\ud800.com", "xn--99999999.com", f"{'a' * 64}.com"]
)
def test_what_is_no_domain_resembles_nothing(text: str) -> None:
    assert look_alike(text, ["acme.com", text]) is None
    assert look_alike("acme.com", [text]) is None


@pytest.mark.parametrize(
    ("domain", "shared"),
    [
        ("gmail.com", True),
        ("GMX.at", True),
        ("yahoo.co.jp", True),
        ("gmail.co", False),
        ("acme.com", False),
        ("", False),
    ],
)
def test_a_domain_that_strangers_share_is_told_from_a_firms(domain: str, shared: bool) -> None:
    assert is_shared(domain) is shared


LABEL = st.text(st.sampled_from("acmeо0l1irn-xé") | st.characters(exclude_categories=["Cs"]), max_size=12)
DOMAIN = st.lists(LABEL | st.sampled_from(["com", "co", "uk", "xn--", "xn--80ak6aa92e"]), max_size=5).map(".".join)


@given(domain=DOMAIN, known=st.lists(DOMAIN, max_size=4))
def test_any_text_has_an_answer_and_it_is_one_of_the_known(domain: str, known: list[str]) -> None:
    assert look_alike(domain, known) in [None, *known]
    assert look_alike(domain, [*known, domain]) is None
    assert look_alike(f"mail.{domain}", [*known, domain]) is None or domain not in known


def test_a_hundred_domains_are_compared_with_two_hundred_in_no_time() -> None:
    names = [f"{place}-{trade}" for place in PLACES.split() for trade in TRADES.split()]
    known = [f"{name}.test" for name in names]
    domains = [f"{name[1]}{name[0]}{name[2:]}.test" for name in names[::10]] + [
        f"{name[::-1]}.com" for name in names[:80]
    ]
    took: list[float] = []
    for _ in range(5):
        start = time.process_time()
        found = [look_alike(domain, known) for domain in domains]
        took.append(time.process_time() - start)
        assert found == [*known[::10], *[None] * 80]
    assert (len(known), len(domains)) == (200, 100)
    assert min(took) < 0.05


PLACES = (
    "berlin boston bremen cairo denver geneva glasgow havana jakarta kolkata lisbon madrid milan nairobi oslo quito "
    "sydney toronto vilnius warszawa"
)
TRADES = "steel foods legal tours paper glass lumber yachts bridges flowers"
