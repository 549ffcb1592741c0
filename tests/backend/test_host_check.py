"""The names and pages from which a request may come."""

import pytest

from jarvis_backend.host_check import HostRules, Malformed

SOCKET_IO = "/socket.io/?EIO=4&transport="
EVIL = "https://evil.example"


@pytest.mark.parametrize(
    ("host", "admitted"),
    [
        ("localhost:4000", True),
        ("LOCALHOST", True),
        ("127.0.0.1:4000", True),
        ("[::1]:4000", True),
        ("192.168.1.20:4000", True),
        ("x.localhost:4000", True),
        ("localhost.", True),
        ("jarvis-pi", False),
        ("jarvis.local:4000", False),
        ("jarvis.lan", False),
        ("jarvis.home.arpa", False),
        ("local", False),
        ("testserver", False),
        ("localhost.evil.example", False),
        ("notlocalhost", False),
        ("notlocal.example", False),
        ("house.example", True),
        ("HOUSE.local", True),
        ("evil.example", False),
        ("evil.example:4000", False),
        ("127.0.0.1.evil.example", False),
        ("", False),
    ],
)
def test_a_name_must_be_known(host, admitted):
    assert HostRules({"house.example", "house.local"}, ()).allows_host(host) is admitted


@pytest.mark.parametrize(
    ("host", "admitted"),
    [
        ("jarvis-pi", True),
        ("jarvis.local:4000", True),
        ("jarvis.lan", True),
        ("localhost", True),
        ("evil.example", False),
        ("notlocal.example", False),
    ],
)
def test_with_a_token_a_name_of_the_local_network_is_fine(host, admitted):
    assert HostRules((), ()).allows_host(host, with_token=True) is admitted


@pytest.mark.parametrize("host", ["[::1", "xn--", "\xff\xfe"])
def test_what_is_no_name_at_all_is_malformed(host):
    with pytest.raises(Malformed):
        HostRules((), ()).allows_host(host)


@pytest.mark.parametrize("origin", ["http://[", "http://[x]:y"])
def test_what_is_no_page_at_all_is_malformed(origin):
    with pytest.raises(Malformed):
        HostRules((), ()).allows_origin(origin, "localhost:4000")


@pytest.mark.parametrize(
    ("origin", "admitted"),
    [
        (None, True),
        ("http://localhost:4000", True),
        ("https://panel.example", True),
        ("https://PANEL.example/", True),
        ("http://panel.example", False),
        ("http://localhost:8080", False),
        ("https://evil.example", False),
        ("null", False),
        ("", False),
        ("file://localhost:4000", False),
    ],
)
def test_a_page_must_be_ours_or_named(origin, admitted):
    rules = HostRules((), {"https://panel.example"})
    assert rules.allows_origin(origin, "localhost:4000") is admitted


@pytest.fixture(scope="module")
def client(app_client):
    with app_client() as client:
        yield client


@pytest.mark.parametrize("path", ["/health", "/api/health", SOCKET_IO + "polling"])
def test_a_foreign_page_or_name_gets_403(client, path):
    assert client.get(path).status_code == 200
    for headers, status in (
        ({"Origin": "http://testserver"}, 200),
        ({"Origin": EVIL}, 403),
        ({"Host": "evil.example"}, 403),
    ):
        assert client.get(path, headers=headers).status_code == status


def test_a_foreign_page_opens_no_websocket(client):
    assert client.close_code(SOCKET_IO + "websocket", Origin=EVIL) == 1008


@pytest.mark.parametrize("name", ["jarvis.local", "jarvis.lan", "jarvis-pi", "evil"])
def test_a_page_whose_own_name_resolves_to_this_machine_gets_nothing(client, name):
    """Origin and Host are the same."""
    rebound = {"Host": f"{name}:4000", "Origin": f"http://{name}:4000"}
    for path in ("/health", SOCKET_IO + "polling", "/api/status"):
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
