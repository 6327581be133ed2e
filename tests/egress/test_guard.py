from ipaddress import ip_address

import pytest

from twinspeak.domain.errors import AddressNotAllowed, OperatorError
from twinspeak.egress.guard import MAX_URL, AllowList, Guard, is_public

HOSTILE = {
    # what is no web address, or can be read in two ways
    "": "malformed",
    " http://example.org/": "malformed",
    "http://example.org/\nHost: 127.0.0.1": "malformed",
    "http://exa\tmple.org/": "malformed",
    "http://example.org\x00.evil.example/": "malformed",
    "http://example.org\\@127.0.0.1/": "malformed",
    "http:\\\\127.0.0.1\\": "malformed",
    "http:///127.0.0.1/": "malformed",
    "http:127.0.0.1": "malformed",
    "//127.0.0.1/": "malformed",
    "127.0.0.1": "malformed",
    "/latest/meta-data/": "malformed",
    "http://": "malformed",
    "http://[::1": "malformed",
    "http://[::1]extra/": "malformed",
    "http://[fe80::1%25lo]/": "malformed",
    "http://[fe80::1%lo]/": "malformed",
    "http://127%2e0.0.1/": "malformed",
    "http://example.org:99999/": "malformed",
    "http://example.org:0/": "malformed",
    "http://example.org:-1/": "malformed",
    "http://example.org:80:81/": "malformed",
    f"http://example.org/{'a' * MAX_URL}": "malformed",
    # schemes
    "file:///%65tc/passwd": "scheme",
    "ftp://example.org/": "scheme",
    "gopher://example.org:70/_": "scheme",
    "dict://example.org:11211/stats": "scheme",
    "javascript:alert(1)": "scheme",
    "data:text/plain,hello": "scheme",
    "ws://example.org/": "scheme",
    # credentials
    "http://user:secret@example.org/": "credentials",
    "http://example.org@127.0.0.1/": "credentials",
    "http://127.0.0.1:80@example.org/": "credentials",
    "http://@example.org/": "credentials",
    # ports that are no pages'
    "http://example.org:22/": "port",
    "http://example.org:25/": "port",
    "http://example.org:6379/": "port",
    "https://example.org:5432/": "port",
    # names of the machine and its network
    "http://localhost/": "host",
    "http://LOCALHOST/": "host",
    "http://localhost./": "host",
    "http://a.localhost/": "host",
    "http://localhost.localdomain/": "host",
    "http://printer.local/": "host",
    "http://metadata.google.internal/computeMetadata/v1/": "host",
    "http://intranet/": "host",
    "http://ⓛⓞⓒⓐⓛⓗⓞⓢⓣ/": "host",
    "http://example..org/": "host",
    "http://-example.org/": "host",
    "http://exam_ple!.org/": "host",
    # addresses in plain sight
    "http://127.0.0.1/": "host",
    "http://127.0.0.1./": "host",
    "http://127.255.255.254/": "host",
    "http://0.0.0.0/": "host",
    "http://10.0.0.1/": "host",
    "http://172.16.0.1/": "host",
    "http://172.31.255.255/": "host",
    "http://192.168.1.1/": "host",
    "http://100.64.0.1/": "host",
    "http://100.100.100.200/": "host",
    "http://168.63.129.16/": "host",
    "http://169.254.169.254/latest/meta-data/": "host",
    "http://169.254.170.2/v2/credentials": "host",
    "http://192.0.0.192/": "host",
    "http://192.0.2.1/": "host",
    "http://192.88.99.1/": "host",
    "http://198.18.0.1/": "host",
    "http://203.0.113.7/": "host",
    "http://224.0.0.1/": "host",
    "http://240.0.0.1/": "host",
    "http://255.255.255.255/": "host",
    # addresses in disguise
    "http://2130706433/": "host",
    "http://017700000001/": "host",
    "http://0x7f000001/": "host",
    "http://0x7f.0.0.1/": "host",
    "http://0177.0.0.1/": "host",
    "http://127.1/": "host",
    "http://127.0.1/": "host",
    "http://0/": "host",
    "http://127.0.0.01/": "host",
    "http://1.2.3.4.5/": "host",
    "http://256.256.256.256/": "host",
    "http://①②⑦.⓪.⓪.①/": "host",
    "http://127。0。0。1/": "host",
    "http://example.org.0x7f/": "host",
    # IPv6
    "http://[::1]/": "host",
    "http://[::]/": "host",
    "http://[0:0:0:0:0:0:0:1]/": "host",
    "http://[fe80::1]/": "host",
    "http://[fc00::1]/": "host",
    "http://[fd00:ec2::254]/": "host",
    "http://[fec0::1]/": "host",
    "http://[ff02::1]/": "host",
    "http://[100::1]/": "host",
    "http://[2001:db8::1]/": "host",
    "http://[3fff::1]/": "host",
    "http://[::ffff:127.0.0.1]/": "host",
    "http://[::ffff:a9fe:a9fe]/": "host",
    "http://[::ffff:0:127.0.0.1]/": "host",
    "http://[::127.0.0.1]/": "host",
    "http://[64:ff9b::127.0.0.1]/": "host",
    "http://[64:ff9b::a9fe:a9fe]/": "host",
    "http://[64:ff9b:1::808:808]/": "host",
    "http://[2002:7f00:1::]/": "host",
    "http://[2002:808:808::]/": "host",
    "http://[2001:0:53aa:64c:0:0:80ff:fffe]/": "host",
    "http://[2600::5efe:127.0.0.1]/": "host",
    "http://[2600::200:5efe:10.0.0.1]/": "host",
}
GOOD = {
    "https://example.org": "https://example.org/",
    "HTTP://EXAMPLE.ORG:80/a": "http://example.org/a",
    "https://example.org./": "https://example.org/",
    "https://example.org:8443/?q=a%3Ab#part": "https://example.org:8443/?q=a%3Ab",
    "https://münchen.example.org/ä": "https://xn--mnchen-3ya.example.org/%C3%A4",
    "http://8.8.8.8/": "http://8.8.8.8/",
    "http://[2606:4700::1111]/": "http://[2606:4700::1111]/",
    "http://[64:ff9b::8.8.8.8]/": "http://[64:ff9b::808:808]/",
    "http://127.0.0.1.example.org/": "http://127.0.0.1.example.org/",
    "http://example.org#@127.0.0.1/": "http://example.org/",
    "http://example.org/?next=http://127.0.0.1/": "http://example.org/?next=http://127.0.0.1/",
}


def refused(guard: Guard, url: str) -> str:
    with pytest.raises(AddressNotAllowed) as caught:
        guard.parse(url)
    return caught.value.details["reason"]


def test_there_are_enough_of_them() -> None:
    assert len(HOSTILE) >= 100


@pytest.mark.parametrize(("url", "reason"), HOSTILE.items(), ids=[ascii(url)[:60] for url in HOSTILE])
def test_a_hostile_address_is_refused(url: str, reason: str) -> None:
    assert refused(Guard(), url) == reason


@pytest.mark.parametrize(("url", "meant"), GOOD.items())
def test_a_good_address_is_asked_as_it_was_judged(url: str, meant: str) -> None:
    assert str(Guard().parse(url).url) == meant


def test_a_private_host_and_an_unknown_one_are_answered_alike() -> None:
    said: set[str] = set()
    for url in ("http://10.1.2.3/", "http://intranet/", "http://localhost/"):
        with pytest.raises(AddressNotAllowed) as caught:
            Guard().parse(url)
        said.add(str(caught.value))
    assert len(said) == 1


@pytest.mark.parametrize(
    ("answer", "fine"),
    [
        (["8.8.8.8"], True),
        (["8.8.8.8", "2606:4700::1111", "8.8.8.8"], True),
        ([], False),
        (["8.8.8.8", "127.0.0.1"], False),
        (["10.0.0.1"], False),
        (["169.254.169.254"], False),
        (["::1"], False),
        (["fe80::1%eth0"], False),
        (["::ffff:10.0.0.1"], False),
        (["64:ff9b::10.0.0.1"], False),
        (["2002:a00:1::"], False),
        (["not an address"], False),
        (["0177.0.0.1"], False),
    ],
)
def test_every_address_of_a_name_is_judged(answer: list[str], *, fine: bool) -> None:
    if fine:
        assert [str(one) for one in Guard().judge_answer("example.org", answer, 443)] == list(dict.fromkeys(answer))
    else:
        with pytest.raises(AddressNotAllowed):
            Guard().judge_answer("example.org", answer, 443)


def test_a_guard_may_want_https_and_any_ordinary_port() -> None:
    strict = Guard(schemes=("https",), ports=None)
    assert refused(strict, "http://example.org/") == "scheme"
    for port, usual in ((443, True), (8000, True), (11434, True), (22, False), (6379, False), (1023, False)):
        url = f"https://example.org:{port}/"
        if usual:
            assert strict.parse(url).port == port
        else:
            assert refused(strict, url) == "port"


# -- what the operator opened -----------------------------------------------------------------------------------------


def test_a_network_opens_its_addresses_on_its_port_alone() -> None:
    guard = Guard(AllowList(["127.0.0.1:11434", "10.1.0.0/16", "[fd12::/64]:8000"]), schemes=("https",), ports=None)
    assert guard.parse("http://127.0.0.1:11434/v1").port == 11434
    assert guard.parse("http://10.1.2.3:22/").host == "10.1.2.3"
    assert guard.parse("http://[fd12::5]:8000/").host == "fd12::5"
    assert guard.parse("http://[::ffff:10.1.2.3]/").port == 80
    for closed in (
        "http://127.0.0.1:11435/",
        "https://127.0.0.2:11434/",
        "https://10.2.0.1/",
        "https://[fd12::5]:8001/",
    ):
        assert refused(guard, closed) in {"host", "scheme"}
    assert guard.judge_answer("model.example.org", ["10.1.0.9"], 8000) == [ip_address("10.1.0.9")]


def test_a_name_opens_wherever_it_leads_but_no_metadata() -> None:
    guard = Guard(AllowList(["ollama:11434", "Models.Example.org"]), schemes=("https",))
    assert guard.parse("http://ollama:11434/v1").host == "ollama"
    assert guard.parse("http://models.example.org:9999/").port == 9999
    assert guard.judge_answer("ollama", ["172.18.0.2"], 11434) == [ip_address("172.18.0.2")]
    for host, address, port in (("ollama", "172.18.0.2", 80), ("other", "172.18.0.2", 11434)):
        with pytest.raises(AddressNotAllowed):
            guard.judge_answer(host, [address], port)
    with pytest.raises(AddressNotAllowed):
        guard.judge_answer("ollama", ["169.254.169.254"], 11434)


def test_metadata_is_opened_by_its_very_address_alone() -> None:
    assert refused(Guard(AllowList(["0.0.0.0/0", "169.254.0.0/16"])), "http://169.254.169.254/") == "host"
    assert Guard(AllowList(["169.254.169.254"])).parse("http://169.254.169.254/").port == 80
    assert Guard(AllowList(["0.0.0.0/0"])).parse("http://192.168.0.1/").port == 80


@pytest.mark.parametrize(
    "word",
    [
        "",
        ":80",
        "host:",
        "host:0",
        "host:65536",
        "host:eighty",
        "10.0.0.1/8",
        "10.0.0.0/33",
        "[::1",
        "[::1]80",
        "[::1]:",
        "http://host",
        "*.example.org",
        "a b",
        "0177.0.0.1",
        "127.1",
    ],
)
def test_a_word_that_opens_nothing_stops_the_start(word: str) -> None:
    with pytest.raises(OperatorError, match="TWINSPEAK_EGRESS_ALLOW"):
        AllowList([word])


def test_metadata_addresses_are_not_public_even_where_their_network_is() -> None:
    assert not is_public(ip_address("168.63.129.16"))
    assert is_public(ip_address("168.63.129.17"))
