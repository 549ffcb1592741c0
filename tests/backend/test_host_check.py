"""The names and pages from which a request may come."""

import pytest

from jarvis_backend.host_check import HostRules, Malformed

SOCKET_IO = "/socket.io/?EIO=4&transport=polling"


@pytest.mark.parametrize(
    ("hosts", "is_allowed"),
    [
        ("localhost:4000 LOCALHOST localhost. x.localhost:4000", True),
        ("127.0.0.1:4000 [::1]:4000 192.168.1.20:4000", True),
        ("house.example HOUSE.local", True),
        ("jarvis-pi jarvis.local:4000 jarvis.lan jarvis.home.arpa local testserver", False),
        ("notlocalhost notlocal.example localhost.evil.example", False),
        ("evil.example evil.example:4000 127.0.0.1.evil.example", False),
    ],
)
def test_a_name_must_be_known(hosts, is_allowed):
    rules = HostRules({"house.example", "house.local"}, ())
    assert not rules.allows_host("")
    for host in hosts.split():
        assert rules.allows_host(host) is is_allowed, host


@pytest.mark.parametrize(
    ("hosts", "is_allowed"),
    [
        ("jarvis-pi jarvis.local:4000 jarvis.lan localhost", True),
        ("evil.example notlocal.example", False),
    ],
)
def test_with_a_token_a_name_of_the_local_network_is_fine(hosts, is_allowed):
    for host in hosts.split():
        assert HostRules((), ()).allows_host(host, with_token=True) is is_allowed, host


@pytest.mark.parametrize(
    ("host", "origin"),
    [
        ("[::1", None),
        ("xn--", None),
        ("\xff\xfe", None),
        ("localhost:4000", "http://["),
        ("localhost:4000", "http://[x]:y"),
    ],
)
def test_an_invalid_name_or_page_is_malformed(host, origin):
    rules = HostRules((), ())
    with pytest.raises(Malformed):
        rules.allows_origin(origin, host) if origin else rules.allows_host(host)


@pytest.mark.parametrize(
    ("origins", "is_allowed"),
    [
        ([None, "http://localhost:4000", "https://panel.example", "https://PANEL.example/"], True),
        (["http://panel.example", "http://localhost:8080", "file://localhost:4000"], False),
        (["https://evil.example", "null", ""], False),
    ],
)
def test_a_page_must_be_ours_or_named(origins, is_allowed):
    rules = HostRules((), {"https://panel.example"})
    for origin in origins:
        assert rules.allows_origin(origin, "localhost:4000") is is_allowed, origin


@pytest.fixture(scope="module")
def client(app_client):
    with app_client() as client:
        yield client


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({}, 200),
        ({"Origin": "http://testserver"}, 200),
        ({"Origin": "https://evil.example"}, 403),
        ({"Host": "evil.example"}, 403),
    ],
)
def test_a_foreign_page_or_name_gets_403(client, headers, status):
    for path in ("/health", SOCKET_IO):
        assert client.get(path, headers=headers).status_code == status


@pytest.mark.parametrize("name", ["jarvis.local", "jarvis.lan", "jarvis-pi", "evil"])
def test_a_page_whose_own_name_resolves_to_this_machine_gets_nothing(client, name):
    """Origin and Host are the same."""
    rebound = {"Host": f"{name}:4000", "Origin": f"http://{name}:4000"}
    for path in ("/health", SOCKET_IO, "/api/status"):
        assert client.get(path, headers=rebound).status_code == 403
    login = {"password": "jarvis"}
    assert client.post("/api/auth/login", json=login, headers=rebound).status_code == 403
    assert client.close_code("/ws/voice", **rebound) == 1008


def test_a_name_of_the_local_network_needs_a_good_token_or_a_permission(client, start_client):
    token = client.token()
    host = {"Host": "jarvis.local:4000"}
    for word, status in ((token, 200), ("nonsense", 403)):
        headers = host | {"Authorization": f"Bearer {word}"}
        assert client.get("/api/status", headers=headers).status_code == status
    with client.websocket_connect("/ws/voice", subprotocols=[token], headers=host) as line:
        assert line.accepted_subprotocol == token
    other = start_client(allow_hosts=["jarvis.local"])
    assert other.get("/api/status", headers=host).status_code == 200


def test_the_name_of_the_test_client_is_good_in_process_only(client):
    name = {"Host": "testserver"}
    assert client.get("/health", headers=name).status_code == 200
    other = client.elsewhere(base_url="http://192.0.2.1")
    assert other.get("/health").status_code == 200
    assert other.get("/health", headers=name).status_code == 403


@pytest.mark.parametrize("headers", [{"Origin": "http://["}, {"Host": "xn--"}])
def test_malformed_headers_are_400(client, headers):
    assert client.get("/health", headers=headers).status_code == 400


@pytest.mark.parametrize("path", ["/docs", "/redoc", "/openapi.json"])
def test_no_documentation_of_the_interface_is_served(client, path):
    assert client.get(path).status_code == 404


def test_cors_is_closed_unless_a_page_is_named(client, start_client):
    page = "https://panel.example"

    def ask(asked, origin):
        headers = {"Origin": origin, "Access-Control-Request-Method": "POST"}
        return asked.options("/api/sessions", headers=headers)

    assert ask(client, page).status_code == 403
    open_to_it = start_client(allow_origins=(page,))
    answer = ask(open_to_it, page)
    assert answer.status_code == 200
    assert answer.headers["access-control-allow-origin"] == page
    assert ask(open_to_it, "https://evil").status_code == 403
